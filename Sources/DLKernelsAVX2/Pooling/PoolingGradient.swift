import CDLKernels

// Windows that share no element are divided by output rows, each piece owning the input rows down to the next piece's.
// Overlapping windows are added one after another, so a piece is one image, or a range of its channels.

@inline(__always)
private func backward(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ x: UnsafePointer<Float>?,
    _ y: UnsafePointer<Float>?, _ dy: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>?,
    _ separate: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void,
    _ overlapping: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    let sizes = PoolSizes(problem.unsafelyUnwrapped)
    let dy = dy.unsafelyUnwrapped
    var work = PoolJob(
        sizes: sizes, x: x ?? dy, y: y ?? dy, dy: dy, out: dx.unsafelyUnwrapped, rowsPerPiece: sizes.rowsPerPiece,
        channelsPerPiece: min(max(sizes.c, 1), 64))
    if sizes.separate && sizes.oh > 0 && sizes.ow > 0 {
        forPieces(runtime, ceilDivide(sizes.n &* sizes.oh, work.rowsPerPiece), &work, separate)
    } else {
        forPieces(runtime, sizes.n &* ceilDivide(sizes.c, work.channelsPerPiece), &work, overlapping)
    }
}

/// Clears the input rows that belong to one output row, where windows leave any of them out.
@inline(__always)
private func clearRows(_ p: PoolSizes, _ image: Int, _ row: Int, _ dx: UnsafeMutablePointer<Float>) {
    if p.tiles { return }
    let from = row == 0 ? 0 : min(p.ih, max(0, row &* p.sh &- p.padTop))
    let to = row == p.oh &- 1 ? p.ih : min(p.ih, max(0, (row &+ 1) &* p.sh &- p.padTop))
    let n = (to &- from) &* p.iw &* p.c
    if n <= 0 { return }
    clear(dx + (image &* p.ih &+ from) &* p.iw &* p.c, n)
}

@inline(__always)
private func clear(_ p: UnsafeMutablePointer<Float>, _ n: Int) {
    var i = 0
    while i < n {
        storePart(splat(0), p + i, min(lanes, n &- i))
        i &+= lanes
    }
}

/// Shares of dy for the elements of one window, in order: the first that reaches the maximum takes all.
@inline(__always)
private func shareOfMaximum(
    _ x: Vector, _ y: Vector, _ dy: Vector, _ left: inout IntVector
) -> Vector {
    // Not `equal`: where the maximum is NaN the first element takes it.
    let hit = left & ~less(x, y)
    left = left & ~hit
    return ofBits(bits(dy) & hit)
}

func maxPoolGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ x: UnsafePointer<Float>?,
    _ y: UnsafePointer<Float>?, _ dy: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>?
) {
    backward(
        runtime, problem, x, y, dy, dx,
        { argument, piece in
            let work = job(argument, PoolJob.self)
            let p = work.sizes
            if p.isPlain2x2 { return maxPoolGradient2x2(work, piece) }
            eachOutputRow(work, piece) { image, row in
                clearRows(p, image, row, work.out)
                maxWindows(work, image, row, 0, p.c, adding: false)
            }
        },
        { argument, piece in
            let work = job(argument, PoolJob.self)
            overlappingPiece(work, piece) { image, row, from, to in
                maxWindows(work, image, row, from, to, adding: true)
            }
        })
}

@inline(__always)
private func maxWindows(_ work: PoolJob, _ image: Int, _ row: Int, _ from: Int, _ to: Int, adding: Bool) {
    let p = work.sizes
    let h = p.rows(row)
    for o in 0..<p.ow {
        let w = p.columns(o)
        let at = ((image &* p.ih &+ h.start) &* p.iw &+ w.start) &* p.c
        let out = ((image &* p.oh &+ row) &* p.ow &+ o) &* p.c
        @inline(__always) func body(_ j: Int, _ k: Int) {
            let y = loadPart(work.y + (out &+ j), k), dy = loadPart(work.dy + (out &+ j), k)
            var left = isplat(Int32(-1))
            for r in 0..<h.count {
                for q in 0..<w.count {
                    let i = at &+ (r &* p.iw &+ q) &* p.c &+ j
                    let share = shareOfMaximum(loadPart(work.x + i, k), y, dy, &left)
                    storePart(adding ? loadPart(UnsafePointer(work.out) + i, k) + share : share, work.out + i, k)
                }
            }
        }
        eachChannel(from, to, body)
    }
}

