import CDLKernels

/// The first `count` lanes from memory, zero in the others; nothing past them is read.
@inline(__always) func loadFirst(_ p: UnsafePointer<Float>, _ count: Int) -> Vector {
    #if DL_AVX512
        dl_load_first16(p, count)
    #else
        dl_load_first8(p, count)
    #endif
}

/// Stores past the caches; `p` is aligned to the vector.
@inline(__always) func stream(_ v: Vector, _ p: UnsafeMutablePointer<Float>) {
    #if DL_AVX512
        dl_stream16(p, v)
    #else
        dl_stream8(p, v)
    #endif
}

/// Stores the first `count` lanes; nothing past them is written.
@inline(__always) func storeFirst(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ count: Int) {
    #if DL_AVX512
        dl_store_first16(p, v, count)
    #else
        dl_store_first8(p, v, count)
    #endif
}
