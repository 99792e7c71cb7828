import DLBase
import DLGraph
import DLOps
import DLTensor

/// A layer around another one.
package class Wrapper: Layer {
    static let declaration = layerDeclaration(
        "Wrapper", "A layer around another one, which it applies as it is.", source: "Keras, keras.layers.Wrapper",
        shapes: "as the layer inside says",
        example: """
            local dl = require "dl"
            print(dl.layers.Wrapper{ layer = dl.layers.Dense{ units = 2 } }(dl.ones{ 1, 3 }).shape)
            """,
        arguments: [layerArgument]
    ) { try Wrapper(checked: $0) }

    static let layerArgument = Argument("layer", .object(category: "layer"), nil, "The layer inside.")

    let layer: Layer

    init(checked arguments: Arguments) throws {
        layer = try Layer.nested(arguments["layer"], arguments.owner)
        super.init(arguments)
    }

    override package var inputCount: Int? { layer.inputCount }
    override package var sublayers: [Layer] { [layer] }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["layer"] = try layer.serialized()
        return values
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try layer.buildIfNeeded(inputShapes) }
    override package func checkInput(_ shapes: [[Int?]]) throws { try layer.checkInput(shapes) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try layer.apply(inputs, training: training)
    }
}

/// The same layer at every time step.
package final class TimeDistributed: Wrapper {
    static let timeDeclaration = layerDeclaration(
        "TimeDistributed", "Applies a layer to every time step by itself.", formula: "y[:, t] = layer(x[:, t])",
        source: "Keras, keras.layers.TimeDistributed",
        shapes: "input (batch, steps, ...), output (batch, steps, what the layer gives for (batch, ...))",
        example: """
            local dl = require "dl"
            local layer = dl.layers.TimeDistributed{ layer = dl.layers.Conv2D{ filters = 2, kernel_size = 3 } }
            print(layer(dl.ones{ 1, 4, 8, 8, 3 }).shape)
            """,
        arguments: [layerArgument]
    ) { try TimeDistributed(checked: $0) }

    override package var inputCount: Int? { 1 }
    override package var supportsMasking: Bool { true }

    private func step(_ shape: [Int?]) throws -> [Int?] {
        guard shape.count >= 3 else {
            throw DLError(
                .shape, "[TimeDistributed] layer '\(name)': the input must have at least 3 axes: (batch, steps, ...). "
                    + "Received: input \(Shape.text(shape))")
        }
        return [nil] + shape.dropFirst(2)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try layer.buildIfNeeded([step(inputShapes[0])]) }
    override package func checkInput(_ shapes: [[Int?]]) throws { try layer.checkInput([step(shapes[0])]) }

    // Steps are samples to the layer inside, all in one batch.
    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let sizes = inputs[0].shape.sizes
        let (rows, overflow) = sizes[0].multipliedReportingOverflow(by: sizes[1])
        guard !overflow else { throw DLError(.shape, "[TimeDistributed] the input is too large. Received: \(inputs[0].shape)") }
        return try layer.apply([reshape(inputs[0], [rows] + sizes.dropFirst(2))], training: training).map { y in
            guard y.shape.rank >= 1, y.shape[0] == rows else {
                throw DLError(
                    .shape, "[TimeDistributed] layer '\(layer.name)' must keep the batch. Received: output \(y.shape)")
            }
            return try reshape(y, [sizes[0], sizes[1]] + y.shape.sizes.dropFirst())
        }
    }
}
