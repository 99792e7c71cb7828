import CDLKernels

/// The kernel w [T][T][C][F] as the right factors of the products: for each panel of two vectors of columns (the last of one,
/// where that suffices), each chunk of the summed channels and each stream a matrix [chunk][panel width].
///
/// Backward to data the columns are C, the summed channels F, and the taps run backwards.
struct WinogradFactor {
    let w: UnsafePointer<Float>
    /// Channels of w, whichever way it is read.
    let channels, filters: Int
    let backward: Bool
    let depth, columns: Int
    let chunk, chunks: Int
    let form: WinogradForm

    init(w: UnsafePointer<Float>, channels: Int, filters: Int, backward: Bool, chunk: Int, chunks: Int, form: WinogradForm) {
        self.w = w
        self.channels = channels
        self.filters = filters
        self.backward = backward
        depth = backward ? filters : channels
        columns = backward ? channels : filters
        self.chunk = chunk
        self.chunks = chunks
        self.form = form
    }

    var streams: Int { form.streams }
    var panels: Int { divideUp(columns, 2 &* lanes) }

    @inline(__always)
    func vectors(_ panel: Int) -> Int { columns &- panel &* 2 &* lanes > lanes ? 2 : 1 }

    @inline(__always)
    func block(_ panel: Int) -> WinogradBlock {
        WinogradBlock(tiles: chunk, width: vectors(panel) &* lanes, streams: streams)
    }

    /// Floats of one panel of two vectors; the last may have less.
    var panelFloats: Int { chunks &* WinogradBlock(tiles: chunk, width: 2 &* lanes, streams: streams).chunkStride }

    @inline(__always)
    func chunkLength(_ q: Int) -> Int { min(chunk, depth &- q &* chunk) }
}

/// How many rows ahead of its use the kernel is fetched.
private let fetchedRows = 6

/// Room for 25 taps of a square of weights, as columns.
typealias WinogradTurned = InlineArray<6400, Float>

extension Winograd {
    /// Transforms rows `first` ..< `end` of chunk `q` of one panel; `to` is where the chunk begins.
    static func kernelRows(
        _ f: WinogradFactor, panel: Int, chunk q: Int, first: Int, end: Int, to: UnsafeMutablePointer<Float>
    ) {
        let block = f.block(panel)
        let column = panel &* 2 &* lanes
        let k0 = q &* f.chunk
        let tapStride = f.channels &* f.filters
        if !f.backward {
            for k in first..<end {
                let row = f.w + ((k0 &+ k) &* f.filters &+ column)
                // The rows lie far apart: nothing but this fetches them in time.
                for tap in 0..<T &* T {
                    let ahead = UnsafeRawPointer(row) + 4 &* (tap &* tapStride &+ fetchedRows &* f.filters)
                    dl_prefetch(ahead)
                    dl_prefetch(ahead + 4 &* lanes)
                }
                for v in 0..<f.vectors(panel) {
                    let present = min(lanes, f.columns &- column &- v &* lanes)
                    let target = to + (k &* block.width &+ v &* lanes)
                    if present == lanes {
                        kernelWhole(row + v &* lanes, tapStride, target, block.streamStride)
                    } else {
                        kernelPart(row + v &* lanes, tapStride, present, target, block.streamStride)
                    }
                }
            }
            return
        }
        var turned = WinogradTurned { _ in 0 }
        withUnsafeMutablePointer(to: &turned) { turned in
            let turned = UnsafeMutableRawPointer(turned).assumingMemoryBound(to: Float.self)
            var k = first
            while k < end {
                let rows = min(lanes, end &- k)
                for v in 0..<f.vectors(panel) {
                    let c = column &+ v &* lanes
                    for tap in 0..<T &* T {
                        // The last tap of the kernel is the first of the turned one.
                        transposeBlock(
                            f.w + ((T &* T &- 1 &- tap) &* tapStride &+ c &* f.filters &+ k0 &+ k), stride: f.filters,
                            rows: min(lanes, f.columns &- c), columns: rows, turned + tap &* lanes &* lanes, toStride: lanes)
                    }
                    for r in 0..<rows {
                        kernelWhole(
                            turned + r &* lanes, lanes &* lanes, to + ((k &+ r) &* block.width &+ v &* lanes),
                            block.streamStride)
                    }
                }
                k &+= lanes
            }
        }
    }

    @inline(never)
    private static func kernelWhole(
        _ w: UnsafePointer<Float>, _ tapStride: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        kernelVector(w, tapStride, nil, to, stride)
    }

    @inline(never)
    private static func kernelPart(
        _ w: UnsafePointer<Float>, _ tapStride: Int, _ present: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        kernelVector(w, tapStride, present, to, stride)
    }

    @inline(__always)
    private static func kernelVector(
        _ w: UnsafePointer<Float>, _ tapStride: Int, _ present: Int?, _ to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        var rows = InlineArray<I, Taps> { _ in Taps { _ in Vector(repeating: 0) } }
        for j in 0..<T {
            var column = Taps { _ in Vector(repeating: 0) }
            for i in 0..<T {
                let p = w + (i &* T &+ j) &* tapStride
                if let present {
                    column[i] = loadFirst(p, present)
                } else {
                    column[i] = load(p)
                }
            }
            let t = kernel(column)
            for i in 0..<I { rows[i][j] = t[i] }
        }
        for i in 0..<I {
            let t = kernel(rows[i])
            for j in 0..<I { store(t[j], to + (i &* I &+ j) &* stride) }
        }
    }
}
