import DLBase
import DLData
import DLTensor

/// What a safetensors file says about itself, checked against its length.
///
/// The format (https://github.com/huggingface/safetensors#format): the length N of the header as a little-endian 64-bit
/// number, N bytes of JSON, then the tensors' elements, which leave no hole and do not overlap.
package struct SafetensorsHeader: Sendable {
    package struct Entry: Sendable {
        package let name: String
        package let element: StoredElement
        package let shape: Shape
        /// Bytes, counted from `dataStart`.
        package let range: Range<Int>

        /// The type of the tensor that will hold it.
        package var type: ElementType { element.type }
    }

    package var metadata = TextMap()
    /// In the order of the header.
    package private(set) var entries: [Entry] = []
    /// Where in the file the elements begin.
    package let dataStart: Int

    /// The format's own bound on the header.
    package static let maximumLength = 100_000_000

    package func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }

    init(path: String, file: borrowing FileReader) throws {
        let source = HeaderSource(path: path)
        var length: UInt64 = 0
        guard file.size >= 8 else {
            throw source.error("a safetensors file has at least 8 bytes. Received: \(file.size)")
        }
        try withUnsafeMutableBytes(of: &length) { try file.read(at: 0, into: $0) }
        guard length <= Self.maximumLength else {
            throw source.error(
                "its header is \(length) bytes long (byte 0), more than the format's \(Self.maximumLength); "
                    + "damaged, or not a safetensors file")
        }
        guard length <= file.size - 8 else {
            throw source.error("its header is \(length) bytes long (byte 0), but only \(file.size - 8) follow")
        }
        dataStart = 8 + Int(length)
        let start = try Memory.allocate(bytes: Int(length))
        defer { Memory.release(start, bytes: Int(length)) }
        let buffer = UnsafeMutableRawBufferPointer(start: start, count: Int(length))
        try file.read(at: 8, into: buffer)
        guard buffer.first == UInt8(ascii: "{") else { throw source.error("its header is not a JSON object (byte 8)") }
        try parse(UnsafeRawBufferPointer(buffer), source)
        try checkRanges(dataLength: file.size - dataStart, source)
    }

    private mutating func parse(_ bytes: UnsafeRawBufferPointer, _ source: HeaderSource) throws {
        var scanner = JSONScanner(bytes: bytes, source: source)
        var names = Set<String>()
        try scanner.members { scanner, name, value in
            guard names.insert(name).inserted else {
                throw source.error("\"\(Files.printable(name))\" is there twice (byte \(8 + value.lowerBound))")
            }
            if name == "__metadata__" {
                metadata = try Self.metadata(&scanner, value.lowerBound, source)
            } else {
                entries.append(try Self.entry(&scanner, name, value.lowerBound, source))
            }
        }
        try scanner.expectEnd()
    }

    private static func metadata(_ scanner: inout JSONScanner, _ start: Int, _ source: HeaderSource) throws -> TextMap {
        var map = TextMap()
        try scanner.object(at: start, "__metadata__") { scanner, key, value in
            guard case .string(let text) = try scanner.parse(value) else {
                throw source.error("__metadata__ \"\(Files.printable(key))\" must be text (byte \(8 + value.lowerBound))")
            }
            guard map[key] == nil else {
                throw source.error("__metadata__ has \"\(Files.printable(key))\" twice (byte \(8 + value.lowerBound))")
            }
            map[key] = text
        }
        return map
    }

    private static func entry(
        _ scanner: inout JSONScanner, _ name: String, _ start: Int, _ source: HeaderSource
    ) throws -> Entry {
        func error(_ problem: String) -> DLError {
            source.error("tensor \"\(Files.printable(name))\" (byte \(8 + start)): \(problem)")
        }
        var dtype: String?
        var sizes: [Int]?
        var offsets: [Int]?
        try scanner.object(at: start, "tensor \"\(Files.printable(name))\"") { scanner, key, value in
            // Sixteen sizes do not need this much; parsed, a hostile list would be many times as large.
            guard value.count <= 4096 else { throw error("'\(Files.printable(key))' is too long") }
            let json = try scanner.parse(value)
            switch key {
            case "dtype" where dtype == nil: dtype = json.stringValue
            case "shape" where sizes == nil: sizes = wholeNumbers(json)
            case "data_offsets" where offsets == nil: offsets = wholeNumbers(json)
            case "dtype", "shape", "data_offsets": throw error("'\(key)' is there twice")
            default: break
            }
        }
        guard let dtype else { throw error("'dtype' must be a name") }
        guard let sizes else { throw error("'shape' must be a list of sizes") }
        guard let offsets, offsets.count == 2, offsets[0] <= offsets[1] else {
            throw error("'data_offsets' must be two positions, the first not beyond the second")
        }
        guard let element = StoredElement(safetensors: dtype) else {
            throw error(
                "dtype \(Files.printable(dtype)) is not supported; F32, F64, I32, I64, U8 and BOOL are, and F16 and BF16 are read as F32")
        }
        guard let shape = try? Shape(checked: sizes), let bytes = element.byteCount(of: shape) else {
            throw error("too large, or too many axes: \(Shape.text(sizes))")
        }
        let range = offsets[0]..<offsets[1]
        guard bytes == range.count else {
            throw error("shape \(shape) of \(dtype) is \(bytes) bytes, but its data_offsets \(range.lowerBound) to "
                + "\(range.upperBound) are \(range.count)")
        }
        return Entry(name: name, element: element, shape: shape, range: range)
    }

    private static func wholeNumbers(_ json: JSON) -> [Int]? {
        guard let list = json.arrayValue else { return nil }
        var numbers: [Int] = []
        for item in list {
            guard case .int(let number) = item, number >= 0 else { return nil }
            numbers.append(Int(number))
        }
        return numbers
    }

    /// One tensor follows the other, up to the end of the file.
    private func checkRanges(dataLength: Int, _ source: HeaderSource) throws {
        var end = 0
        for entry in entries.sorted(by: { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }) {
            let name = Files.printable(entry.name)
            guard entry.range.upperBound <= dataLength else {
                throw source.error(
                    "truncated: tensor \"\(name)\" ends at byte \(entry.range.upperBound) of the data, which have \(dataLength)")
            }
            guard entry.range.lowerBound == end else {
                throw source.error(
                    "tensor \"\(name)\" begins at byte \(entry.range.lowerBound) of the data, where \(end) was expected: "
                        + (entry.range.lowerBound < end ? "it overlaps another" : "a hole"))
            }
            end = entry.range.upperBound
        }
        guard end == dataLength else {
            throw source.error("\(dataLength - end) bytes after the last tensor (byte \(dataStart + end)) belong to none")
        }
    }
}

