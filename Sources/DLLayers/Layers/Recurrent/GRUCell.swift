import DLBase
import DLGraph
import DLOps
import DLTensor

/// One step of a gated recurrent unit.
package final class GRUCell: GatedCell {
    static let declaration = layerDeclaration(
        "GRUCell", "One step of a gated recurrent unit.",
        formula: "z, r = recurrent_activation(x W + h U + b); g = activation(x W + r (h U + b)), or activation(x W + (r h) U + b) "
            + "without reset_after; h' = z h + (1 - z) g",
        source: "Cho et al., Learning phrase representations using RNN encoder-decoder, 2014",
        shapes: "input (batch, features), state (batch, units) -> output (batch, units), state (batch, units)",
        example: """
            local dl = require "dl"
            local cell = dl.layers.GRUCell{ units = 3 }
            local output, state = cell{ dl.ones{ 2, 5 }, dl.zeros{ 2, 3 } }
            print(output.shape, state.shape)
            """,
        arguments: arguments(recurrentActivation: true, reset: true)
    ) { try GRUCell(checked: $0) }

    private var resetAfter: Bool { arguments["reset_after"].boolValue ?? true }

    override var gates: Int { 3 }
    override var biasShape: Shape { resetAfter ? [2, 3 * units] : [3 * units] }

    override func fused() -> RecurrentOptions? {
        var options = fused(.gru)
        options?.resetAfter = resetAfter
        return options
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try expectStates(inputs)
        return try withFactors(inputs[0], inputs[1], training: training) { x, h in
            var z = try matmul(x, kernel.value)
            var innerBias: Value?
            if let bias {
                if resetAfter {
                    let rows = try unstack(bias.value, axis: 0)
                    z = try biasAdd(z, rows[0])
                    innerBias = rows[1]
                } else {
                    z = try biasAdd(z, bias.value)
                }
            }
            let outer = try split(z, sections: 3, axis: 1)
            let update: Value
            let new: Value
            if resetAfter {
                var inner = try matmul(h, recurrentKernel.value)
                if let innerBias { inner = try biasAdd(inner, innerBias) }
                let parts = try split(inner, sections: 3, axis: 1)
                update = try gate(add(outer[0], parts[0]))
                let reset = try gate(add(outer[1], parts[1]))
                new = try activate(add(outer[2], multiply(reset, parts[2])))
            } else {
                let kernels = try split(recurrentKernel.value, sections: 3, axis: 1)
                update = try gate(add(outer[0], matmul(h, kernels[0])))
                let reset = try gate(add(outer[1], matmul(h, kernels[1])))
                new = try activate(add(outer[2], matmul(multiply(reset, h), kernels[2])))
            }
            let y = try add(multiply(update, inputs[1]), multiply(subtract(constant(1, like: update), update), new))
            return [y, y]
        }
    }
}
