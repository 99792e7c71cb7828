import DLBase
import DLGraph
import DLOps

/// Cuts elements off at the borders of sequences, pictures and volumes.
package final class Cropping: Layer {
    static let declarations = (1...3).map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let (object, axes) = spatialNames(rank)
        let standard: JSON = rank == 1 ? [1, 1] : rank == 2 ? [[0, 0], [0, 0]] : [[1, 1], [1, 1], [1, 1]]
        return layerDeclaration(
            "Cropping\(rank)D", "Cuts elements off at the borders of a \(object).",
            source: "Keras, keras.layers.Cropping\(rank)D",
            shapes: "input (batch, \(axes), channels), output (batch, sizes less what is cut off, channels)",
            example: """
                local dl = require "dl"
                print(dl.layers.Cropping\(rank)D{ cropping = 1 }(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument(
                    "cropping", .any, standard,
                    rank == 1
                        ? "A whole number for both ends or [front, back]."
                        : "A whole number for all sides, one for each axis, or a pair [before, after] for each axis.")
            ] + (rank == 1 ? [] : [dataFormatArgument])
        ) { try Cropping(checked: $0, rank) }
    }

    private let rank: Int
    private let pairs: [[Int]]

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        pairs = try arguments.sidePairs("cropping", rank)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let first = arguments.channelsFirst ? 2 : 1
        var entries = [IndexEntry](repeating: .all, count: rank + 2)
        for (axis, pair) in pairs.enumerated() {
            let size = x.shape[first + axis]
            guard pair[0] + pair[1] < size else {
                throw DLError(
                    .shape, "[\(className)] nothing is left of axis \(first + axis) with size \(size). "
                        + "Received: input \(x.shape), cropping \(pairs)")
            }
            entries[first + axis] = .range(start: pair[0], stop: size - pair[1], step: 1)
        }
        return [try getItem(x, entries)]
    }
}
