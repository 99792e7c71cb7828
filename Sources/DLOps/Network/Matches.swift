import DLBase
import DLGraph
import DLTensor

// What accuracies are means of: 1 where a prediction is right, 0 where it is not.

/// 1 where the largest prediction of a row is the label's.
struct SparseCategoricalMatches: DeclaredOperation {
    var labelBase = 0

    static let declaration = Declaration<any Operation>(
        "sparse_categorical_matches", "1 where the largest prediction of a row is at the label, else 0.",
        formula: "y[r] = 1 if the first largest of predictions[r] is at target[r] - label_base",
        source: "Keras 3, keras.metrics.sparse_categorical_accuracy",
        shapes: "target (...) or (..., 1), predictions (..., classes) -> (...)",
        extra: JSONObject([("inputs", ["target", "predictions"])]),
        arguments: [ClassLabels.baseArgument]
    ) { SparseCategoricalMatches(labelBase: $0.int("label_base")) }

    static var samples: [OperationSample] {
        [OperationSample(.integers([6], below: 3), .uniform([6, 3], gap: 0.01), differentiable: false)]
    }

    var attributes: JSON {
        nonDefault(SparseCategoricalMatches.declaration, ("label_base", .int(Int64(labelBase))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        return [TensorSpec(try expectLabels(inputs[0], inputs[1], name), .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, classes) = rowsOfLastAxis(inputs[1].shape)
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: name)
        let type = inputs[1].type
        return Kernel("plain", scratchBytes: labels.scratchBytes, cannotFail: false) { arguments in
            let positions = arguments.scratch.assumingMemoryBound(to: Int32.self)
            try labels.read(arguments.inputs[0], positions)
            let y = arguments.output(0, Float.self)
            for row in 0..<rows {
                let best =
                    type == .float64
                    ? firstLargest(arguments.input(1, Double.self) + row &* classes, classes)
                    : firstLargest(arguments.input(1, Float.self) + row &* classes, classes)
                y[row] = best == Int(positions[row]) ? 1 : 0
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

/// 1 where the largest target and the largest prediction of a row are at the same place.
struct CategoricalMatches: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "categorical_matches", "1 where the largest target and the largest prediction of a row are at one place, else 0.",
        formula: "y[r] = 1 if the first largest of target[r] and of predictions[r] are at one place",
        source: "Keras 3, keras.metrics.categorical_accuracy",
        shapes: "target (..., classes), predictions (..., classes) -> (...)",
        extra: JSONObject([("inputs", ["target", "predictions"])])
    ) { _ in CategoricalMatches() }

    static var samples: [OperationSample] {
        [OperationSample(.uniform([6, 3], gap: 0.01), .uniform([6, 3], gap: 0.01), differentiable: false)]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[1], floatingTypes, name)
        guard inputs[0].shape == inputs[1].shape, inputs[0].shape.rank > 0 else {
            throw DLError(
                .shape, "[\(name)] target and predictions must have one shape. "
                    + received(("target", inputs[0]), ("predictions", inputs[1])))
        }
        return [TensorSpec(Shape(Array(inputs[0].shape.sizes.dropLast())), .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, n) = rowsOfLastAxis(inputs[1].shape)
        let types = (inputs[0].type, inputs[1].type)
        return Kernel("plain") { arguments in
            let y = arguments.output(0, Float.self)
            for row in 0..<rows {
                let wanted = firstLargest(arguments.inputs[0], types.0, row &* n, n)
                y[row] = wanted == firstLargest(arguments.inputs[1], types.1, row &* n, n) ? 1 : 0
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

/// 1 where a prediction lies on the side of the threshold that the target says.
struct BinaryMatches: DeclaredOperation {
    var threshold = 0.5

    static let declaration = Declaration<any Operation>(
        "binary_matches", "1 where prediction > threshold says what the target says, else 0.",
        formula: "y = 1 if target = (1 if predictions > threshold else 0)",
        source: "Keras 3, keras.metrics.binary_accuracy",
        shapes: "target (any shape), predictions (the same) -> the same",
        extra: JSONObject([("inputs", ["target", "predictions"])]),
        arguments: [Argument("threshold", .float(Argument.anyFloat), 0.5, "above it a prediction means true")]
    ) { BinaryMatches(threshold: $0.float("threshold")) }

    static var samples: [OperationSample] {
        [OperationSample(.integers([6], below: 2), .uniform([6], 0...1), differentiable: false)]
    }

    var attributes: JSON { nonDefault(BinaryMatches.declaration, ("threshold", .double(threshold))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[1], floatingTypes, name)
        guard inputs[0].shape == inputs[1].shape else {
            throw DLError(
                .shape, "[\(name)] target and predictions must have one shape. "
                    + received(("target", inputs[0]), ("predictions", inputs[1])))
        }
        return [TensorSpec(inputs[0].shape, .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let count = inputs[1].shape.count
        let types = (inputs[0].type, inputs[1].type)
        let threshold = self.threshold
        return Kernel("plain") { arguments in
            let y = arguments.output(0, Float.self)
            for i in 0..<count {
                let target = OptimizerUpdate.scalar(arguments.inputs[0] + i &* types.0.byteCount, types.0)
                let score = OptimizerUpdate.scalar(arguments.inputs[1] + i &* types.1.byteCount, types.1)
                y[i] = target == (score > threshold ? 1 : 0) ? 1 : 0
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

/// Position of the first largest of `n` numbers; NaN is larger than all, as in NumPy's argmax.
@inline(__always)
private func firstLargest<T: Comparable>(_ x: UnsafePointer<T>, _ n: Int) -> Int {
    var best = 0
    for j in 0..<max(n, 1) &- 1 where !(x[j &+ 1] <= x[best]) && x[best] == x[best] { best = j &+ 1 }
    return best
}

private func firstLargest(_ x: UnsafeRawPointer, _ type: ElementType, _ offset: Int, _ n: Int) -> Int {
    switch type {
    case .float32: firstLargest(x.assumingMemoryBound(to: Float.self) + offset, n)
    case .float64: firstLargest(x.assumingMemoryBound(to: Double.self) + offset, n)
    case .int32: firstLargest(x.assumingMemoryBound(to: Int32.self) + offset, n)
    case .int64: firstLargest(x.assumingMemoryBound(to: Int64.self) + offset, n)
    case .uint8, .bool: firstLargest(x.assumingMemoryBound(to: UInt8.self) + offset, n)
    }
}

/// 1 where the largest prediction of a row is the label's, float32.
package func sparseCategoricalMatches(_ target: Value, _ predictions: Value, labelBase: Int = 0) throws -> Value {
    try DLGraph.apply(SparseCategoricalMatches(labelBase: labelBase), target, predictions)
}

/// 1 where the largest target and the largest prediction of a row are at one place, float32.
package func categoricalMatches(_ target: Value, _ predictions: Value) throws -> Value {
    try DLGraph.apply(CategoricalMatches(), target, predictions)
}

/// 1 where prediction > threshold says what the target says, float32.
package func binaryMatches(_ target: Value, _ predictions: Value, threshold: Double = 0.5) throws -> Value {
    try DLGraph.apply(BinaryMatches(threshold: threshold), target, predictions)
}
