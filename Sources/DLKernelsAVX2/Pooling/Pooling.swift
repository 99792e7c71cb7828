import CDLKernels

/// The part of a window that lies inside the input, along one dimension.
struct Span {
    var start: Int
    var count: Int

    @inline(__always)
    init(output: Int, stride: Int, padding: Int, window: Int, input: Int) {
        let origin = output &* stride &- padding
        start = max(origin, 0)
        count = max(0, min(origin &+ window, input) &- start)
    }
}

struct PoolSizes {
    var n: Int, ih: Int, iw: Int, c: Int, oh: Int, ow: Int
    var kh: Int, kw: Int, sh: Int, sw: Int, padTop: Int, padLeft: Int

    @inline(__always)
    init(_ p: UnsafePointer<dl_pool2d>) {
        let p = p.pointee
        n = Int(p.n)
        ih = Int(p.ih)
        iw = Int(p.iw)
        c = Int(p.c)
        oh = Int(p.oh)
        ow = Int(p.ow)
        kh = Int(p.kh)
        kw = Int(p.kw)
        sh = Int(p.sh)
        sw = Int(p.sw)
        padTop = Int(p.pad_top)
        padLeft = Int(p.pad_left)
    }

    @inline(__always)
    func rows(_ o: Int) -> Span { Span(output: o, stride: sh, padding: padTop, window: kh, input: ih) }
    @inline(__always)
    func columns(_ o: Int) -> Span { Span(output: o, stride: sw, padding: padLeft, window: kw, input: iw) }

    /// No window reaches outside the input.
    var inside: Bool {
        padTop == 0 && padLeft == 0 && (oh &- 1) &* sh &+ kh <= ih && (ow &- 1) &* sw &+ kw <= iw
    }
    var isPlain2x2: Bool { kh == 2 && kw == 2 && inside }
    /// Windows share no element.
    var separate: Bool { sh >= kh && sw >= kw }
    /// Every element of the input lies in one window.
    var tiles: Bool { inside && sh == kh && sw == kw && oh &* sh == ih && ow &* sw == iw }
    var rowsPerPiece: Int { max(1, lightPiece / max(1, sh &* iw &* c)) }
}

struct PoolJob {
    var sizes: PoolSizes
    var x: UnsafePointer<Float>
    var y: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var out: UnsafeMutablePointer<Float>
    var rowsPerPiece: Int
    var channelsPerPiece: Int
}

/// Calls body(image, output row) for the rows of one piece.
@inline(__always)
func eachOutputRow(_ work: PoolJob, _ piece: Int64, _ body: (_ image: Int, _ row: Int) -> Void) {
    var r = Int(piece) &* work.rowsPerPiece
    let end = min(work.sizes.n &* work.sizes.oh, r &+ work.rowsPerPiece)
    while r < end {
        let image = r / work.sizes.oh
        body(image, r &- image &* work.sizes.oh)
        r &+= 1
    }
}

/// Calls body(j, k) for vectors over the channels.
@inline(__always)
func eachChannel(_ from: Int, _ to: Int, _ body: (_ j: Int, _ k: Int) -> Void) {
    var j = from
    while j &+ lanes <= to {
        body(j, lanes)
        j &+= lanes
    }
    if j < to { body(j, rest(to &- j)) }
}

@inline(__always)
private func forward(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?, _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    let sizes = PoolSizes(problem.unsafelyUnwrapped)
    let x = x.unsafelyUnwrapped
    var work = PoolJob(
        sizes: sizes, x: x, y: x, dy: x, out: y.unsafelyUnwrapped, rowsPerPiece: sizes.rowsPerPiece,
        channelsPerPiece: sizes.c)
    forPieces(runtime, ceilDivide(sizes.n &* sizes.oh, work.rowsPerPiece), &work, task)
}

func maxPoolKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?
) {
    forward(runtime, problem, x, y) { argument, piece in
        let work = job(argument, PoolJob.self)
        let p = work.sizes
        if p.isPlain2x2 { return maxPool2x2(work, piece) }
        eachOutputRow(work, piece) { image, row in
            let h = p.rows(row)
            let y = work.out + (image &* p.oh &+ row) &* p.ow &* p.c
            for o in 0..<p.ow {
                let w = p.columns(o)
                let x = work.x + ((image &* p.ih &+ h.start) &* p.iw &+ w.start) &* p.c
                @inline(__always) func body(_ j: Int, _ k: Int) {
                    var v = splat(-Float.infinity)
                    for r in 0..<h.count {
                        for q in 0..<w.count { v = maximumOrNaN(v, loadPart(x + ((r &* p.iw &+ q) &* p.c &+ j), k)) }
                    }
                    storePart(v, y + (o &* p.c &+ j), k)
                }
                eachChannel(0, p.c, body)
            }
        }
    }
}

private func maxPool2x2(_ work: PoolJob, _ piece: Int64) {
    @inline(__always) func largest(_ a: Vector, _ b: Vector, _ c: Vector, _ d: Vector) -> Vector {
        maximumOrNaN(maximumOrNaN(a, b), maximumOrNaN(c, d))
    }
    pool2x2(work, piece, largest)
}

private func averagePool2x2(_ work: PoolJob, _ piece: Int64) {
    @inline(__always) func mean(_ a: Vector, _ b: Vector, _ c: Vector, _ d: Vector) -> Vector {
        ((a + b) + (c + d)) * splat(0.25)
    }
    pool2x2(work, piece, mean)
}

@inline(__always)
private func pool2x2(_ work: PoolJob, _ piece: Int64, _ f: (Vector, Vector, Vector, Vector) -> Vector) {
    let p = work.sizes
    let c = p.c, step = p.sw &* c
    eachOutputRow(work, piece) { image, row in
        let top = work.x + (image &* p.ih &+ row &* p.sh) &* p.iw &* c
        let bottom = top + p.iw &* c
        let y = work.out + (image &* p.oh &+ row) &* p.ow &* c
        var o = 0
        while o < p.ow {
            let t = top + o &* step, b = bottom + o &* step, y = y + o &* c
            @inline(__always) func body(_ j: Int, _ k: Int) {
                let upper = (loadPart(t + j, k), loadPart(t + (c &+ j), k))
                let lower = (loadPart(b + j, k), loadPart(b + (c &+ j), k))
                storePart(f(upper.0, upper.1, lower.0, lower.1), y + j, k)
            }
            eachChannel(0, c, body)
            o &+= 1
        }
    }
}

func averagePoolKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ problem: UnsafePointer<dl_pool2d>?, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?
) {
    forward(runtime, problem, x, y) { argument, piece in
        let work = job(argument, PoolJob.self)
        let p = work.sizes
        if p.isPlain2x2 { return averagePool2x2(work, piece) }
        eachOutputRow(work, piece) { image, row in
            let h = p.rows(row)
            let y = work.out + (image &* p.oh &+ row) &* p.ow &* p.c
            for o in 0..<p.ow {
                let w = p.columns(o)
                let x = work.x + ((image &* p.ih &+ h.start) &* p.iw &+ w.start) &* p.c
                // Padding is not counted.
                let share = splat(1 / Float(max(1, h.count &* w.count)))
                @inline(__always) func body(_ j: Int, _ k: Int) {
                    var v = splat(0)
                    for r in 0..<h.count {
                        for q in 0..<w.count { v += loadPart(x + ((r &* p.iw &+ q) &* p.c &+ j), k) }
                    }
                    storePart(v * share, y + (o &* p.c &+ j), k)
                }
                eachChannel(0, p.c, body)
            }
        }
    }
}
