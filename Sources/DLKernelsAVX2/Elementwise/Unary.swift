import CDLKernels

private struct UnaryJob {
    var function: Int
    var x: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Float>
    var n: Int
    var a: Float
    var b: Float
    var size: Int
}

func unaryKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ function: Int64, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?, _ n: Int64, _ a: Float, _ b: Float
) {
    let size = isLight(Int(function)) ? lightPiece : heavyPiece
    var work = UnaryJob(
        function: Int(function), x: x.unsafelyUnwrapped, y: y.unsafelyUnwrapped, n: Int(n), a: a, b: b, size: size)
    forPieces(runtime, ceilDivide(Int(n), size), &work) { argument, piece in
        let work = job(argument, UnaryJob.self)
        let start = Int(piece) &* work.size
        unaryRange(
            work.function, work.x + start, work.y + start, min(work.size, work.n &- start), work.a, work.b)
    }
}

/// True where memory, not arithmetic, sets the speed.
private func isLight(_ function: Int) -> Bool {
    switch function {
    case DL_UNARY_NEGATIVE, DL_UNARY_ABS, DL_UNARY_SIGN, DL_UNARY_SQUARE, DL_UNARY_FLOOR, DL_UNARY_CEIL,
        DL_UNARY_ROUND, DL_UNARY_RELU, DL_UNARY_RELU6, DL_UNARY_LEAKY_RELU, DL_UNARY_HARD_SIGMOID,
        DL_UNARY_HARD_TANH, DL_UNARY_HARD_SILU, DL_UNARY_STEP, DL_UNARY_CLIP, DL_UNARY_AFFINE, DL_UNARY_RECIPROCAL,
        DL_UNARY_SQRT, DL_UNARY_SOFTSIGN:
        true
    default: false
    }
}

@inline(__always)
private func map(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int, _ f: (Vector) -> Vector
) {
    // The function stands in one place only: the code of the long ones would not fit the cache twice.
    var i = 0
    while i < n {
        let k = n &- i
        let v = f(k >= lanes ? load(x + i) : load(x + i, k))
        if k >= lanes { store(v, y + i) } else { store(v, y + i, k) }
        i &+= lanes
    }
}

// Functions of one vector. They have names, because a closure is called where a named function is inlined.

@inline(__always) private func negative(_ x: Vector) -> Vector { ofBits(bits(x) ^ isplat(Int32.min)) }
/// NaN and the sign of zero pass through.
@inline(__always) private func sign(_ x: Vector) -> Vector {
    select(less(splat(0), absolute(x)), copySign(splat(1), x), x)
}
@inline(__always) private func square(_ x: Vector) -> Vector { x * x }
@inline(__always) private func inverseRoot(_ x: Vector) -> Vector { splat(1) / squareRoot(x) }
@inline(__always) private func reciprocal(_ x: Vector) -> Vector { splat(1) / x }
// The order of the operands of maximum and minimum lets NaN through.
@inline(__always) private func relu(_ x: Vector) -> Vector { maximum(splat(0), x) }
@inline(__always) private func relu6(_ x: Vector) -> Vector { minimum(splat(6), maximum(splat(0), x)) }
@inline(__always) private func hardTanh(_ x: Vector) -> Vector { minimum(splat(1), maximum(splat(-1), x)) }
@inline(__always) private func hardSilu(_ x: Vector) -> Vector { x * hardSigmoid(x) }
@inline(__always) private func step(_ x: Vector) -> Vector { select(less(splat(0), x), splat(1), splat(0)) }
@inline(__always) private func softsign(_ x: Vector) -> Vector { x / (splat(1) + absolute(x)) }
@inline(__always) private func silu(_ x: Vector) -> Vector { x * sigmoid(x) }
@inline(__always) private func selu(_ x: Vector) -> Vector { splat(seluScale) * elu(x, splat(seluAlpha)) }
@inline(__always) private func logSigmoid(_ x: Vector) -> Vector { -softplus(-x) }
@inline(__always) private func gaussian(_ x: Vector) -> Vector { exponentialOfNegative(splat(-0.5) * x * x) }
@inline(__always) private func tangent(_ x: Vector) -> Vector { lanewise(x) { dl_tan_f($0) } }
@inline(__always) private func arcSine(_ x: Vector) -> Vector { lanewise(x) { dl_asin_f($0) } }
@inline(__always) private func arcCosine(_ x: Vector) -> Vector { lanewise(x) { dl_acos_f($0) } }
@inline(__always) private func arcTangent(_ x: Vector) -> Vector { lanewise(x) { dl_atan_f($0) } }

