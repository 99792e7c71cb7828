import DLBase
import DLGraph
import DLOps
import DLTensor

/// One step of a plain recurrent layer.
package final class SimpleRNNCell: GatedCell {
    static let declaration = layerDeclaration(
        "SimpleRNNCell", "One step of a plain recurrent layer.", formula: "h' = activation(x W + h U + b)",
        source: "Elman, Finding structure in time, 1990",
        shapes: "input (batch, features), state (batch, units) -> output (batch, units), state (batch, units)",
        example: """
            local dl = require "dl"
            local cell = dl.layers.SimpleRNNCell{ units = 3 }
            local output, state = cell{ dl.ones{ 2, 5 }, dl.zeros{ 2, 3 } }
            print(output.shape, state.shape)
            """,
        arguments: arguments(recurrentActivation: false)
    ) { try SimpleRNNCell(checked: $0) }

    override func fused() -> RecurrentOptions? { fused(.simple) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try expectStates(inputs)
        return try withFactors(inputs[0], inputs[1], training: training) { x, h in
            var z = try matmul(x, kernel.value)
            if let bias { z = try biasAdd(z, bias.value) }
            let y = try activate(add(z, matmul(h, recurrentKernel.value)))
            return [y, y]
        }
    }
}
