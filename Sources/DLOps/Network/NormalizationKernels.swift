import DLBase
import DLGraph
import DLKernels

/// The kernels of batch normalisation ready for the executor. Channels are the last axis.
enum NormalizationKernels {
    private static func make(_ type: ElementType) throws -> BatchNormKernel {
        guard let kernel = BatchNormKernel(type) else { throw noKernel("batch_normalization", type) }
        return kernel
    }

    /// Inputs x, gamma, beta as the form has them; outputs y, mean, variance.
    static func training(_ form: NormalizationForm, _ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c), inPlace: [(0, 0)]
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.moments(
                runtime, inputs[0], mean: outputs[1], variance: outputs[2], rows: rows, c: c,
                scratch: arguments.scratch)
            kernel.apply(
                runtime, inputs[0], mean: outputs[1], variance: outputs[2], gamma: form.scale ? inputs[1] : nil,
                beta: form.center ? inputs[form.scale ? 2 : 1] : nil, epsilon: form.epsilon, outputs[0], rows: rows, c: c,
                scratch: arguments.scratch)
        }
    }

    /// Inputs dy, x, mean, variance, gamma as the form has it; outputs dx, dgamma, dbeta.
    static func gradient(_ form: NormalizationForm, _ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c), inPlace: [(0, 0)]
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.gradient(
                runtime, dy: inputs[0], x: inputs[1], mean: inputs[2], variance: inputs[3],
                gamma: form.scale ? inputs[4] : nil, epsilon: form.epsilon, dx: outputs[0], dgamma: outputs[1],
                dbeta: outputs[2], rows: rows, c: c, scratch: arguments.scratch)
        }
    }

    /// Inputs x, mean, variance, gamma, beta as the form has them; output y.
    static func inference(_ form: NormalizationForm, _ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c), inPlace: [(0, 0)]
        ) { arguments in
            let inputs = arguments.inputs
            kernel.apply(
                runtime, inputs[0], mean: inputs[1], variance: inputs[2], gamma: form.scale ? inputs[3] : nil,
                beta: form.center ? inputs[form.scale ? 4 : 3] : nil, epsilon: form.epsilon, arguments.outputs[0],
                rows: rows, c: c, scratch: arguments.scratch)
        }
    }
}
