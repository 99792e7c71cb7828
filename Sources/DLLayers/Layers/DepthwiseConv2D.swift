import DLBase
import DLGraph
import DLOps
import DLTensor

/// Convolves each channel of pictures with kernels of its own.
package final class DepthwiseConv2D: Layer {
    static let declaration = layerDeclaration(
        "DepthwiseConv2D", "Two-dimensional convolution of each channel on its own.",
        formula: "y[n, i, j, c m + k] = activation(b[c m + k] + sum over p, q of x[n, i s + p d, j s + q d, c] W[p, q, c, k]), "
            + "m the depth multiplier",
        source: "Howard et al., MobileNets, 2017; Keras, keras.layers.DepthwiseConv2D",
        shapes: "input (batch, height, width, channels), kernel (kh, kw, channels, depth_multiplier), "
            + "bias (channels depth_multiplier,), output (batch, new height, new width, channels depth_multiplier): "
            + "\"valid\" gives floor((h - (kh - 1) d - 1) / s) + 1, \"same\" gives ceil(h / s)",
        example: """
            local dl = require "dl"
            local y = dl.layers.DepthwiseConv2D{ kernel_size = 3, padding = "same" }(dl.zeros{ 1, 28, 28, 8 })
            print(y.shape)
            """,
        arguments: [
            Argument("kernel_size", .size(minimum: 1), nil, "Height and width of the kernels."),
            Argument("strides", .size(minimum: 1), [1, 1], "Steps from one output to the next."),
            Argument(
                "padding", .choice(["valid", "same"]), "valid",
                "\"same\" surrounds the picture with zeros so that output and input sizes agree at stride 1."),
            Argument("depth_multiplier", .int(Argument.positive), 1, "Number of kernels, and outputs, of each channel."),
            dataFormatArgument,
            Argument("dilation_rate", .size(minimum: 1), [1, 1], "Distance between the taps of a kernel."),
            activationArgument,
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("depthwise", "glorot_uniform"), initializerArgument("bias", "zeros"),
            regularizerArgument("depthwise"), regularizerArgument("bias"), regularizerArgument("activity"),
            constraintArgument("depthwise"), constraintArgument("bias"),
        ]
    ) { try DepthwiseConv2D(checked: $0) }

    private let kernelSize: [Int]
    private let strides: [Int]
    private let dilation: [Int]
    private let multiplier: Int
    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        kernelSize = try arguments.sizes("kernel_size", 2)
        strides = try arguments.sizes("strides", 2)
        dilation = try arguments.sizes("dilation_rate", 2)
        multiplier = arguments.int("depth_multiplier")
        activation = try Activations.make(arguments, "activation")
        try refuseActivityRegularizer(arguments)
        guard strides == [1, 1] || dilation == [1, 1] else {
            throw DLError(
                .argument, "[DepthwiseConv2D] strides above 1 and a dilation rate above 1 exclude each other. "
                    + "Received: strides \(strides), dilation_rate \(dilation)")
        }
        super.init(arguments)
    }

    private var channelAxis: Int { arguments.optionalString("data_format") == "channels_first" ? 1 : 3 }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        guard shape.count == 4, let channels = shape[channelAxis], channels > 0 else {
            throw DLError(
                .shape, "[DepthwiseConv2D] the input must have four axes, (batch, height, width, channels), with a known number "
                    + "of channels. Received: input \(Shape.text(shape))")
        }
        let (outputs, overflow) = channels.multipliedReportingOverflow(by: multiplier)
        guard !overflow, outputs <= Int(Int32.max) else {
            throw DLError(
                .limit, "[DepthwiseConv2D] too many channels. "
                    + "Received: input \(Shape.text(shape)), depth_multiplier \(multiplier)")
        }
        // Keras names the weight "kernel", its arguments "depthwise".
        kernel = try addWeight("depthwise", Shape(checked: kernelSize + [channels, multiplier]), named: "kernel")
        if arguments.bool("use_bias") { bias = try addWeight("bias", [outputs]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let channels = kernel.shape[2]
        guard shapes[0].count == 4, shapes[0][channelAxis] == nil || shapes[0][channelAxis] == channels else {
            throw DLError(
                .shape, "[DepthwiseConv2D] layer '\(name)': input has shape \(Shape.text(shapes[0])), kernel was built for "
                    + "\(channels) channels. Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = channelAxis == 1
        let x = first ? try transpose(inputs[0], [0, 2, 3, 1]) : inputs[0]
        let channels = kernel.shape[2]
        // A group for each channel; its filters lie together as Keras has them.
        let weights = try reshape(kernel.value, kernelSize + [1, channels * multiplier])
        var y = try conv2d(
            x, weights, strides: strides, padding: arguments.string("padding") == "same" ? .same : .valid,
            dilation: dilation, groups: channels)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        return [first ? try transpose(y, [0, 3, 1, 2]) : y]
    }
}
