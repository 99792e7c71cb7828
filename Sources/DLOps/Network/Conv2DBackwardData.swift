import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The gradient of a convolution for its input; as an operation of its own, the transposed convolution.
struct Conv2DBackwardData: DeclaredOperation {
    var geometry: Conv2DGeometry
    /// Height and width of the result: with strides several sizes lead to the same dy.
    var inputSize: [Int]

    static let declaration = Declaration<any Operation>(
        "conv2d_backward_data", "Gradient of conv2d for its input, which is also the transposed convolution.",
        formula: "dx[n, i, j, c] = sum of dy[n, i', j', f] w[u, v, c, f] over i' s + u d - p = i, j' s + v d - p = j",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
        shapes: "dy (N, H', W', F), kernel (h, w, C / groups, F) -> (N, H, W, C)",
        extra: networkExtra("dy", "kernel", internal: true),
        arguments: [
            Argument("input_size", .size(minimum: 1), nil, "height and width of the result")
        ] + Conv2DGeometry.arguments
    ) { Conv2DBackwardData(geometry: try Conv2DGeometry($0), inputSize: try $0.sizes("input_size", 2)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([2, 3, 5, 4]), .uniform([3, 2, 3, 4]), attributes: ["input_size": [5, 6]]),
            OperationSample(
                .uniform([1, 3, 4, 4]), .uniform([3, 3, 1, 4]),
                attributes: ["input_size": [6, 7], "strides": [2, 2], "padding": "same", "groups": 2]),
        ]
    }

    var attributes: JSON { geometry.attributes(("input_size", sizesJSON(inputSize))) }

    private func problem(_ inputs: [TensorSpec]) throws -> Convolution2DProblem {
        try expectPicture(inputs[0], name, "dy")
        let (dy, kernel) = (inputs[0].shape, inputs[1].shape)
        guard kernel.rank == 4 else {
            throw DLError(
                .shape, "[\(name)] kernel must have 4 axes: (height, width, channels / groups, filters). "
                    + received(("dy", inputs[0]), ("kernel", inputs[1])))
        }
        let (channels, overflow) = kernel[2].multipliedReportingOverflow(by: geometry.groups)
        guard !overflow, channels <= Int(Int32.max), inputSize.count == 2, inputSize.allSatisfy({ $0 >= 1 }) else {
            throw DLError(
                .shape, "[\(name)] the result's sizes are out of range. "
                    + received(("dy", inputs[0]), ("kernel", inputs[1])))
        }
        let input = try Shape(checked: [dy[0], inputSize[0], inputSize[1], channels])
        let problem = try geometry.problem(input: input, kernel: kernel, name)
        guard problem.outputShape == dy else {
            throw DLError(
                .shape, "[\(name)] a convolution of \(input) with kernel \(kernel) gives \(problem.outputShape), not dy. "
                    + received(("dy", inputs[0]), ("kernel", inputs[1])))
        }
        return problem
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        return [TensorSpec(try problem(inputs).inputShape, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let backward = Convolution2DBackwardData(try problem(inputs))
        if inputs[0].type == .float64 {
            return Kernel("reference") { arguments in
                backward.run(dy: arguments.input(0, Double.self), w: arguments.input(1), dx: arguments.output(0))
            }
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel(backward.choice, flops: backward.problem.flops, scratchBytes: backward.scratchBytes) { arguments in
            backward.run(
                dy: arguments.input(0, Float.self), w: arguments.input(1), dx: arguments.output(0),
                scratch: arguments.scratch, runtime: runtime)
        }
    }

    // Linear in dy and in the kernel; with respect to dy it is the convolution turned round.
    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (dy, kernel) = (context.inputs[0], context.inputs[1])
        let upstream = context.upstream
        return [
            context.needs[0] ? try DLGraph.apply(Conv2D(geometry: geometry), upstream, kernel) : nil,
            context.needs[1]
                ? try conv2dBackwardWeights(upstream, dy, kernelSize: [kernel.shape[0], kernel.shape[1]], geometry) : nil,
        ]
    }
}

/// The gradient of conv2d for an input of the given height and width; also the transposed convolution of dy.
package func conv2dBackwardData(
    _ dy: Value, _ kernel: Value, inputSize: [Int], _ geometry: Conv2DGeometry
) throws -> Value {
    try DLGraph.apply(Conv2DBackwardData(geometry: geometry, inputSize: inputSize), dy, kernel)
}
