import DLBase
import DLGraph
import DLTensor

/// Transposed convolutions of sequences and volumes with Keras's output sizes; made of the convolutions' gradients for
/// their inputs. A sequence is a picture of height 1.
struct ConvTranspose: Operation {
    /// 1 or 3.
    let rank: Int
    var strides: [Int]
    var isSame = false
    var outputPadding: [Int]?
    var dilation: [Int]
    var dataFormat = DataFormat.channelsLast

    var name: String { "conv\(rank)d_transpose" }

    private static func arguments(_ rank: Int) -> [Argument] {
        let ones: JSON = rank == 1 ? 1 : [1, 1, 1]
        return [
            Argument("strides", .size(minimum: 1), ones, "steps of the result from one kernel to the next"),
            Argument("padding", .choice(["valid", "same"]), "valid", "which rule for the size of the result"),
            Argument(
                "output_padding", .optional(.size(minimum: 0)), .null,
                "how much longer the result is along each axis, less than strides; null for the usual size"),
            Argument("dilation_rate", .size(minimum: 1), ones, "steps from one weight of the kernel to the next"),
            Argument(
                "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
                "where the channels are: the last axis, or the second, which is converted before and after"),
        ]
    }

    private static func declaration(_ rank: Int) -> Declaration<any Operation> {
        Declaration(
            "conv\(rank)d_transpose",
            "Transposed convolution of \(rank == 1 ? "sequences" : "volumes"): each element of x adds a scaled kernel to the result.",
            formula: "the gradient of conv\(rank)d for its input; with d = dilation (l - 1) + 1, L' = (L - 1) stride + max(d, stride) "
                + "for valid, L stride for same; with output_padding o, (L - 1) stride + d + o and (L - 1) stride + d mod 2 + o",
            source: "V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285); "
                + "Keras 3, keras.ops.conv_transpose",
            shapes: rank == 1
                ? "x (N, L, C), kernel (l, F, C) -> (N, L', F)"
                : "x (N, D, H, W, C), kernel (d, h, w, F, C) -> (N, D', H', W', F)",
            extra: networkExtra("x", "kernel"), arguments: arguments(rank)
        ) {
            ConvTranspose(
                rank: rank, strides: try $0.sizes("strides", rank), isSame: $0.string("padding") == "same",
                outputPadding: $0.has("output_padding") ? try $0.sizes("output_padding", rank) : nil,
                dilation: try $0.sizes("dilation_rate", rank), dataFormat: DataFormat($0))
        }
    }

    static var entries: [OperationEntry] {
        [
            OperationEntry(
                declaration(1),
                samples: [
                    OperationSample(.uniform([2, 3, 2]), .uniform([3, 4, 2]), attributes: ["strides": 2]),
                    OperationSample(
                        .uniform([1, 3, 4]), .uniform([3, 2, 3]),
                        attributes: ["strides": 2, "padding": "same", "output_padding": 1, "data_format": "channels_first"]),
                ]),
            OperationEntry(
                declaration(3),
                samples: [
                    OperationSample(
                        .uniform([1, 2, 2, 3, 2]), .uniform([2, 3, 1, 3, 2]),
                        attributes: ["strides": [1, 2, 2], "padding": "same"]),
                    OperationSample(
                        .uniform([1, 2, 2, 2, 1]), .uniform([2, 2, 2, 2, 2]),
                        attributes: ["dilation_rate": [2, 1, 1], "data_format": "channels_first"]),
                ]),
        ]
    }

    var attributes: JSON {
        let ones = [Int](repeating: 1, count: rank)
        var object = JSONObject()
        if strides != ones { object["strides"] = sizesJSON(strides) }
        if isSame { object["padding"] = "same" }
        if let outputPadding { object["output_padding"] = sizesJSON(outputPadding) }
        if dilation != ones { object["dilation_rate"] = sizesJSON(dilation) }
        if dataFormat == .channelsFirst { object["data_format"] = .string(dataFormat.rawValue) }
        return .object(object)
    }

    /// Sizes in the order of channels last.
    private func lastOrder(_ shape: Shape) -> Shape {
        guard dataFormat == .channelsFirst, shape.rank == rank + 2 else { return shape }
        return Shape([shape[0]] + shape.sizes[2...] + [shape[1]])
    }

    private func plan(_ x: Shape, _ kernel: Shape) throws -> TransposedSizes {
        func fail(_ text: String) -> DLError { DLError(.shape, "[\(name)] \(text). Received: input \(x), kernel \(kernel)") }
        guard x.rank == rank + 2, kernel.rank == rank + 2 else {
            throw fail("input and kernel must have \(rank + 2) axes: (batch, sizes, channels) and (sizes, filters, channels)")
        }
        guard x.last == kernel.last else { throw fail("input has \(x.last) channels, kernel was built for \(kernel.last)") }
        return try TransposedSizes(
            input: Array(x.sizes[1...rank]), kernel: Array(kernel.sizes[..<rank]), strides: strides, dilation: dilation,
            outputPadding: outputPadding, isSame: isSame, fail)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let (x, kernel) = (lastOrder(inputs[0].shape), inputs[1].shape)
        let size = try plan(x, kernel).size
        let filters = kernel[rank]
        let result = dataFormat == .channelsFirst ? [x[0], filters] + size : [x[0]] + size + [filters]
        return [TensorSpec(try Shape(checked: result), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        let first = dataFormat == .channelsFirst
        let x = first ? try transpose(inputs[0], [0] + Array(2..<rank + 2) + [1]) : inputs[0]
        let kernel = inputs[1]
        let plan = try plan(x.shape, kernel.shape)
        let y: Value
        if rank == 1 {
            let padding = Padding.explicit(top: 0, bottom: 0, left: plan.padding[0], right: plan.padding[1])
            let geometry = Conv2DGeometry(strides: [1, strides[0]], padding: padding, dilation: [1, dilation[0]])
            let picture = try conv2dBackwardData(
                expandDims(x, 1), expandDims(kernel, 0), inputSize: [1, plan.size[0]], geometry)
            y = try squeeze(picture, axes: [1])
        } else {
            let geometry = Conv3DGeometry(strides: strides, explicit: plan.padding, dilation: dilation)
            y = try DLGraph.apply(Conv3DBackwardData(geometry: geometry, inputSize: plan.size), x, kernel)
        }
        return [first ? try transpose(y, [0, rank + 1] + Array(1...rank)) : y]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations")
    }
}

/// Transposed convolution of x (N, ..., C) with kernel (..., F, C), with Keras's output sizes, along 1 to 3 axes.
package func convTranspose(
    _ x: Value, _ kernel: Value, strides: [Int], same: Bool = false, outputPadding: [Int]? = nil, dilation: [Int]
) throws -> Value {
    if strides.count == 2 {
        return try conv2dTranspose(
            x, kernel, strides: strides, same: same, outputPadding: outputPadding, dilation: dilation)
    }
    return try DLGraph.apply(
        ConvTranspose(
            rank: strides.count, strides: strides, isSame: same, outputPadding: outputPadding, dilation: dilation),
        x, kernel)
}
