import DLBase
import DLGraph
import DLOps

/// What layers that change the size of pictures have in common. They take one picture or a batch.
package class PictureSizeLayer: Layer {
    let height: Int
    let width: Int

    static let sizeArguments = [
        Argument("height", .int(Argument.positive), nil, "Rows of the result."),
        Argument("width", .int(Argument.positive), nil, "Columns of the result."),
    ]

    static let shapesText =
        "input (batch, height, width, channels) or (height, width, channels), output the same with the new height and width"

    override init(_ arguments: Arguments) {
        (height, width) = (arguments.int("height"), arguments.int("width"))
        super.init(arguments)
    }

    var format: DataFormat { arguments.channelsFirst ? .channelsFirst : .channelsLast }

    /// Axes of the rows and the columns.
    func spatialAxes(_ shape: Shape) -> (rows: Int, columns: Int) {
        let end = arguments.channelsFirst ? shape.rank : shape.rank - 1
        return (end - 2, end - 1)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectPictureOrBatch(shapes[0], className) }
}

/// Layers that prepare pictures take one or a batch.
func expectPictureOrBatch(_ shape: [Int?], _ className: String) throws {
    guard shape.count == 3 || shape.count == 4 else {
        throw DLError(
            .shape, "[\(className)] the input must have four axes, (batch, height, width, channels), or three without the "
                + "batch. Received: input \(Shape.text(shape))")
    }
}

/// Gives pictures another size.
package final class Resizing: PictureSizeLayer {
    private static let options = [
        Argument("interpolation", .choice(Interpolation.names), "bilinear", "How elements between others come about."),
        Argument("crop_to_aspect_ratio", .bool, false, "Whether borders are cut off so that nothing is distorted."),
        Argument("pad_to_aspect_ratio", .bool, false, "Whether borders are added so that nothing is distorted."),
        Argument("fill_mode", .choice(["constant"]), "constant", "What added borders are made of."),
        Argument("fill_value", .float(Argument.anyFloat), 0, "The number in added borders."),
        Argument("antialias", .bool, false, "Whether a smaller picture is made of all elements of the larger one."),
    ]

    static let declaration = layerDeclaration(
        "Resizing", "Gives pictures another size.",
        formula: "interpolation along the rows, then along the columns; the centre of the first element is at 1/2",
        source: "Keras, keras.layers.Resizing", shapes: shapesText,
        example: """
            local dl = require "dl"
            print(dl.layers.Resizing{ height = 4, width = 3 }(dl.ones{ 1, 8, 8, 3 }).shape)
            """,
        arguments: sizeArguments + options + [dataFormatArgument]
    ) { arguments in
        if arguments.bool("crop_to_aspect_ratio"), arguments.bool("pad_to_aspect_ratio") {
            throw DLError(
                .argument, "[Resizing] 'crop_to_aspect_ratio' and 'pad_to_aspect_ratio' exclude each other. Received: true for both")
        }
        return Resizing(arguments)
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let options = JSONObject(Resizing.options.map { ($0.name, arguments[$0.name]) })
        return [
            try resizeImages(try asFloat(inputs[0], dtype), height, width, options: options, dataFormat: format)
        ]
    }
}

/// The middle of pictures; smaller ones are enlarged first.
package final class CenterCrop: PictureSizeLayer {
    static let declaration = layerDeclaration(
        "CenterCrop", "The middle of pictures; where they are smaller, as large a part as has its shape, resized.",
        source: "Keras, keras.layers.CenterCrop", shapes: shapesText,
        example: """
            local dl = require "dl"
            print(dl.layers.CenterCrop{ height = 4, width = 3 }(dl.ones{ 1, 8, 8, 3 }).shape)
            """,
        arguments: sizeArguments + [dataFormatArgument]
    ) { CenterCrop($0) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        [try centre(try asFloat(inputs[0], dtype))]
    }

    private func centre(_ x: Value) throws -> Value {
        let (rows, columns) = spatialAxes(x.shape)
        let (top, left) = (x.shape[rows] - height, x.shape[columns] - width)
        guard top >= 0, left >= 0 else { return try cropAndResize(x, height, width, format) }
        return try cropImages(x, top: top / 2, left: left / 2, height: height, width: width, format)
    }
}

/// The largest part in the middle with the shape of the result, resized.
func cropAndResize(_ x: Value, _ height: Int, _ width: Int, _ format: DataFormat) throws -> Value {
    try resizeImages(x, height, width, options: JSONObject([("crop_to_aspect_ratio", true)]), dataFormat: format)
}
