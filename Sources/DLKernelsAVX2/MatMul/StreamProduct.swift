import CDLKernels

/// Columns of the right factor that one piece takes at most and at least: of each row a stretch long enough that the
/// processor fetches ahead by itself.
private let streamColumns = 1024
private let leastColumns = 256
/// Rows of the right factor that are taken at once: the processor follows that many stretches.
private let streamDepth = 16

/// Columns of one piece; as wide as the threads leave it.
private func pieceColumns(_ n: Int, threads: Int) -> Int {
    min(streamColumns, max(leastColumns, roundUp(divideUp(n, 2 &* max(1, threads)), 2 &* lanes)))
}

/// The sums, and for each piece the left factor's part.
func streamScratchFloats(m: Int, n: Int) -> Int {
    m &* (roundUp(n, lanes) &+ divideUp(n, leastColumns) &* streamDepth)
}

/// c[m][n] = left right for some tens of rows and a right factor that no cache holds: it is read once, some rows of it side
/// by side. Taken panel by panel it would be read in pieces of a cache line each.
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
    fileprivate var width = 0

    init(
        left: UnsafePointer<Float>, right: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int,
        bias: UnsafePointer<Float>?, relu: Bool, accumulate: Bool, scratch: UnsafeMutablePointer<Float>
    ) {
        self.left = left
        self.right = right
        self.to = to
        self.m = m
        self.n = n
        self.k = k
        self.bias = bias
        self.relu = relu
        self.accumulate = accumulate
        self.scratch = scratch
    }

    /// The columns are shared out; no number depends on how.
    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        width = pieceColumns(n, threads: Int(runtime.pointee.threads))
        inParallel(runtime, pieces: divideUp(n, width), &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: StreamProduct.self)
            streamPiece(job.pointee, Int(piece))
        }
    }
}

private func streamPiece(_ job: StreamProduct, _ piece: Int) {
    let first = piece &* job.width
    let columns = min(job.width, job.n &- first)
    let stride = roundUp(columns, lanes)
    let part = job.scratch + piece &* job.m &* streamDepth
    let sums = job.scratch + job.m &* (divideUp(job.n, leastColumns) &* streamDepth &+ first)
    clearFloats(sums, job.m &* stride)
    var i = 0
    while i < job.k {
        let depth = min(streamDepth, job.k &- i)
        for row in 0..<job.m {
            for k in 0..<depth { part[k &* job.m &+ row] = job.left[row &* job.k &+ i &+ k] }
        }
        var a = StreamArguments(
            left: UnsafePointer(part), rows: job.m, right: job.right + (i &* job.n &+ first), rightStride: job.n, depth: depth,
            count: lanes, sums: sums, stride: stride)
        var at = 0
        while at < columns {
            a.count = min(lanes, columns &- at)
            addVector(a)
            a.right += lanes
            a.sums += lanes
            at &+= lanes
        }
        i &+= depth
    }
    let floor = Vector(repeating: job.relu ? 0 : -Float.infinity)
    for row in 0..<job.m {
        var at = 0
        while at < columns {
            let p = job.to + (row &* job.n &+ first &+ at)
            var value = load(sums + (row &* stride &+ at))
            if job.accumulate { value += loadFirst(p, columns &- at) }
            if let bias = job.bias { value += loadFirst(bias + (first &+ at), columns &- at) }
            storeFirst(maximum(floor, value), p, columns &- at)
            at &+= lanes
        }
    }
}

/// One vector of columns of some rows.
private struct StreamArguments {
    /// [depth][rows]
    var left: UnsafePointer<Float>
    var rows: Int
    var right: UnsafePointer<Float>
    var rightStride: Int
    var depth: Int
    /// Columns that can be read.
    var count: Int
    var sums: UnsafeMutablePointer<Float>
    var stride: Int
}

private func addVector(_ a: StreamArguments) {
    var row = 0
    #if DL_AVX512
        while row &+ 16 <= a.rows {
            StreamTile<16>.add(a, row)
            row &+= 16
        }
    #endif
    while row &+ 8 <= a.rows {
        StreamTile<8>.add(a, row)
        row &+= 8
    }
    while row &+ 4 <= a.rows {
        StreamTile<4>.add(a, row)
        row &+= 4
    }
    while row < a.rows {
        StreamTile<1>.add(a, row)
        row &+= 1
    }
}

private enum StreamTile<let R: Int> {
    @inline(never)
    static func add(_ a: StreamArguments, _ row: Int) {
        if a.count == lanes { add(a, row, whole: true) } else { add(a, row, whole: false) }
    }

    @inline(__always)
    private static func add(_ a: StreamArguments, _ row: Int, whole: Bool) {
        let sums = a.sums + row &* a.stride
        var total = InlineArray<R, Vector> { r in load(UnsafePointer(sums) + r &* a.stride) }
        var x = a.left + row
        var w = a.right
        for _ in 0..<a.depth {
            let right = whole ? load(w) : loadFirst(w, a.count)
            for r in 0..<R { total[r] = fma(Vector(repeating: x[r]), right, total[r]) }
            x += a.rows
            w += a.rightStride
        }
        for r in 0..<R { store(total[r], sums + r &* a.stride) }
    }
}
