// The error function and the two forms of GELU.

/// erf(x): x + x P(x^2) below 1, else 1 - exp(-x Q(x)).
@inline(__always)
func errorFunction(_ x: Vector) -> Vector {
    let a = absolute(x)
    let z = x * x
    var p = fma(splat(7.806903e-05), z, splat(-0.0007997853))
    p = fma(p, z, splat(0.005187162))
    p = fma(p, z, splat(-0.026853347))
    p = fma(p, z, splat(0.11283579))
    p = fma(p, z, splat(-0.37612626))
    p = fma(p, z, splat(0.12837917))
    let small = fma(p, x, x)
    let c = minimum(splat(4), a)
    var q = fma(splat(-2.1127116e-06), c, splat(3.3931938e-05))
    q = fma(q, c, splat(-0.00021550414))
    q = fma(q, c, splat(0.0005060214))
    q = fma(q, c, splat(0.001821173))
    q = fma(q, c, splat(-0.021289838))
    q = fma(q, c, splat(0.104206756))
    q = fma(q, c, splat(0.6360756))
    q = fma(q, c, splat(1.1284695))
    let big = copySign(splat(1) - exponentialInRange(-(q * c)), x)
    return select(isNaN(x), x, select(less(a, splat(1)), small, big))
}

/// The same within 2^-24 of the true value, but not relative to it near zero: enough beside a 1.
@inline(__always)
private func errorFunctionBesideOne(_ x: Vector) -> Vector {
    let c = minimum(splat(4), absolute(x))
    var q = fma(splat(-7.922106e-06), c, splat(0.00010494769))
    q = fma(q, c, splat(-0.0005840754))
    q = fma(q, c, splat(0.0015694738))
    q = fma(q, c, splat(-5.1046347e-05))
    q = fma(q, c, splat(-0.019221803))
    q = fma(q, c, splat(0.10280073))
    q = fma(q, c, splat(0.6366159))
    q = fma(q, c, splat(1.1283793))
    return copySign(splat(1) - exponentialInRange(-(q * c)), x)
}

@inline(__always) private var inverseRoot2: Vector { splat(0.70710678) }
@inline(__always) private var rootTwoOverPi: Vector { splat(0.79788456) }
@inline(__always) private var cubic: Vector { splat(0.044715) }

/// x Phi(x) = x (1 + erf(x / sqrt 2)) / 2.
@inline(__always)
func gelu(_ x: Vector) -> Vector {
    splat(0.5) * x * (splat(1) + errorFunctionBesideOne(x * inverseRoot2))
}

@inline(__always)
func geluApproximate(_ x: Vector) -> Vector {
    let u = rootTwoOverPi * fma(cubic * x * x, x, x)
    return splat(0.5) * x * (splat(1) + hyperbolicTangent(u))
}

/// Phi(x) + x phi(x).
@inline(__always)
func geluDerivative(_ x: Vector) -> Vector {
    let phi = splat(0.39894228) * exponentialOfNegative(splat(-0.5) * x * x)
    return fma(x, phi, splat(0.5) * (splat(1) + errorFunctionBesideOne(x * inverseRoot2)))
}

@inline(__always)
func geluApproximateDerivative(_ x: Vector) -> Vector {
    let u = rootTwoOverPi * fma(cubic * x * x, x, x)
    let t = hyperbolicTangent(u)
    let inner = rootTwoOverPi * fma(splat(3 * 0.044715) * x, x, splat(1))
    return fma(splat(0.5) * x * (splat(1) - t * t), inner, splat(0.5) * (splat(1) + t))
}
