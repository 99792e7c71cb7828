import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Pictures seen through perspective maps, or at places given one by one.
struct ImageView: DeclaredOperation {
    var isPerspective = true
    var isLinear = true
    var border = BorderMode.constant
    var fill = 0.0
    /// From the result back to the picture.
    var isGradient = false

    static let declaration = Declaration<any Operation>(
        "image_view", "Pictures seen through perspective maps, or at places given one by one.",
        formula: "y[n, i, j, c] = x[n, row, column, c], interpolated; row and column are given, or, with a map (a, b, c), "
            + "(b0 j + b1 i + b2) / d and (a0 j + a1 i + a2) / d, d = c0 j + c1 i + 1",
        shapes: "images (N, H, W, C), maps (N, 8) or places (N, H, W, 2), which have no gradient -> like images",
        extra: networkExtra("images", "view", internal: true),
        arguments: [
            Argument("perspective", .bool, true, "whether maps are given, not places"),
            Argument("interpolation", .choice(["nearest", "bilinear"]), "bilinear", "how elements between others come about"),
            Argument("fill_mode", .choice(BorderMode.allCases.map(\.rawValue)), "constant", "what stands outside"),
            Argument("fill_value", .float(Argument.anyFloat), 0, "the number outside, for constant"),
            Argument("gradient", .bool, false, "whether it is the gradient for the pictures"),
        ]
    ) {
        ImageView(
            isPerspective: $0.bool("perspective"), isLinear: $0.string("interpolation") == "bilinear",
            border: BorderMode(rawValue: $0.string("fill_mode")) ?? .constant, fill: $0.float("fill_value"),
            isGradient: $0.bool("gradient"))
    }

    static let samples = [
        OperationSample(.uniform([1, 3, 3, 2]), .given([1, 0, 0, 0, 1, 0, 0, 0], [1, 8], .int32)),
        OperationSample(
            .uniform([2, 3, 2, 1]), .given([2, 0, 1, 1, 2, 0, 1, 0, 1, 1, 0, 0, 3, 1, 0, 1], [2, 8], .int32)),
        OperationSample(
            .uniform([1, 2, 2, 2]), .given([1, 1, 0, -1, 0, 0, 3, 1], [1, 2, 2, 2], .int32),
            attributes: ["perspective": false, "fill_mode": "reflect"]),
        OperationSample(
            .uniform([1, 2, 2, 1]), .given([0, 1, 1, -1, 0, 0, 3, 1], [1, 2, 2, 2], .int32),
            attributes: ["perspective": false, "interpolation": "nearest", "gradient": true]),
    ]

