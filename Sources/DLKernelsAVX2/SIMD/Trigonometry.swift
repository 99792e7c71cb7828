// Sine and cosine by reduction to a quarter circle; arguments too large for that go to the C library.

import CDLKernels

/// x = k pi/2 + r with pi/2 split in three parts; exact enough for |x| <= 8192.
@inline(__always)
private func quadrant(_ x: Vector) -> (k: IntVector, r: Vector) {
    let shift: Float = 12_582_912
    let shifted = fma(x, splat(0.63661975), splat(shift))
    let n = shifted - splat(shift)
    var r = fma(n, splat(-1.57079601), x)
    r = fma(n, splat(-3.13916473e-7), r)
    r = fma(n, splat(-5.39030253e-15), r)
    return (bits(shifted), r)
}

@inline(__always)
private func sineOnQuarter(_ r: Vector) -> Vector {
    let z = r * r
    var p = fma(splat(2.8330428e-06), z, splat(-0.0001985309))
    p = fma(p, z, splat(0.008333379))
    p = fma(p, z, splat(-0.16666667))
    return fma(p * z, r, r)
}

@inline(__always)
private func cosineOnQuarter(_ r: Vector) -> Vector {
    let z = r * r
    var p = fma(splat(-2.88809e-07), z, splat(2.482202e-05))
    p = fma(p, z, splat(-0.001388898))
    p = fma(p, z, splat(0.041666668))
    return fma(p * z, z, fma(splat(-0.5), z, splat(1)))
}

/// sin(x + shift pi/2).
@inline(__always)
private func sine(_ x: Vector, quarters shift: Int32) -> Vector {
    let (k, r) = quadrant(x)
    let turned = k &+ isplat(shift)
    let odd = equal(turned & isplat(Int32(1)), isplat(Int32(1)))
    let y = select(odd, cosineOnQuarter(r), sineOnQuarter(r))
    return ofBits(bits(y) ^ ((turned & isplat(Int32(2))) &<< isplat(Int32(30))))
}

@inline(__always)
private func outOfReach(_ x: Vector) -> Bool {
    any(less(splat(8192), absolute(x)) | isNaN(x))
}

@inline(__always)
func sine(_ x: Vector) -> Vector {
    if outOfReach(x) { return lanewise(x) { dl_sin_f($0) } }
    // Keeps the sign of zero, which the reduction loses.
    return select(equal(x, splat(0)), x, sine(x, quarters: 0))
}

@inline(__always)
func cosine(_ x: Vector) -> Vector {
    if outOfReach(x) { return lanewise(x) { dl_cos_f($0) } }
    return sine(x, quarters: 1)
}

/// For arguments known to be small: no test of the range.
@inline(__always)
func sineAndCosine(_ x: Vector) -> (sine: Vector, cosine: Vector) {
    (sine(x, quarters: 0), sine(x, quarters: 1))
}
