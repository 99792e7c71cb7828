import DLBase
import DLTensor

extension Picture {
    /// The pixels with the channels of a mode. Grey of 16 bits stays int32 in grayscale, as Keras has it; in colours it is
    /// the upper 8 of them.
    func inMode(_ mode: PictureOptions.Mode) throws -> Tensor {
        if pixels.type == .int32 { return mode == .grayscale ? pixels : try fromDeepGrey(mode) }
        if channels == mode.channels, inks == .none { return pixels }
        let result = try Tensor(uninitialized: Shape(checked: [height, width, mode.channels]), .uint8)
        let source = pixels.elements(UInt8.self), target = result.elements(UInt8.self)
        let from = channels, to = mode.channels
        for pixel in 0..<(width * height) {
            let at = pixel * from, place = pixel * to
            var (red, green, blue) = (source[at], source[at], source[at])
            var alpha: UInt8 = 255
            if from >= 3 { (green, blue) = (source[at + 1], source[at + 2]) }
            if inks != .none {
                (red, green, blue) = light(red, green, blue, source[at + 3])
            } else if from == 2 || from == 4 {
                alpha = source[at + from - 1]
            }
            if to == 1 {
                target[place] = from < 3 ? red : luminance(red, green, blue)
            } else {
                target[place] = red
                target[place + 1] = green
                target[place + 2] = blue
                if to == 4 { target[place + 3] = alpha }
            }
        }
        return result
    }

    private func fromDeepGrey(_ mode: PictureOptions.Mode) throws -> Tensor {
        let upper = try Tensor(uninitialized: pixels.shape, .uint8)
        let source = pixels.elements(Int32.self), target = upper.elements(UInt8.self)
        for place in 0..<upper.count { target[place] = UInt8(truncatingIfNeeded: source[place] >> 8) }
        return try Picture(pixels: upper).inMode(mode)
    }

    /// What inks leave of white light.
    private func light(_ cyan: UInt8, _ magenta: UInt8, _ yellow: UInt8, _ black: UInt8) -> (UInt8, UInt8, UInt8) {
        func ink(_ value: UInt8) -> UInt8 { inks == .inverted ? 255 - value : value }
        let rest = 255 - ink(black)
        func left(_ value: UInt8) -> UInt8 { rest - scaledByte(ink(value), rest) }
        return (left(cyan), left(magenta), left(yellow))
    }
}

/// ITU-R BT.601, in 16 bits after the point.
private func luminance(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    UInt8(truncatingIfNeeded: (Int(red) * 19_595 + Int(green) * 38_470 + Int(blue) * 7_471 + 0x8000) >> 16)
}

/// a b / 255, rounded.
func scaledByte(_ a: UInt8, _ b: UInt8) -> UInt8 {
    let product = Int(a) * Int(b) + 128
    return UInt8(truncatingIfNeeded: (product >> 8 + product) >> 8)
}
