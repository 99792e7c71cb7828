import CDLKernels

/// dw of a depthwise convolution: for each tap the sum over positions of x times dy, channel by channel. Bands of rows
/// are summed by pieces of their own, whose sums are added at the end.
private struct DepthwiseWeightsJob {
    let s: Sizes
    /// Groups of a few channels, not of one.
    let grouped: Bool
    let xChannels: Int
    /// Output rows, of any image, that are passed over for each vector of channels: they stay in the second-level cache.
    let bandHeight: Int
    let bands: Int
    let pieces: Int
    let partials: UnsafeMutablePointer<Float>
    let expanded: UnsafeMutablePointer<Float>
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>

    init(_ s: Sizes, _ cursor: inout ScratchCursor) {
        self.s = s
        grouped = s.groups != s.channels
        xChannels = grouped ? s.channels : s.filters
        let rowFloats = s.width &* s.strideY &* xChannels &+ s.outputWidth &* s.filters
        bandHeight = max(1, min(s.outputHeight, 98_304 / max(1, rowFloats)))
        bands = divideUp(s.outputHeight, bandHeight)
        let weights = s.kernelY &* s.kernelX &* (grouped ? s.groupChannels : 1) &* s.filters
        let work = Float(s.batch &* s.outputHeight) * Float(s.outputWidth) * Float(weights)
        pieces = max(1, min(s.batch &* bands, Int(min(16, work / 200_000))))
        partials = cursor.floats(pieces &* weights)
        expanded = cursor.floats(grouped || s.filters == s.channels ? 0 : s.batch &* s.height &* s.width &* s.filters)
        x = UnsafePointer(partials)
        dy = x
    }
}

func backwardWeightsDepthwiseScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    var cursor = ScratchCursor(nil)
    _ = DepthwiseWeightsJob(Sizes(problem), &cursor)
    return cursor.bytes
}

func backwardWeightsDepthwise(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    var cursor = ScratchCursor(call.pointee.scratch)
    var job = DepthwiseWeightsJob(s, &cursor)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let dy = call.pointee.dy,
        let dw = call.pointee.result
    else { return }
    job.x = x
    job.dy = dy
    if !job.grouped && s.filters != s.channels {
        var copies = ChannelCopies(x: x, positions: s.batch &* s.height &* s.width, s: s, to: job.expanded)
        copies.run(runtime)
        job.x = UnsafePointer(job.expanded)
    }
    inParallel(runtime, pieces: job.pieces, &job) { job, piece in
        let job = job.unsafelyUnwrapped.assumingMemoryBound(to: DepthwiseWeightsJob.self)
        let units = job.pointee.s.batch &* job.pointee.bands
        let pieces = job.pointee.pieces
        let s = job.pointee.s
        let weights = s.kernelY &* s.kernelX &* (job.pointee.grouped ? s.groupChannels : 1) &* s.filters
        let to = job.pointee.partials + Int(piece) &* weights
        clearFloats(to, weights)
        for unit in share(Int(piece), of: pieces, units)..<share(Int(piece) &+ 1, of: pieces, units) {
            if job.pointee.grouped {
                sumGroupedBand(job, image: unit / job.pointee.bands, band: unit % job.pointee.bands, to)
            } else {
                sumBand(job, image: unit / job.pointee.bands, band: unit % job.pointee.bands, to)
            }
        }
    }
    var sum = SumPartials(
        partials: job.partials, count: job.pieces,
        rows: s.kernelY &* s.kernelX &* (job.grouped ? s.groupChannels : 1), columns: s.filters, to: dw,
        stride: s.filters)
    sum.run(runtime)
}

