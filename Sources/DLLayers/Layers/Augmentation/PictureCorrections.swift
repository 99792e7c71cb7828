import DLBase
import DLGraph
import DLOps
import DLTensor

/// What layers that always change a picture in the same way have in common.
package class PictureCorrection: RandomPictures {
    let values: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        values = try arguments.valueRange()
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    func correct(_ x: Value, training: Bool) throws -> Value { x }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = try asFloat(inputs[0], dtype)
        guard x.shape.rank == 3 else { return [try correct(x, training: training)] }
        return [try squeeze(correct(expandDims(x, 0), training: training), axes: [0])]
    }
}

/// Elements of one range of values as those of another.
func moved(_ x: Value, _ from: ClosedRange<Double>, _ to: ClosedRange<Double>) throws -> Value {
    if from == to { return x }
    let factor = (to.upperBound - to.lowerBound) / (from.upperBound - from.lowerBound)
    return try scale(x, factor, to.lowerBound - from.lowerBound * factor)
}

let byteRange = 0.0...255.0

/// Spreads the values of each channel.
package final class AutoContrast: PictureCorrection {
    static let declaration = layerDeclaration(
        "AutoContrast", "Spreads the values of each channel of each picture over the whole range of values; not only while training.",
        formula: "y = (x - min) / (max - min) (high - low) + low; a channel of one value stays as it is",
        source: "Keras, keras.layers.AutoContrast", shapes: shapesText, example: example("AutoContrast", "value_range = { 0, 255 }"),
        arguments: [valueRangeArgument, dataFormatArgument]
    ) { try AutoContrast(checked: $0) }

    override func correct(_ x: Value, training: Bool) throws -> Value {
        let bytes = try moved(x, values, byteRange)
        let low = try min(bytes, axes: [rows, columns], keepDims: true)
        let width = try subtract(max(bytes, axes: [rows, columns], keepDims: true), low)
        let isFlat = try equal(width, zerosLike(width))
        let factor = try divide(constant(255, like: x), `where`(isFlat, onesLike(width), width))
        let spread = try clip(subtract(multiply(bytes, factor), multiply(low, factor)), 0, 255)
        return try `where`(isFlat, x, moved(spread, byteRange, values))
    }
}

/// Makes all values equally frequent.
package final class Equalization: PictureCorrection {
    static let declaration = layerDeclaration(
        "Equalization", "Makes the values of each channel about equally frequent, over all pictures of a batch, while training.",
        formula: "y = 255 (c(x) - c_min) / (c_max - c_min), c(x) how many elements are in x's bin of values or a lower one",
        source: "Keras, keras.layers.Equalization", shapes: shapesText, example: example("Equalization", "bins = 64"),
        arguments: [
            valueRangeArgument, Argument("bins", .int(2...1 << 20), 256, "Into how many the values are sorted."), dataFormatArgument,
        ]
    ) { try Equalization(checked: $0) }

    override func correct(_ x: Value, training: Bool) throws -> Value {
        guard training, x.shape.count > 0 else { return x }
        let bins = arguments.int("bins"), count = x.shape[channels]
        guard count <= Int(Int32.max) / bins else {
            throw DLError(.limit, "[Equalization] \(bins) bins for each channel are too many. Received: input \(x.shape)")
        }
        let bytes = try moved(x, values, byteRange)
        // Each channel has bins of its own, one row after another. Keras rounds in two ways on the way to a bin, when it counts
        // and when it looks up, which for some bytes makes two bins of it.
        var shape = [1, 1, 1, 1]
        shape[channels] = count
        let start = Value(try Tensor((0..<count).map { Int32($0 * bins) }, Shape(shape)))
        func bin(_ scaled: Value) throws -> Value { try add(cast(clip(scaled, 0, Double(bins - 1)), .int32), start) }
        let single = try cast(bytes, .float32)
        let counted = try bin(divide(scale(single, Double(bins - 1)), constant(255, like: single)))
        let place = try bin(scale(divide(bytes, constant(255, like: bytes)), Double(bins - 1)))
        let occurrences = try reshape(
            Operations.apply("bincount", [ravel(counted)], attributes: ["length": .int(Int64(count * bins))])[0], [count, bins])
        let least = try constant(0, occurrences.type)
        let isUsed = try greater(occurrences, least)
        let upTo = try cumsum(occurrences, axis: 1)
        // The first bin that is used has the least sum above zero.
        let total = try max(upTo, axes: [1], keepDims: true)
        let first = try min(`where`(isUsed, upTo, total), axes: [1], keepDims: true)
        let used = try sum(cast(isUsed, .int32), axes: [1], keepDims: true)
        let isFlat = try lessEqual(used, onesLike(used))
        let rest = try cast(`where`(isFlat, onesLike(total), subtract(total, first)), x.type)
        let table = try clip(round(divide(scale(cast(subtract(upTo, first), x.type), 255), rest)), 0, 255)
        let equalized = try moved(take(ravel(table), place, axis: 0), byteRange, values)
        return try `where`(reshape(isFlat, shape), x, equalized)
    }
}

