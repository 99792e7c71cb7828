import DLBase
import DLGraph
import DLOps
import DLTensor

/// Mirrors pictures at random.
package final class RandomFlip: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomFlip", "Mirrors each picture with probability 1/2 while training.", source: "Keras, keras.layers.RandomFlip",
        shapes: shapesText, example: example("RandomFlip", "mode = \"horizontal\""),
        arguments: [
            Argument(
                "mode", .choice(["horizontal", "vertical", "horizontal_and_vertical"]), "horizontal_and_vertical",
                "Left and right, top and bottom, or both at once."),
            seedArgument, dataFormatArgument,
        ]
    ) { RandomFlip($0) }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let mode = arguments.string("mode")
        let axes = mode == "horizontal" ? [columns] : mode == "vertical" ? [rows] : [rows, columns]
        let coin = try less(draws.uniform([x.shape[0], 1, 1, 1], 0...1, like: x), constant(0.5, like: x))
        return try `where`(coin, flip(x, axes: axes), x)
    }
}

/// Turns pictures at random.
package final class RandomRotation: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomRotation", "Turns each picture about its middle by a random angle while training.",
        formula: "an angle of 2 pi f, f uniform in the range of factor; positive angles turn counter-clockwise",
        source: "Keras, keras.layers.RandomRotation", shapes: shapesText, example: example("RandomRotation", "factor = 0.1"),
        arguments: [
            Argument("factor", .any, nil, "Parts of a whole turn, from -1 to 1: one number for both directions, or two.")
        ] + samplingArguments
    ) { try RandomRotation(checked: $0) }

    private let range: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        range = try arguments.range("factor", within: -1...1)
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let turn = 2 * Double.pi
        let angle = try draws.uniform([x.shape[0]], range.lowerBound * turn...range.upperBound * turn, like: x)
        let (cosine, sine) = (try cos(angle), try sin(angle))
        let (cx, cy) = (Double(x.shape[columns] - 1) / 2, Double(x.shape[rows] - 1) / 2)
        // The middle stays where it is.
        let left = try scale(subtract(scale(cosine, -cx), scale(sine, -cy)), 1, cx)
        let top = try scale(subtract(scale(cosine, -cy), scale(sine, cx)), 1, cy)
        return try seen(x, [cosine, negative(sine), left, sine, cosine, top])
    }
}

/// Moves pictures at random.
package final class RandomTranslation: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomTranslation", "Moves each picture by random parts of its height and its width while training.",
        source: "Keras, keras.layers.RandomTranslation", shapes: shapesText,
        example: example("RandomTranslation", "height_factor = 0.1, width_factor = { -0.2, 0.2 }"),
        arguments: [
            Argument("height_factor", .any, nil, "Parts of the height, from -1 to 1: one number for up and down, or two."),
            Argument("width_factor", .any, nil, "Parts of the width, from -1 to 1: one number for left and right, or two."),
        ] + samplingArguments
    ) { try RandomTranslation(checked: $0) }

    private let heights: ClosedRange<Double>
    private let widths: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        heights = try arguments.range("height_factor", within: -1...1)
        widths = try arguments.range("width_factor", within: -1...1)
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let down = try scale(draws.uniform([n], heights, like: x), -Double(x.shape[rows]))
        let right = try scale(draws.uniform([n], widths, like: x), -Double(x.shape[columns]))
        let (ones, zeros) = (try onesLike(down), try zerosLike(down))
        return try seen(x, [ones, zeros, right, zeros, ones, down])
    }
}

