import CDLKernels

/// Parameter rows, repeated to the width that is passed over.
@inline(__always)
private func fill(_ work: NormJob, _ row: Int, _ value: (_ c: Int, _ k: Int) -> Vector) {
    let plan = work.plan
    let p = work.parameter(row)
    var c = 0
    while c < plan.c {
        let k = min(lanes, plan.c &- c)
        store(value(c, k), p + c, k)
        c &+= lanes
    }
    var i = plan.c
    while i < plan.width {
        p[i] = p[i &- plan.c]
        i &+= 1
    }
}

@inline(__always)
private func inverseDeviation(_ variance: Vector, _ epsilon: Float) -> Vector {
    splat(1) / squareRoot(variance + splat(epsilon))
}

func batchNormKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ mean: UnsafePointer<Float>?,
    _ variance: UnsafePointer<Float>?, _ gamma: UnsafePointer<Float>?, _ beta: UnsafePointer<Float>?,
    _ epsilon: Float, _ residual: UnsafePointer<Float>?, _ relu: Int32, _ y: UnsafeMutablePointer<Float>?,
    _ rows: Int64, _ c: Int64, _ scratch: UnsafeMutablePointer<Float>?
) {
    if rows <= 0 || c <= 0 { return }
    let plan = NormPlan(rows, c)
    let x = x.unsafelyUnwrapped, mean = mean.unsafelyUnwrapped, variance = variance.unsafelyUnwrapped
    var work = NormJob(
        plan: plan, x: x, dy: residual ?? x, y: y.unsafelyUnwrapped, scratch: scratch.unsafelyUnwrapped)
    fillScale(work, mean, variance, gamma, epsilon)
    fill(work, 2) { c, k in beta.map { load($0 + c, k) } ?? splat(0) }
    work.streams = streamable(plan, work.y)
    switch (residual != nil, relu != 0) {
    case (false, false): forPieces(runtime, plan.blocks, &work) { applyPiece($0, Int($1), residual: false, relu: false) }
    case (false, true): forPieces(runtime, plan.blocks, &work) { applyPiece($0, Int($1), residual: false, relu: true) }
    case (true, false): forPieces(runtime, plan.blocks, &work) { applyPiece($0, Int($1), residual: true, relu: false) }
    case (true, true): forPieces(runtime, plan.blocks, &work) { applyPiece($0, Int($1), residual: true, relu: true) }
    }
}

/// Floats of a result from which on it is stored past the caches: its next reader finds nothing of it there.
private let streamedFloats = 3_000_000

private func streamable(_ plan: NormPlan, _ result: UnsafeMutablePointer<Float>) -> Bool {
    lanes == 16 && plan.c % lanes == 0 && Int(bitPattern: result) % 64 == 0 && plan.rows &* plan.c >= streamedFloats
}

/// Passes over one piece. `body` is told, as a constant, whether to store past the caches.
@inline(__always)
private func forPiece(_ work: NormJob, _ piece: Int, _ body: (_ i: Int, _ k: Int, _ j: Int, _ streams: Bool) -> Void) {
    let plan = work.plan
    if work.streams {
        forColumns(rows: plan.rows(piece), cols: plan.c, width: plan.width) { i, _, j in body(i, lanes, j, true) }
        dl_stream_fence()
    } else {
        forColumns(rows: plan.rows(piece), cols: plan.c, width: plan.width) { i, k, j in body(i, k, j, false) }
    }
}

@inline(__always)
private func put(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ k: Int, _ streams: Bool) {
    if streams { stream(v, p) } else { storePart(v, p, k) }
}

/// Parameter rows 0 and 1: the mean, and gamma over the deviation.
private func fillScale(
    _ work: NormJob, _ mean: UnsafePointer<Float>, _ variance: UnsafePointer<Float>, _ gamma: UnsafePointer<Float>?,
    _ epsilon: Float
) {
    fill(work, 0) { c, k in load(mean + c, k) }
    fill(work, 1) { c, k in
        let scale = inverseDeviation(load(variance + c, k), epsilon)
        guard let gamma else { return scale }
        return scale * load(gamma + c, k)
    }
}

