import CDLKernels

/// c[m][n] = left^T right with left [k][m] and right [k][n]: the gradient of a dense layer's kernel, which is that of a
/// convolution with one tap over k positions.
struct OuterProduct {
    var left: UnsafePointer<Float>
    var right: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var k: Int
    var accumulate: Bool
    fileprivate var pieces = 1

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

    /// Depth up to which both factors are read where they are, all of it for each tile.
    private static let shallow = 256

    static func scratch(m: Int, n: Int, k: Int, _ cursor: inout ScratchCursor) -> WeightsScratch? {
        if k <= shallow { return nil }
        let s = Sizes(positions: k, channels: m, filters: n)
        return WeightsScratch(s, WeightsPlan(s), &cursor)
    }

    mutating func run(_ scratch: WeightsScratch?, _ runtime: UnsafePointer<dl_runtime>) {
        if k <= streamedDepth {
            runStreamed(runtime)
            return
        }
        if k <= Self.shallow {
            let work = Float(m) * Float(n) * Float(k)
            pieces = min(tiles, work > 16 * 150_000 ? 16 : max(1, Int(work / 150_000)))
            inParallel(runtime, pieces: pieces, &self) { job, piece in
                let job = job.unsafelyUnwrapped.assumingMemoryBound(to: OuterProduct.self)
                outerPiece(
                    job, first: share(Int(piece), of: job.pointee.pieces, job.pointee.tiles),
                    end: share(Int(piece) &+ 1, of: job.pointee.pieces, job.pointee.tiles))
            }
            return
        }
        guard let scratch else { return }
        let s = Sizes(positions: k, channels: m, filters: n)
        var job = WeightsJob(
            s: s, plan: WeightsPlan(s), scratch: scratch, x: left, dy: right, to: to, toStride: n, accumulate: accumulate)
        job.run(to: to, runtime)
    }
}

private func outerPiece(_ job: UnsafePointer<OuterProduct>, first: Int, end: Int) {
    let m = job.pointee.m
    let n = job.pointee.n
    let k = job.pointee.k
    let wide = job.pointee.wideStrips &* job.pointee.widePanels
    var sums = TileSums(repeating: 0)
    withUnsafeMutablePointer(to: &sums) { sums in
        let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
        for tile in first..<end {
            let vectors = tile < wide ? 2 : 1
            let strips = vectors == 2 ? job.pointee.wideStrips : job.pointee.narrowStrips
            let strip = vectors == 2 ? tile / job.pointee.widePanels : tile &- wide
            let panel = vectors == 2 ? tile % job.pointee.widePanels : job.pointee.widePanels
            let row = share(strip, of: strips, m)
            let rows = share(strip &+ 1, of: strips, m) &- row
            let column = panel &* 2 &* lanes
            let filters = min(vectors &* lanes, n &- column)
            var a = WeightTileArguments(
                x: job.pointee.left + row, dy: job.pointee.right + column, images: 1, rows: 1, columns: k, xImageStep: 0,
                xRowStep: 0, xColumnStep: m, dyImageStep: 0, dyRowStep: 0, dyColumnStep: n, filters: filters,
                next: job.pointee.left, nextStep: 0)
            runWeightTile(
                &a, rows: rows, vectors: vectors, to: job.pointee.to + (row &* n &+ column), stride: n, filters: filters,
                add: job.pointee.accumulate, sums)
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

private func streamRow(_ job: UnsafePointer<OuterProduct>, _ row: Int) {
    switch job.pointee.k {
    case 1: StreamedRow<1>.run(job, row)
    case 2: StreamedRow<2>.run(job, row)
    case 3: StreamedRow<3>.run(job, row)
    default: StreamedRow<4>.run(job, row)
    }
}

private enum StreamedRow<let D: Int> {
    @inline(never)
    static func run(_ job: UnsafePointer<OuterProduct>, _ row: Int) {
        let n = job.pointee.n
        let m = job.pointee.m
        let left = job.pointee.left + row
        let right = job.pointee.right
        let to = job.pointee.to + row &* n
        let factors = InlineArray<D, Vector> { i in Vector(repeating: left[i &* m]) }
        let accumulate = job.pointee.accumulate
        let zero = Vector(repeating: 0)
        var column = 0
        while column &+ lanes <= n {
            var sum = accumulate ? load(to + column) : zero
            for i in 0..<D { sum = fma(factors[i], load(right + (i &* n &+ column)), sum) }
            store(sum, to + column)
            column &+= lanes
        }
        let count = n &- column
        if count > 0 {
            var sum = accumulate ? loadFirst(to + column, count) : zero
            for i in 0..<D { sum = fma(factors[i], loadFirst(right + (i &* n &+ column), count), sum) }
            storeFirst(sum, to + column, count)
        }
    }
}
