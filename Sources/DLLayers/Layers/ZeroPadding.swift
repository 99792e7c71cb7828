import DLBase
import DLGraph
import DLOps

/// Surrounds sequences and volumes with zeros; pictures have ZeroPadding2D.
package final class ZeroPadding: Layer {
    static let declarations = [1, 3].map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let (object, axes) = spatialNames(rank)
        return layerDeclaration(
            "ZeroPadding\(rank)D", "Surrounds a \(object) with zeros.", source: "Keras, keras.layers.ZeroPadding\(rank)D",
            shapes: "input (batch, \(axes), channels), output (batch, sizes and what is added, channels)",
            example: """
                local dl = require "dl"
                print(dl.layers.ZeroPadding\(rank)D{ padding = 2 }(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument(
                    "padding", .any, rank == 1 ? 1 : [[1, 1], [1, 1], [1, 1]],
                    rank == 1
                        ? "A whole number for both ends or [front, back]."
                        : "A whole number for all sides, one for each axis, or a pair [before, after] for each axis."),
                dataFormatArgument,
            ]
        ) { try ZeroPadding(checked: $0, rank) }
    }

    private let rank: Int
    private let pairs: [[Int]]

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        pairs = try arguments.sidePairs("padding", rank)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let none = [[0, 0]]
        return [try pad(inputs[0], arguments.channelsFirst ? none + none + pairs : none + pairs + none)]
    }
}
