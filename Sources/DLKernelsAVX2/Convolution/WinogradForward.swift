import CDLKernels

/// Channels that are summed between two visits to the products: a panel's part of that depth fits the first-level cache.
let winogradChunk = 128

/// Floats of the input's transform from which on it is stored past the caches, where all of it is made before it is read.
private let pastCachesFloats = 1_000_000

/// How one problem is computed: forward, or backward to data, which is the forward convolution of dy with the turned kernel.
struct WinogradPlan {
    let input, output: WinogradGrid
    /// Channels and filters of the kernel as it is stored.
    let kernelChannels, kernelFilters: Int
    let backward: Bool
    let form: WinogradForm
    let chunk, chunks, panels: Int
    /// The pieces are panels, each of which passes over all tiles, instead of stretches of tiles that pass all panels.
    let byPanel: Bool
    let blockTiles, blocks, pieces: Int
    /// A piece makes its part of the kernel chunk by chunk, where it needs each only once.
    let kernelOnce: Bool

    let slots: UnsafeMutablePointer<UInt64>
    let zeros: UnsafeMutablePointer<Float>
    let factors: UnsafeMutablePointer<Float>
    let transformed: UnsafeMutablePointer<Float>
    let transformedFloats: Int
    let products: UnsafeMutablePointer<Float>
    let productFloats: Int
    let factorFloats: Int
    let bytes: Int

    init(_ s: Sizes, _ form: WinogradForm, backward: Bool, _ memory: UnsafeMutableRawPointer?) {
        let height = backward ? s.height : s.outputHeight
        let width = backward ? s.width : s.outputWidth
        let depth = backward ? s.filters : s.channels
        let columns = backward ? s.channels : s.filters
        let step = form.step
        let tilesY = divideUp(height, step)
        let tilesX = divideUp(width, step)
        self.backward = backward
        self.form = form
        let streams = form.streams
        input = WinogradGrid(
            images: s.batch, height: backward ? s.outputHeight : s.height, width: backward ? s.outputWidth : s.width,
            channels: depth, tilesY: tilesY, tilesX: tilesX, originY: backward ? s.padTop &- (form.taps &- 1) : 0 &- s.padTop,
            originX: backward ? s.padLeft &- (form.taps &- 1) : 0 &- s.padLeft, step: step)
        output = WinogradGrid(
            images: s.batch, height: height, width: width, channels: columns, tilesY: tilesY, tilesX: tilesX, originY: 0,
            originX: 0, step: step)
        kernelChannels = s.channels
        kernelFilters = s.filters
        chunks = divideUp(depth, winogradChunk)
        chunk = roundUp(divideUp(depth, chunks), lanes)
        panels = divideUp(columns, 2 &* lanes)
        let tiles = input.tiles
        // A stretch of tiles reads the whole kernel, a panel all tiles: what is the less of the two is written to memory.
        byPanel = tiles <= columns
        blocks = divideUp(tiles, byPanel ? 256 : 36)
        blockTiles = divideUp(tiles, blocks)
        pieces = min(byPanel ? panels : blocks, 16)
        kernelOnce = byPanel && blocks == 1
        let block = WinogradBlock(tiles: blockTiles, width: chunk, streams: streams)
        let factor = WinogradBlock(tiles: chunk, width: 2 &* lanes, streams: streams)
        transformedFloats = block.chunkStride &* chunks
        productFloats = WinogradBlock(tiles: blockTiles, width: 2 &* lanes, streams: streams).chunkStride
        factorFloats = factor.chunkStride &* (kernelOnce ? 1 : chunks)
        var cursor = ScratchCursor(memory)
        slots = winogradSlots(&cursor)
        zeros = cursor.floats(lanes)
        factors = cursor.floats(factorFloats &* (kernelOnce ? pieces : panels))
        transformed = cursor.floats(transformedFloats &* (byPanel ? blocks : pieces))
        products = cursor.floats(productFloats &* pieces)
        bytes = cursor.bytes
    }

