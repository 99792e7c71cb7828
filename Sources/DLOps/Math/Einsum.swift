import DLBase
import DLGraph
import DLTensor

/// A sum of products as its letters say it: which axes of which operand go together, and which remain.
struct EinsumEquation {
    /// The name of an axis: a letter's code, or `ellipsis` and more for the axes that "..." stands for, counted from the last.
    typealias Label = Int
    static let ellipsis = 1 << 16
    /// More operands than this are refused.
    static let maximumOperands = 32

    let text: String
    /// nil stands for the ellipsis.
    private let operands: [[Label?]]
    /// nil: the letters that occur once, in the order of the alphabet.
    private let result: [Label?]?

    init(_ arguments: Arguments) throws {
        text = arguments.string("subscripts")
        let error = { (what: String) in
            DLError(
                .argument, "[einsum] 'subscripts' \(what), as in 'ij,jk->ik'. Received: '\(arguments.string("subscripts").prefix(200))'")
        }
        let codes = text.utf8.filter { $0 != 0x20 }
        guard codes.count <= 1000 else { throw error("has more than 1000 letters; it names the axes of each operand") }
        var sides: [[UInt8]] = [[]]
        var at = codes.startIndex
        while at < codes.endIndex {
            let next = codes.index(after: at)
            if codes[at] == UInt8(ascii: "-"), next < codes.endIndex, codes[next] == UInt8(ascii: ">") {
                sides.append([])
                at = codes.index(after: next)
            } else {
                sides[sides.count - 1].append(codes[at])
                at = next
            }
        }
        guard sides.count <= 2 else { throw error("must have one arrow at most") }
        func labels(_ part: ArraySlice<UInt8>) throws -> [Label?] {
            var found: [Label?] = []
            var place = part.startIndex
            while place < part.endIndex {
                let code = part[place]
                if code == UInt8(ascii: ".") {
                    guard place + 2 < part.endIndex, part[place + 1] == code, part[place + 2] == code, !found.contains(nil)
                    else { throw error("must write what stands for other axes as three dots, once in each operand") }
                    found.append(nil)
                    place += 3
                    continue
                }
                let isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
                guard isLetter else { throw error("must name axes by letters, operands apart by commas") }
                found.append(Int(code))
                place += 1
            }
            return found
        }
        operands = try sides[0].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map(labels)
        result = try sides.count == 2 ? labels(sides[1][...]) : nil
        guard operands.count <= EinsumEquation.maximumOperands else {
            throw error("has more than \(EinsumEquation.maximumOperands) operands; it names the axes of each")
        }
    }

    /// What the letters mean for operands of given shapes.
    struct Meaning {
        var operands: [[Label]]
        var result: [Label]
        var sizes: [Label: Int]
    }

    func meaning(_ specs: [TensorSpec]) throws -> Meaning {
        let given = specs.map { "\($0.shape)" }.joined(separator: ", ")
        func error(_ what: String) -> DLError { DLError(.shape, "[einsum] '\(text)': \(what). Received: \(given)") }
        guard specs.count == operands.count else {
            throw error("the equation has \(operands.count) operand\(operands.count == 1 ? "" : "s"), given are \(specs.count)")
        }
        var sizes: [Label: Int] = [:]
        var widest = 0
        let labels = try zip(operands, specs).enumerated().map { index, pair -> [Label] in
            let (letters, shape) = (pair.0, pair.1.shape)
            let named = letters.count - (letters.contains(nil) ? 1 : 0)
            let rest = shape.rank - named
            guard letters.contains(nil) ? rest >= 0 : rest == 0 else {
                throw error("operand \(index + 1) has \(shape.rank) axes, the equation names \(named)")
            }
            widest = Swift.max(widest, letters.contains(nil) ? rest : 0)
            // The axes of "..." are aligned at the last one.
            return letters.flatMap { label -> [Label] in
                label.map { [$0] } ?? (0..<rest).reversed().map { EinsumEquation.ellipsis + $0 }
            }
        }
        for (names, spec) in zip(labels, specs) {
            for (label, size) in zip(names, spec.shape.sizes) {
                guard let known = sizes[label], known != size else {
                    sizes[label] = size
                    continue
                }
                let stretches = label >= EinsumEquation.ellipsis && (known == 1 || size == 1)
                guard stretches else {
                    let name = label < EinsumEquation.ellipsis ? String(UnicodeScalar(UInt8(label))) : "..."
                    throw error("the axes called '\(name)' have sizes \(known) and \(size)")
                }
                sizes[label] = known == 1 ? size : known
            }
        }
        let stretched = (0..<widest).reversed().map { EinsumEquation.ellipsis + $0 }
        let output: [Label]
        if let result {
            // Without an ellipsis in the result, its axes are summed over.
            output = result.flatMap { $0.map { [$0] } ?? stretched }
        } else {
            let all = operands.flatMap { $0 }.compactMap { $0 }
            output = stretched + Set(all).filter { letter in all.filter { $0 == letter }.count == 1 }.sorted()
        }
        guard Set(output).count == output.count else { throw error("an axis of the result is named twice") }
        if let unknown = output.first(where: { sizes[$0] == nil }) {
            throw error("the result has an axis '\(String(UnicodeScalar(UInt8(clamping: unknown))))' that no operand has")
        }
        return Meaning(operands: labels, result: output, sizes: sizes)
    }
}