/// Tap by tap, for each vector of groups.
private func sumGroupedBand(
    _ job: UnsafePointer<DepthwiseWeightsJob>, image: Int, band: Int, _ to: UnsafeMutablePointer<Float>
) {
    let s = job.pointee.s
    let seen = s.groupChannels
    var indices = InlineArray<16, IntVector> { _ in IntVector(repeating: 0) }
    for channel in 0..<seen { indices[channel] = laneOfGroup(channel, seen: seen, result: s.groupFilters) }
    let groups = groupsOfVector(seen, s.groupFilters)
    withUnsafePointer(to: indices) { indices in
        let indices = UnsafeRawPointer(indices).assumingMemoryBound(to: IntVector.self)
        var group = 0
        while group < s.groups {
            let taken = min(groups, s.groups &- group)
            for tap in 0..<s.kernelY &* s.kernelX {
                let offsetY = tap / s.kernelX &* s.dilationY &- s.padTop
                let offsetX = tap % s.kernelX &* s.dilationX &- s.padLeft
                let low = max(band &* job.pointee.bandHeight, ceilingDivide(0 &- offsetY, s.strideY))
                let high = min(
                    min(s.outputHeight, (band &+ 1) &* job.pointee.bandHeight),
                    ceilingDivide(s.height &- offsetY, s.strideY))
                let first = max(0, ceilingDivide(0 &- offsetX, s.strideX))
                let end = min(s.outputWidth, ceilingDivide(s.width &- offsetX, s.strideX))
                if low >= high || first >= end { continue }
                let row = (image &* s.height &+ low &* s.strideY &+ offsetY) &* s.width &+ first &* s.strideX &+ offsetX
                let position = (image &* s.outputHeight &+ low) &* s.outputWidth &+ first
                var a = GroupedWeightArguments(
                    x: job.pointee.x + (row &* s.channels &+ group &* seen),
                    dy: job.pointee.dy + (position &* s.filters &+ group &* s.groupFilters), rows: high &- low,
                    columns: end &- first, xRow: s.strideY &* s.width &* s.channels, dyRow: s.outputWidth &* s.filters,
                    xStep: s.strideX &* s.channels, dyStep: s.filters, xCount: taken &* seen,
                    count: taken &* s.groupFilters, indices: indices,
                    to: to + (tap &* seen &* s.filters &+ group &* s.groupFilters), toStep: s.filters)
                addGroupedWeights(&a, seen: seen)
            }
            group &+= taken
        }
    }
}

private func sumBand(_ job: UnsafePointer<DepthwiseWeightsJob>, image: Int, band: Int, _ to: UnsafeMutablePointer<Float>) {
    let s = job.pointee.s
    var channel = 0
    while channel < s.filters {
        let vectors = max(1, min(depthwiseWeightVectors, (s.filters &- channel) / lanes))
        let count = min(vectors &* lanes, s.filters &- channel)
        for ky in 0..<s.kernelY {
            let offsetY = ky &* s.dilationY &- s.padTop
            let low = max(band &* job.pointee.bandHeight, ceilingDivide(0 &- offsetY, s.strideY))
            let high = min(
                min(s.outputHeight, (band &+ 1) &* job.pointee.bandHeight), ceilingDivide(s.height &- offsetY, s.strideY))
            if low >= high { continue }
            var kx = 0
            while kx < s.kernelX {
                let taken = min(depthwiseWeightTaps, s.kernelX &- kx)
                sumTaps(
                    job, x: job.pointee.x + ((image &* s.height &+ low &* s.strideY &+ offsetY) &* s.width &* s.filters &+ channel),
                    dy: job.pointee.dy + ((image &* s.outputHeight &+ low) &* s.outputWidth &* s.filters &+ channel),
                    rows: high &- low, firstTap: kx, taps: taken, vectors: vectors, channels: count,
                    to + ((ky &* s.kernelX &+ kx) &* s.filters &+ channel))
                kx &+= taken
            }
        }
        channel &+= vectors &* lanes
    }
}

/// Some taps of one kernel row. Positions that all of them see inside the input are summed for all together, the others
/// for one tap after another.
private func sumTaps(
    _ job: UnsafePointer<DepthwiseWeightsJob>, x: UnsafePointer<Float>, dy: UnsafePointer<Float>, rows: Int, firstTap: Int,
    taps: Int, vectors: Int, channels: Int, _ to: UnsafeMutablePointer<Float>
) {
    let s = job.pointee.s
    var low = 0
    var high = s.outputWidth
    for tap in 0..<taps {
        let offset = (firstTap &+ tap) &* s.dilationX &- s.padLeft
        low = max(low, ceilingDivide(0 &- offset, s.strideX))
        high = min(high, ceilingDivide(s.width &- offset, s.strideX))
    }
    var a = DepthwiseWeightArguments(
        x: x, dy: dy, rows: rows, columns: 0, xRow: s.strideY &* s.width &* s.filters, dyRow: s.outputWidth &* s.filters,
        xStep: s.strideX &* s.filters, dyStep: s.filters, tapStep: s.dilationX &* s.filters, channels: channels, to: to,
        toStep: s.filters)
    func sum(_ low: Int, _ high: Int, _ tap: Int, _ taps: Int) {
        if low >= high { return }
        let offset = (firstTap &+ tap) &* s.dilationX &- s.padLeft
        a.x = x + (low &* s.strideX &+ offset) &* s.filters
        a.dy = dy + low &* s.filters
        a.columns = high &- low
        a.to = to + tap &* s.filters
        addDepthwiseWeights(&a, taps: taps, vectors: vectors)
    }
    sum(low, high, 0, taps)
    let shared = low < high
    for tap in 0..<taps {
        let offset = (firstTap &+ tap) &* s.dilationX &- s.padLeft
        let first = max(0, ceilingDivide(0 &- offset, s.strideX))
        let end = min(s.outputWidth, ceilingDivide(s.width &- offset, s.strideX))
        if shared {
            sum(first, low, tap, 1)
            sum(high, end, tap, 1)
        } else {
            sum(first, end, tap, 1)
        }
    }
}

