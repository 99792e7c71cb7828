import CDLKernels

/// How one dimension of a depthwise convolution's result looks at its source: x for the forward direction, dy for the
/// gradient of x. The positions phase, phase + phases, ... of the result look at the source through the same taps.
struct DepthwiseAxis {
    let size: Int
    let sourceSize: Int
    let kernel: Int
    let dilation: Int
    let padding: Int
    let phases: Int
    /// Source positions from one position of a phase to the next.
    let step: Int
    private let isGradient: Bool

    init(forward size: Int, source: Int, kernel: Int, stride: Int, dilation: Int, padding: Int) {
        self.size = size
        sourceSize = source
        self.kernel = kernel
        self.dilation = dilation
        self.padding = padding
        phases = 1
        step = stride
        isGradient = false
    }

    init(gradient size: Int, source: Int, kernel: Int, stride: Int, dilation: Int, padding: Int) {
        self.size = size
        sourceSize = source
        self.kernel = kernel
        self.dilation = dilation
        self.padding = padding
        phases = stride
        step = 1
        isGradient = true
    }

    /// The source position, possibly outside, that a phase's first position sees through a tap; nil where it sees none.
    @inline(__always)
    func origin(phase: Int, tap: Int) -> Int? {
        if !isGradient { return tap &* dilation &- padding }
        let at = phase &+ padding &- tap &* dilation
        return at % phases == 0 ? at / phases : nil
    }

    /// Positions of a phase.
    @inline(__always)
    func count(phase: Int) -> Int { phase < size ? (size &- phase &- 1) / phases &+ 1 : 0 }
}

/// A convolution in which each channel is a group of its own: vectors of channels, a few neighbouring positions at once.
/// Several filters for each channel are treated as that many copies of the channel. Groups of a few channels are treated
/// likewise, several groups in a vector: see `GroupedTile`.
struct DepthwiseJob {
    let rowAxis: DepthwiseAxis
    let columnAxis: DepthwiseAxis
    let images: Int
    /// Of a position of the source and of the result; they differ only between groups of several.
    let sourceChannels: Int
    let channels: Int
    /// Channels of the source that each channel of the result sees; 1 for a depthwise convolution.
    let seen: Int
    let pieces: Int
    let taps: UnsafeMutablePointer<Int>
    var source: UnsafePointer<Float>
    var w: UnsafePointer<Float>
    var result: UnsafeMutablePointer<Float>
    var bias: UnsafePointer<Float>?
    var relu = false

    init(
        rows: DepthwiseAxis, columns: DepthwiseAxis, images: Int, sourceChannels: Int, channels: Int, seen: Int,
        _ cursor: inout ScratchCursor
    ) {
        self.sourceChannels = sourceChannels
        self.seen = seen
        rowAxis = rows
        columnAxis = columns
        self.images = images
        self.channels = channels
        let work = Float(images &* rows.size) * Float(columns.size &* channels) * Float(rows.kernel &* columns.kernel &* seen)
        pieces = max(1, min(images &* rows.size, Int(min(32, work / 100_000))))
        // Of each piece: offsets of the taps in the source, and in the weights, inside and at the border.
        taps = cursor.integers(pieces &* rows.kernel &* columns.kernel &* 4)
        source = UnsafePointer(bitPattern: 64).unsafelyUnwrapped
        w = source
        result = UnsafeMutablePointer(mutating: source)
    }

    static func forward(_ s: Sizes, _ cursor: inout ScratchCursor) -> DepthwiseJob {
        DepthwiseJob(
            rows: DepthwiseAxis(
                forward: s.outputHeight, source: s.height, kernel: s.kernelY, stride: s.strideY, dilation: s.dilationY,
                padding: s.padTop),
            columns: DepthwiseAxis(
                forward: s.outputWidth, source: s.width, kernel: s.kernelX, stride: s.strideX, dilation: s.dilationX,
                padding: s.padLeft), images: s.batch, sourceChannels: isDepthwise(s) ? s.filters : s.channels,
            channels: s.filters, seen: isDepthwise(s) ? 1 : s.groupChannels, &cursor)
    }

    static func isDepthwise(_ s: Sizes) -> Bool { s.groups == s.channels }

