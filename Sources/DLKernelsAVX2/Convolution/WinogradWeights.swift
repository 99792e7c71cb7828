import CDLKernels

/// Floats of the transformed gradient of the kernel up to which each piece has one of its own.
private let ownGradientLimit = 600_000

/// Floats of transformed input and gradient that lie in memory at a time.
private let transformedLimit = 8_000_000

/// Floats of a dw from which on it is stored past the caches.
private let streamedGradient = 500_000

/// dw as the exact adjoint of the forward transforms: with V and D the transforms of x and dy,
///
///     dw = G^T (sum over tiles of V^T D, stream by stream) G
private struct WinogradWeightsPlan {
    let s: Sizes
    let input, gradient: WinogradGrid
    let form: WinogradForm
    let chunk, chunks, panels: Int
    /// Each piece sums its own stretch of tiles; the sums are added in the end. Else each piece has its part of dw.
    let byTiles: Bool
    let blockTiles, blocks: Int
    /// Blocks that lie in memory together.
    let roundBlocks: Int
    let pieces: Int

    let slots: UnsafeMutablePointer<UInt64>
    let zeros: UnsafeMutablePointer<Float>
    let v: UnsafeMutablePointer<Float>
    let vFloats: Int
    let d: UnsafeMutablePointer<Float>
    let dFloats: Int
    let sums: UnsafeMutablePointer<Float>
    let sumFloats: Int
    let unitFloats: Int
    let partials: UnsafeMutablePointer<Float>
    let partialFloats: Int
    let bytes: Int

    init(_ s: Sizes, _ form: WinogradForm, _ memory: UnsafeMutableRawPointer?) {
        self.s = s
        self.form = form
        let step = form.step
        let streams = form.streams
        let tilesY = divideUp(s.outputHeight, step)
        let tilesX = divideUp(s.outputWidth, step)
        input = WinogradGrid(
            images: s.batch, height: s.height, width: s.width, channels: s.channels, tilesY: tilesY, tilesX: tilesX,
            originY: 0 &- s.padTop, originX: 0 &- s.padLeft, step: step)
        gradient = WinogradGrid(
            images: s.batch, height: s.outputHeight, width: s.outputWidth, channels: s.filters, tilesY: tilesY,
            tilesX: tilesX, originY: 0, originX: 0, step: step)
        let tiles = input.tiles
        panels = divideUp(s.filters, 2 &* lanes)
        byTiles = streams &* s.channels &* s.filters <= ownGradientLimit && tiles > 96
        let parts = panels &* divideUp(s.channels, winogradChunk)
        let wanted = byTiles || parts >= 8 ? winogradChunk : winogradChunk / 2
        chunks = divideUp(s.channels, wanted)
        chunk = roundUp(divideUp(s.channels, chunks), lanes)
        blocks = divideUp(tiles, byTiles ? 32 : 128)
        blockTiles = divideUp(tiles, blocks)
        vFloats = WinogradBlock(tiles: blockTiles, width: chunk, streams: streams).chunkStride &* chunks
        dFloats = WinogradBlock(tiles: blockTiles, width: 2 &* lanes, streams: streams).chunkStride &* panels
        unitFloats = WinogradBlock(tiles: chunk, width: 2 &* lanes, streams: streams).chunkStride
        pieces = byTiles ? min(blocks, max(4, min(16, blocks / 6))) : min(panels &* chunks, 16)
        roundBlocks = byTiles ? 1 : max(1, min(blocks, transformedLimit / (vFloats &+ dFloats)))
        // One round needs only the sums of the part at hand.
        sumFloats = byTiles || roundBlocks < blocks ? unitFloats &* panels &* chunks : unitFloats
        let sumCopies = byTiles || roundBlocks >= blocks ? pieces : 1
        partialFloats = byTiles && pieces > 1 ? roundUp(s.taps &* s.channels &* s.filters, 16) : 0
        var cursor = ScratchCursor(memory)
        slots = winogradSlots(&cursor)
        zeros = cursor.floats(lanes)
        v = cursor.floats(vFloats &* (byTiles ? pieces : roundBlocks))
        d = cursor.floats(dFloats &* (byTiles ? pieces : roundBlocks))
        sums = cursor.floats(sumFloats &* sumCopies)
        partials = cursor.floats(partialFloats &* pieces)
        bytes = cursor.bytes
    }

