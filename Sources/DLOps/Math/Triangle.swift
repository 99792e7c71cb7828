import DLBase
import DLGraph
import DLTensor

/// The lower or the upper triangle of matrices.
struct TriangleOperation: Operation {
    let isUpper: Bool
    let k: Int

    var name: String { isUpper ? "triu" : "tril" }
    var attributes: JSON { ["k": .int(Int64(k))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        guard inputs[0].shape.rank >= 2 else {
            throw DLError(.shape, "[\(name)] takes a tensor with at least 2 axes. Received: \(inputs[0].shape)")
        }
        return inputs
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let shape = inputs[0].shape
        let (rows, columns) = (shape[shape.rank - 2], shape[shape.rank - 1])
        let lines = shape.count / max(columns, 1)
        let (width, k, isUpper) = (inputs[0].type.byteCount, k, isUpper)
        return Kernel("copy", inPlace: [(0, 0)]) { arguments in
            for line in 0..<lines {
                // The first column that is above the diagonal.
                let border = min(max(line % rows &+ k &+ (isUpper ? 0 : 1), 0), columns)
                let kept = isUpper ? border..<columns : 0..<border
                let x = arguments.inputs[0] + line &* columns &* width
                let y = arguments.outputs[0] + line &* columns &* width
                if x != y { (y + kept.lowerBound &* width).copyMemory(from: x + kept.lowerBound &* width, byteCount: kept.count &* width) }
                let cleared = isUpper ? 0..<border : border..<columns
                (y + cleared.lowerBound &* width).initializeMemory(
                    as: UInt8.self, repeating: 0, count: cleared.count &* width)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [try apply(self, context.upstream)] }

    static let entries: [OperationEntry] = [false, true].map { isUpper in
        OperationEntry(
            Declaration(
                isUpper ? "triu" : "tril", "Matrices with zeros \(isUpper ? "below" : "above") a diagonal.",
                shapes: "(..., m, n); the same comes out", extra: JSONObject([("inputs", ["x"])]),
                arguments: [
                    Argument(
                        "k", .int(Int(Int32.min)...Int(Int32.max)), 0, "The diagonal: 0 the main one, above it positive.")
                ],
                make: { TriangleOperation(isUpper: isUpper, k: $0.int("k")) }),
            samples: [
                OperationSample(.uniform([3, 4])), OperationSample(.uniform([2, 3, 3]), attributes: ["k": -1]),
                OperationSample(.uniform([2, 4]), attributes: ["k": 2]),
            ])
    }
}

package func tril(_ x: Value, k: Int = 0) throws -> Value { try apply(TriangleOperation(isUpper: false, k: k), x) }
package func triu(_ x: Value, k: Int = 0) throws -> Value { try apply(TriangleOperation(isUpper: true, k: k), x) }

/// The elements of a diagonal of matrices.
struct DiagonalOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "diagonal", "The elements of a diagonal; they become the last axis.",
        shapes: "at least two axes; without axis1 and axis2, with the diagonal last",
        extra: JSONObject([("inputs", ["x"])]), arguments: arguments,
        make: { DiagonalOperation($0) })

    static let arguments = [
        Argument(
            "offset", .int(Int(Int32.min)...Int(Int32.max)), 0, "The diagonal: 0 the main one, above it positive."),
        Argument("axis1", .axis, 0, "The rows."), Argument("axis2", .axis, 1, "The columns."),
    ]

    static let samples = [
        OperationSample(.uniform([3, 4])), OperationSample(.uniform([3, 4]), attributes: ["offset": 2]),
        OperationSample(.uniform([2, 3, 4]), attributes: ["offset": -1, "axis1": -1, "axis2": 1]),
    ]

    let offset: Int
    let axes: [Int]

    init(_ arguments: Arguments) {
        self.init(offset: arguments.int("offset"), axes: [arguments.int("axis1"), arguments.int("axis2")])
    }

    init(offset: Int, axes: [Int]) {
        self.offset = offset
        self.axes = axes
    }

    var attributes: JSON {
        ["offset": .int(Int64(offset)), "axis1": .int(Int64(axes[0])), "axis2": .int(Int64(axes[1]))]
    }

    private func layout(_ shape: Shape) throws -> (order: [Int], rest: [Int], rows: Int, columns: Int, length: Int) {
        let pair = try axes.map { try shape.axis($0, name) }
        guard pair[0] != pair[1] else {
            throw DLError(.argument, "[\(name)] axis1 and axis2 must differ. Received: \(Shape.text(axes)) for \(shape)")
        }
        let others = (0..<shape.rank).filter { !pair.contains($0) }
        let (rows, columns) = (shape[pair[0]], shape[pair[1]])
        let length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
        return (others + pair, others.map { shape[$0] }, rows, columns, min(length, min(rows, columns)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let layout = try layout(inputs[0].shape)
        return [TensorSpec(Shape(layout.rest + [layout.length]), inputs[0].type)]
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let layout = try layout(inputs[0].shape)
        let count = layout.rows * layout.columns
        // In one row of a matrix's elements the diagonal's are columns + 1 apart.
        let flat = try reshape(transpose(inputs[0], layout.order), layout.rest + [count])
        let start = offset >= 0 ? offset : -offset * layout.columns
        let step = layout.columns + 1
        let range = layout.length == 0
            ? IndexEntry.range(start: 0, stop: 0, step: 1)
            : .range(start: start, stop: start + (layout.length - 1) * step + 1, step: step)
        return [try getItem(flat, [IndexEntry](repeating: .all, count: layout.rest.count) + [range])]
    }
}

package func diagonal(_ x: Value, offset: Int = 0, axes: [Int] = [0, 1]) throws -> Value {
    guard axes.count == 2 else {
        throw DLError(.argument, "[diagonal] takes two axes. Received: \(Shape.text(axes))")
    }
    return try apply(DiagonalOperation(offset: offset, axes: axes), x)
}

/// The sum of a diagonal.
struct TraceOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "trace", "The sum of a diagonal.", shapes: "at least two axes; without axis1 and axis2",
        extra: JSONObject([("inputs", ["x"])]), arguments: DiagonalOperation.arguments,
        make: { TraceOperation(diagonal: DiagonalOperation($0)) })

    static let samples = [OperationSample(.uniform([3, 4])), OperationSample(.uniform([2, 3, 4]), attributes: ["axis1": 1, "axis2": 2])]

    let diagonal: DiagonalOperation
    var attributes: JSON { diagonal.attributes }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return try ReductionOperation(.sum, axes: [-1], keepDims: false).outputs(for: diagonal.outputs(for: inputs))
    }

