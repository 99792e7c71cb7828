import DLBase
import DLTensor

/// Windows bitmaps without compression: 24 and 32 bits for a pixel, and 1, 4 and 8 with a table of colours.
enum BMP {
    static func decode(_ source: PictureSource) throws -> Picture {
        let bytes = source.bytes
        guard bytes.count >= 54 else { throw source.error("the file ends too early", bytes.count) }
        func word(_ at: Int, _ count: Int = 4) -> Int {
            (0..<count).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
        }
        func signed(_ at: Int) -> Int { Int(Int32(truncatingIfNeeded: word(at))) }
        let start = word(10), head = word(14), width = signed(18), down = signed(22), bits = word(28, 2), packing = word(30)
        guard head >= 40, head <= bytes.count - 14 else { throw source.error("a head of \(head) bytes is not read", 14) }
        // Masks (3) are those of every 32-bit file in use: blue, green, red, alpha.
        guard packing == 0 || packing == 3 && bits == 32 else { throw source.error("compression \(packing) is not read", 30) }
        guard [1, 4, 8, 24, 32].contains(bits) else { throw source.error("\(bits) bits for a pixel are not read", 28) }
        let height = abs(down)
        try source.check(width, height, 18)
        let stride = (width * bits + 31) / 32 * 4
        guard start >= 54, start <= bytes.count, stride * height <= bytes.count - start else {
            throw source.error("\(width) x \(height) pixels from byte \(start) on do not fit into the file", 10)
        }
        let entries = bits > 8 ? 0 : word(46) == 0 ? 1 << bits : min(word(46), 1 << bits)
        let table = 14 + head
        guard table + 4 * entries <= bytes.count else { throw source.error("its table of colours does not fit", 46) }
        let pixels = try Tensor(uninitialized: Shape(checked: [height, width, 3]), .uint8)
        let target = pixels.elements(UInt8.self)
        for row in 0..<height {
            // Rows stand from the bottom up unless the height is negative.
            let from = start + stride * (down > 0 ? height - 1 - row : row)
            for column in 0..<width {
                var at = from + column * bits / 8
                if bits <= 8 {
                    let shift = 8 - bits - column * bits % 8
                    let entry = Int(bytes[at]) >> shift & (1 << bits - 1)
                    guard entry < entries else { throw source.error("colour \(entry) is not in its table", at) }
                    at = table + 4 * entry
                }
                let place = (row * width + column) * 3
                for channel in 0..<3 { target[place + channel] = bytes[at + 2 - channel] }
            }
        }
        return Picture(pixels: pixels)
    }
}