private struct DepthwiseWeightArguments {
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var rows: Int
    var columns: Int
    var xRow: Int
    var dyRow: Int
    var xStep: Int
    var dyStep: Int
    /// From what a tap sees to what the next one sees.
    var tapStep: Int
    /// Channels that exist, 1 ... V * lanes; fewer than V * lanes only where V is 1.
    var channels: Int
    var to: UnsafeMutablePointer<Float>
    var toStep: Int
}

#if DL_AVX512
    private let depthwiseWeightVectors = 4
    private let depthwiseWeightTaps = 5
#else
    private let depthwiseWeightVectors = 2
    private let depthwiseWeightTaps = 5
#endif

/// T taps of a kernel row by V vectors of channels.
private enum DepthwiseWeightTile<let T: Int, let V: Int> {
    @inline(never)
    static func add(_ a: UnsafePointer<DepthwiseWeightArguments>) {
        if a.pointee.channels == V &* lanes { add(a, whole: true) } else { add(a, whole: false) }
    }

    @inline(__always)
    private static func add(_ a: UnsafePointer<DepthwiseWeightArguments>, whole: Bool) {
        var sums = InlineArray<T, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        let tapStep = a.pointee.tapStep
        let channels = a.pointee.channels
        for row in 0..<a.pointee.rows {
            var x = a.pointee.x + row &* a.pointee.xRow
            var dy = a.pointee.dy + row &* a.pointee.dyRow
            for _ in 0..<a.pointee.columns {
                var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
                for v in 0..<V { right[v] = whole ? load(dy + v &* lanes) : loadFirst(dy + v &* lanes, channels &- v &* lanes) }
                for t in 0..<T {
                    let p = x + t &* tapStep
                    for v in 0..<V {
                        let left = whole ? load(p + v &* lanes) : loadFirst(p + v &* lanes, channels &- v &* lanes)
                        sums[t][v] = fma(left, right[v], sums[t][v])
                    }
                }
                x += a.pointee.xStep
                dy += a.pointee.dyStep
            }
        }
        for t in 0..<T {
            for v in 0..<V {
                let p = a.pointee.to + (t &* a.pointee.toStep &+ v &* lanes)
                let count = channels &- v &* lanes
                storeFirst(loadFirst(p, count) + sums[t][v], p, count)
            }
        }
    }
}

private func addDepthwiseWeights(_ a: UnsafePointer<DepthwiseWeightArguments>, taps: Int, vectors: Int) {
    switch (taps, vectors) {
    #if DL_AVX512
        case (5, 4): DepthwiseWeightTile<5, 4>.add(a)
        case (4, 4): DepthwiseWeightTile<4, 4>.add(a)
        case (3, 4): DepthwiseWeightTile<3, 4>.add(a)
        case (2, 4): DepthwiseWeightTile<2, 4>.add(a)
        case (1, 4): DepthwiseWeightTile<1, 4>.add(a)
        case (5, 3): DepthwiseWeightTile<5, 3>.add(a)
        case (4, 3): DepthwiseWeightTile<4, 3>.add(a)
        case (3, 3): DepthwiseWeightTile<3, 3>.add(a)
        case (2, 3): DepthwiseWeightTile<2, 3>.add(a)
        case (1, 3): DepthwiseWeightTile<1, 3>.add(a)
    #endif
    case (5, 2): DepthwiseWeightTile<5, 2>.add(a)
    case (4, 2): DepthwiseWeightTile<4, 2>.add(a)
    case (3, 2): DepthwiseWeightTile<3, 2>.add(a)
    case (2, 2): DepthwiseWeightTile<2, 2>.add(a)
    case (1, 2): DepthwiseWeightTile<1, 2>.add(a)
    case (5, _): DepthwiseWeightTile<5, 1>.add(a)
    case (4, _): DepthwiseWeightTile<4, 1>.add(a)
    case (3, _): DepthwiseWeightTile<3, 1>.add(a)
    case (2, _): DepthwiseWeightTile<2, 1>.add(a)
    default: DepthwiseWeightTile<1, 1>.add(a)
    }
}
