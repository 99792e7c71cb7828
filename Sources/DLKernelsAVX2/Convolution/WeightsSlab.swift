import CDLKernels

/// One of the pieces of `WeightsPlan`: its panels and tiles over its slabs.
func weightsPiece(_ job: UnsafePointer<WeightsJob>, _ piece: Int) {
    let tileSplits = job.pointee.plan.tileSplits
    let panelSplits = job.pointee.plan.panelSplits
    let group = piece / (tileSplits &* panelSplits)
    let panelSplit = piece / tileSplits % panelSplits
    let weights = job.pointee.plan.runCount &* job.pointee.plan.runLength &* job.pointee.s.groupFilters
    let firstSlab = share(group, of: job.pointee.plan.groups, job.pointee.plan.slabs)
    let endSlab = share(group &+ 1, of: job.pointee.plan.groups, job.pointee.plan.slabs)
    var sums = TileSums(repeating: 0)
    withUnsafeMutablePointer(to: &sums) { sums in
        var slab = WeightsSlab(
            job: job, sums: UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self),
            to: job.pointee.to + (job.pointee.plan.groups > 1 ? group &* weights : 0),
            panel: job.pointee.scratch.panels + piece &* job.pointee.scratch.panelFloats,
            tiles: job.pointee.scratch.tiles + piece &* job.pointee.scratch.tileFloats, tileSplit: piece % tileSplits,
            panelFirst: share(panelSplit, of: panelSplits, job.pointee.plan.panels),
            panelEnd: share(panelSplit &+ 1, of: panelSplits, job.pointee.plan.panels))
        for index in firstSlab..<endSlab {
            slab.place(index)
            slab.add = index > firstSlab || (job.pointee.accumulate && job.pointee.plan.groups == 1)
            slab.hasNext = index &+ 1 < endSlab
            slab.ahead = slab.hasNext && tileSplits &* panelSplits == 1
            slab.sumPanels()
        }
    }
}

/// One slab of positions and where its sums go.
private struct WeightsSlab {
    let job: UnsafePointer<WeightsJob>
    let sums: UnsafeMutablePointer<Float>
    let to: UnsafeMutablePointer<Float>
    let panel: UnsafeMutablePointer<Float>
    let tiles: UnsafeMutablePointer<Float>
    let tileSplit: Int
    let panelFirst: Int
    let panelEnd: Int
    var add = false
    /// The next slab is read by this piece alone, so its memory is asked for while this one is summed.
    var ahead = false
    var hasNext = false
    /// The volume that has the slab's planes, 0 where they are pictures of the batch.
    var volume = 0
    var image = 0
    var images = 0
    var rowLow = 0
    var rowHigh = 0
    var columns = 0
    /// Input rows of the packed tiles.
    var windowLow = 0
    var windowHigh = 0

    init(
        job: UnsafePointer<WeightsJob>, sums: UnsafeMutablePointer<Float>, to: UnsafeMutablePointer<Float>,
        panel: UnsafeMutablePointer<Float>, tiles: UnsafeMutablePointer<Float>, tileSplit: Int, panelFirst: Int,
        panelEnd: Int
    ) {
        self.job = job
        self.sums = sums
        self.to = to
        self.panel = panel
        self.tiles = tiles
        self.tileSplit = tileSplit
        self.panelFirst = panelFirst
        self.panelEnd = panelEnd
    }

