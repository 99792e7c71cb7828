enum WinogradDirection {
    case forward, backwardData, backwardWeights
}

/// When Winograd's algorithm declines: the rules behind "winograd4", F(4x4, 3x3), "winograd2", F(2x2, 3x3), and "winograd5",
/// F(2x2, 5x5). The sizes are where it was measured to be no faster than the next implementation.
@Sendable
func refusalOfWinograd(_ p: Convolution2DProblem, _ direction: WinogradDirection, step: Int, taps: Int = 3) -> String? {
    if !WinogradSwitch.isOn { return "Winograd is off" }
    if p.kernelHeight != taps || p.kernelWidth != taps { return "the kernel is not \(taps) by \(taps)" }
    if p.strideHeight != 1 || p.strideWidth != 1 { return "stride" }
    if p.dilationHeight != 1 || p.dilationWidth != 1 { return "dilation" }
    if p.groups != 1 { return "groups" }
    // The transforms cost as much as products with some tens of channels, with 25 taps with fewer.
    let depth = taps == 5 ? 16 : 32
    if p.channels < depth { return "fewer than \(depth) channels" }
    if p.filters < depth { return "fewer than \(depth) filters" }
    let toData = direction == .backwardData
    let height = toData ? p.inputHeight : p.outputHeight
    let width = toData ? p.inputWidth : p.outputWidth
    if height < step || width < step { return "pictures smaller than a tile" }
    // Few tiles do not pay for the transform of the kernel or of its gradient.
    let count = tiles(p.batch, height, width, step)
    let toWeights = direction == .backwardWeights
    let least = taps == 5 ? (toWeights ? 160 : 49) : step == 4 ? 24 : toWeights ? 96 : 16
    if count < least { return "fewer than \(least) tiles" }
    // Where tiles of 4 reach far past the picture's edge, those of 2 multiply less, the transforms counted as so many tiles.
    let transforms = 22
    if step == 4 && 36 * (count + transforms) > 16 * (tiles(p.batch, height, width, 2) + transforms) {
        return "tiles of 2 by 2 need less work"
    }
    return nil
}

private func tiles(_ batch: Int, _ height: Int, _ width: Int, _ step: Int) -> Int {
    batch * ((height + step - 1) / step) * ((width + step - 1) / step)
}
