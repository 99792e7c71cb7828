import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The transposed convolution with Keras's output sizes; made of the convolution's gradient for its input.
struct Conv2DTranspose: DeclaredOperation {
    var strides = [1, 1]
    var isSame = false
    var outputPadding: [Int]?
    var dilation = [1, 1]
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "conv2d_transpose", "Transposed convolution: each element of x adds a scaled kernel to the result.",
        formula: "y = conv2d_backward_data(x, kernel); with d = dilation (h - 1) + 1, H' = (H - 1) stride + max(d, stride) for valid, "
            + "H stride for same; with output_padding o, (H - 1) stride + d + o and (H - 1) stride + d mod 2 + o",
        source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285); "
            + "Keras 3, keras.ops.conv_transpose",
        shapes: "x (N, H, W, C), kernel (h, w, F, C) -> (N, H', W', F)",
        extra: networkExtra("x", "kernel"),
        arguments: [
            Argument("strides", .size(minimum: 1), [1, 1], "rows and columns of the result from one kernel to the next"),
            Argument("padding", .choice(["valid", "same"]), "valid", "which rule for the size of the result"),
            Argument(
                "output_padding", .optional(.size(minimum: 0)), .null,
                "rows and columns that the result has more, less than strides; null for the usual size"),
            Argument("dilation_rate", .size(minimum: 1), [1, 1], "rows and columns from one weight of the kernel to the next"),
            DataFormat.argument,
        ]
    ) {
        Conv2DTranspose(
            strides: try $0.sizes("strides", 2), isSame: $0.string("padding") == "same",
            outputPadding: $0.has("output_padding") ? try $0.sizes("output_padding", 2) : nil,
            dilation: try $0.sizes("dilation_rate", 2), dataFormat: DataFormat($0))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([1, 2, 3, 2]), .uniform([3, 2, 3, 2]), attributes: ["strides": 2]),
            OperationSample(
                .uniform([1, 2, 3, 2]), .uniform([3, 3, 1, 2]), attributes: ["strides": [2, 3], "padding": "same"]),
            OperationSample(
                .uniform([1, 2, 2, 3]), .uniform([2, 3, 2, 2]),
                attributes: ["strides": 2, "output_padding": [1, 0], "data_format": "channels_first"]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            Conv2DTranspose.declaration, ("strides", sizesJSON(strides)), ("padding", isSame ? "same" : "valid"),
            ("output_padding", outputPadding.map(sizesJSON) ?? .null), ("dilation_rate", sizesJSON(dilation)),
            ("data_format", .string(dataFormat.rawValue)))
    }

    /// The convolution of which this is the gradient, and the height and width of the result.
    private func plan(_ x: Shape, _ kernel: Shape) throws -> (geometry: Conv2DGeometry, size: [Int]) {
        func fail(_ text: String) -> DLError { DLError(.shape, "[\(name)] \(text). Received: input \(x), kernel \(kernel)") }
        guard x.rank == 4 else { throw fail("input must have 4 axes: (batch, height, width, channels)") }
        guard kernel.rank == 4 else { throw fail("kernel must have 4 axes: (height, width, filters, channels)") }
        guard x[3] == kernel[3] else { throw fail("input has \(x[3]) channels, kernel was built for \(kernel[3])") }
        let plan = try TransposedSizes(
            input: [x[1], x[2]], kernel: [kernel[0], kernel[1]], strides: strides, dilation: dilation,
            outputPadding: outputPadding, isSame: isSame, fail)
        let padding = plan.padding
        let explicit = Padding.explicit(top: padding[0], bottom: padding[1], left: padding[2], right: padding[3])
        return (Conv2DGeometry(strides: strides, padding: explicit, dilation: dilation), plan.size)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let x = dataFormat.lastOrder(inputs[0].shape)
        let (_, size) = try plan(x, inputs[1].shape)
        let y = try Shape(checked: [x[0], size[0], size[1], inputs[1].shape[2]])
        return [TensorSpec(dataFormat.ownOrder(y), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        let first = dataFormat == .channelsFirst
        let x = first ? try toChannelsLast(inputs[0]) : inputs[0]
        let (geometry, size) = try plan(x.shape, inputs[1].shape)
        let y = try conv2dBackwardData(x, inputs[1], inputSize: size, geometry)
        return [first ? try toChannelsFirst(y) : y]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations")
    }
}

/// Transposed convolution of x (N, H, W, C) with kernel (h, w, F, C), with Keras's output sizes.
package func conv2dTranspose(
    _ x: Value, _ kernel: Value, strides: [Int] = [1, 1], same: Bool = false, outputPadding: [Int]? = nil,
    dilation: [Int] = [1, 1], dataFormat: DataFormat = .channelsLast
) throws -> Value {
    try DLGraph.apply(
        Conv2DTranspose(
            strides: strides, isSame: same, outputPadding: outputPadding, dilation: dilation, dataFormat: dataFormat),
        x, kernel)
}