/// An operand on its way: a value and the names of its axes.
private struct Term {
    var value: Value
    var labels: [Int]

    /// Diagonals where a name is there twice, and no axes of size 1 that stand for longer ones.
    init(_ value: Value, _ labels: [Int], sizes: [Int: Int]) throws {
        var (value, labels) = (value, labels)
        while let second = labels.indices.first(where: { labels[..<$0].contains(labels[$0]) }) {
            let label = labels[second]
            let first = labels.firstIndex(of: label)!
            value = try diagonal(value, axes: [first, second])
            labels.remove(at: second)
            labels.remove(at: first)
            labels.append(label)
        }
        let short = labels.indices.filter { value.shape[$0] == 1 && sizes[labels[$0]] != 1 }
        if !short.isEmpty { value = try squeeze(value, axes: short) }
        self.value = value
        self.labels = labels.indices.filter { !short.contains($0) }.map { labels[$0] }
    }

    /// Sums over the axes that nobody asks for any more.
    mutating func keep(_ wanted: Set<Int>) throws {
        let lost = labels.indices.filter { !wanted.contains(labels[$0]) }
        if lost.isEmpty { return }
        value = try sum(value, axes: lost)
        labels.removeAll { !wanted.contains($0) }
    }

    func ordered(_ order: [Int]) throws -> Value {
        order == labels ? value : try transpose(value, order.map { labels.firstIndex(of: $0)! })
    }
}

/// Two terms become one: axes that both have and nobody else wants are summed over.
private func product(_ a: Term, _ b: Term, wanted: Set<Int>, sizes: [Int: Int]) throws -> Term {
    var (a, b) = (a, b)
    try a.keep(wanted.union(b.labels))
    try b.keep(wanted.union(a.labels))
    let batch = a.labels.filter { b.labels.contains($0) && wanted.contains($0) }
    let inner = a.labels.filter { b.labels.contains($0) && !wanted.contains($0) }
    let rows = a.labels.filter { !b.labels.contains($0) }
    let columns = b.labels.filter { !a.labels.contains($0) }
    func lengths(_ labels: [Int]) -> [Int] { labels.map { sizes[$0]! } }
    let labels = batch + rows + columns
    var value: Value
    if inner.isEmpty || !a.value.type.isFloatingPoint {
        // Element by element: A as batch, rows, 1 ..., B as batch, 1 ..., columns.
        let left = try reshape(
            a.ordered(batch + rows + inner),
            lengths(batch + rows) + [Int](repeating: 1, count: columns.count) + lengths(inner))
        let right = try reshape(
            b.ordered(batch + columns + inner),
            lengths(batch) + [Int](repeating: 1, count: rows.count) + lengths(columns + inner))
        value = try multiply(left, right)
        if !inner.isEmpty { value = try sum(value, axes: Array(labels.count..<labels.count + inner.count)) }
    } else {
        // Parts of shapes that exist, so their products do not overflow.
        let (m, k, n) = (lengths(rows).reduce(1, &*), lengths(inner).reduce(1, &*), lengths(columns).reduce(1, &*))
        // What is in order already, or in order but for the product's own transposition, is not moved.
        let flipA = a.labels == batch + inner + rows && a.labels != batch + rows + inner
        let flipB = b.labels == batch + columns + inner && b.labels != batch + inner + columns
        let left = try reshape(
            a.ordered(flipA ? a.labels : batch + rows + inner), lengths(batch) + (flipA ? [k, m] : [m, k]))
        let right = try reshape(
            b.ordered(flipB ? b.labels : batch + inner + columns), lengths(batch) + (flipB ? [n, k] : [k, n]))
        value = try matmul(left, right, transposeA: flipA, transposeB: flipB)
        value = try reshape(value, lengths(labels))
    }
    var result = a
    result.value = value
    result.labels = labels
    return result
}

