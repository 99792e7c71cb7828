import DLBase
import DLGraph
import DLOps
import DLTensor

/// Normalises each channel by the mean and variance of the batch, or, for inference, by their moving averages.
package final class BatchNormalization: Layer {
    static let declaration = layerDeclaration(
        "BatchNormalization", "Normalises each channel by the batch's mean and variance, then scales and shifts it.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta; "
            + "moving = momentum * moving + (1 - momentum) * batch's, with the biased variance",
        source: "Ioffe and Szegedy, Batch normalization, 2015; Keras, keras.layers.BatchNormalization",
        shapes: "input any with channels along `axis`; gamma, beta, moving_mean, moving_variance (channels,); output the same",
        example: """
            local dl = require "dl"
            local y = dl.layers.BatchNormalization()(dl.randn{ 8, 3 }, { training = true })
            print(y.shape)
            """,
        arguments: [
            Argument("axis", .axis, -1, "The axis of the channels."),
            Argument("momentum", .float(Argument.fraction), 0.99, "Share of the old in the moving averages."),
            Argument("epsilon", .float(0...1e30), 0.001, "Keeps the root away from 0."),
            Argument("center", .bool, true, "Whether beta is added."), Argument("scale", .bool, true, "Whether gamma multiplies."),
            initializerArgument("beta", "zeros"), initializerArgument("gamma", "ones"),
            initializerArgument("moving_mean", "zeros"), initializerArgument("moving_variance", "ones"),
            regularizerArgument("beta"), regularizerArgument("gamma"), constraintArgument("beta"), constraintArgument("gamma"),
            Argument("synchronized", .bool, false, "Always false."),
            Argument("renorm", .bool, false, "Always false."), Argument("renorm_clipping", .any, .null, "Always null."),
            Argument("renorm_momentum", .float(Argument.fraction), 0.99, "Unused without renorm."),
        ]
    ) { try BatchNormalization(checked: $0) }

    private var gamma: Variable?
    private var beta: Variable?
    private var movingMean: Variable!
    private var movingVariance: Variable!
    private var rank = 0

    init(checked arguments: Arguments) throws {
        for flag in ["synchronized", "renorm"] where arguments.bool(flag) {
            throw DLError(.unsupported, "[BatchNormalization] '\(flag)' is not supported")
        }
        super.init(arguments)
    }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        let given = arguments.int("axis")
        let axis = given < 0 ? given + shape.count : given
        guard axis > 0 || (axis == 0 && shape.count == 1), axis < shape.count, let channels = shape[axis] else {
            throw DLError(
                .shape, "[BatchNormalization] axis \(given) must be one of the input's axes after the batch, of known size. "
                    + "Received: input \(Shape.text(shape))")
        }
        rank = shape.count
        let size = Shape([channels])
        if arguments.bool("scale") { gamma = try addWeight("gamma", size) }
        if arguments.bool("center") { beta = try addWeight("beta", size) }
        movingMean = try addWeight("moving_mean", size, trainable: false)
        movingVariance = try addWeight("moving_variance", size, trainable: false)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let given = arguments.int("axis")
        let axis = given < 0 ? given + shapes[0].count : given
        let channels = movingMean.shape[0]
        guard shapes[0].count == rank, shapes[0][axis] == nil || shapes[0][axis] == channels else {
            throw DLError(
                .shape, "[BatchNormalization] layer '\(name)' was built for \(rank) axes and \(channels) channels. "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let given = arguments.int("axis")
        let axis = given < 0 ? given + rank : given
        let moved = axis != rank - 1
        let x = moved ? try moveaxis(inputs[0], [axis], [rank - 1]) : inputs[0]
        let epsilon = arguments.float("epsilon")
        let y: Value
        // A frozen layer keeps its statistics, as in Keras.
        if training, trainable, let mask = inputs[0].mask {
            let (mean, variance) = try moments(x, mask, axis)
            let scale = try rsqrt(add(variance, constant(epsilon, like: variance)))
            let normal = try multiply(subtract(x, mean), scale)
            let scaled = try gamma.map { try multiply(normal, $0.value) } ?? normal
            y = try beta.map { try add(scaled, $0.value) } ?? scaled
            try update(movingMean, mean)
            try update(movingVariance, variance)
        } else if training, trainable {
            let result = try batchNormalizationTraining(x, gamma: gamma?.value, beta: beta?.value, epsilon: epsilon)
            y = result.y
            try update(movingMean, result.mean)
            try update(movingVariance, result.variance)
        } else {
            y = try batchNormalization(
                x, mean: movingMean.value, variance: movingVariance.value, gamma: gamma?.value, beta: beta?.value,
                epsilon: epsilon)
        }
        return [moved ? try moveaxis(y, [rank - 1], [axis]) : y]
    }

    /// Mean and variance of the channels, the last axis of x, over the steps that count.
    private func moments(_ x: Value, _ mask: Value, _ axis: Int) throws -> (Value, Value) {
        var shape = inputShape(x, axis)
        guard mask.shape.rank < rank, mask.shape.sizes == Array(shape.prefix(mask.shape.rank)) else {
            throw DLError(
                .shape, "[BatchNormalization] layer '\(name)': the mask must have the input's first axes. "
                    + "Received: input \(Shape(shape)), mask \(mask.shape)")
        }
        var weight = try expandDims(cast(mask, x.type), axes: Array(mask.shape.rank..<rank))
        // Every element but those of the channels has its weight; a channel axis that is masked too keeps its own.
        if axis >= mask.shape.rank { shape[axis] = 1 }
        weight = try broadcastTo(weight, Shape(shape))
        if axis != rank - 1 { weight = try moveaxis(weight, [axis], [rank - 1]) }
        let others = Array(0..<rank - 1)
        let count = try add(sum(weight, axes: others), constant(1e-7, like: weight))
        let mean = try divide(sum(multiply(weight, x), axes: others), count)
        let spread = try square(subtract(x, mean))
        return (mean, try divide(sum(multiply(weight, spread), axes: others), count))
    }

    /// The sizes before the channels went to the end.
    private func inputShape(_ x: Value, _ axis: Int) -> [Int] {
        var sizes = x.shape.sizes
        sizes.insert(sizes.removeLast(), at: axis)
        return sizes
    }

    private func update(_ moving: Variable, _ batch: Value) throws {
        let momentum = arguments.float("momentum")
        let old = try multiply(moving.value, constant(momentum, like: moving.value))
        let new = try multiply(stopGradient(batch), constant(1 - momentum, like: moving.value))
        try moving.assign(add(old, new))
    }
}
