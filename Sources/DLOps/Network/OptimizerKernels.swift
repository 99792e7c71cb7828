import DLBase
import DLGraph
import DLKernels

/// The optimizers' kernels ready for the executor. The learning rate and the step are read when they run.
enum OptimizerKernels {
    private static func make(_ type: ElementType) throws -> OptimizerKernel {
        guard let kernel = OptimizerKernel(type) else { throw noKernel("optimizer", type) }
        return kernel
    }

    /// Input and output of a slot: 0 the weight, then the slots behind the gradient.
    @inline(__always)
    private static func state(_ arguments: KernelArguments, _ index: Int) -> OptimizerKernel.State {
        OptimizerKernel.State(arguments.inputs[index == 0 ? 0 : index + 1], arguments.outputs[index])
    }

    static func sgd(_ inputs: [TensorSpec], weightDecay: Double) throws -> Kernel {
        let kernel = try make(inputs[0].type)
        let n = inputs[0].shape.count
        let rateType = inputs[2].type
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(inputs[0].type), inPlace: OptimizerUpdate.inPlace(slots: 0)) { arguments in
            let rate = OptimizerUpdate.scalar(arguments.inputs[2], rateType)
            kernel.sgd(
                runtime, w: state(arguments, 0), g: arguments.inputs[1], n: n, rate: rate, decay: rate * weightDecay)
        }
    }

    static func momentum(
        _ inputs: [TensorSpec], momentum: Double, nesterov: Bool, weightDecay: Double
    ) throws -> Kernel {
        let kernel = try make(inputs[0].type)
        let n = inputs[0].shape.count
        let rateType = inputs[3].type
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(inputs[0].type), inPlace: OptimizerUpdate.inPlace(slots: 1)) { arguments in
            let rate = OptimizerUpdate.scalar(arguments.inputs[3], rateType)
            kernel.momentum(
                runtime, w: state(arguments, 0), g: arguments.inputs[1], m: state(arguments, 1), n: n, rate: rate,
                momentum: momentum, nesterov: nesterov, decay: rate * weightDecay)
        }
    }

    static func rmsprop(_ update: RMSpropUpdate, _ inputs: [TensorSpec]) throws -> Kernel {
        let kernel = try make(inputs[0].type)
        let n = inputs[0].shape.count
        let last = inputs.count - 1
        let rateType = inputs[last].type
        let moves = update.momentum > 0
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(inputs[0].type), inPlace: OptimizerUpdate.inPlace(slots: last - 2)
        ) { arguments in
            let rate = OptimizerUpdate.scalar(arguments.inputs[last], rateType)
            kernel.rmsprop(
                runtime, w: state(arguments, 0), g: arguments.inputs[1], v: state(arguments, 1),
                mean: update.centered ? state(arguments, 2) : nil,
                velocity: moves ? state(arguments, update.centered ? 3 : 2) : nil, n: n,
                OptimizerKernel.RMSprop(
                    rate: rate, rho: update.rho, momentum: update.momentum, epsilon: update.epsilon),
                decay: rate * update.weightDecay)
        }
    }

    static func adam(_ update: AdamUpdate, _ inputs: [TensorSpec]) throws -> Kernel {
        let kernel = try make(inputs[0].type)
        let n = inputs[0].shape.count
        let last = inputs.count - 1
        let rateType = inputs[last - 1].type
        let stepType = inputs[last].type
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(inputs[0].type), inPlace: OptimizerUpdate.inPlace(slots: last - 3)
        ) { arguments in
            let rate = OptimizerUpdate.scalar(arguments.inputs[last - 1], rateType)
            let iterations = OptimizerUpdate.scalar(arguments.inputs[last], stepType)
            // A whole number that Double holds exactly; NaN counts as the first step.
            let step = iterations > 0 ? Int(min(iterations, 0x1p52)) + 1 : 1
            kernel.adam(
                runtime, w: state(arguments, 0), g: arguments.inputs[1], m: state(arguments, 1),
                v: state(arguments, 2), vMax: update.amsgrad ? state(arguments, 3) : nil, n: n,
                OptimizerKernel.Adam(
                    rate: rate, beta1: update.beta1, beta2: update.beta2, epsilon: update.epsilon, step: step),
                decay: rate * update.weightDecay)
        }
    }
}
