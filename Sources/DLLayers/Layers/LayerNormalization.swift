import DLBase
import DLGraph
import DLOps
import DLTensor

/// The axes in the argument `axis`, from 0 and in order, for an input of this shape; each of known size.
func normalizedAxes(_ arguments: Arguments, _ shape: [Int?]) throws -> [(axis: Int, size: Int)] {
    let given = arguments.ints("axis")
    let found = given.map { $0 < 0 ? $0 &+ shape.count : $0 }.sorted()
    guard !found.isEmpty, Set(found).count == found.count, found.allSatisfy(shape.indices.contains) else {
        throw DLError(
            .shape, "[\(arguments.owner)] 'axis' must name axes of the input, each once. "
                + "Received: axis \(given), input \(Shape.text(shape))")
    }
    return try found.map { axis in
        guard let size = shape[axis] else {
            throw DLError(
                .shape, "[\(arguments.owner)] the axes that are normalised must have a known size. "
                    + "Received: axis \(given), input \(Shape.text(shape))")
        }
        return (axis, size)
    }
}

/// The sizes of axes a layer was built for, so that another input can be refused by name.
struct BuiltAxes {
    var rank = 0
    var sizes: [(axis: Int, size: Int)] = []

    func check(_ shapes: [[Int?]], _ layer: Layer) throws {
        let shape = shapes[0]
        guard shape.count == rank, sizes.allSatisfy({ shape[$0.axis] == nil || shape[$0.axis] == $0.size }) else {
            let text = sizes.map { "\($0.size) along axis \($0.axis)" }.joined(separator: ", ")
            throw DLError(
                .shape, "[\(layer.className)] layer '\(layer.name)' was built for \(rank) axes with \(text). "
                    + "Received: input \(Shape.text(shape))")
        }
    }
}

private let gammaAndBeta = [
    initializerArgument("beta", "zeros"), initializerArgument("gamma", "ones"), regularizerArgument("beta"),
    regularizerArgument("gamma"), constraintArgument("beta"), constraintArgument("gamma"),
]

/// Normalises each sample by its own mean and variance along axes.
package final class LayerNormalization: Layer {
    static let declaration = layerDeclaration(
        "LayerNormalization", "Normalises each sample along axes by the mean and the variance found there, then scales and shifts.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta",
        source: "Ba, Kiros and Hinton, Layer normalization, 2016; Keras, keras.layers.LayerNormalization",
        shapes: "input any; gamma, beta: the sizes of the axes; output like the input",
        example: """
            local dl = require "dl"
            print(dl.layers.LayerNormalization()(dl.tensor{ { 1, 2, 3 }, { 10, 20, 60 } }))
            """,
        arguments: [
            Argument("axis", .axes, -1, "The axes that are normalised together."),
            Argument("epsilon", .float(0...1e30), 0.001, "Keeps the root away from 0."),
            Argument("center", .bool, true, "Whether beta is added."), Argument("scale", .bool, true, "Whether gamma multiplies."),
            Argument(
                "rms_scaling", .bool, false,
                "Keras's old form: x gamma / sqrt(variance + epsilon), without a shift. RMSNormalization is the usual one."),
        ] + gammaAndBeta
    ) { LayerNormalization($0) }

    private var gamma: Variable?
    private var beta: Variable?
    private var axesBuilt = BuiltAxes()

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let axes = try normalizedAxes(arguments, inputShapes[0])
        let size = try Shape(checked: axes.map(\.size))
        let old = arguments.bool("rms_scaling")
        if arguments.bool("scale") || old { gamma = try addWeight("gamma", size) }
        if arguments.bool("center"), !old { beta = try addWeight("beta", size) }
        axesBuilt = BuiltAxes(rank: inputShapes[0].count, sizes: axes)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try axesBuilt.check(shapes, self) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let axes = axesBuilt.sizes.map(\.axis)
        let epsilon = arguments.float("epsilon")
        guard arguments.bool("rms_scaling") else {
            return [try layerNormalization(x, gamma: gamma?.value, beta: beta?.value, axes: axes, epsilon: epsilon)]
        }
        let spread = try variance(x, axes: axes, keepDims: true)
        let y = try multiply(x, rsqrt(add(spread, constant(epsilon, like: x))))
        guard let gamma else { return [y] }
        return [try multiply(y, alongAxes(gamma.value, axes, x.shape.rank))]
    }
}

/// A tensor with the sizes of some axes, with size 1 along the others.
func alongAxes(_ value: Value, _ axes: [Int], _ rank: Int) throws -> Value {
    var sizes = [Int](repeating: 1, count: rank)
    for (place, axis) in axes.enumerated() { sizes[axis] = value.shape[place] }
    return try reshape(value, sizes)
}

