import CDLKernels

/// What follows the sums of an output element before it is written.
package enum KernelActivation: Int32, Sendable {
    case none = 0
    case relu = 1
}

/// y = activation(convolution(x, w) + bias).
///
/// Buffers hold what the problem says, need no alignment, and must not overlap. `scratch` is 64-byte aligned and has
/// `scratchBytes` bytes; nothing in it needs to be kept between calls.
package struct Convolution2DForward: Sendable {
    package let problem: Convolution2DProblem
    private let selection: Convolution2DSelection

    package init(_ problem: Convolution2DProblem, level: ProcessorLevel = .current) {
        self.problem = problem
        selection = Convolution2DSelection(
            problem, direction: "forward", list: Convolution2DList.forward, table: Kernels.convolution(for: level))
    }

    package var choice: KernelChoice { selection.choice }
    package var scratchBytes: Int { selection.scratchBytes }
    /// Bytes of w in the form the chosen kernel works with, which it makes in every call unless it is handed to it; 0 where there is
    /// no such form.
    package var packedBytes: Int { selection.packedBytes }

    /// Makes that form in `packed`, 64-byte aligned. It stays good as long as w does not change.
    package func pack(w: UnsafePointer<Float>, into packed: UnsafeMutableRawPointer, runtime: UnsafePointer<dl_runtime>) {
        if packedBytes == 0 { return }
        selection.pack(w, packed.assumingMemoryBound(to: Float.self), runtime)
    }

    /// `packed` is what `pack` made of this w, or nil. It is left alone where `packedBytes` is 0.
    package func run(
        x: UnsafePointer<Float>, w: UnsafePointer<Float>, bias: UnsafePointer<Float>? = nil,
        activation: KernelActivation = .none, y: UnsafeMutablePointer<Float>, packed: UnsafeRawPointer? = nil,
        scratch: UnsafeMutableRawPointer?, runtime: UnsafePointer<dl_runtime>
    ) {
        let done = selection.run(
            dl_convolution_arguments(
                x: x, w: w, dy: nil, bias: bias, result: y, relu: activation.rawValue,
                packed: packedBytes == 0 ? nil : packed?.assumingMemoryBound(to: Float.self), scratch: scratch,
                runtime: runtime))
        if !done {
            Convolution2DReference<Float>(problem).forward(x: x, w: w, bias: bias, relu: activation == .relu, y: y)
        }
    }

    /// In float64, by the reference: for checks, and where a user asks for it.
    package func run(
        x: UnsafePointer<Double>, w: UnsafePointer<Double>, bias: UnsafePointer<Double>? = nil,
        activation: KernelActivation = .none, y: UnsafeMutablePointer<Double>
    ) {
        Convolution2DReference<Double>(problem).forward(x: x, w: w, bias: bias, relu: activation == .relu, y: y)
    }
}

/// dx, the gradient of sum(y * dy) with respect to x. Buffers as for `Convolution2DForward`.
package struct Convolution2DBackwardData: Sendable {
    package let problem: Convolution2DProblem
    private let selection: Convolution2DSelection

    package init(_ problem: Convolution2DProblem, level: ProcessorLevel = .current) {
        self.problem = problem
        selection = Convolution2DSelection(
            problem, direction: "backward data", list: Convolution2DList.backwardData,
            table: Kernels.convolution(for: level))
    }

    package var choice: KernelChoice { selection.choice }
    package var scratchBytes: Int { selection.scratchBytes }

    package func run(
        dy: UnsafePointer<Float>, w: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutableRawPointer?, runtime: UnsafePointer<dl_runtime>
    ) {
        let done = selection.run(
            dl_convolution_arguments(
                x: nil, w: w, dy: dy, bias: nil, result: dx, relu: 0, packed: nil, scratch: scratch, runtime: runtime))
        if !done { Convolution2DReference<Float>(problem).backwardData(dy: dy, w: w, dx: dx) }
    }

    package func run(dy: UnsafePointer<Double>, w: UnsafePointer<Double>, dx: UnsafeMutablePointer<Double>) {
        Convolution2DReference<Double>(problem).backwardData(dy: dy, w: w, dx: dx)
    }
}

/// dw, the gradient of sum(y * dy) with respect to w. Buffers as for `Convolution2DForward`.
package struct Convolution2DBackwardWeights: Sendable {
    package let problem: Convolution2DProblem
    private let selection: Convolution2DSelection

    package init(_ problem: Convolution2DProblem, level: ProcessorLevel = .current) {
        self.problem = problem
        selection = Convolution2DSelection(
            problem, direction: "backward weights", list: Convolution2DList.backwardWeights,
            table: Kernels.convolution(for: level))
    }

    package var choice: KernelChoice { selection.choice }
    package var scratchBytes: Int { selection.scratchBytes }

    package func run(
        x: UnsafePointer<Float>, dy: UnsafePointer<Float>, dw: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutableRawPointer?, runtime: UnsafePointer<dl_runtime>
    ) {
        let done = selection.run(
            dl_convolution_arguments(
                x: x, w: nil, dy: dy, bias: nil, result: dw, relu: 0, packed: nil, scratch: scratch, runtime: runtime))
        if !done { Convolution2DReference<Float>(problem).backwardWeights(x: x, dy: dy, dw: dw) }
    }

    package func run(x: UnsafePointer<Double>, dy: UnsafePointer<Double>, dw: UnsafeMutablePointer<Double>) {
        Convolution2DReference<Double>(problem).backwardWeights(x: x, dy: dy, dw: dw)
    }
}
