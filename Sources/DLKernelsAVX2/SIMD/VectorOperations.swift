// One vocabulary for both vector widths, over the C header that the importer inlines.
// Masks are integer vectors of -1 and 0; `load` and `store` with a count touch only the first lanes.

import CDLKernels

#if DL_AVX512
    typealias UIntVector = SIMD16<UInt32>
    typealias ByteVector = SIMD16<UInt8>

    @inline(__always) func less(_ a: Vector, _ b: Vector) -> IntVector { dl_lt16(a, b) }
    @inline(__always) func lessOrEqual(_ a: Vector, _ b: Vector) -> IntVector { dl_le16(a, b) }
    @inline(__always) func equal(_ a: Vector, _ b: Vector) -> IntVector { dl_eq16(a, b) }
    @inline(__always) func notEqual(_ a: Vector, _ b: Vector) -> IntVector { dl_ne16(a, b) }
    @inline(__always) func less(_ a: IntVector, _ b: IntVector) -> IntVector { dl_ilt16(a, b) }
    @inline(__always) func equal(_ a: IntVector, _ b: IntVector) -> IntVector { dl_ieq16(a, b) }
    @inline(__always) func select(_ mask: IntVector, _ a: Vector, _ b: Vector) -> Vector { dl_select16(mask, a, b) }
    @inline(__always) func select(_ mask: IntVector, _ a: IntVector, _ b: IntVector) -> IntVector { dl_iselect16(mask, a, b) }
    @inline(__always) func any(_ mask: IntVector) -> Bool { dl_any16(mask) != 0 }
    /// 1 where the mask is set, else 0.
    @inline(__always) func bytes(_ mask: IntVector) -> ByteVector { dl_bytes16(mask) }
    @inline(__always) func narrowed(_ a: IntVector) -> ByteVector { dl_tobytes16(a) }
    @inline(__always) func widened(_ a: ByteVector) -> IntVector { dl_ofbytes16(a) }
    @inline(__always) func floor(_ a: Vector) -> Vector { dl_floor16(a) }
    @inline(__always) func ceil(_ a: Vector) -> Vector { dl_ceil16(a) }
    @inline(__always) func roundToEven(_ a: Vector) -> Vector { dl_rint16(a) }
    @inline(__always) func absolute(_ a: Vector) -> Vector { dl_abs16(a) }
    @inline(__always) func copySign(_ a: Vector, _ sign: Vector) -> Vector { dl_copysign16(a, sign) }
    @inline(__always) func toFloat(_ a: IntVector) -> Vector { dl_tofloat16(a) }
    @inline(__always) func toInt(_ a: Vector) -> IntVector { dl_toint16(a) }
    @inline(__always) func horizontalSum(_ a: Vector) -> Float { dl_hsum16(a) }
    @inline(__always) func horizontalProduct(_ a: Vector) -> Float { dl_hmul16(a) }
    @inline(__always) func horizontalMaximum(_ a: Vector) -> Float { dl_hmax16(a) }
    @inline(__always) func horizontalMinimum(_ a: Vector) -> Float { dl_hmin16(a) }
    @inline(__always) func multipliedHigh(_ a: UIntVector, _ b: UIntVector) -> UIntVector { dl_mulhi16(a, b) }
    @inline(__always) func load(_ p: UnsafePointer<Float>, _ count: Int) -> Vector { dl_load16(p, Int64(count)) }
    @inline(__always) func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ count: Int) { dl_store16(v, p, Int64(count)) }
    @inline(__always) var laneIndex: IntVector { IntVector(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
#else
    typealias UIntVector = SIMD8<UInt32>
    typealias ByteVector = SIMD8<UInt8>

    @inline(__always) func less(_ a: Vector, _ b: Vector) -> IntVector { dl_lt8(a, b) }
    @inline(__always) func lessOrEqual(_ a: Vector, _ b: Vector) -> IntVector { dl_le8(a, b) }
    @inline(__always) func equal(_ a: Vector, _ b: Vector) -> IntVector { dl_eq8(a, b) }
    @inline(__always) func notEqual(_ a: Vector, _ b: Vector) -> IntVector { dl_ne8(a, b) }
    @inline(__always) func less(_ a: IntVector, _ b: IntVector) -> IntVector { dl_ilt8(a, b) }
    @inline(__always) func equal(_ a: IntVector, _ b: IntVector) -> IntVector { dl_ieq8(a, b) }
    @inline(__always) func select(_ mask: IntVector, _ a: Vector, _ b: Vector) -> Vector { dl_select8(mask, a, b) }
    @inline(__always) func select(_ mask: IntVector, _ a: IntVector, _ b: IntVector) -> IntVector { dl_iselect8(mask, a, b) }
    @inline(__always) func any(_ mask: IntVector) -> Bool { dl_any8(mask) != 0 }
    /// 1 where the mask is set, else 0.
    @inline(__always) func bytes(_ mask: IntVector) -> ByteVector { dl_bytes8(mask) }
    @inline(__always) func narrowed(_ a: IntVector) -> ByteVector { dl_tobytes8(a) }
    @inline(__always) func widened(_ a: ByteVector) -> IntVector { dl_ofbytes8(a) }
    @inline(__always) func floor(_ a: Vector) -> Vector { dl_floor8(a) }
    @inline(__always) func ceil(_ a: Vector) -> Vector { dl_ceil8(a) }
    @inline(__always) func roundToEven(_ a: Vector) -> Vector { dl_rint8(a) }
    @inline(__always) func absolute(_ a: Vector) -> Vector { dl_abs8(a) }
    @inline(__always) func copySign(_ a: Vector, _ sign: Vector) -> Vector { dl_copysign8(a, sign) }
    @inline(__always) func toFloat(_ a: IntVector) -> Vector { dl_tofloat8(a) }
    @inline(__always) func toInt(_ a: Vector) -> IntVector { dl_toint8(a) }
    @inline(__always) func horizontalSum(_ a: Vector) -> Float { dl_hsum8(a) }
    @inline(__always) func horizontalProduct(_ a: Vector) -> Float { dl_hmul8(a) }
    @inline(__always) func horizontalMaximum(_ a: Vector) -> Float { dl_hmax8(a) }
    @inline(__always) func horizontalMinimum(_ a: Vector) -> Float { dl_hmin8(a) }
    @inline(__always) func multipliedHigh(_ a: UIntVector, _ b: UIntVector) -> UIntVector { dl_mulhi8(a, b) }
    @inline(__always) func load(_ p: UnsafePointer<Float>, _ count: Int) -> Vector { dl_load8(p, Int64(count)) }
    @inline(__always) func store(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ count: Int) { dl_store8(v, p, Int64(count)) }
    @inline(__always) var laneIndex: IntVector { IntVector(0, 1, 2, 3, 4, 5, 6, 7) }
#endif

@inline(__always) func splat(_ x: Float) -> Vector { Vector(repeating: x) }
@inline(__always) func isplat(_ x: Int32) -> IntVector { IntVector(repeating: x) }
@inline(__always) func bits(_ a: Vector) -> IntVector { unsafeBitCast(a, to: IntVector.self) }
@inline(__always) func ofBits(_ a: IntVector) -> Vector { unsafeBitCast(a, to: Vector.self) }
@inline(__always) func isNaN(_ a: Vector) -> IntVector { notEqual(a, a) }

/// The larger of two, NaN when either is NaN.
@inline(__always) func maximumOrNaN(_ a: Vector, _ b: Vector) -> Vector { select(isNaN(a), a, maximum(a, b)) }
/// The smaller of two, NaN when either is NaN.
@inline(__always) func minimumOrNaN(_ a: Vector, _ b: Vector) -> Vector { select(isNaN(a), a, minimum(a, b)) }

/// A scalar function of the C library, lane by lane.
@inline(__always) func lanewise(_ x: Vector, _ f: (Float) -> Float) -> Vector {
    var y = x
    for i in 0..<lanes { y[i] = f(x[i]) }
    return y
}

@inline(__always) func lanewise(_ x: Vector, _ z: Vector, _ f: (Float, Float) -> Float) -> Vector {
    var y = x
    for i in 0..<lanes { y[i] = f(x[i], z[i]) }
    return y
}

/// A count that is known to be below the lanes: the compiler sees it, and drops the branches for whole vectors.
@inline(__always) func rest(_ count: Int) -> Int { count & (lanes &- 1) }
