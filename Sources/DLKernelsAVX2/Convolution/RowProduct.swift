import CDLKernels

/// Output positions that one piece of work covers at most: its rows of the left factor stay in the second-level cache
/// while all panels pass. Where these are many more positions share them.
private let blockRowLimit = 192
private let largeBlockRowLimit = 420
private let largeRightFloats = 262_144

/// Floats of a result that is stored past the caches, and up to which summed dimension.
private let streamedFloats = 6_000_000
private let streamedDepthLimit = 192

/// Floats of the summed dimension between two visits to the output: a panel of that depth stays near the core.
let depthLimit = 640

/// The product behind convolution, its gradient and matrix multiplication, computed without copying the left factor.
///
/// Rows are the positions of a grid images x planes x rows x columns. The left factor's row at a position is the runs of input
/// floats its taps cover; the right factor is `depth` x `filters`, packed into panels of two vectors of columns
/// (the last one of one vector, if that suffices), or `filters` columns in place.
struct RowProduct {
    var images: Int
    var rows: Int
    var columns: Int

    var output: UnsafeMutablePointer<Float>
    var outputImageStride: Int
    var outputRowStride: Int
    var outputColumnStride: Int

    var input: UnsafePointer<Float>
    var inputImageStride: Int
    var inputRowStride: Int
    var inputColumnStride: Int
    /// Input position of tap 0 for output position 0, and its step from one output position to the next.
    var originY: Int
    var originX: Int
    var stepY: Int
    var stepX: Int

    /// Taps that may fall outside `inputRows` x `inputColumns` are checked and read as zeros; at most 64 taps then.
    var checked: Bool
    var tapsY: Int
    var tapsX: Int
    var tapStepY: Int
    var tapStepX: Int
    var inputRows: Int
    var inputColumns: Int

    var runs: UnsafePointer<Int>
    var runCount: Int
    var runLength: Int
    var zeros: UnsafePointer<Float>

    var filters: Int
    var panels: UnsafePointer<Float>
    /// Distance of two rows of `panels` where they are used in place, 0 where they are packed.
    var panelStride: Int
    /// Packs `panels` before they are used; nil where they are already, or are used in place.
    var source: PanelSource?
    var bias: UnsafePointer<Float>?
    var relu: Bool
    var accumulate: Bool

    /// The dimension between images and rows.
    var depth = RowDepth()

    var blockRows = 0
    var panelGroups = 1
    /// Pieces from one to the next that the same thread will probably take.
    var pieceStep = 1

    /// The result is larger than what caches keep for the next reader, is written once, whole vector by whole vector, and
    /// storing it is what takes the time.
    var streams: Bool {
        positions &* filters >= streamedFloats && summed <= streamedDepthLimit && filters % (2 &* lanes) == 0 && !accumulate
            && (outputColumnStride | outputRowStride | outputImageStride | depth.outputStride) % lanes == 0
            && Int(bitPattern: output) % (4 &* lanes) == 0
    }

    var summed: Int { runCount &* runLength }
    var positions: Int { images &* depth.planes &* rows &* columns }
    var panelCount: Int { divideUp(filters, 2 &* lanes) }

    /// Splits the work; the split depends on the problem alone.
    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let total = positions
        if total <= 0 || filters <= 0 { return }
        let work = Float(total) * Float(filters) * Float(max(summed, 1))
        let wanted = work > 16 * 150_000 ? 16 : max(1, Int(work / 150_000))
        // Panels are shared out before blocks get smaller than need be: a block reads every panel it is given once.
        let panels = panelCount
        let atMost = max(1, wanted / panels)
        let limit = summed &* filters > largeRightFloats ? largeBlockRowLimit : blockRowLimit
        blockRows = min(limit, max(24, roundUp(divideUp(total, atMost), 12)))
        // Blocks of one size, not a small one at the end.
        blockRows = roundUp(divideUp(total, divideUp(total, blockRows)), 12)
        let blocks = divideUp(total, blockRows)
        panelGroups = blocks >= wanted ? 1 : min(panels, divideUp(wanted, blocks))
        // A single block's pieces have panels of their own and pack them on the way.
        if blocks > 1 {
            source?.packAll(runtime)
            source = nil
        }
        pieceStep = max(1, Int(runtime.pointee.threads))
        inParallel(runtime, pieces: blocks &* panelGroups, &self) { job, piece in
            runPiece(job.unsafelyUnwrapped.assumingMemoryBound(to: RowProduct.self), Int(piece))
        }
    }
}

/// The planes of a volume, as rows and columns are described above; one plane, of which every tap sees one, if not told.
struct RowDepth {
    var planes = 1
    var outputStride = 0
    var inputStride = 0
    var origin = 0
    var step = 1
    var taps = 1
    var tapStep = 1
    var inputPlanes = 1
}

private typealias RowTable = InlineArray<420, TileRow>

