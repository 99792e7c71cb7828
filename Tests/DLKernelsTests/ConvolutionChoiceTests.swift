import DLBase
import DLKernels
import Testing

/// Which kernel runs for which shape, and the texts that name shapes.
@Suite("Choice of convolution kernels")
struct ConvolutionChoiceTests {
    @Test("Depthwise, volumes and their refusals", arguments: testedLevels)
    func choices(level: ProcessorLevel) throws {
        for (text, forward, data, weights) in [
            ("conv2d n8 ih56 iw56 ic128 oc128 kh3 kw3 s1 p1 g128", "depthwise", "depthwise", "depthwise"),
            ("conv2d n8 ih56 iw56 ic64 oc128 kh5 kw5 s2 p2 g64", "depthwise", "depthwise", "depthwise"),
            ("conv2d n8 ih56 iw56 ic128 oc128 kh3 kw3 s2 p1 g32", "grouped", "grouped", "grouped"),
            ("conv2d n8 ih28 iw28 ic256 oc256 kh3 kw3 s1 p1 g32", "grouped", "grouped", "grouped"),
            ("conv2d n8 ih14 iw14 ic512 oc512 kh3 kw3 s1 p1 g32", "rows", "rows", "rows"),
            ("conv2d n8 ih56 iw56 ic64 oc256 kh1 kw1 s1 p0", "rows", "rows", "rows"),
            ("conv2d n8 ih56 iw56 ic256 oc512 kh1 kw1 s2 p0", "rows", "rows", "rows"),
            ("conv2d n8 ih224 iw224 ic3 oc64 kh7 kw7 s2 p3", "rows", "scatter", "rows"),
            ("conv2d n16 ih224 iw224 ic3 oc64 kh11 kw11 s4 p2", "rows", "scatter", "rows"),
            ("conv2d n128 ih28 iw28 ic1 oc6 kh5 kw5 s1 p2", "planes", "scatter", "planes"),
            ("conv2d n16 ih27 iw27 ic96 oc256 kh5 kw5 s1 p2 g2", "rows", "rows", "rows"),
            ("conv2d n32 ih1 iw1024 ic64 oc64 kh1 kw5 s1 p0", "rows", "rows", "rows"),
            ("conv3d n4 id32 ih32 iw32 ic16 oc32 kd3 kh3 kw3 s1 p1", "rows", "rows", "rows"),
            ("conv3d n4 id32 ih32 iw32 ic1 oc4 kd3 kh3 kw3 s1 p1", "rows", "rows", "rows"),
        ] {
            let problem = try Convolution2DProblem(text)
            #expect(Convolution2DForward(problem, level: level).choice.implementation == forward, "\(text)")
            #expect(Convolution2DBackwardData(problem, level: level).choice.implementation == data, "\(text)")
            #expect(Convolution2DBackwardWeights(problem, level: level).choice.implementation == weights, "\(text)")
        }
        let volume = try Convolution2DProblem("conv3d n1 id4 ih8 iw8 ic1 oc4 kd3 kh3 kw3 s1 p1")
        let refusals = Convolution2DForward(volume, level: level).choice.refusals
        #expect(refusals.contains { $0.implementation == "planes" && $0.reason == "three dimensions" })
    }

    @Test("Results too large for the caches", arguments: testedLevels)
    func large(level: ProcessorLevel) throws {
        let problem = try Convolution2DProblem("conv2d n1 ih317 iw299 ic1 oc64 kh1 kw1 s1 p0")
        var numbers = TestNumbers(seed: 17)
        let x = numbers.integers(problem.inputCount)
        let w = numbers.integers(64)
        let bias = numbers.integers(64)
        let forward = Convolution2DForward(problem, level: level)
        // Aligned, as tensors are: only then are stores past the caches possible.
        let bytes = problem.outputCount * 4
        let y = UnsafeMutableRawPointer.allocate(byteCount: bytes + 64, alignment: 64)
        defer { y.deallocate() }
        let result = y.bindMemory(to: Float.self, capacity: problem.outputCount + 16)
        for threads in [1, 3] {
            for i in 0..<problem.outputCount + 16 { result[i] = -1000 }
            let runtime = TestRuntime(threads: threads)
            let scratch = GuardedScratch(bytes: forward.scratchBytes)
            withExtendedLifetime((runtime, scratch)) {
                forward.run(
                    x: x, w: w, bias: bias, activation: .relu, y: result, scratch: scratch.pointer, runtime: runtime.pointer)
            }
            #expect(scratch.isIntact)
            #expect((0..<16).allSatisfy { result[problem.outputCount + $0] == -1000 })
            var wrong = 0
            for i in 0..<problem.outputCount where result[i] != max(0, x[i / 64] * w[i % 64] + bias[i % 64]) { wrong += 1 }
            #expect(wrong == 0, "\(level.name), \(threads) threads: \(wrong) elements")
        }
    }

    @Test("Problem strings say what they read")
    func texts() throws {
        for text in [
            "conv2d n4 ih56 iw56 ic64 oc64 kh3 kw3 s1 p1", "conv2d n1 ih9 iw8 ic4 oc6 kh3 kw2 sh2 sw1 d2 pt0 pb1 pl2 pr3 g2",
            "conv2d n1 ih9 iw8 ic4 oc6 kh3 kw2 s1 dh2 dw1 p0",
            "conv3d n4 id32 ih32 iw31 ic16 oc32 kd3 kh3 kw3 s1 p1",
            "conv3d n1 id9 ih8 iw7 ic4 oc6 kd2 kh3 kw1 sd2 sh1 sw1 dd1 dh2 dw1 pf1 pk0 pt0 pb0 pl0 pr0 g2",
        ] {
            #expect(try Convolution2DProblem(text).description == text)
        }
        for text in [
            "conv2d", "conv4d n1 ih1 iw1 ic1 oc1 kh1 kw1", "conv2d n1 ih9 iw8 ic4 oc6 kh3 kw2 kd2",
            "conv3d n1 ih9 iw8 ic4 oc6 kh3 kw2 kd2", "conv3d n1 id1 ih9 iw8 ic4 oc6 kd2 kh3 kw2",
            "conv3d n1 id2147483647 ih2147483647 iw8 ic4 oc6 kd2 kh3 kw2 s1 p0",
            "conv3d n1 id4 ih9 iw8 ic4 oc6 kd2 kh3 kw2 sd0",
        ] {
            #expect(throws: DLError.self) { try Convolution2DProblem(text) }
        }
    }
}
