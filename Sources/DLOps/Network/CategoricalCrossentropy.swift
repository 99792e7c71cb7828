import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Cross-entropy between distributions.
struct CategoricalCrossentropy: DeclaredOperation {
    var fromLogits = false
    var axis = -1

    static let declaration = Declaration<any Operation>(
        "categorical_crossentropy", "Cross-entropy between wanted and predicted distributions.",
        formula: "loss = -sum of target log softmax(output), or -sum of target log clip(output / sum output, 1e-7, 1 - 1e-7) "
            + "for probabilities; probabilities that come straight from softmax are computed from its input",
        source: "Keras 3, keras.ops.categorical_crossentropy",
        shapes: "target (..., classes), output (..., classes) -> (...)",
        extra: networkExtra("target", "output"),
        arguments: [
            Argument("from_logits", .bool, false, "output holds scores before softmax"),
            Argument("axis", .axis, -1, "the axis of the classes"),
        ]
    ) { CategoricalCrossentropy(fromLogits: $0.bool("from_logits"), axis: $0.int("axis")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([4, 3], 0...1), .uniform([4, 3]), attributes: ["from_logits": true]),
            OperationSample(.uniform([4, 3], 0...1), .uniform([4, 3], 0.1...1)),
            OperationSample(
                .uniform([2, 4, 3], 0...1), .uniform([2, 4, 3]), attributes: ["from_logits": true, "axis": 1]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            CategoricalCrossentropy.declaration, ("from_logits", .bool(fromLogits)), ("axis", .int(Int64(axis))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        let (target, output) = (inputs[0], inputs[1])
        try expectType(output, floatingTypes, name)
        guard target.shape == output.shape else {
            throw DLError(
                .shape, "[\(name)] target and output must have one shape; for class labels there is "
                    + "sparse_categorical_crossentropy. " + received(("target", target), ("output", output)))
        }
        let axis = try output.shape.axis(self.axis, name)
        return [TensorSpec(output.shape.removing(axes: [axis]), output.type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        var (target, output) = (inputs[0], inputs[1])
        var operation = self
        if target.type != output.type { target = try cast(target, output.type) }
        let axis = try output.shape.axis(self.axis, name)
        // Softmax leaves its input behind where it went along the last axis.
        if !fromLogits, axis == output.shape.rank - 1, let logits = output.logits, logits.activation == "softmax" {
            operation.fromLogits = true
            output = logits.value
        }
        if axis != output.shape.rank - 1 {
            var order = Array(0..<output.shape.rank)
            order.append(order.remove(at: axis))
            target = try transpose(target, order)
            output = try transpose(output, order)
        }
        operation.axis = -1
        if operation.fromLogits {
            if operation.attributes == attributes, target === inputs[0], output === inputs[1] { return nil }
            return [try DLGraph.apply(operation, target, output)]
        }
        let logs = try DLOps.log(normalisedProbabilities(output))
        return [try negative(sumLast(multiply(target, logs), keepdims: false))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.crossEntropy(inputs[1])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (target, output, upstream) = (context.inputs[0], context.inputs[1], context.upstream)
        var first: Value?
        if context.needs[0] {
            let scale = try expandDims(upstream, -1)
            first = try negative(multiply(scale, logSoftmax(output)))
        }
        return [first, context.needs[1] ? try DLGraph.apply(CrossentropyGradient(), target, output, upstream) : nil]
    }
}

/// Gradient of categorical_crossentropy for scores.
struct CrossentropyGradient: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "categorical_crossentropy_gradient", "Gradient of categorical_crossentropy for scores.",
        formula: "dx = (softmax(x) sum target - target) dloss",
        shapes: "target (..., classes), x (..., classes), dloss (...) -> (..., classes)",
        extra: networkExtra("target", "x", "dloss", internal: true)
    ) { _ in CrossentropyGradient() }

    static var samples: [OperationSample] {
        [OperationSample(.uniform([4, 3], 0...1), .uniform([4, 3]), .uniform([4]))]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        let x = inputs[1].shape
        guard x.rank > 0, inputs[0].shape == x, inputs[2].shape == Shape(Array(x.sizes.dropLast())) else {
            throw DLError(
                .shape, "[\(name)] target must have the shape of x, dloss one number for each row. "
                    + received(("target", inputs[0]), ("x", inputs[1]), ("dloss", inputs[2])))
        }
        return [inputs[1]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try SoftmaxKernels.crossEntropyGradient(inputs[1])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (target, x, dloss, u) = (context.inputs[0], context.inputs[1], context.inputs[2], context.upstream)
        let scale = try expandDims(dloss, -1)
        let p = try softmax(x)
        var gradients: [Value?] = [nil, nil, nil]
        if context.needs[0] {
            // d/dt[j] of sum_i u[i] (p[i] sum t - t[i]) = sum_i u[i] p[i] - u[j].
            let mean = try sumLast(multiply(u, p))
            gradients[0] = try multiply(scale, subtract(mean, u))
        }
        if context.needs[1] {
            let weight = try multiply(scale, sumLast(target))
            gradients[1] = try DLGraph.apply(SoftmaxGradient(), multiply(u, weight), p)
        }
        if context.needs[2] {
            let ones = Value(try Tensor(number: 1, dloss.type, shape: dloss.shape))
            gradients[2] = try sumLast(
                multiply(u, DLGraph.apply(self, target, x, ones)), keepdims: false)
        }
        return gradients
    }
}

/// Cross-entropy of a distribution with scores (from_logits) or probabilities, one number for each row.
package func categoricalCrossentropy(
    _ target: Value, _ output: Value, fromLogits: Bool = false, axis: Int = -1
) throws -> Value {
    try DLGraph.apply(CategoricalCrossentropy(fromLogits: fromLogits, axis: axis), target, output)
}
