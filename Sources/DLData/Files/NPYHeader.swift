import DLBase
import DLTensor

struct NPYHeader {
    var element: StoredElement
    var isBigEndian: Bool
    var isFortran: Bool
    var shape: Shape
}

/// Reads the literal of a Python dictionary as NumPy writes it:
/// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct NPYHeaderParser {
    let bytes: [UInt8]
    let source: ByteSource
    /// Where in the file the header begins.
    let start: Int
    private var at = 0

    init(bytes: [UInt8], source: ByteSource, start: Int) {
        self.bytes = bytes
        self.source = source
        self.start = start
    }

    mutating func parse() throws -> NPYHeader {
        var type: (StoredElement, Bool)?
        var isFortran: Bool?
        var shape: Shape?
        try expect("{")
        while !take("}") {
            let key = try text()
            try expect(":")
            switch key {
            case "descr" where type == nil: type = try elementType()
            case "fortran_order" where isFortran == nil: isFortran = try truth()
            case "shape" where shape == nil: shape = try sizes()
            default: throw error("the key '\(Files.printable(key))' is unknown or there twice")
            }
            if !take(",") {
                try expect("}")
                break
            }
        }
        skipBlanks()
        guard at == bytes.count else { throw error("nothing more expected") }
        guard let type, let isFortran, let shape else { throw error("'descr', 'fortran_order' and 'shape' expected") }
        return NPYHeader(element: type.0, isBigEndian: type.1, isFortran: isFortran, shape: shape)
    }

    private var byte: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private mutating func skipBlanks() {
        while byte == 0x20 || byte == 0x0A || byte == 0x09 || byte == 0x0D { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard byte == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard take(character) else { throw error("'\(character)' expected") }
    }

    private mutating func text() throws -> String {
        skipBlanks()
        let quote = byte
        guard quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else { throw error("text in quotes expected") }
        at += 1
        let first = at
        while at < bytes.count, bytes[at] != quote, bytes[at] != UInt8(ascii: "\\") { at += 1 }
        guard byte == quote else { throw error("the end of a text expected") }
        at += 1
        return String(decoding: bytes[first..<(at - 1)], as: UTF8.self)
    }

    private mutating func truth() throws -> Bool {
        skipBlanks()
        for (word, value) in [("True", true), ("False", false)] where bytes[at...].starts(with: word.utf8) {
            at += word.utf8.count
            return value
        }
        throw error("True or False expected")
    }

    private mutating func sizes() throws -> Shape {
        try expect("(")
        var sizes: [Int] = []
        while !take(")") {
            sizes.append(try wholeNumber())
            guard sizes.count <= Shape.maximumRank else { throw error("more than \(Shape.maximumRank) axes") }
            if !take(",") {
                try expect(")")
                break
            }
        }
        do { return try Shape(checked: sizes) } catch { throw self.error("the shape is too large: \(Shape.text(sizes))") }
    }

    private mutating func wholeNumber() throws -> Int {
        skipBlanks()
        var number = 0
        let first = at
        while byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
            let (tenfold, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tenfold.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw error("the size is too large") }
            number = sum
            at += 1
        }
        guard at > first else { throw error("a size expected") }
        // Python 2 wrote long numbers with this letter.
        if byte == UInt8(ascii: "L") { at += 1 }
        return number
    }

    private mutating func elementType() throws -> (StoredElement, Bool) {
        skipBlanks()
        guard byte != UInt8(ascii: "[") else {
            throw error("arrays of records are not supported; save each field as an array of its own")
        }
        let name = try text()
        let order = name.unicodeScalars.first ?? " "
        let code = "<>|=".unicodeScalars.contains(order) ? String(name.unicodeScalars.dropFirst()) : name
        let element: StoredElement
        switch code {
        case "b1", "?": element = .bool
        case "u1": element = .uint8
        case "i1": element = .int8
        case "u2": element = .uint16
        case "i2": element = .int16
        case "u4": element = .uint32
        case "i4": element = .int32
        case "i8": element = .int64
        case "f2": element = .float16
        case "f4": element = .float32
        case "f8": element = .float64
        default:
            throw error(
                "dtype '\(Files.printable(name))' is not supported; float16 to float64, int8 to int64, uint8 to uint32 "
                    + "and bool are" + (code.hasPrefix("O") ? ". Objects would be Python code to run" : ""))
        }
        return (element, order == ">")
    }

    private func error(_ problem: String) -> DLError {
        source.error("\(problem) in the header (byte \(start + at))")
    }
}