/// Elements of a product of two terms, as far as a Double can say.
private func cost(_ a: Term, _ b: Term, _ sizes: [Int: Int]) -> Double {
    Set(a.labels).union(b.labels).reduce(1.0) { $0 * Double(sizes[$1]!) }
}

/// The sum of products over the axes that the equation names; made of transpositions, sums and matrix products.
let einsumEntry = FormulaOperation.entry(
    "einsum", "Sums of products over axes that go by letters: those of the result remain, the others are summed over.",
    formula: "'ij,jk->ik': y[i, k] = sum over j of x1[i, j] x2[j, k]",
    source: "A. Einstein, \"Die Grundlage der allgemeinen Relativitätstheorie\", 1916; NumPy, numpy.einsum",
    shapes: "each operand has an axis for each of its letters, '...' stands for the others, which are broadcast; the letters "
        + "of the result name its axes. Without '->' these are '...' and the letters that occur once, in alphabetical order",
    example: """
        local dl = require "dl"
        local a, b = dl.normal(2, 5, 3), dl.normal(2, 3, 4)
        print(dl.ops.einsum("bij,bjk->bik", a, b))
        print(dl.ops.einsum("...ii->...", dl.normal(2, 3, 3)))
        """,
    extra: JSONObject([("inputs", ["operands"]), ("variadic", true), ("leading", "subscripts")]),
    arguments: [Argument("subscripts", .string, nil, "The letters of each operand, and of the result after '->'.")],
    samples: [
        OperationSample(.uniform([2, 3]), .uniform([3, 4]), attributes: ["subscripts": "ij,jk->ik"]),
        OperationSample(.uniform([2, 3, 2]), .uniform([2, 4, 2]), attributes: ["subscripts": "bik,bjk->bij"]),
        OperationSample(.uniform([3, 2, 2]), .uniform([4, 2, 3]), attributes: ["subscripts": "khb,qbk->hqb"]),
        OperationSample(.uniform([2, 3, 3]), attributes: ["subscripts": "...ii->...i"]),
        OperationSample(.uniform([3, 3]), attributes: ["subscripts": "ii"]),
        OperationSample(.uniform([2, 3]), .uniform([4]), attributes: ["subscripts": "ij,k"]),
        OperationSample(.uniform([2, 1, 3]), .uniform([4, 3, 2]), attributes: ["subscripts": "...j,...jk->...k"]),
        OperationSample(.uniform([2, 3]), .uniform([3, 2]), .uniform([2, 2]), attributes: ["subscripts": "ab,bc,cd->ad"]),
        OperationSample(.uniform([2, 3]), attributes: ["subscripts": "ab->"]),
        OperationSample(.uniform([2, 3]), .uniform([2, 3]), attributes: ["subscripts": "ab,ab->ba"]),
    ],
    shape: { inputs, arguments in
        let meaning = try EinsumEquation(arguments).meaning(inputs)
        return [
            TensorSpec(try Shape(checked: meaning.result.map { meaning.sizes[$0]! }), Promotion.arithmetic(inputs.map(\.type)))
        ]
    }
) { inputs, arguments in
    let meaning = try EinsumEquation(arguments).meaning(inputs.map(\.spec))
    let type = Promotion.arithmetic(inputs.map(\.type))
    let result = Set(meaning.result)
    var terms = try zip(inputs, meaning.operands).map { try Term(cast($0, type), $1, sizes: meaning.sizes) }
    // The cheapest pair first.
    while terms.count > 1 {
        var (first, second, least) = (0, 1, Double.infinity)
        for i in terms.indices {
            for j in (i + 1)..<terms.count where cost(terms[i], terms[j], meaning.sizes) < least {
                (first, second, least) = (i, j, cost(terms[i], terms[j], meaning.sizes))
            }
        }
        let others = terms.indices.filter { $0 != first && $0 != second }
        let wanted = others.reduce(into: result) { $0.formUnion(terms[$1].labels) }
        let joined = try product(terms[first], terms[second], wanted: wanted, sizes: meaning.sizes)
        terms = others.map { terms[$0] } + [joined]
    }
    try terms[0].keep(result)
    return [try terms[0].ordered(meaning.result)]
}

/// The sum of products that the equation names.
package func einsum(_ equation: String, _ operands: Value...) throws -> Value {
    try Operations.apply("einsum", operands, attributes: ["subscripts": .string(equation)])[0]
}
