import CDLKernels

private struct ForwardPlanesJob {
    let plan: Planes
    let offsets: UnsafeMutablePointer<Int>
    let planes: UnsafeMutablePointer<Float>
    let stride: Int
    let bytes: Int
    var x: UnsafePointer<Float>
    var w: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    var bias: UnsafePointer<Float>?
    var relu = false

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        plan = Planes(s)
        var cursor = ScratchCursor(memory)
        offsets = cursor.integers(plan.taps)
        stride = roundUp(plan.planeFloats &* s.channels, 16)
        planes = cursor.floats(stride &* plan.pieces)
        bytes = cursor.bytes
        x = UnsafePointer(planes)
        w = UnsafePointer(planes)
        y = planes
    }
}

func forwardPlanesScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    ForwardPlanesJob(Sizes(problem), nil).bytes
}

func forwardPlanes(_ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>) {
    var job = ForwardPlanesJob(Sizes(problem), call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let w = call.pointee.w,
        let y = call.pointee.result
    else { return }
    job.x = x
    job.w = w
    job.y = y
    job.bias = call.pointee.bias
    job.relu = call.pointee.relu != 0
    job.plan.fillOffsets(job.offsets)
    inParallel(runtime, pieces: job.plan.pieces, &job) { job, piece in
        let job = job.unsafelyUnwrapped.assumingMemoryBound(to: ForwardPlanesJob.self)
        let pieces = job.pointee.plan.pieces
        let units = job.pointee.plan.units
        for unit in share(Int(piece), of: pieces, units)..<share(Int(piece) &+ 1, of: pieces, units) {
            forwardBand(job, planes: job.pointee.planes + Int(piece) &* job.pointee.stride, unit)
        }
    }
}

private func forwardBand(_ job: UnsafePointer<ForwardPlanesJob>, planes: UnsafeMutablePointer<Float>, _ unit: Int) {
    let s = job.pointee.plan.s
    let image = unit / job.pointee.plan.bands
    let firstRow = unit % job.pointee.plan.bands &* job.pointee.plan.bandHeight
    let rows = min(job.pointee.plan.bandHeight, s.outputHeight &- firstRow)
    job.pointee.plan.fillPlanes(job.pointee.x, image: image, firstRow: firstRow, rows: rows, planes)
    let y = job.pointee.y + (image &* s.outputHeight &+ firstRow) &* s.outputWidth &* s.filters
    switch s.filters {
    #if DL_AVX512
        case 4: PlaneTile<4, 4>.band(job, planes, y, rows: rows)
        case 5: PlaneTile<4, 5>.band(job, planes, y, rows: rows)
        case 6: PlaneTile<4, 6>.band(job, planes, y, rows: rows)
        case 7: PlaneTile<3, 7>.band(job, planes, y, rows: rows)
        case 8: PlaneTile<3, 8>.band(job, planes, y, rows: rows)
    #else
        case 4: PlaneTile<3, 4>.band(job, planes, y, rows: rows)
        case 5: PlaneTile<2, 5>.band(job, planes, y, rows: rows)
        case 6: PlaneTile<2, 6>.band(job, planes, y, rows: rows)
        case 7: PlaneTile<1, 7>.band(job, planes, y, rows: rows)
        case 8: PlaneTile<1, 8>.band(job, planes, y, rows: rows)
    #endif
    case 3: PlaneTile<4, 3>.band(job, planes, y, rows: rows)
    case 2: PlaneTile<4, 2>.band(job, planes, y, rows: rows)
    default: PlaneTile<4, 1>.band(job, planes, y, rows: rows)
    }
}

/// P vectors of positions by F filters.
private enum PlaneTile<let P: Int, let F: Int> {
    @inline(never)
    static func band(
        _ job: UnsafePointer<ForwardPlanesJob>, _ planes: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, rows: Int
    ) {
        var sums = InlineArray<448, Float> { _ in 0 }
        withUnsafeMutablePointer(to: &sums) { sums in
            let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
            let vectors = job.pointee.plan.vectors
            let width = job.pointee.plan.s.outputWidth
            let total = rows &* vectors
            var first = 0
            while first < total {
                // Past the last vector it is summed once more and not written.
                sum(job, planes, first, total &- 1, sums)
                for p in 0..<min(P, total &- first) {
                    let row = (first &+ p) / vectors
                    let column = (first &+ p) % vectors &* lanes
                    let offset = (row &* width &+ column) &* F
                    let from = sums + p &* F &* lanes
                    // Whole vectors and the last four floats of each position reach into what comes after, which is
                    // written later; where nothing does, only what exists is copied.
                    if offset &+ lanes &* F &+ 4 <= rows &* width &* F {
                        interleave(job, from, y + offset)
                    } else {
                        lastPositions(job, from, y + offset, min(lanes, width &- column))
                    }
                }
                first &+= P
            }
        }
    }

    @inline(never)
    private static func lastPositions(
        _ job: UnsafePointer<ForwardPlanesJob>, _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>,
        _ count: Int
    ) {
        var positions = InlineArray<136, Float> { _ in 0 }
        withUnsafeMutablePointer(to: &positions) { positions in
            let positions = UnsafeMutableRawPointer(positions).assumingMemoryBound(to: Float.self)
            interleave(job, from, positions)
            copyFloats(positions, to, count &* F)
        }
    }

    /// Turns F planes of one vector of positions into positions of the output. The channels of each position are
    /// written four at a time, the last ones of all positions first: what they write too much is overwritten.
    @inline(__always)
    private static func interleave(
        _ job: UnsafePointer<ForwardPlanesJob>, _ sums: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>
    ) {
        let floor = Vector(repeating: job.pointee.relu ? 0 : -Float.infinity)
        let groups = (F &+ 3) / 4
        for g in 0..<groups {
            let group = groups &- 1 &- g
            var planes = InlineArray<4, Vector> { _ in Vector(repeating: 0) }
            for i in 0..<4 {
                let f = min(group &* 4 &+ i, F &- 1)
                var bias: Float = 0
                if let all = job.pointee.bias { bias = all[f] }
                planes[i] = maximum(floor, load(sums + f &* lanes) + Vector(repeating: bias))
            }
            #if DL_AVX512
                dl_interleave16(planes[0], planes[1], planes[2], planes[3], to + group &* 4, F)
            #else
                dl_interleave8(planes[0], planes[1], planes[2], planes[3], to + group &* 4, F)
            #endif
        }
    }

    @inline(never)
    private static func sum(
        _ job: UnsafePointer<ForwardPlanesJob>, _ planes: UnsafePointer<Float>, _ first: Int, _ last: Int,
        _ out: UnsafeMutablePointer<Float>
    ) {
        var sums = InlineArray<P, InlineArray<F, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        let vectors = job.pointee.plan.vectors
        let rowStep = job.pointee.plan.s.strideY &* job.pointee.plan.inputWidth
        var x = InlineArray<P, UnsafePointer<Float>> { _ in planes }
        for p in 0..<P {
            let vector = min(first &+ p, last)
            x[p] = planes + (vector / vectors &* rowStep &+ vector % vectors &* lanes)
        }
        let taps = job.pointee.plan.taps
        let offsets = job.pointee.offsets
        var w = job.pointee.w
        for tap in 0..<taps {
            let offset = offsets[tap]
            var left = InlineArray<P, Vector> { _ in Vector(repeating: 0) }
            for p in 0..<P { left[p] = load(x[p] + offset) }
            for f in 0..<F {
                let right = Vector(repeating: w[f])
                for p in 0..<P { sums[p][f] = fma(left[p], right, sums[p][f]) }
            }
            w += F
        }
        for p in 0..<P {
            for f in 0..<F { store(sums[p][f], out + (p &* F &+ f) &* lanes) }
        }
    }
}