    static func gradient(_ s: Sizes, _ cursor: inout ScratchCursor) -> DepthwiseJob {
        DepthwiseJob(
            rows: DepthwiseAxis(
                gradient: s.height, source: s.outputHeight, kernel: s.kernelY, stride: s.strideY, dilation: s.dilationY,
                padding: s.padTop),
            columns: DepthwiseAxis(
                gradient: s.width, source: s.outputWidth, kernel: s.kernelX, stride: s.strideX, dilation: s.dilationX,
                padding: s.padLeft), images: s.batch, sourceChannels: s.filters,
            channels: isDepthwise(s) ? s.filters : s.channels, seen: isDepthwise(s) ? 1 : s.groupFilters, &cursor)
    }

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        inParallel(runtime, pieces: pieces, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: DepthwiseJob.self)
            let rows = job.pointee.images &* job.pointee.rowAxis.size
            let pieces = job.pointee.pieces
            for row in share(Int(piece), of: pieces, rows)..<share(Int(piece) &+ 1, of: pieces, rows) {
                depthwiseRow(job, piece: Int(piece), row)
            }
        }
    }
}

/// Floats of a copy of x or dx with as many copies of each channel as it has filters; 0 where it has one.
private func expandedFloats(_ s: Sizes) -> Int {
    !DepthwiseJob.isDepthwise(s) || s.filters == s.channels ? 0 : s.batch &* s.height &* s.width &* s.filters
}

/// Floats of the weights with the channels as columns, for groups of several.
private func turnedFloats(_ s: Sizes) -> Int {
    DepthwiseJob.isDepthwise(s) ? 0 : s.kernelY &* s.kernelX &* s.groupFilters &* s.channels
}

func forwardDepthwiseScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    var cursor = ScratchCursor(nil)
    let s = Sizes(problem)
    _ = DepthwiseJob.forward(s, &cursor)
    _ = cursor.floats(expandedFloats(s))
    return cursor.bytes
}

func forwardDepthwise(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    var cursor = ScratchCursor(call.pointee.scratch)
    var job = DepthwiseJob.forward(s, &cursor)
    let expanded = cursor.floats(expandedFloats(s))
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let w = call.pointee.w,
        let y = call.pointee.result
    else { return }
    job.source = x
    if expandedFloats(s) > 0 {
        var copies = ChannelCopies(x: x, positions: s.batch &* s.height &* s.width, s: s, to: expanded)
        copies.run(runtime)
        job.source = UnsafePointer(expanded)
    }
    job.w = w
    job.result = y
    job.bias = call.pointee.bias
    job.relu = call.pointee.relu != 0
    job.run(runtime)
}

func backwardDataDepthwiseScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    var cursor = ScratchCursor(nil)
    let s = Sizes(problem)
    _ = DepthwiseJob.gradient(s, &cursor)
    _ = cursor.floats(expandedFloats(s))
    _ = cursor.floats(turnedFloats(s))
    return cursor.bytes
}

func backwardDataDepthwise(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    var cursor = ScratchCursor(call.pointee.scratch)
    var job = DepthwiseJob.gradient(s, &cursor)
    let expanded = cursor.floats(expandedFloats(s))
    let turned = cursor.floats(turnedFloats(s))
    guard let runtime = call.pointee.runtime, let dy = call.pointee.dy, let w = call.pointee.w,
        let dx = call.pointee.result
    else { return }
    job.source = dy
    job.w = w
    job.result = expandedFloats(s) > 0 ? expanded : dx
    if turnedFloats(s) > 0 {
        turnWeights(s, w, turned)
        job.w = UnsafePointer(turned)
    }
    job.run(runtime)
    if expandedFloats(s) > 0 {
        var sums = ChannelSums(from: expanded, positions: s.batch &* s.height &* s.width, s: s, dx: dx)
        sums.run(runtime)
    }
}

/// For each tap and each filter of a group a row of all channels.
private func turnWeights(_ s: Sizes, _ w: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>) {
    for tap in 0..<s.kernelY &* s.kernelX {
        for filter in 0..<s.groupFilters {
            let row = to + (tap &* s.groupFilters &+ filter) &* s.channels
            for channel in 0..<s.channels {
                let group = channel / s.groupChannels
                row[channel] =
                    w[(tap &* s.groupChannels &+ channel % s.groupChannels) &* s.filters &+ group &* s.groupFilters &+ filter]
            }
        }
    }
}

