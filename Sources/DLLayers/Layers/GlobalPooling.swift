import DLBase
import DLGraph
import DLOps

/// What global maxima and means of sequences, pictures and volumes have in common.
package class GlobalPooling: Layer {
    fileprivate static func declaration(
        _ operation: String, _ rank: Int, make: @escaping @Sendable (Arguments) throws -> Layer
    ) -> Declaration<Layer> {
        let isMean = operation == "Average"
        let whole = spatialNames(rank)
        return layerDeclaration(
            "Global\(operation)Pooling\(rank)D", aliases: [isMean ? "GlobalAvgPool\(rank)D" : "GlobalMaxPool\(rank)D"],
            "The \(isMean ? "mean" : "largest number") of each channel over the whole \(whole.object).",
            formula: "y[n, c] = \(isMean ? "mean" : "max") over the \(whole.object) of x[n, ..., c]",
            source: isMean ? "Lin et al., Network in network, 2013" : "Keras, keras.layers.Global\(operation)Pooling\(rank)D",
            shapes: "input (batch, \(whole.axes), channels), output (batch, channels), "
                + "with keepdims (batch, \([String](repeating: "1", count: rank).joined(separator: ", ")), channels)",
            example: """
                local dl = require "dl"
                print(dl.layers.Global\(operation)Pooling\(rank)D()(\(exampleInput(rank))).shape)
                """,
            arguments: [
                dataFormatArgument, Argument("keepdims", .bool, false, "Whether the spatial axes stay, with size 1."),
            ],
            make: make)
    }

    private let rank: Int

    fileprivate init(_ arguments: Arguments, rank: Int) {
        self.rank = rank
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectSpatial(shapes[0], rank, className) }

    fileprivate func reduce(_ x: Value, axes: [Int], keepDims: Bool) throws -> Value { x }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let axes = arguments.channelsFirst ? Array(2..<rank + 2) : Array(1...rank)
        if let empty = axes.first(where: { inputs[0].shape[$0] == 0 }) {
            throw DLError(.shape, "[\(className)] axis \(empty) of the input is empty. Received: input \(inputs[0].shape)")
        }
        return [try reduce(inputs[0], axes: axes, keepDims: arguments.bool("keepdims"))]
    }
}

package final class GlobalAveragePooling: GlobalPooling {
    static let declarations = (1...3).map { rank in
        declaration("Average", rank) { GlobalAveragePooling($0, rank: rank) }
    }

    /// Of a sequence with a mask, the mean of the steps that count.
    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        guard let mask = inputs[0].mask, inputs[0].shape.rank == 3 else { return try super.call(inputs, training: training) }
        let (n, steps) = (mask.shape[0], mask.shape.last)
        let first = arguments.channelsFirst
        let weights = try reshape(cast(mask, inputs[0].type), first ? [n, 1, steps] : [n, steps, 1])
        let axis = first ? 2 : 1
        let total = try sum(multiply(inputs[0], weights), axes: [axis], keepDims: arguments.bool("keepdims"))
        let count = try sum(weights, axes: [1, 2], keepDims: arguments.bool("keepdims"))
        return [try divide(total, arguments.bool("keepdims") ? count : reshape(count, [n, 1]))]
    }

    override fileprivate func reduce(_ x: Value, axes: [Int], keepDims: Bool) throws -> Value {
        try mean(x, axes: axes, keepDims: keepDims)
    }
}

package final class GlobalMaxPooling: GlobalPooling {
    static let declarations = (1...3).map { rank in declaration("Max", rank) { GlobalMaxPooling($0, rank: rank) } }

    override fileprivate func reduce(_ x: Value, axes: [Int], keepDims: Bool) throws -> Value {
        try max(x, axes: axes, keepDims: keepDims)
    }
}
