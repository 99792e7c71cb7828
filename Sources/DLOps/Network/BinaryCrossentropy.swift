import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Cross-entropy between truth values and the probability of true. For probabilities it is made of other operations.
struct BinaryCrossentropy: DeclaredOperation {
    var fromLogits = false

    static let declaration = Declaration<any Operation>(
        "binary_crossentropy", "Cross-entropy between truth values and predicted probabilities, element by element.",
        formula: "loss = -target log p - (1 - target) log(1 - p), p = sigmoid(output), or clip(output, 1e-7, 1 - 1e-7) for "
            + "probabilities; probabilities that come straight from sigmoid are computed from its input",
        source: "Keras 3, keras.ops.binary_crossentropy",
        shapes: "target (any shape), output (the same) -> the same",
        extra: networkExtra("target", "output"),
        arguments: [Argument("from_logits", .bool, false, "output holds scores before sigmoid")]
    ) { BinaryCrossentropy(fromLogits: $0.bool("from_logits")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([4, 3], 0...1), .uniform([4, 3]), attributes: ["from_logits": true]),
            OperationSample(.uniform([4, 3], 0...1), .uniform([4, 3], 0.1...0.9)),
        ]
    }

    var attributes: JSON { nonDefault(BinaryCrossentropy.declaration, ("from_logits", .bool(fromLogits))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        let (target, output) = (inputs[0], inputs[1])
        try expectType(output, floatingTypes, name)
        guard target.shape == output.shape else {
            throw DLError(
                .shape, "[\(name)] target and output must have one shape. "
                    + received(("target", target), ("output", output)))
        }
        return [output]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        var (target, output) = (inputs[0], inputs[1])
        let logits = fromLogits ? nil : output.logits
        if fromLogits, target.type == output.type { return nil }
        if target.type != output.type { target = try cast(target, output.type) }
        if fromLogits || logits?.activation == "sigmoid" {
            if let logits { output = logits.value }
            return [try DLGraph.apply(BinaryCrossentropy(fromLogits: true), target, output)]
        }
        let p = try clip(output, 1e-7, 1 - 1e-7)
        let one = try constant(1, like: output)
        let sum = try add(
            multiply(target, DLOps.log(p)), multiply(subtract(one, target), DLOps.log(subtract(one, p))))
        return [try negative(sum)]
    }

    /// loss = max(x, 0) - x t + log(1 + exp(-|x|)), which keeps its digits on both sides.
    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let type = inputs[1].type
        guard fromLogits, inputs[0].type == type, let magnitude = UnaryKernel(.abs, type),
            let logSigmoid = UnaryKernel(.logSigmoid, type)
        else { throw noKernel(name, type) }
        let count = inputs[1].shape.count
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type)) { arguments in
            let y = arguments.outputs[0]
            magnitude(runtime, arguments.inputs[1], y, count: count)
            logSigmoid(runtime, y, y, count: count)
            if type == .float64 {
                finish(arguments.input(0, Double.self), arguments.input(1), arguments.output(0), count)
            } else {
                finish(arguments.input(0, Float.self), arguments.input(1), arguments.output(0), count)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (target, x, upstream) = (context.inputs[0], context.inputs[1], context.upstream)
        return [
            context.needs[0] ? try negative(multiply(x, upstream)) : nil,
            context.needs[1] ? try multiply(subtract(sigmoid(x), target), upstream) : nil,
        ]
    }
}

/// y = max(x, 0) - x t - y in pieces.
private func finish<T: BinaryFloatingPoint>(
    _ t: UnsafePointer<T>, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ count: Int
) {
    let grain = 1 << 14
    ThreadPool.shared.forEach(pieces: (count &+ grain &- 1) / grain) { piece in
        for i in piece &* grain..<Swift.min(count, (piece &+ 1) &* grain) {
            y[i] = (x[i] > 0 ? x[i] : 0) - x[i] * t[i] - y[i]
        }
    }
}

/// Cross-entropy of truth values with scores (from_logits) or probabilities, element by element.
package func binaryCrossentropy(_ target: Value, _ output: Value, fromLogits: Bool = false) throws -> Value {
    try DLGraph.apply(BinaryCrossentropy(fromLogits: fromLogits), target, output)
}