    var streams: Int { form.streams }
    var vBlock: WinogradBlock { WinogradBlock(tiles: blockTiles, width: chunk, streams: streams) }
    var dBlock: WinogradBlock { WinogradBlock(tiles: blockTiles, width: 2 &* lanes, streams: streams) }

    @inline(__always)
    func vectors(_ panel: Int) -> Int { s.filters &- panel &* 2 &* lanes > lanes ? 2 : 1 }

    @inline(__always)
    func chunkLength(_ q: Int) -> Int { min(chunk, s.channels &- q &* chunk) }
}

func winogradWeightsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>, _ form: WinogradForm) -> Int {
    WinogradWeightsPlan(Sizes(problem), form, nil).bytes
}

private struct WinogradWeightsJob {
    let plan: WinogradWeightsPlan
    let x: UnsafePointer<Float>
    let dy: UnsafePointer<Float>
    let dw: UnsafeMutablePointer<Float>
    /// The blocks of this round.
    var firstBlock = 0
    var endBlock = 0
    var slices = 1
}

func winogradWeights(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>, _ form: WinogradForm
) {
    let plan = WinogradWeightsPlan(Sizes(problem), form, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let dy = call.pointee.dy,
        let dw = call.pointee.result
    else { return }
    plan.slots.pointee = 0
    clearFloats(plan.zeros, lanes)
    var job = WinogradWeightsJob(plan: plan, x: x, dy: dy, dw: dw)
    if plan.byTiles {
        inParallel(runtime, pieces: plan.pieces, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradWeightsJob.self)
            sumTiles(job, Int(piece))
        }
        if plan.partialFloats > 0 {
            let floats = plan.s.taps &* plan.s.channels &* plan.s.filters
            job.slices = max(1, min(16, floats / 4096))
            inParallel(runtime, pieces: job.slices, &job) { job, piece in
                let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradWeightsJob.self)
                addPartials(job, Int(piece))
            }
        }
        return
    }
    while job.firstBlock < plan.blocks {
        job.endBlock = min(plan.blocks, job.firstBlock &+ plan.roundBlocks)
        let tiles = min(plan.input.tiles, job.endBlock &* plan.blockTiles) &- job.firstBlock &* plan.blockTiles
        job.slices = min(tiles, 32)
        inParallel(runtime, pieces: job.slices, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradWeightsJob.self)
            transformSlice(job, Int(piece))
        }
        inParallel(runtime, pieces: plan.pieces, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: WinogradWeightsJob.self)
            sumParts(job, Int(piece))
        }
        job.firstBlock = job.endBlock
    }
}

private func transform(
    _ job: UnsafePointer<WinogradWeightsJob>, first: Int, count: Int, v: UnsafeMutablePointer<Float>,
    d: UnsafeMutablePointer<Float>, at: Int
) {
    let plan = job.pointee.plan
    switch plan.form {
    case .two:
        Winograd<4, 2, 3>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: v, plan.vBlock, at: at)
        Winograd<4, 2, 3>.gradientTiles(
            job.pointee.dy, plan.gradient, first: first, count: count, zeros: plan.zeros, to: d, plan.dBlock, at: at)
    case .four:
        Winograd<6, 4, 3>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: v, plan.vBlock, at: at)
        Winograd<6, 4, 3>.gradientTiles(
            job.pointee.dy, plan.gradient, first: first, count: count, zeros: plan.zeros, to: d, plan.dBlock, at: at)
    case .five:
        Winograd<6, 2, 5>.inputTiles(
            job.pointee.x, plan.input, first: first, count: count, zeros: plan.zeros, to: v, plan.vBlock, at: at)
        Winograd<6, 2, 5>.gradientTiles(
            job.pointee.dy, plan.gradient, first: first, count: count, zeros: plan.zeros, to: d, plan.dBlock, at: at)
    }
}

private func transformSlice(_ job: UnsafePointer<WinogradWeightsJob>, _ slice: Int) {
    let plan = job.pointee.plan
    let start = job.pointee.firstBlock &* plan.blockTiles
    let tiles = min(plan.input.tiles, job.pointee.endBlock &* plan.blockTiles) &- start
    let end = start &+ share(slice &+ 1, of: job.pointee.slices, tiles)
    var first = start &+ share(slice, of: job.pointee.slices, tiles)
    while first < end {
        let block = first / plan.blockTiles
        let count = min(end, (block &+ 1) &* plan.blockTiles) &- first
        let place = block &- job.pointee.firstBlock
        transform(
            job, first: first, count: count, v: plan.v + place &* plan.vFloats, d: plan.d + place &* plan.dFloats,
            at: first &- block &* plan.blockTiles)
        first &+= count
    }
}

