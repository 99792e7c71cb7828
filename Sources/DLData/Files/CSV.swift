import DLBase
import DLTensor

/// A table of numbers from a text file.
package struct CSVTable: Sendable {
    /// (rows, columns)
    package var tensor: Tensor
    /// Of the columns of the tensor; empty if the file has no header.
    package var names: [String]
}

/// Comma-separated values (RFC 4180): quoted fields with doubled quotes and line breaks in them, lines that end in CR LF,
/// LF or CR, a mark of UTF-8 at the start. Empty lines are skipped. Numbers have a decimal point whatever the locale.
package enum CSV {
    package struct Options: Sendable {
        var header: Bool?
        var delimiter: UInt8
        var columns: [JSON]?
        var type: ElementType
        var skipRows: Int
        var allowsMissing: Bool
    }

    package static let declaration = Declaration<Options>(
        "csv_load", "Reads a table of numbers.", source: "RFC 4180", shapes: "(rows, columns)",
        arguments: [
            Argument(
                "header", .optional(.bool), .null,
                "the first row has the names of the columns; null: it has if some column's first entry is no number and its second one is"),
            Argument("delimiter", .string, ",", "the character between two fields"),
            Argument("columns", .optional(.list(.any)), .null, "which columns, by name or by position from 0, negative from the end; null: all"),
            Argument("dtype", .dtype, "float32", "of the tensor"),
            Argument("skip_rows", .int(0...Int.max), 0, "lines to leave out at the start, before the header"),
            Argument(
                "missing", .choice(["error", "nan"]), "error",
                "what becomes of empty fields, NA, N/A, null and ?; \"nan\" for floating-point types only"),
        ]
    ) { arguments in
        let delimiter = arguments.string("delimiter")
        guard let byte = delimiter.utf8.first, delimiter.utf8.count == 1, byte < 128, byte != 0,
            !"\"\r\n0123456789+-.".utf8.contains(byte)
        else { throw arguments.error("delimiter", "one ASCII character that numbers, quotes and lines do not need") }
        let type = arguments.type("dtype") ?? .float32
        let allowsMissing = arguments.string("missing") == "nan"
        if allowsMissing, !type.isFloatingPoint { throw arguments.error("missing", "\"error\", for there is no NaN in \(type.name)") }
        let columns = arguments["columns"].arrayValue
        for column in columns ?? [] where column.stringValue == nil && column.intValue == nil {
            throw arguments.error("columns", "a list of names and positions")
        }
        return Options(
            header: arguments["header"].boolValue, delimiter: byte, columns: columns, type: type,
            skipRows: arguments.int("skip_rows"), allowsMissing: allowsMissing)
    }

    /// Throws `format` with line and field, both counted from 1, `argument` for options that do not hold.
    package static func read(_ path: String, options: JSON = .null) throws -> CSVTable {
        let options = try declaration.make(config: options)
        let bytes = try Files.read(path)
        return try bytes.withUnsafeBytes { bytes in
            var reader = CSVReader(path: path, options: options, bytes: bytes)
            return try reader.read()
        }
    }
}

private struct CSVReader {
    let path: String
    let options: CSV.Options
    let bytes: UnsafeRawBufferPointer
    private var names: [String] = []

    init(path: String, options: CSV.Options, bytes: UnsafeRawBufferPointer) {
        self.path = path
        self.options = options
        self.bytes = bytes
    }

    mutating func read() throws -> CSVTable {
        var scanner = CSVScanner(bytes: bytes, delimiter: options.delimiter)
        scanner.skipMark()
        for _ in 0..<options.skipRows where !scanner.skipLine() { break }
        let start = scanner
        guard let first = try record(&scanner) else { throw error("it has no rows", nil) }
        let second = try options.header == nil ? record(&scanner) : nil
        let hasHeader = options.header ?? looksLikeHeader(first, second)
        if hasHeader { names = first.map { CSVScanner.text($0.bytes) } }
        let columns = try chosenColumns(first.count)
        let rows = try countRows(start, hasHeader, first.count)

        let tensor = try Tensor(uninitialized: Shape(checked: [rows, columns.count]), options.type)
        // A column may be wanted more than once.
        var targets = [[Int]](repeating: [], count: first.count)
        for (target, column) in columns.enumerated() { targets[column].append(target) }
        scanner = start
        if hasHeader { _ = try record(&scanner) }
        let width = options.type.byteCount
        var at = tensor.pointer
        for _ in 0..<rows {
            try forEachField(&scanner) { index, field in
                for target in targets[index] { try store(field, index, at + target * width) }
            }
            at += columns.count * width
        }
        return CSVTable(tensor: tensor, names: hasHeader ? columns.map { names[$0] } : [])
    }

    /// The next row that is not an empty line.
    private func record(_ scanner: inout CSVScanner) throws -> [CSVScanner.Field]? {
        var fields: [CSVScanner.Field] = []
        let found = try forEachField(&scanner) { _, field in fields.append(field) }
        return found ? fields : nil
    }

