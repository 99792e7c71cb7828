import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Convolution, bias and activation in one pass over the result. The fusion pass makes it of the three.
struct Conv2DBias: DeclaredOperation {
    var geometry: Conv2DGeometry
    var activation = FusedActivation.none

    static let declaration = Declaration<any Operation>(
        "conv2d_bias", "Two-dimensional convolution with bias and activation in one pass.",
        formula: "y = activation(conv2d(x, kernel) + bias)",
        shapes: "x (N, H, W, C), kernel (h, w, C / groups, F), bias (F,) -> (N, H', W', F)",
        extra: networkExtra("x", "kernel", "bias"),
        arguments: Conv2DGeometry.arguments + [FusedActivation.argument]
    ) { Conv2DBias(geometry: try Conv2DGeometry($0), activation: FusedActivation($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 5, 4, 2]), .uniform([2, 3, 2, 3]), .uniform([3])),
            OperationSample(
                .uniform([1, 5, 4, 2]), .uniform([3, 3, 2, 3]), .uniform([3]),
                attributes: ["activation": "relu", "padding": "same"]),
        ]
    }

    var attributes: JSON {
        activation == .none
            ? geometry.attributes() : geometry.attributes(("activation", .string(activation.rawValue)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        let problem = try geometry.problem(input: inputs[0].shape, kernel: inputs[1].shape, name)
        guard inputs[2].shape == [problem.filters] else {
            throw DLError(
                .shape, "[\(name)] bias must have one number for each of \(problem.filters) filters. "
                    + "Received: kernel \(inputs[1].shape), bias \(inputs[2].shape)")
        }
        return [TensorSpec(problem.outputShape, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try Conv2D.kernel(geometry, inputs, activation: activation, name)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        var upstream = context.upstream
        if activation == .relu { upstream = try reluGradient(upstream, context.outputs[0]) }
        return try Conv2D.gradients(geometry, context.inputs[0], context.inputs[1], upstream, context.needs)
            + [context.needs[2] ? sumOfRows(upstream) : nil]
    }
}

/// The gradient before a ReLU from the one after it and the ReLU's output.
func reluGradient(_ upstream: Value, _ y: Value) throws -> Value {
    try DLGraph.apply(UnaryGradientOperation(UnaryOperation(.relu)), upstream, y)
}

/// activation(conv2d(x, kernel) + bias) in one pass.
package func conv2dBias(
    _ x: Value, _ kernel: Value, _ bias: Value, _ geometry: Conv2DGeometry, activation: FusedActivation = .none
) throws -> Value {
    try DLGraph.apply(Conv2DBias(geometry: geometry, activation: activation), x, kernel, bias)
}
