import CDLKernels

func fillWinogradTable(_ table: UnsafeMutablePointer<dl_convolution_kernels>) {
    table.pointee.forward_winograd4.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 4, backward: false) }
    table.pointee.forward_winograd4.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, step: 4, backward: false))
    }
    table.pointee.forward_winograd4.packed_bytes = { Int64(winogradPackedBytes($0.unsafelyUnwrapped, step: 4)) }
    table.pointee.forward_winograd4.pack = {
        winogradPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped, step: 4)
    }
    table.pointee.data_winograd4.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 4, backward: true) }
    table.pointee.data_winograd4.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, step: 4, backward: true))
    }
    table.pointee.forward_winograd2.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 2, backward: false) }
    table.pointee.forward_winograd2.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, step: 2, backward: false))
    }
    table.pointee.forward_winograd2.packed_bytes = { Int64(winogradPackedBytes($0.unsafelyUnwrapped, step: 2)) }
    table.pointee.forward_winograd2.pack = {
        winogradPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped, step: 2)
    }
    table.pointee.data_winograd2.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 2, backward: true) }
    table.pointee.data_winograd2.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, step: 2, backward: true))
    }
    table.pointee.weights_winograd4.run = { winogradWeights($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 4) }
    table.pointee.weights_winograd4.scratch_bytes = { Int64(winogradWeightsScratchBytes($0.unsafelyUnwrapped, step: 4)) }
    table.pointee.weights_winograd2.run = { winogradWeights($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, step: 2) }
    table.pointee.weights_winograd2.scratch_bytes = { Int64(winogradWeightsScratchBytes($0.unsafelyUnwrapped, step: 2)) }
}
