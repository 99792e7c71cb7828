import DLBase

extension Tensor {
    /// How a person reads it: type, shape, then the elements in aligned columns. Large ones are abbreviated, and only
    /// what is shown is looked at.
    package var text: String { text() }

    /// - precision: decimals of floating-point numbers, at most; scientific notation has as many.
    /// - threshold: tensors with more elements than this show only the ends of each axis.
    /// - width: columns after which a row goes on in the next line.
    package func text(precision: Int = 4, threshold: Int = 1000, width: Int = 80) -> String {
        let head = "\(type.name) \(shape)"
        guard count > 0 else { return head + " []" }
        var edge = Int.max
        if count > max(threshold, 1) {
            // Many axes multiply what is shown; then less of each is.
            edge = [3, 2, 1].first { shown(edge: $0) <= 1000 } ?? 0
        }
        var offsets: [Int] = []
        collect(axis: 0, offset: 0, strides: shape.strides, edge: edge, into: &offsets)
        var cells = texts(offsets, precision: max(0, min(precision, 17)))
        let cellWidth = cells.reduce(0) { max($0, $1.utf8.count) }
        for index in cells.indices {
            cells[index] = String(repeating: " ", count: cellWidth - cells[index].utf8.count) + cells[index]
        }
        guard shape.rank > 0 else { return head + " " + cells[0] }
        var layout = TextLayout(cells: cells, width: width, edge: edge, sizes: shape.sizes)
        layout.write(axis: 0)
        return head + (layout.output.contains("\n") || head.utf8.count + layout.output.utf8.count >= width ? "\n" : " ")
            + layout.output
    }

    private func shown(edge: Int) -> Int {
        shape.sizes.reduce(1) { product, size in
            product.multipliedReportingOverflow(by: size > 2 * edge ? 2 * edge : size).partialValue
        }
    }

    private func collect(axis: Int, offset: Int, strides: [Int], edge: Int, into offsets: inout [Int]) {
        guard axis < shape.rank else { return offsets.append(offset) }
        for part in TextLayout.parts(shape.sizes[axis], edge) {
            for index in part {
                collect(axis: axis + 1, offset: offset + index * strides[axis], strides: strides, edge: edge, into: &offsets)
            }
        }
    }

    private func texts(_ offsets: [Int], precision: Int) -> [String] {
        switch type {
        case .float32:
            let all = elements(Float.self)
            return Tensor.texts(offsets.map { Double(all[$0]) }, precision)
        case .float64:
            let all = elements(Double.self)
            return Tensor.texts(offsets.map { all[$0] }, precision)
        case .int32: return offsets.map { String(elements(Int32.self)[$0]) }
        case .int64: return offsets.map { String(elements(Int64.self)[$0]) }
        case .uint8: return offsets.map { String(elements(UInt8.self)[$0]) }
        case .bool: return offsets.map { elements(UInt8.self)[$0] == 0 ? "false" : "true" }
        }
    }

    /// One way to write them all: with the decimals that the longest needs, or in scientific notation where the numbers
    /// are too large or too small for that.
    private static func texts(_ numbers: [Double], _ precision: Int) -> [String] {
        var largest = 0.0
        var smallest = Double.infinity
        var isWhole = true
        for number in numbers where number.isFinite && number != 0 {
            largest = max(largest, number.magnitude)
            smallest = min(smallest, number.magnitude)
            isWhole = isWhole && number.rounded() == number
        }
        let isScientific = isWhole ? largest >= 1e8 : largest >= 1e6 || smallest < 1e-4
        let format = isScientific ? { Text.scientific($0, decimals: precision) } : { Text.fixed($0, decimals: precision) }
        var texts = numbers.map { number in
            number.isNaN ? "nan" : number.isInfinite ? (number < 0 ? "-inf" : "inf") : format(number)
        }
        if !isScientific, precision > 1 {
            // Zeros at the end that all of them have say nothing; one decimal stays.
            var surplus = precision - 1
            for (text, number) in zip(texts, numbers) where number.isFinite {
                surplus = min(surplus, text.utf8.reversed().prefix { $0 == UInt8(ascii: "0") }.count)
            }
            for index in texts.indices where numbers[index].isFinite { texts[index].removeLast(surplus) }
        }
        return texts
    }
}

/// Puts the cells between brackets, NumPy's way.
private struct TextLayout {
    let cells: [String]
    let width: Int
    let edge: Int
    let sizes: [Int]
    private(set) var output = ""
    private var next = 0
    private var column = 0

    init(cells: [String], width: Int, edge: Int, sizes: [Int]) {
        self.cells = cells
        self.width = width
        self.edge = edge
        self.sizes = sizes
    }

    /// The indices of an axis that are shown: all, or those at its two ends (none but the first for an edge of 0).
    static func parts(_ size: Int, _ edge: Int) -> [Range<Int>] {
        guard edge < size, size > 2 * edge, size > 1 else { return [0..<size] }
        return edge == 0 ? [0..<1, size..<size] : [0..<edge, (size - edge)..<size]
    }

    mutating func write(axis: Int) {
        put("[")
        let isRow = axis == sizes.count - 1
        var isFirst = true
        for (number, part) in TextLayout.parts(sizes[axis], edge).enumerated() {
            if number > 0 {
                separate(axis, isRow, 3)
                put("...")
            }
            for _ in part {
                if !isFirst { separate(axis, isRow, cells[0].utf8.count) }
                isFirst = false
                if isRow {
                    put(cells[next])
                    next += 1
                } else {
                    write(axis: axis + 1)
                }
            }
        }
        put("]")
    }

    private mutating func put(_ text: String) {
        output += text
        column += text.utf8.count
    }

    /// Between the numbers of a row blanks, or a new line where the next one does not fit; between the rows of a matrix
    /// a new line, between matrices an empty one more.
    private mutating func separate(_ axis: Int, _ isRow: Bool, _ length: Int) {
        if isRow, column + 2 + length < width || column <= sizes.count { return put("  ") }
        output += String(repeating: "\n", count: isRow ? 1 : sizes.count - 1 - axis)
        column = 0
        put(String(repeating: " ", count: isRow ? sizes.count : axis + 1))
    }
}
