import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Rows and columns of a tensor whose last axis is worked on.
func rowsOfLastAxis(_ shape: Shape) -> (rows: Int, columns: Int) {
    (shape.sizes.dropLast().reduce(1, &*), shape.last)
}

/// The operation on `x` with `axis` moved to the end and the result moved back; nil if the axis is the last already.
func alongLastAxis(_ x: Value, axis: Int, _ operation: String, _ body: (Value) throws -> Value) throws -> Value? {
    let axis = try x.shape.axis(axis, operation)
    let last = x.shape.rank - 1
    if axis == last { return nil }
    var order = Array(0..<x.shape.rank)
    order.swapAt(axis, last)
    return try transpose(body(transpose(x, order)), order)
}

private func lastAxisOutputs(_ inputs: [TensorSpec], axis: Int, _ name: String) throws -> [TensorSpec] {
    try expectInputs(inputs, 1, name)
    try expectType(inputs[0], floatingTypes, name)
    _ = try inputs[0].shape.axis(axis, name)
    return inputs
}

private let axisArgument = Argument("axis", .axis, -1, "the axis whose numbers belong together")

/// Turns scores into probabilities.
struct Softmax: DeclaredOperation {
    var axis = -1

    static let declaration = Declaration<any Operation>(
        "softmax", "Scores to probabilities that add up to 1 along an axis.",
        formula: "y[i] = exp(x[i] - max x) / sum over j of exp(x[j] - max x)",
        source: "J. S. Bridle: Probabilistic interpretation of feedforward classification network outputs, 1990",
        shapes: "x (any shape) -> the same",
        extra: networkExtra("x"), arguments: [axisArgument]
    ) { Softmax(axis: $0.int("axis")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 5])),
            OperationSample(.uniform([2, 4, 3]), attributes: ["axis": 1]),
        ]
    }

    var attributes: JSON { nonDefault(Softmax.declaration, ("axis", .int(Int64(axis)))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] { try lastAxisOutputs(inputs, axis: axis, name) }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        guard let y = try alongLastAxis(inputs[0], axis: axis, name, { try softmax($0) }) else { return nil }
        return [y]
    }

    /// A cross-entropy of the probabilities is exact when it is computed from what went in.
    func annotate(_ outputs: [Value], inputs: [Value]) { outputs[0].logits = ("softmax", inputs[0]) }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.softmax(inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try DLGraph.apply(SoftmaxGradient(), context.upstream, context.outputs[0])]
    }
}

/// Gradient of softmax along the last axis.
struct SoftmaxGradient: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "softmax_gradient", "Gradient of softmax along the last axis, from its output.",
        formula: "dx[i] = y[i] (dy[i] - sum over j of dy[j] y[j])",
        shapes: "dy (..., n), y (..., n) -> (..., n)",
        extra: networkExtra("dy", "y", internal: true)
    ) { _ in SoftmaxGradient() }

    static var samples: [OperationSample] { [OperationSample(.uniform([3, 5]), .uniform([3, 5], 0...1))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] { try expectPair(inputs, name) }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.softmaxGradient(inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (dy, y, u) = (context.inputs[0], context.inputs[1], context.upstream)
        // d/dy: u (dy - s) - dy sum(u y), with s = sum(dy y).
        var second: Value?
        if context.needs[1] {
            let s = try sumLast(multiply(dy, y))
            let t = try sumLast(multiply(u, y))
            second = try subtract(
                multiply(u, subtract(dy, s)), multiply(dy, t))
        }
        return [context.needs[0] ? try DLGraph.apply(SoftmaxGradient(), u, y) : nil, second]
    }
}

/// The logarithm of softmax, without going through numbers that vanish.
struct LogSoftmax: DeclaredOperation {
    var axis = -1

    static let declaration = Declaration<any Operation>(
        "log_softmax", "Logarithm of softmax along an axis.",
        formula: "y[i] = x[i] - max x - log sum over j of exp(x[j] - max x)",
        shapes: "x (any shape) -> the same",
        extra: networkExtra("x"), arguments: [axisArgument]
    ) { LogSoftmax(axis: $0.int("axis")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 5])),
            OperationSample(.uniform([2, 4, 3]), attributes: ["axis": 1]),
        ]
    }

    var attributes: JSON { nonDefault(LogSoftmax.declaration, ("axis", .int(Int64(axis)))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] { try lastAxisOutputs(inputs, axis: axis, name) }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        guard let y = try alongLastAxis(inputs[0], axis: axis, name, { try logSoftmax($0) }) else { return nil }
        return [y]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.logSoftmax(inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try DLGraph.apply(LogSoftmaxGradient(), context.upstream, context.outputs[0])]
    }
}

/// Gradient of log_softmax along the last axis.
struct LogSoftmaxGradient: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "log_softmax_gradient", "Gradient of log_softmax along the last axis, from its output.",
        formula: "dx[i] = dy[i] - exp(y[i]) sum over j of dy[j]",
        shapes: "dy (..., n), y (..., n) -> (..., n)",
        extra: networkExtra("dy", "y", internal: true)
    ) { _ in LogSoftmaxGradient() }

    static var samples: [OperationSample] { [OperationSample(.uniform([3, 5]), .uniform([3, 5], -3...0))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] { try expectPair(inputs, name) }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.logSoftmaxGradient(inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (dy, y, u) = (context.inputs[0], context.inputs[1], context.upstream)
        let weighted = try multiply(u, DLOps.exp(y))
        return [
            context.needs[0] ? try subtract(u, sumLast(weighted)) : nil,
            context.needs[1] ? try negative(multiply(weighted, sumLast(dy))) : nil,
        ]
    }
}

/// Two tensors of one shape and floating-point type, at least one axis.
private func expectPair(_ inputs: [TensorSpec], _ name: String) throws -> [TensorSpec] {
    try expectInputs(inputs, 2, name)
    try expectSameFloat(inputs, name)
    guard inputs[0].shape == inputs[1].shape, inputs[0].shape.rank > 0 else {
        throw DLError(
            .shape, "[\(name)] dy and y must have one shape. " + received(("dy", inputs[0]), ("y", inputs[1])))
    }
    return [inputs[0]]
}

/// Probabilities along an axis.
package func softmax(_ x: Value, axis: Int = -1) throws -> Value { try DLGraph.apply(Softmax(axis: axis), x) }

/// Logarithms of probabilities along an axis.
package func logSoftmax(_ x: Value, axis: Int = -1) throws -> Value { try DLGraph.apply(LogSoftmax(axis: axis), x) }
