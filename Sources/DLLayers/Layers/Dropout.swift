import DLBase
import DLGraph
import DLOps
import DLTensor

/// A layer that changes its input at random while training, and passes it on otherwise.
package class RandomLayer: Layer {
    private var state: Variable?

    override package var supportsMasking: Bool { true }

    /// Whether there is anything random about it.
    fileprivate var isRandom: Bool { arguments.float("rate") > 0 }

    override package func build(_ inputShapes: [[Int?]]) throws {
        if isRandom { state = try addSeedState(arguments.optionalInt("seed")) }
    }

    fileprivate func change(_ x: Value, seed: Value) throws -> Value { x }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        guard training, let state else { return inputs }
        guard inputs[0].type.isFloatingPoint else {
            throw DLError(.dtype, "[\(className)] layer '\(name)': the input must be floating-point. Received: \(inputs[0].spec)")
        }
        let y = try change(inputs[0], seed: state.value)
        try state.assign(add(state.value, Value(Tensor([Int64(0), 1]))))
        return [y]
    }

    /// Factors of 0 and 1 / (1 - rate) that are the same along the axes where `sizes` has 1.
    fileprivate func spread(_ x: Value, _ sizes: [Int], seed: Value) throws -> Value {
        let shape = try Shape(checked: sizes)
        let pairs = zip(shape.sizes.reversed(), x.shape.sizes.reversed())
        guard shape.rank <= x.shape.rank, pairs.allSatisfy({ $0 == 1 || $0 == $1 }) else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': 'noise_shape' must spread over the input. "
                    + "Received: noise_shape \(shape), input \(x.shape)")
        }
        let rate = arguments.float("rate")
        let ones = Value(try Tensor(number: 1, x.type, shape: shape))
        return try multiply(x, rate >= 1 ? multiply(ones, constant(0, like: x)) : dropout(ones, seed: seed, rate: rate))
    }

    /// The sizes of the noise: those of the input where the argument says none.
    fileprivate func noiseSizes(_ x: Value) -> [Int] {
        guard arguments.has("noise_shape") else { return x.shape.sizes }
        let given = arguments.shape("noise_shape")
        let offset = x.shape.rank - given.count
        return given.enumerated().map { place, size in
            size ?? (x.shape.sizes.indices.contains(place + offset) ? x.shape[place + offset] : 1)
        }
    }

    static let rate = Argument("rate", .float(0...1), nil, "The share that is set to zero.")
    static let seed = Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes the random numbers.")
    static let noiseShape = Argument(
        "noise_shape", .optional(.shape), .null,
        "Sizes of the random numbers, batch first; 1 along the axes where all share one. Those of the input where none is given.")
}

/// Sets a random part of the input to zero while training.
package final class Dropout: RandomLayer {
    static let declaration = layerDeclaration(
        "Dropout", "Sets a random part of the input to zero while training, and scales the rest so that the mean stays.",
        formula: "training: y = x m / (1 - rate), m = 1 with probability 1 - rate, else 0; otherwise y = x",
        source: "Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014",
        shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            local y = dl.layers.Dropout{ rate = 0.5, seed = 1 }(dl.ones{ 2, 4 }, { training = true })
            print(y.shape)
            """,
        arguments: [rate, noiseShape, seed]
    ) { Dropout($0) }

    override fileprivate func change(_ x: Value, seed: Value) throws -> Value {
        if arguments.has("noise_shape") { return try spread(x, noiseSizes(x), seed: seed) }
        let rate = arguments.float("rate")
        if rate >= 1 { return try multiply(x, constant(0, like: x)) }
        return try dropout(x, seed: seed, rate: rate)
    }
}

/// Sets whole channels to zero while training.
package final class SpatialDropout: RandomLayer {
    static let declarations = (1...3).map { declare($0) }

    private static func declare(_ rank: Int) -> Declaration<Layer> {
        let axes = ["length", "height, width", "depth, height, width"][rank - 1]
        let sizes = ["5", "4, 4", "2, 4, 4"][rank - 1]
        let format = Argument(
            "data_format", .optional(.choice(["channels_last", "channels_first"])), .null,
            "Whether channels are the last axis, the default, or the second.")
        return layerDeclaration(
            "SpatialDropout\(rank)D", "Sets whole channels to zero at random while training, and scales the others so that the mean stays.",
            formula: "training: y = x m / (1 - rate), one m for each sample and channel; otherwise y = x",
            source: "Tompson et al., Efficient object localization using convolutional networks, 2015",
            shapes: "input (batch, \(axes), channels), output the same",
            example: """
                local dl = require "dl"
                print(dl.layers.SpatialDropout\(rank)D{ rate = 0.5 }(dl.ones{ 2, \(sizes), 3 }, { training = true }).shape)
                """,
            arguments: [rate, seed] + (rank == 1 ? [] : [format])
        ) { SpatialDropout($0, rank) }
    }

    /// Keras's has no 'trainable'.
    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["trainable"] = nil
        return values
    }

    private let rank: Int

    private init(_ arguments: Arguments, _ rank: Int) {
        self.rank = rank
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        try super.build(inputShapes)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == rank + 2 else {
            throw DLError(.shape, "[\(className)] the input must have \(rank + 2) axes. Received: input \(Shape.text(shapes[0]))")
        }
    }

    override fileprivate func change(_ x: Value, seed: Value) throws -> Value {
        let channels = arguments.optionalString("data_format") == "channels_first" ? 1 : rank + 1
        return try spread(x, (0..<rank + 2).map { $0 == 0 || $0 == channels ? x.shape[$0] : 1 }, seed: seed)
    }
}

/// Multiplies by random numbers around 1 while training.
package final class GaussianDropout: RandomLayer {
    static let declaration = layerDeclaration(
        "GaussianDropout", "Multiplies by normally distributed numbers around 1 while training.",
        formula: "training: y = x n, n normal with mean 1 and deviation sqrt(rate / (1 - rate)); otherwise y = x",
        source: "Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014, section 10",
        shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            print(dl.layers.GaussianDropout{ rate = 0.2 }(dl.ones{ 2, 4 }, { training = true }).shape)
            """,
        arguments: [
            Argument("rate", .float(0...0.999999), nil, "Tells how far the factors spread, as the rate of a Dropout would."), seed,
        ]
    ) { GaussianDropout($0) }

    override fileprivate func change(_ x: Value, seed: Value) throws -> Value {
        let rate = arguments.float("rate")
        return try multiply(x, randomNormal(x.shape, mean: 1, deviation: (rate / (1 - rate)).squareRoot(), type: x.type, seed: seed))
    }
}

