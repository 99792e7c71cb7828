// exp, log and what is built on them. Range reduction by Cody and Waite, then minimax polynomials
// (fitted for relative error, coefficients rounded to float32 one after another).
// Errors are at most 3 ulp; NaN, infinities, denormals and the sign of zero are kept.

import CDLKernels

private let log2e: Float = 1.44269504
private let ln2High: Float = 0.693359375
private let ln2Low: Float = -2.12194440e-4
/// Adding and subtracting 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
private let roundingShift: Float = 12_582_912

/// n and r with x = n ln 2 + r, |r| <= ln 2 / 2.
@inline(__always)
private func reduced(_ x: Vector) -> (n: Vector, r: Vector) {
    let n = fma(x, splat(log2e), splat(roundingShift)) - splat(roundingShift)
    let r = fma(n, splat(-ln2Low), fma(n, splat(-ln2High), x))
    return (n, r)
}

/// (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2.
@inline(__always)
private func exponentialTail(_ r: Vector) -> Vector {
    var p = fma(splat(0.000197396), r, splat(0.0013935101))
    p = fma(p, r, splat(0.008333571))
    p = fma(p, r, splat(0.041666463))
    p = fma(p, r, splat(0.16666666))
    return fma(p, r, splat(0.5))
}

/// 2^n for whole n in -126 ... 127.
@inline(__always)
private func powerOfTwo(_ n: Vector) -> Vector {
    ofBits((bits(n + splat(roundingShift)) &+ isplat(Int32(127 - 0x4B40_0000))) &<< isplat(Int32(23)))
}

/// exp(r) for |r| <= ln 2 / 2.
@inline(__always)
private func exponentialOfRemainder(_ r: Vector) -> Vector {
    fma(exponentialTail(r) * r, r, r) + splat(1)
}

/// p 2^n with one rounding, whatever the range of the result; n in -160 ... 160.
@inline(__always)
private func scaled(_ p: Vector, _ n: Vector) -> Vector {
    #if DL_AVX512
        return dl_scale16(p, n)
    #else
        // Two factors, because 2^n alone leaves the range of float32 before the product does.
        let k = bits(n + splat(roundingShift)) &- isplat(Int32(0x4B40_0000))
        let half = k &>> isplat(Int32(1))
        let one = isplat(Int32(127)), shift = isplat(Int32(23))
        return p * ofBits((half &+ one) &<< shift) * ofBits((k &- half &+ one) &<< shift)
    #endif
}

@inline(__always)
func exponential(_ x: Vector) -> Vector {
    // Beyond these the result is 0 or infinity. The order of the operands lets NaN through.
    let (n, r) = reduced(maximum(splat(-104), minimum(splat(89), x)))
    return scaled(exponentialOfRemainder(r), n)
}

/// exp(x) for x <= 0.
@inline(__always)
func exponentialOfNegative(_ x: Vector) -> Vector {
    let (n, r) = reduced(maximum(splat(-104), x))
    return scaled(exponentialOfRemainder(r), n)
}

/// exp(x) for |x| <= 80 and NaN, without a test of the range.
@inline(__always)
func exponentialInRange(_ x: Vector) -> Vector {
    let (n, r) = reduced(x)
    #if DL_AVX512
        return dl_scale16(exponentialOfRemainder(r), n)
    #else
        return exponentialOfRemainder(r) * powerOfTwo(n)
    #endif
}

/// exp(x) for x <= 0 whose result may be flushed to zero below 2^-126: the inner loop of softmax.
@inline(__always)
func exponentialOfNonPositive(_ x: Vector) -> Vector {
    let clamped = maximum(splat(-87.5), x)
    let (n, r) = reduced(clamped)
    let p = exponentialOfRemainder(r)
    return select(less(x, splat(-87.33654)), splat(0), p * powerOfTwo(n))
}

@inline(__always)
func exponentialMinusOne(_ x: Vector) -> Vector {
    let clamped = maximum(splat(-20), minimum(splat(40), x))
    let (n, r) = reduced(clamped)
    let q = fma(exponentialTail(r) * r, r, r)
    let scale = powerOfTwo(n)
    let small = fma(scale, q, scale - splat(1))
    let y = select(less(splat(40), x), exponential(x), small)
    return select(less(absolute(x), splat(1e-7)), x, y)
}

