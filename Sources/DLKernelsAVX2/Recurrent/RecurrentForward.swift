import CDLKernels

/// The packed recurrent kernel, one factor for each gate.
private struct ForwardFactors {
    let zero: UnsafeMutablePointer<Int>
    let first, second, third, fourth: StepFactor

    init(_ s: RecurrentSizes, _ cursor: inout ScratchCursor) {
        zero = cursor.integers(1)
        first = StepFactor(depth: s.units, columns: s.units, &cursor)
        let gates = s.n / s.units
        second = gates > 1 ? StepFactor(depth: s.units, columns: s.units, &cursor) : first
        third = gates > 2 ? StepFactor(depth: s.units, columns: s.units, &cursor) : first
        fourth = gates > 3 ? StepFactor(depth: s.units, columns: s.units, &cursor) : first
    }

    @inline(__always)
    subscript(_ gate: Int) -> StepFactor { gate == 0 ? first : gate == 1 ? second : gate == 2 ? third : fourth }
}

private struct ForwardParts {
    let work: StepWorkspace
    /// The state of the block before and after a step, and what enters the product where that differs.
    let now, next, entering: UnsafeMutablePointer<Float>
    /// One panel of each gate, and one more.
    let panel: UnsafeMutablePointer<Float>

    init(_ s: RecurrentSizes, _ cursor: inout ScratchCursor) {
        work = StepWorkspace(&cursor)
        now = cursor.floats(recurrentRows &* s.units)
        next = cursor.floats(recurrentRows &* s.units)
        entering = cursor.floats(recurrentRows &* s.units)
        panel = cursor.floats(5 &* recurrentRows &* recurrentWidth)
    }

    @inline(__always)
    func gate(_ g: Int) -> UnsafeMutablePointer<Float> { panel + g &* recurrentRows &* recurrentWidth }
}

private func forwardBytes(_ s: RecurrentSizes) -> (factors: Int, block: Int) {
    var shared = ScratchCursor(nil)
    _ = ForwardFactors(s, &shared)
    var block = ScratchCursor(nil)
    _ = ForwardParts(s, &block)
    return (shared.bytes, block.bytes)
}

func recurrentForwardScratch(_ problem: UnsafePointer<dl_recurrent_problem>?) -> Int64 {
    let s = RecurrentSizes(problem.unsafelyUnwrapped)
    let bytes = forwardBytes(s)
    return Int64(bytes.factors &+ s.pieces &* bytes.block)
}

func recurrentForward(_ problem: UnsafePointer<dl_recurrent_problem>?, _ call: UnsafePointer<dl_recurrent_arguments>?) {
    let s = RecurrentSizes(problem.unsafelyUnwrapped)
    let a = call.unsafelyUnwrapped.pointee
    let runtime = a.runtime.unsafelyUnwrapped
    let bytes = forwardBytes(s)
    var cursor = ScratchCursor(a.scratch)
    let factors = ForwardFactors(s, &cursor)
    factors.zero[0] = 0
    for gate in 0..<s.n / s.units {
        factors[gate].pack(
            a.recurrent.unsafelyUnwrapped + gate &* s.units, stride: s.n, transposed: false, zero: factors.zero, runtime)
    }
    var job = ForwardJob(
        s: s, a: a, factors: factors, blocks: a.scratch.unsafelyUnwrapped + bytes.factors, blockBytes: bytes.block)
    inParallel(runtime, pieces: s.pieces, &job) { job, piece in
        job.unsafelyUnwrapped.assumingMemoryBound(to: ForwardJob.self).pointee.run(Int(piece))
    }
}

private struct ForwardJob {
    let s: RecurrentSizes
    let a: dl_recurrent_arguments
    let factors: ForwardFactors
    let blocks: UnsafeMutableRawPointer
    let blockBytes: Int

    func run(_ piece: Int) {
        var cursor = ScratchCursor(blocks + piece &* blockBytes)
        let parts = ForwardParts(s, &cursor)
        parts.work.clear()
        clearFloats(parts.panel, 5 &* recurrentRows &* recurrentWidth)
        for block in share(piece, of: s.pieces, s.blocks)..<share(piece &+ 1, of: s.pieces, s.blocks) {
            let first = s.firstRow(block)
            run(parts, first, s.firstRow(block &+ 1) &- first)
        }
    }

