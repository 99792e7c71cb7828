import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Stretches axes of size 1 and adds axes in front.
struct BroadcastToOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "broadcast_to", "Repeats elements along axes of size 1 and along new axes in front.",
        shapes: "a shape that broadcasts to `shape`; `shape` comes out", extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("shape", .shape, nil, "The shape wanted.")],
        make: { BroadcastToOperation($0.shape("shape").map { $0 ?? -1 }) })

    static let samples = [
        OperationSample(.uniform([3, 1]), attributes: ["shape": [2, 3, 4]]),
        OperationSample(.uniform([]), attributes: ["shape": [5]]),
    ]

    let sizes: [Int]
    init(_ sizes: [Int]) { self.sizes = sizes }

    var attributes: JSON { ["shape": .array(sizes.map { .int(Int64($0)) })] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let x = inputs[0].shape
        let skipped = sizes.count - x.rank
        let fits = skipped >= 0 && x.sizes.indices.allSatisfy { x[$0] == 1 || x[$0] == sizes[$0 + skipped] }
        guard fits else {
            throw DLError(
                .shape, "[broadcast_to] the shape cannot be stretched to \(Shape.text(sizes)): aligned at the last axis, "
                    + "sizes must be equal or 1. Received: \(x)")
        }
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    /// Nothing is repeated where the number of elements stays.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        let shape = try outputs(for: inputs.map(\.spec))[0].shape
        if inputs[0].shape == shape { return inputs }
        return inputs[0].shape.count == shape.count && shape.count > 0 ? [try reshape(inputs[0], sizes)] : nil
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (x, y) = (inputs[0].shape, outputs[0].shape)
        let strides = x.strides
        let source = y.sizes.indices.map { axis -> Int in
            let own = axis - (y.rank - x.rank)
            return own < 0 || x[own] == 1 ? 0 : strides[own]
        }
        return Movement.strided(
            StridedCopy(sizes: y.sizes, source: source, target: y.strides, type: inputs[0].type))
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try sumToShape(context.upstream, context.inputs[0].shape)]
    }
}

package func broadcastTo(_ x: Value, _ shape: Shape) throws -> Value {
    x.shape == shape && !x.isDeferred ? x : try apply(BroadcastToOperation(shape.sizes), x)
}

extension Value {
    var isDeferred: Bool {
        if case .deferred = kind { return true }
        return false
    }
}

/// Undoes broadcasting: sums over the axes along which a tensor of `shape` was stretched to that of `x`.
package func sumToShape(_ x: Value, _ shape: Shape) throws -> Value {
    if x.shape == shape { return x }
    let added = x.shape.rank - shape.rank
    let axes = x.shape.sizes.indices.filter { $0 < added || (shape[$0 - added] == 1 && x.shape[$0] != 1) }
    let total = axes.isEmpty ? x : try sum(x, axes: axes, keepDims: false)
    return total.shape == shape ? total : try reshape(total, shape.sizes)
}