/// log(1 + f) + e ln 2 for 1 + f between the root of 1/2 and that of 2.
@inline(__always)
private func logarithmOfOnePlus(_ f: Vector, exponent e: Vector) -> Vector {
    var p = fma(splat(0.06751542), f, splat(-0.11672526))
    p = fma(p, f, splat(0.11883893))
    p = fma(p, f, splat(-0.124059126))
    p = fma(p, f, splat(0.1422028))
    p = fma(p, f, splat(-0.16668))
    p = fma(p, f, splat(0.20002075))
    p = fma(p, f, splat(-0.2500001))
    p = fma(p, f, splat(0.33333313))
    let square = f * f
    let y = fma(square, splat(-0.5), fma(p * square, f, e * splat(ln2Low)))
    return (f + y) + e * splat(ln2High)
}

@inline(__always)
func logarithm(_ x: Vector) -> Vector {
    // Denormals are scaled into the normal range first.
    let tiny = less(x, splat(Float.leastNormalMagnitude))
    let scaled = select(tiny, x * splat(16_777_216), x)
    // m in [sqrt(1/2), sqrt(2)), x = m 2^e.
    let offset = bits(scaled) &- isplat(Int32(0x3F35_04F3))
    let e = toFloat(offset &>> isplat(Int32(23))) + select(tiny, splat(-24), splat(0))
    let m = ofBits((offset & isplat(Int32(0x007F_FFFF))) &+ isplat(Int32(0x3F35_04F3)))
    var y = logarithmOfOnePlus(m - splat(1), exponent: e)
    y = select(equal(x, splat(Float.infinity)), x, y)
    y = select(equal(x, splat(0)), splat(-Float.infinity), y)
    y = select(less(x, splat(0)), splat(Float.nan), y)
    return select(isNaN(x), x, y)
}

@inline(__always)
func logarithmOfOnePlus(_ x: Vector) -> Vector {
    let u = x + splat(1)
    // The rounding error of u comes back through the derivative of the logarithm.
    let y = logarithm(u) + (x - (u - splat(1))) / u
    let plain = equal(u, splat(1))
    let ends = equal(u, splat(Float.infinity)) | equal(u, splat(0))
    return select(plain, x, select(ends, logarithm(u), y))
}

@inline(__always)
func hyperbolicTangent(_ x: Vector) -> Vector {
    let z = x * x
    var p = fma(splat(-0.005695813), z, splat(0.020630825))
    p = fma(p, z, splat(-0.05373714))
    p = fma(p, z, splat(0.1333141))
    p = fma(p, z, splat(-0.3333328))
    let small = fma(x * z, p, x)
    let a = absolute(x)
    // From 10 on the result is 1.
    let big = splat(1) - splat(2) / (exponentialInRange(minimum(splat(20), a + a)) + splat(1))
    return copySign(select(less(a, splat(0.625)), small, big), x)
}

@inline(__always)
func sigmoid(_ x: Vector) -> Vector {
    // exp of the magnitude alone: exp(-x) overflows where the result is still a denormal.
    let e = exponentialOfNegative(-absolute(x))
    return select(less(x, splat(0)), e, splat(1)) / (splat(1) + e)
}

@inline(__always)
func hyperbolicSine(_ x: Vector) -> Vector {
    let a = absolute(x)
    let e = exponentialMinusOne(minimum(splat(40), a))
    let small = splat(0.5) * (e + e / (e + splat(1)))
    // exp(a) overflows before sinh(a): half of it is taken as a product.
    let h = exponential(a * splat(0.5))
    let y = select(less(splat(30), a), (splat(0.5) * h) * h, small)
    return select(isNaN(x), x, copySign(select(less(a, splat(1e-4)), a, y), x))
}

@inline(__always)
func hyperbolicCosine(_ x: Vector) -> Vector {
    let a = absolute(x)
    let e = exponential(minimum(splat(40), a))
    let h = exponential(a * splat(0.5))
    let y = select(less(splat(30), a), (splat(0.5) * h) * h, splat(0.5) * e + splat(0.5) / e)
    return select(isNaN(x), x, y)
}

/// log(1 + exp(x)).
@inline(__always)
func softplus(_ x: Vector) -> Vector {
    let t = exponentialOfNegative(-absolute(x))
    // 1 + t lies in [1, 2]: it is halved above the root of 2, and never formed below, so nothing of t is lost.
    let upper = less(splat(0.41421356), t)
    let f = select(upper, splat(0.5) * (t - splat(1)), t)
    let y = logarithmOfOnePlus(f, exponent: select(upper, splat(1), splat(0)))
    return select(isNaN(x), x, maximum(x, splat(0)) + y)
}