    private func run(_ parts: ForwardParts, _ first: Int, _ count: Int) {
        var now = parts.now
        var next = parts.next
        copyFloats(a.h0.unsafelyUnwrapped + first &* s.units, now, count &* s.units)
        for step in 0..<s.steps {
            var entering = now
            if let dropout = a.dropout {
                multiplyElements(now, dropout + first &* s.units, parts.entering, count &* s.units)
                entering = parts.entering
            }
            let view = StepView(job: self, parts: parts, first: first, count: count, step: step, now: now, next: next)
            view.run(entering)
            swap(&now, &next)
        }
        copyFloats(now, a.last.unsafelyUnwrapped + first &* s.units, count &* s.units)
        guard let last = a.last_cell else { return }
        for r in first..<first &+ count {
            let cell = s.steps == 0
                ? a.c0.unsafelyUnwrapped + r &* s.units
                : UnsafePointer(a.extra.unsafelyUnwrapped + (r &* s.steps &+ s.steps &- 1) &* s.units)
            copyFloats(cell, last + r &* s.units, s.units)
        }
    }
}

@inline(__always)
func multiplyElements(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    forVectors(count) { at, some in storeSome(loadSome(a + at, some) * loadSome(b + at, some), y + at, some) }
}

/// One step of one block.
private struct StepView {
    let job: ForwardJob
    let parts: ForwardParts
    let first, count, step: Int
    let now, next: UnsafeMutablePointer<Float>

    @inline(__always) private var s: RecurrentSizes { job.s }

    /// Where a row of the gates, of the extra values, or of the sequence begins.
    @inline(__always) private func timed(_ row: Int) -> Int { (first &+ row) &* s.steps &+ s.time(step) }
    @inline(__always) private func stepped(_ row: Int) -> Int { (first &+ row) &* s.steps &+ step }
    @inline(__always) private func gates(_ row: Int, _ gate: Int, _ column: Int) -> UnsafeMutablePointer<Float> {
        job.a.gates.unsafelyUnwrapped + (timed(row) &* s.n &+ gate &* s.units &+ column)
    }
    @inline(__always) private func isMasked(_ row: Int) -> Bool {
        guard let mask = job.a.mask else { return false }
        return mask[timed(row)] == 0
    }
    @inline(__always) private func row(_ gate: Int, _ row: Int) -> UnsafeMutablePointer<Float> {
        parts.gate(gate) + row &* recurrentWidth
    }

    func run(_ entering: UnsafePointer<Float>) {
        let kind = s.kind
        let early = kind == DL_RECURRENT_SIMPLE ? 1 : kind == DL_RECURRENT_LSTM ? 4 : kind == DL_RECURRENT_GRU ? 3 : 2
        for panel in 0..<s.panels {
            let column = panel &* recurrentWidth
            let width = min(recurrentWidth, s.units &- column)
            for gate in 0..<early { product(gate, panel, column, entering) }
            switch kind {
            case DL_RECURRENT_LSTM: lstm(column, width)
            case DL_RECURRENT_GRU: gru(column, width)
            case DL_RECURRENT_SIMPLE: simple(column, width)
            default: resetGates(column, width)
            }
        }
        guard kind == DL_RECURRENT_GRU_BEFORE else { return }
        for r in 0..<count {
            multiplyElements(gates(r, 1, 0), entering + r &* s.units, parts.entering + r &* s.units, s.units)
        }
        for panel in 0..<s.panels {
            let column = panel &* recurrentWidth
            product(2, panel, column, parts.entering)
            gruBefore(column, min(recurrentWidth, s.units &- column))
        }
    }

    private func product(_ gate: Int, _ panel: Int, _ column: Int, _ left: UnsafePointer<Float>) {
        parts.work.multiply(
            job.factors[gate], panel: panel, left: left, leftStride: s.units, rows: count,
            start: job.a.recurrent_bias.map { $0 + (gate &* s.units &+ column) }, to: parts.gate(gate),
            toStride: recurrentWidth, accumulate: false)
    }

