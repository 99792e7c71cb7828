import CDLKernels

let seluScale: Float = 1.05070098
let seluAlpha: Float = 1.67326324

@inline(__always)
func hardSigmoid(_ x: Vector) -> Vector {
    minimum(splat(6), maximum(splat(0), x + splat(3))) * splat(1.0 / 6)
}

@inline(__always)
func elu(_ x: Vector, _ alpha: Vector) -> Vector {
    select(less(x, splat(0)), alpha * exponentialMinusOne(x), x)
}

/// tanh(softplus(x)) = (e^2 + 2e) / (e^2 + 2e + 2) with e = exp(x).
@inline(__always)
private func tanhOfSoftplus(_ x: Vector) -> Vector {
    let e = exponential(minimum(splat(20), x))
    let s = fma(e, e, e + e)
    return select(less(splat(20), x), splat(1), s / (s + splat(2)))
}

@inline(__always)
func mish(_ x: Vector) -> Vector { x * tanhOfSoftplus(x) }

private struct GradientJob {
    var function: Int
    var dy: UnsafePointer<Float>
    var v: UnsafePointer<Float>
    var dx: UnsafeMutablePointer<Float>
    var n: Int
    var a: Float
}

func activationGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ function: Int64, _ dy: UnsafePointer<Float>?, _ v: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>?, _ n: Int64, _ a: Float
) {
    var work = GradientJob(
        function: Int(function), dy: dy.unsafelyUnwrapped, v: v.unsafelyUnwrapped, dx: dx.unsafelyUnwrapped,
        n: Int(n), a: a)
    forPieces(runtime, ceilDivide(Int(n), lightPiece), &work) { argument, piece in
        let work = job(argument, GradientJob.self)
        let start = Int(piece) &* lightPiece
        gradientRange(
            work.function, work.dy + start, work.v + start, work.dx + start, min(lightPiece, work.n &- start), work.a)
    }
}

@inline(__always)
private func map(
    _ dy: UnsafePointer<Float>, _ v: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ n: Int,
    _ f: (_ dy: Vector, _ v: Vector) -> Vector
) {
    var i = 0
    while i < n {
        let k = n &- i
        let g = f(k >= lanes ? load(dy + i) : load(dy + i, k), k >= lanes ? load(v + i) : load(v + i, k))
        if k >= lanes { store(g, dx + i) } else { store(g, dx + i, k) }
        i &+= lanes
    }
}

/// dy where the mask is set, else zero.
@inline(__always)
private func masked(_ dy: Vector, _ mask: IntVector) -> Vector { ofBits(bits(dy) & mask) }

private typealias V = Vector

@inline(__always) private func relu(_ dy: V, _ y: V) -> V { masked(dy, less(splat(0), y)) }
@inline(__always) private func relu6(_ dy: V, _ y: V) -> V { masked(dy, less(splat(0), y) & less(y, splat(6))) }
@inline(__always) private func hardTanh(_ dy: V, _ y: V) -> V { masked(dy, less(absolute(y), splat(1))) }
@inline(__always) private func selu(_ dy: V, _ y: V) -> V {
    dy * select(less(y, splat(0)), y + splat(seluScale * seluAlpha), splat(seluScale))
}
@inline(__always) private func sigmoid(_ dy: V, _ y: V) -> V { dy * (y * (splat(1) - y)) }
@inline(__always) private func tanh(_ dy: V, _ y: V) -> V { dy * (splat(1) - y * y) }
@inline(__always) private func multiply(_ dy: V, _ y: V) -> V { dy * y }
@inline(__always) private func hardSigmoid(_ dy: V, _ x: V) -> V {
    masked(dy * splat(1.0 / 6), less(absolute(x), splat(3)))
}
@inline(__always) private func hardSilu(_ dy: V, _ x: V) -> V {
    select(
        less(absolute(x), splat(3)), dy * fma(x, splat(1.0 / 3), splat(0.5)), masked(dy, less(splat(0), x)))
}
@inline(__always) private func softsign(_ dy: V, _ x: V) -> V {
    let d = splat(1) + absolute(x)
    return dy / (d * d)
}
@inline(__always) private func softplusOf(_ dy: V, _ x: V) -> V { dy * sigmoid(x) }
@inline(__always) private func logSigmoid(_ dy: V, _ x: V) -> V { dy * sigmoid(-x) }
@inline(__always) private func silu(_ dy: V, _ x: V) -> V {
    let s = sigmoid(x)
    return dy * fma(x * s, splat(1) - s, s)
}
@inline(__always) private func geluOf(_ dy: V, _ x: V) -> V { dy * geluDerivative(x) }
@inline(__always) private func geluTanh(_ dy: V, _ x: V) -> V { dy * geluApproximateDerivative(x) }
@inline(__always) private func mishOf(_ dy: V, _ x: V) -> V {
    let t = tanhOfSoftplus(x)
    return dy * fma(x * sigmoid(x), splat(1) - t * t, t)
}
@inline(__always) private func gaussian(_ dy: V, _ x: V) -> V { -(dy * x) * exponentialOfNegative(splat(-0.5) * x * x) }

private func gradientRange(
    _ function: Int, _ dy: UnsafePointer<Float>, _ v: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>,
    _ n: Int, _ a: Float
) {
    switch function {
    case DL_GRADIENT_RELU_Y: map(dy, v, dx, n, relu)
    case DL_GRADIENT_RELU6_Y: map(dy, v, dx, n, relu6)
    case DL_GRADIENT_HARD_TANH_Y: map(dy, v, dx, n, hardTanh)
    case DL_GRADIENT_LEAKY_RELU_X:
        @inline(__always) func leaky(_ dy: V, _ x: V) -> V { select(less(x, splat(0)), dy * splat(a), dy) }
        map(dy, v, dx, n, leaky)
    case DL_GRADIENT_ELU_Y:
        @inline(__always) func elu(_ dy: V, _ y: V) -> V { select(less(y, splat(0)), dy * (y + splat(a)), dy) }
        map(dy, v, dx, n, elu)
    case DL_GRADIENT_SELU_Y: map(dy, v, dx, n, selu)
    case DL_GRADIENT_SIGMOID_Y: map(dy, v, dx, n, sigmoid)
    case DL_GRADIENT_TANH_Y: map(dy, v, dx, n, tanh)
    case DL_GRADIENT_EXP_Y: map(dy, v, dx, n, multiply)
    case DL_GRADIENT_HARD_SIGMOID_X: map(dy, v, dx, n, hardSigmoid)
    case DL_GRADIENT_HARD_SILU_X: map(dy, v, dx, n, hardSilu)
    case DL_GRADIENT_SOFTSIGN_X: map(dy, v, dx, n, softsign)
    case DL_GRADIENT_SOFTPLUS_X: map(dy, v, dx, n, softplusOf)
    case DL_GRADIENT_LOG_SIGMOID_X: map(dy, v, dx, n, logSigmoid)
    case DL_GRADIENT_SILU_X: map(dy, v, dx, n, silu)
    case DL_GRADIENT_GELU_X: map(dy, v, dx, n, geluOf)
    case DL_GRADIENT_GELU_TANH_X: map(dy, v, dx, n, geluTanh)
    case DL_GRADIENT_MISH_X: map(dy, v, dx, n, mishOf)
    case DL_GRADIENT_GAUSSIAN_X: map(dy, v, dx, n, gaussian)
    default: break
    }
}
