import DLBase
import DLGraph
import DLOps
import DLTensor

/// Random numbers of one call of a layer, each draw another.
final class Draws {
    private let first: Value
    private var count: Int64 = 0

    init(_ state: Variable) throws {
        // What the state is now, for a gradient computed later draws the same numbers again.
        first = try ThreadContext.current.withoutTapes { try copy(state.value) }
    }

    func seed() throws -> Value {
        let place = count
        count += 1
        return try ThreadContext.current.withoutTapes { try add(first, Value(Tensor([Int64(0), place]))) }
    }

    /// The state after the call.
    func end(_ state: Variable) throws {
        try ThreadContext.current.withoutTapes { try state.assign(add(first, Value(Tensor([Int64(0), count])))) }
    }

    func uniform(_ shape: [Int], _ range: ClosedRange<Double>, like x: Value) throws -> Value {
        let shape = try Shape(checked: shape)
        if range.lowerBound == range.upperBound { return try broadcastTo(constant(range.lowerBound, like: x), shape) }
        return try randomUniform(shape, low: range.lowerBound, high: range.upperBound, type: x.type, seed: seed())
    }

    /// -1 or 1, equally likely.
    func sign(_ shape: [Int], like x: Value) throws -> Value {
        let coin = try less(uniform(shape, 0...1, like: x), constant(0.5, like: x))
        return try `where`(coin, constant(1, like: x), constant(-1, like: x))
    }

    /// Numbers of the distribution Beta(alpha, alpha), by the quotient of two of Gamma(alpha); alpha above 0, of shape (1,).
    func beta(_ count: Int, _ alpha: Value) throws -> Value {
        try sigmoid(subtract(logGamma(count, alpha), logGamma(count, alpha)))
    }

    /// Logarithms of numbers of the distribution Gamma(alpha): Marsaglia and Tsang, A simple method for generating gamma
    /// variables, 2000, for alpha + 1. Of sixteen tries, each of which succeeds with more than 95 %, the first good one counts.
    private func logGamma(_ count: Int, _ alpha: Value) throws -> Value {
        let tries = try Shape(checked: [count, 16])
        let zero = try constant(0, like: alpha), one = try constant(1, like: alpha)
        let d = try scale(alpha, 1, 2.0 / 3)
        let c = try rsqrt(scale(d, 9))
        let x = try randomNormal(tries, type: alpha.type, seed: seed())
        let root = try add(multiply(x, c), one)
        let isGood = try greater(root, zero)
        let logV = try scale(log(`where`(isGood, root, one)), 3)
        let v = try exp(logV)
        let bound = try add(scale(square(x), 0.5), multiply(d, add(subtract(one, v), logV)))
        let u = try uniform(tries.sizes, 1e-30...1, like: alpha)
        let accepted = try cast(logicalAnd(isGood, less(log(u), bound)), .int32)
        let place = try argmax(accepted, axis: 1, keepDims: true)
        let found = try reshape(takeAlongAxis(logV, cast(place, .int32), axis: 1), [count])
        let power = try log(uniform([count], 1e-30...1, like: alpha))
        return try add(add(log(d), found), divide(power, alpha))
    }
}

