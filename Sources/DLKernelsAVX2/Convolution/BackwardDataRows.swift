import CDLKernels

/// The input positions phase, phase + stride, ... of one dimension, and the taps that reach them.
///
/// Output position o reaches input position o * stride + tap * dilation - padding, so the gradient at the i-th position
/// of a phase is a convolution of stride 1 over the gradient of the output: tap t of it looks at
/// origin + i + t * step and carries the weights of tap last - t * tapStep of the kernel.
struct Phase {
    let positions: Int
    let taps: Int
    let lastTap: Int
    let tapStep: Int
    let origin: Int
    let step: Int

    init(phase: Int, size: Int, stride: Int, dilation: Int, kernel: Int, padding: Int) {
        var a = stride
        var b = dilation
        while b != 0 { (a, b) = (b, a % b) }
        tapStep = stride / a
        step = dilation / a
        positions = phase < size ? (size &- phase &+ stride &- 1) / stride : 0
        var tap = 0
        while tap < min(tapStep, kernel), (phase &+ padding &- tap &* dilation) % stride != 0 { tap &+= 1 }
        if tap == min(tapStep, kernel) {
            taps = 0
            lastTap = 0
            origin = 0
        } else {
            taps = (kernel &- 1 &- tap) / tapStep &+ 1
            lastTap = tap &+ (taps &- 1) &* tapStep
            origin = (phase &+ padding &- lastTap &* dilation) / stride
        }
    }

    /// The last position of the output's gradient that the phase looks at.
    var end: Int { origin &+ positions &- 1 &+ (taps &- 1) &* step }
}

private struct DataScratch {
    let copied: Bool
    let checked: Bool
    let merged: Bool
    /// The part of dy that all phases look at, borders of zeros included.
    let firstZ: Int
    let firstY: Int
    let firstX: Int
    let windowDepth: Int
    let windowHeight: Int
    let windowWidth: Int
    let runs: UnsafeMutablePointer<Int>
    let offsets: UnsafeMutablePointer<Int>
    let zeros: UnsafeMutablePointer<Float>
    let input: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<Float>
    let bytes: Int

    init(_ s: Sizes, _ memory: UnsafeMutableRawPointer?) {
        var cursor = ScratchCursor(memory)
        let taps = s.taps
        let (firstZ, endZ) = Self.extent(s.depth, s.strideZ, s.dilationZ, s.kernelZ, s.padFront)
        let (firstY, endY) = Self.extent(s.height, s.strideY, s.dilationY, s.kernelY, s.padTop)
        let (firstX, endX) = Self.extent(s.width, s.strideX, s.dilationX, s.kernelX, s.padLeft)
        let outside = firstY < 0 || firstX < 0 || firstZ < 0 || endY >= s.outputHeight || endX >= s.outputWidth
            || endZ >= s.outputDepth
        checked = outside && s.groupFilters >= checkedChannels && taps <= 64
        copied = outside && !checked
        merged = !checked && s.groups == 1 && s.strideX % s.dilationX == 0
        self.firstZ = copied ? firstZ : 0
        self.firstY = copied ? firstY : 0
        self.firstX = copied ? firstX : 0
        windowDepth = endZ &- firstZ &+ 1
        windowHeight = endY &- firstY &+ 1
        windowWidth = endX &- firstX &+ 1
        runs = cursor.integers(taps)
        offsets = cursor.integers(taps)
        zeros = cursor.floats(s.groupFilters)
        input = cursor.floats(copied ? s.batch &* windowDepth &* windowHeight &* windowWidth &* s.filters : 0)
        panels = cursor.floats(packedFloats(depth: taps &* s.groupFilters, columns: s.groupChannels))
        bytes = cursor.bytes
    }

    /// First and last position of dy that some phase looks at; (0, 0) where none does.
    private static func extent(_ size: Int, _ stride: Int, _ dilation: Int, _ kernel: Int, _ padding: Int) -> (Int, Int) {
        var first = Int.max
        var end = Int.min
        for p in 0..<min(stride, size) {
            let phase = Phase(
                phase: p, size: size, stride: stride, dilation: dilation, kernel: kernel, padding: padding)
            if phase.taps == 0 { continue }
            first = min(first, phase.origin)
            end = max(end, phase.end)
        }
        return first > end ? (0, 0) : (first, end)
    }
}

func backwardDataRowsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    DataScratch(Sizes(problem), nil).bytes
}

