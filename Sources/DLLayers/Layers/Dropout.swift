import DLBase
import DLGraph
import DLOps
import DLTensor

/// Sets a random part of the input to zero while training.
package final class Dropout: Layer {
    static let declaration = layerDeclaration(
        "Dropout", "Sets a random part of the input to zero while training, and scales the rest so that the mean stays.",
        formula: "training: y = x m / (1 - rate), m = 1 with probability 1 - rate, else 0; otherwise y = x",
        source: "Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, 2014",
        shapes: "input any, output the same",
        example: """
            local dl = require "dl"
            local y = dl.layers.Dropout{ rate = 0.5, seed = 1 }(dl.ones{ 2, 4 }, { training = true })
            print(y.shape)
            """,
        arguments: [
            Argument("rate", .float(0...1), nil, "The share that is set to zero."),
            Argument("noise_shape", .optional(.shape), .null, "Always null."),
            Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes the random numbers."),
        ]
    ) { try Dropout(checked: $0) }

    private var state: Variable?

    init(checked arguments: Arguments) throws {
        if arguments.has("noise_shape") {
            throw DLError(.unsupported, "[Dropout] 'noise_shape' is not supported yet")
        }
        super.init(arguments)
    }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        if arguments.float("rate") > 0 { state = try addSeedState(arguments.optionalInt("seed")) }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        guard training, let state else { return inputs }
        let rate = arguments.float("rate")
        if rate >= 1 { return [try multiply(inputs[0], constant(0, like: inputs[0]))] }
        let y = try dropout(inputs[0], seed: state.value, rate: rate)
        try state.assign(add(state.value, Value(Tensor([Int64(0), 1]))))
        return [y]
    }
}