/// Offsets of taps in the source and in the weights.
private struct DepthwiseTaps {
    let source: UnsafeMutablePointer<Int>
    let weights: UnsafeMutablePointer<Int>
    var count = 0

    init(_ memory: UnsafeMutablePointer<Int>, limit: Int) {
        source = memory
        weights = memory + limit
    }
}

private func depthwiseRow(_ job: UnsafePointer<DepthwiseJob>, piece: Int, _ index: Int) {
    let rows = job.pointee.rowAxis
    let columns = job.pointee.columnAxis
    let channels = job.pointee.channels
    let sourceChannels = job.pointee.sourceChannels
    let tapFloats = job.pointee.seen &* channels
    let limit = rows.kernel &* columns.kernel
    var inside = DepthwiseTaps(job.pointee.taps + piece &* 4 &* limit, limit: limit)
    var border = DepthwiseTaps(job.pointee.taps + (piece &* 4 &+ 2) &* limit, limit: limit)
    let image = index / rows.size
    let row = index % rows.size
    let source = job.pointee.source + image &* rows.sourceSize &* columns.sourceSize &* sourceChannels
    let result = job.pointee.result + index &* columns.size &* channels
    for phase in 0..<min(columns.phases, columns.size) {
        let count = columns.count(phase: phase)
        // Positions low ..< high of the phase see the source through all taps of the row.
        var low = 0
        var high = count
        inside.count = 0
        for ky in 0..<rows.kernel {
            guard let originY = rows.origin(phase: row % rows.phases, tap: ky) else { continue }
            let y = originY &+ row / rows.phases &* rows.step
            if y < 0 || y >= rows.sourceSize { continue }
            for kx in 0..<columns.kernel {
                guard let x = columns.origin(phase: phase, tap: kx) else { continue }
                low = max(low, ceilingDivide(0 &- x, columns.step))
                high = min(high, ceilingDivide(columns.sourceSize &- x, columns.step))
                inside.source[inside.count] = (y &* columns.sourceSize &+ x) &* sourceChannels
                inside.weights[inside.count] = (ky &* columns.kernel &+ kx) &* tapFloats
                inside.count &+= 1
            }
        }
        low = min(low, count)
        high = max(low, high)
        var a = DepthwiseArguments(
            source: source, step: columns.step &* sourceChannels, taps: inside.source, weightTaps: inside.weights,
            tapCount: inside.count, w: job.pointee.w, to: result + phase &* channels, toStep: columns.phases &* channels,
            channels: channels, sourceChannels: sourceChannels, seen: job.pointee.seen, bias: job.pointee.bias,
            relu: job.pointee.relu)
        let from = a.source
        let to = a.to
        var i = 0
        while i < count {
            a.source = from + i &* a.step
            a.to = to + i &* a.toStep
            if i >= low && i < high {
                let taken = min(depthwisePositions, high &- i)
                a.taps = UnsafePointer(inside.source)
                a.weightTaps = UnsafePointer(inside.weights)
                a.tapCount = inside.count
                runDepthwise(&a, positions: taken)
                i &+= taken
            } else {
                border.count = 0
                let shift = i &* columns.step
                for tap in 0..<inside.count {
                    // The tap's column for position 0, of which the offset has no trace where it lies outside.
                    let kx = inside.weights[tap] / tapFloats % columns.kernel
                    guard let x = columns.origin(phase: phase, tap: kx) else { continue }
                    if x &+ shift < 0 || x &+ shift >= columns.sourceSize { continue }
                    border.source[border.count] = inside.source[tap]
                    border.weights[border.count] = inside.weights[tap]
                    border.count &+= 1
                }
                a.taps = UnsafePointer(border.source)
                a.weightTaps = UnsafePointer(border.weights)
                a.tapCount = border.count
                runDepthwise(&a, positions: 1)
                i &+= 1
            }
        }
    }
}

/// Neighbouring positions at once at most.
private let depthwisePositions = 8

struct DepthwiseArguments {
    /// Where the first position sees a tap of offset 0, and the way from one position to the next.
    var source: UnsafePointer<Float>
    var step: Int
    var taps: UnsafePointer<Int>
    var weightTaps: UnsafePointer<Int>
    var tapCount: Int
    var w: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var toStep: Int
    var channels: Int
    var sourceChannels: Int
    var seen: Int
    var bias: UnsafePointer<Float>?
    var relu: Bool
}

