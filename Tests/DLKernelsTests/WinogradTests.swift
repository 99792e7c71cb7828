import CDLKernels
import DLKernels
import Testing

/// One variant of Winograd's algorithm in one direction, called past the rules of choice.
struct WinogradVariant: Sendable, CustomTestStringConvertible {
    let step: Int
    var taps = 3
    let check: ConvolutionCheck

    static let all = [(4, 3), (2, 3), (2, 5)].flatMap { step, taps in
        ConvolutionCheck.allCases.map { WinogradVariant(step: step, taps: taps, check: $0) }
    }

    var testDescription: String { "F(\(step)x\(step),\(taps)x\(taps)) \(check.rawValue)" }

    func kernel(_ level: ProcessorLevel) throws -> dl_convolution_kernel {
        let table = try #require(Kernels.convolution(for: level)).pointee
        switch check {
        case .forward:
            return taps == 5 ? table.forward_winograd5 : step == 4 ? table.forward_winograd4 : table.forward_winograd2
        case .backwardData:
            return taps == 5 ? table.data_winograd5 : step == 4 ? table.data_winograd4 : table.data_winograd2
        case .backwardWeights:
            return taps == 5 ? table.weights_winograd5 : step == 4 ? table.weights_winograd4 : table.weights_winograd2
        }
    }
}

/// Operands of a problem, and the result of each direction in float64.
private final class WinogradCase {
    let problem: Convolution2DProblem
    let x, w, dy, bias: GuardedFloats
    private(set) var largest = 0.0

    init(_ text: String, seed: UInt64) throws {
        problem = try Convolution2DProblem(text)
        var numbers = TestNumbers(seed: seed)
        x = GuardedFloats(numbers.reals(problem.inputCount))
        w = GuardedFloats(numbers.reals(problem.kernelCount))
        dy = GuardedFloats(numbers.reals(problem.outputCount))
        bias = GuardedFloats(numbers.reals(problem.filters))
    }

    var c: dl_convolution_problem {
        dl_convolution_problem(
            batch: Int64(problem.batch), input_height: Int64(problem.inputHeight), input_width: Int64(problem.inputWidth),
            channels: Int64(problem.channels), filters: Int64(problem.filters), kernel_height: Int64(problem.kernelHeight),
            kernel_width: Int64(problem.kernelWidth), stride_y: 1,
            stride_x: 1, dilation_y: 1, dilation_x: 1, groups: 1, pad_top: Int64(problem.paddingTop),
            pad_left: Int64(problem.paddingLeft), output_height: Int64(problem.outputHeight),
            output_width: Int64(problem.outputWidth), input_depth: 1, kernel_depth: 1, stride_z: 1,
            dilation_z: 1, pad_front: 0, output_depth: 1)
    }

    func exact(_ check: ConvolutionCheck, relu: Bool) -> [Double] {
        var result = [Double](repeating: .nan, count: check.resultCount(problem))
        let reference = Convolution2DReference<Double>(problem)
        let (x, w, dy, bias) = (
            x.values.map(Double.init), w.values.map(Double.init), dy.values.map(Double.init), bias.values.map(Double.init)
        )
        switch check {
        case .forward: reference.forward(x: x, w: w, bias: relu ? bias : nil, relu: relu, y: &result)
        case .backwardData: reference.backwardData(dy: dy, w: w, dx: &result)
        case .backwardWeights: reference.backwardWeights(x: x, dy: dy, dw: &result)
        }
        return result
    }

    /// nil after a write outside the result or the scratch.
    func run(
        _ variant: WinogradVariant, _ level: ProcessorLevel, threads: Int, relu: Bool, packed: Bool = false
    ) throws -> [Float]? {
        let kernel = try variant.kernel(level)
        let runtime = TestRuntime(threads: threads)
        let result = GuardedFloats(count: variant.check.resultCount(problem))
        var c = c
        let scratch = GuardedScratch(bytes: Int(kernel.scratch_bytes(&c)))
        var factors = GuardedScratch(bytes: 0)
        if packed {
            let bytes = try #require(kernel.packed_bytes)
            let pack = try #require(kernel.pack)
            factors = GuardedScratch(bytes: Int(bytes(&c)))
            pack(&c, w.pointer, factors.pointer.assumingMemoryBound(to: Float.self), runtime.pointer)
        }
        var call = dl_convolution_arguments(
            x: x.pointer, w: packed ? nil : UnsafePointer(w.pointer), dy: dy.pointer, bias: relu ? UnsafePointer(bias.pointer) : nil,
            result: result.pointer, relu: relu ? 1 : 0,
            packed: packed ? UnsafePointer(factors.pointer.assumingMemoryBound(to: Float.self)) : nil,
            scratch: scratch.pointer, runtime: runtime.pointer)
        kernel.run(&c, &call)
        withExtendedLifetime((runtime, factors)) {}
        let intact = result.isIntact && scratch.isIntact && factors.isIntact && x.isIntact && w.isIntact && dy.isIntact
        return intact ? result.values : nil
    }
}

