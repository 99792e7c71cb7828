import CDLKernels

/// Where one row of a tile (one output pixel, or one row of a matrix) reads and writes.
struct TileRow {
    /// Address of the first float of run 0. It may lie outside the input where `valid` says so.
    var input: Int
    /// First output element of the row, before the panel's offset is added.
    var output: UnsafeMutablePointer<Float>
    /// Bit t tells that run t lies inside the input; the others read zeros.
    var valid: UInt64
}

/// What all tiles of one panel and one block of the summed dimension have in common.
///
/// A row of the left factor is a sequence of runs: stretches of contiguous floats at offsets that are the same
/// for every row. The right factor is a panel, one row of `V` vectors for each float of the runs.
struct TileArguments {
    /// Byte offset of each run from a row's input address; `shift` is added to all.
    var runs: UnsafePointer<Int>
    var shift: Int
    var runCount: Int
    /// Bit number of the first run in `TileRow.valid`.
    var firstBit: Int
    /// Floats taken from each run.
    var length: Int
    /// At least `length` zeros.
    var zeros: UnsafePointer<Float>
    var panel: UnsafePointer<Float>
    var panelStride: Int
    /// The panel's rows end with its last column, so nothing is read past it.
    var ragged: Bool
    /// Columns of the panel that exist, 1 ... V * lanes.
    var columns: Int
    /// Offset of the panel's first column in an output row.
    var outputOffset: Int
    /// The sums begin with what the output holds, or with the columns at `start`: the bias or zeros.
    var accumulate: Bool
    var start: UnsafePointer<Float>
    /// With both.
    var both: Bool
    var relu: Bool
    /// Whole panels are stored past the caches.
    var streams: Bool
    /// Memory that is read soon, and how many bytes of it to ask for with each float of the runs.
    var next: UnsafeRawPointer
    var nextStep: Int
}

/// Room for the sums of the largest tile.
typealias TileSums = InlineArray<512, Float>

/// A block of R output rows by V vectors of columns that stays in registers while the whole summed dimension
/// passes by: R broadcasts and V loads feed R * V multiply-adds.
enum Tile<let R: Int, let V: Int> {
    /// Whole panels go from the registers to the output, the others to `out`, for `finishTile`; the result tells. (More work
    /// in the loops below would keep LLVM from unrolling them, and then from holding the sums in registers.)
    @inline(never)
    static func sum(
        _ rows: UnsafePointer<TileRow>, _ a: UnsafePointer<TileArguments>, _ out: UnsafeMutablePointer<Float>
    ) -> Bool {
        if a.pointee.columns == V &* lanes && !a.pointee.both {
            sum(rows, a, out, whole: true, ragged: false)
            return true
        }
        if a.pointee.ragged {
            sum(rows, a, out, whole: false, ragged: true)
        } else {
            sum(rows, a, out, whole: false, ragged: false)
        }
        return false
    }

