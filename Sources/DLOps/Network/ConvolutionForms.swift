import DLBase
import DLGraph
import DLTensor



private let convolutionArguments = [
    Argument("strides", .size(minimum: 1), 1, "Steps from one window to the next; one number for all axes, or one for each."),
    Argument("padding", .choice(["valid", "same"]), "valid", "'valid' for none, 'same' for ceil(size / stride) outputs."),
    Argument(
        "data_format", .optional(.choice(["channels_last", "channels_first"])), .null, "Where the channels are; null for last."),
    Argument("dilation_rate", .size(minimum: 1), 1, "Steps from one weight of the kernel to the next."),
]

private struct Form {
    let x: Value
    let kernel: Value
    /// Spatial axes.
    let rank: Int
    let isFirst: Bool
    var channels: Int { isFirst ? x.shape[1] : x.shape.last }

    init(_ inputs: [Value], _ arguments: Arguments) throws {
        let both = try reals([inputs[0], inputs[1]])
        (x, kernel) = (both[0], both[1])
        rank = x.shape.rank - 2
        isFirst = arguments.string("data_format") == "channels_first"
        guard (1...3).contains(rank), kernel.shape.rank == rank + 2 else {
            throw DLError(
                .shape, "[\(arguments.owner)] inputs must have 3 to 5 axes, (batch, 1 to 3 spatial axes, channels), and the kernel as "
                    + "many. " + received(("inputs", inputs[0].spec), ("kernel", inputs[1].spec)))
        }
    }

    func attributes(_ arguments: Arguments, groups: Int) throws -> JSONObject {
        JSONObject([
            ("strides", sizesJSON(try arguments.sizes("strides", rank))), ("padding", arguments["padding"]),
            ("dilation_rate", sizesJSON(try arguments.sizes("dilation_rate", rank))), ("groups", .int(Int64(groups))),
            ("data_format", isFirst ? "channels_first" : "channels_last"),
        ])
    }

    /// Each channel with filters of its own: kernel (..., C, multiplier) as (..., 1, C multiplier).
    func depthwise(_ arguments: Arguments) throws -> Value {
        let sizes = kernel.shape.sizes
        guard sizes[rank] == channels else {
            throw DLError(
                .shape, "[\(arguments.owner)] the kernel must be (window, channels, multiplier) for \(channels) channels. "
                    + received(("inputs", x.spec), ("kernel", kernel.spec)))
        }
        let filters = try Shape(checked: sizes[..<rank] + [1, channels * sizes[rank + 1]])
        return try Operations.apply(
            "conv\(rank)d", [x, reshape(kernel, filters.sizes)],
            attributes: .object(attributes(arguments, groups: Swift.max(channels, 1))))[0]
    }
}

