import CDLKernels

/// to[j][i] = from[i][j] for a block of `rows` by `columns`, both at most `lanes`. Each of the `columns` rows of
/// `to` gets `width` floats, zero from `rows` on.
@inline(never)
func transposeBlock(
    _ from: UnsafePointer<Float>, stride: Int, rows: Int, columns: Int, _ to: UnsafeMutablePointer<Float>, toStride: Int,
    width: Int = lanes
) {
    // With these known the compiler leaves out every mask.
    if rows >= lanes && columns >= lanes && width >= lanes {
        #if DL_AVX512
            dl_transpose16(from, stride, 16, to, toStride, 16, 16)
        #else
            dl_transpose8(from, stride, 8, to, toStride, 8, 8)
        #endif
        return
    }
    #if DL_AVX512
        dl_transpose16(from, stride, rows, to, toStride, columns, width)
    #else
        dl_transpose8(from, stride, rows, to, toStride, columns, width)
    #endif
}

@inline(__always)
func copyFloats(_ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ count: Int) {
    var i = 0
    while i &+ lanes <= count {
        store(load(from + i), to + i)
        i &+= lanes
    }
    if i < count { storeFirst(loadFirst(from + i, count &- i), to + i, count &- i) }
}

@inline(__always)
func clearFloats(_ to: UnsafeMutablePointer<Float>, _ count: Int) {
    let zero = Vector(repeating: 0)
    var i = 0
    while i &+ lanes <= count {
        store(zero, to + i)
        i &+= lanes
    }
    if i < count { storeFirst(zero, to + i, count &- i) }
}