/// Adds one block of tiles to the sums of one part of the kernel, stream by stream.
private func sumBlock(
    _ plan: WinogradWeightsPlan, chunk q: Int, panel: Int, count: Int, v: UnsafePointer<Float>,
    d: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>, add: Bool, fetch: Bool
) {
    let vectors = plan.vectors(panel)
    let vStride = plan.vBlock.streamStride
    let dStride = plan.dBlock.streamStride
    let sumStride = WinogradBlock(tiles: plan.chunk, width: vectors &* lanes, streams: plan.streams).streamStride
    let x = v + q &* plan.vBlock.chunkStride
    let dy = d + panel &* plan.dBlock.chunkStride
    for stream in 0..<plan.streams {
        let nextX = UnsafeRawPointer(x + (stream &+ 1) &* vStride)
        let nextDY = UnsafeRawPointer(dy + (stream &+ 1) &* dStride)
        var ahead = WinogradPrefetch(
            first: nextX, firstLines: fetch ? count &* plan.chunk / 16 : 0, second: nextDY,
            secondLines: fetch ? count &* 2 &* lanes / 16 : 0)
        var t = WinogradWeightArguments(
            x: x + stream &* vStride, xStride: plan.chunk, dy: dy + stream &* dStride, dyStride: 2 &* lanes, count: count,
            c: to + stream &* sumStride, add: add, next: nextX)
        winogradWeightProduct(rows: plan.chunkLength(q), vectors: vectors, &t, &ahead)
    }
}

private func writeGradient(
    _ plan: WinogradWeightsPlan, chunk q: Int, panel: Int, from: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>
) {
    let vectors = plan.vectors(panel)
    let block = WinogradBlock(tiles: plan.chunk, width: vectors &* lanes, streams: plan.streams)
    let target = to + (q &* plan.chunk &* plan.s.filters &+ panel &* 2 &* lanes)
    let present = plan.s.filters &- panel &* 2 &* lanes
    let tapStride = plan.s.channels &* plan.s.filters
    let streamed = lanes == 16 && plan.s.taps &* tapStride >= streamedGradient && plan.s.filters % lanes == 0
        && Int(bitPattern: target) % 64 == 0
    switch plan.form {
    case .two:
        Winograd<4, 2, 3>.kernelGradient(
            from, block, rows: plan.chunkLength(q), columns: present, to: target, rowStride: plan.s.filters,
            tapStride: tapStride, streamed: streamed)
    case .four:
        Winograd<6, 4, 3>.kernelGradient(
            from, block, rows: plan.chunkLength(q), columns: present, to: target, rowStride: plan.s.filters,
            tapStride: tapStride, streamed: streamed)
    case .five:
        Winograd<6, 2, 5>.kernelGradient(
            from, block, rows: plan.chunkLength(q), columns: present, to: target, rowStride: plan.s.filters,
            tapStride: tapStride, streamed: streamed)
    }
    if streamed { dl_stream_fence() }
}

private func sumTiles(_ job: UnsafePointer<WinogradWeightsJob>, _ piece: Int) {
    let plan = job.pointee.plan
    let slot = dl_take_slot(plan.slots)
    let v = plan.v + Int(slot) &* plan.vFloats
    let d = plan.d + Int(slot) &* plan.dFloats
    let sums = plan.sums + Int(slot) &* plan.sumFloats
    let firstBlock = share(piece, of: plan.pieces, plan.blocks)
    for block in firstBlock..<share(piece &+ 1, of: plan.pieces, plan.blocks) {
        let first = block &* plan.blockTiles
        let count = min(plan.blockTiles, plan.input.tiles &- first)
        transform(job, first: first, count: count, v: v, d: d, at: 0)
        for panel in 0..<plan.panels {
            for q in 0..<plan.chunks {
                sumBlock(
                    plan, chunk: q, panel: panel, count: count, v: v, d: d,
                    to: sums + (panel &* plan.chunks &+ q) &* plan.unitFloats, add: block > firstBlock, fetch: false)
            }
        }
    }
    let to = plan.partialFloats == 0 ? job.pointee.dw : plan.partials + piece &* plan.partialFloats
    for panel in 0..<plan.panels {
        for q in 0..<plan.chunks {
            writeGradient(
                plan, chunk: q, panel: panel, from: sums + (panel &* plan.chunks &+ q) &* plan.unitFloats, to: to)
        }
    }
    dl_return_slot(plan.slots, slot)
}

