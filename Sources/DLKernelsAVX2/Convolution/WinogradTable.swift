import CDLKernels

func fillWinogradTable(_ table: UnsafeMutablePointer<dl_convolution_kernels>) {
    table.pointee.forward_winograd4.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .four, backward: false) }
    table.pointee.forward_winograd4.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .four, backward: false))
    }
    table.pointee.forward_winograd4.packed_bytes = { Int64(winogradPackedBytes($0.unsafelyUnwrapped, .four)) }
    table.pointee.forward_winograd4.pack = {
        winogradPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped, .four)
    }
    table.pointee.forward_winograd2.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .two, backward: false) }
    table.pointee.forward_winograd2.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .two, backward: false))
    }
    table.pointee.forward_winograd2.packed_bytes = { Int64(winogradPackedBytes($0.unsafelyUnwrapped, .two)) }
    table.pointee.forward_winograd2.pack = {
        winogradPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped, .two)
    }
    table.pointee.forward_winograd5.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .five, backward: false) }
    table.pointee.forward_winograd5.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .five, backward: false))
    }
    table.pointee.forward_winograd5.packed_bytes = { Int64(winogradPackedBytes($0.unsafelyUnwrapped, .five)) }
    table.pointee.forward_winograd5.pack = {
        winogradPack($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, $2.unsafelyUnwrapped, $3.unsafelyUnwrapped, .five)
    }
    table.pointee.data_winograd4.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .four, backward: true) }
    table.pointee.data_winograd4.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .four, backward: true))
    }
    table.pointee.weights_winograd4.run = { winogradWeights($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .four) }
    table.pointee.weights_winograd4.scratch_bytes = { Int64(winogradWeightsScratchBytes($0.unsafelyUnwrapped, .four)) }
    table.pointee.data_winograd2.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .two, backward: true) }
    table.pointee.data_winograd2.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .two, backward: true))
    }
    table.pointee.weights_winograd2.run = { winogradWeights($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .two) }
    table.pointee.weights_winograd2.scratch_bytes = { Int64(winogradWeightsScratchBytes($0.unsafelyUnwrapped, .two)) }
    table.pointee.data_winograd5.run = { winograd($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .five, backward: true) }
    table.pointee.data_winograd5.scratch_bytes = {
        Int64(winogradScratchBytes($0.unsafelyUnwrapped, .five, backward: true))
    }
    table.pointee.weights_winograd5.run = { winogradWeights($0.unsafelyUnwrapped, $1.unsafelyUnwrapped, .five) }
    table.pointee.weights_winograd5.scratch_bytes = { Int64(winogradWeightsScratchBytes($0.unsafelyUnwrapped, .five)) }
}