private func runPiece(_ job: UnsafePointer<RowProduct>, _ piece: Int) {
    let groups = job.pointee.panelGroups
    let first = piece / groups &* job.pointee.blockRows
    let count = min(job.pointee.blockRows, job.pointee.positions &- first)
    let panelFirst = share(piece % groups, of: groups, job.pointee.panelCount)
    let panelEnd = share(piece % groups &+ 1, of: groups, job.pointee.panelCount)
    if let source = job.pointee.source {
        for panel in panelFirst..<panelEnd { source.pack(panel) }
    }
    var table = RowTable(repeating: TileRow(input: 0, output: job.pointee.output, valid: ~0))
    var sums = TileSums(repeating: 0)
    let none = InlineArray<32, Float>(repeating: 0)
    withUnsafeMutablePointer(to: &table) { table in
        withUnsafeMutablePointer(to: &sums) { sums in
            withUnsafePointer(to: none) { none in
                let table = UnsafeMutableRawPointer(table).assumingMemoryBound(to: TileRow.self)
                let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
                fillRows(table, job, first: first, count: count)
                let later = piece &+ job.pointee.pieceStep
                let nextPacked = job.pointee.source == nil || later >= groups || panelEnd &- panelFirst > 1
                    ? nil : share(later, of: groups, job.pointee.panelCount)
                runBlock(
                    table, count, job, panelFirst, panelEnd, nextPacked: nextPacked, sums,
                    UnsafeRawPointer(none).assumingMemoryBound(to: Float.self))
            }
        }
    }
}

/// Loops over blocks of the summed dimension, then panels, then tiles: a block of a panel stays in the first-level
/// cache for all tiles.
private func runBlock(
    _ table: UnsafePointer<TileRow>, _ count: Int, _ job: UnsafePointer<RowProduct>,
    _ panelFirst: Int, _ panelEnd: Int, nextPacked: Int?, _ sums: UnsafeMutablePointer<Float>,
    _ none: UnsafePointer<Float>
) {
    let runCount = job.pointee.runCount
    let length = job.pointee.runLength
    let depth = job.pointee.summed
    // Long runs are cut into equal parts, short ones are taken several at a time.
    let parts = length > depthLimit ? divideUp(length, depthLimit) : 1
    let visits = parts > 1 || length == 0 ? runCount : divideUp(runCount, max(1, depthLimit / length))
    let streams = job.pointee.streams && visits <= 1 && parts == 1
    var a = TileArguments(
        runs: job.pointee.runs, shift: 0, runCount: 0, firstBit: 0, length: 0, zeros: job.pointee.zeros,
        panel: job.pointee.panels, panelStride: 0, ragged: false, columns: 0, outputOffset: 0, accumulate: false,
        start: none, both: false, relu: false, streams: streams, next: UnsafeRawPointer(none), nextStep: 0)
    let asksForPanels = job.pointee.panelStride == 0 && depth &* job.pointee.filters > largeRightFloats
    defer { if streams { dl_stream_fence() } }
    var run = 0
    var visit = 0
    repeat {
        let taken = share(visit &+ 1, of: max(1, visits), runCount) &- run
        visit &+= 1
        for part in 0..<parts {
            let start = share(part, of: parts, length)
            let isFirst = run == 0 && part == 0
            let isLast = run &+ taken >= runCount && part &+ 1 == parts
            let bias = isFirst ? job.pointee.bias : nil
            a.runs = job.pointee.runs + run
            a.firstBit = run
            a.runCount = taken
            a.shift = start &* 4
            a.length = share(part &+ 1, of: parts, length) &- start
            a.accumulate = job.pointee.accumulate || !isFirst
            a.relu = job.pointee.relu && isLast
            for panel in panelFirst..<panelEnd {
                let offset = panel &* 2 &* lanes
                let columns = min(2 &* lanes, job.pointee.filters &- offset)
                let vectors = columns > lanes ? 2 : 1
                let row = run &* length &+ start
                if job.pointee.panelStride == 0 {
                    a.panel = job.pointee.panels + (offset &* depth &+ row &* vectors &* lanes)
                    a.panelStride = vectors &* lanes
                } else {
                    a.panel = job.pointee.panels + (row &* job.pointee.panelStride &+ offset)
                    a.panelStride = job.pointee.panelStride
                }
                a.columns = columns
                a.ragged = job.pointee.panelStride != 0 && columns < vectors &* lanes
                a.outputOffset = offset
                a.start = bias.map { $0 + offset } ?? none
                a.both = a.accumulate && bias != nil
                let step = tileRows(vectors: vectors)
                let isFirstPanel = panel == panelFirst
                // A right factor that fills the cache is fetched a panel ahead, spread over the tiles of this one.
                let fetched = asksForPanels && panel &+ 1 < panelEnd ? divideUp(8 &* lanes, divideUp(count, step)) : 0
                let nextPanel = UnsafeRawPointer(a.panel + 2 &* lanes &* depth)
                a.next = nextPanel
                a.nextStep = fetched
                var row0 = 0
                while row0 < count {
                    if let nextPacked, let source = job.pointee.source, row0 < 4 &* step,
                        let next = source.line(row0 / step, of: nextPacked, row: row)
                    {
                        a.next = next.first
                        a.nextStep = next.step
                    } else if isFirstPanel {
                        askForRows(table, row0 &+ step, of: count, tileRows: step, length: length, &a)
                    } else if fetched > 0 {
                        a.next = nextPanel + row0 / step &* fetched &* taken &* a.length
                    }
                    runTile(table + row0, count: min(step, count &- row0), vectors: vectors, &a, sums)
                    row0 &+= step
                }
            }
        }
        run &+= taken
    } while run < runCount
}

