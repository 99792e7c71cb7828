import DLBase
import DLGraph
import DLOps
import DLTensor

/// Masks time steps whose features all have one value.
package final class Masking: Layer {
    static let declaration = layerDeclaration(
        "Masking", "Masks time steps all of whose features are `mask_value`; layers after it leave them out.",
        formula: "mask[t] = any feature of x[t] differs from mask_value; y = x, 0 at masked steps", source: "Keras, keras.layers.Masking",
        shapes: "input (batch, steps, features), output the same, with a mask (batch, steps)",
        example: """
            local dl = require "dl"
            local L = dl.layers
            local x = dl.tensor{ { { 1, 2 }, { 3, 4 }, { 0, 0 } } }
            print(L.LSTM{ units = 2 }(L.Masking{ mask_value = 0 }(x)).shape)
            """,
        arguments: [Argument("mask_value", .float(Argument.anyFloat), 0.0, "What marks a step that does not count.")]
    ) { Masking($0) }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count >= 3 else {
            throw DLError(
                .shape, "[Masking] layer '\(name)': the input must have at least 3 axes: (batch, steps, features). "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let counts = try any(notEqual(x, constant(arguments.float("mask_value"), like: x)), axes: [-1], keepDims: true)
        let y = try `where`(counts, x, zerosLike(x))
        y.mask = try squeeze(counts, axes: [-1])
        return [y]
    }
}