@Suite("Winograd convolution")
struct WinogradTests {
    /// Both ways of dividing the work, one and several chunks of channels, tails of lanes, of tiles and of panels, every padding.
    static let problems = [
        "conv2d n1 ih8 iw8 ic32 oc32 kh3 kw3 s1 p1", "conv2d n2 ih7 iw9 ic20 oc40 kh3 kw3 s1 p1",
        "conv2d n1 ih3 iw3 ic1 oc1 kh3 kw3 s1 p0", "conv2d n1 ih1 iw1 ic3 oc5 kh3 kw3 s1 p1",
        "conv2d n3 ih5 iw6 ic17 oc33 kh3 kw3 s1 p2", "conv2d n1 ih9 iw6 ic33 oc16 kh3 kw3 s1 pt0 pb1 pl2 pr0",
        "conv2d n2 ih13 iw13 ic150 oc70 kh3 kw3 s1 p1", "conv2d n1 ih30 iw31 ic24 oc9 kh3 kw3 s1 p1",
        "conv2d n2 ih14 iw14 ic40 oc130 kh3 kw3 s1 p1", "conv2d n1 ih6 iw6 ic300 oc48 kh3 kw3 s1 p3",
        "conv2d n5 ih28 iw28 ic9 oc400 kh3 kw3 s1 p0", "conv2d n1 ih60 iw50 ic8 oc40 kh3 kw3 s1 p1",
        // Transforms and a gradient that are stored past the caches.
        "conv2d n8 ih7 iw7 ic912 oc36 kh3 kw3 s1 p1", "conv2d n1 ih7 iw7 ic1760 oc32 kh3 kw3 s1 p1",
    ]
    static let widerProblems = [
        "conv2d n1 ih8 iw8 ic32 oc32 kh5 kw5 s1 p2", "conv2d n2 ih7 iw9 ic20 oc40 kh5 kw5 s1 p2",
        "conv2d n1 ih5 iw5 ic1 oc1 kh5 kw5 s1 p0", "conv2d n1 ih1 iw1 ic3 oc5 kh5 kw5 s1 p2",
        "conv2d n3 ih5 iw6 ic17 oc33 kh5 kw5 s1 p4", "conv2d n1 ih9 iw6 ic33 oc16 kh5 kw5 s1 pt0 pb1 pl4 pr0",
        "conv2d n1 ih9 iw8 ic150 oc40 kh5 kw5 s1 p2", "conv2d n1 ih24 iw25 ic18 oc9 kh5 kw5 s1 p2",
        "conv2d n1 ih10 iw10 ic24 oc130 kh5 kw5 s1 p1", "conv2d n2 ih12 iw13 ic9 oc200 kh5 kw5 s1 p0",
    ]

    static func problems(taps: Int) -> [String] { taps == 5 ? widerProblems : problems }

