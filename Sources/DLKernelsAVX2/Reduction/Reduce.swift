import CDLKernels

// x [outer, n, inner] -> y [outer, inner]. Long reductions are cut into blocks of rows; the blocks' results stand in
// scratch [outer, blocks, inner] and are combined as a binary tree.

private struct ReducePlan {
    var n: Int
    var inner: Int
    var outer: Int
    var blockRows: Int
    var blocks: Int
    var colsPerPiece: Int
    var colPieces: Int
    var outerPerPiece: Int

    @inline(__always)
    init(outer: Int, n: Int, inner: Int) {
        self.outer = outer
        self.n = n
        self.inner = inner
        let size = n &* inner
        if size <= 2 &* lightPiece {
            blockRows = n
            blocks = 1
            colsPerPiece = inner
            colPieces = 1
            outerPerPiece = max(1, lightPiece / max(size, 1))
        } else {
            colsPerPiece = min(inner, 2048)
            colPieces = ceilDivide(inner, colsPerPiece)
            blockRows = inner == 1 ? lightPiece : rowsPerBlock(colsPerPiece)
            blocks = ceilDivide(n, blockRows)
            outerPerPiece = 1
        }
    }
}

private struct ReduceJob {
    var plan: ReducePlan
    var function: Int
    var x: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    /// Where the blocks' results go: y itself when there is one block.
    var partial: UnsafeMutablePointer<Float>
}

func reduceScratch(_ outer: Int64, _ n: Int64, _ inner: Int64) -> Int64 {
    let plan = ReducePlan(outer: Int(outer), n: Int(n), inner: Int(inner))
    return plan.blocks <= 1 ? 0 : Int64(plan.outer &* plan.blocks &* plan.inner)
}

func reduceKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ function: Int64, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?, _ outer: Int64, _ n: Int64, _ inner: Int64,
    _ scratch: UnsafeMutablePointer<Float>?
) {
    if outer <= 0 || inner <= 0 { return }
    let plan = ReducePlan(outer: Int(outer), n: Int(n), inner: Int(inner))
    let y = y.unsafelyUnwrapped
    if n <= 0 {
        for i in 0..<plan.outer &* plan.inner { y[i] = valueOfNothing(Int(function)) }
        return
    }
    let partial = plan.blocks == 1 ? y : scratch.unsafelyUnwrapped
    var work = ReduceJob(
        plan: plan, function: Int(function), x: x.unsafelyUnwrapped, y: y, partial: partial)
    let pieces = ceilDivide(plan.outer, plan.outerPerPiece) &* plan.blocks &* plan.colPieces
    forPieces(runtime, pieces, &work) { argument, piece in reducePiece(job(argument, ReduceJob.self), Int(piece)) }
    if plan.blocks > 1 { combineBlocks(work) }
    if Int(function) == DL_REDUCE_MEAN {
        let count = splat(Float(plan.n))
        let total = plan.outer &* plan.inner
        var i = 0
        while i < total {
            let k = min(lanes, total &- i)
            store(load(y + i, k) / count, y + i, k)
            i &+= lanes
        }
    }
}

private func valueOfNothing(_ function: Int) -> Float {
    switch function {
    case DL_REDUCE_MAX: -Float.infinity
    case DL_REDUCE_MIN: Float.infinity
    case DL_REDUCE_PROD: 1
    case DL_REDUCE_MEAN: Float.nan
    default: 0
    }
}

private func reducePiece(_ work: ReduceJob, _ piece: Int) {
    switch work.function {
    case DL_REDUCE_SUM, DL_REDUCE_MEAN: sumPiece(work, piece)
    case DL_REDUCE_SUM_SQUARES: sumOfSquaresPiece(work, piece)
    case DL_REDUCE_SUM_ABS: sumOfMagnitudesPiece(work, piece)
    case DL_REDUCE_MAX: maximumPiece(work, piece)
    case DL_REDUCE_MIN: minimumPiece(work, piece)
    case DL_REDUCE_PROD: productPiece(work, piece)
    default: break
    }
}

@inline(__always) private func same(_ v: Vector) -> Vector { v }
@inline(__always) private func square(_ v: Vector) -> Vector { v * v }
@inline(__always) private func multiply(_ a: Vector, _ b: Vector) -> Vector { a * b }
@inline(__always) private func largest(_ v: Vector) -> Float { any(isNaN(v)) ? Float.nan : horizontalMaximum(v) }
@inline(__always) private func smallest(_ v: Vector) -> Float { any(isNaN(v)) ? Float.nan : horizontalMinimum(v) }

