import CDLKernels
import DLBase

/// A recurrent layer over whole sequences, forward and backward through time.
///
/// The products that are the same for all steps are one matrix product each; what goes from step to step runs in blocks of
/// sequences, each from the first step to the last on one thread.
package struct RecurrentKernel: @unchecked Sendable {
    package let problem: RecurrentProblem
    package let type: ElementType
    package let choice: KernelChoice
    private let table: UnsafePointer<dl_recurrent_kernels>?
    private let cProblem: dl_recurrent_problem
    private let input, toInput, toKernel, toRecurrent, toReset: MatMul
    private let bias: ColumnSums

    /// nil for types that are not floating point.
    package init?(_ problem: RecurrentProblem, _ type: ElementType, level: ProcessorLevel = .current) throws(DLError) {
        guard type.isFloatingPoint else { return nil }
        self.problem = problem
        self.type = type
        cProblem = problem.cProblem
        let (rows, n, units, features) = (problem.rows, problem.columns, problem.units, problem.features)
        input = MatMul(try MatMulProblem(m: rows, n: n, k: features), level: level)
        toInput = MatMul(try MatMulProblem(m: rows, n: features, k: n, transposeB: true), level: level)
        toKernel = MatMul(try MatMulProblem(m: features, n: n, k: rows, transposeA: true), level: level)
        toRecurrent = MatMul(try MatMulProblem(m: units, n: n, k: rows, transposeA: true), level: level)
        toReset = MatMul(try MatMulProblem(m: units, n: units, k: rows, transposeA: true), level: level)
        bias = ColumnSums(rows: rows, columns: n, level: level)
        let refusal = ReferenceSwitch.isOn
            ? "the reference is forced" : type != .float32 ? "not float32" : problem.rows == 0 ? "nothing to compute" : nil
        table = refusal == nil ? Kernels.recurrent(for: level) : nil
        choice = KernelChoice(
            problem: "\(problem)", implementation: table == nil ? "reference" : "blocks of sequences",
            refusals: table != nil
                ? [] : [.init(implementation: "blocks of sequences", reason: refusal ?? "the processor has less than AVX2 with FMA")])
    }

    private var isAfter: Bool { problem.kind == .gru }
    private var isBefore: Bool { problem.kind == .gruBefore }

    // MARK: Scratch

    private struct Layout {
        var bytes = 0
        mutating func take(_ size: Int) -> Int {
            defer { bytes += (size + 63) / 64 * 64 }
            return bytes
        }
    }

    private var loopForward: Int {
        guard let table else { return 8 * (problem.columns + 3 * problem.units) }
        return withUnsafePointer(to: cProblem) { Int(table.pointee.forward_scratch($0)) }
    }

    private var loopBackward: Int {
        guard let table else { return 8 * (problem.columns + 5 * problem.units) }
        return withUnsafePointer(to: cProblem) { Int(table.pointee.backward_scratch($0)) }
    }

    package var forwardScratchBytes: Int { max(input.scratchBytes, loopForward) }

    private struct Backward {
        var before = 0, dgates = 0, dinner = 0, dreset = 0, reset = 0, square = 0, work = 0, bytes = 0
    }

    private var backward: Backward {
        let size = type.byteCount
        let (rows, n, units) = (problem.rows, problem.columns, problem.units)
        var layout = Layout()
        var parts = Backward()
        parts.before = layout.take(rows * units * size)
        parts.dgates = layout.take(rows * n * size)
        parts.dinner = layout.take(isAfter ? rows * n * size : 0)
        parts.dreset = layout.take(isBefore ? rows * units * size : 0)
        parts.reset = layout.take(isBefore ? rows * units * size : 0)
        parts.square = layout.take(isBefore ? units * units * size : 0)
        let products = [toInput, toKernel, toRecurrent, toReset].map(\.scratchBytes) + [bias.scratchBytes]
        parts.work = layout.take(products.reduce(loopBackward) { max($0, $1) })
        parts.bytes = layout.bytes
        return parts
    }

    package var backwardScratchBytes: Int { backward.bytes }

    // MARK: Forward

    package func forward(_ b: RecurrentBuffers, scratch: UnsafeMutableRawPointer, runtime: Runtime) {
        guard problem.batch > 0 else { return }
        multiply(input, b.x, b.kernel, b.gates, bias: b.bias, scratch, runtime)
        let second = isAfter ? b.bias.map { $0 + problem.columns * type.byteCount } : nil
        guard let table else {
            if type == .float32 {
                RecurrentReference<Float>(problem).forward(b, recurrentBias: second, scratch.of(Double.self))
            } else {
                RecurrentReference<Double>(problem).forward(b, recurrentBias: second, scratch.of(Double.self))
            }
            return
        }
        var arguments = dl_recurrent_arguments()
        arguments.recurrent = b.recurrent.of(Float.self)
        arguments.recurrent_bias = second?.of(Float.self)
        arguments.h0 = b.h0.of(Float.self)
        arguments.c0 = b.c0?.of(Float.self)
        arguments.mask = b.mask?.of(UInt8.self)
        arguments.dropout = b.dropout?.of(Float.self)
        arguments.gates = b.gates.of(Float.self)
        arguments.extra = b.extra?.of(Float.self)
        arguments.sequence = b.sequence.of(Float.self)
        arguments.last = b.last?.of(Float.self)
        arguments.last_cell = b.lastCell?.of(Float.self)
        arguments.scratch = scratch
        arguments.runtime = runtime
        withUnsafePointer(to: cProblem) { problem in withUnsafePointer(to: arguments) { table.pointee.forward(problem, $0) } }
    }

    private func multiply(
        _ product: MatMul, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: UnsafeMutableRawPointer,
        bias: UnsafeRawPointer? = nil, _ scratch: UnsafeMutableRawPointer, _ runtime: Runtime
    ) {
        if type == .float32 {
            product.run(
                a: a.of(Float.self), b: b.of(Float.self), bias: bias?.of(Float.self), c: c.of(Float.self), scratch: scratch,
                runtime: runtime)
        } else {
            product.run(a: a.of(Double.self), b: b.of(Double.self), bias: bias?.of(Double.self), c: c.of(Double.self))
        }
    }

    // MARK: Backward

    /// Writes the gradients that the buffers have room for; dh0, dkernel and drecurrent always.
    package func backward(_ b: RecurrentBuffers, scratch: UnsafeMutableRawPointer, runtime: Runtime) {
        let parts = backward
        let (n, units) = (problem.columns, problem.units)
        let dgates = scratch + parts.dgates
        let dinner = isAfter ? scratch + parts.dinner : nil
        let work = scratch + parts.work
        through(b, parts, scratch, runtime)
        let steps = (before: scratch + parts.before, inner: dinner ?? dgates)
        if let dx = b.dx { multiply(toInput, dgates, b.kernel, dx, work, runtime) }
        if let dkernel = b.dkernel { multiply(toKernel, b.x, dgates, dkernel, work, runtime) }
        if let drecurrent = b.drecurrent {
            multiply(toRecurrent, steps.before, steps.inner, drecurrent, work, runtime)
            if isBefore {
                let square = scratch + parts.square
                multiply(toReset, scratch + parts.reset, scratch + parts.dreset, square, work, runtime)
                let size = type.byteCount
                for row in 0..<units {
                    (drecurrent + (row * n + 2 * units) * size)
                        .copyMemory(from: square + row * units * size, byteCount: units * size)
                }
            }
        }
        if let dbias = b.dbias {
            sumRows(dgates, dbias, work, runtime)
            if let dinner { sumRows(dinner, dbias + n * type.byteCount, work, runtime) }
        }
    }

    private func sumRows(
        _ from: UnsafeRawPointer, _ to: UnsafeMutableRawPointer, _ scratch: UnsafeMutableRawPointer, _ runtime: Runtime
    ) {
        if type == .float32 {
            bias.run(from.of(Float.self), sums: to.of(Float.self), scratch: scratch, runtime: runtime)
        } else {
            bias.run(from.of(Double.self), sums: to.of(Double.self))
        }
    }

    private func through(
        _ b: RecurrentBuffers, _ parts: Backward, _ scratch: UnsafeMutableRawPointer, _ runtime: Runtime
    ) {
        guard let table else {
            let steps = RecurrentSteps(
                before: scratch + parts.before, dgates: scratch + parts.dgates, dinner: isAfter ? scratch + parts.dinner : nil,
                dreset: isBefore ? scratch + parts.dreset : nil, reset: isBefore ? scratch + parts.reset : nil)
            let work = (scratch + parts.work).of(Double.self)
            if type == .float32 {
                RecurrentReference<Float>(problem).backward(b, steps, work)
            } else {
                RecurrentReference<Double>(problem).backward(b, steps, work)
            }
            return
        }
        var arguments = dl_recurrent_arguments()
        arguments.recurrent = b.recurrent.of(Float.self)
        arguments.h0 = b.h0.of(Float.self)
        arguments.c0 = b.c0?.of(Float.self)
        arguments.mask = b.mask?.of(UInt8.self)
        arguments.dropout = b.dropout?.of(Float.self)
        arguments.gates = b.gates.of(Float.self)
        arguments.extra = b.extra?.of(Float.self)
        arguments.sequence = b.sequence.of(Float.self)
        arguments.dsequence = b.dsequence?.of(Float.self)
        arguments.dlast = b.dlast?.of(Float.self)
        arguments.dlast_cell = b.dlastCell?.of(Float.self)
        arguments.before = (scratch + parts.before).of(Float.self)
        arguments.dgates = (scratch + parts.dgates).of(Float.self)
        if isAfter { arguments.dinner = (scratch + parts.dinner).of(Float.self) }
        if isBefore {
            arguments.dreset = (scratch + parts.dreset).of(Float.self)
            arguments.reset = (scratch + parts.reset).of(Float.self)
        }
        arguments.dh0 = b.dh0?.of(Float.self)
        arguments.dc0 = b.dc0?.of(Float.self)
        arguments.scratch = scratch + parts.work
        arguments.runtime = runtime
        withUnsafePointer(to: cProblem) { problem in withUnsafePointer(to: arguments) { table.pointee.backward(problem, $0) } }
    }
}

/// What going back through time leaves for the products over all steps.
struct RecurrentSteps {
    let before, dgates: UnsafeMutableRawPointer
    let dinner, dreset, reset: UnsafeMutableRawPointer?
}
