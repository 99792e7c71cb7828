import DLBase
import DLGraph
import DLOps

/// Enlarges sequences, pictures and volumes by whole factors.
package final class UpSampling: Layer {
    static let declarations = (1...3).map { declaration($0) }

    private static func declaration(_ rank: Int) -> Declaration<Layer> {
        let (object, axes) = spatialNames(rank)
        let news = axes.split(separator: ", ").map { "\($0) * size" }.joined(separator: ", ")
        var arguments = [
            Argument(
                "size", .size(minimum: 1), rank == 1 ? 2 : .array([JSON](repeating: 2, count: rank)),
                "How many elements come of one, along each axis.")
        ]
        if rank > 1 { arguments.append(dataFormatArgument) }
        if rank == 2 {
            arguments.append(
                Argument(
                    "interpolation", .choice(Interpolation.names), "nearest",
                    "\"nearest\" repeats elements, the others make new ones between them."))
        }
        return layerDeclaration(
            "UpSampling\(rank)D", "Enlarges a \(object) by whole factors.",
            formula: rank == 1 ? "y[n, i, c] = x[n, floor(i / size), c]" : "y[n, i, ..., c] = x[n, floor(i / size), ..., c] along each axis",
            source: "Keras, keras.layers.UpSampling\(rank)D",
            shapes: "input (batch, \(axes), channels), output (batch, \(news), channels)",
            example: """
                local dl = require "dl"
                print(dl.layers.UpSampling\(rank)D{ size = 2 }(\(exampleInput(rank))).shape)
                """,
            arguments: arguments
        ) { try UpSampling(checked: $0, rank) }
    }

    private let rank: Int
    private let size: [Int]

    private init(checked arguments: Arguments, _ rank: Int) throws {
        self.rank = rank
        size = try arguments.sizes("size", rank)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var x = try asFloat(inputs[0], dtype)
        let interpolation = Interpolation(arguments.string("interpolation")) ?? .nearest
        let first = arguments.channelsFirst ? 2 : 1
        // The innermost axis first, while there is little to copy.
        for axis in (0..<rank).reversed() where size[axis] > 1 {
            let (target, overflow) = x.shape[first + axis].multipliedReportingOverflow(by: size[axis])
            guard !overflow else {
                throw DLError(.limit, "[\(className)] the result is too large. Received: input \(inputs[0].shape), size \(size)")
            }
            x = try resample(x, axis: first + axis, size: target, interpolation)
        }
        return [x]
    }
}