    mutating func place(_ index: Int) {
        let s = job.pointee.s
        let slabRows = job.pointee.plan.slabRows
        if job.pointee.plan.flat {
            images = 1
            rowLow = index &* slabRows
            rowHigh = rowLow &+ 1
            columns = min(slabRows, s.batch &* s.outputDepth &* s.outputHeight &* s.outputWidth &- rowLow)
        } else {
            let perImage = divideUp(s.outputHeight, slabRows)
            let slabImages = job.pointee.plan.slabImages
            let perVolume = divideUp(s.outputDepth, slabImages)
            volume = s.isVolume ? index / perImage / perVolume : 0
            image = (s.isVolume ? index / perImage % perVolume : index / perImage) &* slabImages
            images = min(slabImages, (s.isVolume ? s.outputDepth : s.batch) &- image)
            rowLow = index % perImage &* slabRows
            rowHigh = min(s.outputHeight, rowLow &+ slabRows)
            columns = s.outputWidth
            windowLow = max(0, rowLow &* s.strideY &- s.padTop)
            windowHigh = min(
                s.height, (rowHigh &- 1) &* s.strideY &- s.padTop &+ (s.kernelY &- 1) &* s.dilationY &+ 1)
        }
    }

    private var positions: Int { images &* (rowHigh &- rowLow) &* columns }
    /// The slab's first position among all of dy.
    private var firstPosition: Int {
        let s = job.pointee.s
        return job.pointee.plan.flat
            ? rowLow : ((volume &* s.outputDepth &+ image) &* s.outputHeight &+ rowLow) &* s.outputWidth
    }

    private func tileRange(_ runTiles: Int) -> Range<Int> {
        let all = runTiles &* job.pointee.plan.runCount
        let first = share(tileSplit, of: job.pointee.plan.tileSplits, all)
        return first..<max(first, share(tileSplit &+ 1, of: job.pointee.plan.tileSplits, all))
    }

    func sumPanels() {
        if job.pointee.plan.packed { packTiles() }
        for panel in panelFirst..<panelEnd { sumPanel(panel) }
    }

    /// Copies the piece's tiles of x, `wideTileRows` floats a position, whatever their height.
    private func packTiles() {
        let s = job.pointee.s
        let plan = job.pointee.plan
        let range = tileRange(plan.wideTiles)
        if range.isEmpty { return }
        let first = range.lowerBound / plan.runCount
        let count = (range.upperBound &- 1) / plan.runCount &+ 1 &- first
        var row = PackedRow(to: tiles, tileStep: plan.windowSize &* wideTileRows, first: first, count: count, plan: plan)
        if plan.flat {
            row.pack(job.pointee.x + rowLow &* s.channels, step: s.channels, columns: columns)
        } else if plan.runCount == 1 && !s.isPadded {
            for i in image..<image &+ images {
                for y in rowLow..<rowHigh {
                    row.pack(
                        job.pointee.x + (i &* s.height &+ y &* s.strideY) &* s.width &* s.channels,
                        step: s.strideX &* s.channels, columns: columns)
                }
            }
        } else {
            for i in image..<image &+ images {
                row.pack(
                    job.pointee.x + (i &* s.height &+ windowLow) &* s.width &* s.channels, step: s.channels,
                    columns: max(0, windowHigh &- windowLow) &* s.width)
            }
        }
    }

    /// The tiles of one panel that are the piece's. Where several pass over dy it is packed first: its rows may lie so
    /// far apart that they push each other out of the cache.
    private func sumPanel(_ index: Int) {
        let s = job.pointee.s
        let offset = index &* 2 &* lanes
        let filters = min(2 &* lanes, s.groupFilters &- offset)
        let vectors = filters > lanes ? 2 : 1
        let runCount = job.pointee.plan.runCount
        // Packed tiles have the height of wide ones.
        let runTiles = vectors == 2 || job.pointee.plan.packed ? job.pointee.plan.wideTiles : job.pointee.plan.narrowTiles
        let range = tileRange(runTiles)
        let tiles = range.upperBound &- range.lowerBound
        var dy = job.pointee.dy + (firstPosition &* s.filters &+ offset)
        var step = s.filters
        if tiles > 2 && (s.filters >= packedStride || filters % lanes != 0) {
            packColumns(dy, stride: s.filters, columns: filters, rows: positions, to: panel, vectors: vectors)
            dy = UnsafePointer(panel)
            step = vectors &* lanes
        }
        for tile in range {
            var a = arguments(
                run: tile % runCount, tile: tile / runCount, of: runTiles, firstTile: range.lowerBound / runCount, dy: dy,
                dyStep: step, filters: step == vectors &* lanes ? step : filters)
            if ahead {
                askFor(share: (index &- panelFirst) &* tiles &+ tile, of: (panelEnd &- panelFirst) &* tiles, &a)
            } else {
                askForPacked(panel: index, tile: tile &- range.lowerBound, of: tiles, &a)
            }
            let first = share(tile / runCount, of: runTiles, job.pointee.plan.runLength)
            let end = share(tile / runCount &+ 1, of: runTiles, job.pointee.plan.runLength)
            let row = tile % runCount &* job.pointee.plan.runLength &+ first
            let stride = job.pointee.toStride
            runWeightTile(
                &a, rows: end &- first, vectors: vectors, to: to + (row &* stride &+ offset), stride: stride,
                filters: filters, add: add, sums)
        }
    }

