import CPictures
import DLBase
import DLTensor

/// How much a pixel at a distance, in pixels, counts. Pictures that shrink have the filter stretched over what a new pixel
/// covers, so nothing is skipped; nearest takes one pixel.
package enum PictureFilter: String, Sendable, CaseIterable {
    case nearest
    case bilinear
    case bicubic
    case hamming
    case box
    case lanczos

    fileprivate var support: Double {
        switch self {
        case .nearest: 0
        case .box: 0.5
        case .bilinear, .hamming: 1
        case .bicubic: 2
        case .lanczos: 3
        }
    }

    fileprivate func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .nearest: return 0
        // Of two pixels at equal distance one counts.
        case .box: return distance > -0.5 && distance <= 0.5 ? 1 : 0
        case .bilinear: return max(0, 1 - x)
        case .hamming: return x == 0 ? 1 : x >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * dl_picture_cosine(Double.pi * x))
        case .bicubic:
            // Keys with a = -1/2.
            if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
        case .lanczos: return distance >= -3 && distance < 3 ? sinc(distance) * sinc(distance / 3) : 0
        }
    }
}

private func sinc(_ x: Double) -> Double { x == 0 ? 1 : dl_picture_sine(Double.pi * x) / (Double.pi * x) }

/// `pixels` (height, width, channels) in another size, as Pillow's Image.resize computes it: rows first, then columns, bytes
/// in between; colours count as much as they are opaque.
func resized(
    _ pixels: Tensor, to size: (height: Int, width: Int), _ filter: PictureFilter, keepsAspectRatio: Bool
) throws -> Tensor {
    let (height, width) = (pixels.shape[0], pixels.shape[1])
    guard height != size.height || width != size.width else { return pixels }
    var rows = 0..<height, columns = 0..<width
    if keepsAspectRatio {
        let cutHeight = min(height, width * size.height / size.width), cutWidth = min(width, height * size.width / size.height)
        rows = (height - cutHeight) / 2..<(height - cutHeight) / 2 + cutHeight
        columns = (width - cutWidth) / 2..<(width - cutWidth) / 2 + cutWidth
    }
    if filter == .nearest { return try nearest(pixels, rows, columns, size) }
    // What is too flat for the proportions has not even one row of them.
    guard !rows.isEmpty, !columns.isEmpty else {
        throw DLError(
            .shape, "[load_img] nothing is left of the picture in the proportions of target_size. "
                + "Received: \(pixels.shape) for \(size.height) x \(size.width)")
    }
    let hasAlpha = pixels.shape[2] == 4
    var picture = hasAlpha ? try premultiplied(pixels) : pixels
    if columns != 0..<width || width != size.width {
        picture = try alongColumns(picture, Weights(columns, size.width, width, filter))
    }
    if rows != 0..<height || height != size.height {
        picture = try alongRows(picture, Weights(rows, size.height, height, filter))
    }
    return hasAlpha ? try divided(picture) : picture
}

private func nearest(_ pixels: Tensor, _ rows: Range<Int>, _ columns: Range<Int>, _ size: (height: Int, width: Int)) throws -> Tensor {
    func places(_ range: Range<Int>, _ count: Int, _ length: Int) -> [Int] {
        let step = Double(range.count) / Double(count)
        var place = Double(range.lowerBound) + step * 0.5
        return (0..<count).map { _ in
            defer { place += step }
            return min(max(0, Int(place)), length - 1)
        }
    }
    let down = places(rows, size.height, pixels.shape[0]), right = places(columns, size.width, pixels.shape[1])
    let bytes = pixels.shape[2] * pixels.type.byteCount
    let result = try Tensor(uninitialized: Shape(checked: [size.height, size.width, pixels.shape[2]]), pixels.type)
    var target = result.pointer
    for row in down {
        let source = pixels.pointer + row * pixels.shape[1] * bytes
        for column in right {
            target.copyMemory(from: source + column * bytes, byteCount: bytes)
            target += bytes
        }
    }
    return result
}

