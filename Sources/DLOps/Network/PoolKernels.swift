import DLBase
import DLGraph
import DLKernels

/// The pooling kernels ready for the executor.
enum PoolKernels {
    private static func make(_ problem: Pool2D, _ type: ElementType) throws -> PoolKernel {
        guard let kernel = PoolKernel(problem, type) else { throw noKernel("pooling", type) }
        return kernel
    }

    static func maximum(_ problem: Pool2D, _ type: ElementType) throws -> Kernel {
        let kernel = try make(problem, type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type)) { kernel.maximum(runtime, $0.inputs[0], $0.outputs[0]) }
    }

    static func maximumGradient(_ problem: Pool2D, _ type: ElementType) throws -> Kernel {
        let kernel = try make(problem, type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type)) {
            kernel.maximumGradient(
                runtime, x: $0.inputs[0], y: $0.inputs[1], dy: $0.inputs[2], dx: $0.outputs[0])
        }
    }

    static func average(_ problem: Pool2D, _ type: ElementType) throws -> Kernel {
        let kernel = try make(problem, type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type)) { kernel.average(runtime, $0.inputs[0], $0.outputs[0]) }
    }

    static func averageGradient(_ problem: Pool2D, _ type: ElementType) throws -> Kernel {
        let kernel = try make(problem, type)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(type)) {
            kernel.averageGradient(runtime, dy: $0.inputs[0], dx: $0.outputs[0])
        }
    }

    /// Second derivatives alone need this, so it is a plain loop.
    static func gather(_ problem: Pool2D, _ type: ElementType) -> Kernel {
        Kernel("plain") { arguments in
            if type == .float64 {
                gather(problem, arguments.input(0, Double.self), arguments.input(1), arguments.input(2), arguments.output(0))
            } else {
                gather(problem, arguments.input(0, Float.self), arguments.input(1), arguments.input(2), arguments.output(0))
            }
        }
    }

    /// z = u where x first reaches the maximum y of the window.
    private static func gather<T: BinaryFloatingPoint>(
        _ p: Pool2D, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>, _ u: UnsafePointer<T>, _ z: UnsafeMutablePointer<T>
    ) {
        for output in 0..<p.outputCount {
            let channel = output % p.c
            let column = output / p.c % p.ow
            let row = output / p.c / p.ow % p.oh
            let image = output / p.c / p.ow / p.oh
            z[output] = 0
            search: for i in max(0, row &* p.sh &- p.padTop)..<min(p.ih, row &* p.sh &- p.padTop &+ p.kh) {
                for j in max(0, column &* p.sw &- p.padLeft)..<min(p.iw, column &* p.sw &- p.padLeft &+ p.kw) {
                    let at = ((image &* p.ih &+ i) &* p.iw &+ j) &* p.c &+ channel
                    // Where the maximum is NaN the first element takes it, as in the gradient.
                    if !(x[at] < y[output]) {
                        z[output] = u[at]
                        break search
                    }
                }
            }
        }
    }
}

/// What people see as the implementation of kernels of which there are two.
func implementation(_ type: ElementType) -> String {
    type == .float32 && !ReferenceSwitch.isOn && Kernels.math != nil ? ProcessorLevel.current.name : "reference"
}

/// Shape rules let no other type pass.
func noKernel(_ what: String, _ type: ElementType) -> DLError {
    DLError(.dtype, "[\(what)] there is no kernel for \(type.name)")
}
