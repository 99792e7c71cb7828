import DLBase
import DLGraph
import DLOps
import DLTensor

/// The convolution's gradient for its input, as a layer: it enlarges sequences, pictures and volumes.
package final class ConvolutionTranspose: Layer {
    static let declarations = (1...3).map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let ones: JSON = rank == 1 ? 1 : .array([JSON](repeating: 1, count: rank))
        let (object, axes) = spatialNames(rank)
        return layerDeclaration(
            "Conv\(rank)DTranspose", aliases: ["Convolution\(rank)DTranspose"],
            "Transposed convolution: each element of a \(object) adds a scaled kernel to the result.",
            formula: "y[n, i s + p d - before, o] = activation(b[o] + sum over i, p, c of x[n, i, c] W[p, o, c]), along each axis",
            source: "Zeiler et al., Deconvolutional networks, 2010; Keras, keras.layers.Conv\(rank)DTranspose",
            shapes: "input (batch, \(axes), channels), kernel (sizes, filters, channels), bias (filters,), "
                + "output (batch, new sizes, filters); with r = (k - 1) d + 1: \"valid\" gives (size - 1) s + max(r, s), "
                + "\"same\" gives size s; with output_padding o (size - 1) s + r + o and (size - 1) s + r mod 2 + o",
            example: """
                local dl = require "dl"
                local y = dl.layers.Conv\(rank)DTranspose{ filters = 4, kernel_size = 3, strides = 2, padding = "same" }
                print(y(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument("filters", .int(Argument.positive), nil, "Number of output channels."),
                Argument("kernel_size", .size(minimum: 1), nil, "Sizes of the kernels."),
                Argument("strides", .size(minimum: 1), ones, "Steps of the result from one kernel to the next."),
                Argument("padding", .choice(["valid", "same"]), "valid", "Which rule for the size of the result."),
                dataFormatArgument,
                Argument(
                    "output_padding", .optional(.size(minimum: 0)), .null,
                    "How much longer the result is along each axis, less than strides; null for the usual size."),
                Argument("dilation_rate", .size(minimum: 1), ones, "Distance between the taps of a kernel."),
                activationArgument,
                Argument("use_bias", .bool, true, "Whether a bias is added."),
                initializerArgument("kernel", "glorot_uniform"), initializerArgument("bias", "zeros"),
                regularizerArgument("kernel"), regularizerArgument("bias"), regularizerArgument("activity"),
                constraintArgument("kernel"), constraintArgument("bias"),
            ]
        ) { try ConvolutionTranspose(checked: $0, rank) }
    }

    private let rank: Int
    private let filters: Int
    private let kernelSize: [Int]
    private let strides: [Int]
    private let outputPadding: [Int]?
    private let dilation: [Int]
    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        filters = arguments.int("filters")
        kernelSize = try arguments.sizes("kernel_size", rank)
        strides = try arguments.sizes("strides", rank)
        outputPadding = arguments.has("output_padding") ? try arguments.sizes("output_padding", rank) : nil
        dilation = try arguments.sizes("dilation_rate", rank)
        activation = try Activations.make(arguments, "activation")
        try expectStridesOrDilation(arguments.owner, strides, dilation)
        if let outputPadding, zip(outputPadding, strides).contains(where: { $0 >= $1 }) {
            throw DLError(
                .argument, "[\(arguments.owner)] 'output_padding' must be less than 'strides'. "
                    + "Received: output_padding \(outputPadding), strides \(strides)")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let channels = try expectChannels(inputShapes[0], rank)
        kernel = try addWeight("kernel", Shape(checked: kernelSize + [filters, channels]))
        if arguments.bool("use_bias") { bias = try addWeight("bias", [filters]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectChannels(shapes[0], rank, kernel.shape.last, kernel) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        let x = first ? try channelsToLast(inputs[0], rank) : inputs[0]
        var y = try convTranspose(
            x, kernel.value, strides: strides, same: arguments.string("padding") == "same", outputPadding: outputPadding,
            dilation: dilation)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        return [first ? try channelsToSecond(y, rank) : y]
    }
}

/// Kernels either step or have holes.
func expectStridesOrDilation(_ owner: String, _ strides: [Int], _ dilation: [Int]) throws {
    guard strides.allSatisfy({ $0 == 1 }) || dilation.allSatisfy({ $0 == 1 }) else {
        throw DLError(
            .argument, "[\(owner)] strides above 1 and a dilation rate above 1 exclude each other. "
                + "Received: strides \(strides), dilation_rate \(dilation)")
    }
}

extension Layer {
    /// The known, positive number of channels of an input with `rank` spatial axes.
    func expectChannels(_ shape: [Int?], _ rank: Int) throws -> Int {
        try expectSpatial(shape, rank, className)
        guard let channels = shape[arguments.channelsFirst ? 1 : rank + 1], channels > 0 else {
            throw DLError(
                .shape, "[\(className)] the number of channels must be known and at least 1. Received: input \(Shape.text(shape))")
        }
        return channels
    }

    /// Refuses inputs with other channels than the kernel was built for.
    func expectChannels(_ shape: [Int?], _ rank: Int, _ channels: Int, _ kernel: Variable) throws {
        let axis = arguments.channelsFirst ? 1 : rank + 1
        guard shape.count == rank + 2, shape[axis] == nil || shape[axis] == channels else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': input has shape \(Shape.text(shape)), kernel was built for "
                    + "\(channels) channels. Received: input \(Shape.text(shape)), kernel \(kernel.shape)")
        }
    }
}