private func addPartials(_ job: UnsafePointer<WinogradWeightsJob>, _ slice: Int) {
    let plan = job.pointee.plan
    let floats = plan.s.taps &* plan.s.channels &* plan.s.filters
    let vectors = divideUp(floats, lanes)
    let end = min(floats, share(slice &+ 1, of: job.pointee.slices, vectors) &* lanes)
    var i = share(slice, of: job.pointee.slices, vectors) &* lanes
    while i < end {
        let count = min(lanes, end &- i)
        var sum = loadFirst(plan.partials + i, count)
        for piece in 1..<plan.pieces { sum += loadFirst(plan.partials + (piece &* plan.partialFloats &+ i), count) }
        storeFirst(sum, job.pointee.dw + i, count)
        i &+= lanes
    }
}

private func sumParts(_ job: UnsafePointer<WinogradWeightsJob>, _ piece: Int) {
    let plan = job.pointee.plan
    let parts = plan.panels &* plan.chunks
    let kept = plan.roundBlocks < plan.blocks
    let isLast = job.pointee.endBlock == plan.blocks
    let slot = dl_take_slot(plan.slots)
    for part in share(piece, of: plan.pieces, parts)..<share(piece &+ 1, of: plan.pieces, parts) {
        let panel = part / plan.chunks
        let q = part % plan.chunks
        let sums = plan.sums + (kept ? part : Int(slot)) &* plan.unitFloats
        for block in job.pointee.firstBlock..<job.pointee.endBlock {
            let count = min(plan.blockTiles, plan.input.tiles &- block &* plan.blockTiles)
            let place = block &- job.pointee.firstBlock
            sumBlock(
                plan, chunk: q, panel: panel, count: count, v: plan.v + place &* plan.vFloats,
                d: plan.d + place &* plan.dFloats, to: sums, add: block > 0, fetch: true)
        }
        if isLast { writeGradient(plan, chunk: q, panel: panel, from: sums, to: job.pointee.dw) }
    }
    dl_return_slot(plan.slots, slot)
}

extension Winograd {
    /// Transforms the sums of `rows` channels and `columns` filters, at most a panel, to the taps of dw.
    static func kernelGradient(
        _ from: UnsafePointer<Float>, _ block: WinogradBlock, rows: Int, columns: Int, to: UnsafeMutablePointer<Float>,
        rowStride: Int, tapStride: Int, streamed: Bool
    ) {
        for row in 0..<rows {
            var c = 0
            while c < min(columns, block.width) {
                let u = from + (row &* block.width &+ c), target = to + (row &* rowStride &+ c)
                if streamed {
                    kernelGradientStreamed(u, block.streamStride, target, tapStride)
                } else {
                    kernelGradientStored(u, block.streamStride, target, tapStride, min(lanes, columns &- c))
                }
                c &+= lanes
            }
        }
    }

    @inline(never)
    private static func kernelGradientStored(
        _ u: UnsafePointer<Float>, _ stride: Int, _ to: UnsafeMutablePointer<Float>, _ tapStride: Int, _ present: Int
    ) {
        kernelGradientVector(u, stride, to, tapStride, present, streamed: false)
    }

    @inline(never)
    private static func kernelGradientStreamed(
        _ u: UnsafePointer<Float>, _ stride: Int, _ to: UnsafeMutablePointer<Float>, _ tapStride: Int
    ) {
        kernelGradientVector(u, stride, to, tapStride, lanes, streamed: true)
    }

    @inline(__always)
    private static func kernelGradientVector(
        _ u: UnsafePointer<Float>, _ stride: Int, _ to: UnsafeMutablePointer<Float>, _ tapStride: Int, _ present: Int,
        streamed: Bool
    ) {
        var t = InlineArray<T, Inputs> { _ in Inputs { _ in Vector(repeating: 0) } }
        for j in 0..<I {
            var column = Inputs { _ in Vector(repeating: 0) }
            for i in 0..<I { column[i] = load(u + (i &* I &+ j) &* stride) }
            let out = kernelAdjoint(column)
            for i in 0..<T { t[i][j] = out[i] }
        }
        for i in 0..<T {
            let out = kernelAdjoint(t[i])
            for j in 0..<T {
                let p = to + (i &* T &+ j) &* tapStride
                if streamed { stream(out[j], p) } else { storeFirst(out[j], p, present) }
            }
        }
    }
}