/// What layers that change pictures at random have in common: they take one picture or a batch, and do nothing but while
/// training.
package class RandomPictures: Layer {
    private var state: Variable!

    static let shapesText = "input (batch, height, width, channels) or (height, width, channels), output the same"

    static let seedArgument = Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes the random numbers.")

    static let valueRangeArgument = Argument(
        "value_range", .any, [0, 255], "The least and the largest value of the pictures' elements.")

    static let samplingArguments = [
        Argument(
            "fill_mode", .choice(["reflect", "wrap", "constant", "nearest"]), "reflect",
            "What stands outside of a picture: itself mirrored, itself again, one number, or its border."),
        Argument("interpolation", .choice(["bilinear", "nearest"]), "bilinear", "How elements between others come about."),
        seedArgument,
        Argument("fill_value", .float(Argument.anyFloat), 0, "The number outside, for fill_mode \"constant\"."),
        dataFormatArgument,
    ]

    static func example(_ name: String, _ options: String) -> String {
        """
        local dl = require "dl"
        local layer = dl.layers.\(name){ \(options) }
        print(layer(dl.ones{ 2, 8, 8, 3 }, { training = true }).shape)
        """
    }

    var format: DataFormat { arguments.channelsFirst ? .channelsFirst : .channelsLast }

    // Axes of batches.
    var rows: Int { arguments.channelsFirst ? 2 : 1 }
    var columns: Int { arguments.channelsFirst ? 3 : 2 }
    var channels: Int { arguments.channelsFirst ? 1 : 3 }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        state = try addSeedState(arguments.optionalInt("seed"))
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectPictureOrBatch(shapes[0], className) }

    /// The batch changed, with the numbers of `draws`.
    func change(_ x: Value, _ draws: Draws) throws -> Value { x }

    /// What happens outside of training.
    func rest(_ x: Value) throws -> Value { x }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = try asFloat(inputs[0], dtype)
        let isSingle = x.shape.rank == 3
        let batch = isSingle ? try expandDims(x, 0) : x
        let y: Value
        if training {
            let draws = try Draws(state)
            y = try change(batch, draws)
            try draws.end(state)
        } else {
            y = try rest(batch)
        }
        return [isSingle ? try squeeze(y, axes: [0]) : y]
    }

    /// One number for each picture, to be applied to all its elements.
    func each(_ x: Value, _ numbers: Value) throws -> Value { try reshape(numbers, [x.shape[0], 1, 1, 1]) }

    /// Pictures seen through maps whose six numbers are of shape (batch,).
    func seen(_ x: Value, _ numbers: [Value]) throws -> Value {
        let zeros = try zerosLike(numbers[0])
        return try affineTransform(
            x, stack(numbers + [zeros, zeros], axis: 1), isLinear: arguments.string("interpolation") == "bilinear",
            border: arguments.string("fill_mode"), fill: arguments.float("fill_value"), format)
    }
}

extension Arguments {
    /// A range within `bounds`, given by two numbers, or by one that stands for itself and its negative, as far as the bounds
    /// allow. Keras writes some ranges with a negative end that it does not take as one number: `pairs` are the bounds of two.
    func range(
        _ name: String, within bounds: ClosedRange<Double>, pairs: ClosedRange<Double>? = nil, openBelow: Bool = false
    ) throws -> ClosedRange<Double> {
        let value = self[name]
        let list = value.doubleValue.map { [-Swift.abs($0), Swift.abs($0)] } ?? (value.arrayValue ?? []).compactMap(\.doubleValue)
        let isOne = value.doubleValue != nil
        let given = isOne ? [value.doubleValue ?? 0] : list
        guard list.count == 2, isOne || value.arrayValue?.count == 2, given.allSatisfy({ (isOne ? bounds : pairs ?? bounds).contains($0) }),
            !openBelow || given.allSatisfy({ $0 > bounds.lowerBound })
        else {
            throw error(
                name, "a number from \(Text.shortest(bounds.lowerBound)) to \(Text.shortest(bounds.upperBound)), or two of them")
        }
        let (low, high) = (Swift.max(list.min() ?? 0, isOne ? bounds.lowerBound : -1), list.max() ?? 0)
        // -1 itself is out for zooms, also as the negative of 1.
        return (openBelow ? Swift.max(low, bounds.lowerBound.nextUp) : low)...high
    }

    /// The least and the largest value of elements.
    func valueRange() throws -> ClosedRange<Double> {
        let list = (self["value_range"].arrayValue ?? []).compactMap(\.doubleValue)
        guard list.count == 2, self["value_range"].arrayValue?.count == 2, list[0].isFinite, list[1].isFinite, list[0] != list[1] else {
            throw error("value_range", "two different numbers")
        }
        return Swift.min(list[0], list[1])...Swift.max(list[0], list[1])
    }
}