    var attributes: JSON {
        nonDefault(
            ImageView.declaration, ("perspective", .bool(isPerspective)), ("interpolation", isLinear ? "bilinear" : "nearest"),
            ("fill_mode", .string(border.rawValue)), ("fill_value", .double(fill)), ("gradient", .bool(isGradient)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        try expectType(inputs[1], floatingTypes + [.int32, .int64], name)
        let (images, view) = (inputs[0].shape, inputs[1].shape)
        guard images.rank == 4, images.sizes[1...2].allSatisfy({ (1...ImageAxes.largest).contains($0) }),
            isPerspective ? view.rank == 2 && view[1] == 8 && (view[0] == images[0] || view[0] == 1)
                : view.sizes == Array(images.sizes[..<3]) + [2]
        else {
            throw DLError(
                .shape, "[\(name)] takes images (N, H, W, C) with maps (N, 8) or places (N, H, W, 2). "
                    + received(("images", inputs[0]), ("view", inputs[1])))
        }
        return [inputs[0]]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 2, inputs[0].type != inputs[1].type else { return nil }
        _ = try outputs(for: inputs.map(\.spec))
        return [try DLGraph.apply(self, inputs[0], cast(inputs[1], inputs[0].type))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (x, type) = (inputs[0].shape, inputs[0].type)
        let sampling = AffineSampling(
            n: x[0], height: x[1], width: x[2], channels: x[3], isLinear: isLinear, border: border, fill: fill,
            isShared: isPerspective && inputs[1].shape[0] == 1, view: isPerspective ? .perspective : .places)
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
        guard !context.needs[1] else {
            throw DLError(.unsupported, "[\(name)] there is no gradient for where a picture is seen. Received: a wish for it")
        }
        var back = self
        back.isGradient.toggle()
        back.fill = 0
        return [try DLGraph.apply(back, context.upstream, context.inputs[1]), nil]
    }
}

/// The perspective map that takes four points to four others.
struct PerspectiveMap: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "perspective_map", "The perspective map that takes four points, (column, row) each, to four others; NaN where there is none.",
        formula: "a map (a, b, c) with start = (a0 x + a1 y + a2, b0 x + b1 y + b2) / (c0 x + c1 y + 1) for (x, y) = end",
        shapes: "start_points (N, 4, 2), end_points (N, 4, 2) -> (N, 8)",
        extra: networkExtra("start_points", "end_points", internal: true)
    ) { _ in PerspectiveMap() }

    static let samples = [
        OperationSample(
            .given([0, 0, 3, 0, 0, 3, 3, 3], [1, 4, 2], .float32), .given([0, 1, 3, 0, 1, 3, 3, 2], [1, 4, 2], .float32),
            differentiable: false)
    ]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let shape = inputs[0].shape
        guard shape.rank == 3, shape[1] == 4, shape[2] == 2, inputs[1].shape == shape else {
            throw DLError(
                .shape, "[\(name)] takes four points for each picture, (N, 4, 2). "
                    + received(("start_points", inputs[0]), ("end_points", inputs[1])))
        }
        return [TensorSpec(Shape([shape[0], 8]), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let count = inputs[0].shape[0]
        func solve<T: BinaryFloatingPoint>(_: T.Type, _ arguments: KernelArguments) {
            let (start, end, target) = (arguments.input(0, T.self), arguments.input(1, T.self), arguments.output(0, T.self))
            let rows = arguments.scratch.assumingMemoryBound(to: Double.self)
            for image in 0..<count {
                for point in 0..<4 {
                    let at = image &* 8 &+ point &* 2
                    let (u, v, x, y) = (Double(start[at]), Double(start[at + 1]), Double(end[at]), Double(end[at + 1]))
                    let first = rows + point &* 18, second = first + 9
                    let equations: [(UnsafeMutablePointer<Double>, Int, Double)] = [(first, 0, u), (second, 3, v)]
                    for (row, place, value) in equations {
                        row.update(repeating: 0, count: 9)
                        (row[place], row[place + 1], row[place + 2]) = (x, y, 1)
                        (row[6], row[7], row[8]) = (-value * x, -value * y, value)
                    }
                }
                PerspectiveMap.eliminate(rows)
                for place in 0..<8 { target[image &* 8 &+ place] = T(rows[place &* 9 &+ 8]) }
            }
        }
        let type = inputs[0].type
        return Kernel("elimination", scratchBytes: 72 * MemoryLayout<Double>.stride) {
            if type == .float64 { solve(Double.self, $0) } else { solve(Float.self, $0) }
        }
    }

    /// Gauss and Jordan with pivots: 8 rows of 8 coefficients and the right side, which becomes the solution.
    private static func eliminate(_ rows: UnsafeMutablePointer<Double>) {
        for column in 0..<8 {
            var pivot = column
            for row in column + 1..<8 where abs(rows[row * 9 + column]) > abs(rows[pivot * 9 + column]) { pivot = row }
            let largest = rows[pivot * 9 + column]
            if pivot != column {
                for place in 0..<9 {
                    let swapped = rows[pivot * 9 + place]
                    rows[pivot * 9 + place] = rows[column * 9 + place]
                    rows[column * 9 + place] = swapped
                }
            }
            // Points on one line: 0 / 0 makes everything NaN, which is outside of every picture.
            let factor = abs(largest) > 1e-12 ? 1 / largest : .nan
            for place in 0..<9 { rows[column * 9 + place] *= factor }
            for row in 0..<8 where row != column {
                let times = rows[row * 9 + column]
                for place in 0..<9 { rows[row * 9 + place] -= times * rows[column * 9 + place] }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        throw DLError(.unsupported, "[\(name)] there is no gradient for where a picture is seen. Received: a wish for it")
    }
}

/// Runs `body` on a batch of pictures with the channels last.
private func asBatch(_ x: Value, _ arguments: Arguments, _ body: (Value) throws -> Value) throws -> Value {
    let single = x.shape.rank == 3
    let isFirst = DataFormat(arguments) == .channelsFirst
    let batch = single ? try expandDims(x, 0) : x
    let y = try body(isFirst ? toChannelsLast(batch) : batch)
    let back = isFirst ? try toChannelsFirst(y) : y
    return single ? try squeeze(back, axes: [0]) : back
}

private func expectImages(_ inputs: [TensorSpec], _ arguments: Arguments) throws {
    guard let images = inputs.first else { throw DLError(.argument, "[\(arguments.owner)] takes images. Received: 0 inputs") }
    try expectType(images, floatingTypes, arguments.owner)
    _ = try ImageAxes(images, arguments)
}

private let interpolationArgument = Argument(
    "interpolation", .choice(["nearest", "bilinear"]), "bilinear", "how elements between others come about")

private func points(_ x: Value, _ arguments: Arguments, _ what: String, _ count: Int) throws -> Value {
    let shape = x.shape
    guard shape == [4, 2] || shape.rank == 3 && shape[1] == 4 && shape[2] == 2 && (shape[0] == count || shape[0] == 1) else {
        throw DLError(
            .shape, "[\(arguments.owner)] \(what) must be four points, (4, 2), or four for each picture, (\(count), 4, 2). "
                + received((what, x.spec)))
    }
    return try broadcastTo(cast(x, .float64), Shape([count, 4, 2]))
}

private let scalingMethods = ["linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3", "lanczos5"]

/// Pictures in other perspectives, distorted, scaled and moved.
let imageViewEntries: [OperationEntry] = [
    OperationEntry(ImageView.self), OperationEntry(PerspectiveMap.self),
    FormulaOperation.entry(
        "perspective_transform", "Pictures in another perspective: four points of theirs come to stand at four others.",
        formula: "y[n, i, j, c] = x[n, (b0 j + b1 i + b2) / d, (a0 j + a1 i + a2) / d, c], d = c0 j + c1 i + 1, interpolated; "
            + "(a, b, c) takes the end points to the start points",
        shapes: "images (N, H, W, C) or (H, W, C), start_points and end_points (N, 4, 2) or (4, 2), column and row of each, which have "
            + "no gradient -> like images",
        example: """
            local dl = require "dl"
            local corners = dl.tensor{ { 1, 1 }, { 4, 1 }, { 1, 4 }, { 4, 4 } }
            local moved = dl.tensor{ { 2, 1 }, { 4, 2 }, { 1, 4 }, { 4, 4 } }
            print(dl.ops.image.perspective_transform(dl.uniform{ 1, 4, 4, 1 }, corners, moved).shape)
            """,
        extra: JSONObject([("inputs", ["images", "start_points", "end_points"]), ("group", "image")]),
        arguments: [
            interpolationArgument, Argument("fill_value", .float(Argument.anyFloat), 0, "the number outside"), ImageAxes.formatArgument,
        ],
        samples: [
            OperationSample(
                .uniform([2, 4, 4, 1]), .given([0, 0, 3, 0, 0, 3, 3, 3], [4, 2], .int32), .given([1, 0, 3, 1, 0, 3, 3, 2], [4, 2], .int32)),
            OperationSample(
                .uniform([2, 3, 3]), .given([0, 0, 2, 0, 0, 2, 2, 2], [4, 2], .int32), .given([0, 1, 2, 0, 1, 2, 2, 1], [4, 2], .int32),
                attributes: ["interpolation": "nearest", "data_format": "channels_first", "fill_value": 0.5]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 3, arguments.owner)
            try expectImages(inputs, arguments)
            return [inputs[0]]
        },
        formula: { inputs, arguments in
            let count = inputs[0].shape.rank == 4 ? inputs[0].shape[0] : 1
            let maps = try DLGraph.apply(
                PerspectiveMap(), points(inputs[1], arguments, "start_points", count), points(inputs[2], arguments, "end_points", count))
            let view = ImageView(
                isLinear: arguments.string("interpolation") == "bilinear", fill: arguments.float("fill_value"))
            return [try asBatch(inputs[0], arguments) { try DLGraph.apply(view, $0, maps) }]
        }),
    FormulaOperation.entry(
        "elastic_transform", "Pictures distorted as if they were drawn on rubber: each element comes from a place near its own.",
        formula: "y[i, j] = x[i + alpha u, j + alpha v], u and v blurred normal random numbers of standard deviation sigma",
        source: "Simard, Steinkraus, Platt: Best practices for convolutional neural networks applied to visual document analysis, 2003",
        shapes: "images (N, H, W, C) or (H, W, C), seed (2,) int64 -> like images",
        example: """
            local dl = require "dl"
            print(dl.ops.image.elastic_transform(dl.uniform{ 1, 6, 6, 1 }, { alpha = 4, sigma = 1, seed = 3 }).shape)
            """,
        extra: JSONObject([("inputs", ["images", "seed"]), ("optional_inputs", 1), ("group", "image")]),
        arguments: [
            Argument("alpha", .float(-1e6...1e6), 20, "how far the elements move"),
            Argument("sigma", .float(1e-3...600), 5, "how smooth the distortion is: standard deviation of the blur"),
            interpolationArgument,
            Argument("fill_mode", .choice(BorderMode.allCases.map(\.rawValue)), "reflect", "what stands outside, as in affine_transform"),
            Argument("fill_value", .float(Argument.anyFloat), 0, "the number outside, for constant"), ImageAxes.formatArgument,
        ],
        samples: [
            OperationSample(.uniform([2, 4, 3, 2]), .given([5, 2], [2], .int64), attributes: ["sigma": 1, "alpha": 2]),
            OperationSample(
                .uniform([1, 3, 4]), .given([5, 2], [2], .int64),
                attributes: ["fill_mode": "constant", "interpolation": "nearest", "data_format": "channels_first", "sigma": 0.5]),
        ],
        shape: { inputs, arguments in
            guard inputs.count == 1 || inputs.count == 2 else {
                throw DLError(.argument, "[\(arguments.owner)] takes images and perhaps a seed. Received: \(inputs.count) inputs")
            }
            try expectImages(inputs, arguments)
            if inputs.count == 2 { try RandomSeed.expect(inputs[1], arguments.owner) }
            return [inputs[0]]
        },
        formula: { inputs, arguments in
            let sigma = arguments.float("sigma")
            let size = Int(6 * sigma) | 1
            let view = ImageView(
                isPerspective: false, isLinear: arguments.string("interpolation") == "bilinear",
                border: BorderMode(rawValue: arguments.string("fill_mode")) ?? .reflect, fill: arguments.float("fill_value"))
            return [
                try asBatch(inputs[0], arguments) { x in
                    let (n, h, w) = (x.shape[0], x.shape[1], x.shape[2])
                    guard h * w <= 1 << 28 else {
                        throw DLError(.limit, "[\(arguments.owner)] a picture has at most 2^28 elements. Received: \(x.shape)")
                    }
                    var moves = try randomNormal(
                        Shape(checked: [n, h, w, 2]), deviation: sigma, seed: inputs.count == 2 ? inputs[1] : nil)
                    moves = try cast(moves, x.type)
                    for axis in [1, 2] where size > 1 {
                        moves = try resample(moves, axis: axis, size: x.shape[axis], .gaussian(size: size, sigma: sigma))
                    }
                    let own = try Tensor((0..<h * w * 2).map { Double($0 % 2 == 0 ? $0 / 2 / w : $0 / 2 % w) }, Shape([1, h, w, 2]))
                    return try DLGraph.apply(view, x, add(scale(moves, arguments.float("alpha")), cast(Value(own), x.type)))
                }
            ]
        }),
    FormulaOperation.derived(
        "scale_and_translate", "A tensor scaled and then moved along some of its axes; where nothing comes from there are zeros.",
        formula: "y[i] = x at (i + 1/2 - translation) / scale - 1/2, interpolated, axis by axis",
        shapes: "any shape; `output_shape` comes out, which differs along spatial_dims only", inputs: ["images"],
        extra: JSONObject([("group", "image")]),
        arguments: [
            Argument("output_shape", .shape, nil, "sizes of the result, all of them"),
            Argument("scale", .list(.float(1e-12...1e12)), nil, "how much larger things become, a number for each of spatial_dims"),
            Argument("translation", .list(.float(-1e12...1e12)), nil, "by how many elements of the result they are moved, likewise"),
            Argument("spatial_dims", .axes, nil, "the axes"),
            Argument("method", .choice(scalingMethods), nil, "how elements between others come about"),
            Argument("antialias", .bool, true, "whether a smaller picture is made of all elements of the larger one"),
        ],
        samples: [
            OperationSample(
                .uniform([1, 4, 3, 2]),
                attributes: [
                    "output_shape": [1, 5, 3, 2], "scale": [1.5, 0.75], "translation": [-1, 0.5], "spatial_dims": [1, 2],
                    "method": "linear",
                ]),
            OperationSample(
                .uniform([5]),
                attributes: [
                    "output_shape": [4], "scale": [0.5], "translation": [1], "spatial_dims": [-1], "method": "cubic", "antialias": false,
                ]),
        ]
    ) { inputs, arguments in
        var x = inputs[0]
        try expectType(x.spec, floatingTypes, arguments.owner)
        let given = arguments.shape("output_shape")
        let axes = try arguments.ints("spatial_dims").map { try x.shape.axis($0, arguments.owner) }
        let scales = (arguments["scale"].arrayValue ?? []).compactMap(\.doubleValue)
        let moves = (arguments["translation"].arrayValue ?? []).compactMap(\.doubleValue)
        guard Set(axes).count == axes.count, scales.count == axes.count, moves.count == axes.count else {
            throw DLError(
                .argument, "[\(arguments.owner)] 'scale' and 'translation' must have a number for each of spatial_dims, which must "
                    + "differ. Received: scale \(arguments["scale"].canonicalText), translation \(arguments["translation"].canonicalText), "
                    + "\(axes.count) spatial_dims")
        }
        guard given.count == x.shape.rank,
            given.enumerated().allSatisfy({ axis, size in axes.contains(axis) ? (1...Resample.largest).contains(size ?? 0) : size == x.shape[axis] })
        else {
            throw DLError(
                .shape, "[\(arguments.owner)] 'output_shape' must have the sizes of x but along spatial_dims, where they are at least 1. "
                    + "Received: \(x.shape), output_shape \(Shape.text(given))")
        }
        let method: Interpolation =
            switch arguments.string("method") {
            case "lanczos3": .lanczos(3)
            case "lanczos5": .lanczos(5)
            case "cubic", "bicubic", "tricubic": .bicubic
            default: .bilinear
            }
        for (place, axis) in axes.enumerated() {
            x = try resample(
                x, axis: axis, size: given[axis] ?? 1, method, antialias: arguments.bool("antialias"),
                placed: Placement(scale: scales[place], translation: moves[place]))
        }
        return [x]
    },
]
