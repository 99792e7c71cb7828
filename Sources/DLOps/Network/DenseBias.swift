import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Product with a matrix, bias and activation in one pass over the result. The fusion pass makes it of the three.
struct DenseBias: DeclaredOperation {
    var activation = FusedActivation.none

    static let declaration = Declaration<any Operation>(
        "dense_bias", "Product with a matrix, bias and activation in one pass.",
        formula: "y = activation(x kernel + bias)",
        shapes: "x (..., k), kernel (k, n), bias (n,) -> (..., n)",
        extra: networkExtra("x", "kernel", "bias"),
        arguments: [FusedActivation.argument]
    ) { DenseBias(activation: FusedActivation($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 4]), .uniform([4, 5]), .uniform([5])),
            OperationSample(.uniform([2, 3, 4]), .uniform([4, 5]), .uniform([5]), attributes: ["activation": "relu"]),
        ]
    }

    var attributes: JSON { nonDefault(DenseBias.declaration, ("activation", .string(activation.rawValue))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        let (x, kernel, bias) = (inputs[0].shape, inputs[1].shape, inputs[2].shape)
        func fail(_ text: String) -> DLError {
            DLError(.shape, "[\(name)] \(text). Received: input \(x), kernel \(kernel), bias \(bias)")
        }
        guard x.rank >= 2 else { throw fail("input must have at least 2 axes") }
        guard kernel.rank == 2 else { throw fail("kernel must have 2 axes: (inputs, outputs)") }
        guard x.last == kernel[0] else { throw fail("input has \(x.last) features, kernel was built for \(kernel[0])") }
        guard bias == [kernel[1]] else { throw fail("bias must have one number for each of \(kernel[1]) outputs") }
        return [TensorSpec(try Shape(checked: x.sizes.dropLast() + [kernel[1]]), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let rows = inputs[0].shape.sizes.dropLast().reduce(1, &*)
        return try productKernel(
            inputs[0].type, m: rows, n: inputs[1].shape[1], k: inputs[1].shape[0], hasBias: true,
            activation: activation)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        var upstream = context.upstream
        if activation == .relu { upstream = try reluGradient(upstream, context.outputs[0]) }
        let product = GradientContext(
            inputs: Array(context.inputs.prefix(2)), outputs: context.outputs, outputGradients: [upstream],
            needs: context.needs)
        return try MatMul().gradient(product) + [context.needs[2] ? sumOfRows(upstream) : nil]
    }
}

/// activation(x kernel + bias) in one pass; x (..., k), kernel (k, n), bias (n,).
package func denseBias(
    _ x: Value, _ kernel: Value, _ bias: Value, activation: FusedActivation = .none
) throws -> Value {
    try DLGraph.apply(DenseBias(activation: activation), x, kernel, bias)
}
