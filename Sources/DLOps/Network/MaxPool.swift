import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Largest element of each window.
struct MaxPool: DeclaredOperation {
    var geometry: PoolGeometry
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "max_pool", "Largest element of each window of pictures.",
        formula: "y[n, i, j, c] = max over u < h, v < w of x[n, i s + u - p, j s + v - p, c]",
        shapes: "x (N, H, W, C) -> (N, H', W', C), H' = floor((H + top + bottom - h) / stride) + 1",
        extra: networkExtra("x"),
        arguments: PoolGeometry.arguments + [DataFormat.argument]
    ) { MaxPool(geometry: try PoolGeometry($0), dataFormat: DataFormat($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 4, 6, 3], gap: 0.01), attributes: ["pool_size": 2]),
            OperationSample(
                .uniform([1, 5, 5, 2], gap: 0.01),
                attributes: ["pool_size": 3, "strides": 2, "padding": "same"]),
            OperationSample(
                .uniform([1, 2, 5, 4], gap: 0.01),
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
        return [try toChannelsFirst(DLGraph.apply(MaxPool(geometry: geometry), toChannelsLast(inputs[0])))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try PoolKernels.maximum(geometry.problem(inputs[0].shape, name), inputs[0].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [
            try DLGraph.apply(
                MaxPoolGradient(geometry: geometry), context.inputs[0], context.outputs[0], context.upstream)
        ]
    }
}

/// Sends the gradient of each window to the first of its largest elements.
struct MaxPoolGradient: DeclaredOperation {
    var geometry: PoolGeometry

    static let declaration = Declaration<any Operation>(
        "max_pool_gradient", "Gradient of max_pool: each window's goes to the first of its largest elements.",
        formula: "dx = sum of dy over the windows whose first largest element is at x",
        shapes: "x (N, H, W, C), y (N, H', W', C), dy (N, H', W', C) -> (N, H, W, C)",
        extra: networkExtra("x", "y", "dy", internal: true),
        arguments: PoolGeometry.arguments
    ) { MaxPoolGradient(geometry: try PoolGeometry($0)) }

    // y has to be the maxima of x, which random numbers are not; the gradient check reaches this through max_pool.
    static var samples: [OperationSample] {
        [
            OperationSample(
                .given([1, 5, 2, 3], [1, 2, 2, 1], .float32), .given([5], [1, 1, 1, 1], .float32),
                .given([2], [1, 1, 1, 1], .float32), attributes: ["pool_size": 2], differentiable: false)
        ]
    }

    var attributes: JSON { geometry.attributes() }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        let problem = try geometry.problem(inputs[0].shape, name)
        guard inputs[1].shape == problem.outputShape, inputs[2].shape == problem.outputShape else {
            throw DLError(
                .shape, "[\(name)] y and dy must have shape \(problem.outputShape). "
                    + received(("x", inputs[0]), ("y", inputs[1]), ("dy", inputs[2])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try PoolKernels.maximumGradient(geometry.problem(inputs[0].shape, name), inputs[0].type)
    }

    // Which element is the largest does not change with a small change of x, so only dy has a gradient.
    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[2] else { return [nil, nil, nil] }
        return [
            nil, nil,
            try DLGraph.apply(
                MaxPoolGather(geometry: geometry), context.inputs[0], context.inputs[1], context.upstream),
        ]
    }
}

/// Picks, for each window, the element of `u` that lies where the window of x has its first largest element.
struct MaxPoolGather: DeclaredOperation {
    var geometry: PoolGeometry

    static let declaration = Declaration<any Operation>(
        "max_pool_gather", "Elements of u at the places where the windows of x have their largest elements.",
        formula: "z[window] = u[first position of the maximum of x in the window]",
        shapes: "x (N, H, W, C), y = max_pool(x) (N, H', W', C), u (N, H, W, C) -> (N, H', W', C)",
        extra: networkExtra("x", "y", "u", internal: true),
        arguments: PoolGeometry.arguments
    ) { MaxPoolGather(geometry: try PoolGeometry($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .given([1, 5, 2, 3], [1, 2, 2, 1], .float32), .given([5], [1, 1, 1, 1], .float32),
                .given([7, 8, 9, 10], [1, 2, 2, 1], .float32), attributes: ["pool_size": 2], differentiable: false)
        ]
    }

    var attributes: JSON { geometry.attributes() }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        let problem = try geometry.problem(inputs[0].shape, name)
        guard inputs[1].shape == problem.outputShape, inputs[2].shape == inputs[0].shape else {
            throw DLError(
                .shape, "[\(name)] y must have shape \(problem.outputShape) and u the shape of x. "
                    + received(("x", inputs[0]), ("y", inputs[1]), ("u", inputs[2])))
        }
        return [inputs[1]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        PoolKernels.gather(try geometry.problem(inputs[0].shape, name), inputs[0].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[2] else { return [nil, nil, nil] }
        return [
            nil, nil,
            try DLGraph.apply(
                MaxPoolGradient(geometry: geometry), context.inputs[0], context.inputs[1], context.upstream),
        ]
    }
}

/// Largest element of each window of x (N, H, W, C). Strides nil: windows side by side.
package func maxPool(
    _ x: Value, poolSize: [Int], strides: [Int]? = nil, padding: Padding = .valid,
    dataFormat: DataFormat = .channelsLast
) throws -> Value {
    let geometry = PoolGeometry(size: poolSize, strides: strides, padding: padding)
    return try DLGraph.apply(MaxPool(geometry: geometry, dataFormat: dataFormat), x)
}

/// The elements of y where the windows of x have their largest elements; what max pooling of x makes is as large as y.
package func maxUnpool(_ y: Value, _ x: Value, poolSize: [Int], strides: [Int]? = nil, padding: Padding = .valid) throws -> Value {
    let geometry = PoolGeometry(size: poolSize, strides: strides, padding: padding)
    let source = try stopGradient(x)
    return try DLGraph.apply(MaxPoolGradient(geometry: geometry), source, maxPool(source, poolSize: poolSize, strides: strides, padding: padding), y)
}
