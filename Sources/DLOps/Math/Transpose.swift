import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The axes in another order.
struct TransposeOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "transpose", "Puts the axes into another order.", formula: "y[..., i_axes[k], ...] = x[..., i_k, ...]",
        shapes: "any shape; its sizes in the order of `axes`", extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("axes", .optional(.axes), .null, "Which axis of x each axis of the result is; null reverses them.")
        ],
        make: { TransposeOperation($0.optionalInts("axes")) })

    static let samples = [
        OperationSample(.uniform([3, 4])),
        OperationSample(.uniform([2, 3, 4]), attributes: ["axes": [0, 2, 1]]),
        OperationSample(.uniform([9, 2, 10]), attributes: ["axes": [2, -2, 0]]),
    ]

    /// nil: reversed.
    let axes: [Int]?
    init(_ axes: [Int]?) { self.axes = axes }

    var attributes: JSON { ["axes": axes.map { .array($0.map { .int(Int64($0)) }) } ?? .null] }

    private func permutation(_ shape: Shape) throws -> [Int] {
        guard let axes else { return Array((0..<shape.rank).reversed()) }
        let order = try axes.map { try shape.axis($0, name) }
        guard order.count == shape.rank, Set(order).count == shape.rank else {
            throw DLError(
                .argument, "[transpose] 'axes' must name each of the \(shape.rank) axes once. "
                    + "Received: \(Shape.text(axes)) for \(shape)")
        }
        return order
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        return [TensorSpec(Shape(try permutation(shape).map { shape[$0] }), inputs[0].type)]
    }

    /// Moving axes of size 1 moves no element.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 1 else { return nil }
        let shape = inputs[0].shape
        let order = try permutation(shape)
        let real = order.filter { shape[$0] != 1 }
        guard real == real.sorted() else { return nil }
        return [try reshape(inputs[0], order.map { shape[$0] })]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let order = try permutation(inputs[0].shape)
        let strides = inputs[0].shape.strides
        return Movement.strided(
            StridedCopy(
                sizes: outputs[0].shape.sizes, source: order.map { strides[$0] }, target: outputs[0].shape.strides,
                type: inputs[0].type))
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let order = try permutation(context.inputs[0].shape)
        var inverse = order
        for (position, axis) in order.enumerated() { inverse[axis] = position }
        return [try transpose(context.upstream, inverse)]
    }
}

/// `axes` nil reverses them.
package func transpose(_ x: Value, _ axes: [Int]? = nil) throws -> Value { try apply(TransposeOperation(axes), x) }

/// Two axes exchanged.
struct SwapAxesOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "swapaxes", "Exchanges two axes.", shapes: "any shape; two of its sizes change places",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("axis1", .axis, nil, "The one."), Argument("axis2", .axis, nil, "The other."),
        ],
        make: { SwapAxesOperation(first: $0.int("axis1"), second: $0.int("axis2")) })

    static let samples = [OperationSample(.uniform([2, 3, 4]), attributes: ["axis1": 0, "axis2": -1])]

    let first: Int
    let second: Int
    var attributes: JSON { ["axis1": .int(Int64(first)), "axis2": .int(Int64(second))] }

    private func order(_ shape: Shape) throws -> [Int] {
        var order = Array(0..<shape.rank)
        order.swapAt(try shape.axis(first, name), try shape.axis(second, name))
        return order
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return try TransposeOperation(order(inputs[0].shape)).outputs(for: inputs)
    }

    func compose(_ inputs: [Value]) throws -> [Value] { [try transpose(inputs[0], order(inputs[0].shape))] }
}

package func swapaxes(_ x: Value, _ first: Int, _ second: Int) throws -> Value {
    try apply(SwapAxesOperation(first: first, second: second), x)
}

/// Axes moved to other places, the others keeping their order.
struct MoveAxisOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "moveaxis", "Moves axes to other places; the others keep their order.", shapes: "any shape; its sizes in another order",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("source", .axes, nil, "The axes that move."),
            Argument("destination", .axes, nil, "Where each stands in the result."),
        ],
        make: { MoveAxisOperation(source: $0.ints("source"), destination: $0.ints("destination")) })

    static let samples = [
        OperationSample(.uniform([2, 3, 4]), attributes: ["source": 0, "destination": -1]),
        OperationSample(.uniform([2, 3, 4]), attributes: ["source": [2, 0], "destination": [0, 1]]),
    ]

    let source: [Int]
    let destination: [Int]
    var attributes: JSON {
        [
            "source": .array(source.map { .int(Int64($0)) }),
            "destination": .array(destination.map { .int(Int64($0)) }),
        ]
    }

    private func order(_ shape: Shape) throws -> [Int] {
        let from = try source.map { try shape.axis($0, name) }
        let to = try destination.map { try shape.axis($0, name) }
        guard from.count == to.count, Set(from).count == from.count, Set(to).count == to.count else {
            throw DLError(
                .argument, "[moveaxis] 'source' and 'destination' must name as many different axes. "
                    + "Received: \(Shape.text(source)) and \(Shape.text(destination))")
        }
        var order = [Int?](repeating: nil, count: shape.rank)
        for (a, b) in zip(from, to) { order[b] = a }
        var rest = (0..<shape.rank).filter { !from.contains($0) }.makeIterator()
        return order.map { $0 ?? rest.next() ?? 0 }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return try TransposeOperation(order(inputs[0].shape)).outputs(for: inputs)
    }

    func compose(_ inputs: [Value]) throws -> [Value] { [try transpose(inputs[0], order(inputs[0].shape))] }
}

package func moveaxis(_ x: Value, _ source: [Int], _ destination: [Int]) throws -> Value {
    try apply(MoveAxisOperation(source: source, destination: destination), x)
}
