import CDLKernels

#if DL_AVX512
    @_cdecl("dl_convolution_kernels_avx512")
    package func fillConvolutionTable(_ table: UnsafeMutablePointer<dl_convolution_kernels>) { fill(table) }
#else
    @_cdecl("dl_convolution_kernels_avx2")
    package func fillConvolutionTable(_ table: UnsafeMutablePointer<dl_convolution_kernels>) { fill(table) }
#endif

@inline(__always)
private func fill(_ table: UnsafeMutablePointer<dl_convolution_kernels>) {
    table.pointee.lanes = Int32(truncatingIfNeeded: lanes)
    table.pointee.forward_rows.run = { forwardRows($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.forward_rows.scratch_bytes = { Int64(forwardRowsScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.forward_rows.packed_bytes = { Int64(forwardRowsPackedBytes($0.unsafelyUnwrapped)) }
    table.pointee.forward_rows.pack = {
        forwardRowsPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped)
    }
    table.pointee.data_rows.run = { backwardDataRows($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.data_rows.scratch_bytes = { Int64(backwardDataRowsScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.data_scatter.run = { backwardDataScatter($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.data_scatter.scratch_bytes = { Int64(backwardDataScatterScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.weights_rows.run = { backwardWeightsRows($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.weights_rows.scratch_bytes = { Int64(backwardWeightsRowsScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.weights_planes.run = { backwardWeightsPlanes($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.weights_planes.scratch_bytes = { Int64(backwardWeightsPlanesScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.forward_planes.run = { forwardPlanes($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.forward_planes.scratch_bytes = { Int64(forwardPlanesScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.forward_depthwise.run = { forwardDepthwise($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.forward_depthwise.scratch_bytes = { Int64(forwardDepthwiseScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.data_depthwise.run = { backwardDataDepthwise($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.data_depthwise.scratch_bytes = { Int64(backwardDataDepthwiseScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.weights_depthwise.run = { backwardWeightsDepthwise($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.weights_depthwise.scratch_bytes = { Int64(backwardWeightsDepthwiseScratchBytes($0.unsafelyUnwrapped)) }
    fillWinogradTable(table)
    table.pointee.matmul.run = { matMul($0.unsafelyUnwrapped, $1.unsafelyUnwrapped) }
    table.pointee.matmul.scratch_bytes = { Int64(matMulScratchBytes($0.unsafelyUnwrapped)) }
    table.pointee.column_sums = { from, rows, columns, sums, scratch, runtime in
        columnSums(
            from.unsafelyUnwrapped, rows: Int(rows), columns: Int(columns), sums: sums.unsafelyUnwrapped,
            scratch: scratch, runtime.unsafelyUnwrapped)
    }
    table.pointee.column_sums_scratch_bytes = { Int64(columnSumsScratchBytes(rows: Int($0), columns: Int($1))) }
}
