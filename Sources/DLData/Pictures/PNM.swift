import DLBase
import DLTensor

/// PGM and PPM of Netpbm (https://netpbm.sourceforge.net/doc/): a head in words, then numbers, as text (P2, P3) or as bytes
/// (P5, P6). Values are spread to 0...255; grey of more than 8 bits stays as it is.
enum PNM {
    static func decode(_ source: PictureSource) throws -> Picture {
        var scanner = Scanner(source: source)
        let kind = source.bytes[1] - UInt8(ascii: "0")
        let channels = kind == 3 || kind == 6 ? 3 : 1
        let isText = kind < 4
        let width = try scanner.number("width", 1...Picture.maximumPixels)
        let height = try scanner.number("height", 1...Picture.maximumPixels)
        let largest = try scanner.number("largest value", 1...65_535)
        try source.check(width, height, scanner.place)
        let count = width * height * channels
        let bytes = largest > 255 ? 2 : 1
        // One mark stands between the head and bytes; each number of a text has a digit and a mark.
        if !isText { scanner.place += 1 }
        let rest = max(0, source.bytes.count - scanner.place)
        guard isText ? rest >= 2 * count - 1 : rest >= bytes * count else {
            throw source.error(
                "\(width) x \(height) pixels do not fit into the \(rest) bytes after its head", source.bytes.count)
        }
        let isDeep = largest > 255 && channels == 1
        let pixels = try Tensor(uninitialized: Shape(checked: [height, width, channels]), isDeep ? .int32 : .uint8)
        for at in 0..<count {
            var value: Int
            if isText {
                value = try scanner.number("value", 0...largest)
            } else {
                value = Int(source.bytes[scanner.place])
                if bytes == 2 { value = value << 8 | Int(source.bytes[scanner.place + 1]) }
                guard value <= largest else {
                    throw source.error("value \(value) is above the largest, \(largest)", scanner.place)
                }
                scanner.place += bytes
            }
            if isDeep {
                pixels.elements(Int32.self)[at] = Int32(value)
            } else {
                pixels.elements(UInt8.self)[at] = UInt8(largest == 255 ? value : (value * 255 + largest / 2) / largest)
            }
        }
        return Picture(pixels: pixels)
    }

    /// `pixels`: (height, width, 1 or 3) uint8.
    static func encode(_ pixels: Tensor) -> [UInt8] {
        let head = "P\(pixels.shape[2] == 1 ? 5 : 6)\n\(pixels.shape[1]) \(pixels.shape[0])\n255\n"
        return Array(head.utf8) + pixels.elements(UInt8.self)
    }

    private struct Scanner {
        let source: PictureSource
        var place = 2

        init(source: PictureSource) { self.source = source }

        /// The next number; blanks and comments before it are skipped.
        mutating func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
            let bytes = source.bytes
            while place < bytes.count {
                if bytes[place] == UInt8(ascii: "#") {
                    while place < bytes.count, bytes[place] != 10 { place += 1 }
                } else if bytes[place] != 32, !(9...13).contains(bytes[place]) {
                    break
                } else {
                    place += 1
                }
            }
            let start = place
            var value = 0
            while place < bytes.count, (48...57).contains(bytes[place]), place - start < 10 {
                value = value * 10 + Int(bytes[place] - 48)
                place += 1
            }
            guard place > start else {
                throw source.error(start < bytes.count ? "its \(name) is no number" : "the file ends too early", start)
            }
            guard range.contains(value) else {
                throw source.error("its \(name) must be from \(range.lowerBound) to \(range.upperBound)", start)
            }
            return value
        }
    }
}