    @Test("Close to float64, the same bits for 1, 2 and 3 threads", arguments: testedLevels, WinogradVariant.all)
    func errors(level: ProcessorLevel, variant: WinogradVariant) throws {
        for (i, text) in Self.problems(taps: variant.taps).enumerated() {
            let operands = try WinogradCase(text, seed: UInt64(i))
            for relu in variant.check == .forward ? [false, true] : [false] {
                let exact = operands.exact(variant.check, relu: relu)
                let one = try #require(try operands.run(variant, level, threads: 1, relu: relu), "\(variant) \(text)")
                for threads in [2, 3] {
                    let several = try #require(try operands.run(variant, level, threads: threads, relu: relu))
                    #expect(sameBits(one, several), "\(variant) \(text): \(threads) threads")
                }
                let largest = exact.reduce(0) { max($0, abs($1)) }
                let error = zip(one, exact).reduce(0) { ($1.0.isNaN ? .infinity : max($0, abs(Double($1.0) - $1.1))) }
                // F(2x2, 3x3) adds, halves and nothing else: little more than the direct sum.
                #expect(
                    error <= (variant.step == 4 || variant.taps == 5 ? 5e-6 : 2e-6) * largest,
                    "\(variant) \(text): error \(error / largest) of the largest")
            }
        }
    }

    @Test("A kernel packed before gives the same bits", arguments: testedLevels, WinogradVariant.all.filter { $0.check == .forward })
    func packed(level: ProcessorLevel, variant: WinogradVariant) throws {
        for text in Self.problems(taps: variant.taps) {
            let operands = try WinogradCase(text, seed: 5)
            let plain = try #require(try operands.run(variant, level, threads: 2, relu: true))
            let packed = try #require(try operands.run(variant, level, threads: 2, relu: true, packed: true))
            #expect(sameBits(plain, packed), "\(text)")
        }
    }

    @Test("Packed kernels through the plan of a convolution", arguments: testedLevels)
    func packedPlans(level: ProcessorLevel) throws {
        for text in [
            "conv2d n1 ih20 iw20 ic40 oc40 kh3 kw3 s1 p1", "conv2d n1 ih20 iw20 ic40 oc40 kh3 kw3 s2 p1",
            "conv2d n1 ih20 iw20 ic40 oc40 kh5 kw5 s1 p2",
            "conv2d n1 ih12 iw12 ic48 oc144 kh3 kw3 s1 p1 g2", "conv2d n1 ih10 iw10 ic6 oc33 kh5 kw5 s1 p2",
            "conv2d n1 ih10 iw10 ic3 oc4 kh3 kw3 s1 p1", "conv2d n1 ih4 iw4 ic32 oc16 kh1 kw1 s1 p0",
            "conv2d n1 ih7 iw7 ic70 oc130 kh1 kw1 s1 p0", "conv2d n1 ih7 iw7 ic40 oc96 kh5 kw5 s2 p2",
            "conv2d n1 ih6 iw6 ic48 oc144 kh1 kw1 s1 p0 g2",
        ] {
            let operands = try WinogradCase(text, seed: 3)
            let plan = Convolution2DForward(operands.problem, level: level)
            let runtime = TestRuntime(threads: 2)
            var results: [[Float]] = []
            for packed in [false, true] {
                let y = GuardedFloats(count: operands.problem.outputCount)
                let scratch = GuardedScratch(bytes: plan.scratchBytes)
                let kernel = GuardedScratch(bytes: plan.packedBytes)
                plan.pack(w: operands.w.pointer, into: kernel.pointer, runtime: runtime.pointer)
                plan.run(
                    x: operands.x.pointer, w: operands.w.pointer, bias: operands.bias.pointer, activation: .relu,
                    y: y.pointer, packed: packed ? UnsafeRawPointer(kernel.pointer) : nil, scratch: scratch.pointer,
                    runtime: runtime.pointer)
                #expect(y.isIntact && scratch.isIntact && kernel.isIntact, "\(text)")
                results.append(y.values)
            }
            withExtendedLifetime(runtime) {}
            #expect(sameBits(results[0], results[1]), "\(plan.choice.implementation) \(text)")
        }
    }

    /// Forward, backward to data, backward to weights.
    @Test("Which kernel takes which layer", arguments: [
        ("conv2d n4 ih224 iw224 ic3 oc64 kh3 kw3 s1 p1", ["rows", "scatter", "rows"]),
        ("conv2d n4 ih224 iw224 ic64 oc64 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n4 ih112 iw112 ic128 oc128 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n4 ih56 iw56 ic128 oc256 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n4 ih28 iw28 ic512 oc512 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n8 ih14 iw14 ic256 oc256 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n16 ih13 iw13 ic384 oc256 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n8 ih7 iw7 ic512 oc512 kh3 kw3 s1 p1", ["winograd4", "winograd4", "winograd4"]),
        ("conv2d n4 ih7 iw7 ic512 oc512 kh3 kw3 s1 p1", ["winograd2", "winograd2", "rows"]),
        ("conv2d n16 ih6 iw6 ic64 oc64 kh3 kw3 s1 p1", ["winograd2", "winograd2", "winograd2"]),
        ("conv2d n8 ih28 iw28 ic256 oc256 kh3 kw3 s2 p1", ["rows", "rows", "rows"]),
        ("conv2d n8 ih14 iw14 ic1024 oc256 kh1 kw1 s1 p0", ["rows", "rows", "rows"]),
        ("conv2d n2 ih33 iw33 ic256 oc256 kh3 kw3 s1 p6 d6", ["rows", "rows", "rows"]),
        ("conv2d n1 ih30 iw30 ic64 oc64 kh3 kw3 s1 p1 g2", ["rows", "rows", "rows"]),
        ("conv2d n16 ih27 iw27 ic64 oc192 kh5 kw5 s1 p2", ["winograd5", "winograd5", "winograd5"]),
        ("conv2d n8 ih28 iw28 ic16 oc32 kh5 kw5 s1 p2", ["winograd5", "winograd5", "winograd5"]),
        ("conv2d n8 ih7 iw7 ic48 oc128 kh5 kw5 s1 p2", ["winograd5", "winograd5", "rows"]),
        ("conv2d n1 ih7 iw7 ic48 oc128 kh5 kw5 s1 p2", ["rows", "rows", "rows"]),
        ("conv2d n16 ih27 iw27 ic64 oc192 kh5 kw5 s2 p2", ["rows", "rows", "rows"]),
        ("conv2d n128 ih14 iw14 ic6 oc16 kh5 kw5 s1 p0", ["rows", "scatter", "rows"]),
    ])
    func choices(text: String, expected: [String]) throws {
        let problem = try Convolution2DProblem(text)
        guard let level = testedLevels.last else { return }
        #expect(Convolution2DForward(problem, level: level).choice.implementation == expected[0], "\(text)")
        #expect(Convolution2DBackwardData(problem, level: level).choice.implementation == expected[1], "\(text)")
        #expect(Convolution2DBackwardWeights(problem, level: level).choice.implementation == expected[2], "\(text)")
    }
}
