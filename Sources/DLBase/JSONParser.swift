import CDLShims

extension JSON {
    /// Parses one JSON text (RFC 8259, UTF-8) and nothing after it. Beyond the standard it takes `NaN`, `Infinity` and
    /// `-Infinity`, which Python writes; of equal keys the last one holds. Numbers with neither fraction nor
    /// exponent that fit 64 bits become `int`, all others `double`.
    /// Throws `format` with line, column (in characters) and byte, all of them but the byte counted from 1.
    package init(parsing bytes: UnsafeRawBufferPointer) throws(DLError) {
        var parser = JSONParser(bytes: bytes)
        self = try parser.parseDocument()
    }

    package init(parsing text: String) throws(DLError) {
        var text = text
        let result: Result<JSON, DLError> = text.withUTF8 { utf8 in
            do throws(DLError) {
                return .success(try JSON(parsing: UnsafeRawBufferPointer(utf8)))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    package init(parsing bytes: [UInt8]) throws(DLError) {
        let result: Result<JSON, DLError> = bytes.withUnsafeBytes { raw in
            do throws(DLError) {
                return .success(try JSON(parsing: raw))
            } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }
}

private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    var at = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func parseDocument() throws(DLError) -> JSON {
        // A byte order mark is not JSON, but some editors leave one.
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { at = 3 }
        skipBlanks()
        let value = try parseValue(depth: 0)
        skipBlanks()
        if at < bytes.count { throw error("nothing more expected") }
        return value
    }

    /// 0 at the end, which no valid text has inside.
    private var byte: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private mutating func skipBlanks() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x09, 0x0A, 0x0D: at += 1
            default: return
            }
        }
    }

