import DLBase
import DLGraph
import DLOps
import DLTensor

/// Slides small kernels over pictures.
package final class Conv2D: Layer {
    static let declaration = layerDeclaration(
        "Conv2D", aliases: ["Convolution2D"], "Two-dimensional convolution (cross-correlation) of pictures with learned kernels.",
        formula: "y[n, i, j, o] = activation(b[o] + sum over p, q, c of x[n, i s + p d, j s + q d, c] W[p, q, c, o])",
        source: "LeCun et al., Gradient-based learning applied to document recognition, 1998; Keras, keras.layers.Conv2D",
        shapes: "input (batch, height, width, channels), kernel (kh, kw, channels / groups, filters), bias (filters,), "
            + "output (batch, new height, new width, filters): \"valid\" gives floor((h - (kh - 1) d - 1) / s) + 1, "
            + "\"same\" gives ceil(h / s)",
        example: """
            local dl = require "dl"
            local y = dl.layers.Conv2D{ filters = 6, kernel_size = 5, padding = "same" }(dl.zeros{ 1, 28, 28, 1 })
            print(y.shape)
            """,
        arguments: [
            Argument("filters", .int(Argument.positive), nil, "Number of output channels."),
            Argument("kernel_size", .size(minimum: 1), nil, "Height and width of the kernels."),
            Argument("strides", .size(minimum: 1), [1, 1], "Steps from one output to the next."),
            Argument(
                "padding", .padding, "valid", "\"same\" surrounds the picture with zeros so that output and input sizes agree at "
                    + "stride 1; numbers say how many, for all sides, [height, width] or [top, bottom, left, right]."),
            dataFormatArgument,
            Argument("dilation_rate", .size(minimum: 1), [1, 1], "Distance between the taps of a kernel."),
            Argument("groups", .int(Argument.positive), 1, "Number of groups of channels that are convolved on their own."),
            activationArgument,
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("kernel", "glorot_uniform"), initializerArgument("bias", "zeros"),
            regularizerArgument("kernel"), regularizerArgument("bias"), regularizerArgument("activity"),
            constraintArgument("kernel"), constraintArgument("bias"),
            Argument(
                "connection_table", .any, .null,
                "Which filters see which input channels: a row of 0 and 1 for each channel, a column for each filter; all where "
                    + "null. The kernel then has the shape (kh, kw, number of ones), row by row."),
        ]
    ) { try Conv2D(checked: $0) }

    private let filters: Int
    private let kernelSize: [Int]
    private let strides: [Int]
    private let padding: Padding
    private let dilation: [Int]
    private let groups: Int
    private let activation: ActivationFunction?
    private let connections: ConnectionTable?
    private var kernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        filters = arguments.int("filters")
        kernelSize = try arguments.sizes("kernel_size", 2)
        strides = try arguments.sizes("strides", 2)
        padding = try Padding(arguments)
        dilation = try arguments.sizes("dilation_rate", 2)
        groups = arguments.int("groups")
        activation = try Activations.make(arguments, "activation")
        guard filters % groups == 0 else {
            throw DLError(
                .argument, "[Conv2D] 'filters' must be divisible by 'groups'. Received: filters \(filters), groups \(groups)")
        }
        guard strides == [1, 1] || dilation == [1, 1] else {
            throw DLError(
                .argument, "[Conv2D] strides above 1 and a dilation rate above 1 exclude each other. "
                    + "Received: strides \(strides), dilation_rate \(dilation)")
        }
        connections = try ConnectionTable(arguments, filters: filters, groups: groups)
        super.init(arguments)
    }

    /// Keras does not know the table, so it is not told of a missing one.
    override package func config() throws -> JSONObject {
        var values = try super.config()
        if connections == nil { values["connection_table"] = nil }
        return values
    }

    private var channelAxis: Int { arguments.optionalString("data_format") == "channels_first" ? 1 : 3 }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        guard shape.count == 4, let channels = shape[channelAxis] else {
            throw DLError(
                .shape, "[Conv2D] the input must have four axes, (batch, height, width, channels), with a known number of "
                    + "channels. Received: input \(Shape.text(shape))")
        }
        guard channels > 0, channels % groups == 0 else {
            throw DLError(
                .shape, "[Conv2D] the number of channels must be divisible by 'groups'. "
                    + "Received: input \(Shape.text(shape)), groups \(groups)")
        }
        let full = try Shape(checked: kernelSize + [channels / groups, filters])
        if let connections {
            try connections.expect(channels, shape)
            kernel = try addWeight(
                "kernel", Shape(kernelSize + [connections.count]), adapting: { connections.choosing(from: $0, full) })
        } else {
            kernel = try addWeight("kernel", full)
        }
        if arguments.bool("use_bias") { bias = try addWeight("bias", [filters]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let channels = connections?.channels ?? kernel.shape[2] &* groups
        guard shapes[0].count == 4, shapes[0][channelAxis] == nil || shapes[0][channelAxis] == channels else {
            throw DLError(
                .shape, "[Conv2D] layer '\(name)': input has shape \(Shape.text(shapes[0])), kernel was built for \(channels) "
                    + "channels. Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = channelAxis == 1
        let x = first ? try transpose(inputs[0], [0, 2, 3, 1]) : inputs[0]
        var y = try conv2d(
            x, connections?.assembled(kernel.value) ?? kernel.value, strides: strides, padding: padding,
            dilation: dilation, groups: groups)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        return [first ? try transpose(y, [0, 3, 1, 2]) : y]
    }
}