/// Convolutions by Keras's names, for one to three spatial axes.
let convolutionFormEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "conv", "Convolution of sequences, pictures or volumes with a kernel, by the number of axes.",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
        shapes: "inputs (N, ..., C), kernel (window, C / groups, F), the groups being C over the kernel's channels; (N, ..., F)",
        inputs: ["inputs", "kernel"], arguments: convolutionArguments,
        samples: [
            OperationSample(.uniform([1, 5, 2]), .uniform([3, 2, 2])),
            OperationSample(.uniform([1, 4, 5, 4]), .uniform([2, 2, 2, 4]), attributes: ["strides": [1, 2], "padding": "same"]),
            OperationSample(.uniform([1, 2, 3, 3, 2]), .uniform([2, 2, 2, 2, 1]), attributes: ["data_format": "channels_last"]),
        ]
    ) { inputs, arguments in
        let form = try Form(inputs, arguments)
        let own = form.kernel.shape[form.rank]
        guard own > 0, form.channels % own == 0 else {
            throw DLError(
                .shape, "[conv] the channels must be a multiple of the kernel's. "
                    + received(("inputs", inputs[0].spec), ("kernel", inputs[1].spec)))
        }
        return try Operations.apply(
            "conv\(form.rank)d", [form.x, form.kernel],
            attributes: .object(form.attributes(arguments, groups: Swift.max(form.channels / own, 1))))
    },
    FormulaOperation.derived(
        "depthwise_conv", "Convolution of every channel with filters of its own.",
        formula: "y[n, i, c m + q] = sum over u of x[n, i s + u d, c] w[u, c, q]",
        source: "F. Chollet: Xception: deep learning with depthwise separable convolutions, 2017 (arXiv:1610.02357)",
        shapes: "inputs (N, ..., C), kernel (window, C, multiplier); (N, ..., C multiplier)", inputs: ["inputs", "kernel"],
        arguments: convolutionArguments,
        samples: [
            OperationSample(.uniform([1, 5, 3]), .uniform([3, 3, 2])),
            OperationSample(.uniform([1, 4, 5, 2]), .uniform([2, 3, 2, 1]), attributes: ["strides": 2, "padding": "same"]),
        ]
    ) { inputs, arguments in [try Form(inputs, arguments).depthwise(arguments)] },
    FormulaOperation.derived(
        "separable_conv", "Convolution of every channel with filters of its own, then a mix of the channels at every place.",
        source: "F. Chollet: Xception: deep learning with depthwise separable convolutions, 2017 (arXiv:1610.02357)",
        shapes: "inputs (N, ..., C), depthwise_kernel (window, C, multiplier), pointwise_kernel (1 ..., C multiplier, F); (N, ..., F)",
        inputs: ["inputs", "depthwise_kernel", "pointwise_kernel"], arguments: convolutionArguments,
        samples: [
            OperationSample(.uniform([1, 4, 5, 2]), .uniform([2, 2, 2, 2]), .uniform([1, 1, 4, 3])),
            OperationSample(.uniform([1, 6, 2]), .uniform([3, 2, 1]), .uniform([1, 2, 3]), attributes: ["strides": 2]),
        ]
    ) { inputs, arguments in
        let form = try Form(inputs, arguments)
        let y = try form.depthwise(arguments)
        return try Operations.apply(
            "conv", [y, inputs[2]], attributes: ["data_format": form.isFirst ? "channels_first" : "channels_last"])
    },
    FormulaOperation.derived(
        "conv_transpose", "Transposed convolution of sequences or pictures: each element adds a scaled kernel to the result.",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
        shapes: "inputs (N, ..., C), kernel (window, F, C); (N, ..., F) with the sizes of conv2d_transpose",
        inputs: ["inputs", "kernel"],
        arguments: Array(convolutionArguments[..<2]) + [
            Argument(
                "output_padding", .optional(.size(minimum: 0)), .null, "Elements that the result has more; null for the usual size.")
        ] + convolutionArguments[2...],
        samples: [
            OperationSample(.uniform([1, 3, 2]), .uniform([3, 2, 2]), attributes: ["strides": 2]),
            OperationSample(.uniform([1, 2, 3, 2]), .uniform([3, 3, 1, 2]), attributes: ["strides": [2, 3], "padding": "same"]),
        ]
    ) { inputs, arguments in
        let form = try Form(inputs, arguments)
        var attributes = try form.attributes(arguments, groups: 1)
        attributes["groups"] = nil
        attributes["output_padding"] = arguments.has("output_padding")
            ? sizesJSON(try arguments.sizes("output_padding", form.rank)) : .null
        // Where there is an operation for this number of axes it is taken; a sequence is a picture of height 1.
        if form.rank != 1 || Operations.registry.find("conv1d_transpose") != nil {
            return try Operations.apply(
                "conv\(form.rank)d_transpose", [form.x, form.kernel], attributes: .object(attributes))
        }
        for key in ["strides", "dilation_rate", "output_padding"] {
            guard let list = attributes[key]?.arrayValue else { continue }
            attributes[key] = .array([key == "output_padding" ? 0 : 1] + list)
        }
        let axis = form.isFirst ? 2 : 1
        let y = try Operations.apply(
            "conv2d_transpose", [expandDims(form.x, axis), expandDims(form.kernel, 0)], attributes: .object(attributes))
        return [try squeeze(y[0], axes: [axis])]
    },
]
