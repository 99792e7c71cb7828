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
        arguments: [Argument("axis", .axes, -1, "The axis, or axes whose numbers belong together.")]
    ) { Softmax($0) }

    override package var supportsMasking: Bool { true }
    override package var callTensors: [String] { ["mask"] }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        let axes = arguments.ints("axis")
        if axes.count == 1 { values["axis"] = .int(Int64(axes[0])) }
        return values
    }

    /// Where the mask is false nothing comes out, and the rest has the sum 1.
    override package func call(_ given: CallInputs) throws -> [Value] {
        let x = given.inputs[0]
        let mask = try given.named["mask"].map { mask in
            mask.type == .bool ? mask : try greater(mask, constant(0.5, like: mask))
        }
        if let mask { try AttentionParts.check(mask, x.shape, self) }
        let scores = try mask.map { try `where`($0, x, constant(-1e9, like: x)) } ?? x
        let y = try softmax(scores, along: arguments.ints("axis"))
        return [try mask.map { try `where`($0, y, constant(0, like: y)) } ?? y]
    }

    private func softmax(_ x: Value, along axes: [Int]) throws -> Value {
        if axes.count == 1 { return try DLOps.softmax(x, axis: axes[0]) }
        let last = try axes.map { try x.shape.axis($0, className) }.sorted()
        guard !last.isEmpty, Set(last).count == last.count else { throw arguments.error("axis", "axes, each once") }
        let order = (0..<x.shape.rank).filter { !last.contains($0) } + last
        let moved = try transpose(x, order)
        let rest = moved.shape.sizes.dropLast(last.count)
        let flat = try reshape(moved, rest + [moved.shape.sizes.suffix(last.count).reduce(1, &*)])
        var back = order
        for (place, axis) in order.enumerated() { back[axis] = place }
        return try transpose(reshape(DLOps.softmax(flat), moved.shape.sizes), back)
    }
}

/// A slope below 0 that is learnt.
package final class PReLU: Layer {
    static let declaration = layerDeclaration(
        "PReLU", "A slope below 0 that is learnt, for each position or shared along axes.", formula: "x if x >= 0, else alpha x",
        source: "He et al., Delving deep into rectifiers, 2015; Keras, keras.layers.PReLU",
        shapes: "input (batch, ...), alpha: the input's sizes without the batch, 1 along shared axes; output like the input",
        example: """
            local dl = require "dl"
            print(dl.layers.PReLU{ alpha_initializer = dl.initializers.Constant{ 0.25 } }(dl.tensor{ { -1, 1 } }))
            """,
        arguments: [
            initializerArgument("alpha", "zeros"), regularizerArgument("alpha"), constraintArgument("alpha"),
            Argument("shared_axes", .optional(.axes), .null, "Axes along which one slope serves all."),
        ]
    ) { PReLU($0) }

    private var alpha: Variable!

    override package var supportsMasking: Bool { true }

    private func sizes(_ shape: [Int?]) throws -> [Int?] {
        guard shape.count >= 2 else {
            throw DLError(.shape, "[PReLU] the input needs a batch axis and others. Received: input \(Shape.text(shape))")
        }
        var sizes = Array(shape.dropFirst())
        for given in arguments.ints("shared_axes") {
            let axis = given < 0 ? given &+ shape.count : given
            guard axis >= 1, axis < shape.count else {
                throw DLError(
                    .shape, "[PReLU] 'shared_axes' must name axes after the batch. "
                        + "Received: axis \(given), input \(Shape.text(shape))")
            }
            sizes[axis - 1] = 1
        }
        return sizes
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let sizes = try sizes(inputShapes[0])
        guard !sizes.contains(nil) else {
            throw DLError(
                .shape, "[PReLU] the sizes must be known, or their axes among 'shared_axes'. Received: input \(Shape.text(inputShapes[0]))")
        }
        alpha = try addWeight("alpha", Shape(checked: sizes.compactMap { $0 }))
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let sizes = try sizes(shapes[0])
        guard sizes.count == alpha.shape.rank, zip(sizes, alpha.shape.sizes).allSatisfy({ $0 == nil || $0 == $1 }) else {
            throw DLError(
                .shape, "[PReLU] layer '\(name)' was built for slopes \(alpha.shape). Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        return [try subtract(relu(x), multiply(alpha.value, relu(negative(x))))]
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