/// Enlarges or shrinks pictures at random.
package final class RandomZoom: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomZoom", "Shows a larger or a smaller part of each picture, about its middle, while training.",
        formula: "the part has 1 + f times the picture's size, f uniform in the range of the factor",
        source: "Keras, keras.layers.RandomZoom", shapes: shapesText, example: example("RandomZoom", "height_factor = 0.2"),
        arguments: [
            Argument("height_factor", .any, nil, "Above 0 pictures become smaller: one number for both directions, or two."),
            Argument("width_factor", .any, .null, "The same for the width; null for what the height has."),
        ] + samplingArguments
    ) { try RandomZoom(checked: $0) }

    private let heights: ClosedRange<Double>
    private let widths: ClosedRange<Double>?

    init(checked arguments: Arguments) throws {
        heights = try arguments.range("height_factor", within: -1...1, openBelow: true)
        widths = arguments.has("width_factor") ? try arguments.range("width_factor", within: -1...1, openBelow: true) : nil
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let down = try scale(draws.uniform([n], heights, like: x), 1, 1)
        let right = try widths.map { try scale(draws.uniform([n], $0, like: x), 1, 1) } ?? down
        let (cx, cy) = (Double(x.shape[columns] - 1) / 2, Double(x.shape[rows] - 1) / 2)
        let zeros = try zerosLike(down)
        return try seen(x, [right, zeros, scale(right, -cx, cx), zeros, down, scale(down, -cy, cy)])
    }
}

/// Shears pictures at random.
package final class RandomShear: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomShear", "Shifts the rows, or the columns, of each picture against one another while training.",
        formula: "y[i, j] = x[i + s_y j, j + s_x i], s_x and s_y uniform in the ranges of the factors, with a random sign",
        source: "Keras, keras.layers.RandomShear", shapes: shapesText, example: example("RandomShear", "x_factor = 0.2"),
        arguments: [
            Argument("x_factor", .any, 0, "Columns for each row, from 0 to 1: one number for both directions, or two."),
            Argument("y_factor", .any, 0, "Rows for each column, likewise."),
            samplingArguments[1], samplingArguments[0], samplingArguments[3], samplingArguments[4], seedArgument,
        ]
    ) { try RandomShear(checked: $0) }

    private let across: ClosedRange<Double>
    private let along: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        across = try shearRange(arguments, "x_factor")
        along = try shearRange(arguments, "y_factor")
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let sign = try draws.sign([n], like: x)
        let right = try multiply(sign, draws.uniform([n], across, like: x))
        let down = try multiply(sign, draws.uniform([n], along, like: x))
        let (ones, zeros) = (try onesLike(sign), try zerosLike(sign))
        return try seen(x, [ones, right, zeros, down, ones, zeros])
    }
}

/// One number stands for itself and its negative.
private func shearRange(_ arguments: Arguments, _ name: String) throws -> ClosedRange<Double> {
    let range = try arguments.range(name, within: 0...1, pairs: -1...1)
    return arguments[name].doubleValue == nil ? range : -range.upperBound...range.upperBound
}

/// Parts of pictures, at random places.
package final class RandomCrop: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomCrop", "A part of the pictures at a random place, one for the whole batch, while training; otherwise, and of smaller "
            + "pictures, the largest part in the middle that has its shape, resized.",
        source: "Keras, keras.layers.RandomCrop", shapes: PictureSizeLayer.shapesText,
        example: example("RandomCrop", "height = 4, width = 4"),
        arguments: PictureSizeLayer.sizeArguments + [seedArgument, dataFormatArgument]
    ) { RandomCrop($0) }

    override func rest(_ x: Value) throws -> Value {
        try cropAndResize(x, arguments.int("height"), arguments.int("width"), format)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        var y = x
        let axes = [(rows, arguments.int("height")), (columns, arguments.int("width"))]
        guard axes.allSatisfy({ x.shape[$0.0] >= $0.1 }) else { return try rest(x) }
        for (axis, size) in axes {
            let places = Double(x.shape[axis] - size + 1)
            // Rounding may not lead to one place too many.
            let start = try minimum(
                floor(scale(draws.uniform([1], 0...1, like: x), places)), constant(places - 1, like: x))
            let positions = Value(try Tensor((0..<size).map { Int32($0) }))
            y = try take(y, add(cast(start, .int32), positions), axis: axis)
        }
        return y
    }
}
