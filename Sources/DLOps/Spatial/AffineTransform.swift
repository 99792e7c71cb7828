import DLBase
import DLGraph
import DLKernels
import DLTensor

private let numericTypes: [ElementType] = [.float32, .float64, .int32, .int64]

/// Where something is seen has no gradient here; a silent zero would be wrong.
private func refuseGradient(_ context: GradientContext, _ input: String, _ operation: String) throws {
    guard context.needs[1] else { return }
    throw DLError(.unsupported, "[\(operation)] there is no gradient for '\(input)'. Received: a wish for it")
}

private let samplingArguments = [
    Argument(
        "fill_mode", .choice(BorderMode.allCases.map(\.rawValue)), "constant",
        "what stands outside: one number, the border's element on and on (nearest), mirrored with it (reflect) or without it "
            + "(mirror), or from the other side (wrap)"),
    Argument("fill_value", .float(Argument.anyFloat), 0, "the number outside, for constant"),
]

/// Pictures seen through affine maps.
struct AffineTransform: DeclaredOperation {
    var isLinear = true
    var border = BorderMode.constant
    var fill = 0.0
    var dataFormat = DataFormat.channelsLast
    /// From the result back to the picture.
    var isGradient = false

    static let declaration = Declaration<any Operation>(
        "affine_transform", "Pictures turned, moved, stretched and sheared, each by a map of its own.",
        formula: "y[n, i, j, c] = x[n, b0 j + b1 i + b2, a0 j + a1 i + a2, c], interpolated; a map is (a0, a1, a2, b0, b1, b2, 0, 0)",
        source: "Keras 3, keras.ops.image.affine_transform",
        shapes: "images (N, H, W, C) or (H, W, C), transform (N, 8) or (8,), which has no gradient -> like images",
        extra: JSONObject([("inputs", ["images", "transform"]), ("group", "image")]),
        arguments: [
            Argument("interpolation", .choice(["nearest", "bilinear"]), "bilinear", "how elements between others come about")
        ] + samplingArguments + [
            ImageAxes.formatArgument, Argument("gradient", .bool, false, "whether it is the gradient for the pictures"),
        ]
    ) {
        AffineTransform(
            isLinear: $0.string("interpolation") == "bilinear", border: BorderMode(rawValue: $0.string("fill_mode")) ?? .constant,
            fill: $0.float("fill_value"), dataFormat: DataFormat($0), isGradient: $0.bool("gradient"))
    }

