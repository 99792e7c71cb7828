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
    _ epsilon: Float, _ y: UnsafeMutablePointer<Float>?, _ rows: Int64, _ c: Int64,
    _ scratch: UnsafeMutablePointer<Float>?
) {
    if rows <= 0 || c <= 0 { return }
    let plan = NormPlan(rows, c)
    let x = x.unsafelyUnwrapped, mean = mean.unsafelyUnwrapped, variance = variance.unsafelyUnwrapped
    var work = NormJob(plan: plan, x: x, dy: x, y: y.unsafelyUnwrapped, scratch: scratch.unsafelyUnwrapped)
    fill(work, 0) { c, k in load(mean + c, k) }
    fill(work, 1) { c, k in
        let scale = inverseDeviation(load(variance + c, k), epsilon)
        guard let gamma else { return scale }
        return scale * load(gamma + c, k)
    }
    fill(work, 2) { c, k in beta.map { load($0 + c, k) } ?? splat(0) }
    forPieces(runtime, plan.blocks, &work) { argument, piece in
        let work = job(argument, NormJob.self)
        let plan = work.plan
        let start = Int(piece) &* plan.blockRows &* plan.c
        let x = work.x + start, y = work.y + start
        let mean = work.parameter(0), scale = work.parameter(1), beta = work.parameter(2)
        @inline(__always) func body(_ i: Int, _ k: Int, _ j: Int) {
            // The mean is taken off first: folding it into beta would cancel where it is large.
            let v = fma(loadPart(x + i, k) - loadPart(mean + j, k), loadPart(scale + j, k), loadPart(beta + j, k))
            storePart(v, y + i, k)
        }
        forColumns(rows: plan.rows(Int(piece)), cols: plan.c, width: plan.width, body)
    }
}

func batchNormGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ dy: UnsafePointer<Float>?, _ x: UnsafePointer<Float>?,
    _ mean: UnsafePointer<Float>?, _ variance: UnsafePointer<Float>?, _ gamma: UnsafePointer<Float>?,
    _ epsilon: Float, _ dx: UnsafeMutablePointer<Float>?, _ dgamma: UnsafeMutablePointer<Float>?,
    _ dbeta: UnsafeMutablePointer<Float>?, _ rows: Int64, _ c: Int64, _ scratch: UnsafeMutablePointer<Float>?
) {
    if rows <= 0 || c <= 0 { return }
    let plan = NormPlan(rows, c)
    let mean = mean.unsafelyUnwrapped, variance = variance.unsafelyUnwrapped
    let dgamma = dgamma.unsafelyUnwrapped, dbeta = dbeta.unsafelyUnwrapped
    var work = NormJob(
        plan: plan, x: x.unsafelyUnwrapped, dy: dy.unsafelyUnwrapped, y: dx.unsafelyUnwrapped,
        scratch: scratch.unsafelyUnwrapped)
    fill(work, 0) { c, k in load(mean + c, k) }
    fill(work, 1) { c, k in inverseDeviation(load(variance + c, k), epsilon) }
    forPieces(runtime, plan.blocks, &work) { argument, piece in
        gradientSums(job(argument, NormJob.self), Int(piece))
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
    fill(work, 2) { c, k in
        let s = load(work.parameter(1) + c, k)
        guard let gamma else { return s }
        return s * load(gamma + c, k)
    }
    fill(work, 3) { c, k in load(dbeta + c, k) / splat(count) }
    fill(work, 4) { c, k in load(work.parameter(1) + c, k) * load(dgamma + c, k) / splat(count) }
    forPieces(runtime, plan.blocks, &work) { argument, piece in
        let work = job(argument, NormJob.self)
        let plan = work.plan
        let start = Int(piece) &* plan.blockRows &* plan.c
        let x = work.x + start, dy = work.dy + start, dx = work.y + start
        let mean = work.parameter(0), scale = work.parameter(2), base = work.parameter(3), slope = work.parameter(4)
        @inline(__always) func body(_ i: Int, _ k: Int, _ j: Int) {
            let d = loadPart(x + i, k) - loadPart(mean + j, k)
            let g = (loadPart(dy + i, k) - loadPart(base + j, k)) - d * loadPart(slope + j, k)
            storePart(g * loadPart(scale + j, k), dx + i, k)
        }
        forColumns(rows: plan.rows(Int(piece)), cols: plan.c, width: plan.width, body)
    }
}

/// dgamma and dbeta of one block of rows.
private func gradientSums(_ work: NormJob, _ block: Int) {
    let plan = work.plan
    let start = block &* plan.blockRows &* plan.c
    let x = work.x + start, dy = work.dy + start
    let mean = work.parameter(0), inverse = work.parameter(1)
    @inline(__always) func slope(_ i: Int, _ k: Int, _ j: Int) -> (Vector, Vector) {
        let g = loadPart(dy + i, k)
        return (g * ((loadPart(x + i, k) - loadPart(mean + j, k)) * loadPart(inverse + j, k)), g)
    }
    sumColumnPairs(
        rows: plan.rows(block), cols: plan.c, width: plan.width, first: work.result(0, block),
        second: work.result(1, block), value: slope)
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
