// One pass over each array per step. The formulas and their order are Keras's.

import CDLKernels

private struct OptimizerJob {
    var w: UnsafePointer<Float>
    var g: UnsafePointer<Float>
    var m: UnsafePointer<Float>?
    var v: UnsafePointer<Float>?
    var s: UnsafePointer<Float>?
    var wOut: UnsafeMutablePointer<Float>
    var mOut: UnsafeMutablePointer<Float>?
    var vOut: UnsafeMutablePointer<Float>?
    var sOut: UnsafeMutablePointer<Float>?
    var n: Int
    var adam = dl_adam()
    var rms = dl_rmsprop()
    var nesterov = false
}

private let optimizerPiece = 8192

@inline(__always)
private func run(
    _ runtime: UnsafePointer<dl_runtime>?, _ work: inout OptimizerJob,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    forPieces(runtime, ceilDivide(work.n, optimizerPiece), &work, task)
}

@inline(__always)
private func each(_ work: OptimizerJob, _ piece: Int64, _ body: (_ i: Int, _ k: Int) -> Void) {
    let mode = dl_flush_denormals()
    var i = Int(piece) &* optimizerPiece
    let end = min(work.n, i &+ optimizerPiece)
    while i &+ lanes <= end {
        body(i, lanes)
        i &+= lanes
    }
    if i < end { body(i, rest(end &- i)) }
    dl_keep_denormals(mode)
}

func sgdKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ w: UnsafePointer<Float>?, _ g: UnsafePointer<Float>?,
    _ wOut: UnsafeMutablePointer<Float>?, _ n: Int64, _ rate: Float, _ decay: Float
) {
    var work = OptimizerJob(
        w: w.unsafelyUnwrapped, g: g.unsafelyUnwrapped, wOut: wOut.unsafelyUnwrapped, n: Int(n))
    work.rms.rate = rate
    work.rms.decay = decay
    run(runtime, &work) { argument, piece in
        let work = job(argument, OptimizerJob.self)
        let rate = splat(work.rms.rate), decay = splat(work.rms.decay)
        @inline(__always) func body(_ i: Int, _ k: Int) {
            let w = loadPart(work.w + i, k)
            storePart(w - w * decay - rate * loadPart(work.g + i, k), work.wOut + i, k)
        }
        each(work, piece, body)
    }
}

func sgdMomentumKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ w: UnsafePointer<Float>?, _ g: UnsafePointer<Float>?,
    _ m: UnsafePointer<Float>?, _ wOut: UnsafeMutablePointer<Float>?, _ mOut: UnsafeMutablePointer<Float>?,
    _ n: Int64, _ rate: Float, _ momentum: Float, _ nesterov: Int64, _ decay: Float
) {
    var work = OptimizerJob(
        w: w.unsafelyUnwrapped, g: g.unsafelyUnwrapped, m: m, wOut: wOut.unsafelyUnwrapped, mOut: mOut, n: Int(n))
    work.rms.rate = rate
    work.rms.momentum = momentum
    work.rms.decay = decay
    work.nesterov = nesterov != 0
    run(runtime, &work) { argument, piece in
        let work = job(argument, OptimizerJob.self)
        let rate = splat(work.rms.rate), momentum = splat(work.rms.momentum), decay = splat(work.rms.decay)
        let mIn = work.m.unsafelyUnwrapped, mOut = work.mOut.unsafelyUnwrapped, nesterov = work.nesterov
        @inline(__always) func body(_ i: Int, _ k: Int) {
            var w = loadPart(work.w + i, k)
            w -= w * decay
            let step = rate * loadPart(work.g + i, k)
            let m = momentum * loadPart(mIn + i, k) - step
            storePart(m, mOut + i, k)
            storePart(w + (nesterov ? momentum * m - step : m), work.wOut + i, k)
        }
        each(work, piece, body)
    }
}

func adamKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ w: UnsafePointer<Float>?, _ g: UnsafePointer<Float>?,
    _ m: UnsafePointer<Float>?, _ v: UnsafePointer<Float>?, _ vMax: UnsafePointer<Float>?,
    _ wOut: UnsafeMutablePointer<Float>?, _ mOut: UnsafeMutablePointer<Float>?, _ vOut: UnsafeMutablePointer<Float>?,
    _ vMaxOut: UnsafeMutablePointer<Float>?, _ n: Int64, _ parameters: UnsafePointer<dl_adam>?
) {
    var work = OptimizerJob(
        w: w.unsafelyUnwrapped, g: g.unsafelyUnwrapped, m: m, v: v, s: vMax, wOut: wOut.unsafelyUnwrapped,
        mOut: mOut, vOut: vOut, sOut: vMaxOut, n: Int(n), adam: parameters.unsafelyUnwrapped.pointee)
    run(runtime, &work) { argument, piece in
        let work = job(argument, OptimizerJob.self)
        if let s = work.s, let sOut = work.sOut {
            @inline(__always) func running(_ i: Int, _ k: Int, _ v: Vector) -> Vector {
                let largest = maximum(loadPart(s + i, k), v)
                storePart(largest, sOut + i, k)
                return largest
            }
            adamRange(work, piece, running)
        } else {
            @inline(__always) func plain(_ i: Int, _ k: Int, _ v: Vector) -> Vector { v }
            adamRange(work, piece, plain)
        }
    }
}

@inline(__always)
private func adamRange(
    _ work: OptimizerJob, _ piece: Int64, _ second: (_ i: Int, _ k: Int, _ v: Vector) -> Vector
) {
    let p = work.adam
    let rate = splat(p.rate), c1 = splat(p.one_minus_beta1), c2 = splat(p.one_minus_beta2)
    let epsilon = splat(p.epsilon), decay = splat(p.decay)
    let mIn = work.m.unsafelyUnwrapped, vIn = work.v.unsafelyUnwrapped
    let mOut = work.mOut.unsafelyUnwrapped, vOut = work.vOut.unsafelyUnwrapped
    @inline(__always) func body(_ i: Int, _ k: Int) {
        let g = loadPart(work.g + i, k)
        var w = loadPart(work.w + i, k)
        w -= w * decay
        var m = loadPart(mIn + i, k), v = loadPart(vIn + i, k)
        m = fma(g - m, c1, m)
        v = fma(g * g - v, c2, v)
        storePart(m, mOut + i, k)
        storePart(v, vOut + i, k)
        w -= m * rate / (squareRoot(second(i, k, v)) + epsilon)
        storePart(w, work.wOut + i, k)
    }
    each(work, piece, body)
}

func rmspropKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ w: UnsafePointer<Float>?, _ g: UnsafePointer<Float>?,
    _ v: UnsafePointer<Float>?, _ mean: UnsafePointer<Float>?, _ velocity: UnsafePointer<Float>?,
    _ wOut: UnsafeMutablePointer<Float>?, _ vOut: UnsafeMutablePointer<Float>?,
    _ meanOut: UnsafeMutablePointer<Float>?, _ velocityOut: UnsafeMutablePointer<Float>?, _ n: Int64,
    _ parameters: UnsafePointer<dl_rmsprop>?
) {
    var work = OptimizerJob(
        w: w.unsafelyUnwrapped, g: g.unsafelyUnwrapped, m: mean, v: v, s: velocity, wOut: wOut.unsafelyUnwrapped,
        mOut: meanOut, vOut: vOut, sOut: velocityOut, n: Int(n), rms: parameters.unsafelyUnwrapped.pointee)
    run(runtime, &work) { argument, piece in
        let work = job(argument, OptimizerJob.self)
        let p = work.rms
        let rate = splat(p.rate), rho = splat(p.rho), rest = splat(1 - p.rho), epsilon = splat(p.epsilon)
        let decay = splat(p.decay), momentum = splat(p.momentum)
        let vIn = work.v.unsafelyUnwrapped, vOut = work.vOut.unsafelyUnwrapped
        @inline(__always) func body(_ i: Int, _ k: Int) {
            let g = loadPart(work.g + i, k)
            var w = loadPart(work.w + i, k)
            w -= w * decay
            let v = rho * loadPart(vIn + i, k) + rest * (g * g)
            storePart(v, vOut + i, k)
            var d = v
            if let mean = work.m, let meanOut = work.mOut {
                let average = rho * loadPart(mean + i, k) + rest * g
                storePart(average, meanOut + i, k)
                d -= average * average
            }
            var step = rate * g / squareRoot(d + epsilon)
            if let velocity = work.s, let velocityOut = work.sOut {
                step = momentum * loadPart(velocity + i, k) + step
                storePart(step, velocityOut + i, k)
            }
            storePart(w - step, work.wOut + i, k)
        }
        each(work, piece, body)
    }
}
