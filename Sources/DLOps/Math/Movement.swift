import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Kernels that only move elements.
enum Movement {
    static func copyAll(_ byteCount: Int) -> Kernel {
        Kernel("copy") { $0.outputs[0].copyMemory(from: $0.inputs[0], byteCount: byteCount) }
    }

    static func strided(_ copy: StridedCopy) -> Kernel {
        let runtime = ThreadPool.shared.runtime
        return Kernel("strided") { copy(runtime, $0.inputs[0], $0.outputs[0]) }
    }

    /// Sets every element to one number; whole numbers saturate.
    static func fill(_ number: Double, _ type: ElementType, _ target: UnsafeMutableRawPointer, _ count: Int) {
        Fill.run(target, count: count, byteCount: type.byteCount, element: Fill.bits(number, type))
    }
}

/// An operation that is made of others, whatever its inputs: it needs a shape rule, but neither a kernel nor a gradient.
protocol ComposedOperation: DeclaredOperation {
    func compose(_ inputs: [Value]) throws -> [Value]
}

extension ComposedOperation {
    func composed(_ inputs: [Value]) throws -> [Value]? {
        // The shape rule also finds what is wrong with the inputs.
        _ = try outputs(for: inputs.map(\.spec))
        return try compose(inputs)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations and has no kernel")
    }
}