    @inline(__always)
    private static func sum(
        _ rows: UnsafePointer<TileRow>, _ a: UnsafePointer<TileArguments>, _ out: UnsafeMutablePointer<Float>,
        whole: Bool, ragged: Bool
    ) {
        var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        let length = a.pointee.length
        let stride = a.pointee.panelStride
        let zeros = Int(bitPattern: a.pointee.zeros)
        let last = a.pointee.columns &- (V &- 1) &* lanes
        var w = a.pointee.panel
        var some = UInt64(0)
        for r in 0..<R { some |= rows[r].valid }
        var next = a.pointee.next
        let nextStep = a.pointee.nextStep
        // What is written at the end is near by then.
        if whole && !a.pointee.streams {
            for r in 0..<R {
                let y = rows[r].output + a.pointee.outputOffset
                for v in 0..<V { dl_prefetch_far(y + v &* lanes) }
            }
        }
        for run in 0..<a.pointee.runCount {
            let offset = a.pointee.runs[run] &+ a.pointee.shift
            let bit = UInt64(truncatingIfNeeded: a.pointee.firstBit &+ run)
            if (some &>> bit) & 1 == 0 {
                w += length &* stride
                continue
            }
            var x = InlineArray<R, UnsafePointer<Float>> { _ in a.pointee.zeros }
            for r in 0..<R {
                let inside = (rows[r].valid &>> bit) & 1 != 0
                let address = inside ? rows[r].input &+ offset : zeros
                x[r] = UnsafePointer<Float>(bitPattern: address).unsafelyUnwrapped
            }
            var k = 0
            while k < length {
                var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
                for v in 0..<V &- 1 { right[v] = load(w + v &* lanes) }
                let tail = w + (V &- 1) &* lanes
                right[V &- 1] = ragged ? loadFirst(tail, last) : load(tail)
                dl_prefetch_far(next)
                next += nextStep
                for r in 0..<R {
                    let left = Vector(repeating: x[r][k])
                    for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
                }
                w += stride
                k &+= 1
            }
        }
        if whole {
            let floor = Vector(repeating: a.pointee.relu ? 0 : -Float.infinity)
            // Written out: LLVM would not unroll the loop, and then keep the sums in memory all the time.
            if R > 0 { put(sums[0], rows + 0, a, floor) }
            if R > 1 { put(sums[1], rows + 1, a, floor) }
            if R > 2 { put(sums[2], rows + 2, a, floor) }
            if R > 3 { put(sums[3], rows + 3, a, floor) }
            if R > 4 { put(sums[4], rows + 4, a, floor) }
            if R > 5 { put(sums[5], rows + 5, a, floor) }
            if R > 6 { put(sums[6], rows + 6, a, floor) }
            if R > 7 { put(sums[7], rows + 7, a, floor) }
            if R > 8 { put(sums[8], rows + 8, a, floor) }
            if R > 9 { put(sums[9], rows + 9, a, floor) }
            if R > 10 { put(sums[10], rows + 10, a, floor) }
            if R > 11 { put(sums[11], rows + 11, a, floor) }
        } else {
            for r in 0..<R {
                for v in 0..<V { store(sums[r][v], out + (r &* V &+ v) &* lanes) }
            }
        }
    }
}

@inline(__always)
private func put<let V: Int>(
    _ sums: InlineArray<V, Vector>, _ row: UnsafePointer<TileRow>, _ a: UnsafePointer<TileArguments>, _ floor: Vector
) {
    let y = row.pointee.output + a.pointee.outputOffset
    let start = a.pointee.accumulate ? UnsafePointer(y) : a.pointee.start
    if a.pointee.streams {
        for v in 0..<V { stream(maximum(floor, sums[v] + load(start + v &* lanes)), y + v &* lanes) }
    } else {
        for v in 0..<V { store(maximum(floor, sums[v] + load(start + v &* lanes)), y + v &* lanes) }
    }
}

/// Adds the bias, applies the activation and writes `count` rows of a tile of `vectors` vectors.
@inline(never)
func finishTile(
    _ sums: UnsafePointer<Float>, rows: UnsafePointer<TileRow>, count: Int, vectors: Int, _ a: UnsafePointer<TileArguments>
) {
    let floor = Vector(repeating: a.pointee.relu ? 0 : -Float.infinity)
    let accumulate = a.pointee.accumulate
    for v in 0..<vectors {
        let at = v &* lanes
        let columns = a.pointee.columns &- at
        if columns <= 0 { return }
        for r in 0..<count {
            let y = rows[r].output + (a.pointee.outputOffset &+ at)
            var value = load(sums + (r &* vectors &* lanes &+ at))
            if accumulate { value += loadFirst(y, columns) }
            if !accumulate || a.pointee.both { value += loadFirst(a.pointee.start + at, columns) }
            storeFirst(maximum(floor, value), y, columns)
        }
    }
}
