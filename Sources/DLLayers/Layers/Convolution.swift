import DLBase
import DLGraph
import DLOps
import DLTensor

/// What the convolutions of sequences and volumes have in common: arguments, weights, and checks of both.
package class Convolution: Layer {
    /// Dimensions that the kernel moves along.
    var rank: Int { 0 }
    let filters: Int
    let groups: Int
    private(set) var kernelSize: [Int] = []
    private(set) var strides: [Int] = []
    private(set) var dilation: [Int] = []
    let activation: ActivationFunction?
    private(set) var kernel: Variable!
    private(set) var bias: Variable?

    static func arguments(_ rank: Int, padding: [String], paddingText: String) -> [Argument] {
        let ones: JSON = rank == 1 ? 1 : .array([JSON](repeating: 1, count: rank))
        let axes = rank == 1 ? "Length" : "Depth, height and width"
        return [
            Argument("filters", .int(Argument.positive), nil, "Number of output channels."),
            Argument("kernel_size", .size(minimum: 1), nil, "\(axes) of the kernels."),
            Argument("strides", .size(minimum: 1), ones, "Steps from one output to the next."),
            Argument("padding", .choice(padding), "valid", paddingText),
            dataFormatArgument,
            Argument("dilation_rate", .size(minimum: 1), ones, "Distance between the taps of a kernel."),
            Argument("groups", .int(Argument.positive), 1, "Number of groups of channels that are convolved on their own."),
            activationArgument,
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("kernel", "glorot_uniform"), initializerArgument("bias", "zeros"),
            regularizerArgument("kernel"), regularizerArgument("bias"), regularizerArgument("activity"),
            constraintArgument("kernel"), constraintArgument("bias"),
        ]
    }

    init(checked arguments: Arguments) throws {
        filters = arguments.int("filters")
        groups = arguments.int("groups")
        activation = try Activations.make(arguments, "activation")
        guard filters % groups == 0 else {
            throw DLError(
                .argument, "[\(arguments.owner)] 'filters' must be divisible by 'groups'. "
                    + "Received: filters \(filters), groups \(groups)")
        }
        super.init(arguments)
        kernelSize = try arguments.sizes("kernel_size", rank)
        strides = try arguments.sizes("strides", rank)
        dilation = try arguments.sizes("dilation_rate", rank)
        guard strides.allSatisfy({ $0 == 1 }) || dilation.allSatisfy({ $0 == 1 }) else {
            throw DLError(
                .argument, "[\(className)] strides above 1 and a dilation rate above 1 exclude each other. "
                    + "Received: strides \(strides), dilation_rate \(dilation)")
        }
    }

    var channelsFirst: Bool { arguments.optionalString("data_format") == "channels_first" }
    private var channelAxis: Int { channelsFirst ? 1 : rank + 1 }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        guard shape.count == rank + 2, let channels = shape[channelAxis] else {
            throw DLError(
                .shape, "[\(className)] the input must have \(rank + 2) axes, with a known number of channels. "
                    + "Received: input \(Shape.text(shape))")
        }
        guard channels > 0, channels % groups == 0 else {
            throw DLError(
                .shape, "[\(className)] the number of channels must be divisible by 'groups'. "
                    + "Received: input \(Shape.text(shape)), groups \(groups)")
        }
        kernel = try addWeight("kernel", Shape(checked: kernelSize + [channels / groups, filters]))
        if arguments.bool("use_bias") { bias = try addWeight("bias", [filters]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let channels = kernel.shape[rank] &* groups
        guard shapes[0].count == rank + 2, shapes[0][channelAxis] == nil || shapes[0][channelAxis] == channels else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': input has shape \(Shape.text(shapes[0])), kernel was built for "
                    + "\(channels) channels. Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    /// The convolution of x with channels last, and without bias.
    func convolve(_ x: Value) throws -> Value { x }

    func finish(_ sums: Value) throws -> Value {
        var y = sums
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        return y
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let middle = Array(2..<rank + 2)
        let x = channelsFirst ? try transpose(inputs[0], [0] + middle + [1]) : inputs[0]
        let y = try convolve(x)
        return [channelsFirst ? try transpose(y, [0, rank + 1] + Array(1...rank)) : y]
    }
}

/// Slides small kernels along sequences.
package final class Conv1D: Convolution {
    static let declaration = layerDeclaration(
        "Conv1D", aliases: ["Convolution1D"], "One-dimensional convolution (cross-correlation) of sequences with learned kernels.",
        formula: "y[n, i, o] = activation(b[o] + sum over p, c of x[n, i s + p d, c] W[p, c, o])",
        source: "Keras, keras.layers.Conv1D; causal: van den Oord et al., WaveNet, 2016",
        shapes: "input (batch, steps, channels), kernel (k, channels / groups, filters), bias (filters,), "
            + "output (batch, new steps, filters): \"valid\" gives floor((steps - (k - 1) d - 1) / s) + 1, "
            + "\"same\" and \"causal\" give ceil(steps / s)",
        example: """
            local dl = require "dl"
            local y = dl.layers.Conv1D{ filters = 4, kernel_size = 3, padding = "causal" }(dl.zeros{ 2, 10, 8 })
            print(y.shape)
            """,
        arguments: Convolution.arguments(
            1, padding: ["valid", "same", "causal"],
            paddingText: "\"same\" surrounds the sequence with zeros so that output and input lengths agree at stride 1; "
                + "\"causal\" puts them all in front, so that no output sees what comes after it.")
    ) { try Conv1D(checked: $0) }

    override var rank: Int { 1 }

    // As a picture of height 1, up to the activation: the bias and it are then part of the convolution.
    override func convolve(_ x: Value) throws -> Value {
        let border: Padding
        switch arguments.string("padding") {
        case "same": border = .same
        case "causal":
            let (reach, overflow) = (kernelSize[0] - 1).multipliedReportingOverflow(by: dilation[0])
            guard !overflow, reach <= Int(Int32.max) else {
                throw DLError(
                    .limit, "[Conv1D] the kernel reaches too far. "
                        + "Received: kernel_size \(kernelSize[0]), dilation_rate \(dilation[0])")
            }
            border = .explicit(top: 0, bottom: 0, left: reach, right: 0)
        default: border = .valid
        }
        let sums = try conv2d(
            expandDims(x, 1), expandDims(kernel.value, 0), strides: [1, strides[0]], padding: border,
            dilation: [1, dilation[0]], groups: groups)
        return try squeeze(finish(sums), axes: [1])
    }
}

/// Slides small kernels through volumes.
package final class Conv3D: Convolution {
    static let declaration = layerDeclaration(
        "Conv3D", aliases: ["Convolution3D"], "Three-dimensional convolution (cross-correlation) of volumes with learned kernels.",
        formula: "y[n, h, i, j, o] = activation(b[o] + sum over t, p, q, c of "
            + "x[n, h s + t d, i s + p d, j s + q d, c] W[t, p, q, c, o])",
        source: "Ji et al., 3D convolutional neural networks for human action recognition, 2013; Keras, keras.layers.Conv3D",
        shapes: "input (batch, depth, height, width, channels), kernel (kd, kh, kw, channels / groups, filters), "
            + "bias (filters,), output (batch, new depth, new height, new width, filters): "
            + "\"valid\" gives floor((h - (kh - 1) d - 1) / s) + 1, \"same\" gives ceil(h / s)",
        example: """
            local dl = require "dl"
            local y = dl.layers.Conv3D{ filters = 4, kernel_size = 3 }(dl.zeros{ 1, 8, 16, 16, 2 })
            print(y.shape)
            """,
        arguments: Convolution.arguments(
            3, padding: ["valid", "same"],
            paddingText: "\"same\" surrounds the volume with zeros so that output and input sizes agree at stride 1.")
    ) { try Conv3D(checked: $0) }

    override var rank: Int { 3 }

    override func convolve(_ x: Value) throws -> Value {
        try finish(
            conv3d(
                x, kernel.value,
                Conv3DGeometry(
                    strides: strides, isSame: arguments.string("padding") == "same", dilation: dilation, groups: groups)))
    }
}
