import CDLKernels

private struct WeightPlanesJob {
    let plan: Planes
    /// Filters of dy as planes of whole vectors, zero behind the last column.
    let dyPlaneFloats: Int
    let offsets: UnsafeMutablePointer<Int>
    let planes: UnsafeMutablePointer<Float>
    let planeStride: Int
    let dyPlanes: UnsafeMutablePointer<Float>
    let dyStride: Int
    /// One vector for each weight and piece: the lanes are added at the end.
    let laneSums: UnsafeMutablePointer<Float>
    let laneStride: Int
    let partials: UnsafeMutablePointer<Float>
    let bytes: Int
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        plan = Planes(s)
        var cursor = ScratchCursor(memory)
        dyPlaneFloats = plan.bandHeight &* plan.vectors &* lanes
        offsets = cursor.integers(plan.taps)
        planeStride = roundUp(plan.planeFloats &* s.channels, 16)
        planes = cursor.floats(planeStride &* plan.pieces)
        dyStride = roundUp(dyPlaneFloats &* s.filters, 16)
        dyPlanes = cursor.floats(dyStride &* plan.pieces)
        laneStride = plan.taps &* s.filters &* lanes
        laneSums = cursor.floats(laneStride &* plan.pieces)
        partials = cursor.floats(plan.pieces &* plan.taps &* s.filters)
        bytes = cursor.bytes
        x = UnsafePointer(planes)
        dy = UnsafePointer(planes)
    }
}

func backwardWeightsPlanesScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    WeightPlanesJob(Sizes(problem), nil).bytes
}

