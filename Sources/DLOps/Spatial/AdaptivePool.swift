import DLBase
import DLGraph
import DLTensor

/// Windows whose number is given; they cover sequences, pictures and volumes of any size. One axis after the other.
struct AdaptivePool: Operation {
    let isMaximum: Bool
    var size: [Int]
    var dataFormat = DataFormat.channelsLast

    var name: String { AdaptivePool.name(isMaximum) }

    private static func name(_ isMaximum: Bool) -> String { "adaptive_\(isMaximum ? "max" : "average")_pool" }

    var attributes: JSON {
        var object = JSONObject([("output_size", sizesJSON(size))])
        if dataFormat == .channelsFirst { object["data_format"] = .string(dataFormat.rawValue) }
        return .object(object)
    }

    static var entries: [OperationEntry] {
        [false, true].map { isMaximum in
            let gap = isMaximum ? 0.01 : 0
            return OperationEntry(
                Declaration(
                    name(isMaximum), "\(isMaximum ? "Largest elements" : "Means") of windows whose number is given.",
                    formula: "window i of m covers floor(i n / m) up to ceil((i + 1) n / m) of an axis of size n, counted from 0",
                    source: "Keras 3, keras.ops.\(name(isMaximum))",
                    shapes: "x (N, ..., C) with 1 to 3 axes between -> (N, output_size, C)", extra: networkExtra("x"),
                    arguments: [
                        Argument("output_size", .size(minimum: 1), nil, "windows along each axis; one number for all"),
                        Argument(
                            "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
                            "where the channels are: the last axis, or the second, which is converted before and after"),
                    ]
                ) { arguments in
                    let given = arguments["output_size"]
                    return AdaptivePool(
                        isMaximum: isMaximum, size: given.intValue.map { [$0] } ?? arguments.ints("output_size"),
                        dataFormat: DataFormat(arguments))
                },
                samples: [
                    OperationSample(.uniform([2, 7, 2], gap: gap), attributes: ["output_size": 3]),
                    OperationSample(.uniform([1, 4, 6, 2], gap: gap), attributes: ["output_size": [2, 3]]),
                    OperationSample(
                        .uniform([1, 2, 5, 4], gap: gap), attributes: ["output_size": [2, 3], "data_format": "channels_first"]),
                ])
        }
    }

    private func sizes(_ shape: Shape) throws -> [Int] {
        let rank = shape.rank - 2
        let sizes = size.count == 1 && rank > 0 ? [Int](repeating: size[0], count: rank) : size
        guard (1...3).contains(rank), sizes.count == rank else {
            throw DLError(
                .shape, "[\(name)] input must have 3 to 5 axes, and output_size a number for each but batch and channels. "
                    + "Received: input \(shape), output_size \(Shape(size))")
        }
        let middle = dataFormat == .channelsFirst ? shape.sizes[2...] : shape.sizes[1...rank]
        guard (sizes + middle).allSatisfy({ (1...Resample.largest).contains($0) }) else {
            throw DLError(
                .shape, "[\(name)] sizes must be from 1 to \(Resample.largest). "
                    + "Received: input \(shape), output_size \(Shape(size))")
        }
        return sizes
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        let shape = inputs[0].shape
        let sizes = try sizes(shape)
        let result = dataFormat == .channelsFirst ? [shape[0], shape[1]] + sizes : [shape[0]] + sizes + [shape.last]
        return [TensorSpec(try Shape(checked: result), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        var x = inputs[0]
        let sizes = try sizes(x.shape)
        let rank = sizes.count
        let first = dataFormat == .channelsFirst
        if first { x = try transpose(x, [0] + Array(2..<rank + 2) + [1]) }
        for axis in 1...rank where x.shape[axis] != sizes[axis - 1] {
            x = try isMaximum
                ? maxima(x, axis, sizes[axis - 1]) : resample(x, axis: axis, size: sizes[axis - 1], .area)
        }
        return [first ? try transpose(x, [0, rank + 1] + Array(1...rank)) : x]
    }

    /// Windows of different lengths are brought to one by repeating their last element.
    private func maxima(_ x: Value, _ axis: Int, _ count: Int) throws -> Value {
        let n = x.shape[axis]
        let starts = (0..<count).map { $0 * n / count }
        let ends = (1...count).map { ($0 * n + count - 1) / count }
        let longest = zip(starts, ends).map { $1 - $0 }.max() ?? 1
        var y = x
        if n != count * longest {
            let positions = zip(starts, ends).flatMap { start, end in
                (0..<longest).map { Int32(Swift.min(start + $0, end - 1)) }
            }
            y = try take(y, Value(Tensor(positions)), axis: axis)
        }
        var result = x.shape.sizes
        result[axis] = count
        let outer = x.shape.sizes[..<axis].reduce(1, *), inner = x.shape.sizes[(axis + 1)...].reduce(1, *)
        y = try reshape(y, [outer, count * longest, 1, inner])
        return try reshape(maxPool(y, poolSize: [longest, 1]), result)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations")
    }
}

/// Largest or mean elements of windows, as many along each axis between batch and channels as `size` says.
package func adaptivePool(_ x: Value, isMaximum: Bool, size: [Int], dataFormat: DataFormat = .channelsLast) throws -> Value {
    try DLGraph.apply(AdaptivePool(isMaximum: isMaximum, size: size, dataFormat: dataFormat), x)
}
