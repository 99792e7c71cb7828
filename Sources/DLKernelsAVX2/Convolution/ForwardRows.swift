import CDLKernels

/// The sizes of a problem as Swift integers, and what follows from them.
struct Sizes {
    let batch, height, width, channels, filters: Int
    let kernelY, kernelX, strideY, strideX, dilationY, dilationX, groups: Int
    let padTop, padLeft, outputHeight, outputWidth: Int
    let depth, kernelZ, strideZ, dilationZ, padFront, outputDepth: Int

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
        depth = Int(p.input_depth)
        kernelZ = Int(p.kernel_depth)
        strideZ = Int(p.stride_z)
        dilationZ = Int(p.dilation_z)
        padFront = Int(p.pad_front)
        outputDepth = Int(p.output_depth)
    }

    /// One tap over positions in a row.
    init(positions: Int, channels: Int, filters: Int) {
        var p = dl_convolution_problem()
        p.batch = 1
        p.input_height = 1
        p.input_width = Int64(positions)
        p.channels = Int64(channels)
        p.filters = Int64(filters)
        p.kernel_height = 1
        p.kernel_width = 1
        p.stride_y = 1
        p.stride_x = 1
        p.dilation_y = 1
        p.dilation_x = 1
        p.groups = 1
        p.output_height = 1
        p.output_width = Int64(positions)
        p.input_depth = 1
        p.kernel_depth = 1
        p.stride_z = 1
        p.dilation_z = 1
        p.output_depth = 1
        self.init(&p)
    }

    var groupChannels: Int { channels / groups }
    var groupFilters: Int { filters / groups }
    var taps: Int { kernelZ &* kernelY &* kernelX }
    var isVolume: Bool { depth > 1 || kernelZ > 1 || outputDepth > 1 || padFront > 0 }
    /// Planes, rows and columns of input that the output positions look at, padding included.
    var windowDepth: Int { (outputDepth &- 1) &* strideZ &+ (kernelZ &- 1) &* dilationZ &+ 1 }
    var windowHeight: Int { (outputHeight &- 1) &* strideY &+ (kernelY &- 1) &* dilationY &+ 1 }
    var windowWidth: Int { (outputWidth &- 1) &* strideX &+ (kernelX &- 1) &* dilationX &+ 1 }
    var isPadded: Bool {
        padTop > 0 || padLeft > 0 || padFront > 0 || windowHeight > height &+ padTop || windowWidth > width &+ padLeft
            || windowDepth > depth &+ padFront
    }
    /// Floats of a copy of x with its padding.
    var windowFloats: Int { batch &* windowDepth &* windowHeight &* windowWidth &* channels }
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
    /// Floats of one group's panels, and how far apart they lie where all groups are packed.
    let panelFloats: Int
    let groupStride: Int
    let bytes: Int

    /// `ahead`: the right factor is packed before, once for many calls.
    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?, ahead: Bool = false) {
        var cursor = ScratchCursor(memory)
        checked = s.isPadded && s.groupChannels >= checkedChannels && s.taps <= 64
        copied = s.isPadded && !checked
        merged = !checked && s.groups == 1 && s.dilationX == 1
        runCount = merged ? s.kernelZ &* s.kernelY : s.taps
        runLength = merged ? s.kernelX &* s.channels : s.groupChannels
        let depth = runCount &* runLength
        // A right factor that is one panel already, or that few rows pass over, is used where it is; but packing it for all
        // calls to come is worth it for few rows too.
        let positions = s.batch &* s.outputDepth &* s.outputHeight &* s.outputWidth
        packed = s.groupFilters % lanes != 0 || (s.groupFilters > 2 &* lanes && (ahead || positions > 64))
        runs = cursor.integers(runCount)
        zeros = cursor.floats(runLength)
        input = cursor.floats(copied ? s.windowFloats : 0)
        panelFloats = packed ? packedFloats(depth: depth, columns: s.groupFilters) : 0
        groupStride = roundUp(panelFloats, 16)
        panels = cursor.floats(ahead ? 0 : panelFloats)
        bytes = cursor.bytes
    }
}

func forwardRowsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    ForwardScratch(Sizes(problem), nil).bytes
}

/// 0 where the kernel is read as it is.
func forwardRowsPackedBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    let s = Sizes(problem)
    return ForwardScratch(s, nil, ahead: true).groupStride &* s.groups &* 4
}

