import CDLKernels

/// The transposed recurrent kernel; for a reset before the product, that of the first two gates and that of the third.
private struct BackwardFactors {
    let zero: UnsafeMutablePointer<Int>
    let main, third: StepFactor

    init(_ s: RecurrentSizes, _ cursor: inout ScratchCursor) {
        zero = cursor.integers(1)
        if s.kind == DL_RECURRENT_GRU_BEFORE {
            main = StepFactor(depth: 2 &* s.units, columns: s.units, &cursor)
            third = StepFactor(depth: s.units, columns: s.units, &cursor)
        } else {
            main = StepFactor(depth: s.n, columns: s.units, &cursor)
            third = main
        }
    }
}

private struct BackwardParts {
    let work: StepWorkspace
    /// Gradients of the state, of the cell, of the gates side by side; `product` and `reset` hold products.
    let dh, dc, dz, product, reset: UnsafeMutablePointer<Float>
    let panel: UnsafeMutablePointer<Float>

    init(_ s: RecurrentSizes, _ cursor: inout ScratchCursor) {
        work = StepWorkspace(&cursor)
        dh = cursor.floats(recurrentRows &* s.units)
        dc = cursor.floats(s.kind == DL_RECURRENT_LSTM ? recurrentRows &* s.units : 0)
        dz = cursor.floats(recurrentRows &* s.n)
        product = cursor.floats(recurrentRows &* s.units)
        reset = cursor.floats(s.kind == DL_RECURRENT_GRU_BEFORE ? recurrentRows &* s.units : 0)
        panel = cursor.floats(roundUp(s.units, lanes))
    }
}

private func backwardBytes(_ s: RecurrentSizes) -> (factors: Int, block: Int) {
    var shared = ScratchCursor(nil)
    _ = BackwardFactors(s, &shared)
    var block = ScratchCursor(nil)
    _ = BackwardParts(s, &block)
    return (shared.bytes, block.bytes)
}

func recurrentBackwardScratch(_ problem: UnsafePointer<dl_recurrent_problem>?) -> Int64 {
    let s = RecurrentSizes(problem.unsafelyUnwrapped)
    let bytes = backwardBytes(s)
    return Int64(bytes.factors &+ s.pieces &* bytes.block)
}

func recurrentBackward(_ problem: UnsafePointer<dl_recurrent_problem>?, _ call: UnsafePointer<dl_recurrent_arguments>?) {
    let s = RecurrentSizes(problem.unsafelyUnwrapped)
    let a = call.unsafelyUnwrapped.pointee
    let runtime = a.runtime.unsafelyUnwrapped
    let bytes = backwardBytes(s)
    var cursor = ScratchCursor(a.scratch)
    let factors = BackwardFactors(s, &cursor)
    factors.zero[0] = 0
    let kernel = a.recurrent.unsafelyUnwrapped
    factors.main.pack(kernel, stride: s.n, transposed: true, zero: factors.zero, runtime)
    if s.kind == DL_RECURRENT_GRU_BEFORE {
        factors.third.pack(kernel + 2 &* s.units, stride: s.n, transposed: true, zero: factors.zero, runtime)
    }
    var job = BackwardJob(
        s: s, a: a, factors: factors, blocks: a.scratch.unsafelyUnwrapped + bytes.factors, blockBytes: bytes.block)
    inParallel(runtime, pieces: s.pieces, &job) { job, piece in
        job.unsafelyUnwrapped.assumingMemoryBound(to: BackwardJob.self).pointee.run(Int(piece))
    }
}

private struct BackwardJob {
    let s: RecurrentSizes
    let a: dl_recurrent_arguments
    let factors: BackwardFactors
    let blocks: UnsafeMutableRawPointer
    let blockBytes: Int

    func run(_ piece: Int) {
        var cursor = ScratchCursor(blocks + piece &* blockBytes)
        let parts = BackwardParts(s, &cursor)
        parts.work.clear()
        for block in share(piece, of: s.pieces, s.blocks)..<share(piece &+ 1, of: s.pieces, s.blocks) {
            let first = s.firstRow(block)
            run(parts, first, s.firstRow(block &+ 1) &- first)
        }
    }

