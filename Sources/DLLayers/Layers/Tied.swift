import DLBase
import DLGraph
import DLOps
import DLTensor

/// A layer that works with the kernel of another one, the other way round: the decoder of an autoencoder.
package class TiedLayer: Layer {
    static let tiedTo = Argument(
        "tied_to", .object(category: "tied_layer"), nil,
        "The layer whose kernel is used, or its name in the model that is read.")

    package private(set) var source: Layer?
    fileprivate var sourceClasses: [String] { [] }

    package var sourceName: String { source?.name ?? arguments.string("tied_to") }

    /// Says whose kernel it is; before the first call.
    package func tie(to layer: Layer) throws {
        guard sourceClasses.contains(layer.className) else {
            throw DLError(
                .argument, "[\(className)] layer '\(name)' is tied to a \(sourceClasses.joined(separator: " or ")). "
                    + "Received: \(layer.className) '\(layer.name)'")
        }
        guard !built else { throw DLError(.state, "[\(className)] layer '\(name)' is built already") }
        source = layer
    }

    /// The shared kernel; it exists once the other layer is built.
    fileprivate func sharedKernel() throws -> Variable {
        guard let source else {
            throw DLError(
                .state, "[\(className)] layer '\(name)' is not tied to a layer; there is none called '\(sourceName)' before it")
        }
        guard let kernel = source.weights.first(where: { $0.variable.name == "kernel" })?.variable else {
            throw DLError(
                .state, "[\(className)] layer '\(name)': the layer '\(source.name)' must be built first, by being called")
        }
        return kernel
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["tied_to"] = .string(sourceName)
        return values
    }

    /// The kernel is one of its weights too, so that it is trained wherever it is used.
    override package func collectWeights() -> [Weight] {
        super.collectWeights() + (built ? source?.weights.filter { $0.variable.name == "kernel" } ?? [] : [])
    }

    override package func collectOrdered() -> [Variable] {
        super.collectOrdered() + (built ? source?.weights.map(\.variable).filter { $0.name == "kernel" } ?? [] : [])
    }
}

