import DLBase
import DLGraph
import DLOps
import DLTensor

/// Products of two inputs, summed along an axis of each, sample by sample.
package final class Dot: Layer {
    static let declaration = layerDeclaration(
        "Dot", "Products of two inputs, sample by sample, summed along an axis of each.",
        formula: "y[n, i, j] = sum over k of a[n, i, k] b[n, k, j]", source: "Keras, keras.layers.Dot",
        shapes: "a (batch, ..., k, ...), b (batch, ..., k, ...), output (batch,) + other axes of a + other axes of b; (batch, 1) "
            + "where there are none",
        example: """
            local dl = require "dl"
            print(dl.layers.Dot{ axes = 2 }{ dl.tensor{ { 1, 2 } }, dl.tensor{ { 3, 4 } } })
            """,
        arguments: [
            Argument("axes", .axes, nil, "The axis that is summed along, in both inputs or in each."),
            Argument("normalize", .bool, false, "Whether inputs are scaled to length 1 along the axis first: the cosine."),
        ]
    ) { try Dot(checked: $0) }

    init(checked arguments: Arguments) throws {
        guard (1...2).contains(arguments.ints("axes").count) else { throw arguments.error("axes", "an axis, or one for each input") }
        super.init(arguments)
    }

    override package var inputCount: Int? { 2 }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        let axes = arguments.ints("axes")
        if axes.count == 1 { values["axes"] = .int(Int64(axes[0])) }
        return values
    }

    private func axes(_ a: Int, _ b: Int) throws -> (Int, Int) {
        let given = arguments.ints("axes")
        let first = given[0] < 0 ? given[0] &+ a : given[0]
        let second = given[given.count - 1] < 0 ? given[given.count - 1] &+ b : given[given.count - 1]
        guard (1..<max(a, 1)).contains(first), (1..<max(b, 1)).contains(second) else {
            throw DLError(
                .shape, "[Dot] 'axes' must name axes after the batch. Received: axes \(given), inputs with \(a) and \(b) axes")
        }
        return (first, second)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count >= 2, shapes[1].count >= 2 else {
            throw DLError(
                .shape, "[Dot] inputs need a batch axis and others. Received: \(Shape.text(shapes[0])), \(Shape.text(shapes[1]))")
        }
        let (first, second) = try axes(shapes[0].count, shapes[1].count)
        if let a = shapes[0][first], let b = shapes[1][second], a != b {
            throw DLError(
                .shape, "[Dot] the axes that are summed along must have one size. "
                    + "Received: \(Shape.text(shapes[0])) along \(first), \(Shape.text(shapes[1])) along \(second)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var (a, b) = (inputs[0], inputs[1])
        let (first, second) = try axes(a.shape.rank, b.shape.rank)
        guard a.shape[0] == b.shape[0] else {
            throw DLError(.shape, "[Dot] inputs must have one batch size. Received: \(a.shape), \(b.shape)")
        }
        if arguments.bool("normalize") {
            a = try unit(a, first)
            b = try unit(b, second)
        }
        func matrices(_ x: Value, _ axis: Int) throws -> (Value, [Int]) {
            let others = (1..<x.shape.rank).filter { $0 != axis }
            let sizes = others.map { x.shape[$0] }
            let moved = try transpose(x, [0] + others + [axis])
            return (try reshape(moved, [x.shape[0], sizes.reduce(1, &*), x.shape[axis]]), sizes)
        }
        let (left, leftSizes) = try matrices(a, first)
        let (right, rightSizes) = try matrices(b, second)
        let product = try matmul(left, right, transposeB: true)
        let sizes = leftSizes + rightSizes
        return [try reshape(product, [a.shape[0]] + (sizes.isEmpty ? [1] : sizes))]
    }

    private func unit(_ x: Value, _ axis: Int) throws -> Value {
        let squares = try sum(square(x), axes: [axis], keepDims: true)
        return try multiply(x, rsqrt(maximum(squares, constant(1e-14, like: x))))
    }
}
