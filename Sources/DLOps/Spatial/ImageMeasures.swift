import DLBase
import DLGraph
import DLTensor

/// A gaussian window over height and width, only where it lies inside.
private func blurredInside(_ x: Value, size: Int, sigma: Double) throws -> Value {
    var y = x
    for axis in [1, 2] {
        let whole = size == 1 ? y : try resample(y, axis: axis, size: y.shape[axis], .gaussian(size: size, sigma: sigma))
        let start = (size - 1) / 2
        var entries = [IndexEntry](repeating: .all, count: 4)
        entries[axis] = .range(start: start, stop: start + y.shape[axis] - size + 1, step: 1)
        y = try getItem(whole, entries)
    }
    return y
}

/// Edges of pictures, and how alike two pictures are.
let imageMeasureEntries: [OperationEntry] = [
    FormulaOperation.entry(
        "sobel_edges", "How much pictures change along rows and columns; outside of them there are zeros.",
        formula: "y[..., 0] = x * [[-1, -2, -1], [0, 0, 0], [1, 2, 1]], y[..., 1] the same with rows and columns exchanged",
        source: "I. Sobel, G. Feldman: A 3x3 isotropic gradient operator for image processing, 1968",
        shapes: "images (N, H, W, C) or (H, W, C) -> the same with an axis more: along the rows' order, along the columns'",
        extra: imageInput, arguments: [ImageAxes.formatArgument],
        samples: [
            OperationSample(.uniform([1, 3, 4, 2])),
            OperationSample(.uniform([2, 3, 3]), attributes: ["data_format": "channels_first"]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            try expectType(inputs[0], floatingTypes, arguments.owner)
            _ = try ImageAxes(inputs[0], arguments)
            return [TensorSpec(try Shape(checked: inputs[0].shape.sizes + [2]), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let axes = try ImageAxes(inputs[0].spec, arguments)
            let x = try bordered(inputs[0], axes, top: 1, bottom: 1, left: 1, right: 1)
            func part(_ x: Value, _ axis: Int, _ start: Int) throws -> Value {
                var entries = [IndexEntry](repeating: .all, count: x.shape.rank)
                entries[axis] = .range(start: start, stop: start + inputs[0].shape[axis], step: 1)
                return try getItem(x, entries)
            }
            func smooth(_ x: Value, _ axis: Int) throws -> Value {
                try add(add(part(x, axis, 0), part(x, axis, 2)), scale(part(x, axis, 1), 2))
            }
            func slope(_ x: Value, _ axis: Int) throws -> Value { try subtract(part(x, axis, 2), part(x, axis, 0)) }
            return [
                try stack(
                    [slope(smooth(x, axes.width), axes.height), slope(smooth(x, axes.height), axes.width)],
                    axis: inputs[0].shape.rank)
            ]
        }),
    FormulaOperation.entry(
        "ssim", "How alike two pictures are in brightness, contrast and structure, 1 where they are the same.",
        formula: "mean of (2 m1 m2 + c1) (2 s12 + c2) / ((m1^2 + m2^2 + c1) (s1^2 + s2^2 + c2)) over windows inside and channels; "
            + "m, s: means and (co)variances with gaussian weights, c = (k max_val)^2",
        source: "Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural similarity, 2004",
        shapes: "image1, image2 (N, H, W, C) or (H, W, C) -> (N,) or ()",
        extra: JSONObject([("inputs", ["image1", "image2"]), ("group", "image")]),
        arguments: [
            Argument("max_val", .float(1e-30...1e30), 1, "the largest value that an element may have"),
            Argument("filter_size", .int(1...4096), 11, "rows and columns of a window"),
            Argument("filter_sigma", .float(1e-6...1e6), 1.5, "standard deviation of the weights in a window"),
            Argument("k1", .float(Argument.notNegative), 0.01, "keeps the quotient finite where means are small"),
            Argument("k2", .float(Argument.notNegative), 0.03, "keeps the quotient finite where variances are small"),
            ImageAxes.formatArgument,
        ],
        samples: [
            OperationSample(
                .uniform([2, 4, 5, 2], 0...1), .uniform([2, 4, 5, 2], 0...1), attributes: ["filter_size": 3]),
            OperationSample(
                .uniform([1, 4, 4], 0...2), .uniform([1, 4, 4], 0...2),
                attributes: ["filter_size": 4, "filter_sigma": 1, "max_val": 2, "data_format": "channels_first"]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            try expectType(inputs[0], floatingTypes, arguments.owner)
            let axes = try ImageAxes(inputs[0], arguments)
            let (shape, size) = (inputs[0].shape, arguments.int("filter_size"))
            guard inputs[0] == inputs[1], shape[axes.height] >= size, shape[axes.width] >= size else {
                throw DLError(
                    .shape, "[ssim] both images must have one shape and dtype, and height and width of at least \(size), the "
                        + "filter_size. " + received(("image1", inputs[0]), ("image2", inputs[1])))
            }
            return [TensorSpec(shape.rank == 4 ? Shape([shape[0]]) : .scalar, inputs[0].type)]
        },
        formula: { inputs, arguments in
            let single = inputs[0].shape.rank == 3
            let (a, b) = try { () throws -> (Value, Value) in
                let both = try inputs.map { image -> Value in
                    let x = single ? try expandDims(image, 0) : image
                    return DataFormat(arguments) == .channelsFirst ? try toChannelsLast(x) : x
                }
                return (both[0], both[1])
            }()
            let (size, sigma, largest) = (arguments.int("filter_size"), arguments.float("filter_sigma"), arguments.float("max_val"))
            func blur(_ x: Value) throws -> Value { try blurredInside(x, size: size, sigma: sigma) }
            let (first, second) = (arguments.float("k1") * largest, arguments.float("k2") * largest)
            let m1 = try blur(a), m2 = try blur(b)
            let squares = try (square(m1), square(m2)), product = try multiply(m1, m2)
            let s1 = try subtract(blur(square(a)), squares.0), s2 = try subtract(blur(square(b)), squares.1)
            let s12 = try subtract(blur(multiply(a, b)), product)
            let above = try multiply(scale(product, 2, first * first), scale(s12, 2, second * second))
            let below = try multiply(
                scale(add(squares.0, squares.1), 1, first * first), scale(add(s1, s2), 1, second * second))
            let likeness = try mean(divide(above, below), axes: [1, 2, 3])
            return [single ? try squeeze(likeness, axes: [0]) : likeness]
        }),
]