/// Turns bright values into dark ones.
package final class Solarization: RandomPictures {
    static let declaration = layerDeclaration(
        "Solarization", "Turns values above a random threshold into their opposites while training, after a random number is added.",
        formula: "z = clip(x + a, 0, 255), y = z where z < t, else 255 - z; a and t uniform in 255 times the ranges of the factors",
        source: "Keras, keras.layers.Solarization", shapes: shapesText,
        example: example("Solarization", "addition_factor = 0.2, threshold_factor = { 0.5, 1 }"),
        arguments: [
            Argument("addition_factor", .any, 0, "From 0 to 1: one number, the largest, or two."),
            Argument("threshold_factor", .any, 0, "From 0 to 1: one number, the largest, or two. 0 turns all values."),
            valueRangeArgument, seedArgument, dataFormatArgument,
        ]
    ) { try Solarization(checked: $0) }

    private let values: ClosedRange<Double>
    private let additions: ClosedRange<Double>
    private let thresholds: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        values = try arguments.valueRange()
        // Keras takes the lower end of a range for a number of the pictures, the upper one for a part of 255.
        func range(_ name: String) throws -> ClosedRange<Double> {
            let part = try arguments.range(name, within: 0...1)
            return part.lowerBound...Swift.max(part.lowerBound, part.upperBound * 255)
        }
        additions = try range("addition_factor")
        thresholds = try range("threshold_factor")
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let bytes = try moved(x, values, byteRange)
        let z = try clip(add(bytes, each(x, draws.uniform([n], additions, like: x))), 0, 255)
        let threshold = try each(x, draws.uniform([n], thresholds, like: x))
        return try moved(`where`(less(z, threshold), z, scale(z, -1, 255)), byteRange, values)
    }
}

/// Pictures with fewer different values.
package final class RandomPosterization: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomPosterization", "Keeps some of the eight bits of values from 0 to 255, the upper ones, while training.",
        formula: "y = floor(x / 2^(8 - b)) 2^(8 - b), b a random whole number of the range of factor, the upper end left out",
        source: "Keras, keras.layers.RandomPosterization", shapes: shapesText, example: example("RandomPosterization", "factor = { 2, 6 }"),
        arguments: [
            Argument("factor", .any, nil, "Bits that stay, from 1 to 8: one number, the largest, or two."), valueRangeArgument,
            dataFormatArgument, seedArgument,
        ]
    ) { try RandomPosterization(checked: $0) }

    private let values: ClosedRange<Double>
    private let bits: ClosedRange<Int>

    init(checked arguments: Arguments) throws {
        values = try arguments.valueRange()
        let given = arguments["factor"].intValue.map { [1, $0] } ?? (arguments["factor"].arrayValue ?? []).compactMap(\.intValue)
        guard given.count == 2, given.allSatisfy((1...8).contains) else {
            throw arguments.error("factor", "a whole number from 1 to 8, or two of them")
        }
        bits = Swift.min(given[0], given[1])...Swift.max(given[0], given[1])
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let steps = try cast(Value(Tensor((0...8).map { Float(1 << (8 - $0)) })), x.type)
        var kept = Value(try Tensor(zeros: Shape(checked: [n]), .int32))
        if bits.lowerBound == bits.upperBound {
            kept = try fullLike(kept, Double(bits.lowerBound))
        } else {
            kept = try randomIntegers(Shape(checked: [n]), low: bits.lowerBound, high: bits.upperBound, seed: draws.seed())
        }
        let step = try each(x, take(steps, kept, axis: 0))
        let bytes = try floor(clip(moved(x, values, byteRange), 0, 255))
        return try moved(multiply(floor(divide(bytes, step)), step), byteRange, values)
    }
}