/// For each new pixel of an axis, the old ones that count, and how much.
private struct Weights {
    let first: [Int]
    /// Where the weights of a pixel begin; one more than there are pixels.
    let start: [Int]
    let values: [Double]
    /// With 22 bits after the point.
    let fixed: [Int]

    static let bits = 22

    init(_ range: Range<Int>, _ count: Int, _ length: Int, _ filter: PictureFilter) {
        let scale = Double(range.count) / Double(count), stretch = max(scale, 1)
        let support = filter.support * stretch
        var first: [Int] = [], start = [0], values: [Double] = []
        for place in 0..<count {
            let centre = Double(range.lowerBound) + (Double(place) + 0.5) * scale
            let low = max(0, Int(centre - support + 0.5)), high = min(length, Int(centre + support + 0.5))
            var sum = 0.0
            for old in low..<max(low, high) {
                let weight = filter.weight((Double(old - low) + Double(low) - centre + 0.5) / stretch)
                values.append(weight)
                sum += weight
            }
            if sum != 0 { for at in start[place]..<values.count { values[at] /= sum } }
            first.append(low)
            start.append(values.count)
        }
        self.first = first
        self.start = start
        self.values = values
        fixed = values.map { Int($0 * Double(1 << Weights.bits) + ($0 < 0 ? -0.5 : 0.5)) }
    }
}

private func alongColumns(_ pixels: Tensor, _ weights: Weights) throws -> Tensor {
    let (height, width, channels) = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
    let count = weights.first.count
    let result = try Tensor(uninitialized: Shape(checked: [height, count, channels]), pixels.type)
    for row in 0..<height {
        for place in 0..<count {
            weigh(
                pixels, from: (row * width + weights.first[place]) * channels, step: channels, into: result,
                at: (row * count + place) * channels, count: channels, weights, place)
        }
    }
    return result
}

private func alongRows(_ pixels: Tensor, _ weights: Weights) throws -> Tensor {
    let row = pixels.shape[1] * pixels.shape[2]
    let result = try Tensor(uninitialized: Shape(checked: [weights.first.count, pixels.shape[1], pixels.shape[2]]), pixels.type)
    for place in 0..<weights.first.count {
        weigh(pixels, from: weights.first[place] * row, step: row, into: result, at: place * row, count: row, weights, place)
    }
    return result
}

/// `count` elements from `at` on become weighted sums of those that stand `step` apart from `from` on.
private func weigh(
    _ pixels: Tensor, from: Int, step: Int, into result: Tensor, at: Int, count: Int, _ weights: Weights, _ place: Int
) {
    let range = weights.start[place]..<weights.start[place + 1]
    if pixels.type == .int32 {
        let source = pixels.elements(Int32.self), target = result.elements(Int32.self)
        for element in 0..<count {
            var sum = 0.0
            for at in range { sum += Double(source[from + element + (at - range.lowerBound) * step]) * weights.values[at] }
            target[at + element] = saturated(sum.rounded(.toNearestOrAwayFromZero))
        }
        return
    }
    let source = pixels.elements(UInt8.self), target = result.elements(UInt8.self)
    for element in 0..<count {
        var sum = 1 << (Weights.bits - 1)
        for at in range { sum += Int(source[from + element + (at - range.lowerBound) * step]) * weights.fixed[at] }
        target[at + element] = UInt8(clamping: sum >> Weights.bits)
    }
}

private func premultiplied(_ pixels: Tensor) throws -> Tensor {
    let result = try pixels.copy()
    let bytes = result.elements(UInt8.self)
    for pixel in stride(from: 0, to: bytes.count, by: 4) {
        for at in pixel..<pixel + 3 { bytes[at] = scaledByte(bytes[at], bytes[pixel + 3]) }
    }
    return result
}

private func divided(_ pixels: Tensor) throws -> Tensor {
    let bytes = pixels.elements(UInt8.self)
    for pixel in stride(from: 0, to: bytes.count, by: 4) {
        let alpha = Int(bytes[pixel + 3])
        if alpha == 0 || alpha == 255 { continue }
        for at in pixel..<pixel + 3 { bytes[at] = UInt8(clamping: 255 * Int(bytes[at]) / alpha) }
    }
    return pixels
}
