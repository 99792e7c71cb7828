import DLBase
import DLGraph
import DLKernels
import DLTensor

/// What a product or a convolution does with its sums before it writes them.
package enum FusedActivation: String, Sendable {
    case none
    case relu

    static let argument = Argument(
        "activation", .choice(["none", "relu"]), "none", "what is applied to the sums before they are written")

    init(_ arguments: Arguments) { self = FusedActivation(rawValue: arguments.string("activation")) ?? .none }

    var kernel: KernelActivation { self == .relu ? .relu : .none }
}

/// Two-dimensional convolution, as networks mean it: the kernel is not flipped.
struct Conv2D: DeclaredOperation {
    var geometry: Conv2DGeometry
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "conv2d", "Two-dimensional convolution of pictures with a kernel.",
        formula: "y[n, i, j, f] = sum over u, v, c of x[n, i s + u d - p, j s + v d - p, c] w[u, v, c, f]",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
        shapes: "x (N, H, W, C), kernel (h, w, C / groups, F) -> (N, H', W', F), "
            + "H' = floor((H + top + bottom - dilation (h - 1) - 1) / stride) + 1",
        extra: networkExtra("x", "kernel"),
        arguments: Conv2DGeometry.arguments + [DataFormat.argument]
    ) { Conv2D(geometry: try Conv2DGeometry($0), dataFormat: DataFormat($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 5, 6, 3]), .uniform([3, 2, 3, 4])),
            OperationSample(
                .uniform([1, 6, 7, 2]), .uniform([3, 3, 2, 3]), attributes: ["padding": "same", "strides": [2, 2]]),
            OperationSample(
                .uniform([2, 7, 6, 4]), .uniform([2, 3, 2, 6]),
                attributes: ["dilation_rate": [2, 1], "groups": 2, "padding": [1, 0, 2, 1]]),
            OperationSample(
                .uniform([1, 3, 5, 4]), .uniform([2, 2, 3, 2]), attributes: ["data_format": "channels_first"]),
        ]
    }

    var attributes: JSON {
        dataFormat == .channelsLast
            ? geometry.attributes() : geometry.attributes(("data_format", .string(dataFormat.rawValue)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let problem = try geometry.problem(
            input: dataFormat.lastOrder(inputs[0].shape), kernel: inputs[1].shape, name)
        return [TensorSpec(dataFormat.ownOrder(problem.outputShape), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard dataFormat == .channelsFirst, inputs.count == 2, inputs[0].shape.rank == 4 else { return nil }
        let y = try DLGraph.apply(Conv2D(geometry: geometry), toChannelsLast(inputs[0]), inputs[1])
        return [try toChannelsFirst(y)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try Conv2D.kernel(geometry, inputs, activation: .none, name)
    }

    /// The kernel of a convolution of inputs x, kernel and perhaps bias.
    static func kernel(
        _ geometry: Conv2DGeometry, _ inputs: [TensorSpec], activation: FusedActivation, _ operation: String
    ) throws -> Kernel {
        let problem = try geometry.problem(input: inputs[0].shape, kernel: inputs[1].shape, operation)
        let forward = Convolution2DForward(problem)
        let hasBias = inputs.count == 3
        if inputs[0].type == .float64 {
            return Kernel("reference") { arguments in
                forward.run(
                    x: arguments.input(0, Double.self), w: arguments.input(1), bias: hasBias ? arguments.input(2) : nil,
                    activation: activation.kernel, y: arguments.output(0))
            }
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel(forward.choice, flops: problem.flops, scratchBytes: forward.scratchBytes) { arguments in
            forward.run(
                x: arguments.input(0, Float.self), w: arguments.input(1), bias: hasBias ? arguments.input(2) : nil,
                activation: activation.kernel, y: arguments.output(0), scratch: arguments.scratch, runtime: runtime)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, kernel) = (context.inputs[0], context.inputs[1])
        return try Conv2D.gradients(geometry, x, kernel, context.upstream, context.needs)
    }

    /// Gradients of a convolution for its input and its kernel, where wanted.
    static func gradients(
        _ geometry: Conv2DGeometry, _ x: Value, _ kernel: Value, _ upstream: Value, _ needs: [Bool]
    ) throws -> [Value?] {
        [
            needs[0] ? try conv2dBackwardData(upstream, kernel, inputSize: [x.shape[1], x.shape[2]], geometry) : nil,
            needs[1]
                ? try conv2dBackwardWeights(x, upstream, kernelSize: [kernel.shape[0], kernel.shape[1]], geometry) : nil,
        ]
    }
}

/// Two-dimensional convolution of x (N, H, W, C) with kernel (h, w, C / groups, F).
package func conv2d(
    _ x: Value, _ kernel: Value, strides: [Int] = [1, 1], padding: Padding = .valid, dilation: [Int] = [1, 1],
    groups: Int = 1, dataFormat: DataFormat = .channelsLast
) throws -> Value {
    let geometry = Conv2DGeometry(strides: strides, padding: padding, dilation: dilation, groups: groups)
    return try DLGraph.apply(Conv2D(geometry: geometry, dataFormat: dataFormat), x, kernel)
}
