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
                maxWindows(work, image, row, 0, p.c, 0, p.ow, adding: false)
            }
        },
        { argument, piece in
            let work = job(argument, PoolJob.self)
            let p = work.sizes
            let slides = p.kh == 3 && p.kw == 3 && (p.sw == 1 || p.sw == 2)
            overlappingPiece(work, piece) { image, row, from, to in
                guard slides, p.rows(row).count == 3 else {
                    maxWindows(work, image, row, from, to, 0, p.ow, adding: true)
                    return
                }
                var first = 0, end = p.ow
                while first < end && p.columns(first).count < 3 { first &+= 1 }
                while end > first && p.columns(end &- 1).count < 3 { end &-= 1 }
                maxWindows(work, image, row, from, to, 0, first, adding: true)
                if p.sw == 1 {
                    maxRow3x3(work, image, row, from, to, first, end, step: 1)
                } else {
                    maxRow3x3(work, image, row, from, to, first, end, step: 2)
                }
                maxWindows(work, image, row, from, to, end, p.ow, adding: true)
            }
        })
}

/// The windows `first` ..< `end` of a row, all of three by three elements, one or two columns apart. What overlaps from one
/// window to the next, of the input and of the sums, stays in registers.
@inline(__always)
private func maxRow3x3(
    _ work: PoolJob, _ image: Int, _ row: Int, _ from: Int, _ to: Int, _ first: Int, _ end: Int, step: Int
) {
    if first >= end { return }
    let p = work.sizes, c = p.c, line = p.iw &* c
    let start = ((image &* p.ih &+ p.rows(row).start) &* p.iw &+ p.columns(first).start) &* c
    let outStart = ((image &* p.oh &+ row) &* p.ow &+ first) &* c
    @inline(__always) func body(_ j: Int, _ k: Int) {
        var x = work.x + (start &+ j)
        var dx = work.out + (start &+ j)
        var out = outStart &+ j
        var a0 = loadPart(x, k), a1 = loadPart(x + c, k), a2 = a0
        var b0 = loadPart(x + line, k), b1 = loadPart(x + (line &+ c), k), b2 = a0
        var c0 = loadPart(x + 2 &* line, k), c1 = loadPart(x + (2 &* line &+ c), k), c2 = a0
        var s0 = splat(0), s1 = s0, s2 = s0, t0 = s0, t1 = s0, t2 = s0, u0 = s0, u1 = s0, u2 = s0
        @inline(__always) func add(_ sum: Vector, _ i: Int) {
            storePart(loadPart(UnsafePointer(dx) + i, k) + sum, dx + i, k)
        }
        for _ in first..<end {
            a2 = loadPart(x + 2 &* c, k)
            b2 = loadPart(x + (line &+ 2 &* c), k)
            c2 = loadPart(x + (2 &* line &+ 2 &* c), k)
            // Neighbours along the channels come later, so the processor does not see which row follows.
            dl_prefetch(x + 3 &* line)
            if step == 2 { dl_prefetch(x + (4 &* line)) }
            dl_prefetch(work.dy + (out &+ p.ow &* c))
            dl_prefetch(work.y + (out &+ p.ow &* c))
            let largest = loadPart(work.y + out, k), gradient = loadPart(work.dy + out, k)
            var left = isplat(Int32(-1))
            s0 += shareOfMaximum(a0, largest, gradient, &left)
            s1 += shareOfMaximum(a1, largest, gradient, &left)
            s2 += shareOfMaximum(a2, largest, gradient, &left)
            t0 += shareOfMaximum(b0, largest, gradient, &left)
            t1 += shareOfMaximum(b1, largest, gradient, &left)
            t2 += shareOfMaximum(b2, largest, gradient, &left)
            u0 += shareOfMaximum(c0, largest, gradient, &left)
            u1 += shareOfMaximum(c1, largest, gradient, &left)
            u2 += shareOfMaximum(c2, largest, gradient, &left)
            add(s0, 0)
            add(t0, line)
            add(u0, 2 &* line)
            if step == 1 {
                (a0, b0, c0) = (a1, b1, c1)
                (a1, b1, c1) = (a2, b2, c2)
                (s0, t0, u0) = (s1, t1, u1)
                (s1, t1, u1) = (s2, t2, u2)
            } else {
                add(s1, c)
                add(t1, line &+ c)
                add(u1, 2 &* line &+ c)
                (a0, b0, c0) = (a2, b2, c2)
                (s0, t0, u0) = (s2, t2, u2)
                s1 = splat(0)
                t1 = s1
                u1 = s1
            }
            s2 = splat(0)
            t2 = s2
            u2 = s2
            x += step &* c
            dx += step &* c
            out &+= c
            if step == 2 {
                // The column between; behind the last window it may lie outside the picture, and is not used.
                if out < outStart &+ j &+ (end &- first) &* c {
                    a1 = loadPart(x + c, k)
                    b1 = loadPart(x + (line &+ c), k)
                    c1 = loadPart(x + (2 &* line &+ c), k)
                }
            }
        }
        // What the last window shares with none: one column of it after a step of two, two after a step of one.
        add(s0, 0)
        add(t0, line)
        add(u0, 2 &* line)
        if step == 1 {
            add(s1, c)
            add(t1, line &+ c)
            add(u1, 2 &* line &+ c)
        }
    }
    eachChannel(from, to, body)
}

@inline(__always)
private func maxWindows(
    _ work: PoolJob, _ image: Int, _ row: Int, _ from: Int, _ to: Int, _ first: Int, _ end: Int, adding: Bool
) {
    let p = work.sizes
    let h = p.rows(row)
    for o in first..<end {
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
