import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Mean of each window; padding does not count.
struct AveragePool: DeclaredOperation {
    var geometry: PoolGeometry
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "average_pool", "Mean of each window of pictures; what lies in the padding does not count.",
        formula: "y[n, i, j, c] = mean over u < h, v < w of x[n, i s + u - p, j s + v - p, c]",
        shapes: "x (N, H, W, C) -> (N, H', W', C), H' = floor((H + top + bottom - h) / stride) + 1",
        extra: networkExtra("x"),
        arguments: PoolGeometry.arguments + [DataFormat.argument]
    ) { AveragePool(geometry: try PoolGeometry($0), dataFormat: DataFormat($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 4, 6, 3]), attributes: ["pool_size": 2]),
            OperationSample(
                .uniform([1, 5, 5, 2]), attributes: ["pool_size": 3, "strides": 2, "padding": "same"]),
            OperationSample(
                .uniform([1, 2, 5, 4]),
                attributes: ["pool_size": [2, 3], "strides": 1, "data_format": "channels_first"]),
        ]
    }

    var attributes: JSON {
        dataFormat == .channelsLast
            ? geometry.attributes() : geometry.attributes(("data_format", .string(dataFormat.rawValue)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        let problem = try geometry.problem(dataFormat.lastOrder(inputs[0].shape), name)
        return [TensorSpec(dataFormat.ownOrder(problem.outputShape), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard dataFormat == .channelsFirst, inputs.count == 1, inputs[0].shape.rank == 4 else { return nil }
        return [try toChannelsFirst(DLGraph.apply(AveragePool(geometry: geometry), toChannelsLast(inputs[0])))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try PoolKernels.average(geometry.problem(inputs[0].shape, name), inputs[0].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let shape = context.inputs[0].shape
        return [
            try DLGraph.apply(
                AveragePoolGradient(geometry: geometry, inputSize: [shape[1], shape[2]]), context.upstream)
        ]
    }
}

/// Spreads the gradient of each window evenly over its elements.
struct AveragePoolGradient: DeclaredOperation {
    var geometry: PoolGeometry
    /// Height and width of the result: with strides several sizes lead to the same dy.
    var inputSize: [Int]

    static let declaration = Declaration<any Operation>(
        "average_pool_gradient", "Gradient of average_pool: each window's is spread evenly over its elements.",
        formula: "dx = sum of dy / (elements of the window) over the windows that x lies in",
        shapes: "dy (N, H', W', C) -> (N, H, W, C)",
        extra: networkExtra("dy", internal: true),
        arguments: [Argument("input_size", .size(minimum: 1), nil, "height and width of the result")]
            + PoolGeometry.arguments
    ) { AveragePoolGradient(geometry: try PoolGeometry($0), inputSize: try $0.sizes("input_size", 2)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 2, 3, 3]), attributes: ["pool_size": 2, "input_size": [4, 6]]),
            OperationSample(
                .uniform([1, 3, 3, 2]),
                attributes: ["pool_size": 3, "strides": 2, "padding": "same", "input_size": [5, 5]]),
        ]
    }

    var attributes: JSON { geometry.attributes(("input_size", sizesJSON(inputSize))) }

    private func problem(_ dy: TensorSpec) throws -> Pool2D {
        try expectPicture(dy, name, "dy")
        let input = try Shape(checked: [dy.shape[0], inputSize[0], inputSize[1], dy.shape[3]])
        let problem = try geometry.problem(input, name)
        guard problem.outputShape == dy.shape else {
            throw DLError(
                .shape, "[\(name)] pooling of \(input) gives \(problem.outputShape), not dy. " + received(("dy", dy)))
        }
        return problem
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        return [TensorSpec(try problem(inputs[0]).inputShape, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try PoolKernels.averageGradient(problem(inputs[0]), inputs[0].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try DLGraph.apply(AveragePool(geometry: geometry), context.upstream)]
    }
}

/// Mean of each window of x (N, H, W, C); padding does not count. Strides nil: windows side by side.
package func averagePool(
    _ x: Value, poolSize: [Int], strides: [Int]? = nil, padding: Padding = .valid,
    dataFormat: DataFormat = .channelsLast
) throws -> Value {
    let geometry = PoolGeometry(size: poolSize, strides: strides, padding: padding)
    return try DLGraph.apply(AveragePool(geometry: geometry, dataFormat: dataFormat), x)
}
