import DLBase
import DLGraph
import DLTensor

/// Convolution of sequences: a picture of height 1.
struct Conv1D: DeclaredOperation {
    enum Border: String {
        case valid, same, causal
    }

    var stride = 1
    var border = Border.valid
    var dilation = 1
    var groups = 1
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "conv1d", "One-dimensional convolution of sequences with a kernel.",
        formula: "y[n, i, f] = sum over u, c of x[n, i s + u d - p, c] w[u, c, f]",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285)",
        shapes: "x (N, L, C), kernel (l, C / groups, F) -> (N, L', F), L' = floor((L + padding - dilation (l - 1) - 1) / stride) + 1",
        extra: networkExtra("x", "kernel"),
        arguments: [
            Argument("strides", .size(minimum: 1), 1, "steps from one window to the next"),
            Argument(
                "padding", .choice(["valid", "same", "causal"]), "valid",
                "'valid' for none, 'same' for ceil(L / stride) outputs, 'causal' for zeros in front, so that no output sees "
                    + "what comes after it"),
            Argument("dilation_rate", .size(minimum: 1), 1, "steps from one weight of the kernel to the next"),
            Argument(
                "groups", .int(Argument.positive), 1,
                "channels and filters are divided into this many groups; filters of a group see its channels only"),
            Argument(
                "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
                "where the channels are: channels_last (N, L, C), the layout of the kernels, or channels_first (N, C, L), "
                    + "which is converted before and after"),
        ]
    ) {
        Conv1D(
            stride: try $0.sizes("strides", 1)[0], border: Border(rawValue: $0.string("padding")) ?? .valid,
            dilation: try $0.sizes("dilation_rate", 1)[0], groups: $0.int("groups"), dataFormat: DataFormat($0))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 7, 3]), .uniform([3, 3, 4])),
            OperationSample(.uniform([1, 8, 2]), .uniform([3, 2, 3]), attributes: ["padding": "same", "strides": 2]),
            OperationSample(
                .uniform([2, 6, 4]), .uniform([2, 2, 6]),
                attributes: ["dilation_rate": 2, "groups": 2, "padding": "causal"]),
            OperationSample(.uniform([1, 3, 5]), .uniform([2, 3, 2]), attributes: ["data_format": "channels_first"]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            Conv1D.declaration, ("strides", .int(Int64(stride))), ("padding", .string(border.rawValue)),
            ("dilation_rate", .int(Int64(dilation))), ("groups", .int(Int64(groups))),
            ("data_format", .string(dataFormat.rawValue)))
    }

    private func geometry(_ kernel: Shape) -> Conv2DGeometry {
        let padding: Padding
        switch border {
        case .valid: padding = .valid
        case .same: padding = .same
        case .causal:
            let (reach, overflow) = Swift.max(0, kernel[0] &- 1).multipliedReportingOverflow(by: dilation)
            padding = .explicit(top: 0, bottom: 0, left: overflow ? Int.max / 4 : reach, right: 0)
        }
        return Conv2DGeometry(strides: [1, stride], padding: padding, dilation: [1, dilation], groups: groups)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let (x, kernel) = (inputs[0].shape, inputs[1].shape)
        let text = received(("x", inputs[0]), ("kernel", inputs[1]))
        guard x.rank == 3, kernel.rank == 3 else {
            throw DLError(
                .shape, "[\(name)] x must have 3 axes, (batch, steps, channels), kernel 3, (steps, channels / groups, filters). "
                    + text)
        }
        guard kernel[0] <= Int(Int32.max), (kernel[0] &- 1) <= Int(Int32.max) / dilation else {
            throw DLError(.limit, "[\(name)] the sizes are too large. " + text)
        }
        let first = dataFormat == .channelsFirst
        let problem = try geometry(kernel).problem(
            input: Shape(checked: first ? [x[0], 1, x[2], x[1]] : [x[0], 1, x[1], x[2]]),
            kernel: Shape(checked: [1, kernel[0], kernel[1], kernel[2]]), name)
        let (length, filters) = (problem.outputWidth, problem.filters)
        return [TensorSpec(first ? [x[0], filters, length] : [x[0], length, filters], inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        let first = dataFormat == .channelsFirst
        let x = first ? try transpose(inputs[0], [0, 2, 1]) : inputs[0]
        let kernel = inputs[1]
        let y = try DLGraph.apply(
            Conv2D(geometry: geometry(kernel.shape)), expandDims(x, 1), expandDims(kernel, 0))
        let result = try squeeze(y, axes: [1])
        return [first ? try transpose(result, [0, 2, 1]) : result]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations")
    }
}
