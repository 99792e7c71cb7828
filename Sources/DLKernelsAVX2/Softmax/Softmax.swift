import CDLKernels

private struct SoftmaxJob {
    var first: UnsafePointer<Float>
    var second: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    var rows: Int
    var n: Int
    var rowsPerPiece: Int
}

/// The lanes below k, as a mask.
@inline(__always)
func firstLanes(_ k: Int) -> IntVector { less(laneIndex, isplat(Int32(truncatingIfNeeded: k))) }

/// The largest element of a row; -infinity for none. NaN may be lost here: it comes back in the exponentials.
@inline(__always)
func rowMaximum(_ x: UnsafePointer<Float>, _ n: Int) -> Float {
    var m0 = splat(-Float.infinity), m1 = m0
    var i = 0
    while i &+ 2 &* lanes <= n {
        m0 = maximum(m0, load(x + i))
        m1 = maximum(m1, load(x + i + lanes))
        i &+= 2 &* lanes
    }
    while i < n {
        let k = min(lanes, n &- i)
        m0 = maximum(m0, select(firstLanes(k), load(x + i, k), m0))
        i &+= lanes
    }
    return horizontalMaximum(maximum(m0, m1))
}

/// y = exp(x - shift), and its sum.
@inline(__always)
func exponentialsAndSum(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int, _ shift: Float) -> Float {
    let shift = splat(shift)
    var s0 = splat(0), s1 = s0
    var i = 0
    while i &+ 2 &* lanes <= n {
        let a = exponentialOfNonPositive(load(x + i) - shift)
        let b = exponentialOfNonPositive(load(x + i + lanes) - shift)
        store(a, y + i)
        store(b, y + i + lanes)
        s0 += a
        s1 += b
        i &+= 2 &* lanes
    }
    while i < n {
        let k = min(lanes, n &- i)
        let a = exponentialOfNonPositive(load(x + i, k) - shift)
        store(a, y + i, k)
        s0 += select(firstLanes(k), a, splat(0))
        i &+= lanes
    }
    return horizontalSum(s0 + s1)
}

/// The sum of exp(x - shift) alone.
@inline(__always)
func sumOfExponentials(_ x: UnsafePointer<Float>, _ n: Int, _ shift: Float) -> Float {
    let shift = splat(shift)
    var s = splat(0)
    var i = 0
    while i < n {
        let k = min(lanes, n &- i)
        s += select(firstLanes(k), exponentialOfNonPositive(load(x + i, k) - shift), splat(0))
        i &+= lanes
    }
    return horizontalSum(s)
}

@inline(__always)
func scalarLogarithm(_ x: Float) -> Float { logarithm(splat(x))[0] }

@inline(__always)
private func mapRow(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int, _ f: (Vector) -> Vector
) {
    var i = 0
    while i < n {
        let k = min(lanes, n &- i)
        store(f(load(x + i, k)), y + i, k)
        i &+= lanes
    }
}

@inline(__always)
private func forRows(
    _ runtime: UnsafePointer<dl_runtime>?, _ first: UnsafePointer<Float>?, _ second: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    if rows <= 0 || n <= 0 { return }
    let first = first.unsafelyUnwrapped
    let rowsPerPiece = max(1, heavyPiece / Int(n))
    var work = SoftmaxJob(
        first: first, second: second ?? first, y: y.unsafelyUnwrapped, rows: Int(rows), n: Int(n),
        rowsPerPiece: rowsPerPiece)
    forPieces(runtime, ceilDivide(Int(rows), rowsPerPiece), &work, task)
}

@inline(__always)
private func eachRow(
    _ argument: UnsafeMutableRawPointer?, _ piece: Int64,
    _ body: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
) {
    let work = job(argument, SoftmaxJob.self)
    var r = Int(piece) &* work.rowsPerPiece
    let end = min(work.rows, r &+ work.rowsPerPiece)
    while r < end {
        let start = r &* work.n
        body(work.first + start, work.second + start, work.y + start, work.n)
        r &+= 1
    }
}

func softmaxKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?,
    _ rows: Int64, _ n: Int64
) {
    forRows(runtime, x, nil, y, rows, n) { argument, piece in
        eachRow(argument, piece) { x, _, y, n in
            let scale = splat(1 / exponentialsAndSum(x, y, n, rowMaximum(x, n)))
            mapRow(UnsafePointer(y), y, n) { $0 * scale }
        }
    }
}

func logSoftmaxKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?,
    _ rows: Int64, _ n: Int64
) {
    forRows(runtime, x, nil, y, rows, n) { argument, piece in
        eachRow(argument, piece) { x, _, y, n in
            let largest = rowMaximum(x, n)
            let logSum = splat(scalarLogarithm(sumOfExponentials(x, n, largest)))
            mapRow(x, y, n) { ($0 - splat(largest)) - logSum }
        }
    }
}

func softmaxGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ dy: UnsafePointer<Float>?, _ y: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64
) {
    forRows(runtime, dy, y, dx, rows, n) { argument, piece in
        eachRow(argument, piece) { dy, y, dx, n in
            var s = splat(0)
            var i = 0
            while i < n {
                let k = min(lanes, n &- i)
                s = fma(load(dy + i, k), load(y + i, k), s)
                i &+= lanes
            }
            let dot = splat(horizontalSum(s))
            i = 0
            while i < n {
                let k = min(lanes, n &- i)
                store(load(y + i, k) * (load(dy + i, k) - dot), dx + i, k)
                i &+= lanes
            }
        }
    }
}

func logSoftmaxGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ dy: UnsafePointer<Float>?, _ y: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64
) {
    forRows(runtime, dy, y, dx, rows, n) { argument, piece in
        eachRow(argument, piece) { dy, y, dx, n in
            var s = splat(0)
            var i = 0
            while i < n {
                s += load(dy + i, min(lanes, n &- i))
                i &+= lanes
            }
            let total = splat(horizontalSum(s))
            i = 0
            while i < n {
                let k = min(lanes, n &- i)
                store(load(dy + i, k) - exponential(load(y + i, k)) * total, dx + i, k)
                i &+= lanes
            }
        }
    }
}
