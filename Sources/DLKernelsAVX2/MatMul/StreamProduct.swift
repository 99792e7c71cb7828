import CDLKernels

/// Columns of the right factor that one piece takes: a row of them is long enough to be fetched ahead, and their sums stay in
/// the first-level cache.
private let streamColumns = 256
/// Rows of the right factor between two changes of the part of the left factor that is at hand.
private let streamDepth = 128
/// Rows of the right factor from the one in use to the one that is being fetched.
private let fetchAhead = 12

/// Floats of the sums and of the left factor's part that one piece keeps.
private func pieceFloats(_ m: Int) -> Int { m &* (streamColumns &+ streamDepth) }

func streamPieces(_ n: Int) -> Int { divideUp(n, streamColumns) }
func streamScratchFloats(m: Int, n: Int) -> Int { streamPieces(n) &* pieceFloats(m) }

/// c[m][n] = left right for some tens of rows and a right factor that no cache holds: it is read once, row by row, and
/// the sums stay in the cache instead of in registers. Taken panel by panel it would be read in pieces of a cache line each.
struct StreamProduct {
    var left: UnsafePointer<Float>
    var right: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var k: Int
    var bias: UnsafePointer<Float>?
    var relu: Bool
    var accumulate: Bool
    var scratch: UnsafeMutablePointer<Float>

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        inParallel(runtime, pieces: streamPieces(n), &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: StreamProduct.self)
            streamPiece(job.pointee, Int(piece))
        }
    }
}

private func streamPiece(_ job: StreamProduct, _ piece: Int) {
    let first = piece &* streamColumns
    let columns = min(streamColumns, job.n &- first)
    let sums = job.scratch + piece &* pieceFloats(job.m)
    let part = sums + job.m &* streamColumns
    clearFloats(sums, job.m &* streamColumns)
    var i = 0
    while i < job.k {
        let depth = min(streamDepth, job.k &- i)
        for row in 0..<job.m { copyFloats(job.left + (row &* job.k &+ i), part + row &* streamDepth, depth) }
        var k = 0
        while k &+ 4 <= depth {
            addRows(job, part + k, job.right + ((i &+ k) &* job.n &+ first), sums, columns, ahead: i &+ k &+ fetchAhead &+ 4 <= job.k)
            k &+= 4
        }
        while k < depth {
            addRow(job, part + k, job.right + ((i &+ k) &* job.n &+ first), sums, columns)
            k &+= 1
        }
        i &+= depth
    }
    let floor = Vector(repeating: job.relu ? 0 : -Float.infinity)
    for row in 0..<job.m {
        var at = 0
        while at < columns {
            let p = job.to + (row &* job.n &+ first &+ at)
            var value = load(sums + (row &* streamColumns &+ at))
            if job.accumulate { value += loadFirst(p, columns &- at) }
            if let bias = job.bias { value += loadFirst(bias + (first &+ at), columns &- at) }
            storeFirst(maximum(floor, value), p, columns &- at)
            at &+= lanes
        }
    }
}

/// Adds the products with four rows of the right factor, two vectors of columns at a time.
@inline(never)
private func addRows(
    _ job: StreamProduct, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>, _ columns: Int, ahead: Bool
) {
    let n = job.n, m = job.m
    var at = 0
    while at &+ 2 &* lanes <= columns {
        let w = right + at
        if ahead {
            for r in 0..<4 {
                dl_prefetch(w + (fetchAhead &+ r) &* n)
                #if DL_AVX512
                    dl_prefetch(w + ((fetchAhead &+ r) &* n &+ lanes))
                #endif
            }
        }
        let a0 = load(w), b0 = load(w + lanes)
        let a1 = load(w + n), b1 = load(w + (n &+ lanes))
        let a2 = load(w + 2 &* n), b2 = load(w + (2 &* n &+ lanes))
        let a3 = load(w + 3 &* n), b3 = load(w + (3 &* n &+ lanes))
        var x = left
        var sum = sums + at
        for _ in 0..<m {
            let x0 = Vector(repeating: x[0]), x1 = Vector(repeating: x[1])
            let x2 = Vector(repeating: x[2]), x3 = Vector(repeating: x[3])
            var s = fma(x0, a0, load(sum)), t = fma(x0, b0, load(sum + lanes))
            s = fma(x1, a1, s)
            t = fma(x1, b1, t)
            s = fma(x2, a2, s)
            t = fma(x2, b2, t)
            store(fma(x3, a3, s), sum)
            store(fma(x3, b3, t), sum + lanes)
            x += streamDepth
            sum += streamColumns
        }
        at &+= 2 &* lanes
    }
    while at < columns {
        for r in 0..<4 { addVector(job, left + r, right + (r &* n &+ at), sums + at, columns &- at) }
        at &+= lanes
    }
}

private func addRow(
    _ job: StreamProduct, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>, _ columns: Int
) {
    var at = 0
    while at < columns {
        addVector(job, left, right + at, sums + at, columns &- at)
        at &+= lanes
    }
}

@inline(__always)
private func addVector(
    _ job: StreamProduct, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>, _ count: Int
) {
    let w = loadFirst(right, count)
    for row in 0..<job.m {
        let sum = sums + row &* streamColumns
        store(fma(Vector(repeating: left[row &* streamDepth]), w, load(UnsafePointer(sum))), sum)
    }
}
