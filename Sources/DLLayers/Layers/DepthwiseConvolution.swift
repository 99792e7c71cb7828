import DLBase
import DLGraph
import DLOps
import DLTensor

/// Convolves each channel of sequences or pictures with kernels of its own. A sequence is a picture of height 1.
package final class DepthwiseConvolution: Layer {
    static let declarations = (1...2).map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let ones: JSON = rank == 1 ? 1 : [1, 1]
        let object = spatialNames(rank).object
        return layerDeclaration(
            "DepthwiseConv\(rank)D", "\(rank == 1 ? "One" : "Two")-dimensional convolution of each channel on its own.",
            formula: rank == 1
                ? "y[n, i, c m + k] = activation(b[c m + k] + sum over p of x[n, i s + p d, c] W[p, c, k]), m the depth multiplier"
                : "y[n, i, j, c m + k] = activation(b[c m + k] + sum over p, q of x[n, i s + p d, j s + q d, c] W[p, q, c, k]), "
                    + "m the depth multiplier",
            source: "Howard et al., MobileNets, 2017; Keras, keras.layers.DepthwiseConv\(rank)D",
            shapes: rank == 1
                ? "input (batch, steps, channels), kernel (k, channels, depth_multiplier), bias (channels depth_multiplier,), "
                    + "output (batch, new steps, channels depth_multiplier): \"valid\" gives "
                    + "floor((steps - (k - 1) d - 1) / s) + 1, \"same\" gives ceil(steps / s)"
                : "input (batch, height, width, channels), kernel (kh, kw, channels, depth_multiplier), "
                    + "bias (channels depth_multiplier,), output (batch, new height, new width, channels depth_multiplier): "
                    + "\"valid\" gives floor((h - (kh - 1) d - 1) / s) + 1, \"same\" gives ceil(h / s)",
            example: """
                local dl = require "dl"
                local layer = dl.layers.DepthwiseConv\(rank)D{ kernel_size = 3, padding = "same" }
                print(layer(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument("kernel_size", .size(minimum: 1), nil, rank == 1 ? "Length of the kernels." : "Height and width of the kernels."),
                Argument("strides", .size(minimum: 1), ones, "Steps from one output to the next."),
                Argument(
                    "padding", .choice(["valid", "same"]), "valid",
                    "\"same\" surrounds the \(object) with zeros so that output and input sizes agree at stride 1."),
                Argument("depth_multiplier", .int(Argument.positive), 1, "Number of kernels, and outputs, of each channel."),
                dataFormatArgument,
                Argument("dilation_rate", .size(minimum: 1), ones, "Distance between the taps of a kernel."),
                activationArgument,
                Argument("use_bias", .bool, true, "Whether a bias is added."),
                initializerArgument("depthwise", "glorot_uniform"), initializerArgument("bias", "zeros"),
                regularizerArgument("depthwise"), regularizerArgument("bias"), regularizerArgument("activity"),
                constraintArgument("depthwise"), constraintArgument("bias"),
            ]
        ) { try DepthwiseConvolution(checked: $0, rank) }
    }

    private let rank: Int
    private let kernelSize: [Int]
    private let strides: [Int]
    private let dilation: [Int]
    private let multiplier: Int
    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        kernelSize = try arguments.sizes("kernel_size", rank)
        strides = try arguments.sizes("strides", rank)
        dilation = try arguments.sizes("dilation_rate", rank)
        multiplier = arguments.int("depth_multiplier")
        activation = try Activations.make(arguments, "activation")
        try expectStridesOrDilation(arguments.owner, strides, dilation)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let channels = try expectChannels(inputShapes[0], rank)
        let outputs = try depthwiseOutputs(channels, multiplier, inputShapes[0])
        // Keras names the weight "kernel", its arguments "depthwise".
        kernel = try addWeight("depthwise", Shape(checked: kernelSize + [channels, multiplier]), named: "kernel")
        if arguments.bool("use_bias") { bias = try addWeight("bias", [outputs]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectChannels(shapes[0], rank, kernel.shape[rank], kernel) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        var y = first ? try channelsToLast(inputs[0], rank) : inputs[0]
        if rank == 1 { y = try expandDims(y, 1) }
        y = try depthwise(
            y, kernel.value, rank, strides: strides, padding: arguments.string("padding") == "same" ? .same : .valid,
            dilation: dilation)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        if rank == 1 { y = try squeeze(y, axes: [1]) }
        return [first ? try channelsToSecond(y, rank) : y]
    }
}

extension Layer {
    /// Channels that come out of a convolution of each channel on its own.
    func depthwiseOutputs(_ channels: Int, _ multiplier: Int, _ shape: [Int?]) throws -> Int {
        let (outputs, overflow) = channels.multipliedReportingOverflow(by: multiplier)
        guard !overflow, outputs <= Int(Int32.max) else {
            throw DLError(
                .limit, "[\(className)] too many channels. Received: input \(Shape.text(shape)), depth_multiplier \(multiplier)")
        }
        return outputs
    }
}

/// Each channel of the picture x with kernels of its own, (k..., channels, multiplier) with `rank` sizes in front.
func depthwise(
    _ x: Value, _ kernel: Value, _ rank: Int, strides: [Int], padding: Padding, dilation: [Int]
) throws -> Value {
    let sizes = kernel.shape.sizes
    let one = [Int](repeating: 1, count: 2 - rank)
    // A group for each channel; its filters lie together as Keras has them.
    let weights = try reshape(kernel, one + Array(sizes[..<rank]) + [1, sizes[rank] * sizes[rank + 1]])
    return try conv2d(x, weights, strides: one + strides, padding: padding, dilation: one + dilation, groups: sizes[rank])
}
