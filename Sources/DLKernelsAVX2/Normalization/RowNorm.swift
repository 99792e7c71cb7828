import CDLKernels

private struct RowNormJob {
    var a: dl_row_norm
    var rowsPerPiece: Int
}

/// The gradient's sums over rows are kept for each piece; more pieces than this would cost more than they bring.
private let mostPieces = 16

private func gradientPieces(_ rows: Int, _ n: Int) -> Int {
    if rows <= 0 || n <= 0 { return 1 }
    return max(1, min(mostPieces, rows &* n / heavyPiece, rows))
}

@inline(__always) private func min(_ a: Int, _ b: Int, _ c: Int) -> Int { min(a, min(b, c)) }

func rowNormScratch(_ rows: Int64, _ n: Int64) -> Int64 {
    let pieces = gradientPieces(Int(rows), Int(n))
    return pieces == 1 ? 0 : Int64(pieces &* 2 &* Int(n))
}

/// Mean of a row, and 1 / sqrt(variance + epsilon).
@inline(__always)
private func statistics(_ x: UnsafePointer<Float>, _ n: Int, _ epsilon: Float, _ center: Bool) -> (mean: Float, inverse: Float) {
    var mean: Float = 0
    if center {
        var s0 = splat(0), s1 = s0
        var i = 0
        while i &+ 2 &* lanes <= n {
            s0 += load(x + i)
            s1 += load(x + i + lanes)
            i &+= 2 &* lanes
        }
        while i < n {
            s0 += load(x + i, min(lanes, n &- i))
            i &+= lanes
        }
        mean = horizontalSum(s0 + s1) / Float(n)
    }
    let shift = splat(mean)
    var q0 = splat(0), q1 = q0
    var i = 0
    while i &+ 2 &* lanes <= n {
        let a = load(x + i) - shift, b = load(x + i + lanes) - shift
        q0 = fma(a, a, q0)
        q1 = fma(b, b, q1)
        i &+= 2 &* lanes
    }
    while i < n {
        let k = min(lanes, n &- i)
        let a = select(firstLanes(k), load(x + i, k) - shift, splat(0))
        q0 = fma(a, a, q0)
        i &+= lanes
    }
    let variance = horizontalSum(q0 + q1) / Float(n)
    return (mean, 1 / (variance + epsilon).squareRoot())
}

func rowNormKernel(_ runtime: UnsafePointer<dl_runtime>?, _ arguments: UnsafePointer<dl_row_norm>?) {
    let a = arguments.unsafelyUnwrapped.pointee
    if a.rows <= 0 || a.n <= 0 { return }
    let rowsPerPiece = max(1, heavyPiece / Int(a.n))
    var work = RowNormJob(a: a, rowsPerPiece: rowsPerPiece)
    forPieces(runtime, ceilDivide(Int(a.rows), rowsPerPiece), &work) { argument, piece in
        let work = job(argument, RowNormJob.self)
        let a = work.a, n = Int(a.n)
        var row = Int(piece) &* work.rowsPerPiece
        let end = min(Int(a.rows), row &+ work.rowsPerPiece)
        while row < end {
            let x = a.x.unsafelyUnwrapped + row &* n, y = a.y.unsafelyUnwrapped + row &* n
            let (mean, inverse) = statistics(x, n, a.epsilon, a.center != 0)
            let shift = splat(mean), scale = splat(inverse)
            var i = 0
            while i < n {
                let k = min(lanes, n &- i)
                var value = (load(x + i, k) - shift) * scale
                if let gamma = a.gamma { value = value * load(gamma + i, k) }
                if let beta = a.beta { value = value + load(beta + i, k) }
                store(value, y + i, k)
                i &+= lanes
            }
            row &+= 1
        }
    }
}

@inline(__always)
private func clear(_ p: UnsafeMutablePointer<Float>, _ n: Int) {
    var i = 0
    while i < n {
        store(splat(0), p + i, min(lanes, n &- i))
        i &+= lanes
    }
}

func rowNormGradientKernel(_ runtime: UnsafePointer<dl_runtime>?, _ arguments: UnsafePointer<dl_row_norm>?) {
    let a = arguments.unsafelyUnwrapped.pointee
    let rows = Int(a.rows), n = Int(a.n)
    if n <= 0 { return }
    let dgamma = a.dgamma.unsafelyUnwrapped, dbeta = a.dbeta.unsafelyUnwrapped
    clear(dgamma, n)
    clear(dbeta, n)
    if rows <= 0 { return }
    let pieces = gradientPieces(rows, n)
    var work = RowNormJob(a: a, rowsPerPiece: ceilDivide(rows, pieces))
    forPieces(runtime, pieces, &work) { argument, piece in
        let work = job(argument, RowNormJob.self)
        let a = work.a, n = Int(a.n)
        var slopes = a.dgamma.unsafelyUnwrapped, bases = a.dbeta.unsafelyUnwrapped
        if gradientPieces(Int(a.rows), n) > 1 {
            slopes = a.scratch.unsafelyUnwrapped + Int(piece) &* 2 &* n
            bases = slopes + n
            clear(slopes, n)
            clear(bases, n)
        }
        var row = Int(piece) &* work.rowsPerPiece
        let end = min(Int(a.rows), row &+ work.rowsPerPiece)
        while row < end {
            let x = a.x.unsafelyUnwrapped + row &* n, dy = a.dy.unsafelyUnwrapped + row &* n
            let dx = a.y.unsafelyUnwrapped + row &* n
            let (mean, inverse) = statistics(x, n, a.epsilon, a.center != 0)
            let shift = splat(mean), scale = splat(inverse)
            var total = splat(0), dot = splat(0)
            var i = 0
            while i < n {
                let k = min(lanes, n &- i)
                let d = load(dy + i, k)
                let normal = (load(x + i, k) - shift) * scale
                let g = a.gamma == nil ? d : d * load(a.gamma.unsafelyUnwrapped + i, k)
                total += g
                dot = fma(g, normal, dot)
                store(fma(d, normal, load(UnsafePointer(slopes + i), k)), slopes + i, k)
                store(d + load(UnsafePointer(bases + i), k), bases + i, k)
                i &+= lanes
            }
            let base = splat(a.center != 0 ? horizontalSum(total) / Float(n) : 0)
            let slope = splat(horizontalSum(dot) / Float(n))
            i = 0
            while i < n {
                let k = min(lanes, n &- i)
                let d = load(dy + i, k)
                let normal = (load(x + i, k) - shift) * scale
                let g = a.gamma == nil ? d : d * load(a.gamma.unsafelyUnwrapped + i, k)
                store((g - base - normal * slope) * scale, dx + i, k)
                i &+= lanes
            }
            row &+= 1
        }
    }
    if pieces == 1 { return }
    // In the order of the pieces, whoever computed them.
    let scratch = UnsafePointer(a.scratch.unsafelyUnwrapped)
    var i = 0
    while i < n {
        let k = min(lanes, n &- i)
        var s = splat(0), b = splat(0)
        var piece = 0
        while piece < pieces {
            s += load(scratch + piece &* 2 &* n + i, k)
            b += load(scratch + piece &* 2 &* n + n + i, k)
            piece &+= 1
        }
        store(s, dgamma + i, k)
        store(b, dbeta + i, k)
        i &+= lanes
    }
}