    static var samples: [OperationSample] {
        // Whole numbers, of which nobody wants a gradient.
        let turned: [Double] = [0, -1, 2, 2, 1, -1, 0, 0]
        return BorderMode.allCases.map { border in
            OperationSample(
                .uniform([1, 4, 3, 2]), .given(turned, [8], .int32),
                attributes: ["fill_mode": .string(border.rawValue), "fill_value": 0.5])
        } + [
            OperationSample(
                .uniform([2, 1, 3, 4]), .given(turned + [1, 0, 1, 0, 1, 2, 0, 0], [2, 8], .int32),
                attributes: ["interpolation": "nearest", "data_format": "channels_first", "fill_mode": "reflect"]),
            OperationSample(.uniform([3, 3, 2]), .given(turned, [8], .int32), attributes: ["gradient": true]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            AffineTransform.declaration, ("interpolation", isLinear ? "bilinear" : "nearest"),
            ("fill_mode", .string(border.rawValue)), ("fill_value", .double(fill)),
            ("data_format", .string(dataFormat.rawValue)), ("gradient", .bool(isGradient)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        try expectType(inputs[1], numericTypes, name)
        _ = try ImageAxes(inputs[0].shape, dataFormat, name)
        let (images, maps) = (inputs[0].shape, inputs[1].shape)
        let count = images.rank == 4 ? images[0] : 1
        guard maps == [8] || maps.rank == 2 && maps[1] == 8 && (maps[0] == count || maps[0] == 1) else {
            throw DLError(
                .shape, "[\(name)] transform must have 8 numbers, for all pictures or for each. "
                    + received(("images", inputs[0]), ("transform", inputs[1])))
        }
        return [inputs[0]]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        if inputs[0].type != inputs[1].type {
            return [try DLGraph.apply(self, inputs[0], cast(inputs[1], inputs[0].type))]
        }
        guard dataFormat == .channelsFirst || inputs[0].shape.rank == 3 else { return nil }
        let single = inputs[0].shape.rank == 3
        var x = single ? try expandDims(inputs[0], 0) : inputs[0]
        let first = dataFormat == .channelsFirst
        if first { x = try toChannelsLast(x) }
        var inner = self
        inner.dataFormat = .channelsLast
        x = try DLGraph.apply(inner, x, inputs[1])
        if first { x = try toChannelsFirst(x) }
        return [single ? try squeeze(x, axes: [0]) : x]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (x, type) = (inputs[0].shape, inputs[0].type)
        let sampling = AffineSampling(
            n: x[0], height: x[1], width: x[2], channels: x[3], isLinear: isLinear, border: border, fill: fill,
            isShared: inputs[1].shape.count == 8)
        let (runtime, isGradient) = (ThreadPool.shared.runtime, isGradient)
        return Kernel("taps") {
            if isGradient {
                sampling.gradient(runtime, $0.inputs[0], $0.inputs[1], $0.outputs[0], type: type)
            } else {
                sampling(runtime, $0.inputs[0], $0.inputs[1], $0.outputs[0], type: type)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        try refuseGradient(context, "transform", name)
        var back = self
        back.isGradient.toggle()
        back.fill = 0
        return [try DLGraph.apply(back, context.upstream, context.inputs[1]), nil]
    }
}

/// Elements at coordinates that need not be whole numbers.
struct MapCoordinates: DeclaredOperation {
    var isLinear = true
    var border = BorderMode.constant
    var fill = 0.0
    /// For the gradient: sizes of the tensor it is for.
    var inputSizes: [Int]?

    static let declaration = Declaration<any Operation>(
        "map_coordinates", "Elements of a tensor at coordinates that need not be whole numbers.",
        formula: "y[k] = x at (coordinates[0, k], coordinates[1, k], ...), of the nearest element or linear between neighbours",
        source: "Keras 3, keras.ops.image.map_coordinates",
        shapes: "x (rank r), coordinates (r, ...), counted from 0, which have no gradient -> (...)",
        extra: JSONObject([("inputs", ["x", "coordinates"]), ("group", "image")]),
        arguments: [
            Argument("order", .int(0...1), 1, "0 for the nearest element, 1 for linear interpolation")
        ] + samplingArguments + [
            Argument("gradient_sizes", .optional(.shape), .null, "for the gradient: the sizes of x, and x is the gradient of y")
        ]
    ) {
        MapCoordinates(
            isLinear: $0.int("order") == 1, border: BorderMode(rawValue: $0.string("fill_mode")) ?? .constant,
            fill: $0.float("fill_value"), inputSizes: $0.has("gradient_sizes") ? $0.shape("gradient_sizes").map { $0 ?? -1 } : nil)
    }

    static var samples: [OperationSample] {
        let places: [Double] = [0, 1, 2, -1, 0, 1, 3, 0]
        return [
            OperationSample(.uniform([3, 3]), .given(places, [2, 4], .int32)),
            OperationSample(
                .uniform([3, 3]), .given(places, [2, 2, 2], .int32), attributes: ["order": 0, "fill_mode": "reflect"]),
            OperationSample(
                .uniform([3, 2]), .given(places, [2, 4], .int32), attributes: ["fill_mode": "wrap"]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            MapCoordinates.declaration, ("order", isLinear ? 1 : 0), ("fill_mode", .string(border.rawValue)),
            ("fill_value", .double(fill)), ("gradient_sizes", inputSizes.map(sizesJSON) ?? .null))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        try expectType(inputs[1], numericTypes, name)
        let places = inputs[1].shape
        let x = try inputSizes.map { try Shape(checked: $0) } ?? inputs[0].shape
        guard (1...8).contains(x.rank), places.rank >= 2, places[0] == x.rank,
            x.sizes.allSatisfy({ (1...(1 << 30)).contains($0) })
        else {
            throw DLError(
                .shape, "[\(name)] coordinates must have a row for each of 1 to 8 axes of x, none of which is empty. "
                    + received(("x", inputs[0]), ("coordinates", inputs[1])))
        }
        let result = Shape(Array(places.sizes.dropFirst()))
        if inputSizes != nil {
            guard inputs[0].shape == result else {
                throw DLError(
                    .shape, "[\(name)] the gradient must have a number for each place. "
                        + received(("x", inputs[0]), ("coordinates", inputs[1])))
            }
            return [TensorSpec(x, inputs[0].type)]
        }
        return [TensorSpec(result, inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        if inputs[0].type == inputs[1].type { return nil }
        return [try DLGraph.apply(self, inputs[0], cast(inputs[1], inputs[0].type))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (type, isGradient) = (inputs[0].type, inputSizes != nil)
        let sampling = CoordinateSampling(
            sizes: inputSizes ?? inputs[0].shape.sizes, count: isGradient ? inputs[0].shape.count : outputs[0].shape.count,
            isLinear: isLinear, border: border, fill: fill)
        let runtime = ThreadPool.shared.runtime
        return Kernel("taps") {
            if isGradient {
                sampling.gradient($0.inputs[0], $0.inputs[1], $0.outputs[0], type: type)
            } else {
                sampling(runtime, $0.inputs[0], $0.inputs[1], $0.outputs[0], type: type)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        try refuseGradient(context, "coordinates", name)
        var back = self
        back.inputSizes = inputSizes == nil ? context.inputs[0].shape.sizes : nil
        back.fill = 0
        return [try DLGraph.apply(back, context.upstream, context.inputs[1]), nil]
    }
}

/// Pictures (N, H, W, C) seen through maps (N, 8).
package func affineTransform(
    _ images: Value, _ maps: Value, isLinear: Bool, border: String, fill: Double, _ format: DataFormat = .channelsLast
) throws -> Value {
    try DLGraph.apply(
        AffineTransform(
            isLinear: isLinear, border: BorderMode(rawValue: border) ?? .constant, fill: fill, dataFormat: format),
        images, maps)
}
