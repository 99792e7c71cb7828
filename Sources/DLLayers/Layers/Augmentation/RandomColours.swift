import DLBase
import DLGraph
import DLOps
import DLTensor

/// What layers that change the values of elements have in common: the range of values.
package class RandomColours: RandomPictures {
    let values: ClosedRange<Double>
    let range: ClosedRange<Double>

    init(checked arguments: Arguments, within bounds: ClosedRange<Double>, pairs: ClosedRange<Double>? = nil) throws {
        values = try arguments.valueRange()
        range = try arguments.range("factor", within: bounds, pairs: pairs)
        super.init(arguments)
    }

    func clipped(_ x: Value) throws -> Value { try clip(x, values.lowerBound, values.upperBound) }

    /// Pictures of three channels whose elements are from 0 to 1, as hue, saturation and value, changed, and back.
    func withHSV(_ x: Value, _ change: (_ parts: [Value]) throws -> [Value]) throws -> Value {
        guard x.shape[channels] == 3 else {
            throw DLError(.shape, "[\(className)] pictures must have 3 channels. Received: input \(x.shape)")
        }
        let width = values.upperBound - values.lowerBound
        let unit = try scale(x, 1 / width, -values.lowerBound / width)
        let format: JSON = ["data_format": .string(format.rawValue)]
        let parts = try split(Operations.apply("rgb_to_hsv", [unit], attributes: format)[0], sections: 3, axis: channels)
        let back = try Operations.apply("hsv_to_rgb", [concatenate(change(parts), axis: channels)], attributes: format)[0]
        return try scale(clip(back, 0, 1), width, values.lowerBound)
    }
}

/// Makes pictures brighter or darker at random.
package final class RandomBrightness: RandomColours {
    static let declaration = layerDeclaration(
        "RandomBrightness", "Adds a random number to each picture while training.",
        formula: "y = clip(x + f (high - low), low, high), f uniform in the range of factor",
        source: "Keras, keras.layers.RandomBrightness", shapes: shapesText, example: example("RandomBrightness", "factor = 0.2"),
        arguments: [
            Argument("factor", .any, nil, "Parts of the range of values, from -1 to 1: one number for both directions, or two."),
            valueRangeArgument, seedArgument, dataFormatArgument,
        ]
    ) { try RandomBrightness(checked: $0, within: -1...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let amount = try scale(draws.uniform([x.shape[0]], range, like: x), values.upperBound - values.lowerBound)
        return try clipped(add(x, each(x, amount)))
    }
}

/// Makes differences larger or smaller at random.
package final class RandomContrast: RandomColours {
    static let declaration = layerDeclaration(
        "RandomContrast", "Multiplies the differences of each channel from its mean by a random number while training.",
        formula: "y = clip((x - mean) f + mean, low, high), f uniform from 1 - lower to 1 + upper",
        source: "Keras, keras.layers.RandomContrast", shapes: shapesText, example: example("RandomContrast", "factor = 0.3"),
        arguments: [
            Argument("factor", .any, nil, "From 0 to 1: one number for lower and upper, or both."), valueRangeArgument, seedArgument,
            dataFormatArgument,
        ]
    ) { try RandomContrast(checked: $0, within: 0...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        // One number stands for both.
        let lower = arguments["factor"].doubleValue ?? range.lowerBound
        let factor = try draws.uniform([x.shape[0]], 1 - lower...1 + range.upperBound, like: x)
        let centre = try mean(x, axes: [rows, columns], keepDims: true)
        return try clipped(add(multiply(subtract(x, centre), each(x, factor)), centre))
    }
}

/// Turns colours at random.
package final class RandomHue: RandomColours {
    static let declaration = layerDeclaration(
        "RandomHue", "Moves the colours of each picture along the wheel of colours while training.",
        formula: "hue + s f / 2, f uniform in the range of factor, s a random sign",
        source: "Keras, keras.layers.RandomHue", shapes: shapesText, example: example("RandomHue", "factor = 0.2, value_range = { 0, 1 }"),
        arguments: [
            Argument("factor", .any, nil, "Halves of the wheel, from 0 to 1: one number, the largest, or two."), valueRangeArgument,
            dataFormatArgument, seedArgument,
        ]
    ) { try RandomHue(checked: $0, within: 0...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let turn = try multiply(draws.sign([n], like: x), scale(draws.uniform([n], range, like: x), 0.5))
        return try withHSV(x) { [try add($0[0], each(x, turn)), $0[1], $0[2]] }
    }
}

/// Makes colours stronger or weaker at random.
package final class RandomSaturation: RandomColours {
    static let declaration = layerDeclaration(
        "RandomSaturation", "Makes the colours of each picture stronger or weaker while training.",
        formula: "saturation f / (1 - f), at most 1, f uniform in the range of factor: 0 for grey, 0.5 for no change",
        source: "Keras, keras.layers.RandomSaturation", shapes: shapesText,
        example: example("RandomSaturation", "factor = { 0.3, 0.7 }, value_range = { 0, 1 }"),
        arguments: [
            Argument("factor", .any, nil, "From 0 to 1: one number, the largest, or two."), valueRangeArgument, dataFormatArgument,
            seedArgument,
        ]
    ) { try RandomSaturation(checked: $0, within: 0...1, pairs: -1...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let f = try draws.uniform([x.shape[0]], range, like: x)
        let factor = try each(x, divide(f, scale(f, -1, 1 + 1e-7)))
        return try withHSV(x) { [$0[0], try clip(multiply($0[1], factor), 0, 1), $0[2]] }
    }
}

/// Takes the colours away at random.
package final class RandomGrayscale: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomGrayscale", "Makes pictures grey, each with a given probability, while training; the channels stay three.",
        formula: "0.2989 red + 0.587 green + 0.114 blue in every channel", source: "Keras, keras.layers.RandomGrayscale",
        shapes: shapesText, example: example("RandomGrayscale", "factor = 0.5"),
        arguments: [
            Argument("factor", .float(Argument.fraction), 0.5, "The probability."), dataFormatArgument, seedArgument,
        ]
    ) { RandomGrayscale($0) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let coin = try less(
            draws.uniform([x.shape[0], 1, 1, 1], 0...1, like: x), constant(arguments.float("factor"), like: x))
        let grey = try Operations.apply("rgb_to_grayscale", [x], attributes: ["data_format": .string(format.rawValue)])[0]
        return try `where`(coin, grey, x)
    }
}