func forwardRowsPack(
    _ problem: UnsafePointer<dl_convolution_problem>, _ w: UnsafePointer<Float>, _ packed: UnsafeMutablePointer<Float>,
    _ runtime: UnsafePointer<dl_runtime>
) {
    let s = Sizes(problem)
    let scratch = ForwardScratch(s, nil, ahead: true)
    if !scratch.packed { return }
    var noOffset = 0
    withUnsafePointer(to: &noOffset) { offsets in
        for group in 0..<s.groups {
            var source = PanelSource(
                rows: w + group &* s.groupFilters, stride: s.filters, depth: scratch.runCount &* scratch.runLength,
                columns: s.groupFilters, packed: packed + group &* scratch.groupStride, offsets: offsets)
            source.packAll(runtime)
        }
    }
}

func forwardRows(_ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>) {
    let s = Sizes(problem)
    let scratch = ForwardScratch(s, call.pointee.scratch, ahead: call.pointee.packed != nil)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let w = call.pointee.w ?? call.pointee.packed,
        let y = call.pointee.result
    else { return }
    var input = x
    var inputDepth = s.depth
    var inputHeight = s.height
    var inputWidth = s.width
    if scratch.copied {
        var copy = PaddedCopy(s, x, to: scratch.input)
        copy.run(runtime)
        input = UnsafePointer(scratch.input)
        inputDepth = s.windowDepth
        inputHeight = s.windowHeight
        inputWidth = s.windowWidth
    }
    let rowStride = inputWidth &* s.channels
    for run in 0..<scratch.runCount {
        let row = scratch.merged ? run : run / s.kernelX
        let tapX = scratch.merged ? 0 : run % s.kernelX
        let inputRow = row / s.kernelY &* s.dilationZ &* inputHeight &+ row % s.kernelY &* s.dilationY
        scratch.runs[run] = 4 &* (inputRow &* rowStride &+ tapX &* s.dilationX &* s.channels)
    }
    clearFloats(scratch.zeros, scratch.runLength)
    for group in 0..<s.groups {
        let weights = w + group &* s.groupFilters
        var source: PanelSource?
        var panels = scratch.packed ? UnsafePointer(scratch.panels) : weights
        if scratch.packed, let packed = call.pointee.packed {
            panels = packed + group &* scratch.groupStride
        } else if scratch.packed {
            source = PanelSource(
                rows: weights, stride: s.filters, depth: scratch.runCount &* scratch.runLength,
                columns: s.groupFilters, packed: scratch.panels, offsets: scratch.runs)
        }
        var product = RowProduct(
            images: s.batch, rows: s.outputHeight, columns: s.outputWidth,
            output: y + group &* s.groupFilters,
            outputImageStride: s.outputDepth &* s.outputHeight &* s.outputWidth &* s.filters,
            outputRowStride: s.outputWidth &* s.filters, outputColumnStride: s.filters,
            input: input + group &* s.groupChannels, inputImageStride: inputDepth &* inputHeight &* rowStride,
            inputRowStride: rowStride, inputColumnStride: s.channels,
            originY: scratch.checked ? 0 &- s.padTop : 0, originX: scratch.checked ? 0 &- s.padLeft : 0,
            stepY: s.strideY, stepX: s.strideX, checked: scratch.checked, tapsY: s.kernelY, tapsX: s.kernelX,
            tapStepY: s.dilationY, tapStepX: s.dilationX, inputRows: s.height, inputColumns: s.width,
            runs: scratch.runs, runCount: scratch.runCount, runLength: scratch.runLength, zeros: scratch.zeros,
            filters: s.groupFilters, panels: panels,
            panelStride: scratch.packed ? 0 : s.filters, source: source,
            bias: call.pointee.bias.map { $0 + group &* s.groupFilters }, relu: call.pointee.relu != 0,
            accumulate: false)
        product.depth = RowDepth(
            planes: s.outputDepth, outputStride: s.outputHeight &* s.outputWidth &* s.filters,
            inputStride: inputHeight &* rowStride, origin: scratch.checked ? 0 &- s.padFront : 0, step: s.strideZ,
            taps: s.kernelZ, tapStep: s.dilationZ, inputPlanes: s.depth)
        product.run(runtime)
    }
}
