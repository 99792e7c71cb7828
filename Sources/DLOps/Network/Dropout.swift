import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Sets random elements to zero and enlarges the others, so that the mean stays.
struct Dropout: DeclaredOperation {
    var rate: Double

    static let declaration = Declaration<any Operation>(
        "dropout", "Sets a random share of the elements to zero and enlarges the others.",
        formula: "y = x / (1 - rate) where u >= rate, else 0; u uniform in [0, 1), a function of the seed and the position",
        source: "N. Srivastava et al.: Dropout, JMLR 15, 2014",
        shapes: "x (any shape), seed (2,) int64: the seed and the number of the draw -> like x",
        extra: networkExtra("x", "seed"),
        arguments: [Argument("rate", .float(Argument.fraction), nil, "share of the elements that become zero")]
    ) { Dropout(rate: $0.float("rate")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([4, 5]), .given([7, 3], [2], .int64), attributes: ["rate": 0.4]),
            OperationSample(.uniform([9]), .given([7, 3], [2], .int64), attributes: ["rate": 0]),
        ]
    }

    var attributes: JSON { ["rate": .double(rate)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        guard inputs[1] == TensorSpec([2], .int64) else {
            throw DLError(
                .dtype, "[\(name)] seed must be two int64 numbers. " + received(("x", inputs[0]), ("seed", inputs[1])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        RandomKernels.dropout(inputs[0], rate: rate)
    }

    // The mask follows from the seed, so it is made again instead of kept.
    func gradient(_ context: GradientContext) throws -> [Value?] {
        [context.needs[0] ? try DLGraph.apply(self, context.upstream, context.inputs[1]) : nil, nil]
    }
}

/// x with a random share of its elements set to zero; `seed` holds two int64 numbers.
package func dropout(_ x: Value, seed: Value, rate: Double) throws -> Value {
    try DLGraph.apply(Dropout(rate: rate), x, seed)
}
