import DLBase
import DLGraph
import DLOps
import DLTensor

/// Every output is a weighted sum of every input.
package final class Dense: Layer {
    static let declaration = layerDeclaration(
        "Dense", "A fully connected layer: every output is a weighted sum of every input.",
        formula: "y = activation(x W + b)", source: "Keras, keras.layers.Dense",
        shapes: "input (batch, ..., n), kernel (n, units), bias (units,), output (batch, ..., units)",
        example: """
            local dl = require "dl"
            local y = dl.layers.Dense{ units = 3, activation = "relu" }(dl.ones{ 2, 5 })
            print(y.shape)
            """,
        arguments: [
            Argument("units", .int(Argument.positive), nil, "Number of outputs."),
            activationArgument,
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("kernel", "glorot_uniform"), initializerArgument("bias", "zeros"),
            regularizerArgument("kernel"), regularizerArgument("bias"), regularizerArgument("activity"),
            constraintArgument("kernel"), constraintArgument("bias"),
            Argument("lora_rank", .any, .null, "Always null."), Argument("lora_alpha", .any, .null, "Always null."),
            Argument("quantization_config", .any, .null, "Always null."),
        ]
    ) { try Dense(checked: $0) }

    private let units: Int
    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        units = arguments.int("units")
        activation = try Activations.make(arguments, "activation")
        try refuseActivityRegularizer(arguments)
        for name in ["lora_rank", "lora_alpha", "quantization_config"] where arguments.has(name) {
            throw DLError(.unsupported, "[Dense] '\(name)' is not supported")
        }
        super.init(arguments)
    }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        guard inputShapes[0].count >= 2, let features = inputShapes[0].last! else {
            throw DLError(
                .shape, "[Dense] the input needs a batch axis and a last axis of known size. "
                    + "Received: input \(Shape.text(inputShapes[0]))")
        }
        kernel = try addWeight("kernel", Shape(checked: [features, units]))
        if arguments.bool("use_bias") { bias = try addWeight("bias", [units]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let features = kernel.shape[0]
        guard let last = shapes[0].last, last == nil || last == features else {
            throw DLError(
                .shape, "[Dense] layer '\(name)': the last axis of the input must have size \(features). "
                    + "Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var y = try matmul(inputs[0], kernel.value)
        if let bias { y = try biasAdd(y, bias.value) }
        if let activation { y = try activation.apply(y) }
        return [y]
    }
}

/// Penalties on outputs come with the layers that need them.
func refuseActivityRegularizer(_ arguments: Arguments) throws {
    if arguments.has("activity_regularizer") {
        throw DLError(.unsupported, "[\(arguments.owner)] 'activity_regularizer' is not supported yet")
    }
}
