import CDLKernels

/// One tuned implementation: its name, when it declines, and where the table of kernels has it.
struct Convolution2DImplementation: Sendable {
    let name: String
    /// The reason not to run this problem, or nil.
    let refusal: @Sendable (Convolution2DProblem) -> String?
    let kernel: @Sendable (UnsafePointer<dl_convolution_kernels>) -> dl_convolution_kernel
}

/// The tuned implementations in the order in which they are asked, fastest first. The reference, which takes
/// everything, stands behind them.
enum Convolution2DList {
    static let forward = [
        Convolution2DImplementation(
            name: "winograd4", refusal: { refusalOfWinograd($0, .forward, step: 4) }, kernel: { $0.pointee.forward_winograd4 }),
        Convolution2DImplementation(
            name: "winograd2", refusal: { refusalOfWinograd($0, .forward, step: 2) }, kernel: { $0.pointee.forward_winograd2 }),
        Convolution2DImplementation(
            name: "winograd5", refusal: { refusalOfWinograd($0, .forward, step: 2, taps: 5) },
            kernel: { $0.pointee.forward_winograd5 }),
        Convolution2DImplementation(name: "planes", refusal: refusalOfPlanes, kernel: { $0.pointee.forward_planes }),
        Convolution2DImplementation(
            name: "depthwise", refusal: refusalOfDepthwise, kernel: { $0.pointee.forward_depthwise }),
        Convolution2DImplementation(
            name: "grouped", refusal: refusalOfGrouped, kernel: { $0.pointee.forward_depthwise }),
        Convolution2DImplementation(name: "rows", refusal: { _ in nil }, kernel: { $0.pointee.forward_rows }),
    ]

    static let backwardData = [
        Convolution2DImplementation(
            name: "winograd4", refusal: { refusalOfWinograd($0, .backwardData, step: 4) },
            kernel: { $0.pointee.data_winograd4 }),
        Convolution2DImplementation(
            name: "winograd2", refusal: { refusalOfWinograd($0, .backwardData, step: 2) },
            kernel: { $0.pointee.data_winograd2 }),
        Convolution2DImplementation(
            name: "winograd5", refusal: { refusalOfWinograd($0, .backwardData, step: 2, taps: 5) },
            kernel: { $0.pointee.data_winograd5 }),
        Convolution2DImplementation(name: "scatter", refusal: refusalOfScatter, kernel: { $0.pointee.data_scatter }),
        Convolution2DImplementation(
            name: "depthwise", refusal: refusalOfDepthwise, kernel: { $0.pointee.data_depthwise }),
        Convolution2DImplementation(
            name: "grouped", refusal: refusalOfGrouped, kernel: { $0.pointee.data_depthwise }),
        Convolution2DImplementation(name: "rows", refusal: { _ in nil }, kernel: { $0.pointee.data_rows }),
    ]

    static let backwardWeights = [
        Convolution2DImplementation(
            name: "winograd4", refusal: { refusalOfWinograd($0, .backwardWeights, step: 4) },
            kernel: { $0.pointee.weights_winograd4 }),
        Convolution2DImplementation(
            name: "winograd2", refusal: { refusalOfWinograd($0, .backwardWeights, step: 2) },
            kernel: { $0.pointee.weights_winograd2 }),
        Convolution2DImplementation(
            name: "winograd5", refusal: { refusalOfWinograd($0, .backwardWeights, step: 2, taps: 5) },
            kernel: { $0.pointee.weights_winograd5 }),
        Convolution2DImplementation(name: "planes", refusal: refusalOfPlanes, kernel: { $0.pointee.weights_planes }),
        Convolution2DImplementation(
            name: "depthwise", refusal: refusalOfDepthwise, kernel: { $0.pointee.weights_depthwise }),
        Convolution2DImplementation(
            name: "grouped", refusal: refusalOfGrouped, kernel: { $0.pointee.weights_depthwise }),
        Convolution2DImplementation(name: "rows", refusal: { _ in nil }, kernel: { $0.pointee.weights_rows }),
    ]