    /// Shares the next slab's memory out over the tiles of this one: first dy, then x.
    private func askFor(share part: Int, of parts: Int, _ a: inout WeightTileArguments) {
        let s = job.pointee.s
        let count = positions
        let dyFloats = count &* s.filters
        let xFloats = count &* s.channels
        let dyParts = max(1, parts &* dyFloats / (dyFloats &+ xFloats))
        let isOfDY = part < dyParts
        let floats = isOfDY ? dyFloats : xFloats
        let each = isOfDY ? dyFloats / dyParts : xFloats / max(1, parts &- dyParts)
        let at = min(floats, each &* (isOfDY ? part : part &- dyParts))
        let position = firstPosition
        let base = isOfDY
            ? job.pointee.dy + (position &* s.filters &+ floats)
            : job.pointee.x + (position &* s.channels &+ floats)
        a.next = base + at
        a.nextStep = each / max(1, count)
    }

    /// What is packed next lies in short stretches, position by position, which nothing else fetches in time: the first two
    /// tiles ask for the next panel of dy, in this slab or the next, the others for the next slab's x, a line of each position.
    private func askForPacked(panel index: Int, tile: Int, of tiles: Int, _ a: inout WeightTileArguments) {
        let s = job.pointee.s
        if tile < 2 {
            let isLast = index &+ 1 == panelEnd
            if isLast && !hasNext { return }
            let panel = isLast ? panelFirst : index &+ 1
            let position = firstPosition &+ (isLast ? positions : 0)
            a.next = job.pointee.dy + (position &* s.filters &+ panel &* 2 &* lanes &+ tile &* 16)
            a.nextStep = s.filters
            return
        }
        if !hasNext || !job.pointee.plan.flat || !job.pointee.plan.packed { return }
        let range = tileRange(job.pointee.plan.wideTiles)
        let low = share(range.lowerBound, of: job.pointee.plan.wideTiles, job.pointee.plan.runLength)
        let end = share(range.upperBound, of: job.pointee.plan.wideTiles, job.pointee.plan.runLength)
        let offset = low &+ 16 &* ((index &- panelFirst) &* (tiles &- 2) &+ tile &- 2)
        if offset >= end { return }
        a.next = job.pointee.x + ((rowLow &+ columns) &* s.channels &+ offset)
        a.nextStep = s.channels
    }