func backwardDataRows(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    let scratch = DataScratch(s, call.pointee.scratch)
    guard let runtime = call.pointee.runtime, let dy = call.pointee.dy, let w = call.pointee.w,
        let dx = call.pointee.result
    else { return }
    var input = dy
    var inputDepth = s.outputDepth
    var inputHeight = s.outputHeight
    var inputWidth = s.outputWidth
    if scratch.copied {
        var copy = PaddedCopy(
            from: dy, images: s.batch, rows: s.outputHeight, columns: s.outputWidth, channels: s.filters,
            to: scratch.input, originY: scratch.firstY, originX: scratch.firstX, toRows: scratch.windowHeight,
            toColumns: scratch.windowWidth, planes: s.outputDepth, originZ: scratch.firstZ, toPlanes: scratch.windowDepth)
        copy.run(runtime)
        input = UnsafePointer(scratch.input)
        inputDepth = scratch.windowDepth
        inputHeight = scratch.windowHeight
        inputWidth = scratch.windowWidth
    }
    clearFloats(scratch.zeros, s.groupFilters)
    let phases = DataPhases(
        s: s, scratch: scratch, input: input, inputDepth: inputDepth, inputHeight: inputHeight, inputWidth: inputWidth, w: w,
        dx: dx)
    for z in 0..<min(s.strideZ, s.depth) {
        for y in 0..<min(s.strideY, s.height) {
            for x in 0..<min(s.strideX, s.width) { phases.run(z, y, x, runtime) }
        }
    }
}

/// The products of all phases, one after another.
private struct DataPhases {
    let s: Sizes
    let scratch: DataScratch
    /// dy, or its copy with borders.
    let input: UnsafePointer<Float>
    let inputDepth: Int
    let inputHeight: Int
    let inputWidth: Int
    let w: UnsafePointer<Float>
    let dx: UnsafeMutablePointer<Float>

    func run(_ phaseZ: Int, _ phaseY: Int, _ phaseX: Int, _ runtime: UnsafePointer<dl_runtime>) {
        let z = Phase(
            phase: phaseZ, size: s.depth, stride: s.strideZ, dilation: s.dilationZ, kernel: s.kernelZ, padding: s.padFront)
        let y = Phase(
            phase: phaseY, size: s.height, stride: s.strideY, dilation: s.dilationY, kernel: s.kernelY, padding: s.padTop)
        let x = Phase(
            phase: phaseX, size: s.width, stride: s.strideX, dilation: s.dilationX, kernel: s.kernelX, padding: s.padLeft)
        let taps = z.taps &* y.taps &* x.taps
        let merged = scratch.merged && taps > 0
        let rowStride = inputWidth &* s.filters
        let runCount = merged ? z.taps &* y.taps : taps
        for run in 0..<runCount {
            let row = merged ? run : run / x.taps
            let tx = merged ? 0 : run % x.taps
            let inputRow = row / y.taps &* z.step &* inputHeight &+ row % y.taps &* y.step
            scratch.runs[run] = 4 &* (inputRow &* rowStride &+ tx &* x.step &* s.filters)
        }
        for group in 0..<s.groups {
            for tap in 0..<taps {
                let row = tap / x.taps
                let kz = z.lastTap &- row / y.taps &* z.tapStep
                let ky = y.lastTap &- row % y.taps &* y.tapStep
                let kx = x.lastTap &- tap % x.taps &* x.tapStep
                scratch.offsets[tap] =
                    ((kz &* s.kernelY &+ ky) &* s.kernelX &+ kx) &* s.groupChannels &* s.filters &+ group &* s.groupFilters
            }
            var source: PanelSource?
            if taps > 0 {
                source = PanelSource(
                    transposed: w, stride: s.filters, offsets: scratch.offsets, blocks: taps, depth: s.groupFilters,
                    columns: s.groupChannels, packed: scratch.panels)
            }
            let first = (phaseZ &* s.height &+ phaseY) &* s.width &+ phaseX
            let planeStride = s.height &* s.width &* s.channels
            var product = RowProduct(
                images: s.batch, rows: y.positions, columns: x.positions,
                output: dx + (first &* s.channels &+ group &* s.groupChannels),
                outputImageStride: s.depth &* planeStride, outputRowStride: s.strideY &* s.width &* s.channels,
                outputColumnStride: s.strideX &* s.channels, input: input + group &* s.groupFilters,
                inputImageStride: inputDepth &* inputHeight &* rowStride, inputRowStride: rowStride,
                inputColumnStride: s.filters, originY: y.origin &- scratch.firstY, originX: x.origin &- scratch.firstX,
                stepY: 1, stepX: 1, checked: scratch.checked, tapsY: y.taps, tapsX: x.taps, tapStepY: y.step,
                tapStepX: x.step, inputRows: s.outputHeight, inputColumns: s.outputWidth, runs: scratch.runs,
                runCount: runCount, runLength: merged ? x.taps &* s.filters : s.groupFilters, zeros: scratch.zeros,
                filters: s.groupChannels, panels: UnsafePointer(scratch.panels), panelStride: 0, source: source, bias: nil,
                relu: false, accumulate: false)
            product.depth = RowDepth(
                planes: z.positions, outputStride: s.strideZ &* planeStride, inputStride: inputHeight &* rowStride,
                origin: z.origin &- scratch.firstZ, step: 1, taps: z.taps, tapStep: z.step, inputPlanes: s.outputDepth)
            product.run(runtime)
        }
    }
}
