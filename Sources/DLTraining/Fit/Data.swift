import DLBase
import DLLayers
import DLOps
import DLTensor

/// All samples to learn from: one tensor for each input and output, the first axis the sample.
package struct TrainingData {
    package var x: [Tensor]
    package var y: [Tensor]
    /// A weight for each sample of each output, or none.
    package var weights: [Tensor?]

    package init(x: [Tensor], y: [Tensor] = [], weights: [Tensor?] = []) {
        self.x = x
        self.y = y
        self.weights = weights
    }

    package var count: Int { x.first?.shape.sizes.first ?? 0 }

    /// The same number of samples everywhere, and some.
    package func checked(_ method: String, _ model: Model, needsTargets: Bool) throws -> TrainingData {
        guard !x.isEmpty else { throw DLError(.argument, "[\(method)] no input tensors were given") }
        if let expected = model.inputCount, x.count != expected {
            throw DLError(
                .argument, "[\(method)] model '\(model.name)' takes \(expected) input\(expected == 1 ? "" : "s"). "
                    + "Received: \(x.count)")
        }
        let outputs = model.outputs.count
        if needsTargets, outputs > 0, y.count != outputs {
            throw DLError(
                .argument, "[\(method)] model '\(model.name)' has \(outputs) output\(outputs == 1 ? "" : "s"). "
                    + "Received: \(y.count) targets")
        }
        let all = x.map { ("input", $0) } + y.map { ("target", $0) } + weights.compactMap { $0.map { ("sample_weight", $0) } }
        for (kind, tensor) in all where tensor.shape.rank == 0 {
            throw DLError(.shape, "[\(method)] the first axis of each tensor is the sample. Received: \(kind) \(tensor.shape)")
        }
        let counts = Set(all.map { $0.1.shape[0] })
        guard counts.count == 1 else {
            throw DLError(
                .shape, "[\(method)] inputs, targets and sample weights must have the same number of samples. "
                    + "Received: " + all.map { "\($0.0) \($0.1.shape)" }.joined(separator: ", "))
        }
        guard count > 0 else {
            throw DLError(.argument, "[\(method)] there are no samples. Received: input \(x[0].shape)")
        }
        var data = self
        if weights.count == 1, y.count > 1 { data.weights = y.map { _ in weights[0] } }
        if data.weights.count > 1, data.weights.count != y.count {
            throw DLError(
                .argument, "[\(method)] sample_weight is one tensor, or one for each output. Received: \(weights.count)")
        }
        return data
    }

    /// The first samples to train with, the last ones, a share of all, to validate with.
    func split(_ share: Double) throws -> (TrainingData, TrainingData) {
        guard share > 0, share < 1 else {
            throw DLError(.argument, "[fit] validation_split must be between 0 and 1. Received: \(Text.shortest(share))")
        }
        let border = Int(Double(count) * (1 - share))
        guard border > 0, border < count else {
            throw DLError(
                .argument, "[fit] validation_split \(Text.shortest(share)) of \(count) samples leaves none to train or validate with")
        }
        func part(_ range: Range<Int>) throws -> TrainingData {
            TrainingData(
                x: try x.map { try $0.rows(range) }, y: try y.map { try $0.rows(range) },
                weights: try weights.map { try $0?.rows(range) })
        }
        return (try part(0..<border), try part(border..<count))
    }

    /// Multiplies the sample weights by the weight of each sample's class.
    func weighted(byClass classWeights: [Double], labelBase: Int) throws -> TrainingData {
        guard y.count == 1, let labels = y.first else {
            throw DLError(.argument, "[fit] class_weight is for models with one output. Received: \(y.count) targets")
        }
        let oneHot = labels.shape.rank > 1 && labels.shape.last > 1
        guard oneHot || labels.count == count else {
            throw DLError(.shape, "[fit] class_weight needs one label for each sample. Received: targets \(labels.shape)")
        }
        let classes = oneHot ? labels.shape.last : 0
        if oneHot, labels.shape.rank != 2 {
            throw DLError(.shape, "[fit] class_weight needs one label for each sample. Received: targets \(labels.shape)")
        }
        let result = try Tensor(uninitialized: [count], .float32)
        let numbers = result.elements(Float.self)
        for sample in 0..<count {
            var label = 0
            if oneHot {
                var best = -Double.infinity
                for index in 0..<classes {
                    let value = labels.number(at: sample &* classes &+ index)
                    if value > best { (best, label) = (value, index) }
                }
            } else {
                let number = labels.number(at: sample) - Double(labelBase)
                guard number >= 0, number < Double(classWeights.count) else {
                    throw DLError(
                        .range, "[fit] label \(Text.shortest(labels.number(at: sample))) at row \(sample) has no class weight; "
                            + "\(classWeights.count) weights are for labels \(labelBase)..\(classWeights.count - 1 + labelBase)")
                }
                label = Int(number)
            }
            guard label < classWeights.count else {
                throw DLError(.range, "[fit] class \(label) has no class weight. Received: \(classWeights.count) weights")
            }
            numbers[sample] = Float(classWeights[label])
        }
        var data = self
        if let given = weights.first ?? nil {
            guard given.count == count else {
                throw DLError(.shape, "[fit] sample_weight and class_weight together need one weight for each sample. "
                    + "Received: sample_weight \(given.shape)")
            }
            for sample in 0..<count { numbers[sample] *= Float(given.number(at: sample)) }
        }
        data.weights = [result]
        return data
    }
}

/// Cuts data into batches, in a given order, into memory that is used again.
final class Batcher {
    private let data: TrainingData
    private let batchSize: Int
    private var full: Batch?
    private var rest: Batch?

    init(_ data: TrainingData, batchSize: Int) {
        self.data = data
        self.batchSize = batchSize
    }

    var steps: Int { (data.count + batchSize - 1) / batchSize }

    /// Batch `step`; with an order the samples are copied together, without one they are where they were.
    func batch(_ step: Int, order: [Int]?) throws -> Batch {
        let start = step &* batchSize
        let range = start..<min(start &+ batchSize, data.count)
        guard let order else {
            return Batch(
                x: try data.x.map { try $0.rows(range) }, y: try data.y.map { try $0.rows(range) },
                weights: try data.weights.map { try $0?.rows(range) })
        }
        let target = try memory(range.count)
        try order.withUnsafeBufferPointer { order in
            let indices = UnsafeBufferPointer(rebasing: order[range])
            for (source, result) in zip(data.x, target.x) { try gatherRows(source, indices, into: result) }
            for (source, result) in zip(data.y, target.y) { try gatherRows(source, indices, into: result) }
            for (source, result) in zip(data.weights, target.weights) {
                if let source, let result { try gatherRows(source, indices, into: result) }
            }
        }
        return target
    }

    private func memory(_ count: Int) throws -> Batch {
        if count == batchSize, let full { return full }
        if count != batchSize, let rest, rest.size == count { return rest }
        func block(_ tensor: Tensor) throws -> Tensor {
            try Tensor(uninitialized: Shape([count] + tensor.shape.sizes.dropFirst()), tensor.type)
        }
        let batch = Batch(
            x: try data.x.map(block), y: try data.y.map(block), weights: try data.weights.map { try $0.map(block) })
        if count == batchSize { full = batch } else { rest = batch }
        return batch
    }
}