/// Normalises each sample by its root mean square along axes.
package final class RMSNormalization: Layer {
    static let declaration = layerDeclaration(
        "RMSNormalization", "Divides each sample by its root mean square along axes, then scales it.",
        formula: "y = scale x / sqrt(mean(x^2) + epsilon)",
        source: "Zhang and Sennrich, Root mean square layer normalization, 2019; Keras, keras.layers.RMSNormalization",
        shapes: "input any; scale: the sizes of the axes; output like the input",
        example: """
            local dl = require "dl"
            print(dl.layers.RMSNormalization()(dl.tensor{ { 3, 4 } }))
            """,
        arguments: [
            Argument("axis", .axes, -1, "The axes that are normalised together."),
            Argument("epsilon", .float(0...1e30), 1e-6, "Keeps the root away from 0."),
        ]
    ) { RMSNormalization($0) }

    private var scale: Variable!
    private var axesBuilt = BuiltAxes()

    override package func build(_ inputShapes: [[Int?]]) throws {
        let axes = try normalizedAxes(arguments, inputShapes[0])
        scale = try addWeight("scale", Shape(checked: axes.map(\.size)), Initializers.registry.make("ones"))
        axesBuilt = BuiltAxes(rank: inputShapes[0].count, sizes: axes)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try axesBuilt.check(shapes, self) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        [
            try rmsNormalization(
                inputs[0], gamma: scale.value, axes: axesBuilt.sizes.map(\.axis), epsilon: arguments.float("epsilon"))
        ]
    }
}

/// Normalises each sample by the mean and variance of groups of channels.
package final class GroupNormalization: Layer {
    static let declaration = layerDeclaration(
        "GroupNormalization",
        "Normalises each sample by the mean and the variance of each group of channels, then scales and shifts channels.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over all axes but the batch and over "
            + "the group's channels",
        source: "Wu and He, Group normalization, 2018; Keras, keras.layers.GroupNormalization",
        shapes: "input (batch, ...) with channels along `axis`; gamma, beta (channels,); output like the input",
        example: """
            local dl = require "dl"
            print(dl.layers.GroupNormalization{ groups = 2 }(dl.randn{ 3, 5, 5, 4 }).shape)
            """,
        arguments: [
            Argument(
                "groups", .int(-1...Int(Int32.max)), 32,
                "Number of groups; the channels must divide by it. -1: as many as channels, which is instance normalisation."),
            Argument("axis", .axis, -1, "The axis of the channels."),
            Argument("epsilon", .float(0...1e30), 0.001, "Keeps the root away from 0."),
            Argument("center", .bool, true, "Whether beta is added."), Argument("scale", .bool, true, "Whether gamma multiplies."),
        ] + gammaAndBeta
    ) { try GroupNormalization(checked: $0) }

    private var gamma: Variable?
    private var beta: Variable?
    private var axesBuilt = BuiltAxes()

    init(checked arguments: Arguments) throws {
        guard arguments.int("groups") != 0 else { throw arguments.error("groups", "a whole number of at least 1, or -1") }
        super.init(arguments)
    }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        let given = arguments.int("axis")
        let axis = given < 0 ? given &+ shape.count : given
        guard axis > 0, axis < shape.count, let channels = shape[axis] else {
            throw DLError(
                .shape, "[GroupNormalization] axis \(given) must be one of the input's axes after the batch, of known size. "
                    + "Received: input \(Shape.text(shape))")
        }
        let groups = arguments.int("groups") == -1 ? channels : arguments.int("groups")
        guard channels > 0, channels % groups == 0 else {
            throw DLError(
                .shape, "[GroupNormalization] the number of channels must be a multiple of 'groups'. "
                    + "Received: \(channels) channels, groups \(groups), input \(Shape.text(shape))")
        }
        if arguments.bool("scale") { gamma = try addWeight("gamma", [channels]) }
        if arguments.bool("center") { beta = try addWeight("beta", [channels]) }
        axesBuilt = BuiltAxes(rank: shape.count, sizes: [(axis, channels)])
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try axesBuilt.check(shapes, self) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let (x, (axis, channels)) = (inputs[0], axesBuilt.sizes[0])
        let rank = x.shape.rank
        let groups = arguments.int("groups") == -1 ? channels : arguments.int("groups")
        var split = x.shape.sizes
        split.replaceSubrange(axis...axis, with: [groups, channels / groups])
        // Everything but the batch and the group; the batch is left alone by the kernels anyway.
        let axes = (1...rank).filter { $0 != axis }
        let normal = try layerNormalization(reshape(x, split), axes: axes, epsilon: arguments.float("epsilon"))
        var y = try reshape(normal, x.shape.sizes)
        if let gamma { y = try multiply(y, alongAxes(gamma.value, [axis], rank)) }
        if let beta { y = try add(y, alongAxes(beta.value, [axis], rank)) }
        return [y]
    }
}

/// Scales each sample to length 1.
package final class UnitNormalization: Layer {
    static let declaration = layerDeclaration(
        "UnitNormalization", "Scales each sample along axes to length 1.", formula: "y = x / sqrt(max(sum(x^2), 1e-24))",
        source: "Keras, keras.layers.UnitNormalization", shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            print(dl.layers.UnitNormalization()(dl.tensor{ { 3, 4 } }))
            """,
        arguments: [Argument("axis", .axes, -1, "The axes along which lengths are taken.")]
    ) { UnitNormalization($0) }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        _ = try normalizedAxes(arguments, shapes[0].map { $0 ?? 1 })
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let axes = try normalizedAxes(arguments, x.shape.sizes).map(\.axis)
        let squares = try sum(square(x), axes: axes, keepDims: true)
        return [try multiply(x, rsqrt(maximum(squares, constant(1e-24, like: x))))]
    }
}
