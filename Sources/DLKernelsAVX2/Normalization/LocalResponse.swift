// Local response normalisation across channels, row by row: y = x d^-beta, d = k + scale * (windowed sum of x^2).

import CDLKernels

private struct LocalResponseJob {
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    var scratch: UnsafeMutablePointer<Float>
    var rows: Int
    var c: Int
    var before: Int
    var after: Int
    var scale: Float
    var beta: Float
    var k: Float
    var rowsPerPiece: Int
}

/// Each piece has a row of scratch of its own, so there are not many of them.
private let mostPieces = 64

private func rowsPerPiece(_ rows: Int, _ c: Int) -> Int {
    max(ceilDivide(rows, mostPieces), ceilDivide(heavyPiece, max(c, 1)))
}

func localResponseScratch(_ rows: Int64, _ c: Int64) -> Int64 {
    if rows <= 0 || c <= 0 { return 0 }
    return Int64(ceilDivide(Int(rows), rowsPerPiece(Int(rows), Int(c)))) &* c
}

/// Puts, for each i, the sum over j = i - before ... i + after within the row; `vector` gives the elements j, j + 1, ...
@inline(__always)
private func windowSums(
    _ c: Int, _ before: Int, _ after: Int, _ vector: (Int) -> Vector,
    _ scalar: (Int) -> Float, _ put: (Int, Vector) -> Void, _ putScalar: (Int, Float) -> Void
) {
    @inline(__always) func edge(_ i: Int) {
        var sum: Float = 0
        var j = max(0, i &- before)
        let end = min(c, i &+ after &+ 1)
        while j < end {
            sum += scalar(j)
            j &+= 1
        }
        putScalar(i, sum)
    }
    @inline(__always) func inner(_ i: Int) {
        var sum = splat(0)
        var j = i &- before
        while j <= i &+ after {
            sum += vector(j)
            j &+= 1
        }
        put(i, sum)
    }
    var i = 0
    while i < min(before, c) {
        edge(i)
        i &+= 1
    }
    while i &+ lanes &+ after <= c {
        inner(i)
        i &+= lanes
    }
    while i < c {
        edge(i)
        i &+= 1
    }
}

/// d of one row.
@inline(__always)
private func denominators(_ work: LocalResponseJob, _ x: UnsafePointer<Float>, _ d: UnsafeMutablePointer<Float>) {
    let scale = splat(work.scale), k = splat(work.k)
    @inline(__always) func square(_ j: Int) -> Vector {
        let v = load(x + j)
        return v * v
    }
    @inline(__always) func put(_ i: Int, _ sum: Vector) { store(fma(sum, scale, k), d + i) }
    windowSums(
        work.c, work.before, work.after, square, { x[$0] * x[$0] }, put, { d[$0] = $1 * work.scale + work.k })
}

/// d^-beta
@inline(__always)
private func factor(_ d: Vector, _ beta: Float) -> Vector {
    if beta == 0.75 {
        let root = squareRoot(d)
        return splat(1) / (root * squareRoot(root))
    }
    return exponential(logarithm(d) * splat(-beta))
}

@inline(__always)
private func eachRow(_ work: LocalResponseJob, _ piece: Int64, _ body: (Int) -> Void) {
    var row = Int(piece) &* work.rowsPerPiece
    let end = min(work.rows, row &+ work.rowsPerPiece)
    while row < end {
        body(row &* work.c)
        row &+= 1
    }
}

func localResponseKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?, _ rows: Int64,
    _ c: Int64, _ before: Int64, _ after: Int64, _ scale: Float, _ beta: Float, _ k: Float
) {
    if rows <= 0 || c <= 0 { return }
    let x = x.unsafelyUnwrapped, y = y.unsafelyUnwrapped
    var work = LocalResponseJob(
        x: x, dy: x, y: y, scratch: y, rows: Int(rows), c: Int(c), before: Int(before), after: Int(after), scale: scale,
        beta: beta, k: k, rowsPerPiece: rowsPerPiece(Int(rows), Int(c)))
    forPieces(runtime, ceilDivide(work.rows, work.rowsPerPiece), &work) { argument, piece in
        let work = job(argument, LocalResponseJob.self)
        eachRow(work, piece) { start in
            let x = work.x + start, y = work.y + start
            denominators(work, x, y)
            var i = 0
            while i &+ lanes <= work.c {
                store(load(x + i) * factor(load(y + i), work.beta), y + i)
                i &+= lanes
            }
            if i < work.c {
                let rest = work.c &- i
                storeFirst(loadFirst(x + i, rest) * factor(loadFirst(y + i, rest), work.beta), y + i, rest)
            }
        }
    }
}

/// dx = dy d^-beta - 2 scale beta x (windowed sum of dy x d^(-beta - 1)), the window turned round.
func localResponseGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ dy: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>?, _ rows: Int64, _ c: Int64, _ before: Int64, _ after: Int64, _ scale: Float,
    _ beta: Float, _ k: Float, _ scratch: UnsafeMutablePointer<Float>?
) {
    if rows <= 0 || c <= 0 { return }
    var work = LocalResponseJob(
        x: x.unsafelyUnwrapped, dy: dy.unsafelyUnwrapped, y: dx.unsafelyUnwrapped, scratch: scratch.unsafelyUnwrapped,
        rows: Int(rows), c: Int(c), before: Int(before), after: Int(after), scale: scale, beta: beta, k: k,
        rowsPerPiece: rowsPerPiece(Int(rows), Int(c)))
    forPieces(runtime, ceilDivide(work.rows, work.rowsPerPiece), &work) { argument, piece in
        let work = job(argument, LocalResponseJob.self)
        let t = work.scratch + Int(piece) &* work.c
        let slope = -2 * work.scale * work.beta
        eachRow(work, piece) { start in
            let x = work.x + start, dy = work.dy + start, dx = work.y + start
            denominators(work, x, dx)
            var i = 0
            while i &+ lanes <= work.c {
                let d = load(dx + i)
                let scaled = load(dy + i) * factor(d, work.beta)
                store(scaled, dx + i)
                store(scaled * load(x + i) / d, t + i)
                i &+= lanes
            }
            if i < work.c {
                let rest = work.c &- i
                let d = loadFirst(dx + i, rest)
                let scaled = loadFirst(dy + i, rest) * factor(d, work.beta)
                storeFirst(scaled, dx + i, rest)
                storeFirst(scaled * loadFirst(x + i, rest) / d, t + i, rest)
            }
            @inline(__always) func put(_ i: Int, _ sum: Vector) {
                store(fma(sum * splat(slope), load(x + i), load(dx + i)), dx + i)
            }
            windowSums(
                work.c, work.after, work.before, { load(t + $0) }, { t[$0] }, put, { dx[$0] += $1 * slope * x[$0] })
        }
    }
}