/// Lets the first pass over the rows fetch those of the next tile, where they lie one after another.
@inline(__always)
private func askForRows(
    _ table: UnsafePointer<TileRow>, _ row: Int, of count: Int, tileRows: Int, length: Int, _ a: inout TileArguments
) {
    a.nextStep = 0
    if row >= count { return }
    let from = table[row].input
    if from &- table[row &- tileRows].input != tileRows &* length &* 4 { return }
    a.next = UnsafeRawPointer(bitPattern: from).unsafelyUnwrapped
    // A tile's rows have as many lines as three quarters of its floats in a row.
    a.nextStep = 64
}

/// Where each position of the block reads and writes, and which taps lie inside the input.
private func fillRows(
    _ table: UnsafeMutablePointer<TileRow>, _ job: UnsafePointer<RowProduct>, first: Int, count: Int
) {
    let columns = job.pointee.columns
    let rows = job.pointee.rows
    var x = first % columns
    var y = first / columns % rows
    let planes = job.pointee.depth.planes
    var z = first / columns / rows % planes
    var image = first / columns / rows / planes
    let input = Int(bitPattern: job.pointee.input)
    for i in 0..<count {
        let inputY = y &* job.pointee.stepY &+ job.pointee.originY
        let inputX = x &* job.pointee.stepX &+ job.pointee.originX
        let inputZ = z &* job.pointee.depth.step &+ job.pointee.depth.origin
        let from = image &* job.pointee.inputImageStride &+ inputZ &* job.pointee.depth.inputStride
            &+ inputY &* job.pointee.inputRowStride &+ inputX &* job.pointee.inputColumnStride
        let to = image &* job.pointee.outputImageStride &+ z &* job.pointee.depth.outputStride
            &+ y &* job.pointee.outputRowStride &+ x &* job.pointee.outputColumnStride
        table[i].input = input &+ from &* 4
        table[i].output = job.pointee.output + to
        table[i].valid = job.pointee.checked ? validTaps(job, inputZ, inputY, inputX) : ~0
        x &+= 1
        if x == columns {
            x = 0
            y &+= 1
            if y == rows {
                y = 0
                z &+= 1
                if z == planes {
                    z = 0
                    image &+= 1
                }
            }
        }
    }
}

private func validTaps(_ job: UnsafePointer<RowProduct>, _ inputZ: Int, _ inputY: Int, _ inputX: Int) -> UInt64 {
    let height = UInt(bitPattern: job.pointee.inputRows)
    let width = UInt(bitPattern: job.pointee.inputColumns)
    let lastX = inputX &+ (job.pointee.tapsX &- 1) &* job.pointee.tapStepX
    let lastY = inputY &+ (job.pointee.tapsY &- 1) &* job.pointee.tapStepY
    let depth = job.pointee.depth
    let isFlat = depth.taps == 1 && depth.inputPlanes == 1 && inputZ == 0
    if isFlat && UInt(bitPattern: inputX) < width && UInt(bitPattern: lastX) < width && UInt(bitPattern: inputY) < height
        && UInt(bitPattern: lastY) < height
    {
        return ~0
    }
    var across: UInt64 = 0
    for t in 0..<job.pointee.tapsX where UInt(bitPattern: inputX &+ t &* job.pointee.tapStepX) < width {
        across |= 1 &<< UInt64(truncatingIfNeeded: t)
    }
    var plane: UInt64 = 0
    for t in 0..<job.pointee.tapsY where UInt(bitPattern: inputY &+ t &* job.pointee.tapStepY) < height {
        plane |= across &<< UInt64(truncatingIfNeeded: t &* job.pointee.tapsX)
    }
    if isFlat { return plane }
    let planeTaps = job.pointee.tapsY &* job.pointee.tapsX
    var valid: UInt64 = 0
    for t in 0..<depth.taps where UInt(bitPattern: inputZ &+ t &* depth.tapStep) < UInt(bitPattern: depth.inputPlanes) {
        valid |= plane &<< UInt64(truncatingIfNeeded: t &* planeTaps)
    }
    return valid
}