    @discardableResult
    private func forEachField(_ scanner: inout CSVScanner, _ body: (Int, CSVScanner.Field) throws -> Void) throws -> Bool {
        scanner.skipEmptyLines()
        guard !scanner.isAtEnd else { return false }
        var index = 0
        while true {
            let field: CSVScanner.Field
            switch scanner.next() {
            case .field(let found): field = found
            case .notClosed(let line): throw error("the quote that opens field \(index + 1) is not closed", line)
            case .afterQuote: throw error("text follows the quote that closes field \(index + 1)", scanner.line)
            }
            try body(index, field)
            index += 1
            if field.endsRow { return true }
        }
    }

    private func looksLikeHeader(_ first: [CSVScanner.Field], _ second: [CSVScanner.Field]?) -> Bool {
        guard let second else { return first.allSatisfy { !CSVNumber.isNumber($0.content) } }
        return zip(first, second).contains {
            !CSVNumber.isNumber($0.content) && !CSVNumber.isMissing($0.content) && CSVNumber.isNumber($1.content)
        }
    }

    private func chosenColumns(_ count: Int) throws -> [Int] {
        guard let wanted = options.columns else { return Array(0..<count) }
        return try wanted.map { column in
            if let position = column.intValue {
                let index = position < 0 ? position &+ count : position
                guard index >= 0, index < count else {
                    throw DLError(
                        .argument, "[csv_load] there is no column \(position). Received: \(count) columns in \"\(Files.printable(path))\"")
                }
                return index
            }
            let name = column.stringValue ?? ""
            guard let index = names.firstIndex(of: name) else {
                var message = "[csv_load] there is no column '\(Files.printable(name))' in \"\(Files.printable(path))\""
                if names.isEmpty {
                    message += ", which has no header"
                } else if let near = nearestName(to: name, in: names) {
                    message += "; did you mean '\(Files.printable(near))'?"
                }
                throw DLError(.argument, message)
            }
            return index
        }
    }

    private func countRows(_ start: CSVScanner, _ hasHeader: Bool, _ columns: Int) throws -> Int {
        var scanner = start
        var rows = hasHeader ? -1 : 0
        while true {
            var count = 0
            var line = 0
            let found = try forEachField(&scanner) { _, field in
                count += 1
                line = field.line
            }
            guard found else { return rows }
            guard count == columns else { throw error("\(count) fields where the first row has \(columns)", line) }
            rows += 1
        }
    }

    private func store(_ field: CSVScanner.Field, _ index: Int, _ target: UnsafeMutableRawPointer) throws {
        let content = field.content
        switch options.type {
        case .float32, .float64:
            guard let number = options.allowsMissing && CSVNumber.isMissing(content) ? Double.nan : CSVNumber.double(content) else {
                throw refusal(field, index)
            }
            if options.type == .float32 {
                target.storeBytes(of: Float(number), as: Float.self)
            } else {
                target.storeBytes(of: number, as: Double.self)
            }
        case .int32: target.storeBytes(of: try whole(field, index), as: Int32.self)
        case .int64: target.storeBytes(of: try whole(field, index), as: Int64.self)
        case .uint8: target.storeBytes(of: try whole(field, index), as: UInt8.self)
        case .bool:
            switch CSVScanner.text(content).lowercased() {
            case "0", "false": target.storeBytes(of: 0, as: UInt8.self)
            case "1", "true": target.storeBytes(of: 1, as: UInt8.self)
            default: throw refusal(field, index)
            }
        }
    }

    private func whole<I: FixedWidthInteger>(_ field: CSVScanner.Field, _ index: Int) throws -> I {
        guard let number: I = CSVNumber.whole(field.content) else { throw refusal(field, index) }
        return number
    }

    private func refusal(_ field: CSVScanner.Field, _ index: Int) -> DLError {
        let name = names.isEmpty ? "" : " (\"\(Files.printable(String(names[index].prefix(40))))\")"
        let text = Files.printable(String(CSVScanner.text(field.bytes).prefix(40)))
        let expected: String
        switch options.type {
        case .float32, .float64: expected = "a number"
        case .bool: expected = "0, 1, true or false"
        default: expected = "a whole number that \(options.type.name) holds"
        }
        var message = "field \(index + 1)\(name) must be \(expected). Received: '\(text)'"
        if CSVNumber.isMissing(field.content), options.type.isFloatingPoint {
            message += "; with missing = \"nan\" it becomes NaN"
        } else if options.columns == nil {
            message += "; 'columns' says which columns to read"
        }
        return error(message, field.line)
    }

    private func error(_ problem: String, _ line: Int?) -> DLError {
        DLError(.format, "cannot read \"\(Files.printable(path))\": \(line.map { "line \($0), " } ?? "")\(problem)")
    }
}
