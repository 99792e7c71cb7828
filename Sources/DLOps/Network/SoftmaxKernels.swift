import DLBase
import DLGraph
import DLKernels

/// The softmax and cross-entropy kernels ready for the executor. Rows are the last axis.
enum SoftmaxKernels {
    private static func make(_ type: ElementType) throws -> SoftmaxKernel {
        guard let kernel = SoftmaxKernel(type) else { throw noKernel("softmax", type) }
        return kernel
    }

    static func softmax(_ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(x.type), inPlace: [(0, 0)]) {
            kernel.softmax(runtime, $0.inputs[0], $0.outputs[0], rows: rows, n: n)
        }
    }

    static func logSoftmax(_ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(x.type), inPlace: [(0, 0)]) {
            kernel.logSoftmax(runtime, $0.inputs[0], $0.outputs[0], rows: rows, n: n)
        }
    }

    static func softmaxGradient(_ dy: TensorSpec) throws -> Kernel {
        let kernel = try make(dy.type)
        let (rows, n) = rowsOfLastAxis(dy.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(dy.type), inPlace: [(0, 0), (0, 1)]) {
            kernel.softmaxGradient(runtime, dy: $0.inputs[0], y: $0.inputs[1], dx: $0.outputs[0], rows: rows, n: n)
        }
    }

    static func logSoftmaxGradient(_ dy: TensorSpec) throws -> Kernel {
        let kernel = try make(dy.type)
        let (rows, n) = rowsOfLastAxis(dy.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(dy.type), inPlace: [(0, 0), (0, 1)]) {
            kernel.logSoftmaxGradient(runtime, dy: $0.inputs[0], y: $0.inputs[1], dx: $0.outputs[0], rows: rows, n: n)
        }
    }

    /// Inputs labels, scores; output one loss for each row.
    static func sparseCrossEntropy(_ labels: ClassLabels, _ type: ElementType) throws -> Kernel {
        let kernel = try make(type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type), scratchBytes: labels.scratchBytes, cannotFail: false) { arguments in
            let positions = try labels.read(arguments)
            kernel.sparseCrossEntropy(
                runtime, logits: arguments.inputs[1], labels: positions, loss: arguments.outputs[0],
                probabilities: nil, rows: labels.rows, n: labels.classes)
        }
    }

    /// Inputs labels, scores, gradient of the loss; output the gradient of the scores.
    static func sparseCrossEntropyGradient(_ labels: ClassLabels, _ type: ElementType) throws -> Kernel {
        let kernel = try make(type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(type), scratchBytes: labels.scratchBytes, inPlace: [(0, 1)], cannotFail: false
        ) { arguments in
            let positions = try labels.read(arguments)
            let dx = arguments.outputs[0]
            kernel.softmax(runtime, arguments.inputs[1], dx, rows: labels.rows, n: labels.classes)
            kernel.sparseCrossEntropyGradient(
                runtime, probabilities: dx, labels: positions, scale: arguments.inputs[2], dx: dx, rows: labels.rows,
                n: labels.classes)
        }
    }

    /// Inputs targets, scores; output one loss for each row.
    static func crossEntropy(_ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(x.type)) {
            kernel.crossEntropy(
                runtime, logits: $0.inputs[1], targets: $0.inputs[0], loss: $0.outputs[0], probabilities: nil,
                rows: rows, n: n)
        }
    }

    /// Inputs targets, scores, gradient of the loss; output the gradient of the scores.
    static func crossEntropyGradient(_ x: TensorSpec) throws -> Kernel {
        let kernel = try make(x.type)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(x.type), inPlace: [(0, 1)]) {
            kernel.softmax(runtime, $0.inputs[1], $0.outputs[0], rows: rows, n: n)
            kernel.crossEntropyGradient(
                runtime, probabilities: $0.outputs[0], targets: $0.inputs[0], scale: $0.inputs[2], dx: $0.outputs[0],
                rows: rows, n: n)
        }
    }
}

extension ClassLabels {
    /// Checks input 0 and makes it int32 in scratch, counted from 0.
    func read(_ arguments: KernelArguments) throws -> Labels {
        let positions = arguments.scratch.assumingMemoryBound(to: Int32.self)
        try read(arguments.inputs[0], positions)
        guard let labels = Labels(UnsafeRawPointer(positions), .int32) else { throw noKernel(operation, .int32) }
        return labels
    }
}
