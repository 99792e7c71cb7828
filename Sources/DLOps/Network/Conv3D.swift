import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Three-dimensional convolution, as networks mean it: the kernel is not flipped.
struct Conv3D: DeclaredOperation {
    var geometry: Conv3DGeometry
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "conv3d", "Three-dimensional convolution of volumes with a kernel.",
        formula: "y[n, h, i, j, f] = sum over t, u, v, c of "
            + "x[n, h s + t d - p, i s + u d - p, j s + v d - p, c] w[t, u, v, c, f]",
        source: "S. Ji et al.: 3D convolutional neural networks for human action recognition, 2013",
        shapes: "x (N, D, H, W, C), kernel (d, h, w, C / groups, F) -> (N, D', H', W', F), "
            + "H' = floor((H + padding - dilation (h - 1) - 1) / stride) + 1, the others likewise",
        extra: networkExtra("x", "kernel"),
        arguments: Conv3DGeometry.arguments + [
            Argument(
                "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
                "where the channels are: channels_last (N, D, H, W, C), the layout of the kernels, or channels_first "
                    + "(N, C, D, H, W), which is converted before and after")
        ]
    ) { Conv3D(geometry: try Conv3DGeometry($0), dataFormat: DataFormat($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 3, 4, 3, 2]), .uniform([2, 3, 2, 2, 3])),
            OperationSample(
                .uniform([1, 4, 3, 5, 2]), .uniform([3, 2, 3, 1, 4]),
                attributes: ["padding": "same", "strides": [2, 1, 2], "groups": 2]),
            OperationSample(
                .uniform([1, 5, 3, 3, 1]), .uniform([3, 2, 1, 1, 2]), attributes: ["dilation_rate": [2, 1, 1]]),
            OperationSample(
                .uniform([1, 2, 3, 3, 3]), .uniform([2, 2, 2, 2, 2]), attributes: ["data_format": "channels_first"]),
        ]
    }

    var attributes: JSON {
        dataFormat == .channelsLast
            ? geometry.attributes() : geometry.attributes(("data_format", .string(dataFormat.rawValue)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let x = inputs[0].shape
        let first = dataFormat == .channelsFirst && x.rank == 5
        let problem = try geometry.problem(
            input: first ? [x[0], x[2], x[3], x[4], x[1]] : x, kernel: inputs[1].shape, name)
        let y = problem.volumeOutputShape
        return [TensorSpec(first ? [y[0], y[4], y[1], y[2], y[3]] : y, inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard dataFormat == .channelsFirst, inputs.count == 2, inputs[0].shape.rank == 5 else { return nil }
        let x = try transpose(inputs[0], [0, 2, 3, 4, 1])
        return [try transpose(DLGraph.apply(Conv3D(geometry: geometry), x, inputs[1]), [0, 4, 1, 2, 3])]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let forward = Convolution2DForward(try geometry.problem(input: inputs[0].shape, kernel: inputs[1].shape, name))
        if inputs[0].type == .float64 {
            return Kernel("reference") { arguments in
                forward.run(x: arguments.input(0, Double.self), w: arguments.input(1), y: arguments.output(0))
            }
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel(forward.choice, flops: forward.problem.flops, scratchBytes: forward.scratchBytes) { arguments in
            forward.run(
                x: arguments.input(0, Float.self), w: arguments.input(1), y: arguments.output(0),
                scratch: arguments.scratch, runtime: runtime)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, kernel) = (context.inputs[0], context.inputs[1])
        return [
            context.needs[0]
                ? try DLGraph.apply(
                    Conv3DBackwardData(geometry: geometry, inputSize: middleSizes(x)), context.upstream, kernel) : nil,
            context.needs[1]
                ? try DLGraph.apply(
                    Conv3DBackwardWeights(geometry: geometry, kernelSize: Array(kernel.shape.sizes.prefix(3))), x,
                    context.upstream) : nil,
        ]
    }
}

/// Depth, height and width of (N, D, H, W, C).
private func middleSizes(_ x: Value) -> [Int] { Array(x.shape.sizes.dropFirst().dropLast()) }

/// The gradient of conv3d for its input.
struct Conv3DBackwardData: DeclaredOperation {
    var geometry: Conv3DGeometry
    /// Depth, height and width of the result: with strides several sizes lead to the same dy.
    var inputSize: [Int]

    static let declaration = Declaration<any Operation>(
        "conv3d_backward_data", "Gradient of conv3d for its input.",
        formula: "dx[n, h, i, j, c] = sum of dy[n, h', i', j', f] w[t, u, v, c, f] over h' s + t d - p = h and so on",
        shapes: "dy (N, D', H', W', F), kernel (d, h, w, C / groups, F) -> (N, D, H, W, C)",
        extra: networkExtra("dy", "kernel", internal: true),
        arguments: [
            Argument("input_size", .size(minimum: 1), nil, "depth, height and width of the result")
        ] + Conv3DGeometry.arguments
    ) { Conv3DBackwardData(geometry: try Conv3DGeometry($0), inputSize: try $0.sizes("input_size", 3)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([1, 2, 2, 3, 3]), .uniform([2, 2, 1, 2, 3]), attributes: ["input_size": [3, 3, 3]]),
            OperationSample(
                .uniform([1, 2, 2, 1, 2]), .uniform([3, 2, 2, 1, 2]),
                attributes: ["input_size": [4, 3, 1], "strides": [2, 2, 2], "padding": "same", "groups": 2]),
        ]
    }

    var attributes: JSON { geometry.attributes(("input_size", sizesJSON(inputSize))) }

    private func problem(_ inputs: [TensorSpec]) throws -> Convolution2DProblem {
        let (dy, kernel) = (inputs[0].shape, inputs[1].shape)
        let text = received(("dy", inputs[0]), ("kernel", inputs[1]))
        guard dy.rank == 5, kernel.rank == 5 else {
            throw DLError(.shape, "[\(name)] dy and kernel must have 5 axes. " + text)
        }
        let (channels, overflow) = kernel[3].multipliedReportingOverflow(by: geometry.groups)
        guard !overflow, channels <= Int(Int32.max), inputSize.count == 3, inputSize.allSatisfy({ $0 >= 1 }) else {
            throw DLError(.shape, "[\(name)] the result's sizes are out of range. " + text)
        }
        let input = try Shape(checked: [dy[0]] + inputSize + [channels])
        let problem = try geometry.problem(input: input, kernel: kernel, name)
        guard problem.volumeOutputShape == dy else {
            throw DLError(
                .shape, "[\(name)] a convolution of \(input) with kernel \(kernel) gives \(problem.volumeOutputShape), not dy. "
                    + text)
        }
        return problem
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        return [TensorSpec(try problem(inputs).volumeInputShape, inputs[0].type)]
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
        return [
            context.needs[0] ? try DLGraph.apply(Conv3D(geometry: geometry), context.upstream, kernel) : nil,
            context.needs[1]
                ? try DLGraph.apply(
                    Conv3DBackwardWeights(geometry: geometry, kernelSize: Array(kernel.shape.sizes.prefix(3))),
                    context.upstream, dy) : nil,
        ]
    }
}

/// The gradient of conv3d for its kernel.
struct Conv3DBackwardWeights: DeclaredOperation {
    var geometry: Conv3DGeometry
    /// Depth, height and width of the result: with strides several sizes lead to the same dy.
    var kernelSize: [Int]

    static let declaration = Declaration<any Operation>(
        "conv3d_backward_weights", "Gradient of conv3d for its kernel.",
        formula: "dw[t, u, v, c, f] = sum over n, h, i, j of "
            + "x[n, h s + t d - p, i s + u d - p, j s + v d - p, c] dy[n, h, i, j, f]",
        shapes: "x (N, D, H, W, C), dy (N, D', H', W', F) -> (d, h, w, C / groups, F)",
        extra: networkExtra("x", "dy", internal: true),
        arguments: [
            Argument("kernel_size", .size(minimum: 1), nil, "depth, height and width of the kernel")
        ] + Conv3DGeometry.arguments
    ) { Conv3DBackwardWeights(geometry: try Conv3DGeometry($0), kernelSize: try $0.sizes("kernel_size", 3)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([1, 3, 3, 3, 2]), .uniform([1, 2, 2, 3, 3]), attributes: ["kernel_size": [2, 2, 1]]),
            OperationSample(
                .uniform([1, 4, 3, 1, 2]), .uniform([1, 2, 2, 1, 2]),
                attributes: ["kernel_size": [3, 2, 2], "strides": [2, 2, 2], "padding": "same", "groups": 2]),
        ]
    }

    var attributes: JSON { geometry.attributes(("kernel_size", sizesJSON(kernelSize))) }

    private func problem(_ inputs: [TensorSpec]) throws -> Convolution2DProblem {
        let (x, dy) = (inputs[0].shape, inputs[1].shape)
        let text = received(("x", inputs[0]), ("dy", inputs[1]))
        guard x.rank == 5, dy.rank == 5 else { throw DLError(.shape, "[\(name)] x and dy must have 5 axes. " + text) }
        guard geometry.groups >= 1, x[4] % geometry.groups == 0, kernelSize.count == 3, kernelSize.allSatisfy({ $0 >= 1 })
        else {
            throw DLError(.shape, "[\(name)] \(geometry.groups) groups do not divide \(x[4]) channels. " + text)
        }
        let kernel = try Shape(checked: kernelSize + [x[4] / geometry.groups, dy[4]])
        let problem = try geometry.problem(input: x, kernel: kernel, name)
        guard problem.volumeOutputShape == dy else {
            throw DLError(
                .shape, "[\(name)] a convolution of \(x) with kernel \(kernel) gives \(problem.volumeOutputShape), not dy. "
                    + text)
        }
        return problem
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        return [TensorSpec(try problem(inputs).volumeKernelShape, inputs[0].type)]
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
        return [
            context.needs[0]
                ? try DLGraph.apply(
                    Conv3DBackwardData(geometry: geometry, inputSize: middleSizes(x)), dy, context.upstream) : nil,
            context.needs[1] ? try DLGraph.apply(Conv3D(geometry: geometry), x, context.upstream) : nil,
        ]
    }
}

/// Three-dimensional convolution of x (N, D, H, W, C) with kernel (d, h, w, C / groups, F).
package func conv3d(_ x: Value, _ kernel: Value, _ geometry: Conv3DGeometry = Conv3DGeometry()) throws -> Value {
    try DLGraph.apply(Conv3D(geometry: geometry), x, kernel)
}