    func compose(_ inputs: [Value]) throws -> [Value] { [try sum(apply(diagonal, inputs[0]), axes: [-1])] }
}

/// A matrix with a vector on a diagonal, or the diagonal of a matrix.
struct DiagOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "diag", "A matrix with a vector on a diagonal; of a matrix, the diagonal.",
        shapes: "(n,) gives (n + |k|, n + |k|); (m, n) gives the diagonal", extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("k", .int(-1_000_000...1_000_000), 0, "The diagonal: 0 the main one, above it positive.")],
        make: { DiagOperation(k: $0.int("k")) })

    static let samples = [
        OperationSample(.uniform([3])), OperationSample(.uniform([2]), attributes: ["k": -1]),
        OperationSample(.uniform([3, 4]), attributes: ["k": 1]),
    ]

    let k: Int
    var attributes: JSON { ["k": .int(Int64(k))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        guard shape.rank == 1 || shape.rank == 2 else {
            throw DLError(.shape, "[diag] takes a vector or a matrix. Received: \(shape)")
        }
        if shape.rank == 2 { return try DiagonalOperation(offset: k, axes: [0, 1]).outputs(for: inputs) }
        let size = shape[0] + abs(k)
        return [TensorSpec(try Shape(checked: [size, size]), inputs[0].type)]
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        if inputs[0].shape.rank == 2 { return [try diagonal(inputs[0], offset: k)] }
        let count = inputs[0].shape[0]
        let size = count + abs(k)
        let start = k >= 0 ? k : -k * size
        let entries: [IndexEntry] = count == 0
            ? [.range(start: 0, stop: 0, step: 1)]
            : [.range(start: start, stop: start + (count - 1) * (size + 1) + 1, step: size + 1)]
        let flat = try apply(GetItemGradientOperation(entries, Shape(checked: [size * size])), inputs[0])
        return [try reshape(flat, [size, size])]
    }
}
