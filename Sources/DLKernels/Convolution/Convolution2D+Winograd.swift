enum WinogradDirection {
    case forward, backwardData, backwardWeights
}

/// When Winograd's algorithm declines: the rules behind "winograd4", F(4x4, 3x3), and "winograd2", F(2x2, 3x3). The sizes are
/// where it was measured to be no faster than the next implementation.
@Sendable
func refusalOfWinograd(_ p: Convolution2DProblem, _ direction: WinogradDirection, step: Int) -> String? {
    if !WinogradSwitch.isOn { return "Winograd is off" }
    if p.kernelHeight != 3 || p.kernelWidth != 3 { return "the kernel is not 3 by 3" }
    if p.strideHeight != 1 || p.strideWidth != 1 { return "stride" }
    if p.dilationHeight != 1 || p.dilationWidth != 1 { return "dilation" }
    if p.groups != 1 { return "groups" }
    // The transforms cost as much as products with some tens of channels.
    if p.channels < 32 { return "fewer than 32 channels" }
    if p.filters < 32 { return "fewer than 32 filters" }
    let toData = direction == .backwardData
    let height = toData ? p.inputHeight : p.outputHeight
    let width = toData ? p.inputWidth : p.outputWidth
    if height < step || width < step { return "pictures smaller than a tile" }
    // Few tiles do not pay for the transform of the kernel, whose size grows with the tile's.
    let tiles = p.batch * ((height + step - 1) / step) * ((width + step - 1) / step)
    let least = step == 4 ? 48 : 32
    return tiles < least ? "fewer than \(least) tiles" : nil
}
