import CDLKernels

/// c[m][n] = left^T right with left [k][m] and right [k][n]: the gradient of a dense layer's kernel.
struct OuterProduct {
    var left: UnsafePointer<Float>
    var right: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var k: Int
    var accumulate: Bool
    private var pieces = 1

    init(
        left: UnsafePointer<Float>, right: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int,
        accumulate: Bool
    ) {
        self.left = left
        self.right = right
        self.to = to
        self.m = m
        self.n = n
        self.k = k
        self.accumulate = accumulate
    }

    /// Tiles are numbered strip of rows by strip of rows; the last panel of columns may have its own height of tiles,
    /// so it is counted apart.
    fileprivate var widePanels: Int { n / (2 &* lanes) &+ (n % (2 &* lanes) > lanes ? 1 : 0) }
    fileprivate var wideStrips: Int { divideUp(m, weightTileRows(vectors: 2)) }
    fileprivate var narrowStrips: Int {
        let rest = n % (2 &* lanes)
        return rest > 0 && rest <= lanes ? divideUp(m, weightTileRows(vectors: 1)) : 0
    }
    fileprivate var tiles: Int { wideStrips &* widePanels &+ narrowStrips }

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        if k <= streamedDepth {
            runStreamed(runtime)
            return
        }
        let work = Float(m) * Float(n) * Float(k)
        pieces = work > 16 * 150_000 ? 16 : max(1, Int(work / 150_000))
        pieces = min(pieces, tiles)
        inParallel(runtime, pieces: pieces, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: OuterProduct.self)
            outerPiece(job, first: share(Int(piece), of: job.pointee.pieces, job.pointee.tiles),
                end: share(Int(piece) &+ 1, of: job.pointee.pieces, job.pointee.tiles))
        }
    }
}

private func outerPiece(_ job: UnsafePointer<OuterProduct>, first: Int, end: Int) {
    let m = job.pointee.m
    let n = job.pointee.n
    let k = job.pointee.k
    let wide = job.pointee.wideStrips &* job.pointee.widePanels
    // As many rows of both factors as stay in the second-level cache while all tiles pass over them.
    let depth = max(64, 196_608 / (m &+ n))
    var sums = TileSums(repeating: 0)
    withUnsafeMutablePointer(to: &sums) { sums in
        let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
        var start = 0
        while start < k {
            for tile in first..<end {
                let vectors = tile < wide ? 2 : 1
                let strips = vectors == 2 ? job.pointee.wideStrips : job.pointee.narrowStrips
                let strip = vectors == 2 ? tile / job.pointee.widePanels : tile &- wide
                let panel = vectors == 2 ? tile % job.pointee.widePanels : job.pointee.widePanels
                let row = share(strip, of: strips, m)
                let rows = share(strip &+ 1, of: strips, m) &- row
                let column = panel &* 2 &* lanes
                var a = WeightTileArguments(
                    x: job.pointee.left + (start &* m &+ row), dy: job.pointee.right + (start &* n &+ column),
                    images: 1, rows: 1, columns: min(depth, k &- start), xImageStep: 0, xRowStep: 0, xColumnStep: m,
                    dyImageStep: 0, dyRowStep: 0, dyColumnStep: n, filters: min(vectors &* lanes, n &- column))
                runWeightTile(
                    &a, rows: rows, vectors: vectors, to: job.pointee.to + (row &* n &+ column), stride: n,
                    add: job.pointee.accumulate || start > 0, sums)
            }
            start &+= depth
        }
    }
}

/// Depth up to which the result's rows are written one after another: storing them is all the work.
private let streamedDepth = 4

extension OuterProduct {
    fileprivate mutating func runStreamed(_ runtime: UnsafePointer<dl_runtime>) {
        pieces = max(1, min(m, min(16, m &* n / 16384)))
        inParallel(runtime, pieces: pieces, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: OuterProduct.self)
            let pieces = job.pointee.pieces
            let m = job.pointee.m
            for row in share(Int(piece), of: pieces, m)..<share(Int(piece) &+ 1, of: pieces, m) { streamRow(job, row) }
        }
    }
}

@inline(__always)
private func streamRow(_ job: UnsafePointer<OuterProduct>, _ row: Int) {
    let n = job.pointee.n
    let to = job.pointee.to + row &* n
    var factors = InlineArray<4, Vector> { _ in Vector(repeating: 0) }
    let depth = job.pointee.k
    for i in 0..<depth { factors[i] = Vector(repeating: job.pointee.left[i &* job.pointee.m &+ row]) }
    var column = 0
    while column < n {
        let count = n &- column
        var sum = job.pointee.accumulate ? loadFirst(to + column, count) : Vector(repeating: 0)
        for i in 0..<depth { sum = fma(factors[i], loadFirst(job.pointee.right + (i &* n &+ column), count), sum) }
        storeFirst(sum, to + column, count)
        column &+= lanes
    }
}
