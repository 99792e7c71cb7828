import DLBase
import DLGraph
import DLOps

/// Maxima and means over windows that are laid out so that a wanted number of them covers the input.
package final class AdaptivePooling: Layer {
    static let declarations = [false, true].flatMap { isMaximum in (1...3).map { declaration($0, isMaximum: isMaximum) } }

    private static func declaration(_ rank: Int, isMaximum: Bool) -> Declaration<Layer> {
        let (object, axes) = spatialNames(rank)
        let name = "Adaptive\(isMaximum ? "Max" : "Average")Pooling\(rank)D"
        return layerDeclaration(
            name, "\(isMaximum ? "Largest numbers" : "Means") of windows whose number is given; they cover a \(object) of any size.",
            formula: "window i of n covers floor(i size / n) up to ceil((i + 1) size / n), counted from 0",
            source: "Keras, keras.layers.\(name)",
            shapes: "input (batch, \(axes), channels), output (batch, output_size, channels)",
            example: """
                local dl = require "dl"
                print(dl.layers.\(name){ output_size = 3 }(\(exampleInput(rank))).shape)
                """,
            arguments: [
                Argument("output_size", .size(minimum: 1), nil, "How many come out along each axis."), dataFormatArgument,
            ]
        ) { try AdaptivePooling(checked: $0, rank, isMaximum) }
    }

    private let rank: Int
    private let isMaximum: Bool
    private let outputSize: [Int]

    private init(checked arguments: Arguments, _ rank: Int, _ isMaximum: Bool) throws {
        self.rank = rank
        self.isMaximum = isMaximum
        outputSize = try arguments.sizes("output_size", rank)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        [
            try adaptivePool(
                inputs[0], isMaximum: isMaximum, size: outputSize,
                dataFormat: arguments.channelsFirst ? .channelsFirst : .channelsLast)
        ]
    }
}
