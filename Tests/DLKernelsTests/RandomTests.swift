import CDLKernels
import DLBase
import DLKernels
import Testing

@Suite("Random tensors")
struct RandomTests {
    static let sizes = [0, 1, 15, 16, 17, 63, 64, 65, 128, 1000, 20_001]

    @Test("Words are Philox's, wherever they are asked for")
    func words() throws {
        for level in testedLevels {
            let table = try need(Kernels.math(for: level))
            for n in Self.sizes {
                withThreads { runtime in
                    let y = Guarded<UInt32>(count: n)
                    table.pointee.philox_words?(runtime, 0x1234_5678_9abc_def0, 77 << 33 | 5, y.pointer, Int64(n))
                    #expect(y.isIntact)
                    for i in 0..<n {
                        let block = Philox.block(
                            counter: SIMD4(UInt32(i / 64 * 16 + i % 16), 0, 5, 77 << 1),
                            key: SIMD2(0x9abc_def0, 0x1234_5678))
                        #expect(y.pointer[i] == block[i % 64 / 16])
                    }
                }
            }
        }
    }

    /// One distribution at every level and thread count; float32's bits agree between the widths.
    static func samples(_ n: Int, _ body: (RandomKernel, Runtime?, UnsafeMutablePointer<Float>) -> Void) -> [[Float]] {
        var all: [[Float]] = []
        for level in testedLevels + [.baseline] {
            withThreads { runtime in
                let y = Guarded<Float>(count: n)
                body(RandomKernel(seed: 9, offset: 3, level: level), runtime, y.pointer)
                #expect(y.isIntact)
                all.append(y.values)
            }
        }
        return all
    }

    @Test("Uniform, normal and dropout do not depend on threads or vector width", arguments: sizes)
    func determinism(_ n: Int) {
        let ones = Guarded([Float](repeating: 1, count: n))
        for all in [
            Self.samples(n) { $0.uniform($1, $2, count: n, low: -1, high: 2) },
            Self.samples(n) { $0.dropout($1, ones.pointer, $2, mask: nil, count: n, rate: 0.25) },
        ] {
            for sample in all { #expect(zip(sample, all[0]).allSatisfy { abs($0 - $1) <= 4e-7 }) }
        }
        let normal = Self.samples(n) { $0.normal($1, $2, count: n, mean: 0, deviation: 1) }
        for (k, sample) in normal.enumerated() {
            if k < 2 * testedLevels.count { #expect(sameBits(sample, normal[0])) }
            #expect(zip(sample, normal[0]).allSatisfy { abs($0 - $1) < 2e-5 })
        }
    }

    static func moments(_ x: [Double]) -> (mean: Double, variance: Double) {
        let mean = x.reduce(0, +) / Double(x.count)
        return (mean, x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count))
    }

    @Test("Distributions have their means, variances and bounds")
    func distributions() {
        let n = 200_000
        let kernel = RandomKernel(seed: 1, offset: 2)
        let f = Guarded<Float>(count: n), d = Guarded<Double>(count: n)
        func close(_ x: [Double], _ mean: Double, _ variance: Double) -> Bool {
            let got = Self.moments(x)
            return abs(got.mean - mean) < 6 * (variance / Double(n)).squareRoot() && abs(got.variance / variance - 1) < 0.03
        }
        kernel.uniform(nil, f.pointer, count: n, low: 2, high: 5)
        #expect(close(f.values.map { Double($0) }, 3.5, 0.75) && f.values.allSatisfy { $0 >= 2 && $0 < 5 })
        kernel.uniform(nil, d.pointer, count: n, low: -1, high: 1)
        #expect(close(d.values, 0, 1.0 / 3) && d.values.allSatisfy { $0 >= -1 && $0 < 1 })
        kernel.normal(nil, f.pointer, count: n, mean: 1, deviation: 2)
        #expect(close(f.values.map { Double($0) }, 1, 4) && f.values.allSatisfy { $0.isFinite })
        kernel.normal(nil, d.pointer, count: n, mean: 1, deviation: 2)
        #expect(close(d.values, 1, 4))
        kernel.truncatedNormal(nil, d.pointer, count: n, mean: 0, deviation: 0.5)
        // The variance of a standard normal cut at two deviations is 0.7737.
        #expect(close(d.values, 0, 0.25 * 0.77374) && d.values.allSatisfy { abs($0) <= 1 })
        let bytes = Guarded<UInt8>(count: n)
        kernel.bernoulli(nil, bytes.pointer, count: n, probability: 0.3)
        #expect(close(bytes.values.map { Double($0) }, 0.3, 0.21))
        let whole = Guarded<Int32>(count: n)
        kernel.integers(nil, whole.pointer, count: n, low: -3, high: 4)
        #expect(close(whole.values.map { Double($0) }, 0, 4) && Set(whole.values) == Set(-3...3))
        kernel.integers(nil, whole.pointer, count: n, low: .min, high: .max)
        #expect(whole.values.contains { $0 > 1 << 30 } && whole.values.contains { $0 < -1 << 30 })
        kernel.integers(nil, whole.pointer, count: 5, low: 7, high: 7)
        #expect(whole.values.prefix(5) == [7, 7, 7, 7, 7])
        // Different offsets share nothing.
        let other = Guarded<Double>(count: n)
        kernel.uniform(nil, d.pointer, count: n, low: 0, high: 1)
        RandomKernel(seed: 1, offset: 3).uniform(nil, other.pointer, count: n, low: 0, high: 1)
        #expect(zip(d.values, other.values).allSatisfy { $0 != $1 })
    }

    @Test("Dropout keeps the expected sum; its mask repeats it in the gradient", arguments: [0, 0.1, 0.5, 0.9] as [Float])
    func dropout(_ rate: Float) {
        let n = 100_003
        let x = Guarded([Float](repeating: 2, count: n)), y = Guarded<Float>(count: n), mask = Guarded<UInt8>(count: n)
        let back = Guarded<Float>(count: n)
        for level in testedLevels + [.baseline] {
            let kernel = RandomKernel(seed: 4, offset: 4, level: level)
            kernel.dropout(nil, x.pointer, y.pointer, mask: mask.pointer, count: n, rate: rate)
            kernel.maskedScale(nil, mask: mask.pointer, x.pointer, back.pointer, count: n, scale: 1 / (1 - rate))
            #expect(y.isIntact && mask.isIntact && back.isIntact && sameBits(y.values, back.values))
            let kept = Double(mask.values.reduce(0) { $0 + Int($1) }) / Double(n)
            #expect(abs(kept - Double(1 - rate)) < 0.01)
            #expect(zip(y.values, mask.values).allSatisfy { $1 == 1 ? $0 == 2 / (1 - rate) || ulps($0, 2 / (1 - rate)) < 2 : $0 == 0 })
        }
    }

    @Test("Permutations hold every number once and move most of them")
    func permutation() {
        let y = Guarded<Int32>(count: 1000)
        RandomKernel(seed: 5, offset: 0).permutation(y.pointer, count: 1000)
        #expect(y.isIntact && Set(y.values) == Set(0..<1000))
        #expect(y.values.enumerated().filter { $0.offset == Int($0.element) }.count < 10)
    }
}