extension StoredElement {
    fileprivate init?(safetensors name: String) {
        switch name {
        case "F32": self = .float32
        case "F64": self = .float64
        case "I32": self = .int32
        case "I64": self = .int64
        case "U8": self = .uint8
        case "BOOL": self = .bool
        case "F16": self = .float16
        case "BF16": self = .bfloat16
        default: return nil
        }
    }
}

/// Whose header it is, for messages.
struct HeaderSource: Sendable {
    let path: String

    func error(_ problem: String) -> DLError {
        DLError(.format, "cannot read \"\(Files.printable(path))\": \(problem)")
    }
}

/// Steps through a JSON object member by member without building it, so that a header of many megabytes costs no more
/// than what is kept of it, and so that names given twice are seen.
struct JSONScanner {
    let bytes: UnsafeRawBufferPointer
    let source: HeaderSource
    private var at = 0

    init(bytes: UnsafeRawBufferPointer, source: HeaderSource) {
        self.bytes = bytes
        self.source = source
    }

    /// Calls `body` with the name of each member of the object that begins here and with where its value lies. The
    /// values are only delimited; `parse` checks them.
    mutating func members(_ body: (inout JSONScanner, String, Range<Int>) throws -> Void) throws {
        at += 1
        skipBlanks()
        if byte == UInt8(ascii: "}") {
            at += 1
            return
        }
        while true {
            guard byte == UInt8(ascii: "\"") else { throw error("a name in double quotes expected") }
            let start = at
            skipString()
            guard case .string(let name) = try parse(start..<at) else { throw error("a name expected") }
            skipBlanks()
            guard byte == UInt8(ascii: ":") else { throw error("':' expected") }
            at += 1
            skipBlanks()
            let value = skipValue()
            try body(&self, name, value)
            skipBlanks()
            let end = byte
            guard end == UInt8(ascii: ",") || end == UInt8(ascii: "}") else { throw error("',' or '}' expected") }
            at += 1
            if end == UInt8(ascii: "}") { return }
            skipBlanks()
        }
    }

    /// The same for an object elsewhere; goes on from where it was.
    mutating func object(
        at start: Int, _ what: String, _ body: (inout JSONScanner, String, Range<Int>) throws -> Void
    ) throws {
        let here = at
        at = start
        guard byte == UInt8(ascii: "{") else { throw error("\(what) must be an object") }
        try members(body)
        at = here
    }

    func parse(_ range: Range<Int>) throws -> JSON {
        do {
            return try JSON(parsing: UnsafeRawBufferPointer(rebasing: bytes[range]))
        } catch {
            throw source.error("in the header from byte \(8 + range.lowerBound) on: \(error.message)")
        }
    }

    mutating func expectEnd() throws {
        skipBlanks()
        if at < bytes.count { throw error("nothing more expected") }
    }

    /// 0 at the end.
    private var byte: UInt8 { at < bytes.count ? bytes[at] : 0 }

    private mutating func skipBlanks() {
        while byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
    }

    private mutating func skipString() {
        at += 1
        while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
        at = min(at + 1, bytes.count)
    }

    private mutating func skipValue() -> Range<Int> {
        let start = at
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                skipString()
                if depth == 0 { return start..<at }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return start..<at }
                depth -= 1
                if depth == 0 {
                    at += 1
                    return start..<at
                }
            case UInt8(ascii: ","), 0x20, 0x09, 0x0A, 0x0D:
                if depth == 0 { return start..<at }
            default: break
            }
            at += 1
        }
        return start..<at
    }

    private func error(_ problem: String) -> DLError {
        source.error("\(problem) in the header (byte \(8 + at))")
    }
}
