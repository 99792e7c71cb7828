import DLBase
import DLGraph
import DLOps

private let anyShape = "input any, output the same"

/// An activation as a layer.
package final class Activation: Layer {
    static let declaration = layerDeclaration(
        "Activation", "Applies an activation function.", source: "Keras, keras.layers.Activation", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.Activation{ "tanh" }(dl.tensor{ -1, 0, 1 }))
            """,
        arguments: [Argument("activation", .object(category: "activation"), nil, "The function.")]
    ) { try Activation(checked: $0) }

    private let function: ActivationFunction?

    init(checked arguments: Arguments) throws {
        function = try Activations.make(arguments, "activation")
        super.init(arguments)
    }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        [try function?.apply(inputs[0]) ?? inputs[0]]
    }
}

package final class ReLU: Layer {
    static let declaration = layerDeclaration(
        "ReLU", "Cuts off below a threshold, and above a limit where one is given.",
        formula: "max_value if x >= max_value; x if threshold <= x < max_value; negative_slope (x - threshold) else",
        source: "Keras, keras.layers.ReLU", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.ReLU{ max_value = 6 }(dl.tensor{ -1, 3, 9 }))
            """,
        arguments: [
            Argument("max_value", .optional(.float(Argument.notNegative)), .null, "The limit; none where null."),
            Argument("negative_slope", .float(Argument.notNegative), 0, "Slope below the threshold."),
            Argument("threshold", .float(Argument.notNegative), 0, "Where the cut is."),
        ]
    ) { ReLU($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let (slope, threshold) = (arguments.float("negative_slope"), arguments.float("threshold"))
        var y: Value
        if slope == 0, threshold == 0 {
            y = try relu(x)
        } else {
            let shifted = try subtract(x, constant(threshold, like: x))
            let low = try multiply(shifted, constant(slope, like: x))
            y = try `where`(greaterEqual(x, constant(threshold, like: x)), x, low)
        }
        if let limit = arguments.optionalFloat("max_value") { y = try minimum(y, constant(limit, like: x)) }
        return [y]
    }
}

package final class LeakyReLU: Layer {
    static let declaration = layerDeclaration(
        "LeakyReLU", "A small slope below 0.", formula: "x if x >= 0, else negative_slope x",
        source: "Maas et al., Rectifier nonlinearities improve neural network acoustic models, 2013", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.LeakyReLU()(dl.tensor{ -1, 1 }))
            """,
        arguments: [Argument("negative_slope", .float(Argument.notNegative), 0.3, "Slope below 0.")]
    ) { LeakyReLU($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try Operations.apply("leaky_relu", inputs, attributes: ["negative_slope": arguments["negative_slope"]])
    }
}

package final class ELU: Layer {
    static let declaration = layerDeclaration(
        "ELU", "Exponential below 0.", formula: "x if x > 0, else alpha (exp(x) - 1)",
        source: "Clevert et al., Fast and accurate deep network learning by exponential linear units, 2015", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.ELU()(dl.tensor{ -1, 1 }))
            """,
        arguments: [Argument("alpha", .float(Argument.notNegative), 1, "Minus the value far below 0.")]
    ) { ELU($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try Operations.apply("elu", inputs, attributes: ["alpha": arguments["alpha"]])
    }
}

package final class Softmax: Layer {
    static let declaration = layerDeclaration(
        "Softmax", "Makes numbers along an axis positive with sum 1.", formula: "exp(x_i) / sum exp(x_j)",
        source: "Keras, keras.layers.Softmax", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.Softmax()(dl.tensor{ { 1, 2, 3 } }))
            """,
        arguments: [Argument("axis", .axis, -1, "The axis.")]
    ) { Softmax($0) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try Operations.apply("softmax", inputs, attributes: ["axis": arguments["axis"]])
    }
}

package final class Identity: Layer {
    static let declaration = layerDeclaration(
        "Identity", "What comes in.", source: "Keras, keras.layers.Identity", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.Identity()(dl.ones{ 2 }))
            """
    ) { Identity($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] { inputs }
}

package final class Rescaling: Layer {
    static let declaration = layerDeclaration(
        "Rescaling", "Multiplies by a number and adds another: pictures from 0..255 to 0..1.", formula: "scale x + offset",
        source: "Keras, keras.layers.Rescaling", shapes: anyShape,
        example: """
            local dl = require "dl"
            print(dl.layers.Rescaling{ scale = 1 / 255 }(dl.tensor{ 0, 255 }))
            """,
        arguments: [
            Argument("scale", .float(Argument.anyFloat), nil, "The factor."),
            Argument("offset", .float(Argument.anyFloat), 0, "What is added."),
        ]
    ) { Rescaling($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = try cast(inputs[0], dtype)
        let scaled = try multiply(x, constant(arguments.float("scale"), like: x))
        return [try add(scaled, constant(arguments.float("offset"), like: x))]
    }
}