    /// Rows of one tile of one run. dy is at the slab's first position.
    private func arguments(
        run: Int, tile: Int, of runTiles: Int, firstTile: Int, dy: UnsafePointer<Float>, dyStep: Int, filters: Int
    ) -> WeightTileArguments {
        let s = job.pointee.s
        let plan = job.pointee.plan
        var rowLow = rowLow
        var rowHigh = rowHigh
        var columnLow = 0
        var columnHigh = columns
        // In positions of x as it is read.
        var start = plan.flat ? rowLow : 0
        var width = s.width
        var height = s.height
        var stepY = s.strideY
        var stepX = s.strideX
        var imageLow = image
        var imageHigh = image &+ images
        var imageStep = 1
        let ownPositions = plan.packed && plan.runCount == 1 && !s.isPadded
        if ownPositions {
            start = 0
            width = s.outputWidth
            height = rowHigh &- rowLow
            stepY = 1
            stepX = 1
        } else if !plan.flat {
            let kernelRow = plan.merged ? run : run / s.kernelX
            var depth = s.depth
            var offsetZ = kernelRow / s.kernelY &* s.dilationZ
            var offsetY = kernelRow % s.kernelY &* s.dilationY
            var offsetX = (plan.merged ? 0 : run % s.kernelX) &* s.dilationX
            if plan.copied {
                depth = s.windowDepth
                height = s.windowHeight
                width = s.windowWidth
            } else {
                offsetZ &-= s.padFront
                offsetY &-= s.padTop
                offsetX &-= s.padLeft
                rowLow = max(rowLow, ceilingDivide(0 &- offsetY, stepY))
                rowHigh = min(rowHigh, ceilingDivide(height &- offsetY, stepY))
                if !plan.merged {
                    columnLow = max(0, ceilingDivide(0 &- offsetX, stepX))
                    columnHigh = min(columnHigh, ceilingDivide(width &- offsetX, stepX))
                }
            }
            if s.isVolume {
                imageLow = max(imageLow, ceilingDivide(0 &- offsetZ, s.strideZ))
                imageHigh = min(imageHigh, ceilingDivide(depth &- offsetZ, s.strideZ))
                imageStep = s.strideZ
            }
            if rowLow < rowHigh && columnLow < columnHigh && imageLow < imageHigh {
                start = (rowLow &* stepY &+ offsetY) &* width &+ columnLow &* stepX &+ offsetX
            }
            if plan.packed {
                start &-= windowLow &* width
                height = windowHigh &- windowLow
            } else {
                start &+= (volume &* depth &+ imageLow &* imageStep &+ (s.isVolume ? offsetZ : 0)) &* height &* width
            }
        }
        let empty = rowLow >= rowHigh || columnLow >= columnHigh || imageLow >= imageHigh
        let dyStart = empty
            ? 0
            : (((imageLow &- image) &* s.outputHeight &+ rowLow &- self.rowLow) &* s.outputWidth &+ columnLow) &* dyStep
        let xStep = plan.packed ? wideTileRows : s.channels
        let x = plan.packed
            ? UnsafePointer(tiles) + (tile &- firstTile) &* plan.windowSize &* wideTileRows
            : job.pointee.x + share(tile, of: runTiles, plan.runLength)
        return WeightTileArguments(
            x: empty ? x : x + start &* xStep, dy: dy + dyStart, images: empty ? 0 : imageHigh &- imageLow, rows: rowHigh &- rowLow,
            columns: columnHigh &- columnLow, xImageStep: imageStep &* height &* width &* xStep, xRowStep: stepY &* width &* xStep,
            xColumnStep: stepX &* xStep, dyImageStep: s.outputHeight &* s.outputWidth &* dyStep,
            dyRowStep: s.outputWidth &* dyStep, dyColumnStep: dyStep, filters: filters, next: dy, nextStep: 0)
    }
}

/// Copies positions of x into tiles, one after another.
private struct PackedRow {
    var to: UnsafeMutablePointer<Float>
    let tileStep: Int
    let first: Int
    let count: Int
    let plan: WeightsPlan

    /// `columns` positions `step` floats apart.
    mutating func pack(_ x: UnsafePointer<Float>, step: Int, columns: Int) {
        for tile in 0..<count {
            let low = share(first &+ tile, of: plan.wideTiles, plan.runLength)
            let height = share(first &+ tile &+ 1, of: plan.wideTiles, plan.runLength) &- low
            var from = x + low
            var to = to + tile &* tileStep
            for _ in 0..<columns {
                storeFirst(loadFirst(from, height), to, wideTileRows)
                from += step
                to += wideTileRows
            }
        }
        to += columns &* wideTileRows
    }
}