    var factor: WinogradBlock { WinogradBlock(tiles: chunk, width: 2 &* lanes, streams: streams) }
    var block: WinogradBlock { WinogradBlock(tiles: blockTiles, width: chunk, streams: streams) }

    func kernel(_ w: UnsafePointer<Float>) -> WinogradFactor {
        WinogradFactor(
            w: w, channels: kernelChannels, filters: kernelFilters, backward: backward, chunk: chunk, chunks: chunks,
            form: form)
    }

    var streams: Int { form.streams }

    @inline(__always)
    func vectors(_ panel: Int) -> Int { output.channels &- panel &* 2 &* lanes > lanes ? 2 : 1 }
}

func winogradScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>, _ form: WinogradForm, backward: Bool) -> Int {
    WinogradPlan(Sizes(problem), form, backward: backward, nil).bytes
}

func winogradPackedBytes(_ problem: UnsafePointer<dl_convolution_problem>, _ form: WinogradForm) -> Int {
    let plan = WinogradPlan(Sizes(problem), form, backward: false, nil)
    return plan.panels &* plan.chunks &* plan.factor.chunkStride &* 4
}

/// Makes the transform of the kernel that `winograd` takes as `packed`.
func winogradPack(
    _ problem: UnsafePointer<dl_convolution_problem>, _ w: UnsafePointer<Float>, _ packed: UnsafeMutablePointer<Float>,
    _ runtime: UnsafePointer<dl_runtime>, _ form: WinogradForm
) {
    let plan = WinogradPlan(Sizes(problem), form, backward: false, nil)
    makeFactors(plan.kernel(w), packed, runtime)
}

/// The word that says which parts of the scratch memory are in use.
func winogradSlots(_ cursor: inout ScratchCursor) -> UnsafeMutablePointer<UInt64> {
    UnsafeMutableRawPointer(cursor.integers(1)).assumingMemoryBound(to: UInt64.self)
}

private struct WinogradJob {
    let plan: WinogradPlan
    let x: UnsafePointer<Float>
    let target: WinogradTarget
    /// The kernel's transform: made before, or where it is made.
    let packed: UnsafePointer<Float>?
    let factor: WinogradFactor
    var slices = 1
}

func winograd(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>,
    _ form: WinogradForm, backward: Bool
) {
    let plan = WinogradPlan(Sizes(problem), form, backward: backward, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = backward ? call.pointee.dy : call.pointee.x,
        let y = call.pointee.result, let w = call.pointee.w ?? call.pointee.packed
    else { return }
    plan.slots.pointee = 0
    clearFloats(plan.zeros, lanes)
    var job = WinogradJob(
        plan: plan, x: x,
        target: WinogradTarget(y: y, grid: plan.output, bias: call.pointee.bias, relu: call.pointee.relu != 0),
        packed: call.pointee.packed,
        factor: plan.kernel(w))
    if plan.byPanel {
        let count = plan.input.tiles
        // One tile of many channels is work enough for a piece.
        job.slices = min(count, 32)
        inParallel(runtime, pieces: job.slices, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradJob.self)
            transformSlice(job, Int(piece))
        }
        inParallel(runtime, pieces: plan.pieces, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradJob.self)
            panelPiece(job, Int(piece))
        }
    } else {
        if job.packed == nil { makeFactors(job.factor, plan.factors, runtime) }
        inParallel(runtime, pieces: plan.pieces, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradJob.self)
            tilePiece(job, Int(piece))
        }
    }
}

/// Transforms the whole kernel, in parallel.
func makeFactors(_ factor: WinogradFactor, _ to: UnsafeMutablePointer<Float>, _ runtime: UnsafePointer<dl_runtime>) {
    var job = (factor, to, divideUp(factor.chunk, 32))
    inParallel(runtime, pieces: factor.panels &* factor.chunks &* job.2, &job) { job, piece in
        let (factor, to, slices) = job.unsafelyUnwrapped.assumingMemoryBound(
            to: (WinogradFactor, UnsafeMutablePointer<Float>, Int).self).pointee
        let slice = Int(piece) % slices
        let q = Int(piece) / slices % factor.chunks
        let panel = Int(piece) / slices / factor.chunks
        let length = factor.chunkLength(q)
        kernelRows(
            factor, panel: panel, chunk: q, first: min(length, slice &* 32), end: min(length, slice &* 32 &+ 32),
            to: to + (panel &* factor.panelFloats &+ q &* factor.block(panel).chunkStride))
    }
}

