import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The gradient of a convolution for its kernel.
struct Conv2DBackwardWeights: DeclaredOperation {
    var geometry: Conv2DGeometry
    /// Height and width of the result: with strides several sizes lead to the same dy.
    var kernelSize: [Int]

    static let declaration = Declaration<any Operation>(
        "conv2d_backward_weights", "Gradient of conv2d for its kernel.",
        formula: "dw[u, v, c, f] = sum over n, i, j of x[n, i s + u d - p, j s + v d - p, c] dy[n, i, j, f]",
        shapes: "x (N, H, W, C), dy (N, H', W', F) -> (h, w, C / groups, F)",
        extra: networkExtra("x", "dy", internal: true),
        arguments: [
            Argument("kernel_size", .size(minimum: 1), nil, "height and width of the kernel")
        ] + Conv2DGeometry.arguments
    ) { Conv2DBackwardWeights(geometry: try Conv2DGeometry($0), kernelSize: try $0.sizes("kernel_size", 2)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([2, 5, 6, 3]), .uniform([2, 3, 5, 4]), attributes: ["kernel_size": [3, 2]]),
            OperationSample(
                .uniform([2, 6, 7, 2]), .uniform([2, 3, 4, 4]),
                attributes: ["kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "groups": 2]),
        ]
    }

    var attributes: JSON { geometry.attributes(("kernel_size", sizesJSON(kernelSize))) }

    private func problem(_ inputs: [TensorSpec]) throws -> Convolution2DProblem {
        try expectPicture(inputs[0], name, "x")
        try expectPicture(inputs[1], name, "dy")
        let (x, dy) = (inputs[0].shape, inputs[1].shape)
        guard geometry.groups >= 1, x[3] % geometry.groups == 0, kernelSize.count == 2,
            kernelSize.allSatisfy({ $0 >= 1 })
        else {
            throw DLError(
                .shape, "[\(name)] \(geometry.groups) groups do not divide \(x[3]) channels. "
                    + received(("x", inputs[0]), ("dy", inputs[1])))
        }
        let kernel = try Shape(checked: [kernelSize[0], kernelSize[1], x[3] / geometry.groups, dy[3]])
        let problem = try geometry.problem(input: x, kernel: kernel, name)
        guard problem.outputShape == dy else {
            throw DLError(
                .shape, "[\(name)] a convolution of \(x) with kernel \(kernel) gives \(problem.outputShape), not dy. "
                    + received(("x", inputs[0]), ("dy", inputs[1])))
        }
        return problem
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        return [TensorSpec(try problem(inputs).kernelShape, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let backward = Convolution2DBackwardWeights(try problem(inputs))
        if inputs[0].type == .float64 {
            return Kernel("reference") { arguments in
                backward.run(x: arguments.input(0, Double.self), dy: arguments.input(1), dw: arguments.output(0))
            }
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel(backward.choice, flops: backward.problem.flops, scratchBytes: backward.scratchBytes) { arguments in
            backward.run(
                x: arguments.input(0, Float.self), dy: arguments.input(1), dw: arguments.output(0),
                scratch: arguments.scratch, runtime: runtime)
        }
    }

    // Linear in x and in dy.
    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, dy) = (context.inputs[0], context.inputs[1])
        let upstream = context.upstream
        return [
            context.needs[0]
                ? try conv2dBackwardData(dy, upstream, inputSize: [x.shape[1], x.shape[2]], geometry) : nil,
            context.needs[1] ? try DLGraph.apply(Conv2D(geometry: geometry), x, upstream) : nil,
        ]
    }
}

/// The gradient of conv2d for a kernel of the given height and width.
package func conv2dBackwardWeights(
    _ x: Value, _ dy: Value, kernelSize: [Int], _ geometry: Conv2DGeometry
) throws -> Value {
    try DLGraph.apply(Conv2DBackwardWeights(geometry: geometry, kernelSize: kernelSize), x, dy)
}
