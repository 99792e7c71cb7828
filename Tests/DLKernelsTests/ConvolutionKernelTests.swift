import CDLKernels
import DLKernels
import Testing

/// Runs one problem in one direction and compares it with the reference. Returns what was wrong, or nil.
enum ConvolutionCheck: String, CaseIterable, Sendable {
    case forward, backwardData, backwardWeights

    /// Inputs of small integers, so that sums are exact in any order and every bit must agree; Winograd's algorithm, whose
    /// factors are irrational, has its tolerance.
    func failure(_ problem: Convolution2DProblem, level: ProcessorLevel, seed: UInt64) -> String? {
        var numbers = TestNumbers(seed: seed)
        let x = GuardedFloats(numbers.integers(problem.inputCount))
        let w = GuardedFloats(numbers.integers(problem.kernelCount))
        let dy = GuardedFloats(numbers.integers(problem.outputCount))
        let bias = GuardedFloats(numbers.integers(problem.filters))
        let relu = Bool.random(using: &numbers)
        let withBias = Bool.random(using: &numbers)
        let expected = GuardedFloats(count: resultCount(problem))
        // A pointer does not keep its buffer alive.
        defer { withExtendedLifetime(expected) {} }
        let reference = Convolution2DReference<Float>(problem)
        switch self {
        case .forward:
            reference.forward(
                x: x.pointer, w: w.pointer, bias: withBias ? UnsafePointer(bias.pointer) : nil, relu: relu, y: expected.pointer)
        case .backwardData: reference.backwardData(dy: dy.pointer, w: w.pointer, dx: expected.pointer)
        case .backwardWeights: reference.backwardWeights(x: x.pointer, dy: dy.pointer, dw: expected.pointer)
        }
        for threads in [1, 3] {
            let runtime = TestRuntime(threads: threads)
            let result = GuardedFloats(count: resultCount(problem))
            defer { withExtendedLifetime(result) {} }
            let name: String
            let scratch: GuardedScratch
            switch self {
            case .forward:
                let plan = Convolution2DForward(problem, level: level)
                scratch = GuardedScratch(bytes: plan.scratchBytes)
                name = plan.choice.implementation
                plan.run(
                    x: x.pointer, w: w.pointer, bias: withBias ? UnsafePointer(bias.pointer) : nil,
                    activation: relu ? .relu : .none, y: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
            case .backwardData:
                let plan = Convolution2DBackwardData(problem, level: level)
                scratch = GuardedScratch(bytes: plan.scratchBytes)
                name = plan.choice.implementation
                plan.run(
                    dy: dy.pointer, w: w.pointer, dx: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
            case .backwardWeights:
                let plan = Convolution2DBackwardWeights(problem, level: level)
                scratch = GuardedScratch(bytes: plan.scratchBytes)
                name = plan.choice.implementation
                plan.run(
                    x: x.pointer, dy: dy.pointer, dw: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
            }
            withExtendedLifetime((x, w, dy, bias, runtime)) {}
            if name == "reference" { return "no tuned kernel for \(rawValue) \(problem)" }
            let label = "\(rawValue) \(name) \(level.name) threads \(threads) seed \(seed): \(problem)"
            if !result.isIntact { return "wrote outside its result: \(label)" }
            if !scratch.isIntact { return "wrote behind its scratch: \(label)" }
            let values = result.values, wanted = expected.values
            let largest = wanted.reduce(0) { max($0, abs($1)) }
            let tolerance = name.hasPrefix("winograd") ? 2e-5 * largest : 0
            for i in values.indices where !(abs(values[i] - wanted[i]) <= tolerance) {
                return "element \(i) is \(values[i]), expected \(wanted[i]): \(label)"
            }
        }
        return nil
    }

    func resultCount(_ problem: Convolution2DProblem) -> Int {
        switch self {
        case .forward: problem.outputCount
        case .backwardData: problem.inputCount
        case .backwardWeights: problem.kernelCount
        }
    }
}

/// A problem with sizes around the borders of tiles and every option, small enough for the reference.
func randomConvolution(_ numbers: inout TestNumbers) -> Convolution2DProblem? {
    let borders = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40, 48, 63, 64, 65, 70]
    func pick(_ from: [Int]) -> Int { from.randomElement(using: &numbers) ?? 1 }
    let groups = pick([1, 1, 1, 1, 1, 2, 3, 5])
    let depthwise = groups == 5
    let few = pick([0, 0, 0, 1]) == 1
    let volume = pick([0, 0, 0, 1]) == 1
    let channels = depthwise ? pick(borders) : few ? pick([1, 2, 3, 4, 6]) * groups : pick(borders) * groups
    let filters =
        depthwise ? channels * pick([1, 1, 2, 3]) : few ? pick([1, 2, 3, 4, 5, 6, 7, 8, 9]) * groups : pick(borders) * groups
    let problem = try? Convolution2DProblem(
        batch: pick([1, 1, 2, 3, 5]), inputHeight: pick([1, 3, 5, 6, 7, 8, 12, 13, 17]),
        inputWidth: pick([1, 2, 4, 6, 7, 11, 13, 16, 19, 33]), channels: channels, filters: filters,
        kernelHeight: pick([1, 1, 2, 3, 3, 5, 7]), kernelWidth: pick([1, 1, 2, 3, 3, 5, 8]),
        strideHeight: pick([1, 1, 1, 2, 3]), strideWidth: pick([1, 1, 1, 2, 3]),
        dilationHeight: pick([1, 1, 1, 2, 3]), dilationWidth: pick([1, 1, 1, 2]),
        groups: depthwise ? channels : groups, paddingTop: pick([0, 0, 1, 2, 4]), paddingBottom: pick([0, 0, 1, 2, 3]),
        paddingLeft: pick([0, 0, 1, 2, 5]), paddingRight: pick([0, 0, 1, 2]), inputDepth: volume ? pick([1, 2, 3, 5, 9]) : 1,
        kernelDepth: volume ? pick([1, 2, 3, 3, 5]) : 1, strideDepth: volume ? pick([1, 1, 2, 3]) : 1,
        dilationDepth: volume ? pick([1, 1, 2]) : 1, paddingFront: volume ? pick([0, 1, 2]) : 0,
        paddingBack: volume ? pick([0, 1, 3]) : 0)
    guard let problem, problem.flops < 4e6, problem.inputCount < 200_000 else { return nil }
    return problem
}

@Suite("Convolution kernels against the reference")
struct ConvolutionKernelTests {
    @Test("Random problems, exact with small integers", arguments: testedLevels, ConvolutionCheck.allCases)
    func random(level: ProcessorLevel, check: ConvolutionCheck) {
        let seed = UInt64.random(in: 0..<1 << 32)
        var numbers = TestNumbers(seed: seed)
        var done = 0
        while done < 200 {
            guard let problem = randomConvolution(&numbers) else { continue }
            done += 1
            if let failure = check.failure(problem, level: level, seed: seed) {
                Issue.record("\(failure)")
                return
            }
        }
    }

    @Test("Layers of real networks and borders of tiles", arguments: testedLevels, ConvolutionCheck.allCases)
    func named(level: ProcessorLevel, check: ConvolutionCheck) throws {
        var problems = [
            "conv2d n1 ih28 iw28 ic1 oc6 kh5 kw5 s1 p2", "conv2d n5 ih28 iw28 ic1 oc6 kh5 kw5 s1 p2",
            "conv2d n1 ih14 iw14 ic6 oc16 kh5 kw5 s1 p0", "conv2d n7 ih14 iw14 ic6 oc16 kh5 kw5 s1 p0",
            "conv2d n33 ih14 iw14 ic6 oc16 kh5 kw5 s1 p0", "conv2d n2 ih14 iw14 ic64 oc64 kh3 kw3 s1 p1",
            "conv2d n1 ih7 iw7 ic130 oc200 kh3 kw3 s1 p1", "conv2d n1 ih14 iw14 ic96 oc128 kh1 kw1 s1 p0",
            "conv2d n1 ih14 iw14 ic64 oc96 kh1 kw1 s2 p0", "conv2d n1 ih15 iw15 ic64 oc64 kh3 kw3 s2 p1",
            "conv2d n1 ih40 iw40 ic3 oc64 kh7 kw7 s2 p3", "conv2d n1 ih39 iw39 ic3 oc40 kh11 kw11 s4 p2",
            "conv2d n2 ih20 iw20 ic1 oc32 kh3 kw3 s1 p0", "conv2d n1 ih4 iw4 ic1100 oc33 kh1 kw1 s1 p0",
            "conv2d n1 ih6 iw6 ic600 oc20 kh2 kw2 s1 p0", "conv2d n1 ih6 iw6 ic20 oc600 kh2 kw2 s1 pt0 pb1 pl0 pr1",
            "conv2d n1 ih9 iw9 ic64 oc64 kh9 kw9 s1 p4", "conv2d n2 ih23 iw29 ic160 oc136 kh3 kw3 s1 p1",
            "conv2d n1 ih30 iw30 ic136 oc200 kh1 kw1 s2 p0", "conv2d n1 ih11 iw300 ic129 oc130 kh1 kw1 s1 p0",
            "conv2d n1 ih11 iw9 ic70 oc70 kh5 kw5 s1 p2 g70", "conv2d n1 ih12 iw13 ic40 oc80 kh3 kw3 s2 p1 g40",
            "conv2d n2 ih9 iw11 ic8 oc4 kh3 kw3 s1 p1 g4", "conv2d n2 ih9 iw11 ic32 oc64 kh3 kw3 s2 p1 g8",
            "conv2d n2 ih19 iw11 ic72 oc63 kh3 kw5 s1 p2 g9", "conv2d n1 ih12 iw9 ic35 oc10 kh2 kw3 s3 p1 g5",
            "conv2d n3 ih1 iw70 ic33 oc40 kh1 kw5 s1 pt0 pb0 pl4 pr0", "conv3d n2 id5 ih6 iw7 ic24 oc40 kd3 kh3 kw3 s1 p1", "conv3d n1 id8 ih9 iw9 ic3 oc16 kd5 kh5 kw5 s2 p2",
            "conv3d n2 id6 ih5 iw4 ic30 oc33 kd2 kh3 kw1 s1 pf1 pk0 pt2 pb1 pl0 pr0",
            "conv2d n1 ih1 iw1 ic1 oc1 kh1 kw1 s1 p0",
            "conv3d n2 id1 ih6 iw5 ic9 oc24 kd1 kh3 kw3 sd3 sh1 sw1 pf1 pk1 pt1 pb1 pl1 pr1",
            "conv3d n2 id1 ih6 iw5 ic9 oc24 kd1 kh1 kw1 sd3 sh1 sw1 pf1 pk0 pt0 pb0 pl0 pr0",
            "conv3d n2 id1 ih6 iw5 ic6 oc24 kd1 kh3 kw3 sd3 sh1 sw1 pf0 pk1 pt1 pb1 pl1 pr1 g3",
        ]
        for outputs in [1, 5, 6, 7, 11, 12, 13, 24, 25, 191, 192, 193] {
            problems.append("conv2d n1 ih1 iw\(outputs) ic3 oc17 kh1 kw1 s1 p0")
        }
        for text in problems {
            if let failure = check.failure(try Convolution2DProblem(text), level: level, seed: 7) { Issue.record("\(failure)") }
        }
    }

    @Test("The same bits for 1, 2 and 5 threads, and close to float64", arguments: testedLevels)
    func threads(level: ProcessorLevel) throws {
        for text in [
            "conv2d n9 ih28 iw28 ic1 oc6 kh5 kw5 s1 p2", "conv2d n19 ih14 iw14 ic6 oc16 kh5 kw5 s1 p0",
            "conv2d n2 ih28 iw28 ic48 oc72 kh3 kw3 s1 p1", "conv2d n1 ih14 iw14 ic256 oc100 kh3 kw3 s2 p1",
            "conv2d n1 ih14 iw14 ic300 oc100 kh1 kw1 s1 p0", "conv2d n2 ih30 iw30 ic32 oc32 kh3 kw3 s1 p1 g32",
            "conv2d n2 ih30 iw30 ic64 oc64 kh3 kw3 s1 p1 g16", "conv3d n1 id9 ih14 iw14 ic16 oc32 kd3 kh3 kw3 s1 p1",
        ] {
            let problem = try Convolution2DProblem(text)
            var numbers = TestNumbers(seed: 11)
            let x = numbers.reals(problem.inputCount)
            let w = numbers.reals(problem.kernelCount)
            let dy = numbers.reals(problem.outputCount)
            for check in ConvolutionCheck.allCases {
                var results: [[Float]] = []
                for threads in [1, 2, 5] {
                    results.append(run(check, problem, level, x: x, w: w, dy: dy, threads: threads))
                }
                #expect(sameBits(results[0], results[1]) && sameBits(results[0], results[2]), "\(check) \(problem)")
                let exact = exactResult(check, problem, x: x, w: w, dy: dy)
                let largest = exact.reduce(0) { max($0, abs($1)) }
                let error = zip(results[0], exact).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
                let tolerance = implementation(check, problem, level).hasPrefix("winograd") ? 1e-5 : 2e-6
                #expect(error <= tolerance * largest, "\(check) \(problem): error \(error) of \(largest)")
            }
        }
    }

    private func implementation(_ check: ConvolutionCheck, _ problem: Convolution2DProblem, _ level: ProcessorLevel) -> String {
        switch check {
        case .forward: Convolution2DForward(problem, level: level).choice.implementation
        case .backwardData: Convolution2DBackwardData(problem, level: level).choice.implementation
        case .backwardWeights: Convolution2DBackwardWeights(problem, level: level).choice.implementation
        }
    }

    private func run(
        _ check: ConvolutionCheck, _ problem: Convolution2DProblem, _ level: ProcessorLevel, x: [Float], w: [Float],
        dy: [Float], threads: Int
    ) -> [Float] {
        let runtime = TestRuntime(threads: threads)
        let result = GuardedFloats(count: check.resultCount(problem))
        switch check {
        case .forward:
            let plan = Convolution2DForward(problem, level: level)
            let scratch = GuardedScratch(bytes: plan.scratchBytes)
            defer { withExtendedLifetime(scratch) {} }
            plan.run(x: x, w: w, y: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
        case .backwardData:
            let plan = Convolution2DBackwardData(problem, level: level)
            let scratch = GuardedScratch(bytes: plan.scratchBytes)
            defer { withExtendedLifetime(scratch) {} }
            plan.run(dy: dy, w: w, dx: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
        case .backwardWeights:
            let plan = Convolution2DBackwardWeights(problem, level: level)
            let scratch = GuardedScratch(bytes: plan.scratchBytes)
            defer { withExtendedLifetime(scratch) {} }
            plan.run(x: x, dy: dy, dw: result.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
        }
        withExtendedLifetime(runtime) {}
        return result.values
    }

    private func exactResult(
        _ check: ConvolutionCheck, _ problem: Convolution2DProblem, x: [Float], w: [Float], dy: [Float]
    ) -> [Double] {
        var result = [Double](repeating: .nan, count: check.resultCount(problem))
        switch check {
        case .forward:
            Convolution2DForward(problem).run(x: x.map(Double.init), w: w.map(Double.init), y: &result)
        case .backwardData:
            Convolution2DBackwardData(problem).run(dy: dy.map(Double.init), w: w.map(Double.init), dx: &result)
        case .backwardWeights:
            Convolution2DBackwardWeights(problem).run(x: x.map(Double.init), dy: dy.map(Double.init), dw: &result)
        }
        return result
    }
}
