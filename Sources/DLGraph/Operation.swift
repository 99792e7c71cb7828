import DLBase
import DLTensor

/// What is known of a tensor before it has contents.
package struct TensorSpec: Hashable, Sendable, CustomStringConvertible {
    package var shape: Shape
    package var type: ElementType

    package init(_ shape: Shape, _ type: ElementType) {
        self.shape = shape
        self.type = type
    }

    package var byteCount: Int { shape.count &* type.byteCount }
    package var description: String { "\(type.name) \(shape)" }
}

/// A computation on tensors, declared once: what comes out for what goes in, how it is computed, how it is differentiated.
///
/// A value of the type is one use of the operation with its attributes. It is a pure function of its inputs and
/// attributes (randomness comes in through a seed input), so equal uses may be merged and unused ones dropped.
package protocol Operation: Sendable {
    /// The name in the operation table, in C and in scripts: `conv2d`.
    var name: String { get }

    /// Everything that distinguishes this use from another of the same operation.
    var attributes: JSON { get }

    /// The shape rule. Throws a `DLError` that begins with the operation's name in brackets and ends with what came in.
    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec]

    /// The forward computation for inputs and outputs of these shapes; everything that can be decided ahead is decided here.
    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel

    /// Gradients for the inputs, written as operations on values; nil where an input has none.
    func gradient(_ context: GradientContext) throws -> [Value?]

    /// False where no gradient ever goes through, whatever the inputs are.
    var passesGradients: Bool { get }

    /// The operation only gives its input another shape: the output is the same memory and no kernel runs.
    var isView: Bool { get }

    /// The results where this use is made of other operations on the same inputs, nil where it has a kernel of its own.
    func composed(_ inputs: [Value]) throws -> [Value]?

    /// Called after the operation has been applied, to tell later operations what only this one knows of its outputs.
    func annotate(_ outputs: [Value], inputs: [Value])
}

extension Operation {
    package var attributes: JSON { [:] }
    package var isView: Bool { false }
    package var passesGradients: Bool { true }
    package func composed(_ inputs: [Value]) throws -> [Value]? { nil }
    package func annotate(_ outputs: [Value], inputs: [Value]) {}

    /// An operation without a rule of its own says so by name instead of giving zeros.
    package func gradient(_ context: GradientContext) throws -> [Value?] {
        throw DLError(.unsupported, "[\(name)] this operation has no gradient")
    }
}

/// What `Operation.gradient` is given.
package struct GradientContext {
    package let inputs: [Value]
    package let outputs: [Value]
    /// The gradient of the target for each output; nil where the target does not depend on it.
    package let outputGradients: [Value?]
    /// Whether anybody wants the gradient of this input; work for others may be left out.
    package let needs: [Bool]

    /// The gradient for the only output that matters to most operations.
    package var upstream: Value { outputGradients[0]! }

    package init(inputs: [Value], outputs: [Value], outputGradients: [Value?], needs: [Bool]) {
        self.inputs = inputs
        self.outputs = outputs
        self.outputGradients = outputGradients
        self.needs = needs
    }
}

/// What a kernel can say about itself, for people.
package struct KernelNotes: Sendable {
    /// The problem in the kernels' own words: `conv2d n4 ih56 iw56 ...`.
    package var problem = ""
    /// The implementations that come before the chosen one, and why they do not run this problem.
    package var refusals: [(implementation: String, reason: String)] = []
    /// Floating-point operations of one run by the direct algorithm; 0 where nobody counted.
    package var flops = 0.0

    package init(problem: String = "", refusals: [(implementation: String, reason: String)] = [], flops: Double = 0) {
        self.problem = problem
        self.refusals = refusals
        self.flops = flops
    }
}

/// A forward computation made ready for fixed shapes. Running it allocates nothing.
package struct Kernel {
    /// Which implementation runs, for people: `direct avx512 6x64`.
    package var implementation: String
    package var notes = KernelNotes()
    /// Working memory it wants while it runs, 64-byte aligned.
    package var scratchBytes: Int
    /// Pairs (output, input): the output may be written over the input's memory, element by element.
    package var inPlace: [(output: Int, input: Int)]
    /// False if the kernel inspects data and may throw, for example at a label out of range.
    package var cannotFail: Bool
    package var run: (KernelArguments) throws -> Void

    package init(
        _ implementation: String = "", scratchBytes: Int = 0, inPlace: [(output: Int, input: Int)] = [],
        cannotFail: Bool = true, run: @escaping (KernelArguments) throws -> Void
    ) {
        self.implementation = implementation
        self.scratchBytes = scratchBytes
        self.inPlace = inPlace
        self.cannotFail = cannotFail
        self.run = run
    }
}

/// The memory a kernel works on: its inputs, then its outputs, and its scratch.
package struct KernelArguments {
    package let inputs: UnsafePointer<UnsafeMutableRawPointer>
    package let outputs: UnsafePointer<UnsafeMutableRawPointer>
    package let scratch: UnsafeMutableRawPointer

    package init(
        inputs: UnsafePointer<UnsafeMutableRawPointer>, outputs: UnsafePointer<UnsafeMutableRawPointer>,
        scratch: UnsafeMutableRawPointer
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.scratch = scratch
    }

    @inline(__always)
    package func input<T>(_ index: Int, _: T.Type = T.self) -> UnsafePointer<T> {
        UnsafePointer(inputs[index].assumingMemoryBound(to: T.self))
    }

    @inline(__always)
    package func output<T>(_ index: Int, _: T.Type = T.self) -> UnsafeMutablePointer<T> {
        outputs[index].assumingMemoryBound(to: T.self)
    }
}