func backwardWeightsPlanes(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    var job = WeightPlanesJob(Sizes(problem), call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let dy = call.pointee.dy,
        let dw = call.pointee.result
    else { return }
    job.x = x
    job.dy = dy
    job.plan.fillOffsets(job.offsets)
    inParallel(runtime, pieces: job.plan.pieces, &job) { job, piece in
        weightPlanesPiece(job.unsafelyUnwrapped.assumingMemoryBound(to: WeightPlanesJob.self), Int(piece))
    }
    let weights = job.plan.taps &* job.plan.s.filters
    var sum = SumPartials(
        partials: job.partials, count: job.plan.pieces, rows: 1, columns: weights, to: dw, stride: weights)
    sum.run(runtime)
}

private func weightPlanesPiece(_ job: UnsafePointer<WeightPlanesJob>, _ piece: Int) {
    let s = job.pointee.plan.s
    let pieces = job.pointee.plan.pieces
    let units = job.pointee.plan.units
    let planes = job.pointee.planes + piece &* job.pointee.planeStride
    let dyPlanes = job.pointee.dyPlanes + piece &* job.pointee.dyStride
    let laneSums = job.pointee.laneSums + piece &* job.pointee.laneStride
    clearFloats(laneSums, job.pointee.laneStride)
    for unit in share(piece, of: pieces, units)..<share(piece &+ 1, of: pieces, units) {
        let image = unit / job.pointee.plan.bands
        let firstRow = unit % job.pointee.plan.bands &* job.pointee.plan.bandHeight
        let rows = min(job.pointee.plan.bandHeight, s.outputHeight &- firstRow)
        job.pointee.plan.fillPlanes(job.pointee.x, image: image, firstRow: firstRow, rows: rows, planes)
        fillOutputPlanes(job, image: image, firstRow: firstRow, rows: rows, dyPlanes)
        let tapTiles = divideUp(job.pointee.plan.taps, planeWeightTaps)
        let filterTiles = divideUp(s.filters, planeWeightFilters)
        for t in 0..<tapTiles {
            let tap = share(t, of: tapTiles, job.pointee.plan.taps)
            let taps = share(t &+ 1, of: tapTiles, job.pointee.plan.taps) &- tap
            for f in 0..<filterTiles {
                let filter = share(f, of: filterTiles, s.filters)
                let filters = share(f &+ 1, of: filterTiles, s.filters) &- filter
                let a = PlaneWeightArguments(
                    planes: planes, dy: dyPlanes + filter &* job.pointee.dyPlaneFloats, offsets: job.pointee.offsets + tap,
                    sums: laneSums + (tap &* s.filters &+ filter) &* lanes, rows: rows, vectors: job.pointee.plan.vectors,
                    rowStep: s.strideY &* job.pointee.plan.inputWidth, dyPlane: job.pointee.dyPlaneFloats,
                    filters: s.filters)
                addPlaneWeights(a, taps: taps, filters: filters)
            }
        }
    }
    let to = job.pointee.partials + piece &* job.pointee.plan.taps &* s.filters
    for i in 0..<job.pointee.plan.taps &* s.filters { to[i] = load(laneSums + i &* lanes).sum() }
}

/// dy's rows firstRow ... as one plane for each filter.
private func fillOutputPlanes(
    _ job: UnsafePointer<WeightPlanesJob>, image: Int, firstRow: Int, rows: Int, _ planes: UnsafeMutablePointer<Float>
) {
    switch job.pointee.plan.s.filters {
    case 1: OutputPlanes<1>.fill(job, image, firstRow, rows, planes)
    case 2: OutputPlanes<2>.fill(job, image, firstRow, rows, planes)
    case 3: OutputPlanes<3>.fill(job, image, firstRow, rows, planes)
    case 4: OutputPlanes<4>.fill(job, image, firstRow, rows, planes)
    case 5: OutputPlanes<5>.fill(job, image, firstRow, rows, planes)
    case 6: OutputPlanes<6>.fill(job, image, firstRow, rows, planes)
    case 7: OutputPlanes<7>.fill(job, image, firstRow, rows, planes)
    default: OutputPlanes<8>.fill(job, image, firstRow, rows, planes)
    }
}

private enum OutputPlanes<let F: Int> {
    @inline(never)
    static func fill(
        _ job: UnsafePointer<WeightPlanesJob>, _ image: Int, _ firstRow: Int, _ rows: Int,
        _ planes: UnsafeMutablePointer<Float>
    ) {
        let s = job.pointee.plan.s
        let width = job.pointee.plan.vectors &* lanes
        let plane = job.pointee.dyPlaneFloats
        let total = s.batch &* s.outputHeight &* s.outputWidth &* F
        for row in 0..<rows {
            let start = (image &* s.outputHeight &+ firstRow &+ row) &* s.outputWidth &* F
            var column = 0
            while column < s.outputWidth {
                let from = start &+ column &* F
                let count = min(lanes, s.outputWidth &- column)
                let to = planes + (row &* width &+ column)
                // Four floats are read at each of `lanes` positions, which only the tensor's last ones have no room for.
                if from &+ lanes &* F &+ 4 <= total {
                    deinterleave(job.pointee.dy + from, to, plane, count)
                } else {
                    lastPositions(job.pointee.dy + from, to, plane, count)
                }
                column &+= lanes
            }
        }
    }

    @inline(never)
    private static func lastPositions(
        _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ plane: Int, _ count: Int
    ) {
        var positions = InlineArray<144, Float> { _ in 0 }
        withUnsafeMutablePointer(to: &positions) { positions in
            let positions = UnsafeMutableRawPointer(positions).assumingMemoryBound(to: Float.self)
            copyFloats(from, positions, count &* F)
            deinterleave(positions, to, plane, count)
        }
    }

    @inline(__always)
    private static func deinterleave(
        _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ plane: Int, _ count: Int
    ) {
        for group in 0..<(F &+ 3) / 4 {
            let f = group &* 4
            #if DL_AVX512
                dl_deinterleave16(from + f, F, to + f &* plane, plane, F &- f, count)
            #else
                dl_deinterleave8(from + f, F, to + f &* plane, plane, F &- f, count)
            #endif
        }
    }
}

private struct PlaneWeightArguments {
    var planes: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var offsets: UnsafePointer<Int>
    var sums: UnsafeMutablePointer<Float>
    var rows: Int
    var vectors: Int
    var rowStep: Int
    var dyPlane: Int
    var filters: Int
}

/// T taps by F filters, each a vector whose lanes are different positions of the rows.
private enum PlaneWeightTile<let T: Int, let F: Int> {
    @inline(never)
    static func add(_ a: PlaneWeightArguments) {
        var sums = InlineArray<T, InlineArray<F, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        var offsets = InlineArray<T, Int> { _ in 0 }
        for t in 0..<T { offsets[t] = a.offsets[t] }
        var dy = a.dy
        let plane = a.dyPlane
        for row in 0..<a.rows {
            var x = a.planes + row &* a.rowStep
            for _ in 0..<a.vectors {
                var right = InlineArray<F, Vector> { _ in Vector(repeating: 0) }
                for f in 0..<F { right[f] = load(dy + f &* plane) }
                for t in 0..<T {
                    let left = load(x + offsets[t])
                    for f in 0..<F { sums[t][f] = fma(left, right[f], sums[t][f]) }
                }
                x += lanes
                dy += lanes
            }
        }
        for t in 0..<T {
            for f in 0..<F {
                let p = a.sums + (t &* a.filters &+ f) &* lanes
                store(load(p) + sums[t][f], p)
            }
        }
    }
}

@inline(__always)
private func addPlaneWeights(_ a: PlaneWeightArguments, taps: Int, filters: Int) {
    switch (taps, filters) {
    #if DL_AVX512
        case (5, 4): PlaneWeightTile<5, 4>.add(a)
        case (5, 3): PlaneWeightTile<5, 3>.add(a)
        case (5, 2): PlaneWeightTile<5, 2>.add(a)
        case (5, 1): PlaneWeightTile<5, 1>.add(a)
        case (4, 4): PlaneWeightTile<4, 4>.add(a)
        case (3, 4): PlaneWeightTile<3, 4>.add(a)
        case (2, 4): PlaneWeightTile<2, 4>.add(a)
        case (1, 4): PlaneWeightTile<1, 4>.add(a)
    #endif
    case (4, 3): PlaneWeightTile<4, 3>.add(a)
    case (3, 3): PlaneWeightTile<3, 3>.add(a)
    case (2, 3): PlaneWeightTile<2, 3>.add(a)
    case (1, 3): PlaneWeightTile<1, 3>.add(a)
    case (4, 2): PlaneWeightTile<4, 2>.add(a)
    case (3, 2): PlaneWeightTile<3, 2>.add(a)
    case (2, 2): PlaneWeightTile<2, 2>.add(a)
    case (1, 2): PlaneWeightTile<1, 2>.add(a)
    case (4, 1): PlaneWeightTile<4, 1>.add(a)
    case (3, 1): PlaneWeightTile<3, 1>.add(a)
    case (2, 1): PlaneWeightTile<2, 1>.add(a)
    default: PlaneWeightTile<1, 1>.add(a)
    }
}