/// A Dense with the transposed kernel of another Dense.
package final class DenseTied: TiedLayer {
    static let declaration = layerDeclaration(
        "DenseTied", "A fully connected layer with the transposed kernel of another Dense, which the two share.",
        formula: "y = activation(x W' + b), W the other layer's kernel",
        source: "Vincent et al., Stacked denoising autoencoders, 2010: tied weights",
        shapes: "input (batch, ..., units of the other layer), bias (n,), output (batch, ..., n), n the other layer's number of inputs",
        example: """
            local dl = require "dl"
            local encoder = dl.layers.Dense{ units = 2 }
            local h = encoder(dl.ones{ 3, 5 })
            print(dl.layers.DenseTied{ tied_to = encoder }(h).shape)
            """,
        arguments: [
            tiedTo, activationArgument, Argument("use_bias", .bool, true, "Whether a bias of its own is added."),
            initializerArgument("bias", "zeros"), regularizerArgument("bias"), constraintArgument("bias"),
        ]
    ) { try DenseTied(checked: $0) }

    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        activation = try Activations.make(arguments, "activation")
        super.init(arguments)
    }

    override fileprivate var sourceClasses: [String] { ["Dense"] }

    override package func build(_ inputShapes: [[Int?]]) throws {
        kernel = try sharedKernel()
        try checkInput(inputShapes)
        if arguments.bool("use_bias") { bias = try addWeight("bias", [kernel.shape[0]]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count >= 2, let last = shapes[0].last, last == nil || last == kernel.shape[1] else {
            throw DLError(
                .shape, "[DenseTied] layer '\(name)': the last axis of the input must have size \(kernel.shape[1]). "
                    + "Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var y = try matmul(inputs[0], kernel.value, transposeB: true)
        if let bias { y = try biasAdd(y, bias.value) }
        return [try activation?.apply(y) ?? y]
    }
}

/// A transposed convolution with the kernel of a Conv2D.
package final class Conv2DTied: TiedLayer {
    static let declaration = layerDeclaration(
        "Conv2DTied", "A transposed convolution with the kernel of a Conv2D, which the two share.",
        formula: "the gradient of the other layer's convolution for its input, with bias and activation",
        source: "Masci et al., Stacked convolutional auto-encoders, 2011: tied weights",
        shapes: "input (batch, height, width, filters of the other layer), bias (c,), output (batch, height', width', c), c the other "
            + "layer's number of input channels; sizes as Conv2DTranspose has them",
        example: """
            local dl = require "dl"
            local encoder = dl.layers.Conv2D{ filters = 4, kernel_size = 3, strides = 2, padding = "same" }
            local h = encoder(dl.ones{ 1, 8, 8, 3 })
            print(dl.layers.Conv2DTied{ tied_to = encoder, strides = 2, padding = "same" }(h).shape)
            """,
        arguments: [
            tiedTo, Argument("strides", .size(minimum: 1), 1, "Distance of the windows in the output."),
            Argument("padding", .choice(["valid", "same"]), "valid", "Padding of the convolution that is turned round."),
            Argument("output_padding", .optional(.size(minimum: 0)), .null, "Extra size of the output, less than the strides."),
            activationArgument, Argument("use_bias", .bool, true, "Whether a bias of its own is added."),
            initializerArgument("bias", "zeros"), regularizerArgument("bias"), constraintArgument("bias"),
        ]
    ) { try Conv2DTied(checked: $0) }

    private let activation: ActivationFunction?
    private let strides: [Int]
    private let outputPadding: [Int]?
    private var kernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        activation = try Activations.make(arguments, "activation")
        strides = try arguments.sizes("strides", 2)
        outputPadding = arguments.has("output_padding") ? try arguments.sizes("output_padding", 2) : nil
        super.init(arguments)
    }

    override fileprivate var sourceClasses: [String] { ["Conv2D"] }

    override package func build(_ inputShapes: [[Int?]]) throws {
        kernel = try sharedKernel()
        if let source, source.arguments.int("groups") > 1 {
            throw DLError(.unsupported, "[Conv2DTied] a convolution in groups cannot be tied. Received: groups \(source.arguments.int("groups"))")
        }
        try checkInput(inputShapes)
        if arguments.bool("use_bias") { bias = try addWeight("bias", [kernel.shape[2]]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == 4, shapes[0][3] == nil || shapes[0][3] == kernel.shape[3] else {
            throw DLError(
                .shape, "[Conv2DTied] layer '\(name)': the input must have 4 axes and \(kernel.shape[3]) channels. "
                    + "Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var y = try convTranspose(
            inputs[0], kernel.value, strides: strides, same: arguments.string("padding") == "same", outputPadding: outputPadding,
            dilation: [1, 1])
        if let bias { y = try biasAdd(y, bias.value) }
        return [try activation?.apply(y) ?? y]
    }
}

/// Rosenblatt's unit: a threshold, and a rule of its own that takes the place of the gradient.
package final class Perceptron: Layer {
    static let declaration = layerDeclaration(
        "Perceptron",
        "Rosenblatt's units: 1 or 0, as the weighted sum of the inputs is positive or not. The threshold has no gradient; what "
            + "comes back passes it unchanged, so that SGD with rate r on half the squared error is the perceptron's rule.",
        formula: "y = 1 if x W + b > 0, else 0; with L = sum((y - t)^2) / 2: W -= r x' (y - t)",
        source: "Rosenblatt, The perceptron: a probabilistic model for information storage and organization in the brain, 1958",
        shapes: "input (batch, ..., n), kernel (n, units), bias (units,), output (batch, ..., units)",
        example: """
            local dl = require "dl"
            print(dl.layers.Perceptron{ units = 1, kernel_initializer = "ones" }(dl.tensor{ { 1, 2 }, { -3, 1 } }))
            """,
        arguments: [
            Argument("units", .int(Argument.positive), 1, "Number of units."),
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("kernel", "zeros"), initializerArgument("bias", "zeros"),
            regularizerArgument("kernel"), regularizerArgument("bias"), constraintArgument("kernel"), constraintArgument("bias"),
        ]
    ) { Perceptron($0) }

    private var kernel: Variable!
    private var bias: Variable?

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        guard inputShapes[0].count >= 2, let features = inputShapes[0].last ?? nil else {
            throw DLError(
                .shape, "[Perceptron] the input needs a batch axis and a last axis of known size. "
                    + "Received: input \(Shape.text(inputShapes[0]))")
        }
        let units = arguments.int("units")
        kernel = try addWeight("kernel", Shape(checked: [features, units]))
        if arguments.bool("use_bias") { bias = try addWeight("bias", [units]) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard let last = shapes[0].last, last == nil || last == kernel.shape[0] else {
            throw DLError(
                .shape, "[Perceptron] layer '\(name)': the last axis of the input must have size \(kernel.shape[0]). "
                    + "Received: input \(Shape.text(shapes[0])), kernel \(kernel.shape)")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var z = try matmul(inputs[0], kernel.value)
        if let bias { z = try biasAdd(z, bias.value) }
        let fired = try cast(greater(stopGradient(z), constant(0, like: z)), z.type)
        // Adds exactly 0, and the way back.
        return [try add(subtract(z, stopGradient(z)), fired)]
    }
}
