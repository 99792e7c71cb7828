import DLBase
import DLGraph
import DLOps

/// Surrounds pictures with zeros.
package final class ZeroPadding2D: Layer {
    static let declaration = layerDeclaration(
        "ZeroPadding2D", "Surrounds pictures with zeros.", source: "Keras, keras.layers.ZeroPadding2D",
        shapes: "input (batch, height, width, channels), output with height + top + bottom and width + left + right",
        example: """
            local dl = require "dl"
            print(dl.layers.ZeroPadding2D{ padding = { { 1, 0 }, { 2, 2 } } }(dl.ones{ 1, 3, 3, 1 }).shape)
            """,
        arguments: [
            Argument(
                "padding", .any, [1, 1], "A whole number for all sides, [height, width] or [[top, bottom], [left, right]]."),
            dataFormatArgument,
        ]
    ) { try ZeroPadding2D(checked: $0) }

    private let rows: [Int]
    private let columns: [Int]

    init(checked arguments: Arguments) throws {
        guard arguments["padding"].stringValue == nil,
            case .explicit(let top, let bottom, let left, let right) = try Padding(arguments)
        else {
            throw arguments.error("padding", "a whole number of at least 0, [height, width] or [[top, bottom], [left, right]]")
        }
        (rows, columns) = ([top, bottom], [left, right])
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectPictures(shapes[0], className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.optionalString("data_format") == "channels_first"
        return [try pad(inputs[0], first ? [[0, 0], [0, 0], rows, columns] : [[0, 0], rows, columns, [0, 0]])]
    }
}

/// Layers for pictures take four axes.
func expectPictures(_ shape: [Int?], _ className: String) throws {
    guard shape.count == 4 else {
        throw DLError(
            .shape, "[\(className)] the input must have four axes, (batch, height, width, channels). "
                + "Received: input \(Shape.text(shape))")
    }
}
