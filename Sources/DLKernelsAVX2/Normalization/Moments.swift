import CDLKernels

// Mean and variance per column in one pass over memory: each block of rows gets its own mean and sum of squared
// deviations while it is in the cache, and the blocks are merged in a tree (Chan, Golub, LeVeque 1979).

struct NormPlan {
    var rows: Int
    var c: Int
    var width: Int
    var blockRows: Int
    var blocks: Int
    /// Length of one parameter row in scratch.
    var slot: Int

    @inline(__always)
    init(_ rows: Int64, _ c: Int64) {
        self.rows = Int(rows)
        self.c = Int(c)
        width = rowWidth(Int(c))
        blockRows = rowsPerBlock(Int(c))
        blocks = ceilDivide(Int(rows), blockRows)
        slot = max(width, Int(c))
    }

    @inline(__always)
    func rows(_ block: Int) -> Int { min(blockRows, rows &- block &* blockRows) }
}

/// Parameter rows in scratch before the blocks' results.
private let parameterRows = 5

func normScratch(_ rows: Int64, _ c: Int64) -> Int64 {
    let plan = NormPlan(rows, c)
    return Int64(parameterRows &* plan.slot &+ 2 &* max(1, plan.blocks) &* plan.c &+ 2 &* patternCapacity)
}

struct NormJob {
    var plan: NormPlan
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    var scratch: UnsafeMutablePointer<Float>
    /// For the gradient behind a ReLU: a second gradient to add, the output whose sign masks, and the masked gradient.
    var dy2: UnsafePointer<Float>
    var output: UnsafePointer<Float>
    var masked: UnsafeMutablePointer<Float>
    /// y is stored past the caches.
    var streams = false

    @inline(__always)
    init(
        plan: NormPlan, x: UnsafePointer<Float>, dy: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>
    ) {
        self.plan = plan
        self.x = x
        self.dy = dy
        self.y = y
        self.scratch = scratch
        dy2 = dy
        output = dy
        masked = y
    }

    /// Parameter row number i.
    @inline(__always)
    func parameter(_ i: Int) -> UnsafeMutablePointer<Float> { scratch + i &* plan.slot }
    /// Result number i (0 or 1) of one block.
    @inline(__always)
    func result(_ i: Int, _ block: Int) -> UnsafeMutablePointer<Float> {
        scratch + (parameterRows &* plan.slot &+ (2 &* block &+ i) &* plan.c)
    }
}

func columnMomentsKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ mean: UnsafeMutablePointer<Float>?,
    _ variance: UnsafeMutablePointer<Float>?, _ rows: Int64, _ c: Int64, _ scratch: UnsafeMutablePointer<Float>?
) {
    if rows <= 0 || c <= 0 { return }
    let plan = NormPlan(rows, c)
    let x = x.unsafelyUnwrapped
    var work = NormJob(
        plan: plan, x: x, dy: x, y: mean.unsafelyUnwrapped, scratch: scratch.unsafelyUnwrapped)
    forPieces(runtime, plan.blocks, &work) { argument, piece in
        blockMoments(job(argument, NormJob.self), Int(piece))
    }
    mergeMoments(work)
    let mean = mean.unsafelyUnwrapped, variance = variance.unsafelyUnwrapped
    let count = splat(Float(plan.rows))
    var i = 0
    while i < plan.c {
        let k = min(lanes, plan.c &- i)
        store(load(work.result(0, 0) + i, k), mean + i, k)
        store(load(work.result(1, 0) + i, k) / count, variance + i, k)
        i &+= lanes
    }
}

private func blockMoments(_ work: NormJob, _ block: Int) {
    let plan = work.plan
    let rows = plan.rows(block)
    let x = work.x + block &* plan.blockRows &* plan.c
    let mean = work.result(0, block), squares = work.result(1, block)
    @inline(__always) func value(_ i: Int, _ k: Int, _ j: Int) -> Vector { loadPart(x + i, k) }
    combineColumns(
        rows: rows, stride: plan.c, cols: plan.c, width: plan.width, identity: splat(0), out: mean,
        value: value, combine: add)
    let count = splat(Float(rows))
    var c = 0
    while c < plan.c {
        let k = min(lanes, plan.c &- c)
        store(load(mean + c, k) / count, mean + c, k)
        c &+= lanes
    }
    if plan.width == plan.c {
        deviations(work, x, rows, mean, squares)
    } else {
        withPattern { pattern in
            fillPattern(pattern, mean, plan.c, plan.width)
            deviations(work, x, rows, pattern, squares)
        }
    }
}

private func deviations(
    _ work: NormJob, _ x: UnsafePointer<Float>, _ rows: Int, _ mean: UnsafeMutablePointer<Float>,
    _ squares: UnsafeMutablePointer<Float>
) {
    let plan = work.plan
    @inline(__always) func value(_ i: Int, _ k: Int, _ j: Int) -> Vector {
        let d = loadPart(x + i, k) - loadPart(mean + j, k)
        return d * d
    }
    combineColumns(
        rows: rows, stride: plan.c, cols: plan.c, width: plan.width, identity: splat(0), out: squares,
        value: value, combine: add)
}

private func mergeMoments(_ work: NormJob) {
    let plan = work.plan
    var step = 1
    while step < plan.blocks {
        var b = 0
        while b &+ step < plan.blocks {
            let left = Float(step &* plan.blockRows)
            let right = Float(min(plan.rows, (b &+ 2 &* step) &* plan.blockRows) &- (b &+ step) &* plan.blockRows)
            let share = splat(right / (left + right)), weight = splat(left * (right / (left + right)))
            var c = 0
            while c < plan.c {
                let k = min(lanes, plan.c &- c)
                let mean = load(work.result(0, b) + c, k)
                let d = load(work.result(0, b &+ step) + c, k) - mean
                let squares = load(work.result(1, b) + c, k) + load(work.result(1, b &+ step) + c, k)
                store(fma(d, share, mean), work.result(0, b) + c, k)
                store(fma(d * d, weight, squares), work.result(1, b) + c, k)
                c &+= lanes
            }
            b &+= 2 &* step
        }
        step &*= 2
    }
}
