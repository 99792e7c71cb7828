import DLBase
import DLGraph
import DLOps

/// Maxima and means of windows over sequences and volumes; pictures have layers of their own with more options.
package final class SpatialPooling: Layer {
    static let maximumDeclarations = [1, 3].map { declaration($0, isMaximum: true) }
    static let averageDeclarations = [1, 3].map { declaration($0, isMaximum: false) }

    private static func declaration(_ rank: Int, isMaximum: Bool) -> Declaration<Layer> {
        let (object, axes) = spatialNames(rank)
        let name = "\(isMaximum ? "Max" : "Average")Pooling\(rank)D"
        let news = axes.split(separator: ", ").map { "new \($0)" }.joined(separator: ", ")
        return layerDeclaration(
            name, aliases: ["\(isMaximum ? "Max" : "Avg")Pool\(rank)D"],
            "The \(isMaximum ? "largest number" : "mean") of each window of a \(object).",
            formula: "y = \(isMaximum ? "max" : "mean") over the window of x", source: "Keras, keras.layers.\(name)",
            shapes: "input (batch, \(axes), channels), output (batch, \(news), channels): "
                + "\"valid\" gives floor((size - pool) / s) + 1, \"same\" gives ceil(size / s)",
            example: """
                local dl = require "dl"
                print(dl.layers.\(name){ pool_size = 2 }(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument(
                    "pool_size", .size(minimum: 1), rank == 1 ? 2 : [2, 2, 2],
                    rank == 1 ? "Length of the window." : "Depth, height and width of the window."),
                Argument(
                    "strides", .optional(.size(minimum: 1)), .null,
                    "Steps from one window to the next; the window's size where null."),
                Argument(
                    "padding", .choice(["valid", "same"]), "valid",
                    "Whether windows may reach over the border; what lies outside does not count."),
                dataFormatArgument,
            ]
        ) { try SpatialPooling(checked: $0, rank, isMaximum) }
    }

    private let rank: Int
    private let isMaximum: Bool
    private let poolSize: [Int]
    private let strides: [Int]

    private init(checked arguments: Arguments, _ rank: Int, _ isMaximum: Bool) throws {
        self.rank = rank
        self.isMaximum = isMaximum
        poolSize = try arguments.sizes("pool_size", rank)
        strides = arguments.has("strides") ? try arguments.sizes("strides", rank) : poolSize
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        let x = first ? try channelsToLast(inputs[0], rank) : inputs[0]
        let y = try spatialPool(
            x, isMaximum: isMaximum, size: poolSize, strides: strides, isSame: arguments.string("padding") == "same")
        return [first ? try channelsToSecond(y, rank) : y]
    }
}
