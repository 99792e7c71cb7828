// The widest vector of the build: the same sources are compiled once for AVX2 and once for AVX-512.

import CDLKernels

#if DL_AVX512
    typealias Vector = SIMD16<Float>
    typealias IntVector = SIMD16<Int32>
    let lanes = 16

    @inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { dl_fma16(a, b, c) }
    @inline(__always) func maximum(_ a: Vector, _ b: Vector) -> Vector { dl_max16(a, b) }
    @inline(__always) func minimum(_ a: Vector, _ b: Vector) -> Vector { dl_min16(a, b) }
    @inline(__always) func squareRoot(_ a: Vector) -> Vector { dl_sqrt16(a) }
#else
    typealias Vector = SIMD8<Float>
    typealias IntVector = SIMD8<Int32>
    let lanes = 8

    @inline(__always) func fma(_ a: Vector, _ b: Vector, _ c: Vector) -> Vector { dl_fma8(a, b, c) }
    @inline(__always) func maximum(_ a: Vector, _ b: Vector) -> Vector { dl_max8(a, b) }
    @inline(__always) func minimum(_ a: Vector, _ b: Vector) -> Vector { dl_min8(a, b) }
    @inline(__always) func squareRoot(_ a: Vector) -> Vector { dl_sqrt8(a) }
#endif

@inline(__always) func load(_ p: UnsafePointer<Float>) -> Vector {
    UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
}

@inline(__always) func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self)
}
