extension JSON {
    /// The text of this value, on one line, or with one pair or item a line and two blanks a level. Doubles keep a
    /// point or an exponent, so that they are read back as doubles, bit for bit; those that are not numbers are written
    /// as `NaN`, `Infinity` and `-Infinity`, which Python's reader takes too.
    /// Throws `argument` where arrays and objects lie deeper than `maximumDepth` inside each other.
    package func serialized(pretty: Bool = false) throws(DLError) -> String {
        var output: [UInt8] = []
        try write(to: &output, pretty: pretty, depth: 0)
        return String(decoding: output, as: UTF8.self)
    }

    private func write(to output: inout [UInt8], pretty: Bool, depth: Int) throws(DLError) {
        switch self {
        case .null: output.append(contentsOf: "null".utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .int(let value): output.append(contentsOf: String(value).utf8)
        case .double(let value): output.append(contentsOf: JSON.text(of: value).utf8)
        case .string(let value): JSON.quote(value, to: &output)
        case .array(let items):
            try JSON.enter(depth)
            output.append(UInt8(ascii: "["))
            for (at, item) in items.enumerated() {
                if at > 0 { output.append(UInt8(ascii: ",")) }
                JSON.breakLine(&output, pretty, depth + 1)
                try item.write(to: &output, pretty: pretty, depth: depth + 1)
            }
            if !items.isEmpty { JSON.breakLine(&output, pretty, depth) }
            output.append(UInt8(ascii: "]"))
        case .object(let object):
            try JSON.enter(depth)
            output.append(UInt8(ascii: "{"))
            for (at, pair) in object.pairs.enumerated() {
                if at > 0 { output.append(UInt8(ascii: ",")) }
                JSON.breakLine(&output, pretty, depth + 1)
                JSON.quote(pair.0, to: &output)
                output.append(UInt8(ascii: ":"))
                if pretty { output.append(UInt8(ascii: " ")) }
                try pair.1.write(to: &output, pretty: pretty, depth: depth + 1)
            }
            if !object.isEmpty { JSON.breakLine(&output, pretty, depth) }
            output.append(UInt8(ascii: "}"))
        }
    }

    private static func enter(_ depth: Int) throws(DLError) {
        if depth >= maximumDepth { throw DLError(.argument, "JSON cannot be nested deeper than \(maximumDepth)") }
    }

    private static func breakLine(_ output: inout [UInt8], _ pretty: Bool, _ depth: Int) {
        guard pretty else { return }
        output.append(0x0A)
        output.append(contentsOf: repeatElement(0x20, count: 2 * depth))
    }

    /// Swift's description of a double is the shortest that reads back as the same.
    private static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return value.description
    }

    private static func quote(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x08: output.append(contentsOf: "\\b".utf8)
            case 0x09: output.append(contentsOf: "\\t".utf8)
            case 0x0A: output.append(contentsOf: "\\n".utf8)
            case 0x0C: output.append(contentsOf: "\\f".utf8)
            case 0x0D: output.append(contentsOf: "\\r".utf8)
            case 0..<0x20, 0x7F:
                output.append(contentsOf: byte < 16 ? "\\u000".utf8 : "\\u00".utf8)
                output.append(contentsOf: String(byte, radix: 16).utf8)
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
