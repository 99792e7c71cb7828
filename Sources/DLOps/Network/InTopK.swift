import DLBase
import DLGraph
import DLTensor

/// Whether the score of the label is among the k largest of its row.
struct InTopK: DeclaredOperation {
    var k: Int
    var labelBase = 0

    static let declaration = Declaration<any Operation>(
        "in_top_k", "Whether each row's label is among its k largest predictions; ties count as among them.",
        formula: "y[r] = (number of predictions[r, j] > predictions[r, target[r]]) < k; NaN counts as the smallest",
        source: "Keras 3, keras.ops.in_top_k",
        shapes: "targets (...), predictions (..., classes) -> (...) bool",
        extra: JSONObject([("inputs", ["targets", "predictions"])]),
        arguments: [
            Argument("k", .int(Argument.positive), nil, "how many of the largest count"), ClassLabels.baseArgument,
        ]
    ) { InTopK(k: $0.int("k"), labelBase: $0.int("label_base")) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .integers([6], below: 5), .uniform([6, 5]), attributes: ["k": 2], differentiable: false)
        ]
    }

    var attributes: JSON {
        nonDefault(InTopK.declaration, ("k", .int(Int64(k))), ("label_base", .int(Int64(labelBase))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        return [TensorSpec(try expectLabels(inputs[0], inputs[1], name), .bool)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, classes) = rowsOfLastAxis(inputs[1].shape)
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: name)
        let type = inputs[1].type
        let k = self.k
        return Kernel("plain", scratchBytes: labels.scratchBytes, cannotFail: false) { arguments in
            let positions = arguments.scratch.assumingMemoryBound(to: Int32.self)
            try labels.read(arguments.inputs[0], positions)
            if type == .float64 {
                inTopK(arguments.input(1, Double.self), positions, arguments.output(0), rows, classes, k)
            } else {
                inTopK(arguments.input(1, Float.self), positions, arguments.output(0), rows, classes, k)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

private func inTopK<T: BinaryFloatingPoint>(
    _ x: UnsafePointer<T>, _ labels: UnsafePointer<Int32>, _ y: UnsafeMutablePointer<UInt8>, _ rows: Int, _ n: Int,
    _ k: Int
) {
    for row in 0..<rows {
        let scores = x + row &* n
        let own = scores[Int(labels[row])]
        let score = own.isNaN ? -T.infinity : own
        var larger = 0
        for j in 0..<n where scores[j] > score { larger &+= 1 }
        y[row] = larger < k ? 1 : 0
    }
}

/// Whether each row's label is among its k largest predictions.
package func inTopK(_ targets: Value, _ predictions: Value, k: Int, labelBase: Int = 0) throws -> Value {
    try DLGraph.apply(InTopK(k: k, labelBase: labelBase), targets, predictions)
}
