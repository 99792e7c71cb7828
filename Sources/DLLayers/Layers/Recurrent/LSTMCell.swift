import DLBase
import DLGraph
import DLOps
import DLTensor

/// One step of a long short-term memory.
package final class LSTMCell: GatedCell {
    static let declaration = layerDeclaration(
        "LSTMCell", "One step of a long short-term memory.",
        formula: "i, f, o = recurrent_activation(x W + h U + b), g = activation(same); c' = f c + i g; h' = o activation(c')",
        source: "Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000",
        shapes: "input (batch, features), states (batch, units) twice -> output, then both states, each (batch, units)",
        example: """
            local dl = require "dl"
            local cell = dl.layers.LSTMCell{ units = 3 }
            local output, h, c = cell{ dl.ones{ 2, 5 }, dl.zeros{ 2, 3 }, dl.zeros{ 2, 3 } }
            print(output.shape, h.shape, c.shape)
            """,
        arguments: arguments(recurrentActivation: true, forget: true)
    ) { try LSTMCell(checked: $0) }

    override var gates: Int { 4 }
    override package var stateSizes: [Int] { [units, units] }
    override func fused() -> RecurrentOptions? { fused(.lstm) }

    override func makeBias() throws -> Variable {
        arguments.bool("unit_forget_bias") ? try forgetBias(units) : try super.makeBias()
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try expectStates(inputs)
        return try withFactors(inputs[0], inputs[1], training: training) { x, h in
            var z = try add(matmul(x, kernel.value), matmul(h, recurrentKernel.value))
            if let bias { z = try biasAdd(z, bias.value) }
            let parts = try split(z, sections: 4, axis: 1)
            let kept = try multiply(gate(parts[1]), inputs[2])
            let cell = try add(kept, multiply(gate(parts[0]), activate(parts[2])))
            let y = try multiply(gate(parts[3]), activate(cell))
            return [y, y, cell]
        }
    }
}