    private func run(_ parts: BackwardParts, _ first: Int, _ count: Int) {
        let floats = count &* s.units
        begin(parts.dh, a.dlast, first, floats)
        if s.kind == DL_RECURRENT_LSTM { begin(parts.dc, a.dlast_cell, first, floats) }
        var step = s.steps &- 1
        while step >= 0 {
            for r in 0..<count { row(parts, r, first &+ r, step) }
            if s.kind == DL_RECURRENT_GRU_BEFORE {
                multiply(factors.third, parts, parts.dz + 2 &* s.units, count, to: parts.reset, accumulate: false)
                for r in 0..<count { resetRow(parts, r, first &+ r, step) }
                multiply(factors.main, parts, parts.dz, count, to: parts.product, accumulate: true)
                addProduct(parts, first, floats)
            } else if a.dropout != nil {
                multiply(factors.main, parts, parts.dz, count, to: parts.product, accumulate: false)
                addProduct(parts, first, floats)
            } else {
                multiply(factors.main, parts, parts.dz, count, to: parts.dh, accumulate: true)
            }
            step &-= 1
        }
        copyFloats(parts.dh, a.dh0.unsafelyUnwrapped + first &* s.units, floats)
        if let dc0 = a.dc0 { copyFloats(parts.dc, dc0 + first &* s.units, floats) }
    }

    private func begin(_ to: UnsafeMutablePointer<Float>, _ from: UnsafePointer<Float>?, _ first: Int, _ floats: Int) {
        if let from { copyFloats(from + first &* s.units, to, floats) } else { clearFloats(to, floats) }
    }

    private func multiply(
        _ factor: StepFactor, _ parts: BackwardParts, _ left: UnsafePointer<Float>, _ count: Int,
        to: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        for panel in 0..<s.panels {
            parts.work.multiply(
                factor, panel: panel, left: left, leftStride: s.n, rows: count, start: nil,
                to: to + panel &* recurrentWidth, toStride: s.units, accumulate: accumulate)
        }
    }

    /// dh += product, times the dropout's factors where there are any.
    private func addProduct(_ parts: BackwardParts, _ first: Int, _ floats: Int) {
        let (dh, product) = (parts.dh, parts.product)
        if let dropout = a.dropout {
            let factors = dropout + first &* s.units
            forVectors(floats) { at, some in
                let sum = fma(loadSome(product + at, some), loadSome(factors + at, some), loadSome(dh + at, some))
                storeSome(sum, dh + at, some)
            }
        } else {
            forVectors(floats) { at, some in
                storeSome(loadSome(product + at, some) + loadSome(dh + at, some), dh + at, some)
            }
        }
    }

    @inline(__always)
    private func isMasked(_ place: Int) -> Bool {
        guard let mask = a.mask else { return false }
        return mask[place] == 0
    }

    /// The state before a step.
    @inline(__always)
    private func before(_ index: Int, _ step: Int) -> UnsafePointer<Float> {
        step == 0
            ? a.h0.unsafelyUnwrapped + index &* s.units
            : UnsafePointer(a.sequence.unsafelyUnwrapped + (index &* s.steps &+ step &- 1) &* s.units)
    }

    /// From the gradient of the state to those of the gates, for sequence `index`; what of dh goes past the recurrent
    /// product stays in dh.
    private func row(_ parts: BackwardParts, _ r: Int, _ index: Int, _ step: Int) {
        let units = s.units
        let place = index &* s.steps &+ s.time(step)
        let old = before(index, step)
        let entered = a.before.unsafelyUnwrapped + place &* units
        if let dropout = a.dropout {
            multiplyElements(old, dropout + index &* units, entered, units)
        } else {
            copyFloats(old, entered, units)
        }
        let dh = parts.dh + r &* units
        if let dsequence = a.dsequence {
            let dy = dsequence + (index &* s.steps &+ step) &* units
            forVectors(units) { at, some in storeSome(loadSome(dh + at, some) + loadSome(dy + at, some), dh + at, some) }
        }
        let dz = parts.dz + r &* s.n
        let kept = a.dgates.unsafelyUnwrapped + place &* s.n
        if isMasked(place) {
            clearFloats(dz, s.n)
            clearFloats(kept, s.n)
            if let dinner = a.dinner { clearFloats(dinner + place &* s.n, s.n) }
            return
        }
        let gates = UnsafePointer(a.gates.unsafelyUnwrapped + place &* s.n)
        switch s.kind {
        case DL_RECURRENT_SIMPLE: simple(gates, dh, dz)
        case DL_RECURRENT_LSTM: lstm(parts, gates, dh, parts.dc + r &* units, dz, index, step)
        default: gru(gates, old, dh, dz, kept, place)
        }
        if s.kind == DL_RECURRENT_GRU {
            copyFloats(dz, a.dinner.unsafelyUnwrapped + place &* s.n, s.n)
        } else if s.kind != DL_RECURRENT_GRU_BEFORE {
            copyFloats(dz, kept, s.n)
        }
    }

    private func simple(_ y: UnsafePointer<Float>, _ dh: UnsafeMutablePointer<Float>, _ dz: UnsafeMutablePointer<Float>) {
        forVectors(s.units) { at, some in
            storeSome(gateGradient(s.activation, loadSome(dh + at, some), loadSome(y + at, some)), dz + at, some)
            storeSome(splat(0), dh + at, some)
        }
    }

