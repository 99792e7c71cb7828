import DLBase
import DLKernels
import Testing

@Suite("Batch normalisation")
struct BatchNormTests {
    static let sizes = [
        (1, 1), (2, 3), (17, 6), (9000, 6), (3000, 16), (100, 7), (64, 64), (65, 65), (700, 130), (5, 2000), (200, 1000),
        // Stored past the caches.
        (47_000, 64),
    ]

    @Test("Moments, forward and backward agree with double precision", arguments: sizes)
    func agreement(_ rows: Int, _ c: Int) throws {
        var numbers = TestNumbers(seed: 61)
        let x = Guarded((0..<rows * c).map { Float.random(in: -1...1, using: &numbers) + Float($0 % c % 5) })
        let dy = Guarded((0..<rows * c).map { _ in Float.random(in: -1...1, using: &numbers) })
        let gamma = Guarded((0..<c).map { _ in Float.random(in: 0.5...2, using: &numbers) })
        let beta = Guarded((0..<c).map { _ in Float.random(in: -1...1, using: &numbers) })
        func run(_ level: ProcessorLevel, _ runtime: Runtime?, affine: Bool) throws -> [Guarded<Float>] {
            let kernel = try need(BatchNormKernel(.float32, level: level))
            let scratch = GuardedScratch(bytes: kernel.scratchByteCount(rows: rows, c: c))
            let mean = Guarded<Float>(count: c), variance = Guarded<Float>(count: c)
            let y = Guarded<Float>(count: rows * c), dx = Guarded<Float>(count: rows * c)
            let dgamma = Guarded<Float>(count: c), dbeta = Guarded<Float>(count: c)
            kernel.moments(runtime, x.raw, mean: mean.raw, variance: variance.raw, rows: rows, c: c, scratch: scratch.pointer)
            kernel.apply(
                runtime, x.raw, mean: mean.raw, variance: variance.raw, gamma: affine ? gamma.raw : nil,
                beta: affine ? beta.raw : nil, epsilon: 1e-3, y.raw, rows: rows, c: c, scratch: scratch.pointer)
            kernel.gradient(
                runtime,
                BatchNormKernel.GradientBuffers(
                    dy: dy.raw, x: x.raw, mean: mean.raw, variance: variance.raw, gamma: affine ? gamma.raw : nil,
                    dx: dx.raw, dgamma: dgamma.raw, dbeta: dbeta.raw),
                epsilon: 1e-3, rows: rows, c: c, scratch: scratch.pointer)
            #expect(scratch.isIntact)
            withExtendedLifetime(scratch) {}
            return [mean, variance, y, dx, dgamma, dbeta]
        }
        for affine in [true, false] {
            let expected = try run(.baseline, nil, affine: affine)
            for level in testedLevels {
                var first: [[Float]] = []
                for threads in [1, 3] {
                    let runtime = TestRuntime(threads: threads)
                    let got = try run(level, UnsafePointer(runtime.pointer), affine: affine)
                    withExtendedLifetime(runtime) {}
                    if first.isEmpty { first = got.map(\.values) }
                    for k in 0..<6 {
                        #expect(got[k].isIntact && sameBits(got[k].values, first[k]))
                        // With few rows the gradient is a difference of numbers much larger than itself.
                        let isRounding = k == 3 && rows < 3
                            && zip(got[k].values, expected[k].values).allSatisfy { abs($0 - $1) < 2e-5 }
                        #expect(isRounding || relativeError(got[k].values, expected[k].values) < 1e-5, "result \(k) \(level)")
                    }
                }
            }
        }
    }

