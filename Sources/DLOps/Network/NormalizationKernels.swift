import DLBase
import DLGraph
import DLKernels

/// The kernels of batch normalisation ready for the executor. Channels are the last axis.
enum NormalizationKernels {
    private static func make(_ type: ElementType) throws -> BatchNormKernel {
        guard let kernel = BatchNormKernel(type) else { throw noKernel("batch_normalization", type) }
        return kernel
    }

    /// Inputs x, gamma, beta as the form has them, residual; outputs y, mean, variance.
    static func training(
        _ form: NormalizationForm, _ x: TensorSpec, residual: Bool = false, relu: Bool = false
    ) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        let last = form.parameterNames.count + 1
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c),
            inPlace: residual ? [(0, 0), (0, last)] : [(0, 0)]
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.moments(
                runtime, inputs[0], mean: outputs[1], variance: outputs[2], rows: rows, c: c,
                scratch: arguments.scratch)
            kernel.apply(
                runtime, inputs[0], mean: outputs[1], variance: outputs[2], gamma: form.scale ? inputs[1] : nil,
                beta: form.center ? inputs[form.scale ? 2 : 1] : nil, epsilon: form.epsilon,
                residual: residual ? UnsafeRawPointer(inputs[last]) : nil, relu: relu, outputs[0], rows: rows, c: c,
                scratch: arguments.scratch)
        }
    }

    /// Inputs dy, x, mean, variance, gamma as the form has it; outputs dx, dgamma, dbeta.
    static func gradient(_ form: NormalizationForm, _ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c), inPlace: [(0, 0), (0, 1)]
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.gradient(
                runtime,
                BatchNormKernel.GradientBuffers(
                    dy: inputs[0], x: inputs[1], mean: inputs[2], variance: inputs[3],
                    gamma: form.scale ? UnsafeRawPointer(inputs[4]) : nil, dx: outputs[0], dgamma: outputs[1],
                    dbeta: outputs[2]),
                epsilon: form.epsilon, rows: rows, c: c, scratch: arguments.scratch)
        }
    }

    /// Inputs and outputs as `BatchNormalizationActivationGradient` has them.
    static func activationGradient(
        _ form: NormalizationForm, _ x: TensorSpec, residual: Bool, twoUpstreams: Bool
    ) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        let at = twoUpstreams ? 2 : 1
        let last = at + 3 + form.parameterNames.count
        let inPlace: [(output: Int, input: Int)] =
            residual ? [(3, 0)] + (twoUpstreams ? [(3, 1)] : []) + [(0, at)] : [(0, 0), (0, at)]
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c), inPlace: inPlace
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.gradient(
                runtime,
                BatchNormKernel.GradientBuffers(
                    dy: inputs[0], dy2: twoUpstreams ? UnsafeRawPointer(inputs[1]) : nil, x: inputs[at],
                    y: residual ? UnsafeRawPointer(inputs[last]) : nil, mean: inputs[at + 1], variance: inputs[at + 2],
                    gamma: form.scale ? UnsafeRawPointer(inputs[at + 3]) : nil,
                    beta: form.center ? UnsafeRawPointer(inputs[at + (form.scale ? 4 : 3)]) : nil, dx: outputs[0],
                    dgamma: outputs[1], dbeta: outputs[2], masked: residual ? outputs[3] : nil),
                epsilon: form.epsilon, relu: true, rows: rows, c: c, scratch: arguments.scratch)
        }
    }

    /// Inputs x, mean, variance, gamma, beta as the form has them; output y.
    static func inference(_ form: NormalizationForm, _ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, c) = rowsOfLastAxis(x.shape)
        guard x.shape.count > 0 else { return Kernel(implementation(x.type), inPlace: [(0, 0)]) { _ in } }
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
