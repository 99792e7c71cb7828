import CDLKernels

#if DL_AVX512
    @_cdecl("dl_math_kernels_avx512")
    package func fillMathTable(_ table: UnsafeMutablePointer<dl_math_kernels>) { fill(table) }
#else
    @_cdecl("dl_math_kernels_avx2")
    package func fillMathTable(_ table: UnsafeMutablePointer<dl_math_kernels>) { fill(table) }
#endif

@inline(__always)
private func fill(_ table: UnsafeMutablePointer<dl_math_kernels>) {
    table.pointee.lanes = Int32(truncatingIfNeeded: lanes)

    table.pointee.unary = unaryKernel
    table.pointee.predicate = predicateKernel
    table.pointee.activation_gradient = activationGradientKernel
    table.pointee.binary = binaryKernel
    table.pointee.compare = compareKernel

    table.pointee.reduce = reduceKernel
    table.pointee.reduce_scratch = reduceScratch

    table.pointee.softmax = softmaxKernel
    table.pointee.log_softmax = logSoftmaxKernel
    table.pointee.softmax_gradient = softmaxGradientKernel
    table.pointee.log_softmax_gradient = logSoftmaxGradientKernel
    table.pointee.sparse_cross_entropy = sparseCrossEntropyKernel
    table.pointee.sparse_cross_entropy_gradient = sparseCrossEntropyGradientKernel
    table.pointee.cross_entropy = crossEntropyKernel
    table.pointee.cross_entropy_gradient = crossEntropyGradientKernel

    table.pointee.max_pool = maxPoolKernel
    table.pointee.max_pool_gradient = maxPoolGradientKernel
    table.pointee.average_pool = averagePoolKernel
    table.pointee.average_pool_gradient = averagePoolGradientKernel

    table.pointee.norm_scratch = normScratch
    table.pointee.column_moments = columnMomentsKernel
    table.pointee.batch_norm = batchNormKernel
    table.pointee.batch_norm_gradient = batchNormGradientKernel
    table.pointee.row_norm_scratch = rowNormScratch
    table.pointee.row_norm = rowNormKernel
    table.pointee.row_norm_gradient = rowNormGradientKernel
    table.pointee.local_response_scratch = localResponseScratch
    table.pointee.local_response = localResponseKernel
    table.pointee.local_response_gradient = localResponseGradientKernel

    table.pointee.sgd = sgdKernel
    table.pointee.sgd_momentum = sgdMomentumKernel
    table.pointee.adam = adamKernel
    table.pointee.rmsprop = rmspropKernel
    table.pointee.update = updateKernel

    table.pointee.philox_words = philoxWordsKernel
    table.pointee.random_uniform = randomUniformKernel
    table.pointee.random_normal = randomNormalKernel
    table.pointee.dropout = dropoutKernel
    table.pointee.masked_scale = maskedScaleKernel
}
