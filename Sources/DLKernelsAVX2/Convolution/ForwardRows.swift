import CDLKernels

/// The sizes of a problem as Swift integers, and what follows from them.
struct Sizes {
    let batch, height, width, channels, filters: Int
    let kernelY, kernelX, strideY, strideX, dilationY, dilationX, groups: Int
    let padTop, padLeft, outputHeight, outputWidth: Int

    @inline(__always)
    init(_ p: UnsafePointer<dl_convolution_problem>) {
        let p = p.pointee
        batch = Int(p.batch)
        height = Int(p.input_height)
        width = Int(p.input_width)
        channels = Int(p.channels)
        filters = Int(p.filters)
        kernelY = Int(p.kernel_height)
        kernelX = Int(p.kernel_width)
        strideY = Int(p.stride_y)
        strideX = Int(p.stride_x)
        dilationY = Int(p.dilation_y)
        dilationX = Int(p.dilation_x)
        groups = Int(p.groups)
        padTop = Int(p.pad_top)
        padLeft = Int(p.pad_left)
        outputHeight = Int(p.output_height)
        outputWidth = Int(p.output_width)
    }

    var groupChannels: Int { channels / groups }
    var groupFilters: Int { filters / groups }
    /// Rows and columns of input that the output positions look at, padding included.
    var windowHeight: Int { (outputHeight &- 1) &* strideY &+ (kernelY &- 1) &* dilationY &+ 1 }
    var windowWidth: Int { (outputWidth &- 1) &* strideX &+ (kernelX &- 1) &* dilationX &+ 1 }
    var isPadded: Bool {
        padTop > 0 || padLeft > 0 || windowHeight > height &+ padTop || windowWidth > width &+ padLeft
    }
}

/// Channels from which on it is cheaper to look up each tap than to copy the input with its padding.
let checkedChannels = 24

/// The parts of the scratch memory, the same when counting and when running.
private struct ForwardScratch {
    let merged: Bool
    let checked: Bool
    let copied: Bool
    let packed: Bool
    let runCount: Int
    let runLength: Int
    let runs: UnsafeMutablePointer<Int>
    let zeros: UnsafeMutablePointer<Float>
    let input: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<Float>
    let bytes: Int

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        var cursor = ScratchCursor(memory)
        let taps = s.kernelY &* s.kernelX
        checked = s.isPadded && s.groupChannels >= checkedChannels && taps <= 64
        copied = s.isPadded && !checked
        merged = !checked && s.groups == 1 && s.dilationX == 1
        runCount = merged ? s.kernelY : taps
        runLength = merged ? s.kernelX &* s.channels : s.groupChannels
        let depth = runCount &* runLength
        // A right factor that is one panel already, or that few rows pass over, is used where it is.
        let positions = s.batch &* s.outputHeight &* s.outputWidth
        packed = s.groupFilters % lanes != 0 || (s.groupFilters > 2 &* lanes && positions > 64)
        runs = cursor.integers(runCount)
        zeros = cursor.floats(runLength)
        input = cursor.floats(copied ? s.batch &* s.windowHeight &* s.windowWidth &* s.channels : 0)
        panels = cursor.floats(packed ? packedFloats(depth: depth, columns: s.groupFilters) : 0)
        bytes = cursor.bytes
    }
}

func forwardRowsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    ForwardScratch(Sizes(problem), nil).bytes
}

func forwardRows(_ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>) {
    let s = Sizes(problem)
    let scratch = ForwardScratch(s, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let w = call.pointee.w,
        let y = call.pointee.result
    else { return }
    var input = x
    var inputHeight = s.height
    var inputWidth = s.width
    if scratch.copied {
        var copy = PaddedCopy(
            from: x, images: s.batch, rows: s.height, columns: s.width, channels: s.channels, to: scratch.input,
            originY: 0 &- s.padTop, originX: 0 &- s.padLeft, toRows: s.windowHeight, toColumns: s.windowWidth)
        copy.run(runtime)
        input = UnsafePointer(scratch.input)
        inputHeight = s.windowHeight
        inputWidth = s.windowWidth
    }
    let rowStride = inputWidth &* s.channels
    for run in 0..<scratch.runCount {
        let tapY = scratch.merged ? run : run / s.kernelX
        let tapX = scratch.merged ? 0 : run % s.kernelX
        scratch.runs[run] = 4 &* (tapY &* s.dilationY &* rowStride &+ tapX &* s.dilationX &* s.channels)
    }
    clearFloats(scratch.zeros, scratch.runLength)
    for group in 0..<s.groups {
        let weights = w + group &* s.groupFilters
        var source: PanelSource?
        if scratch.packed {
            source = PanelSource(
                rows: weights, stride: s.filters, depth: scratch.runCount &* scratch.runLength,
                columns: s.groupFilters, packed: scratch.panels, offsets: scratch.runs)
        }
        var product = RowProduct(
            images: s.batch, rows: s.outputHeight, columns: s.outputWidth,
            output: y + group &* s.groupFilters, outputImageStride: s.outputHeight &* s.outputWidth &* s.filters,
            outputRowStride: s.outputWidth &* s.filters, outputColumnStride: s.filters,
            input: input + group &* s.groupChannels, inputImageStride: inputHeight &* rowStride,
            inputRowStride: rowStride, inputColumnStride: s.channels,
            originY: scratch.checked ? 0 &- s.padTop : 0, originX: scratch.checked ? 0 &- s.padLeft : 0,
            stepY: s.strideY, stepX: s.strideX, checked: scratch.checked, tapsY: s.kernelY, tapsX: s.kernelX,
            tapStepY: s.dilationY, tapStepX: s.dilationX, inputRows: s.height, inputColumns: s.width,
            runs: scratch.runs, runCount: scratch.runCount, runLength: scratch.runLength, zeros: scratch.zeros,
            filters: s.groupFilters, panels: scratch.packed ? UnsafePointer(scratch.panels) : weights,
            panelStride: scratch.packed ? 0 : s.filters, source: source,
            bias: call.pointee.bias.map { $0 + group &* s.groupFilters }, relu: call.pointee.relu != 0,
            accumulate: false)
        product.run(runtime)
    }
}
