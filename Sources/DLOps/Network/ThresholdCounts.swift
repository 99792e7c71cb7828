import DLBase
import DLGraph
import DLTensor

/// True and false positives and negatives of predictions at each of many thresholds.
struct ThresholdCounts: DeclaredOperation {
    var thresholds: [Double] = [0.5]

    static let declaration = Declaration<any Operation>(
        "threshold_counts", "Weights of true positives, false positives, true negatives and false negatives at thresholds.",
        formula: "for each column and threshold, of the rows: sum(w) where target and prediction > threshold; not target and "
            + "prediction > threshold; neither; target only",
        source: "Keras 3, keras.metrics.TruePositives and others",
        shapes: "targets, predictions, weights (rows, columns) -> float64 (4, columns, thresholds)",
        extra: networkExtra("targets", "predictions", "weights", internal: true),
        arguments: [Argument("thresholds", .list(.float(Argument.anyFloat)), [0.5], "what predictions have to exceed")]
    ) { ThresholdCounts(thresholds: ($0["thresholds"].arrayValue ?? []).compactMap(\.doubleValue)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([3, 2], 0...1), .uniform([3, 2], 0...1), .uniform([3, 2], 0...1),
                attributes: ["thresholds": [0.25, 0.75, 0.5]], differentiable: false)
        ]
    }

    var attributes: JSON { nonDefault(ThresholdCounts.declaration, ("thresholds", .array(thresholds.map { .double($0) }))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try expectSameFloat(inputs, name)
        guard inputs[0].shape.rank == 2, inputs[1].shape == inputs[0].shape, inputs[2].shape == inputs[0].shape else {
            throw DLError(
                .shape, "[\(name)] targets, predictions and weights must be (rows, columns) alike. Received: "
                    + inputs.map(\.shape.description).joined(separator: ", "))
        }
        return [TensorSpec(try Shape(checked: [4, inputs[0].shape[1], thresholds.count]), .float64)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, columns) = (inputs[0].shape[0], inputs[0].shape[1])
        let order = thresholds.indices.sorted { thresholds[$0] < thresholds[$1] }
        let sorted = order.map { thresholds[$0] }
        let isDouble = inputs[0].type == .float64
        // For each column and class, the weights of predictions above exactly k thresholds.
        let buckets = 2 * columns * (sorted.count + 1)
        return Kernel("reference", scratchBytes: 8 * buckets + 64) { arguments in
            let weights = arguments.scratch.assumingMemoryBound(to: Double.self)
            weights.update(repeating: 0, count: buckets)
            let counts = arguments.output(0, Double.self)
            sorted.withUnsafeBufferPointer { sorted in
                if isDouble {
                    Self.collect(arguments, Double.self, rows, columns, sorted, weights)
                } else {
                    Self.collect(arguments, Float.self, rows, columns, sorted, weights)
                }
            }
            let count = order.count
            let plane = columns * count
            order.withUnsafeBufferPointer { order in
                for column in 0..<columns {
                    for isPositive in 0..<2 {
                        let bucket = weights + (column * 2 + isPositive) * (count + 1)
                        var total = 0.0
                        for k in 0...count { total += bucket[k] }
                        var above = 0.0
                        for k in stride(from: count, to: 0, by: -1) {
                            above += bucket[k]
                            let place = column * count + order[k - 1]
                            // Of positives those above are true ones and those below false negatives.
                            counts[(isPositive == 1 ? 0 : 1) * plane + place] = above
                            counts[(isPositive == 1 ? 3 : 2) * plane + place] = total - above
                        }
                    }
                }
            }
        }
    }

    @inline(__always)
    private static func collect<T: BinaryFloatingPoint>(
        _ arguments: KernelArguments, _: T.Type, _ rows: Int, _ columns: Int, _ thresholds: UnsafeBufferPointer<Double>,
        _ weights: UnsafeMutablePointer<Double>
    ) {
        let targets = arguments.input(0, T.self), predictions = arguments.input(1, T.self), scales = arguments.input(2, T.self)
        for row in 0..<rows {
            for column in 0..<columns {
                let place = row &* columns &+ column
                let prediction = predictions[place]
                // How many thresholds are below it; NaN is above none. Compared in its own type, as Keras does.
                var (low, high) = (0, thresholds.count)
                while low < high {
                    let middle = (low &+ high) / 2
                    if prediction > T(thresholds[middle]) { low = middle &+ 1 } else { high = middle }
                }
                let isPositive = targets[place] != 0 ? 1 : 0
                weights[(column &* 2 &+ isPositive) &* (thresholds.count &+ 1) &+ low] += Double(scales[place])
            }
        }
    }
}

/// True positives, false positives, true negatives and false negatives, (4, columns, thresholds).
package func thresholdCounts(_ targets: Value, _ predictions: Value, _ weights: Value, thresholds: [Double]) throws -> Value {
    try DLGraph.apply(ThresholdCounts(thresholds: thresholds), targets, predictions, weights)
}
