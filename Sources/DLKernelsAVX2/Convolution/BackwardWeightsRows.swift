import CDLKernels

/// Bytes of x and dy that one slab of positions has: every tile of the gradient passes over it before the next.
private let slabBytes = 786_432

/// Where dw is smaller than this, groups of slabs are summed apart and added at the end, so that there is enough to do
/// at the same time.
private let partialBytes = 262_144

/// dw = x^T dy as a matrix product over positions. Rows of dw are consecutive floats of x: a tap's channels, or, where
/// there are few of them, a kernel row's taps and channels, for which x is copied with its padding.
private struct WeightsJob {
    let s: Sizes
    let merged: Bool
    let copied: Bool
    let runCount: Int
    let runLength: Int
    /// A slab is `slabImages` whole images, or `slabRows` output rows of one image.
    let slabImages: Int
    let slabRows: Int
    let slabs: Int
    /// Groups of slabs with a gradient of their own, and pieces that share the tiles of each.
    let groups: Int
    let splits: Int
    let tiles: Int
    let panels: Int
    let wideTiles: Int
    let narrowTiles: Int
    let partials: UnsafeMutablePointer<Float>
    let input: UnsafeMutablePointer<Float>
    let bytes: Int
    var x: UnsafePointer<Float>?
    var dy: UnsafePointer<Float>?
    var to: UnsafeMutablePointer<Float>?
    var toStride = 0

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        var cursor = ScratchCursor(memory)
        self.s = s
        merged = s.groups == 1 && s.dilationX == 1 && (s.channels < checkedChannels || !s.isPadded)
        copied = merged && s.isPadded
        runCount = merged ? s.kernelY : s.kernelY &* s.kernelX
        runLength = merged ? s.kernelX &* s.channels : s.groupChannels
        panels = divideUp(s.groupFilters, 2 &* lanes)
        wideTiles = divideUp(runLength, weightTileRows(vectors: 2))
        narrowTiles = divideUp(runLength, weightTileRows(vectors: 1))
        let lastIsNarrow = s.groupFilters &- (panels &- 1) &* 2 &* lanes <= lanes
        tiles = runCount &* ((panels &- 1) &* wideTiles &+ (lastIsNarrow ? narrowTiles : wideTiles))

        let rowBytes = 4 &* (s.width &* s.channels &* s.strideY &+ s.outputWidth &* s.filters)
        let imageBytes = rowBytes &* s.outputHeight
        let weights = s.kernelY &* s.kernelX &* s.groupChannels &* s.groupFilters
        let work = Float(s.batch &* s.outputHeight &* s.outputWidth) * Float(weights)
        let wanted = work > 16 * 200_000 ? 16 : max(1, Int(work / 200_000))
        let apart = weights &* 4 <= partialBytes ? wanted : 1
        if imageBytes &* 2 <= slabBytes || s.outputHeight == 1 {
            slabImages = max(1, min(slabBytes / max(imageBytes, 1), s.batch / apart))
            slabRows = s.outputHeight
            slabs = divideUp(s.batch, slabImages)
        } else {
            slabImages = 1
            slabRows = max(1, min(s.outputHeight, slabBytes / rowBytes))
            slabs = s.batch &* divideUp(s.outputHeight, slabRows)
        }
        groups = min(apart, slabs)
        splits = groups >= wanted ? 1 : min(tiles, divideUp(wanted, groups))
        partials = cursor.floats(groups > 1 ? groups &* weights : 0)
        input = cursor.floats(copied ? s.batch &* s.windowHeight &* s.windowWidth &* s.channels : 0)
        bytes = cursor.bytes
    }
}

func backwardWeightsRowsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    WeightsJob(Sizes(problem), nil).bytes
}

func backwardWeightsRows(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    var job = WeightsJob(s, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let dy = call.pointee.dy,
        let dw = call.pointee.result
    else { return }
    if job.copied {
        var copy = PaddedCopy(
            from: x, images: s.batch, rows: s.height, columns: s.width, channels: s.channels, to: job.input,
            originY: 0 &- s.padTop, originX: 0 &- s.padLeft, toRows: s.windowHeight, toColumns: s.windowWidth)
        copy.run(runtime)
    }
    for group in 0..<s.groups {
        job.x = (job.copied ? UnsafePointer(job.input) : x) + group &* s.groupChannels
        job.dy = dy + group &* s.groupFilters
        job.to = job.groups > 1 ? job.partials : dw + group &* s.groupFilters
        job.toStride = job.groups > 1 ? s.groupFilters : s.filters
        inParallel(runtime, pieces: job.groups &* job.splits, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WeightsJob.self)
            weightsPiece(job, group: Int(piece) / job.pointee.splits, split: Int(piece) % job.pointee.splits)
        }
        if job.groups > 1 {
            var sum = SumPartials(
                partials: job.partials, count: job.groups, rows: s.kernelY &* s.kernelX &* s.groupChannels,
                columns: s.groupFilters, to: dw + group &* s.groupFilters, stride: s.filters)
            sum.run(runtime)
        }
    }
}