private func kernelRows(
    _ factor: WinogradFactor, panel: Int, chunk: Int, first: Int, end: Int, to: UnsafeMutablePointer<Float>
) {
    switch factor.form {
    case .two:
        Winograd<4, 2, 3>.kernelRows(factor, panel: panel, chunk: chunk, first: first, end: end, to: to)
    case .four:
        Winograd<6, 4, 3>.kernelRows(factor, panel: panel, chunk: chunk, first: first, end: end, to: to)
    case .five:
        Winograd<6, 2, 5>.kernelRows(factor, panel: panel, chunk: chunk, first: first, end: end, to: to)
    }
}

private func inputTiles(
    _ job: UnsafePointer<WinogradJob>, first: Int, count: Int, to: UnsafeMutablePointer<Float>, at: Int
) {
    let plan = job.pointee.plan
    let pastCaches = lanes == 16 && plan.byPanel && plan.transformedFloats &* plan.blocks >= pastCachesFloats
    switch plan.form {
    case .two:
        Winograd<4, 2, 3>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: to, plan.block, at: at,
            pastCaches: pastCaches)
    case .four:
        Winograd<6, 4, 3>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: to, plan.block, at: at,
            pastCaches: pastCaches)
    case .five:
        Winograd<6, 2, 5>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: to, plan.block, at: at,
            pastCaches: pastCaches)
    }
}

private func transformSlice(_ job: UnsafePointer<WinogradJob>, _ slice: Int) {
    let plan = job.pointee.plan
    let end = share(slice &+ 1, of: job.pointee.slices, plan.input.tiles)
    var first = share(slice, of: job.pointee.slices, plan.input.tiles)
    while first < end {
        let block = first / plan.blockTiles
        let count = min(end, (block &+ 1) &* plan.blockTiles) &- first
        inputTiles(
            job, first: first, count: count, to: plan.transformed + block &* plan.transformedFloats,
            at: first &- block &* plan.blockTiles)
        first &+= count
    }
}

/// All streams of one block of tiles times one chunk of a panel.
private func products(
    _ plan: WinogradPlan, chunk q: Int, rows: Int, vectors: Int, a: UnsafePointer<Float>, b: UnsafePointer<Float>,
    to: UnsafeMutablePointer<Float>
) {
    let length = min(plan.chunk, plan.input.channels &- q &* plan.chunk)
    let aStride = plan.block.streamStride
    let bStride = WinogradBlock(tiles: plan.chunk, width: vectors &* lanes, streams: plan.streams).streamStride
    let cStride = WinogradBlock(tiles: plan.blockTiles, width: vectors &* lanes, streams: plan.streams).streamStride
    for stream in 0..<plan.streams {
        let nextA = UnsafeRawPointer(a + (stream &+ 1) &* aStride)
        let nextB = UnsafeRawPointer(b + (stream &+ 1) &* bStride)
        // What the piece made itself is in its cache already.
        var ahead = WinogradPrefetch(
            first: nextB, firstLines: length &* vectors &* lanes / 16, second: nextA,
            secondLines: plan.byPanel ? rows &* plan.chunk / 16 : 0)
        var t = WinogradTileArguments(
            a: a + stream &* aStride, aStride: plan.chunk, b: b + stream &* bStride, length: length,
            c: to + stream &* cStride, add: q > 0, next: nextB)
        winogradProduct(rows: rows, vectors: vectors, &t, &ahead)
    }
}

