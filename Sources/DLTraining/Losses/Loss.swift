import DLBase
import DLGraph
import DLOps
import DLTensor

/// How far predictions are from the truth: one number for each sample, reduced to one for the batch.
package final class Loss: @unchecked Sendable {
    /// How the numbers of the samples become one, as Keras names it.
    package enum Reduction: String, CaseIterable, Sendable {
        case sumOverBatchSize = "sum_over_batch_size"
        case sum
        case mean
        case meanWithSampleWeight = "mean_with_sample_weight"
        case none
    }

    package let name: String
    package let reduction: Reduction
    /// {"class_name", "config"} to make it again; nil for a function of the user's own.
    package let serialized: JSON?
    private var function: (Value, Value) throws -> Value
    /// The function for labels that count from another number, where labels matter.
    private let rebase: ((Int) -> (Value, Value) throws -> Value)?

    package init(
        name: String, reduction: Reduction = .sumOverBatchSize, serialized: JSON? = nil,
        rebase: ((Int) -> (Value, Value) throws -> Value)? = nil, function: @escaping (Value, Value) throws -> Value
    ) {
        self.name = name
        self.reduction = reduction
        self.serialized = serialized
        self.function = function
        self.rebase = rebase
    }

    /// Lets labels count from another number than the loss was made for.
    package func setLabelBase(_ base: Int) { if let rebase { function = rebase(base) } }

    /// The loss of each sample.
    package func perSample(_ truth: Value, _ prediction: Value) throws -> Value {
        do {
            return try function(truth, prediction)
        } catch let error as DLError where !error.message.hasPrefix("[") {
            throw error.within("loss '\(name)'")
        }
    }

    /// The reduced loss; a scalar unless the reduction is none.
    package func callAsFunction(_ truth: Value, _ prediction: Value, weight: Value? = nil) throws -> Value {
        var losses = try perSample(truth, prediction)
        var fitted: Value?
        let isMean = reduction == .sumOverBatchSize || reduction == .mean
        if let weight = try maskedWeight(weight, joined(prediction.mask, losses.mask), losses.type, scaled: isMean) {
            let w = try fit(weight, to: losses, name)
            losses = try multiply(losses, w)
            fitted = w
        }
        switch reduction {
        case .none: return losses
        case .sum: return try sum(losses)
        case .sumOverBatchSize, .mean: return try mean(losses)
        case .meanWithSampleWeight:
            guard let fitted else { return try mean(losses) }
            let total = try sum(broadcastTo(fitted, losses.shape))
            return try divide(sum(losses), maximum(total, constant(1e-30, like: total)))
        }
    }
}

/// A weight for each sample, in the shape of what it multiplies.
package func fit(_ weight: Value, to values: Value, _ owner: String) throws -> Value {
    var weight = try cast(weight, values.type)
    if weight.shape.rank == values.shape.rank + 1, weight.shape.last == 1 {
        weight = try reshape(weight, Array(weight.shape.sizes.dropLast()))
    }
    if weight.shape.rank < values.shape.rank {
        let missing = [Int](repeating: 1, count: values.shape.rank - weight.shape.rank)
        weight = try reshape(weight, weight.shape.sizes + missing)
    }
    guard let joint = try? weight.shape.broadcast(with: values.shape, owner), joint == values.shape else {
        throw DLError(
            .shape, "[\(owner)] sample weights do not fit. Received: weights \(weight.shape), losses \(values.shape)")
    }
    return weight
}

/// Truth and prediction with the same number of axes, where one has a last axis of size 1 more than the other.
package func sameRank(_ truth: Value, _ prediction: Value) throws -> (Value, Value) {
    let (a, b) = (truth.shape, prediction.shape)
    if a.rank == b.rank + 1, a.last == 1 {
        return b.rank == 1
            ? (truth, try reshape(prediction, b.sizes + [1]))
            : (try reshape(truth, Array(a.sizes.dropLast())), prediction)
    }
    if b.rank == a.rank + 1, b.last == 1 {
        return a.rank == 1
            ? (try reshape(truth, a.sizes + [1]), prediction)
            : (truth, try reshape(prediction, Array(b.sizes.dropLast())))
    }
    return (truth, prediction)
}

/// Truth as numbers of the prediction's type, in its shape.
func aligned(_ truth: Value, _ prediction: Value, _ owner: String) throws -> (Value, Value) {
    let (t, p) = try sameRank(try cast(truth, prediction.type), prediction)
    guard t.shape == p.shape else {
        throw DLError(
            .shape, "[\(owner)] targets and predictions must have the same shape. "
                + "Received: targets \(truth.shape), predictions \(prediction.shape)")
    }
    return (t, p)
}
