import DLBase
import DLGraph
import DLKernels

/// An optimizer's update whose gradient is a product x^T dy, computed block by block and used while it is in the cache.
///
/// The gradient of a large dense layer's kernel is as large as the kernel: written and read again it would be two of the
/// seven passes over that much memory in a step. Only the passes make this; its inputs are the update's, with x and dy in
/// place of the gradient.
struct ProductUpdate: Operation {
    let update: any Operation
    /// Sizes of x (k, m) and dy (k, n).
    let k: Int
    let m: Int
    let n: Int

    var name: String { "\(update.name)_of_product" }
    var attributes: JSON { update.attributes }

    /// The inputs as the update sees them, for so many rows of the weight.
    private func updateInputs(_ inputs: [TensorSpec], rows: Int) -> [TensorSpec] {
        ([inputs[0], inputs[0]] + inputs[3...]).map { spec in
            spec.shape == inputs[0].shape ? TensorSpec([rows, n], spec.type) : spec
        }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count > 3, inputs[0].shape == [m, n], inputs[1].shape == [k, m], inputs[2].shape == [k, n] else {
            throw DLError(
                .shape, "[\(name)] the weight must be (\(m), \(n)), x (\(k), \(m)) and dy (\(k), \(n)). Received: "
                    + inputs.map(\.shape.description).joined(separator: ", "))
        }
        return try update.outputs(for: updateInputs(inputs, rows: m))
    }

    /// Bytes of the gradient at one time: half of a small second-level cache, beside the weight and its slots.
    private static let blockBytes = 1 << 16
    /// Each has scratch memory of its own.
    private static let pieces = 8

    /// Rows of the gradient that are computed together.
    private var blockRows: Int { min(m, max(24, Self.blockBytes / (4 * max(n, 1)) / 24 * 24)) }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let rows = blockRows
        let blocks = (m + rows - 1) / max(rows, 1)
        let (last, k, n, m) = (m - (blocks - 1) * rows, k, n, m)
        let block = try BlockUpdate(self, inputs, rows: rows)
        let tail = last == rows ? block : try BlockUpdate(self, inputs, rows: last)
        let gradientBytes = align(rows * n * 4)
        let xBytes = align(rows * k * 4)
        let scratch = gradientBytes + xBytes + max(block.product.scratchBytes, tail.product.scratchBytes)
            + align(max(block.update.scratchBytes, tail.update.scratchBytes))
        let stride = align(scratch)
        let pieces = min(Self.pieces, blocks)
        let slots = outputs.count - 1
        let (inputCount, outputCount) = (inputs.count, outputs.count)
        // The update's inputs, its outputs; two for the gradient's place.
        let pointerCount = inputCount - 1 + outputCount
        var kernel = Kernel(
            block.update.implementation, scratchBytes: stride * pieces + 8 * pointerCount * pieces,
            inPlace: [(0, 0)] + (0..<slots).map { (output: $0 + 1, input: $0 + 3) }
        ) { arguments in
            nonisolated(unsafe) let arguments = arguments
            let tables = (arguments.scratch + stride * pieces)
                .assumingMemoryBound(to: UnsafeMutableRawPointer.self)
            nonisolated(unsafe) let allTables = tables
            ThreadPool.shared.forEach(pieces: pieces) { piece in
                let memory = arguments.scratch + stride * piece
                let gradient = memory.assumingMemoryBound(to: Float.self)
                let xBlock = (memory + gradientBytes).assumingMemoryBound(to: Float.self)
                let productScratch = memory + gradientBytes + xBytes
                let table = allTables + pointerCount * piece
                let x = arguments.input(1, Float.self)
                for index in blocks * piece / pieces..<blocks * (piece + 1) / pieces {
                    let first = index * rows
                    let part = index == blocks - 1 ? tail : block
                    let count = index == blocks - 1 ? last : rows
                    for row in 0..<k { (xBlock + row * count).update(from: x + row * m + first, count: count) }
                    part.product.run(
                        a: xBlock, b: arguments.input(2, Float.self), c: gradient, scratch: productScratch,
                        runtime: ThreadPool.shared.runtime)
                    let offset = first * n * 4
                    table[0] = arguments.inputs[0] + offset
                    table[1] = UnsafeMutableRawPointer(gradient)
                    for slot in 0..<slots { table[2 + slot] = arguments.inputs[3 + slot] + offset }
                    for scalar in 3 + slots..<inputCount { table[scalar - 1] = arguments.inputs[scalar] }
                    for output in 0..<outputCount {
                        table[inputCount - 1 + output] = arguments.outputs[output] + offset
                    }
                    // An update cannot fail: the pass looks only at those that say so.
                    try? part.update.run(
                        KernelArguments(
                            inputs: UnsafePointer(table), outputs: UnsafePointer(table + inputCount - 1),
                            scratch: productScratch))
                }
            }
        }
        kernel.notes.flops = 2 * Double(m) * Double(n) * Double(k)
        return kernel
    }

    /// The kernels for one block of rows.
    private struct BlockUpdate: @unchecked Sendable {
        let product: DLKernels.MatMul
        let update: Kernel

        init(_ operation: ProductUpdate, _ inputs: [TensorSpec], rows: Int) throws {
            product = DLKernels.MatMul(
                try MatMulProblem(m: rows, n: operation.n, k: operation.k, transposeA: true))
            let specs = operation.updateInputs(inputs, rows: rows)
            update = try operation.update.kernel(
                inputs: specs, outputs: try operation.update.outputs(for: specs))
        }
    }

    private func align(_ bytes: Int) -> Int { (bytes + 63) & ~63 }
}