/// The mean is taken off first: folding it into beta would cancel where it is large.
@inline(__always)
private func normalized(_ x: Vector, _ work: NormJob, _ j: Int, _ k: Int, scale: Int) -> Vector {
    fma(x - loadPart(work.parameter(0) + j, k), loadPart(work.parameter(scale) + j, k), loadPart(work.parameter(2) + j, k))
}

@inline(__always)
private func applyPiece(_ argument: UnsafeMutableRawPointer?, _ piece: Int, residual: Bool, relu: Bool) {
    let work = job(argument, NormJob.self)
    let plan = work.plan
    // Backwards: the end of x was read last.
    let piece = plan.blocks &- 1 &- piece
    let start = piece &* plan.blockRows &* plan.c
    let x = work.x + start, y = work.y + start, added = work.dy + start
    @inline(__always) func body(_ i: Int, _ k: Int, _ j: Int, _ streams: Bool) {
        var v = normalized(loadPart(x + i, k), work, j, k, scale: 1)
        if residual { v += loadPart(added + i, k) }
        // In this order a NaN stays one.
        if relu { v = maximum(splat(0), v) }
        put(v, y + i, k, streams)
    }
    forPiece(work, piece, body)
}

/// What the gradient of the normalised values is made of.
private enum Upstream { case plain, maskedByInput, maskedByOutput, sumMaskedByOutput }

func batchNormGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ arguments: UnsafePointer<dl_batch_norm_gradient>?
) {
    let a = arguments.unsafelyUnwrapped.pointee
    if a.rows <= 0 || a.c <= 0 { return }
    let plan = NormPlan(a.rows, a.c)
    let mean = a.mean.unsafelyUnwrapped, variance = a.variance.unsafelyUnwrapped
    let dgamma = a.dgamma.unsafelyUnwrapped, dbeta = a.dbeta.unsafelyUnwrapped
    let gamma = UnsafePointer(a.gamma), beta = UnsafePointer(a.beta)
    let dy = a.dy.unsafelyUnwrapped
    var work = NormJob(
        plan: plan, x: a.x.unsafelyUnwrapped, dy: dy, y: a.dx.unsafelyUnwrapped, scratch: a.scratch.unsafelyUnwrapped)
    work.dy2 = UnsafePointer(a.dy2) ?? dy
    work.output = UnsafePointer(a.y) ?? dy
    work.masked = a.masked ?? work.y
    work.streams = streamable(plan, work.y) && streamable(plan, work.masked)
    let epsilon = a.epsilon
    fillScale(work, mean, variance, gamma, epsilon)
    fill(work, 2) { c, k in beta.map { load($0 + c, k) } ?? splat(0) }
    fill(work, 3) { c, k in inverseDeviation(load(variance + c, k), epsilon) }
    let upstream: Upstream =
        a.relu == 0 ? .plain : a.masked == nil ? .maskedByInput : a.dy2 == nil ? .maskedByOutput : .sumMaskedByOutput
    switch upstream {
    case .plain: forPieces(runtime, plan.blocks, &work) { gradientSums($0, Int($1), .plain) }
    case .maskedByInput: forPieces(runtime, plan.blocks, &work) { gradientSums($0, Int($1), .maskedByInput) }
    case .maskedByOutput: forPieces(runtime, plan.blocks, &work) { gradientSums($0, Int($1), .maskedByOutput) }
    case .sumMaskedByOutput: forPieces(runtime, plan.blocks, &work) { gradientSums($0, Int($1), .sumMaskedByOutput) }
    }
    addBlocks(work)
    let count = Float(plan.rows)
    var i = 0
    while i < plan.c {
        let k = min(lanes, plan.c &- i)
        store(load(work.result(0, 0) + i, k), dgamma + i, k)
        store(load(work.result(1, 0) + i, k), dbeta + i, k)
        i &+= lanes
    }
    // dx = gamma s (dy - dbeta / m - (x - mean) s dgamma / m), s = 1 / sqrt(variance + epsilon).
    fill(work, 4) { c, k in load(work.parameter(3) + c, k) * load(dgamma + c, k) / splat(count) }
    fill(work, 3) { c, k in load(dbeta + c, k) / splat(count) }
    if upstream == .maskedByInput {
        forPieces(runtime, plan.blocks, &work) { gradientPiece($0, Int($1), masks: true) }
    } else {
        if upstream != .plain { work.dy = UnsafePointer(work.masked) }
        forPieces(runtime, plan.blocks, &work) { gradientPiece($0, Int($1), masks: false) }
    }
}