    private func lstm(
        _ parts: BackwardParts, _ gates: UnsafePointer<Float>, _ dh: UnsafeMutablePointer<Float>,
        _ dc: UnsafeMutablePointer<Float>, _ dz: UnsafeMutablePointer<Float>, _ index: Int, _ step: Int
    ) {
        let units = s.units
        let cells = UnsafePointer(a.extra.unsafelyUnwrapped + (index &* s.steps &+ step) &* units)
        let old = step == 0 ? a.c0.unsafelyUnwrapped + index &* units : cells - units
        let squashed = parts.panel
        copyFloats(cells, squashed, units)
        applyGate(s.activation, squashed, roundUp(units, lanes))
        forVectors(units) { at, some in
            let i = loadSome(gates + at, some)
            let f = loadSome(gates + (units &+ at), some)
            let g = loadSome(gates + (2 &* units &+ at), some)
            let o = loadSome(gates + (3 &* units &+ at), some)
            let c = load(squashed + at)
            let d = loadSome(dh + at, some)
            let dCell = loadSome(dc + at, some) + gateGradient(s.activation, d * o, c)
            storeSome(gateGradient(s.recurrentActivation, dCell * g, i), dz + at, some)
            storeSome(
                gateGradient(s.recurrentActivation, dCell * loadSome(old + at, some), f), dz + (units &+ at), some)
            storeSome(gateGradient(s.activation, dCell * i, g), dz + (2 &* units &+ at), some)
            storeSome(gateGradient(s.recurrentActivation, d * c, o), dz + (3 &* units &+ at), some)
            storeSome(dCell * f, dc + at, some)
            storeSome(splat(0), dh + at, some)
        }
    }

    /// For a reset before the product the gradient of the reset gate comes later, in `resetRow`.
    private func gru(
        _ gates: UnsafePointer<Float>, _ old: UnsafePointer<Float>, _ dh: UnsafeMutablePointer<Float>,
        _ dz: UnsafeMutablePointer<Float>, _ kept: UnsafeMutablePointer<Float>, _ place: Int
    ) {
        let units = s.units
        let isAfter = s.kind == DL_RECURRENT_GRU
        let inner = a.extra.map { UnsafePointer($0 + place &* units) }
        forVectors(units) { at, some in
            let z = loadSome(gates + at, some)
            let h = loadSome(gates + (2 &* units &+ at), some)
            let d = loadSome(dh + at, some)
            let dUpdate = gateGradient(s.recurrentActivation, d * (loadSome(old + at, some) - h), z)
            let dState = gateGradient(s.activation, d * (splat(1) - z), h)
            storeSome(dUpdate, dz + at, some)
            storeSome(dUpdate, kept + at, some)
            storeSome(dState, kept + (2 &* units &+ at), some)
            storeSome(d * z, dh + at, some)
            if isAfter {
                let r = loadSome(gates + (units &+ at), some)
                let q = loadSome(inner.unsafelyUnwrapped + at, some)
                let dReset = gateGradient(s.recurrentActivation, dState * q, r)
                storeSome(dReset, dz + (units &+ at), some)
                storeSome(dReset, kept + (units &+ at), some)
                storeSome(dState * r, dz + (2 &* units &+ at), some)
            } else {
                storeSome(dState, dz + (2 &* units &+ at), some)
            }
        }
    }

    /// The reset gate's gradient where it acts before the product; `product` begins with what reaches the state through it.
    private func resetRow(_ parts: BackwardParts, _ r: Int, _ index: Int, _ step: Int) {
        let units = s.units
        let place = index &* s.steps &+ s.time(step)
        let entered = UnsafePointer(a.before.unsafelyUnwrapped + place &* units)
        let reset = a.reset.unsafelyUnwrapped + place &* units
        let dreset = a.dreset.unsafelyUnwrapped + place &* units
        let product = parts.product + r &* units
        if isMasked(place) {
            clearFloats(product, units)
            clearFloats(reset, units)
            clearFloats(dreset, units)
            return
        }
        let gate = UnsafePointer(a.gates.unsafelyUnwrapped + (place &* s.n &+ units))
        let through = UnsafePointer(parts.reset + r &* units)
        let dz = parts.dz + r &* s.n
        let kept = a.dgates.unsafelyUnwrapped + place &* s.n
        forVectors(units) { at, some in
            let g = loadSome(gate + at, some)
            let d = loadSome(through + at, some)
            let h = loadSome(entered + at, some)
            let dReset = gateGradient(s.recurrentActivation, d * h, g)
            storeSome(dReset, dz + (units &+ at), some)
            storeSome(dReset, kept + (units &+ at), some)
            storeSome(d * g, product + at, some)
            storeSome(g * h, reset + at, some)
            storeSome(loadSome(dz + (2 &* units &+ at), some), dreset + at, some)
        }
    }
}
