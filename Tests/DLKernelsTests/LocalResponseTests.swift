import DLBase
import DLKernels
import Testing

@Suite("Local response normalisation")
struct LocalResponseTests {
    static let sizes = [(1, 1), (3, 2), (5, 15), (7, 16), (6, 17), (9, 31), (4, 64), (300, 65), (2000, 96), (3, 500)]

    @Test("Forward and gradient agree with double precision on every level and number of threads", arguments: sizes)
    func agreement(_ rows: Int, _ c: Int) throws {
        var numbers = TestNumbers(seed: 91)
        let x = Guarded((0..<rows * c).map { _ in Float.random(in: -2...2, using: &numbers) })
        let dy = Guarded((0..<rows * c).map { _ in Float.random(in: -1...1, using: &numbers) })
        for (before, after, scale, beta, k) in [(2, 2, 0.1, 0.75, 2.0), (2, 1, 0.3, 0.5, 1.0), (700, 700, 0.01, 1.25, 1.0), (0, 0, 1.0, 0.75, 0.5)] {
            func run(_ level: ProcessorLevel, _ runtime: Runtime?) throws -> [Guarded<Float>] {
                let kernel = try need(
                    LocalResponseKernel(.float32, before: before, after: after, scale: scale, beta: beta, k: k, level: level))
                let scratch = GuardedScratch(bytes: kernel.scratchByteCount(rows: rows, c: c))
                let y = Guarded<Float>(count: rows * c), dx = Guarded<Float>(count: rows * c)
                kernel.forward(runtime, x.raw, y.raw, rows: rows, c: c)
                kernel.gradient(
                    runtime, x.raw, dy: dy.raw, dx: dx.raw, rows: rows, c: c, scratch: scratch.pointer)
                #expect(scratch.isIntact)
                withExtendedLifetime(scratch) {}
                return [y, dx]
            }
            let expected = try run(.baseline, nil)
            for level in testedLevels {
                var first: [[Float]] = []
                for threads in [1, 3] {
                    let runtime = TestRuntime(threads: threads)
                    let got = try run(level, UnsafePointer(runtime.pointer))
                    withExtendedLifetime(runtime) {}
                    if first.isEmpty { first = got.map(\.values) }
                    for result in 0..<2 {
                        #expect(got[result].isIntact && sameBits(got[result].values, first[result]))
                        #expect(relativeError(got[result].values, expected[result].values) < 1e-5, "result \(result) \(level)")
                    }
                }
            }
        }
    }

    @Test("Known answers: the formula by hand")
    func known() throws {
        let x = Guarded<Float>([1, 2, 3, 4]), y = Guarded<Float>(count: 4)
        for level in testedLevels {
            let kernel = try need(
                LocalResponseKernel(.float32, before: 1, after: 1, scale: 1, beta: 1, k: 1, level: level))
            kernel.forward(nil, x.raw, y.raw, rows: 1, c: 4)
            let expected: [Float] = [1.0 / 6, 2.0 / 15, 3.0 / 30, 4.0 / 26]
            #expect(zip(y.values, expected).allSatisfy { abs($0 - $1) < 1e-6 })
        }
    }
}
