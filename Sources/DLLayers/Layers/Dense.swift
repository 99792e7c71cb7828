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

    /// Where the activation works element by element, the derivatives are its slopes times the kernel.
    override func contracted(_ given: CallInputs) throws -> ([Value], Value) {
        let mixing: Set<String> = ["softmax", "log_softmax", "glu", "sparsemax"]
        let named = arguments["activation"]
        guard let name = named.isNull ? "linear" : named.stringValue ?? named["class_name"]?.stringValue,
            !mixing.contains(name)
        else { return try super.contracted(given) }
        var z = try matmul(given.inputs[0], kernel.value)
        if let bias { z = try biasAdd(z, bias.value) }
        var slopes = try constant(1, like: z)
        var y = z
        if let activation {
            let tape = Tape(watchesVariables: false)
            tape.watch(z)
            tape.start()
            do {
                defer { tape.stop() }
                y = try activation.apply(z)
            }
            guard let found = try tape.gradients(of: y, withRespectTo: [z])[0] else { return ([y], try constant(0, like: z)) }
            slopes = found
        }
        let columns = try sum(square(kernel.value), axes: [0])
        let samples = Double(max(z.shape.sizes.dropLast().first ?? 1, 1))
        let total = try sum(multiply(broadcastTo(square(slopes), z.shape), columns))
        return ([y], try divide(total, constant(samples, like: z)))
    }
}