/// Adds `count` matrices one after another, always in the same order.
struct SumPartials {
    var partials: UnsafePointer<Float>
    var count: Int
    var rows: Int
    var columns: Int
    var to: UnsafeMutablePointer<Float>
    var stride: Int

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let work = rows &* columns &* count
        var job = (self, max(1, min(min(rows, 8), work / 65536)))
        inParallel(runtime, pieces: job.1, &job) { job, piece in
            let (sum, pieces) = job.unsafelyUnwrapped.assumingMemoryBound(to: (SumPartials, Int).self).pointee
            let size = sum.rows &* sum.columns
            for row in share(Int(piece), of: pieces, sum.rows)..<share(Int(piece) &+ 1, of: pieces, sum.rows) {
                var column = 0
                while column < sum.columns {
                    let left = sum.columns &- column
                    var from = sum.partials + (row &* sum.columns &+ column)
                    var total = loadFirst(from, left)
                    for _ in 1..<sum.count {
                        from += size
                        total += loadFirst(from, left)
                    }
                    storeFirst(total, sum.to + (row &* sum.stride &+ column), left)
                    column &+= lanes
                }
            }
        }
    }
}

private func weightsPiece(_ job: UnsafePointer<WeightsJob>, group: Int, split: Int) {
    let s = job.pointee.s
    guard let base = job.pointee.to else { return }
    let to = job.pointee.groups > 1
        ? base + group &* s.kernelY &* s.kernelX &* s.groupChannels &* s.groupFilters : base
    let firstTile = share(split, of: job.pointee.splits, job.pointee.tiles)
    let endTile = share(split &+ 1, of: job.pointee.splits, job.pointee.tiles)
    let firstSlab = share(group, of: job.pointee.groups, job.pointee.slabs)
    let endSlab = share(group &+ 1, of: job.pointee.groups, job.pointee.slabs)
    var sums = TileSums(repeating: 0)
    withUnsafeMutablePointer(to: &sums) { sums in
        let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
        for slab in firstSlab..<endSlab {
            for tile in firstTile..<endTile {
                weightsTile(job, slab: slab, tile: tile, to: to, add: slab > firstSlab, sums)
            }
        }
    }
}

/// Tiles are numbered panel by panel, in a panel run by run.
private func weightsTile(
    _ job: UnsafePointer<WeightsJob>, slab: Int, tile: Int, to: UnsafeMutablePointer<Float>, add: Bool,
    _ sums: UnsafeMutablePointer<Float>
) {
    let s = job.pointee.s
    guard let x = job.pointee.x, let dy = job.pointee.dy else { return }
    let panelTiles = job.pointee.runCount &* job.pointee.wideTiles
    let panel = min(tile / panelTiles, job.pointee.panels &- 1)
    let filters = min(2 &* lanes, s.groupFilters &- panel &* 2 &* lanes)
    let vectors = filters > lanes ? 2 : 1
    let runTiles = vectors == 2 ? job.pointee.wideTiles : job.pointee.narrowTiles
    let within = tile &- panel &* panelTiles
    let run = within / runTiles
    let first = share(within % runTiles, of: runTiles, job.pointee.runLength)
    let end = share(within % runTiles &+ 1, of: runTiles, job.pointee.runLength)

    var image = slab &* job.pointee.slabImages
    var rowLow = 0
    var rowHigh = s.outputHeight
    if job.pointee.slabRows < s.outputHeight {
        let perImage = divideUp(s.outputHeight, job.pointee.slabRows)
        image = slab / perImage
        rowLow = slab % perImage &* job.pointee.slabRows
        rowHigh = min(s.outputHeight, rowLow &+ job.pointee.slabRows)
    }
    let tapY = job.pointee.merged ? run : run / s.kernelX
    let tapX = job.pointee.merged ? 0 : run % s.kernelX
    var columnLow = 0
    var columnHigh = s.outputWidth
    var offsetY = tapY &* s.dilationY
    var offsetX = tapX &* s.dilationX
    var height = s.windowHeight
    var width = s.windowWidth
    if !job.pointee.copied {
        height = s.height
        width = s.width
        offsetY &-= s.padTop
        offsetX &-= s.padLeft
        rowLow = max(rowLow, ceilingDivide(0 &- offsetY, s.strideY))
        rowHigh = min(rowHigh, ceilingDivide(height &- offsetY, s.strideY))
        if !job.pointee.merged {
            columnLow = max(0, ceilingDivide(0 &- offsetX, s.strideX))
            columnHigh = min(columnHigh, ceilingDivide(width &- offsetX, s.strideX))
        }
    }
    let empty = rowLow >= rowHigh || columnLow >= columnHigh
    let xRow = width &* s.channels
    let xStart = empty ? 0 : (image &* height &+ rowLow &* s.strideY &+ offsetY) &* xRow
        &+ (columnLow &* s.strideX &+ offsetX) &* s.channels &+ first
    let dyStart = empty ? 0 : ((image &* s.outputHeight &+ rowLow) &* s.outputWidth &+ columnLow) &* s.filters
    var a = WeightTileArguments(
        x: x + xStart, dy: dy + (dyStart &+ panel &* 2 &* lanes),
        images: empty ? 0 : min(job.pointee.slabImages, s.batch &- image), rows: rowHigh &- rowLow,
        columns: columnHigh &- columnLow, xImageStep: height &* xRow, xRowStep: s.strideY &* xRow,
        xColumnStep: s.strideX &* s.channels, dyImageStep: s.outputHeight &* s.outputWidth &* s.filters,
        dyRowStep: s.outputWidth &* s.filters, dyColumnStep: s.filters, filters: filters)
    let row = run &* job.pointee.runLength &+ first
    runWeightTile(
        &a, rows: end &- first, vectors: vectors,
        to: to + (row &* job.pointee.toStride &+ panel &* 2 &* lanes), stride: job.pointee.toStride, add: add, sums)
}
