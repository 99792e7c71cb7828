import DLBase
import DLGraph
import DLKernels

/// c = activation(a b + bias) ready for the executor; inputs a, b and perhaps bias.
func productKernel(
    _ type: ElementType, m: Int, n: Int, k: Int, batch: Int = 1, transposeA: Bool = false, transposeB: Bool = false,
    hasBias: Bool = false, activation: FusedActivation = .none
) throws -> Kernel {
    let product = DLKernels.MatMul(
        try MatMulProblem(m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, batch: batch))
    if type == .float64 {
        return Kernel("reference") { arguments in
            product.run(
                a: arguments.input(0, Double.self), b: arguments.input(1), bias: hasBias ? arguments.input(2) : nil,
                activation: activation.kernel, c: arguments.output(0))
        }
    }
    let runtime = ThreadPool.shared.runtime
    return Kernel(product.choice, flops: product.problem.flops, scratchBytes: product.scratchBytes) { arguments in
        product.run(
            a: arguments.input(0, Float.self), b: arguments.input(1), bias: hasBias ? arguments.input(2) : nil,
            activation: activation.kernel, c: arguments.output(0), scratch: arguments.scratch, runtime: runtime)
    }
}

/// y = x + bias in each row.
func biasAddKernel(_ type: ElementType, rows: Int, columns: Int) throws -> Kernel {
    guard let kernel = BinaryKernel(.add, type),
        let plan = BroadcastPlan([[rows, columns], [columns]], to: [rows, columns])
    else { throw noKernel("bias_add", type) }
    let runtime = ThreadPool.shared.runtime
    return Kernel(implementation(type), inPlace: [(0, 0)]) {
        kernel(runtime, plan, $0.inputs[0], $0.inputs[1], $0.outputs[0])
    }
}

/// Kernels that work on all elements of their inputs.
enum ReductionKernels {
    static func globalNorm(_ inputs: [TensorSpec]) throws -> Kernel {
        let type = inputs[0].type
        let kernels = try inputs.map { input in
            guard let kernel = ReductionKernel(.sumOfSquares, type, shape: input.shape.sizes) else {
                throw noKernel("global_norm", type)
            }
            return kernel
        }
        let runtime = ThreadPool.shared.runtime
        let bytes = kernels.reduce(0) { max($0, $1.scratchByteCount) }
        return Kernel(implementation(type), scratchBytes: bytes) { arguments in
            let y = arguments.outputs[0]
            var sum = 0.0
            for (index, kernel) in kernels.enumerated() {
                kernel(runtime, arguments.inputs[index], y, scratch: arguments.scratch)
                sum += OptimizerUpdate.scalar(y, type)
            }
            if type == .float64 {
                y.storeBytes(of: sum.squareRoot(), as: Double.self)
            } else {
                y.storeBytes(of: Float(sum.squareRoot()), as: Float.self)
            }
        }
    }
}

enum RandomKernels {
    /// Inputs x and the seed's two numbers.
    static func dropout(_ x: TensorSpec, rate: Double) -> Kernel {
        let count = x.shape.count
        let rate = Float(rate)
        let runtime = ThreadPool.shared.runtime
        let type = x.type
        return Kernel(implementation(type), inPlace: [(0, 0)]) { arguments in
            let y = arguments.outputs[0]
            if rate >= 1 {
                // No number below 1 reaches the rate, and 1 / (1 - rate) is infinite.
                y.initializeMemory(as: UInt8.self, repeating: 0, count: count &* type.byteCount)
                return
            }
            let seed = arguments.input(1, Int64.self)
            let kernel = RandomKernel(
                seed: UInt64(bitPattern: seed[0]), offset: UInt64(bitPattern: seed[1]))
            if type == .float64 {
                kernel.dropout(
                    runtime, arguments.input(0, Double.self), arguments.output(0), mask: nil, count: count, rate: rate)
            } else {
                kernel.dropout(
                    runtime, arguments.input(0, Float.self), arguments.output(0), mask: nil, count: count, rate: rate)
            }
        }
    }
}