@inline(__always)
private func gradientPiece(_ argument: UnsafeMutableRawPointer?, _ piece: Int, masks: Bool) {
    let work = job(argument, NormJob.self)
    let plan = work.plan
    let piece = plan.blocks &- 1 &- piece
    let start = piece &* plan.blockRows &* plan.c
    let x = work.x + start, dy = work.dy + start, dx = work.y + start
    let mean = work.parameter(0), scale = work.parameter(1), base = work.parameter(3), slope = work.parameter(4)
    @inline(__always) func body(_ i: Int, _ k: Int, _ j: Int, _ streams: Bool) {
        let d = loadPart(x + i, k) - loadPart(mean + j, k)
        var up = loadPart(dy + i, k)
        if masks {
            up = keep(up, where: fma(d, loadPart(scale + j, k), loadPart(work.parameter(2) + j, k)))
        }
        let g = (up - loadPart(base + j, k)) - d * loadPart(slope + j, k)
        put(g * loadPart(scale + j, k), dx + i, k, streams)
    }
    forPiece(work, piece, body)
}

/// dgamma and dbeta of one block of rows.
@inline(__always)
private func gradientSums(_ argument: UnsafeMutableRawPointer?, _ block: Int, _ upstream: Upstream) {
    let work = job(argument, NormJob.self)
    let plan = work.plan
    let start = block &* plan.blockRows &* plan.c
    let x = work.x + start, dy = work.dy + start
    let dy2 = work.dy2 + start, output = work.output + start, masked = work.masked + start
    let mean = work.parameter(0), inverse = work.parameter(3)
    @inline(__always) func slope(_ i: Int, _ k: Int, _ j: Int) -> (Vector, Vector) {
        let d = loadPart(x + i, k) - loadPart(mean + j, k)
        var g = loadPart(dy + i, k)
        switch upstream {
        case .plain: break
        case .maskedByInput:
            g = keep(g, where: fma(d, loadPart(work.parameter(1) + j, k), loadPart(work.parameter(2) + j, k)))
        case .maskedByOutput, .sumMaskedByOutput:
            if upstream == .sumMaskedByOutput { g += loadPart(dy2 + i, k) }
            g = keep(g, where: loadPart(output + i, k))
            put(g, masked + i, k, work.streams)
        }
        return (g * (d * loadPart(inverse + j, k)), g)
    }
    sumColumnPairs(
        rows: plan.rows(block), cols: plan.c, width: plan.width, first: work.result(0, block),
        second: work.result(1, block), value: slope)
    if work.streams { dl_stream_fence() }
}

/// `v` where `sign` is positive, else 0.
@inline(__always)
private func keep(_ v: Vector, where sign: Vector) -> Vector {
    select(less(splat(0), sign), v, splat(0))
}

private func addBlocks(_ work: NormJob) {
    let plan = work.plan
    var step = 1
    while step < plan.blocks {
        var b = 0
        while b &+ step < plan.blocks {
            // Both results of a block lie side by side.
            let p = work.result(0, b), q = work.result(0, b &+ step)
            var i = 0
            while i < 2 &* plan.c {
                let k = min(lanes, 2 &* plan.c &- i)
                store(load(p + i, k) + load(q + i, k), p + i, k)
                i &+= lanes
            }
            b &+= 2 &* step
        }
        step &*= 2
    }
}