// A function for each, so that the inliner meets no limit of size.

private func sumPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(0), horizontalSum, same, add)
}
private func sumOfSquaresPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(0), horizontalSum, square, add)
}
private func sumOfMagnitudesPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(0), horizontalSum, absolute, add)
}
private func maximumPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(-Float.infinity), largest, same, maximumOrNaN)
}
private func minimumPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(Float.infinity), smallest, same, minimumOrNaN)
}
private func productPiece(_ work: ReduceJob, _ piece: Int) {
    reduceBlock(work, piece, splat(1), horizontalProduct, same, multiply)
}

@inline(__always)
private func reduceBlock(
    _ work: ReduceJob, _ piece: Int, _ identity: Vector, _ horizontal: (Vector) -> Float,
    _ lift: (Vector) -> Vector, _ combine: (Vector, Vector) -> Vector
) {
    let plan = work.plan
    let col = piece % plan.colPieces &* plan.colsPerPiece
    let block = piece / plan.colPieces % plan.blocks
    let firstOuter = piece / plan.colPieces / plan.blocks &* plan.outerPerPiece
    let row = block &* plan.blockRows
    let rows = min(plan.blockRows, plan.n &- row)
    let cols = min(plan.colsPerPiece, plan.inner &- col)
    let width = plan.inner == cols ? rowWidth(cols) : cols
    var o = firstOuter
    while o < min(plan.outer, firstOuter &+ plan.outerPerPiece) {
        let x = work.x + ((o &* plan.n &+ row) &* plan.inner &+ col)
        let out = work.partial + ((o &* plan.blocks &+ block) &* plan.inner &+ col)
        if plan.inner == 1 {
            out[0] = horizontal(reduceRow(x, rows, identity, lift, combine))
        } else {
            @inline(__always) func value(_ i: Int, _ k: Int, _ j: Int) -> Vector { lift(loadPart(x + i, k)) }
            combineColumns(
                rows: rows, stride: plan.inner, cols: cols, width: width, identity: identity, out: out,
                value: value, combine: combine)
        }
        o &+= 1
    }
}

/// One dense row: four accumulators over blocks of 1024 elements.
@inline(__always)
private func reduceRow(
    _ x: UnsafePointer<Float>, _ n: Int, _ identity: Vector, _ lift: (Vector) -> Vector,
    _ combine: (Vector, Vector) -> Vector
) -> Vector {
    var total = identity
    var i = 0
    while i &+ 4 &* lanes <= n {
        let end = min(n, i &+ 1024)
        var s0 = identity, s1 = identity, s2 = identity, s3 = identity
        while i &+ 4 &* lanes <= end {
            s0 = combine(s0, lift(load(x + i)))
            s1 = combine(s1, lift(load(x + i + lanes)))
            s2 = combine(s2, lift(load(x + i + 2 &* lanes)))
            s3 = combine(s3, lift(load(x + i + 3 &* lanes)))
            i &+= 4 &* lanes
        }
        total = combine(total, combine(combine(s0, s1), combine(s2, s3)))
    }
    while i < n {
        let k = min(lanes, n &- i)
        let v = select(less(laneIndex, isplat(Int32(truncatingIfNeeded: k))), lift(load(x + i, k)), identity)
        total = combine(total, v)
        i &+= lanes
    }
    return total
}

private func combineBlocks(_ work: ReduceJob) {
    switch work.function {
    case DL_REDUCE_MAX: tree(work, maximumOrNaN)
    case DL_REDUCE_MIN: tree(work, minimumOrNaN)
    case DL_REDUCE_PROD: tree(work, multiply)
    default: tree(work, add)
    }
}

@inline(__always)
private func tree(_ work: ReduceJob, _ combine: (Vector, Vector) -> Vector) {
    let plan = work.plan
    for o in 0..<plan.outer {
        let base = work.partial + o &* plan.blocks &* plan.inner
        var step = 1
        while step < plan.blocks {
            var b = 0
            while b &+ step < plan.blocks {
                let p = base + b &* plan.inner, q = p + step &* plan.inner
                var i = 0
                while i < plan.inner {
                    let k = min(lanes, plan.inner &- i)
                    store(combine(load(p + i, k), load(q + i, k)), p + i, k)
                    i &+= lanes
                }
                b &+= 2 &* step
            }
            step &*= 2
        }
        (work.y + o &* plan.inner).update(from: base, count: plan.inner)
    }
}