private func runDepthwise(_ a: UnsafePointer<DepthwiseArguments>, positions: Int) {
    if a.pointee.seen > 1 || a.pointee.sourceChannels != a.pointee.channels {
        runGrouped(a, positions: positions)
        return
    }
    switch positions {
    case 8: DepthwiseTile<8>.run(a)
    case 7: DepthwiseTile<7>.run(a)
    case 6: DepthwiseTile<6>.run(a)
    case 5: DepthwiseTile<5>.run(a)
    case 4: DepthwiseTile<4>.run(a)
    case 3: DepthwiseTile<3>.run(a)
    case 2: DepthwiseTile<2>.run(a)
    default: DepthwiseTile<1>.run(a)
    }
}

/// All channels of P positions.
private enum DepthwiseTile<let P: Int> {
    @inline(never)
    static func run(_ a: UnsafePointer<DepthwiseArguments>) {
        let channels = a.pointee.channels
        var c = 0
        while c &+ lanes <= channels {
            sum(a, c, lanes, whole: true)
            c &+= lanes
        }
        if c < channels { sum(a, c, channels &- c, whole: false) }
    }

    @inline(__always)
    private static func sum(_ a: UnsafePointer<DepthwiseArguments>, _ c: Int, _ count: Int, whole: Bool) {
        var sums = InlineArray<P, Vector> { _ in Vector(repeating: 0) }
        let step = a.pointee.step
        let taps = a.pointee.taps
        let weightTaps = a.pointee.weightTaps
        let w = a.pointee.w + c
        let source = a.pointee.source + c
        for tap in 0..<a.pointee.tapCount {
            let weights = w + weightTaps[tap]
            let right = whole ? load(weights) : loadFirst(weights, count)
            let x = source + taps[tap]
            for p in 0..<P {
                let left = whole ? load(x + p &* step) : loadFirst(x + p &* step, count)
                sums[p] = fma(left, right, sums[p])
            }
        }
        let floor = Vector(repeating: a.pointee.relu ? 0 : -Float.infinity)
        let bias = a.pointee.bias.map { loadFirst($0 + c, count) } ?? Vector(repeating: 0)
        let to = a.pointee.to + c
        for p in 0..<P {
            let value = maximum(floor, sums[p] + bias)
            if whole { store(value, to + p &* a.pointee.toStep) } else { storeFirst(value, to + p &* a.pointee.toStep, count) }
        }
    }
}

/// Each channel of x as often as it has filters.
struct ChannelCopies {
    var x: UnsafePointer<Float>
    var positions: Int
    var s: Sizes
    var to: UnsafeMutablePointer<Float>

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        inParallel(runtime, pieces: max(1, min(positions, min(32, positions &* s.filters / 16384))), &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: ChannelCopies.self).pointee
            let pieces = max(1, min(job.positions, min(32, job.positions &* job.s.filters / 16384)))
            let times = job.s.groupFilters
            let first = share(Int(piece), of: pieces, job.positions) &* job.s.channels
            let end = share(Int(piece) &+ 1, of: pieces, job.positions) &* job.s.channels
            var to = job.to + first &* times
            for i in first..<end {
                for _ in 0..<times {
                    to.pointee = job.x[i]
                    to += 1
                }
            }
        }
    }
}

/// The inverse: the sum of the copies of each channel.
private struct ChannelSums {
    var from: UnsafePointer<Float>
    var positions: Int
    var s: Sizes
    var dx: UnsafeMutablePointer<Float>

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        inParallel(runtime, pieces: max(1, min(positions, min(32, positions &* s.filters / 16384))), &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: ChannelSums.self).pointee
            let pieces = max(1, min(job.positions, min(32, job.positions &* job.s.filters / 16384)))
            let times = job.s.groupFilters
            let first = share(Int(piece), of: pieces, job.positions) &* job.s.channels
            let end = share(Int(piece) &+ 1, of: pieces, job.positions) &* job.s.channels
            var from = job.from + first &* times
            for i in first..<end {
                var sum: Float = 0
                for _ in 0..<times {
                    sum += from.pointee
                    from += 1
                }
                job.dx[i] = sum
            }
        }
    }
}