private func unaryRange(
    _ function: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int, _ a: Float, _ b: Float
) {
    switch function {
    case DL_UNARY_NEGATIVE: map(x, y, n, negative)
    case DL_UNARY_ABS: map(x, y, n, absolute)
    case DL_UNARY_SIGN: map(x, y, n, sign)
    case DL_UNARY_SQUARE: map(x, y, n, square)
    case DL_UNARY_SQRT: map(x, y, n, squareRoot)
    case DL_UNARY_RSQRT: map(x, y, n, inverseRoot)
    case DL_UNARY_RECIPROCAL: map(x, y, n, reciprocal)
    case DL_UNARY_FLOOR: map(x, y, n, floor)
    case DL_UNARY_CEIL: map(x, y, n, ceil)
    case DL_UNARY_ROUND: map(x, y, n, roundToEven)
    case DL_UNARY_RELU: map(x, y, n, relu)
    case DL_UNARY_RELU6: map(x, y, n, relu6)
    case DL_UNARY_HARD_SIGMOID: map(x, y, n, hardSigmoid)
    case DL_UNARY_HARD_TANH: map(x, y, n, hardTanh)
    case DL_UNARY_HARD_SILU: map(x, y, n, hardSilu)
    case DL_UNARY_STEP: map(x, y, n, step)
    case DL_UNARY_SOFTSIGN: map(x, y, n, softsign)
    case DL_UNARY_LEAKY_RELU:
        @inline(__always) func leaky(_ x: Vector) -> Vector { select(less(x, splat(0)), splat(a) * x, x) }
        map(x, y, n, leaky)
    case DL_UNARY_CLIP:
        @inline(__always) func clip(_ x: Vector) -> Vector { minimum(splat(b), maximum(splat(a), x)) }
        map(x, y, n, clip)
    case DL_UNARY_AFFINE:
        @inline(__always) func affine(_ x: Vector) -> Vector { fma(x, splat(a), splat(b)) }
        map(x, y, n, affine)
    case DL_UNARY_ELU:
        @inline(__always) func withAlpha(_ x: Vector) -> Vector { elu(x, splat(a)) }
        map(x, y, n, withAlpha)
    default: transcendentalRange(function, x, y, n)
    }
}

private func transcendentalRange(
    _ function: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ n: Int
) {
    switch function {
    case DL_UNARY_EXP: map(x, y, n, exponential)
    case DL_UNARY_EXPM1: map(x, y, n, exponentialMinusOne)
    case DL_UNARY_LOG: map(x, y, n, logarithm)
    case DL_UNARY_LOG1P: map(x, y, n, logarithmOfOnePlus)
    case DL_UNARY_SIN: map(x, y, n, sine)
    case DL_UNARY_COS: map(x, y, n, cosine)
    case DL_UNARY_TAN: map(x, y, n, tangent)
    case DL_UNARY_SINH: map(x, y, n, hyperbolicSine)
    case DL_UNARY_COSH: map(x, y, n, hyperbolicCosine)
    case DL_UNARY_TANH: map(x, y, n, hyperbolicTangent)
    case DL_UNARY_ASIN: map(x, y, n, arcSine)
    case DL_UNARY_ACOS: map(x, y, n, arcCosine)
    case DL_UNARY_ATAN: map(x, y, n, arcTangent)
    case DL_UNARY_ERF: map(x, y, n, errorFunction)
    case DL_UNARY_SIGMOID: map(x, y, n, sigmoid)
    case DL_UNARY_SOFTPLUS: map(x, y, n, softplus)
    case DL_UNARY_SILU: map(x, y, n, silu)
    case DL_UNARY_GELU: map(x, y, n, gelu)
    case DL_UNARY_GELU_TANH: map(x, y, n, geluApproximate)
    case DL_UNARY_SELU: map(x, y, n, selu)
    case DL_UNARY_MISH: map(x, y, n, mish)
    case DL_UNARY_LOG_SIGMOID: map(x, y, n, logSigmoid)
    case DL_UNARY_GAUSSIAN: map(x, y, n, gaussian)
    default: break
    }
}

// Predicates

private struct PredicateJob {
    var function: Int
    var x: UnsafePointer<Float>
    var y: UnsafeMutablePointer<UInt8>
    var n: Int
}

func predicateKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ function: Int64, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<UInt8>?, _ n: Int64
) {
    var work = PredicateJob(function: Int(function), x: x.unsafelyUnwrapped, y: y.unsafelyUnwrapped, n: Int(n))
    forPieces(runtime, ceilDivide(Int(n), lightPiece), &work) { argument, piece in
        let work = job(argument, PredicateJob.self)
        let start = Int(piece) &* lightPiece
        predicateRange(work.function, work.x + start, work.y + start, min(lightPiece, work.n &- start))
    }
}

@inline(__always)
func store(_ v: ByteVector, _ p: UnsafeMutablePointer<UInt8>) {
    UnsafeMutableRawPointer(p).storeBytes(of: v, as: ByteVector.self)
}

@inline(__always)
func store(_ v: ByteVector, _ p: UnsafeMutablePointer<UInt8>, _ count: Int) {
    for i in 0..<lanes where i < count { p[i] = v[i] }
}

@inline(__always)
private func test(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt8>, _ n: Int, _ f: (Vector) -> IntVector
) {
    var i = 0
    while i &+ lanes <= n {
        store(bytes(f(load(x + i))), y + i)
        i &+= lanes
    }
    if i < n { store(bytes(f(load(x + i, n &- i))), y + i, n &- i) }
}

@inline(__always) private func isZero(_ x: Vector) -> IntVector { equal(x, splat(0)) }
@inline(__always) private func isInfinite(_ x: Vector) -> IntVector { equal(absolute(x), splat(Float.infinity)) }
@inline(__always) private func isFinite(_ x: Vector) -> IntVector { less(absolute(x), splat(Float.infinity)) }

private func predicateRange(
    _ function: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<UInt8>, _ n: Int
) {
    switch function {
    case DL_PREDICATE_NOT: test(x, y, n, isZero)
    case DL_PREDICATE_NAN: test(x, y, n, isNaN)
    case DL_PREDICATE_INFINITE: test(x, y, n, isInfinite)
    case DL_PREDICATE_FINITE: test(x, y, n, isFinite)
    default: break
    }
}
