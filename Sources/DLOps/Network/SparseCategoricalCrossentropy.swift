import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Cross-entropy between class labels and scores or probabilities.
struct SparseCategoricalCrossentropy: DeclaredOperation {
    var fromLogits = false
    var axis = -1
    var labelBase = 0

    static let declaration = Declaration<any Operation>(
        "sparse_categorical_crossentropy", "Cross-entropy between class labels and predicted distributions.",
        formula: "loss = -log softmax(output)[target], or -log(clip(output / sum output, 1e-7, 1 - 1e-7))[target] for "
            + "probabilities; probabilities that come straight from softmax are computed from its input",
        source: "Keras 3, keras.ops.sparse_categorical_crossentropy",
        shapes: "target (...) or (..., 1), whole numbers; output (..., classes) -> (...)",
        extra: networkExtra("target", "output"),
        arguments: [
            Argument("from_logits", .bool, false, "output holds scores before softmax"),
            Argument("axis", .axis, -1, "the axis of the classes"),
            ClassLabels.baseArgument,
        ]
    ) {
        SparseCategoricalCrossentropy(
            fromLogits: $0.bool("from_logits"), axis: $0.int("axis"), labelBase: $0.int("label_base"))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(.integers([4], below: 3), .uniform([4, 3]), attributes: ["from_logits": true]),
            OperationSample(.integers([4, 1], below: 3, .int64), .uniform([4, 3], 0.1...1)),
            OperationSample(
                .given([1, 3, 2, 1, 1, 2], [2, 3], .uint8), .uniform([2, 4, 3]),
                attributes: ["from_logits": true, "axis": 1, "label_base": 1]),
        ]
    }

    var attributes: JSON {
        nonDefault(
            SparseCategoricalCrossentropy.declaration, ("from_logits", .bool(fromLogits)),
            ("axis", .int(Int64(axis))), ("label_base", .int(Int64(labelBase))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        var scores = inputs[1]
        let axis = try scores.shape.axis(self.axis, name)
        var sizes = scores.shape.sizes
        sizes.append(sizes.remove(at: axis))
        scores.shape = Shape(sizes)
        return [TensorSpec(try expectLabels(inputs[0], scores, name), scores.type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        var (labels, scores) = (inputs[0], inputs[1])
        var operation = self
        let axis = try scores.shape.axis(self.axis, name)
        // Softmax leaves its input behind where it went along the last axis.
        if !fromLogits, axis == scores.shape.rank - 1, let logits = scores.logits, logits.activation == "softmax" {
            operation.fromLogits = true
            scores = logits.value
        }
        if axis != scores.shape.rank - 1 {
            var order = Array(0..<scores.shape.rank)
            order.append(order.remove(at: axis))
            scores = try transpose(scores, order)
        }
        operation.axis = -1
        let rows = Shape(Array(scores.shape.sizes.dropLast()))
        labels = try reshaped(labels, rows)
        if operation.fromLogits {
            if operation.attributes == attributes, labels === inputs[0], scores === inputs[1] { return nil }
            return [try DLGraph.apply(operation, labels, scores)]
        }
        let picked = try DLGraph.apply(
            PickLabels(labelBase: labelBase, owner: name), labels, normalisedProbabilities(scores))
        return [try negative(DLOps.log(picked))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, classes) = rowsOfLastAxis(inputs[1].shape)
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: name)
        return try SoftmaxKernels.sparseCrossEntropy(labels, inputs[1].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[1] else { return [nil, nil] }
        return [
            nil,
            try DLGraph.apply(
                SparseCrossentropyGradient(labelBase: labelBase), context.inputs[0], context.inputs[1],
                context.upstream),
        ]
    }
}

/// output / sum output, kept away from 0 and 1, as Keras does before a logarithm.
func normalisedProbabilities(_ output: Value) throws -> Value {
    try clip(divide(output, sumLast(output)), 1e-7, 1 - 1e-7)
}

/// Gradient of sparse_categorical_crossentropy for scores.
struct SparseCrossentropyGradient: DeclaredOperation {
    var labelBase = 0

    static let declaration = Declaration<any Operation>(
        "sparse_categorical_crossentropy_gradient", "Gradient of sparse_categorical_crossentropy for scores.",
        formula: "dx = (softmax(x) - onehot(target)) dloss",
        shapes: "target (...), x (..., classes), dloss (...) -> (..., classes)",
        extra: networkExtra("target", "x", "dloss", internal: true),
        arguments: [ClassLabels.baseArgument]
    ) { SparseCrossentropyGradient(labelBase: $0.int("label_base")) }

    static var samples: [OperationSample] {
        [OperationSample(.integers([4], below: 3), .uniform([4, 3]), .uniform([4]))]
    }

    var attributes: JSON {
        nonDefault(SparseCrossentropyGradient.declaration, ("label_base", .int(Int64(labelBase))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        let rows = try expectLabels(inputs[0], inputs[1], name)
        guard inputs[2] == TensorSpec(rows, inputs[1].type) else {
            throw DLError(
                .shape, "[\(name)] dloss must have one number for each row. "
                    + received(("target", inputs[0]), ("x", inputs[1]), ("dloss", inputs[2])))
        }
        return [inputs[1]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, classes) = rowsOfLastAxis(inputs[1].shape)
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: name)
        return try SoftmaxKernels.sparseCrossEntropyGradient(labels, inputs[1].type)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (labels, x, dloss, u) = (context.inputs[0], context.inputs[1], context.inputs[2], context.upstream)
        var gradients: [Value?] = [nil, nil, nil]
        if context.needs[1] {
            let scaled = try multiply(u, expandDims(dloss, -1))
            gradients[1] = try DLGraph.apply(SoftmaxGradient(), scaled, softmax(x))
        }
        if context.needs[2] {
            let ones = Value(try Tensor(number: 1, dloss.type, shape: dloss.shape))
            gradients[2] = try sumLast(
                multiply(u, DLGraph.apply(self, labels, x, ones)), keepdims: false)
        }
        return gradients
    }
}

/// Cross-entropy of labels with scores (from_logits) or probabilities, one number for each row.
package func sparseCategoricalCrossentropy(
    _ target: Value, _ output: Value, fromLogits: Bool = false, axis: Int = -1, labelBase: Int = 0
) throws -> Value {
    try DLGraph.apply(
        SparseCategoricalCrossentropy(fromLogits: fromLogits, axis: axis, labelBase: labelBase), target, output)
}
