import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Product of matrices, or of stacks of matrices, by NumPy's rules.
struct MatMul: DeclaredOperation {
    var transposeA = false
    var transposeB = false

    static let declaration = Declaration<any Operation>(
        "matmul", "Matrix product; axes before the last two are stacks of matrices and broadcast.",
        formula: "y[..., i, j] = sum over k of a[..., i, k] b[..., k, j]",
        source: "NumPy, numpy.matmul",
        shapes: "a (..., m, k), b (..., k, n) -> (..., m, n); a vector (k,) counts as one row before and as one column "
            + "after, and that axis is left out of the result",
        extra: networkExtra("a", "b"),
        arguments: [
            Argument("transpose_a", .bool, false, "a is given as (..., k, m)"),
            Argument("transpose_b", .bool, false, "b is given as (..., n, k)"),
        ]
    ) { MatMul(transposeA: $0.bool("transpose_a"), transposeB: $0.bool("transpose_b")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 4]), .uniform([4, 5])),
            OperationSample(.uniform([4, 3]), .uniform([4, 5]), attributes: ["transpose_a": true]),
            OperationSample(.uniform([3, 4]), .uniform([5, 4]), attributes: ["transpose_b": true]),
            OperationSample(
                .uniform([4, 3]), .uniform([5, 4]), attributes: ["transpose_a": true, "transpose_b": true]),
            OperationSample(.uniform([2, 3, 4]), .uniform([4, 5])),
            OperationSample(.uniform([2, 1, 3, 4]), .uniform([3, 4, 2])),
            OperationSample(.uniform([3, 4]), .uniform([2, 5, 4]), attributes: ["transpose_b": true]),
            OperationSample(.uniform([4]), .uniform([4, 5])),
            OperationSample(.uniform([2, 3, 4]), .uniform([4])),
        ]
    }

    var attributes: JSON {
        nonDefault(
            MatMul.declaration, ("transpose_a", .bool(transposeA)), ("transpose_b", .bool(transposeB)))
    }

    /// The sizes of a product of inputs with at least two axes.
    struct Sizes {
        var batch: Shape
        var m: Int
        var n: Int
        var k: Int
    }

    func sizes(_ a: Shape, _ b: Shape) throws -> Sizes {
        let m = transposeA ? a[a.rank - 1] : a[a.rank - 2]
        let k = transposeA ? a[a.rank - 2] : a[a.rank - 1]
        let depth = transposeB ? b[b.rank - 1] : b[b.rank - 2]
        let n = transposeB ? b[b.rank - 2] : b[b.rank - 1]
        guard k == depth else {
            throw DLError(
                .shape, "[\(name)] inner sizes differ: a has \(k), b has \(depth). Received: a \(a), b \(b)"
                    + (transposeA ? ", transpose_a" : "") + (transposeB ? ", transpose_b" : ""))
        }
        let batchA = Shape(Array(a.sizes.dropLast(2)))
        let batchB = Shape(Array(b.sizes.dropLast(2)))
        let batch = batchA == batchB ? batchA : try batchA.broadcast(with: batchB, name)
        return Sizes(batch: batch, m: m, n: n, k: k)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        let (a, b) = (inputs[0].shape, inputs[1].shape)
        guard a.rank > 0, b.rank > 0 else {
            throw DLError(.shape, "[\(name)] a number has no matrix product; use multiply. Received: a \(a), b \(b)")
        }
        let type = inputs[0].type.promoted(with: inputs[1].type)
        try expectType(TensorSpec(a, type), floatingTypes, name)
        // A vector is a row before and a column after; transposing it changes nothing.
        let rowA = a.rank == 1
        let columnB = b.rank == 1
        let fullA = rowA ? Shape(transposeA ? [a[0], 1] : [1, a[0]]) : a
        let fullB = columnB ? Shape(transposeB ? [1, b[0]] : [b[0], 1]) : b
        let sizes = try sizes(fullA, fullB)
        return [
            TensorSpec(
                try Shape(checked: sizes.batch.sizes + (rowA ? [] : [sizes.m]) + (columnB ? [] : [sizes.n])), type)
        ]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 2 else { return nil }
        var (a, b) = (inputs[0], inputs[1])
        if a.type == b.type, a.shape.rank > 1, b.shape.rank > 1 { return nil }
        let specs = try outputs(for: [a.spec, b.spec])
        let type = specs[0].type
        if a.type != type { a = try cast(a, type) }
        if b.type != type { b = try cast(b, type) }
        var operation = self
        if a.shape.rank == 1 {
            a = try reshaped(a, [1, a.shape[0]])
            operation.transposeA = false
        }
        if b.shape.rank == 1 {
            b = try reshaped(b, [b.shape[0], 1])
            operation.transposeB = false
        }
        return [try reshaped(DLGraph.apply(operation, a, b), specs[0].shape)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (a, b) = (inputs[0].shape, inputs[1].shape)
        let sizes = try sizes(a, b)
        if b.rank == 2, !transposeA {
            // One matrix for the whole stack: all rows together.
            return try productKernel(
                inputs[0].type, m: sizes.batch.count &* sizes.m, n: sizes.n, k: sizes.k, transposeB: transposeB)
        }
        let batchA = Shape(Array(a.sizes.dropLast(2)))
        let batchB = Shape(Array(b.sizes.dropLast(2)))
        if batchA == batchB {
            return try productKernel(
                inputs[0].type, m: sizes.m, n: sizes.n, k: sizes.k, batch: sizes.batch.count, transposeA: transposeA,
                transposeB: transposeB)
        }
        let one = try productKernel(
            inputs[0].type, m: sizes.m, n: sizes.n, k: sizes.k, transposeA: transposeA, transposeB: transposeB)
        let bytes = inputs[0].type.byteCount
        let offsetsA = batchOffsets(batchA, sizes.batch).map { $0 &* sizes.m &* sizes.k &* bytes }
        let offsetsB = batchOffsets(batchB, sizes.batch).map { $0 &* sizes.n &* sizes.k &* bytes }
        let step = sizes.m &* sizes.n &* bytes
        var kernel = Kernel("\(one.implementation), broadcast", scratchBytes: one.scratchBytes) { arguments in
            var pointers = (arguments.inputs[0], arguments.inputs[1], arguments.outputs[0])
            for index in offsetsA.indices {
                pointers.0 = arguments.inputs[0] + offsetsA[index]
                pointers.1 = arguments.inputs[1] + offsetsB[index]
                pointers.2 = arguments.outputs[0] + index &* step
                try withUnsafePointer(to: &pointers) { tuple in
                    try tuple.withMemoryRebound(to: UnsafeMutableRawPointer.self, capacity: 3) { table in
                        try one.run(
                            KernelArguments(inputs: table, outputs: table + 2, scratch: arguments.scratch))
                    }
                }
            }
        }
        kernel.notes = one.notes
        kernel.notes.flops *= Double(offsetsA.count)
        return kernel
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (a, b) = (context.inputs[0], context.inputs[1])
        let g = context.upstream
        var gradients: [Value?] = [nil, nil]
        if context.needs[0] {
            let full =
                transposeA
                ? try matmul(b, g, transposeA: transposeB, transposeB: true)
                : try matmul(g, b, transposeB: !transposeB)
            gradients[0] = try summed(full, to: a.shape)
        }
        if context.needs[1] {
            if b.shape.rank == 2, a.shape.rank > 2, !transposeA {
                let rows = a.shape.sizes.dropLast().reduce(1, &*)
                let (a, g) = (try reshaped(a, [rows, a.shape.last]), try reshaped(g, [rows, g.shape.last]))
                gradients[1] =
                    transposeB ? try matmul(g, a, transposeA: true) : try matmul(a, g, transposeA: true)
            } else {
                let full =
                    transposeB
                    ? try matmul(g, a, transposeA: true, transposeB: transposeA)
                    : try matmul(a, g, transposeA: !transposeA)
                gradients[1] = try summed(full, to: b.shape)
            }
        }
        return gradients
    }

    /// Sum over the axes that were stretched.
    private func summed(_ x: Value, to shape: Shape) throws -> Value {
        if x.shape == shape { return x }
        let extra = x.shape.rank - shape.rank
        let axes = (0..<x.shape.rank).filter { $0 < extra || (shape[$0 - extra] == 1 && x.shape[$0] != 1) }
        return try reshaped(try DLOps.sum(x, axes: axes), shape)
    }
}

/// For each position in a stack of shape `full`, the position in the stack of shape `own` that is stretched to it.
private func batchOffsets(_ own: Shape, _ full: Shape) -> [Int] {
    let extra = full.rank - own.rank
    let strides = own.strides
    return (0..<full.count).map { index in
        var rest = index
        var offset = 0
        for axis in stride(from: full.rank - 1, through: 0, by: -1) {
            let position = rest % full[axis]
            rest /= full[axis]
            if axis >= extra, own[axis - extra] != 1 { offset &+= position &* strides[axis - extra] }
        }
        return offset
    }
}

/// Matrix product of a (..., m, k) and b (..., k, n).
package func matmul(_ a: Value, _ b: Value, transposeA: Bool = false, transposeB: Bool = false) throws -> Value {
    try DLGraph.apply(MatMul(transposeA: transposeA, transposeB: transposeB), a, b)
}
