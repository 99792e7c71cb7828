import DLBase
import DLGraph
import DLOps
import DLTensor

/// Sums of windows with a learned factor and bias for each channel.
package final class ScaledSubsampling: Layer {
    static let declaration = layerDeclaration(
        "ScaledSubsampling", "Sums of windows, with a learned factor and a learned bias for each channel.",
        formula: "y[n, i, j, c] = activation(a[c] sum over the window of x[n, i s + u, j s + v, c] + b[c])",
        source: "LeCun et al., Gradient-based learning applied to document recognition, 1998, layers S2 and S4",
        shapes: "input (batch, height, width, channels), coefficient (channels,), bias (channels,), "
            + "output (batch, floor((height - pool) / s) + 1, floor((width - pool) / s) + 1, channels)",
        example: """
            local dl = require "dl"
            print(dl.layers.ScaledSubsampling()(dl.ones{ 1, 4, 4, 6 }).shape)
            """,
        arguments: [
            Argument("pool_size", .size(minimum: 1), [2, 2], "Height and width of the window."),
            Argument(
                "strides", .optional(.size(minimum: 1)), .null, "Steps from one window to the next; the window's size where null."),
            dataFormatArgument,
            Argument(
                "activation", .optional(.object(category: "activation")), "scaled_tanh", "Function applied to the result; none where null."),
            Argument(
                "coefficient_initializer", .object(category: "initializer"),
                ["class_name": "Constant", "config": ["value": 0.25]], "First contents of the coefficient."),
            initializerArgument("bias", "zeros"),
        ]
    ) { try ScaledSubsampling(checked: $0) }

    private let poolSize: [Int]
    private let strides: [Int]
    private let activation: ActivationFunction?
    private var coefficient: Variable!
    private var bias: Variable!

    init(checked arguments: Arguments) throws {
        poolSize = try arguments.sizes("pool_size", 2)
        strides = arguments.has("strides") ? try arguments.sizes("strides", 2) : poolSize
        activation = try Activations.make(arguments, "activation")
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let channels = try expectChannels(inputShapes[0], 2)
        coefficient = try addWeight("coefficient", [channels])
        bias = try addWeight("bias", [channels])
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectChannels(shapes[0], 2, coefficient.shape[0], coefficient) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        let x = first ? try channelsToLast(inputs[0], 2) : inputs[0]
        // The mean times the window's size is its sum.
        let factor = try scale(coefficient.value, Double(poolSize[0]) * Double(poolSize[1]))
        var y = try biasAdd(multiply(averagePool(x, poolSize: poolSize, strides: strides), factor), bias.value)
        if let activation { y = try activation.apply(y) }
        return [first ? try channelsToSecond(y, 2) : y]
    }
}
