import DLBase
import DLGraph
import DLOps
import DLTensor

/// A convolution of each channel on its own, then one with kernels of size 1 that mixes the channels.
package final class SeparableConvolution: Layer {
    static let declarations = (1...2).map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let ones: JSON = rank == 1 ? 1 : [1, 1]
        let (object, axes) = spatialNames(rank)
        return layerDeclaration(
            "SeparableConv\(rank)D", aliases: ["SeparableConvolution\(rank)D"],
            "Convolution of each channel on its own, then a mixture of the channels at every place.",
            formula: "y = activation(b + P conv(D, x)), D the depthwise kernel, P the pointwise one",
            source: "Chollet, Xception, 2017; Keras, keras.layers.SeparableConv\(rank)D",
            shapes: "input (batch, \(axes), channels), depthwise_kernel (sizes, channels, depth_multiplier), "
                + "pointwise_kernel (\(rank == 1 ? "1" : "1, 1"), channels depth_multiplier, filters), bias (filters,), "
                + "output (batch, new sizes, filters): \"valid\" gives floor((size - (k - 1) d - 1) / s) + 1, \"same\" gives ceil(size / s)",
            example: """
                local dl = require "dl"
                local layer = dl.layers.SeparableConv\(rank)D{ filters = 4, kernel_size = 3, padding = "same" }
                print(layer(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument("filters", .int(Argument.positive), nil, "Number of output channels."),
                Argument("kernel_size", .size(minimum: 1), nil, "Sizes of the depthwise kernels."),
                Argument("strides", .size(minimum: 1), ones, "Steps from one output to the next."),
                Argument(
                    "padding", .choice(["valid", "same"]), "valid",
                    "\"same\" surrounds the \(object) with zeros so that output and input sizes agree at stride 1."),
                dataFormatArgument,
                Argument("dilation_rate", .size(minimum: 1), ones, "Distance between the taps of a kernel."),
                Argument("depth_multiplier", .int(Argument.positive), 1, "Number of depthwise kernels of each channel."),
                activationArgument,
                Argument("use_bias", .bool, true, "Whether a bias is added."),
                initializerArgument("depthwise", "glorot_uniform"), initializerArgument("pointwise", "glorot_uniform"),
                initializerArgument("bias", "zeros"), regularizerArgument("depthwise"), regularizerArgument("pointwise"),
                regularizerArgument("bias"), regularizerArgument("activity"), constraintArgument("depthwise"),
                constraintArgument("pointwise"), constraintArgument("bias"),
            ]
        ) { try SeparableConvolution(checked: $0, rank) }
    }

    private let rank: Int
    private let filters: Int
    private let kernelSize: [Int]
    private let strides: [Int]
    private let dilation: [Int]
    private let multiplier: Int
    private let activation: ActivationFunction?
    private let padding: Padding
    private var depthwiseKernel: Variable!
    private var pointwiseKernel: Variable!
    private var bias: Variable?

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        filters = arguments.int("filters")
        kernelSize = try arguments.sizes("kernel_size", rank)
        strides = try arguments.sizes("strides", rank)
        dilation = try arguments.sizes("dilation_rate", rank)
        multiplier = arguments.int("depth_multiplier")
        activation = try Activations.make(arguments, "activation")
        try expectStridesOrDilation(arguments.owner, strides, dilation)
        padding = arguments.string("padding") == "same" ? .same : .valid
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let channels = try expectChannels(inputShapes[0], rank)
        let middle = try depthwiseOutputs(channels, multiplier, inputShapes[0])
        depthwiseKernel = try addWeight(
            "depthwise", Shape(checked: kernelSize + [channels, multiplier]), named: "depthwise_kernel")
        pointwiseKernel = try addWeight(
            "pointwise", Shape(checked: [Int](repeating: 1, count: rank) + [middle, filters]), named: "pointwise_kernel")
        if arguments.bool("use_bias") { bias = try addWeight("bias", [filters]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        try expectChannels(shapes[0], rank, depthwiseKernel.shape[rank], depthwiseKernel)
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        var y = first ? try channelsToLast(inputs[0], rank) : inputs[0]
        if rank == 1 { y = try expandDims(y, 1) }
        y = try depthwise(y, depthwiseKernel.value, rank, strides: strides, padding: padding, dilation: dilation)
        y = try conv2d(y, rank == 1 ? expandDims(pointwiseKernel.value, 0) : pointwiseKernel.value)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        if rank == 1 { y = try squeeze(y, axes: [1]) }
        return [first ? try channelsToSecond(y, rank) : y]
    }
}
