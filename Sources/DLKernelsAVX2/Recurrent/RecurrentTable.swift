import CDLKernels

#if DL_AVX512
    @_cdecl("dl_recurrent_kernels_avx512")
    package func fillRecurrentTable(_ table: UnsafeMutablePointer<dl_recurrent_kernels>) { fill(table) }
#else
    @_cdecl("dl_recurrent_kernels_avx2")
    package func fillRecurrentTable(_ table: UnsafeMutablePointer<dl_recurrent_kernels>) { fill(table) }
#endif

@inline(__always)
private func fill(_ table: UnsafeMutablePointer<dl_recurrent_kernels>) {
    table.pointee.forward_scratch = recurrentForwardScratch
    table.pointee.forward = recurrentForward
    table.pointee.backward_scratch = recurrentBackwardScratch
    table.pointee.backward = recurrentBackward
}
