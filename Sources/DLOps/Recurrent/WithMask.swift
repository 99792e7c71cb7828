import DLBase
import DLGraph
import DLTensor

/// Gives a value a mask: which of its time steps count.
struct WithMask: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "with_mask", "The same tensor, with a mask that says which of its time steps count; layers and losses heed it.",
        formula: "y = x", source: "Keras, masking",
        shapes: "x (batch, steps, ...), mask bool (batch, steps) -> x", extra: networkExtra("x", "mask")
    ) { _ in WithMask() }

    static var samples: [OperationSample] {
        [OperationSample(.uniform([2, 3, 2]), .given([1, 0, 1, 1, 1, 0], [2, 3], .bool))]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        let (x, mask) = (inputs[0].shape, inputs[1].shape)
        guard mask.rank >= 1, mask.rank <= x.rank, mask.sizes == Array(x.sizes.prefix(mask.rank)) else {
            throw DLError(
                .shape, "[with_mask] the mask must have the first axes of x. "
                    + received(("x", inputs[0]), ("mask", inputs[1])))
        }
        return [inputs[0]]
    }

    /// A view, so that x itself stays without a mask.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        _ = try outputs(for: inputs.map(\.spec))
        let mask = inputs[1].type == .bool ? inputs[1] : try notEqual(inputs[1], zerosLike(inputs[1]))
        let y = try reshape(inputs[0], inputs[0].shape.sizes)
        y.mask = mask
        return [y]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { Movement.copyAll(inputs[0].byteCount) }
}

/// x with a mask: which of its time steps count, as bool (batch, steps).
package func withMask(_ x: Value, _ mask: Value) throws -> Value { try apply(WithMask(), x, mask) }
