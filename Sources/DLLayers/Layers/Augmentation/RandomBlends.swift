import DLBase
import DLGraph
import DLOps
import DLTensor

/// Blurs pictures at random.
package final class RandomGaussianBlur: RandomColours {
    static let declaration = layerDeclaration(
        "RandomGaussianBlur", "Blurs pictures with a gaussian window, each with a random probability, while training; outside of them "
            + "there are zeros.",
        formula: "y = clip(sum over u, v of g(u) g(v) x[i + u, j + v], low, high), g(u) = exp(-u^2 / (2 s^2)) scaled to the sum 1, "
            + "s uniform in the range of sigma, one for columns and one for rows of the whole batch",
        source: "Keras, keras.layers.RandomGaussianBlur", shapes: shapesText,
        example: example("RandomGaussianBlur", "factor = 0.5, kernel_size = 5"),
        arguments: [
            Argument("factor", .any, 1, "The probability, from 0 to 1: one number, the largest, or two between which it lies."),
            Argument("kernel_size", .size(minimum: 1), 3, "Columns and rows of the window, odd numbers below 1000."),
            Argument("sigma", .any, 1, "Standard deviations, from 0 to 1: one number, the largest, or two."),
            valueRangeArgument, dataFormatArgument, seedArgument,
        ]
    ) { try RandomGaussianBlur(sized: $0) }

    private let deviations: ClosedRange<Double>
    private let sizes: [Int]

    init(sized arguments: Arguments) throws {
        deviations = try arguments.range("sigma", within: 0...1)
        sizes = try arguments.sizes("kernel_size", 2)
        guard sizes.allSatisfy({ $0 % 2 == 1 && $0 < 1000 }) else {
            throw arguments.error("kernel_size", "an odd number below 1000, or two of them")
        }
        try super.init(checked: arguments, within: 0...1)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let coin = try less(draws.uniform([n], 0...1, like: x), draws.uniform([n], range, like: x))
        let sigma = try scale(draws.uniform([2], deviations, like: x), 1, 1e-6)
        var blurred = x
        for (place, axis) in [columns, rows].enumerated() where sizes[place] > 1 {
            let reach = sizes[place] / 2
            let offsets = try cast(Value(Tensor((-reach...reach).map { Float($0) })), x.type)
            let own = try take(sigma, Value(Tensor([Int32(place)])), axis: 0)
            let bell = try exp(scale(square(divide(offsets, own)), -0.5))
            blurred = try windowed(blurred, axis, divide(bell, sum(bell)))
        }
        return try clipped(`where`(each(x, coin), blurred, x))
    }
}

extension RandomPictures {
    /// Sums over a window along an axis, weighted by the elements of `weights`, an odd number; zeros stand outside.
    func windowed(_ x: Value, _ axis: Int, _ weights: Value) throws -> Value {
        let size = x.shape[axis], count = weights.shape[0], reach = count / 2
        var widths = [[Int]](repeating: [0, 0], count: 4)
        widths[axis] = [reach, reach]
        let padded = try pad(x, widths)
        var total: Value?
        for offset in 0..<count {
            var entries = [IndexEntry](repeating: .all, count: 4)
            entries[axis] = .range(start: offset, stop: offset + size, step: 1)
            let weight = try reshape(getItem(weights, [.range(start: offset, stop: offset + 1, step: 1)]), [1, 1, 1, 1])
            let part = try multiply(getItem(padded, entries), weight)
            total = try total.map { try add($0, part) } ?? part
        }
        return total ?? x
    }
}

/// Makes edges sharper or softer at random.
package final class RandomSharpness: RandomColours {
    static let declaration = layerDeclaration(
        "RandomSharpness", "Makes the edges of pictures sharper or softer at random while training.",
        formula: "y = clip(x + (1 - 2 f)(s - x), low, high), s a mean of 3 x 3 elements with weight 5/13 in the middle and 1/13 around, "
            + "f uniform in the range of factor: 0 for s, 0.5 for no change, 1 for the sharpest",
        source: "Keras, keras.layers.RandomSharpness", shapes: shapesText, example: example("RandomSharpness", "factor = { 0.2, 0.8 }"),
        arguments: [
            Argument("factor", .any, nil, "From 0 to 1: one number, the largest, or two."), valueRangeArgument, dataFormatArgument,
            seedArgument,
        ]
    ) { try RandomSharpness(checked: $0, within: 0...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let ones = try cast(Value(Tensor([Float(1), 1, 1])), x.type)
        let around = try windowed(windowed(x, rows, ones), columns, ones)
        let smooth = try add(scale(around, 1.0 / 13), scale(x, 4.0 / 13))
        let factor = try each(x, scale(draws.uniform([x.shape[0]], range, like: x), -2, 1))
        return try clipped(add(x, multiply(factor, subtract(smooth, x))))
    }
}

/// Takes some of the colours away at random.
package final class RandomColorDegeneration: RandomColours {
    static let declaration = layerDeclaration(
        "RandomColorDegeneration", "Moves the colours of each picture towards grey by a random part while training.",
        formula: "y = clip(x + f (grey - x), low, high), f uniform in the range of factor: 0 for no change, 1 for grey",
        source: "Keras, keras.layers.RandomColorDegeneration", shapes: shapesText,
        example: example("RandomColorDegeneration", "factor = 0.5"),
        arguments: [
            Argument("factor", .any, nil, "From -1 to 1: one number for -factor to factor, or two."), valueRangeArgument,
            dataFormatArgument, seedArgument,
        ]
    ) { try RandomColorDegeneration(checked: $0, within: -1...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let grey = try Operations.apply("rgb_to_grayscale", [x], attributes: ["data_format": .string(format.rawValue)])[0]
        let factor = try each(x, draws.uniform([x.shape[0]], range, like: x))
        return try clipped(add(x, multiply(factor, subtract(grey, x))))
    }
}

/// Turns pictures into their negatives at random.
package final class RandomInvert: RandomColours {
    static let declaration = layerDeclaration(
        "RandomInvert", "Turns pictures into their negatives, each with a random probability, while training.",
        formula: "y = high - x, high the upper end of value_range", source: "Keras, keras.layers.RandomInvert", shapes: shapesText,
        example: example("RandomInvert", "factor = 0.5"),
        arguments: [
            Argument("factor", .any, 1, "The probability, from 0 to 1: one number, the largest, or two between which it lies."),
            valueRangeArgument, seedArgument, dataFormatArgument,
        ]
    ) { try RandomInvert(checked: $0, within: 0...1) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let coin = try less(draws.uniform([n], 0...1, like: x), draws.uniform([n], range, like: x))
        return try `where`(each(x, coin), scale(x, -1, values.upperBound), x)
    }
}
