import DLBase
import DLGraph
import DLTensor

/// Windows over sequences and volumes. Both are made of pooling of pictures: a sequence is a picture of height 1, and the
/// largest or the mean element of a box is that of the planes' windows, since the windows of a plane are equally large.
struct SpatialPool: Operation {
    /// 1 or 3.
    let rank: Int
    let isMaximum: Bool
    var size: [Int]
    var strides: [Int]
    var isSame = false
    var dataFormat = DataFormat.channelsLast

    init(
        isMaximum: Bool, size: [Int], strides: [Int]? = nil, isSame: Bool = false,
        dataFormat: DataFormat = .channelsLast
    ) {
        rank = size.count
        self.isMaximum = isMaximum
        self.size = size
        self.strides = strides ?? size
        self.isSame = isSame
        self.dataFormat = dataFormat
    }

    var name: String { SpatialPool.name(rank, isMaximum) }

    private static func name(_ rank: Int, _ isMaximum: Bool) -> String { "\(isMaximum ? "max" : "average")_pool\(rank)d" }

    var attributes: JSON {
        var object = JSONObject([("pool_size", sizesJSON(size))])
        if strides != size { object["strides"] = sizesJSON(strides) }
        if isSame { object["padding"] = "same" }
        if dataFormat == .channelsFirst { object["data_format"] = .string(dataFormat.rawValue) }
        return .object(object)
    }

    private static func declaration(_ rank: Int, _ isMaximum: Bool) -> Declaration<any Operation> {
        let what = rank == 1 ? "sequences" : "volumes"
        let first = isMaximum ? "Largest element" : "Mean"
        return Declaration(
            name(rank, isMaximum), "\(first) of each window of \(what)"
                + (isMaximum ? "." : "; what lies in the padding does not count."),
            formula: rank == 1
                ? "y[n, i, c] = \(isMaximum ? "max" : "mean") over u < k of x[n, i s + u - p, c]"
                : "y[n, h, i, j, c] = \(isMaximum ? "max" : "mean") over t, u, v of x[n, h s + t - p, i s + u - p, j s + v - p, c]",
            source: "Keras 3, keras.ops.\(isMaximum ? "max" : "average")_pool",
            shapes: rank == 1
                ? "x (N, L, C) -> (N, L', C), L' = floor((L - k) / stride) + 1, for 'same' ceil(L / stride)"
                : "x (N, D, H, W, C) -> (N, D', H', W', C), H' = floor((H - k) / stride) + 1, for 'same' ceil(H / stride)",
            extra: networkExtra("x"),
            arguments: [
                Argument("pool_size", .size(minimum: 1), nil, "sizes of the window"),
                Argument(
                    "strides", .optional(.size(minimum: 1)), .null,
                    "steps from one window to the next; null for windows side by side"),
                Argument("padding", .choice(["valid", "same"]), "valid", "'valid' for none, 'same' for ceil(size / stride) outputs"),
                Argument(
                    "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
                    "where the channels are: the last axis, or the second, which is converted before and after"),
            ]
        ) {
            SpatialPool(
                isMaximum: isMaximum, size: try $0.sizes("pool_size", rank),
                strides: $0.has("strides") ? try $0.sizes("strides", rank) : nil, isSame: $0.string("padding") == "same",
                dataFormat: DataFormat($0))
        }
    }

    static var entries: [OperationEntry] {
        [true, false].flatMap { isMaximum -> [OperationEntry] in
            let gap = isMaximum ? 0.01 : 0
            return [
                OperationEntry(
                    declaration(1, isMaximum),
                    samples: [
                        OperationSample(.uniform([2, 7, 3], gap: gap), attributes: ["pool_size": 2]),
                        OperationSample(
                            .uniform([1, 2, 6], gap: gap),
                            attributes: ["pool_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"]),
                    ]),
                OperationEntry(
                    declaration(3, isMaximum),
                    samples: [
                        OperationSample(.uniform([1, 4, 2, 3, 2], gap: gap), attributes: ["pool_size": [2, 2, 1]]),
                        OperationSample(
                            .uniform([1, 3, 4, 3, 1], gap: gap),
                            attributes: ["pool_size": [2, 3, 2], "strides": [2, 1, 2], "padding": "same"]),
                        OperationSample(
                            .uniform([1, 2, 3, 2, 2], gap: gap),
                            attributes: ["pool_size": 2, "strides": 1, "data_format": "channels_first"]),
                    ]),
            ]
        }
    }