    /// Adds the input products, applies the function, and keeps the result where the input products were.
    private func finish(_ gate: Int, _ function: Int, _ column: Int, _ width: Int) {
        for r in 0..<count {
            let z = gates(r, gate, column)
            let t = row(gate, r)
            forVectors(width) { at, some in store(load(t + at) + loadSome(z + at, some), t + at) }
        }
        applyGate(function, parts.gate(gate), count &* recurrentWidth)
        keep(gate, column, width)
    }

    private func keep(_ gate: Int, _ column: Int, _ width: Int) {
        for r in 0..<count {
            let z = gates(r, gate, column)
            let t = row(gate, r)
            forVectors(width) { at, some in storeSome(load(t + at), z + at, some) }
        }
    }

    /// The new state of a row: what `value` says, or the old one at a masked step.
    @inline(__always)
    private func put(_ r: Int, _ column: Int, _ width: Int, _ value: (_ at: Int, _ before: Vector) -> Vector) {
        let before = now + (r &* s.units &+ column)
        let after = next + (r &* s.units &+ column)
        let y = job.a.sequence.unsafelyUnwrapped + (stepped(r) &* s.units &+ column)
        let masked = isMasked(r)
        forVectors(width) { at, some in
            let old = loadSome(before + at, some)
            let new = masked ? old : value(at, old)
            storeSome(new, after + at, some)
            storeSome(new, y + at, some)
        }
    }

    private func simple(_ column: Int, _ width: Int) {
        finish(0, s.activation, column, width)
        for r in 0..<count {
            let h = row(0, r)
            put(r, column, width) { at, _ in load(h + at) }
        }
    }

    private func lstm(_ column: Int, _ width: Int) {
        finish(0, s.recurrentActivation, column, width)
        finish(1, s.recurrentActivation, column, width)
        finish(2, s.activation, column, width)
        finish(3, s.recurrentActivation, column, width)
        let cells = job.a.extra.unsafelyUnwrapped
        for r in 0..<count {
            let before = step == 0
                ? job.a.c0.unsafelyUnwrapped + ((first &+ r) &* s.units &+ column)
                : UnsafePointer(cells + ((stepped(r) &- 1) &* s.units &+ column))
            let after = cells + (stepped(r) &* s.units &+ column)
            let i = row(0, r)
            let f = row(1, r)
            let g = row(2, r)
            let c = row(4, r)
            let masked = isMasked(r)
            forVectors(width) { at, some in
                let old = loadSome(before + at, some)
                let new = masked ? old : fma(load(f + at), old, load(i + at) * load(g + at))
                storeSome(new, after + at, some)
                store(new, c + at)
            }
        }
        applyGate(s.activation, parts.gate(4), count &* recurrentWidth)
        for r in 0..<count {
            let o = row(3, r)
            let c = row(4, r)
            put(r, column, width) { at, _ in load(o + at) * load(c + at) }
        }
    }

    private func gru(_ column: Int, _ width: Int) {
        finish(0, s.recurrentActivation, column, width)
        finish(1, s.recurrentActivation, column, width)
        let inner = job.a.extra.unsafelyUnwrapped
        for r in 0..<count {
            let q = row(2, r)
            let reset = row(1, r)
            let z = gates(r, 2, column)
            let kept = inner + (timed(r) &* s.units &+ column)
            forVectors(width) { at, some in
                let product = load(q + at)
                storeSome(product, kept + at, some)
                store(fma(load(reset + at), product, loadSome(z + at, some)), q + at)
            }
        }
        applyGate(s.activation, parts.gate(2), count &* recurrentWidth)
        keep(2, column, width)
        for r in 0..<count {
            let z = row(0, r)
            let h = row(2, r)
            put(r, column, width) { at, old in fma(load(z + at), old - load(h + at), load(h + at)) }
        }
    }

    private func resetGates(_ column: Int, _ width: Int) {
        finish(0, s.recurrentActivation, column, width)
        finish(1, s.recurrentActivation, column, width)
    }

    private func gruBefore(_ column: Int, _ width: Int) {
        finish(2, s.activation, column, width)
        for r in 0..<count {
            let z = gates(r, 0, column)
            let h = row(2, r)
            let some = width
            put(r, column, width) { at, old in
                fma(loadSome(z + at, some &- at), old - load(h + at), load(h + at))
            }
        }
    }
}
