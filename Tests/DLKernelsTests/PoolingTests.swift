import DLBase
import DLKernels
import Testing

@Suite("Pooling")
struct PoolingTests {
    static let problems: [Pool2D] = [
        Pool2D(n: 2, ih: 4, iw: 6, c: 1, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 3, ih: 28, iw: 28, c: 6, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 2, ih: 10, iw: 10, c: 16, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 2, ih: 5, iw: 7, c: 7, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 2, ih: 5, iw: 7, c: 8, kh: 2, kw: 2, sh: 1, sw: 1),
        Pool2D(n: 2, ih: 7, iw: 7, c: 9, kh: 3, kw: 3, sh: 2, sw: 2),
        Pool2D(n: 2, ih: 7, iw: 7, c: 17, kh: 3, kw: 3, sh: 2, sw: 2, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1),
        Pool2D(n: 1, ih: 8, iw: 9, c: 130, kh: 3, kw: 2, sh: 1, sw: 2, padTop: 1, padBottom: 1, padLeft: 0, padRight: 1),
        Pool2D(n: 2, ih: 9, iw: 9, c: 3, kh: 2, kw: 2, sh: 3, sw: 4, padTop: 1, padBottom: 0, padLeft: 1, padRight: 0),
        Pool2D(n: 2, ih: 5, iw: 5, c: 4, kh: 5, kw: 5, sh: 1, sw: 1),
        Pool2D(n: 0, ih: 4, iw: 4, c: 2, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 2, ih: 4, iw: 4, c: 0, kh: 2, kw: 2, sh: 2, sw: 2),
        Pool2D(n: 60, ih: 28, iw: 28, c: 6, kh: 2, kw: 2, sh: 2, sw: 2),
    ].compactMap { $0 }

    @Test("Maximum and average, forward and backward, equal the reference", arguments: problems)
    func agreement(_ problem: Pool2D) throws {
        #expect(Self.problems.count == 13)
        var numbers = TestNumbers(seed: 51)
        // Small whole numbers: many ties, exact sums.
        let x = Guarded(smallIntegers(problem.inputCount, &numbers)), dy = Guarded(smallIntegers(problem.outputCount, &numbers))
        let reference = try need(PoolKernel(problem, .float32, level: .baseline))
        let y = Guarded<Float>(count: problem.outputCount), dx = Guarded<Float>(count: problem.inputCount)
        let mean = Guarded<Float>(count: problem.outputCount), dmean = Guarded<Float>(count: problem.inputCount)
        reference.maximum(nil, x.raw, y.raw)
        reference.maximumGradient(nil, x: x.raw, y: y.raw, dy: dy.raw, dx: dx.raw)
        reference.average(nil, x.raw, mean.raw)
        reference.averageGradient(nil, dy: dy.raw, dx: dmean.raw)
        #expect(abs(dx.values.reduce(0, +) - dy.values.reduce(0, +)) < 0.5)
        for level in testedLevels {
            let kernel = try need(PoolKernel(problem, .float32, level: level))
            withThreads { runtime in
                let out = Guarded<Float>(count: problem.outputCount), back = Guarded<Float>(count: problem.inputCount)
                kernel.maximum(runtime, x.raw, out.raw)
                #expect(out.isIntact && out.values == y.values, "\(level)")
                kernel.maximumGradient(runtime, x: x.raw, y: y.raw, dy: dy.raw, dx: back.raw)
                #expect(back.isIntact && back.values == dx.values, "\(level)")
                let average = Guarded<Float>(count: problem.outputCount), spread = Guarded<Float>(count: problem.inputCount)
                kernel.average(runtime, x.raw, average.raw)
                #expect(average.isIntact && relativeError(average.values, mean.values) < 1e-6)
                kernel.averageGradient(runtime, dy: dy.raw, dx: spread.raw)
                #expect(spread.isIntact && relativeError(spread.values, dmean.values) < 1e-6)
            }
        }
    }

    @Test("Padding is not counted in an average and never wins a maximum")
    func padding() throws {
        let problem = try need(Pool2D(n: 1, ih: 2, iw: 2, c: 1, kh: 2, kw: 2, sh: 2, sw: 2, padTop: 1, padBottom: 1, padLeft: 1, padRight: 1))
        let x = Guarded<Float>([-1, -2, -3, -4])
        for level in testedLevels + [.baseline] {
            let kernel = try need(PoolKernel(problem, .float32, level: level)), y = Guarded<Float>(count: 4)
            kernel.maximum(nil, x.raw, y.raw)
            #expect(y.values == [-1, -2, -3, -4])
            kernel.average(nil, x.raw, y.raw)
            #expect(y.values == [-1, -2, -3, -4])
        }
    }

    @Test("NaN comes through a maximum, and its gradient goes to one element")
    func nan() throws {
        let problem = try need(Pool2D(n: 1, ih: 2, iw: 2, c: 1, kh: 2, kw: 2, sh: 2, sw: 2))
        for position in 0..<4 {
            var values: [Float] = [1, 2, 3, 4]
            values[position] = .nan
            for level in testedLevels + [.baseline] {
                let kernel = try need(PoolKernel(problem, .float32, level: level))
                let x = Guarded(values), y = Guarded<Float>(count: 1), dx = Guarded<Float>(count: 4)
                kernel.maximum(nil, x.raw, y.raw)
                #expect(y.pointer[0].isNaN)
                kernel.maximumGradient(nil, x: x.raw, y: y.raw, dy: Guarded<Float>([5]).raw, dx: dx.raw)
                #expect(dx.values.reduce(0, +) == 5)
            }
        }
    }

    @Test("Problems that make no sense are refused")
    func refusals() {
        #expect(Pool2D(n: -1, ih: 4, iw: 4, c: 1, kh: 2, kw: 2, sh: 1, sw: 1) == nil)
        #expect(Pool2D(n: 1, ih: 4, iw: 4, c: 1, kh: 0, kw: 2, sh: 1, sw: 1) == nil)
        #expect(Pool2D(n: 1, ih: 4, iw: 4, c: 1, kh: 5, kw: 2, sh: 1, sw: 1) == nil)
        #expect(Pool2D(n: 1, ih: 4, iw: 4, c: 1, kh: 2, kw: 2, sh: 1, sw: 1, padTop: 2) == nil)
        #expect(Pool2D(n: 1, ih: 4, iw: 4, c: 1, kh: 2, kw: 2, sh: 0, sw: 1) == nil)
        #expect(Pool2D(n: 1 << 30, ih: 1 << 30, iw: 1 << 30, c: 1, kh: 2, kw: 2, sh: 1, sw: 1) == nil)
        let far = 1 << 30
        #expect(
            Pool2D(
                n: far, ih: 1, iw: 1, c: 1, kh: far, kw: far, sh: 1, sw: 1, padTop: far - 1, padBottom: far - 1,
                padLeft: far - 1, padRight: far - 1) == nil)
        #expect(Pool2D(n: .max, ih: .max, iw: .max, c: .max, kh: .max, kw: .max, sh: .max, sw: .max) == nil)
    }
}
