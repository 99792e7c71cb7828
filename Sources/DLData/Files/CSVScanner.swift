import DLBase

/// Divides the text of a CSV file into fields.
struct CSVScanner {
    struct Field {
        /// Without the quotes around it; doubled quotes in it are still doubled.
        var bytes: UnsafeRawBufferPointer
        /// Where it begins, from 1.
        var line: Int
        var endsRow: Bool

        /// Without blanks around it.
        var content: UnsafeRawBufferPointer {
            var range = bytes.indices
            while let first = range.first, bytes[first] == 0x20 || bytes[first] == 0x09 { range.removeFirst() }
            while let last = range.last, bytes[last] == 0x20 || bytes[last] == 0x09 { range.removeLast() }
            return UnsafeRawBufferPointer(rebasing: bytes[range])
        }
    }

    enum Result {
        case field(Field)
        /// A quote was opened in this line, and the file ends.
        case notClosed(line: Int)
        case afterQuote
    }

    let bytes: UnsafeRawBufferPointer
    let delimiter: UInt8
    private(set) var line = 1
    private var at = 0

    init(bytes: UnsafeRawBufferPointer, delimiter: UInt8) {
        self.bytes = bytes
        self.delimiter = delimiter
    }

    var isAtEnd: Bool { at >= bytes.count }

    /// The byte order mark that some programs write before UTF-8.
    mutating func skipMark() {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { at = 3 }
    }

    /// False at the end of the file.
    mutating func skipLine() -> Bool {
        guard !isAtEnd else { return false }
        while at < bytes.count, bytes[at] != 0x0A, bytes[at] != 0x0D { at += 1 }
        _ = takeLineEnd()
        return true
    }

    mutating func skipEmptyLines() { while takeLineEnd() {} }

    private mutating func takeLineEnd() -> Bool {
        guard at < bytes.count, bytes[at] == 0x0A || bytes[at] == 0x0D else { return false }
        at += bytes[at] == 0x0D && at + 1 < bytes.count && bytes[at + 1] == 0x0A ? 2 : 1
        line += 1
        return true
    }

    mutating func next() -> Result {
        let firstLine = line
        var content: Range<Int>
        if at < bytes.count, bytes[at] == UInt8(ascii: "\"") {
            at += 1
            let first = at
            while true {
                guard at < bytes.count else { return .notClosed(line: firstLine) }
                if bytes[at] == UInt8(ascii: "\"") {
                    guard at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "\"") else { break }
                    at += 2
                } else if bytes[at] == 0x0A || bytes[at] == 0x0D {
                    _ = takeLineEnd()
                } else {
                    at += 1
                }
            }
            content = first..<at
            at += 1
            while at < bytes.count, bytes[at] != delimiter, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
        } else {
            let first = at
            while at < bytes.count, bytes[at] != delimiter, bytes[at] != 0x0A, bytes[at] != 0x0D { at += 1 }
            content = first..<at
        }
        var field = Field(bytes: UnsafeRawBufferPointer(rebasing: bytes[content]), line: firstLine, endsRow: true)
        guard at < bytes.count else { return .field(field) }
        if bytes[at] == delimiter {
            at += 1
            field.endsRow = false
            return .field(field)
        }
        return takeLineEnd() ? .field(field) : .afterQuote
    }

    /// A field as text, doubled quotes made single.
    static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        guard bytes.contains(UInt8(ascii: "\"")) else { return String(decoding: bytes, as: UTF8.self) }
        var result: [UInt8] = []
        var isSecond = false
        for byte in bytes {
            isSecond = byte == UInt8(ascii: "\"") && !isSecond
            if isSecond || byte != UInt8(ascii: "\"") { result.append(byte) }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// Numbers as tables have them.
enum CSVNumber {
    /// A decimal number, or NaN or infinity in letters of either case.
    static func double(_ bytes: UnsafeRawBufferPointer) -> Double? {
        if let number = short(bytes) { return number }
        if let number = Text.double(bytes) { return number }
        guard (3...9).contains(bytes.count) else { return nil }
        var word = String(decoding: bytes, as: UTF8.self).lowercased()
        let isNegative = word.hasPrefix("-")
        if isNegative || word.hasPrefix("+") { word.removeFirst() }
        switch word {
        case "nan": return .nan
        case "inf", "infinity": return isNegative ? -.infinity : .infinity
        default: return nil
        }
    }

    static func isNumber(_ bytes: UnsafeRawBufferPointer) -> Bool { double(bytes) != nil }

    static func isMissing(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch String(decoding: bytes.prefix(5), as: UTF8.self).lowercased() {
        case "", "na", "n/a", "null", "?": true
        default: false
        }
    }

    /// Digits alone keep all of an int64; a fraction of zero, as in `3.0`, is allowed.
    static func whole<I: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer) -> I? {
        if let number = Int64(String(decoding: bytes.prefix(32), as: UTF8.self)), bytes.count <= 32 { return I(exactly: number) }
        return double(bytes).flatMap { I(exactly: $0) }
    }

    /// Most numbers have so few digits that these, as a whole number, and the power of ten both are exact; then one
    /// multiplication or division rounds correctly. nil for all others, and for what is no number.
    private static func short(_ bytes: UnsafeRawBufferPointer) -> Double? {
        var at = 0
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { at = 1 }
        var digits: Int64 = 0
        var count = 0
        var decimals = 0
        var hasPoint = false
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "."), !hasPoint {
                hasPoint = true
            } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                digits = digits &* 10 &+ Int64(byte &- UInt8(ascii: "0"))
                count += 1
                if hasPoint { decimals += 1 }
            } else {
                return nil
            }
            at += 1
        }
        guard (1...15).contains(count) else { return nil }
        let number = Double(digits) / powers[decimals]
        return isNegative ? -number : number
    }

    private static let powers: [Double] = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15]
}