    private static let refusalOfPlanes: @Sendable (Convolution2DProblem) -> String? = { p in
        if p.groups != 1 { return "groups" }
        if p.strideWidth != 1 { return "horizontal stride" }
        if p.filters > 8 { return "more than 8 filters" }
        if p.channels > 4 { return "more than 4 channels" }
        return nil
    }

    private static let refusalOfDepthwise: @Sendable (Convolution2DProblem) -> String? = { p in
        if p.groups != p.channels { return "several channels in a group" }
        if p.channels == 1 { return "a single channel" }
        return nil
    }

    private static let refusalOfGrouped: @Sendable (Convolution2DProblem) -> String? = { p in
        if p.groups == 1 || p.groups == p.channels { return "no groups of several channels" }
        // Of these a vector of the narrowest build holds one group at least.
        if p.channels / p.groups > 8 || p.filters / p.groups > 8 { return "more than 8 channels or filters in a group" }
        return nil
    }

    private static let refusalOfScatter: @Sendable (Convolution2DProblem) -> String? = { p in
        if p.groups != 1 { return "groups" }
        if p.dilationWidth != 1 { return "horizontal dilation" }
        // With many channels these alone fill the lanes.
        if p.channels > 12 { return "more than 12 channels" }
        if p.kernelWidth == 1 { return "kernel of width 1" }
        return nil
    }
}

/// The chosen implementation of one problem in one direction: made once, run often, without allocation.
struct Convolution2DSelection: @unchecked Sendable {
    let choice: KernelChoice
    /// The reference where nil.
    let kernel: dl_convolution_kernel?
    let cProblem: dl_convolution_problem
    let scratchBytes: Int
    let packedBytes: Int

    init(
        _ problem: Convolution2DProblem, direction: String, list: [Convolution2DImplementation],
        table: UnsafePointer<dl_convolution_kernels>?
    ) {
        var refusals: [KernelChoice.Refusal] = []
        let general: String? =
            if ReferenceSwitch.isOn {
                "the reference is forced"
            } else if table == nil {
                "the processor has less than AVX2 with FMA"
            } else if problem.batch == 0 {
                "the batch is empty"
            } else {
                nil
            }
        let c = problem.cProblem
        for implementation in list {
            let volume = problem.isVolume && implementation.name != "rows" ? "three dimensions" : nil
            if let reason = general ?? volume ?? implementation.refusal(problem) {
                refusals.append(KernelChoice.Refusal(implementation: implementation.name, reason: reason))
                continue
            }
            guard let table else { continue }
            let kernel = implementation.kernel(table)
            choice = KernelChoice(
                problem: "\(problem) \(direction)", implementation: implementation.name, refusals: refusals)
            self.kernel = kernel
            cProblem = c
            scratchBytes = withUnsafePointer(to: c) { Int(kernel.scratch_bytes($0)) }
            packedBytes = withUnsafePointer(to: c) { Int(kernel.packed_bytes?($0) ?? 0) }
            return
        }
        choice = KernelChoice(problem: "\(problem) \(direction)", implementation: "reference", refusals: refusals)
        kernel = nil
        cProblem = c
        scratchBytes = 0
        packedBytes = 0
    }

    func pack(_ w: UnsafePointer<Float>, _ packed: UnsafeMutablePointer<Float>, _ runtime: UnsafePointer<dl_runtime>) {
        withUnsafePointer(to: cProblem) { kernel?.pack?($0, w, packed, runtime) }
    }

    /// False where the reference has to do it.
    func run(_ arguments: dl_convolution_arguments) -> Bool {
        guard let kernel else { return false }
        withUnsafePointer(to: cProblem) { problem in
            withUnsafePointer(to: arguments) { kernel.run(problem, $0) }
        }
        return true
    }
}
