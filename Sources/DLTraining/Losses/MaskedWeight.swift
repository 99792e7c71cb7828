import DLBase
import DLGraph
import DLOps
import DLTensor

/// Sample weights with masked time steps set to 0; the weights as they are where the prediction has no mask.
///
/// `scaled` makes the mean over all steps a mean over those that count: each weighs all / counted.
/// Source: Keras, keras.losses, masks.
func maskedWeight(_ weight: Value?, _ mask: Value?, _ type: ElementType, scaled: Bool) throws -> Value? {
    guard let mask else { return weight }
    var factor = try cast(mask, type)
    if scaled {
        let all = try constant(Double(mask.shape.count), like: factor)
        // With no step left the sum is 0, and so is the loss.
        let counted = try maximum(sum(factor), constant(1, like: factor))
        factor = try multiply(factor, divide(all, counted))
    }
    guard var weight else { return factor }
    weight = try cast(weight, type)
    if weight.shape.rank == factor.shape.rank + 1, weight.shape.last == 1 {
        weight = try reshape(weight, Array(weight.shape.sizes.dropLast()))
    }
    if weight.shape.rank < factor.shape.rank {
        let missing = [Int](repeating: 1, count: factor.shape.rank - weight.shape.rank)
        weight = try reshape(weight, weight.shape.sizes + missing)
    }
    return try multiply(weight, factor)
}

/// What counts by both masks, where there are both.
func joined(_ a: Value?, _ b: Value?) throws -> Value? {
    guard let a, let b else { return a ?? b }
    guard a.shape == b.shape else { return b }
    return try logicalAnd(a, b)
}
