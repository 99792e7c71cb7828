import CDLKernels

/// The first `count` lanes from memory, zero in the others; nothing past them is read.
@inline(__always) func loadFirst(_ p: UnsafePointer<Float>, _ count: Int) -> Vector {
    #if DL_AVX512
        dl_load_first16(p, count)
    #else
        dl_load_first8(p, count)
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