/// Adds random numbers while training.
package final class GaussianNoise: RandomLayer {
    static let declaration = layerDeclaration(
        "GaussianNoise", "Adds normally distributed numbers around 0 while training.",
        formula: "training: y = x + n, n normal with mean 0 and deviation stddev; otherwise y = x",
        source: "Keras, keras.layers.GaussianNoise", shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            print(dl.layers.GaussianNoise{ stddev = 0.1 }(dl.ones{ 2, 4 }, { training = true }).shape)
            """,
        arguments: [Argument("stddev", .float(0...1e30), nil, "The standard deviation of the noise."), seed]
    ) { GaussianNoise($0) }

    override fileprivate var isRandom: Bool { arguments.float("stddev") > 0 }

    override fileprivate func change(_ x: Value, seed: Value) throws -> Value {
        try add(x, randomNormal(x.shape, deviation: arguments.float("stddev"), type: x.type, seed: seed))
    }
}

/// Sets a random part of the input to the lowest value of a selu while training.
package final class AlphaDropout: RandomLayer {
    static let declaration = layerDeclaration(
        "AlphaDropout", "A dropout that keeps mean and variance of normalised inputs, for networks of selu units.",
        formula: "training: y = a (x m + s (1 - m)) + b, s = -1.7581 the limit of selu, m = 1 with probability 1 - rate, else 0, "
            + "a = ((1 - rate) (1 + rate s^2))^-0.5, b = -a s rate; otherwise y = x",
        source: "Klambauer et al., Self-normalizing neural networks, 2017", shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            print(dl.layers.AlphaDropout{ rate = 0.2 }(dl.ones{ 2, 4 }, { training = true }).shape)
            """,
        arguments: [
            Argument("rate", .float(0...0.999999), nil, "The share that is set to the limit of selu."), noiseShape, seed,
        ]
    ) { AlphaDropout($0) }

    override fileprivate func change(_ x: Value, seed: Value) throws -> Value {
        let rate = arguments.float("rate")
        let limit = -1.6732632423543772 * 1.0507009873554805
        let factor = 1 / ((1 - rate) * (1 + rate * limit * limit)).squareRoot()
        // 1 / (1 - rate) where kept; the sign tells.
        let kept = try spread(onesLike(x), noiseSizes(x), seed: seed)
        let chosen = try `where`(greater(kept, constant(0, like: x)), x, constant(limit, like: x))
        return try scale(chosen, factor, -factor * limit * rate)
    }
}

/// Adds a penalty on what passes through it to the loss.
package final class ActivityRegularization: Layer {
    static let declaration = layerDeclaration(
        "ActivityRegularization", "Passes its input on and adds a penalty on it to the loss.",
        formula: "loss += (l1 sum(|x|) + l2 sum(x^2)) / batch size", source: "Keras, keras.layers.ActivityRegularization",
        shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            local layer = dl.layers.ActivityRegularization{ l1 = 0.1 }
            layer(dl.tensor{ { 1, -2 } })
            print(layer.losses[1])
            """,
        arguments: [
            Argument("l1", .float(Argument.notNegative), 0, "Factor of the magnitudes."),
            Argument("l2", .float(Argument.notNegative), 0, "Factor of the squares."),
        ]
    ) { ActivityRegularization($0) }

    override package var supportsMasking: Bool { true }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        guard x.type.isFloatingPoint else {
            throw DLError(.dtype, "[ActivityRegularization] the input must be floating-point. Received: \(x.spec)")
        }
        let (l1, l2) = (arguments.float("l1"), arguments.float("l2"))
        let penalty = try add(scale(sum(abs(x)), l1), scale(sum(square(x)), l2))
        let samples = Double(max(x.shape.sizes.first ?? 1, 1))
        try addLoss(scale(penalty, 1 / samples))
        return inputs
    }
}
