import CDLKernels

/// c[m][n] = left right^T with right [n][k], for few rows: both factors' rows are contiguous, so each element is a sum
/// over vectors along k, and the right factor needs no packing.
struct DotProduct {
    var left: UnsafePointer<Float>
    var right: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var k: Int
    var bias: UnsafePointer<Float>?
    var relu: Bool
    var accumulate: Bool
    fileprivate var pieces = 1

    init(
        left: UnsafePointer<Float>, right: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int,
        bias: UnsafePointer<Float>?, relu: Bool, accumulate: Bool
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
    }

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let work = Float(m) * Float(n) * Float(k)
        pieces = min(divideUp(n, 4), max(1, Int(min(16, work / 50_000))))
        inParallel(runtime, pieces: pieces, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: DotProduct.self)
            let end = min(job.pointee.n, 4 &* share(Int(piece) &+ 1, of: job.pointee.pieces, divideUp(job.pointee.n, 4)))
            var column = 4 &* share(Int(piece), of: job.pointee.pieces, divideUp(job.pointee.n, 4))
            while column < end {
                dotColumns(job, column, min(4, end &- column))
                column &+= 4
            }
        }
    }
}

#if DL_AVX512
    private let dotTileRows = 4
    private typealias FullDotTile = DotTile<4, 4>
#else
    private let dotTileRows = 2
    private typealias FullDotTile = DotTile<2, 4>
#endif

/// Floats of the right factor's rows that all rows of the left one pass over before the next ones, in the first-level cache.
private let dotDepth = 1024
/// Rows of the left factor at most.
private let dotRowLimit = 24

private typealias DotSums = InlineArray<1536, Float>

private func dotColumns(_ job: UnsafePointer<DotProduct>, _ column: Int, _ columns: Int) {
    let m = job.pointee.m
    let whole = columns == 4 && m <= dotRowLimit ? m / dotTileRows &* dotTileRows : 0
    if whole > 0 { fullTiles(job, whole, column) }
    for row in whole..<m {
        if columns == 4 {
            DotTile<1, 4>.run(job, row, column)
        } else {
            for c in 0..<columns { DotTile<1, 1>.run(job, row, column &+ c) }
        }
    }
}

/// As many elements of each tile as a vector has lanes, so that their lanes can be added all at once.
private func fullTiles(_ job: UnsafePointer<DotProduct>, _ rows: Int, _ column: Int) {
    var sums = DotSums(repeating: 0)
    withUnsafeMutablePointer(to: &sums) { sums in
        let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
        let k = job.pointee.k
        let next = column &+ 8 <= job.pointee.n ? job.pointee.right + (column &+ 4) &* k : job.pointee.left
        let step = column &+ 8 <= job.pointee.n ? lanes : 0
        var first = 0
        while first < k {
            let end = min(k, first &+ dotDepth)
            for tile in 0..<rows / dotTileRows {
                // Each of the first tiles fetches one of the next four columns.
                let ask = step > 0 && tile < 4 ? next + (tile &* k &+ first) : next
                FullDotTile.sum(
                    job, tile &* dotTileRows, column, first, end, sums + tile &* dotTileRows &* 4 &* lanes, ask,
                    tile < 4 ? step : 0)
            }
            first = end
        }
        for tile in 0..<rows / dotTileRows {
            finishTile(job, tile &* dotTileRows, column, sums + tile &* dotTileRows &* 4 &* lanes)
        }
    }
}

private func finishTile(
    _ job: UnsafePointer<DotProduct>, _ row: Int, _ column: Int, _ sums: UnsafeMutablePointer<Float>
) {
    #if DL_AVX512
        let totals = dl_lane_sums16(sums)
    #else
        let totals = dl_lane_sums8(sums)
    #endif
    store(totals, sums)
    let zero = SIMD4<Float>(repeating: 0)
    for r in 0..<dotTileRows {
        let to = UnsafeMutableRawPointer(job.pointee.to + ((row &+ r) &* job.pointee.n &+ column))
        var value = UnsafeRawPointer(sums + 4 &* r).loadUnaligned(as: SIMD4<Float>.self)
        if job.pointee.accumulate { value += to.loadUnaligned(as: SIMD4<Float>.self) }
        if let bias = job.pointee.bias { value += UnsafeRawPointer(bias + column).loadUnaligned(as: SIMD4<Float>.self) }
        if job.pointee.relu { value.replace(with: zero, where: value .< zero) }
        to.storeBytes(of: value, as: SIMD4<Float>.self)
    }
}

private enum DotTile<let R: Int, let C: Int> {
    /// Adds the products from `first` to `end` to the vectors whose lanes are to be added, row by row.
    @inline(never)
    static func sum(
        _ job: UnsafePointer<DotProduct>, _ row: Int, _ column: Int, _ first: Int, _ end: Int,
        _ out: UnsafeMutablePointer<Float>, _ next: UnsafePointer<Float>, _ nextStep: Int
    ) {
        let k = job.pointee.k
        let left = job.pointee.left + row &* k
        let right = job.pointee.right + column &* k
        var sums = InlineArray<R, InlineArray<C, Vector>> { r in
            InlineArray { c in load(UnsafePointer(out) + (r &* C &+ c) &* lanes) }
        }
        var next = next
        var i = first
        while i &+ lanes <= end {
            var b = InlineArray<C, Vector> { _ in Vector(repeating: 0) }
            for c in 0..<C { b[c] = load(right + (c &* k &+ i)) }
            dl_prefetch_far(next)
            next += nextStep
            for r in 0..<R {
                let a = load(left + (r &* k &+ i))
                for c in 0..<C { sums[r][c] = fma(a, b[c], sums[r][c]) }
            }
            i &+= lanes
        }
        if i < end {
            var b = InlineArray<C, Vector> { _ in Vector(repeating: 0) }
            for c in 0..<C { b[c] = loadFirst(right + (c &* k &+ i), end &- i) }
            for r in 0..<R {
                let a = loadFirst(left + (r &* k &+ i), end &- i)
                for c in 0..<C { sums[r][c] = fma(a, b[c], sums[r][c]) }
            }
        }
        for r in 0..<R {
            for c in 0..<C { store(sums[r][c], out + (r &* C &+ c) &* lanes) }
        }
    }

    static func run(_ job: UnsafePointer<DotProduct>, _ row: Int, _ column: Int) {
        var sums = InlineArray<256, Float> { _ in 0 }
        withUnsafeMutablePointer(to: &sums) { sums in
            let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
            sum(job, row, column, 0, job.pointee.k, sums, job.pointee.left, 0)
            for r in 0..<R {
                for c in 0..<C {
                    let p = job.pointee.to + ((row &+ r) &* job.pointee.n &+ column &+ c)
                    var value = load(sums + (r &* C &+ c) &* lanes).sum()
                    if job.pointee.accumulate { value += p.pointee }
                    if let bias = job.pointee.bias { value += bias[column &+ c] }
                    p.pointee = job.pointee.relu && value < 0 ? 0 : value
                }
            }
        }
    }
}