private func outputTiles(
    _ job: UnsafePointer<WinogradJob>, _ m: UnsafePointer<Float>, first: Int, count: Int, panel: Int, vectors: Int
) {
    let plan = job.pointee.plan
    let block = WinogradBlock(tiles: plan.blockTiles, width: vectors &* lanes, streams: plan.streams)
    switch plan.form {
    case .two:
        Winograd<4, 2, 3>.outputTiles(
            m, block, at: 0, first: first, count: count, column: panel &* 2 &* lanes, vectors: vectors, job.pointee.target)
    case .four:
        Winograd<6, 4, 3>.outputTiles(
            m, block, at: 0, first: first, count: count, column: panel &* 2 &* lanes, vectors: vectors, job.pointee.target)
    case .five:
        Winograd<6, 2, 5>.outputTiles(
            m, block, at: 0, first: first, count: count, column: panel &* 2 &* lanes, vectors: vectors, job.pointee.target)
    }
}

private func tilePiece(_ job: UnsafePointer<WinogradJob>, _ piece: Int) {
    let plan = job.pointee.plan
    let slot = dl_take_slot(plan.slots)
    let v = plan.transformed + Int(slot) &* plan.transformedFloats
    let m = plan.products + Int(slot) &* plan.productFloats
    let factors = job.pointee.packed ?? UnsafePointer(plan.factors)
    let panelFloats = job.pointee.factor.panelFloats
    for block in share(piece, of: plan.pieces, plan.blocks)..<share(piece &+ 1, of: plan.pieces, plan.blocks) {
        let first = block &* plan.blockTiles
        let count = min(plan.blockTiles, plan.input.tiles &- first)
        inputTiles(job, first: first, count: count, to: v, at: 0)
        for panel in 0..<plan.panels {
            let vectors = plan.vectors(panel)
            for q in 0..<plan.chunks {
                products(
                    plan, chunk: q, rows: count, vectors: vectors, a: v + q &* plan.block.chunkStride,
                    b: factors + (panel &* panelFloats &+ q &* job.pointee.factor.block(panel).chunkStride), to: m)
            }
            outputTiles(job, m, first: first, count: count, panel: panel, vectors: vectors)
        }
    }
    if job.pointee.target.streams { dl_stream_fence() }
    dl_return_slot(plan.slots, slot)
}

private func panelPiece(_ job: UnsafePointer<WinogradJob>, _ piece: Int) {
    let plan = job.pointee.plan
    let slot = dl_take_slot(plan.slots)
    for panel in share(piece, of: plan.pieces, plan.panels)..<share(piece &+ 1, of: plan.pieces, plan.panels) {
        computePanel(job, panel, slot: Int(slot))
    }
    if job.pointee.target.streams { dl_stream_fence() }
    dl_return_slot(plan.slots, slot)
}

private func computePanel(_ job: UnsafePointer<WinogradJob>, _ panel: Int, slot: Int) {
    let plan = job.pointee.plan
    let m = plan.products + slot &* plan.productFloats
    let own = plan.factors + (plan.kernelOnce ? slot : panel) &* plan.factorFloats
    let vectors = plan.vectors(panel)
    let chunkStride = job.pointee.factor.block(panel).chunkStride
    for block in 0..<plan.blocks {
        let first = block &* plan.blockTiles
        let count = min(plan.blockTiles, plan.input.tiles &- first)
        let v = plan.transformed + block &* plan.transformedFloats
        for q in 0..<plan.chunks {
            var b = UnsafePointer(own + (plan.kernelOnce ? 0 : q &* chunkStride))
            if let packed = job.pointee.packed {
                b = packed + (panel &* job.pointee.factor.panelFloats &+ q &* chunkStride)
            } else if block == 0 {
                kernelRows(
                    job.pointee.factor, panel: panel, chunk: q, first: 0, end: job.pointee.factor.chunkLength(q),
                    to: UnsafeMutablePointer(mutating: b))
            }
            products(
                plan, chunk: q, rows: count, vectors: vectors, a: v + q &* plan.block.chunkStride, b: b, to: m)
        }
        outputTiles(job, m, first: first, count: count, panel: panel, vectors: vectors)
    }
}