    private mutating func parseValue(depth: Int) throws(DLError) -> JSON {
        switch byte {
        case UInt8(ascii: "{"): return .object(try parseObject(depth: depth + 1))
        case UInt8(ascii: "["): return .array(try parseArray(depth: depth + 1))
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "N"): return try parseWord("NaN", .double(.nan))
        case UInt8(ascii: "I"): return try parseWord("Infinity", .double(.infinity))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        default: throw error("a value expected")
        }
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSON) throws(DLError) -> JSON {
        let length = word.utf8CodeUnitCount
        let found = bytes.count - at >= length && (0..<length).allSatisfy { bytes[at + $0] == word.utf8Start[$0] }
        if !found { throw error("a value expected") }
        at += length
        return value
    }

    private mutating func enter(_ depth: Int) throws(DLError) {
        if depth > JSON.maximumDepth { throw error("nested deeper than \(JSON.maximumDepth)") }
        at += 1
        skipBlanks()
    }

    private mutating func parseArray(depth: Int) throws(DLError) -> [JSON] {
        try enter(depth)
        var items: [JSON] = []
        if byte == UInt8(ascii: "]") {
            at += 1
            return items
        }
        while true {
            items.append(try parseValue(depth: depth))
            skipBlanks()
            switch byte {
            case UInt8(ascii: ","):
                at += 1
                skipBlanks()
            case UInt8(ascii: "]"):
                at += 1
                return items
            default: throw error("',' or ']' expected")
            }
        }
    }

    private mutating func parseObject(depth: Int) throws(DLError) -> JSONObject {
        try enter(depth)
        var object = JSONObject()
        if byte == UInt8(ascii: "}") {
            at += 1
            return object
        }
        while true {
            if byte != UInt8(ascii: "\"") { throw error("a key in double quotes expected") }
            let key = try parseString()
            skipBlanks()
            if byte != UInt8(ascii: ":") { throw error("':' expected") }
            at += 1
            skipBlanks()
            object[key] = try parseValue(depth: depth)
            skipBlanks()
            switch byte {
            case UInt8(ascii: ","):
                at += 1
                skipBlanks()
            case UInt8(ascii: "}"):
                at += 1
                return object
            default: throw error("',' or '}' expected")
            }
        }
    }

    private mutating func skipDigits() -> Int {
        let start = at
        while byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { at += 1 }
        return at - start
    }

    private mutating func parseNumber() throws(DLError) -> JSON {
        let start = at
        let negative = byte == UInt8(ascii: "-")
        if negative { at += 1 }
        if negative, byte == UInt8(ascii: "I") { return try parseWord("Infinity", .double(-.infinity)) }
        let first = byte
        let digits = skipDigits()
        if digits == 0 { throw error("a digit expected") }
        if first == UInt8(ascii: "0"), digits > 1 {
            at -= digits - 1
            throw error("a number cannot begin with 0")
        }
        var whole = true
        if byte == UInt8(ascii: ".") {
            whole = false
            at += 1
            if skipDigits() == 0 { throw error("a digit expected") }
        }
        if byte | 0x20 == UInt8(ascii: "e") {
            whole = false
            at += 1
            if byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") { at += 1 }
            if skipDigits() == 0 { throw error("a digit expected") }
        }
        let text = UnsafeRawBufferPointer(rebasing: bytes[start..<at])
        if whole, let value = Int64(String(decoding: text, as: UTF8.self)) { return .int(value) }
        guard let value = Text.double(text) else { throw DLError(.memory, "out of memory while reading a number") }
        return .double(value)
    }

    private mutating func parseString() throws(DLError) -> String {
        at += 1
        let start = at
        // Most strings have no escapes and are taken in one piece.
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\"), bytes[at] >= 0x20 { at += 1 }
        if byte == UInt8(ascii: "\"") {
            at += 1
            return try decode(bytes[start..<(at - 1)], from: start)
        }
        var text = Array(bytes[start..<at])
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return try decode(text, from: start)
            case UInt8(ascii: "\\"):
                at += 1
                try parseEscape(into: &text)
            case 0..<0x20: throw error("control characters in a string must be escaped")
            default:
                text.append(bytes[at])
                at += 1
            }
        }
        throw error("'\"' expected")
    }

    private func decode(_ text: some Collection<UInt8>, from start: Int) throws(DLError) -> String {
        guard let string = String(validating: text, as: UTF8.self) else {
            throw error("a string that is not valid UTF-8", at: start)
        }
        return string
    }

    private mutating func parseEscape(into text: inout [UInt8]) throws(DLError) {
        let escape = byte
        at += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let start = at - 2
            var code = try parseHex()
            if code & 0xFC00 == 0xD800, byte == UInt8(ascii: "\\"), at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "u") {
                at += 2
                let low = try parseHex()
                guard low & 0xFC00 == 0xDC00 else { throw error("half a surrogate pair", at: start) }
                code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(code) else { throw error("half a surrogate pair", at: start) }
            text.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
        default:
            at -= 1
            throw error("an escape unknown to JSON")
        }
    }

    private mutating func parseHex() throws(DLError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = hexDigit(byte) else { throw error("four hexadecimal digits expected") }
            code = code << 4 | digit
            at += 1
        }
        return code
    }

    private func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    private func error(_ problem: String, at position: Int? = nil) -> DLError {
        let place = min(position ?? at, bytes.count)
        var line = 1
        var column = 1
        for byte in bytes[..<place] {
            if byte == 0x0A {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return DLError(.format, "JSON, line \(line), column \(column) (byte \(place)): \(problem). Received: \(excerpt(place))")
    }

    /// What stands at the place, made printable.
    private func excerpt(_ place: Int) -> String {
        if place >= bytes.count { return "the end of the text" }
        let text = String(decoding: bytes[place..<min(place + 24, bytes.count)], as: UTF8.self)
        let shown = text.unicodeScalars.prefix(12).map { $0.value < 32 || $0.value == 127 ? "?" : $0 }
        return "'\(String(String.UnicodeScalarView(shown)))'"
    }
}
