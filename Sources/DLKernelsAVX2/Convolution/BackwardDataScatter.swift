import CDLKernels

/// The gradient of a layer with few input channels: an output position's gradient times a kernel row's weights
/// gives KW * C contiguous floats of dx, so these are the columns, where C alone would leave most lanes empty.
/// No two rows of a tile touch the same row of dx. Groups and horizontal dilation are declined by the list.
private struct DataScatter {
    let s: Sizes
    let direct: Bool
    let bandHeight: Int
    let bands: Int
    let pieces: Int
    let bufferWidth: Int
    let panels: UnsafeMutablePointer<Float>
    let panelFloats: Int
    /// The one offset of the block that is packed: 0.
    let offset: UnsafeMutablePointer<Int>
    let buffers: UnsafeMutablePointer<Float>
    let bytes: Int
    var dy: UnsafePointer<Float>?
    var dx: UnsafeMutablePointer<Float>?

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        var cursor = ScratchCursor(memory)
        self.s = s
        let imageWork = Float(s.outputHeight &* s.outputWidth) * Float(s.filters &* s.kernelY &* s.kernelX &* s.channels)
        let split = imageWork > 8_000_000 ? 8 : max(1, Int(imageWork / 1_000_000))
        bandHeight = divideUp(s.height, min(split, max(1, s.height / 8)))
        bands = divideUp(s.height, bandHeight)
        let wanted = max(1, Int(min(32, imageWork * Float(s.batch) / 150_000)))
        pieces = min(s.batch &* bands, wanted)
        let reach = (s.outputWidth &- 1) &* s.strideX &+ s.kernelX
        direct = s.padLeft == 0 && reach <= s.width
        bufferWidth = max(reach, s.padLeft &+ s.width)
        panelFloats = packedFloats(depth: s.filters, columns: s.kernelX &* s.channels)
        panels = cursor.floats(panelFloats &* s.kernelY)
        offset = cursor.integers(1)
        buffers = cursor.floats(direct ? 0 : pieces &* bandHeight &* bufferWidth &* s.channels)
        bytes = cursor.bytes
    }
}

func backwardDataScatterScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    DataScatter(Sizes(problem), nil).bytes
}

func backwardDataScatter(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    var job = DataScatter(s, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let dy = call.pointee.dy, let w = call.pointee.w,
        let dx = call.pointee.result
    else { return }
    job.dy = dy
    job.dx = dx
    job.offset[0] = 0
    let rowWeights = s.kernelX &* s.channels &* s.filters
    for ky in 0..<s.kernelY {
        var source = PanelSource(
            transposed: w + ky &* rowWeights, stride: s.filters, offsets: job.offset, blocks: 1, depth: s.filters,
            columns: s.kernelX &* s.channels, packed: job.panels + ky &* job.panelFloats)
        source.packAll(runtime)
    }
    inParallel(runtime, pieces: job.pieces, &job) { job, piece in
        let job = job.unsafelyUnwrapped.assumingMemoryBound(to: DataScatter.self)
        let units = job.pointee.s.batch &* job.pointee.bands
        let pieces = job.pointee.pieces
        for unit in share(Int(piece), of: pieces, units)..<share(Int(piece) &+ 1, of: pieces, units) {
            scatterBand(job, piece: Int(piece), image: unit / job.pointee.bands, band: unit % job.pointee.bands)
        }
    }
}

/// Computes rows `band * bandHeight` ... of one image's dx, in place or in a buffer that is as wide as the kernel reaches.
private func scatterBand(_ job: UnsafePointer<DataScatter>, piece: Int, image: Int, band: Int) {
    let s = job.pointee.s
    guard let dyBase = job.pointee.dy, let dxBase = job.pointee.dx else { return }
    let first = band &* job.pointee.bandHeight
    let end = min(s.height, first &+ job.pointee.bandHeight)
    let dx = dxBase + (image &* s.height &+ first) &* s.width &* s.channels
    let width = (job.pointee.direct ? s.width : job.pointee.bufferWidth) &* s.channels
    let to = job.pointee.direct
        ? dx : job.pointee.buffers + piece &* job.pointee.bandHeight &* job.pointee.bufferWidth &* s.channels
    clearFloats(to, (end &- first) &* width)
    let dy = dyBase + image &* s.outputHeight &* s.outputWidth &* s.filters
    for ky in 0..<s.kernelY {
        // The output rows that this kernel row connects with rows first ..< end of dx.
        let shift = s.padTop &- ky &* s.dilationY
        let low = max(0, ceilingDivide(first &+ shift, s.strideY))
        let high = min(s.outputHeight, ceilingDivide(end &+ shift, s.strideY))
        if low >= high { continue }
        scatterKernelRow(
            s, dy: dy + low &* s.outputWidth &* s.filters, to: to + (low &* s.strideY &- shift &- first) &* width,
            rowFloats: width, outputRows: high &- low, panels: job.pointee.panels + ky &* job.pointee.panelFloats)
    }
    if !job.pointee.direct {
        for row in 0..<end &- first {
            copyFloats(
                to + (row &* width &+ s.padLeft &* s.channels), dx + row &* s.width &* s.channels,
                s.width &* s.channels)
        }
    }
}

private func scatterKernelRow(
    _ s: Sizes, dy: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>, rowFloats: Int, outputRows: Int,
    panels: UnsafePointer<Float>
) {
    let total = s.kernelX &* s.channels
    var offset = 0
    while offset < total {
        let columns = min(2 &* lanes, total &- offset)
        let vectors = columns > lanes ? 2 : 1
        let tiles = divideUp(outputRows, tileRows(vectors: vectors))
        for tile in 0..<tiles {
            let y = share(tile, of: tiles, outputRows)
            let a = ScatterArguments(
                dy: dy + y &* s.outputWidth &* s.filters, dyRow: s.outputWidth &* s.filters, filters: s.filters,
                panel: panels + offset &* s.filters, to: to + (y &* s.strideY &* rowFloats &+ offset),
                toRow: s.strideY &* rowFloats, toStep: s.strideX &* s.channels, columns: columns, width: s.outputWidth)
            scatter(a, rows: share(tile &+ 1, of: tiles, outputRows) &- y, vectors: vectors)
        }
        offset &+= 2 &* lanes
    }
}