private func maxPoolGradient2x2(_ work: PoolJob, _ piece: Int64) {
    let p = work.sizes
    let c = p.c, step = p.sw &* c, line = p.iw &* c
    eachOutputRow(work, piece) { image, row in
        clearRows(p, image, row, work.out)
        let at = (image &* p.ih &+ row &* p.sh) &* line
        let out = (image &* p.oh &+ row) &* p.ow &* c
        var o = 0
        while o < p.ow {
            let x = work.x + (at &+ o &* step), dx = work.out + (at &+ o &* step)
            let y = work.y + (out &+ o &* c), dy = work.dy + (out &+ o &* c)
            @inline(__always) func body(_ j: Int, _ k: Int) {
                let largest = loadPart(y + j, k), gradient = loadPart(dy + j, k)
                var left = isplat(Int32(-1))
                let a = shareOfMaximum(loadPart(x + j, k), largest, gradient, &left)
                let b = shareOfMaximum(loadPart(x + (c &+ j), k), largest, gradient, &left)
                let d = shareOfMaximum(loadPart(x + (line &+ j), k), largest, gradient, &left)
                let e = shareOfMaximum(loadPart(x + (line &+ c &+ j), k), largest, gradient, &left)
                storePart(a, dx + j, k)
                storePart(b, dx + (c &+ j), k)
                storePart(d, dx + (line &+ j), k)
                storePart(e, dx + (line &+ c &+ j), k)
            }
            eachChannel(0, c, body)
            o &+= 1
        }
    }
}

/// Clears one image's range of channels and passes over its output rows.
@inline(__always)
private func overlappingPiece(
    _ work: PoolJob, _ piece: Int64, _ body: (_ image: Int, _ row: Int, _ from: Int, _ to: Int) -> Void
) {
    let p = work.sizes
    let chunks = ceilDivide(p.c, work.channelsPerPiece)
    let image = Int(piece) / chunks
    let from = Int(piece) % chunks &* work.channelsPerPiece
    let to = min(p.c, from &+ work.channelsPerPiece)
    let dx = work.out + image &* p.ih &* p.iw &* p.c
    if chunks == 1 {
        clear(dx, p.ih &* p.iw &* p.c)
    } else {
        for i in 0..<p.ih &* p.iw { clear(dx + (i &* p.c &+ from), to &- from) }
    }
    for row in 0..<p.oh { body(image, row, from, to) }
}

func averagePoolGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ dy: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>?
) {
    backward(
        runtime, problem, nil, nil, dy, dx,
        { argument, piece in
            let work = job(argument, PoolJob.self)
            eachOutputRow(work, piece) { image, row in
                clearRows(work.sizes, image, row, work.out)
                averageWindows(work, image, row, 0, work.sizes.c, adding: false)
            }
        },
        { argument, piece in
            let work = job(argument, PoolJob.self)
            overlappingPiece(work, piece) { image, row, from, to in
                averageWindows(work, image, row, from, to, adding: true)
            }
        })
}

@inline(__always)
private func averageWindows(_ work: PoolJob, _ image: Int, _ row: Int, _ from: Int, _ to: Int, adding: Bool) {
    let p = work.sizes
    let h = p.rows(row)
    for o in 0..<p.ow {
        let w = p.columns(o)
        let at = ((image &* p.ih &+ h.start) &* p.iw &+ w.start) &* p.c
        let out = ((image &* p.oh &+ row) &* p.ow &+ o) &* p.c
        let share = splat(1 / Float(max(1, h.count &* w.count)))
        @inline(__always) func body(_ j: Int, _ k: Int) {
            let v = loadPart(work.dy + (out &+ j), k) * share
            for r in 0..<h.count {
                for q in 0..<w.count {
                    let i = at &+ (r &* p.iw &+ q) &* p.c &+ j
                    storePart(adding ? loadPart(UnsafePointer(work.out) + i, k) + v : v, work.out + i, k)
                }
            }
        }
        eachChannel(from, to, body)
    }
}