    /// What follows the normalisation, and the gradient behind it, against the same done one after another.
    @Test("Residual and ReLU in the same pass", arguments: sizes)
    func residualAndRelu(_ rows: Int, _ c: Int) throws {
        var numbers = TestNumbers(seed: 64)
        func reals(_ n: Int, _ range: ClosedRange<Float> = -1...1) -> Guarded<Float> {
            Guarded((0..<n).map { _ in Float.random(in: range, using: &numbers) })
        }
        let n = rows * c
        let x = reals(n), dy = reals(n), dy2 = reals(n), residual = reals(n)
        let gamma = reals(c, 0.5...2), beta = reals(c), mean = reals(c), variance = reals(c, 0.1...1)
        func run(_ level: ProcessorLevel, _ runtime: Runtime?, residual added: Guarded<Float>?, two: Bool) throws -> [Guarded<Float>] {
            let kernel = try need(BatchNormKernel(.float32, level: level))
            let scratch = GuardedScratch(bytes: kernel.scratchByteCount(rows: rows, c: c))
            let y = Guarded<Float>(count: n), dx = Guarded<Float>(count: n), masked = Guarded<Float>(count: n)
            let dgamma = Guarded<Float>(count: c), dbeta = Guarded<Float>(count: c)
            kernel.apply(
                runtime, x.raw, mean: mean.raw, variance: variance.raw, gamma: gamma.raw, beta: beta.raw, epsilon: 1e-3,
                residual: added?.raw, relu: true, y.raw, rows: rows, c: c, scratch: scratch.pointer)
            kernel.gradient(
                runtime,
                BatchNormKernel.GradientBuffers(
                    dy: dy.raw, dy2: two ? dy2.raw : nil, x: x.raw, y: added == nil ? nil : y.raw, mean: mean.raw,
                    variance: variance.raw, gamma: gamma.raw, beta: beta.raw, dx: dx.raw, dgamma: dgamma.raw,
                    dbeta: dbeta.raw, masked: added == nil ? nil : masked.raw),
                epsilon: 1e-3, relu: true, rows: rows, c: c, scratch: scratch.pointer)
            #expect(scratch.isIntact && [y, dx, masked, dgamma, dbeta].allSatisfy(\.isIntact))
            withExtendedLifetime(scratch) {}
            return [y, dx, dgamma, dbeta] + (added == nil ? [] : [masked])
        }
        for (added, two) in [(nil, false), (residual, false), (residual, true)] as [(Guarded<Float>?, Bool)] {
            for level in testedLevels {
                // The parts one by one, at the same level, so that both cut off the same elements.
                let kernel = try need(BatchNormKernel(.float32, level: level))
                let scratch = GuardedScratch(bytes: kernel.scratchByteCount(rows: rows, c: c))
                let plain = Guarded<Float>(count: n), dx = Guarded<Float>(count: n)
                let dgamma = Guarded<Float>(count: c), dbeta = Guarded<Float>(count: c)
                kernel.apply(
                    nil, x.raw, mean: mean.raw, variance: variance.raw, gamma: gamma.raw, beta: beta.raw, epsilon: 1e-3,
                    plain.raw, rows: rows, c: c, scratch: scratch.pointer)
                // Each `values` is a copy.
                let sums = added.map { zip(plain.values, $0.values).map { $0 + $1 } } ?? plain.values
                let y = sums.map { max(0, $0) }
                let upstream = two ? zip(dy.values, dy2.values).map { $0 + $1 } : dy.values
                let g = Guarded(zip(y, upstream).map { $0 > 0 ? $1 : 0 })
                kernel.gradient(
                    nil,
                    BatchNormKernel.GradientBuffers(
                        dy: g.raw, x: x.raw, mean: mean.raw, variance: variance.raw, gamma: gamma.raw, dx: dx.raw,
                        dgamma: dgamma.raw, dbeta: dbeta.raw),
                    epsilon: 1e-3, rows: rows, c: c, scratch: scratch.pointer)
                withExtendedLifetime(scratch) {}
                let expected = [y, dx.values, dgamma.values, dbeta.values] + (added == nil ? [] : [g.values])
                for threads in [1, 3] {
                    let runtime = TestRuntime(threads: threads)
                    let got = try run(level, UnsafePointer(runtime.pointer), residual: added, two: two)
                    withExtendedLifetime(runtime) {}
                    for (a, b) in zip(got, expected) { #expect(sameBits(a.values, b)) }
                }
                let reference = try run(.baseline, nil, residual: added, two: two)
                #expect(relativeError(y, reference[0].values) < 1e-5)
            }
        }
    }

    @Test("A large mean does not swallow the variance")
    func stability() throws {
        let rows = 50_000, c = 6
        var numbers = TestNumbers(seed: 62)
        let x = Guarded((0..<rows * c).map { _ in 1000 + Float.random(in: -1...1, using: &numbers) })
        for level in testedLevels {
            let kernel = try need(BatchNormKernel(.float32, level: level))
            let mean = Guarded<Float>(count: c), variance = Guarded<Float>(count: c)
            let scratch = GuardedScratch(bytes: kernel.scratchByteCount(rows: rows, c: c))
            kernel.moments(nil, x.raw, mean: mean.raw, variance: variance.raw, rows: rows, c: c, scratch: scratch.pointer)
            withExtendedLifetime(scratch) {}
            let expected = Guarded<Float>(count: c), other = Guarded<Float>(count: c)
            try need(BatchNormKernel(.float32, level: .baseline)).moments(
                nil, x.raw, mean: other.raw, variance: expected.raw, rows: rows, c: c, scratch: nil)
            #expect(relativeError(variance.values, expected.values) < 1e-5)
        }
    }

    @Test("float64 gradients equal finite differences")
    func float64() throws {
        let kernel = try need(BatchNormKernel(.float64)), rows = 5, c = 2
        var numbers = TestNumbers(seed: 63)
        func reals(_ n: Int) -> [Double] { (0..<n).map { _ in Double.random(in: -1...1, using: &numbers) } }
        let x = reals(rows * c), dy = reals(rows * c), gamma = reals(c), beta = reals(c)
        func loss(_ x: [Double], _ gamma: [Double], _ beta: [Double]) -> Double {
            let m = Guarded<Double>(count: c), v = Guarded<Double>(count: c), y = Guarded<Double>(count: rows * c)
            kernel.moments(nil, Guarded(x).raw, mean: m.raw, variance: v.raw, rows: rows, c: c, scratch: nil)
            kernel.apply(
                nil, Guarded(x).raw, mean: m.raw, variance: v.raw, gamma: Guarded(gamma).raw, beta: Guarded(beta).raw,
                epsilon: 1e-3, y.raw, rows: rows, c: c, scratch: nil)
            return zip(y.values, dy).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let m = Guarded<Double>(count: c), v = Guarded<Double>(count: c), dx = Guarded<Double>(count: rows * c)
        let dgamma = Guarded<Double>(count: c), dbeta = Guarded<Double>(count: c)
        kernel.moments(nil, Guarded(x).raw, mean: m.raw, variance: v.raw, rows: rows, c: c, scratch: nil)
        kernel.gradient(
            nil,
            BatchNormKernel.GradientBuffers(
                dy: Guarded(dy).raw, x: Guarded(x).raw, mean: m.raw, variance: v.raw, gamma: Guarded(gamma).raw,
                dx: dx.raw, dgamma: dgamma.raw, dbeta: dbeta.raw),
            epsilon: 1e-3, rows: rows, c: c, scratch: nil)
        func difference(_ i: Int, _ f: (Double) -> Double) -> Double { (f(1e-5) - f(-1e-5)) / 2e-5 }
        func moved(_ a: [Double], _ i: Int, _ step: Double) -> [Double] {
            var b = a
            b[i] += step
            return b
        }
        for i in 0..<rows * c {
            #expect(abs(difference(i) { loss(moved(x, i, $0), gamma, beta) } - dx.pointer[i]) < 1e-7)
        }
        for i in 0..<c {
            #expect(abs(difference(i) { loss(x, moved(gamma, i, $0), beta) } - dgamma.pointer[i]) < 1e-7)
            #expect(abs(difference(i) { loss(x, gamma, moved(beta, i, $0)) } - dbeta.pointer[i]) < 1e-7)
        }
    }
}