    /// Shapes of the pictures of one or two poolings: what goes in and how the window moves.
    private func steps(_ x: Shape) throws -> [(input: Shape, geometry: PoolGeometry)] {
        let padding: Padding = isSame ? .same : .valid
        if rank == 1 {
            let input = try Shape(checked: [x[0], 1, x[1], x[2]])
            return [(input, PoolGeometry(size: [1, size[0]], strides: [1, strides[0]], padding: padding))]
        }
        let planes = try Shape(checked: [x[0], x[1]]).count
        let input = try Shape(checked: [planes, x[2], x[3], x[4]])
        let inPlane = PoolGeometry(size: [size[1], size[2]], strides: [strides[1], strides[2]], padding: padding)
        let middle = try inPlane.problem(input, name).outputShape
        let columns = try Shape(checked: [x[0], x[1], Shape(checked: [middle[1], middle[2]]).count, x[4]])
        return [(input, inPlane), (columns, PoolGeometry(size: [size[0], 1], strides: [strides[0], 1], padding: padding))]
    }

    /// Sizes in the order of channels last.
    private func lastOrder(_ shape: Shape) -> Shape {
        guard dataFormat == .channelsFirst else { return shape }
        return Shape([shape[0]] + shape.sizes[2...] + [shape[1]])
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        guard inputs[0].shape.rank == rank + 2, strides.count == rank else {
            throw DLError(
                .shape, "[\(name)] input must have \(rank + 2) axes: "
                    + (rank == 1 ? "(batch, steps, channels)" : "(batch, depth, height, width, channels)")
                    + ". Received: input \(inputs[0].shape)")
        }
        let x = lastOrder(inputs[0].shape)
        let steps = try steps(x)
        var result: [Int]
        if rank == 1 {
            result = [x[0], try steps[0].geometry.problem(steps[0].input, name).ow, x[2]]
        } else {
            let plane = try steps[0].geometry.problem(steps[0].input, name)
            result = [x[0], try steps[1].geometry.problem(steps[1].input, name).oh, plane.oh, plane.ow, x[4]]
        }
        if dataFormat == .channelsFirst { result.insert(result.removeLast(), at: 1) }
        return [TensorSpec(Shape(result), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        let shape = try outputs(for: inputs.map(\.spec))[0].shape
        let first = dataFormat == .channelsFirst
        var x = first ? try transpose(inputs[0], [0] + Array(2..<rank + 2) + [1]) : inputs[0]
        for step in try steps(x.shape) {
            x = try reshape(x, step.input.sizes)
            x = isMaximum
                ? try DLGraph.apply(MaxPool(geometry: step.geometry), x)
                : try DLGraph.apply(AveragePool(geometry: step.geometry), x)
        }
        let y = try reshape(x, lastOrder(shape).sizes)
        return [first ? try transpose(y, [0, rank + 1] + Array(1...rank)) : y]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations")
    }
}

/// Pooling of sequences, pictures or volumes with channels last, by the number of sizes.
package func spatialPool(_ x: Value, isMaximum: Bool, size: [Int], strides: [Int]? = nil, isSame: Bool = false) throws -> Value {
    guard size.count == 2 else {
        return try DLGraph.apply(SpatialPool(isMaximum: isMaximum, size: size, strides: strides, isSame: isSame), x)
    }
    let padding: Padding = isSame ? .same : .valid
    return isMaximum
        ? try maxPool(x, poolSize: size, strides: strides, padding: padding)
        : try averagePool(x, poolSize: size, strides: strides, padding: padding)
}
