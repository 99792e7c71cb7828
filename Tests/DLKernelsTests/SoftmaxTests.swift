import DLBase
import DLKernels
import Testing

@Suite("Softmax and cross-entropy")
struct SoftmaxTests {
    static let sizes = [(1, 1), (3, 2), (5, 7), (4, 8), (4, 9), (128, 10), (7, 15), (7, 16), (7, 17), (3, 100), (2, 1000), (900, 10)]

    /// Runs one kernel for the reference and every level and thread count, and compares.
    static func compare(
        _ outputs: [Int], _ name: String, _ body: (SoftmaxKernel, Runtime?, [Guarded<Float>]) -> Void
    ) throws {
        let expected = outputs.map { Guarded<Float>(count: $0) }
        body(try need(SoftmaxKernel(.float32, level: .baseline)), nil, expected)
        for level in testedLevels {
            let kernel = try need(SoftmaxKernel(.float32, level: level))
            var first: [[Float]] = []
            withThreads { runtime in
                let got = outputs.map { Guarded<Float>(count: $0) }
                body(kernel, runtime, got)
                for (a, b) in zip(got, expected) {
                    #expect(a.isIntact)
                    #expect(relativeError(a.values, b.values) < 2e-6, "\(name) \(level)")
                }
                if first.isEmpty { first = got.map(\.values) }
                for (a, b) in zip(got, first) { #expect(sameBits(a.values, b)) }
            }
        }
    }

    @Test("All kernels agree with double precision", arguments: sizes)
    func agreement(_ rows: Int, _ n: Int) throws {
        var numbers = TestNumbers(seed: 41)
        func reals(_ count: Int, _ range: ClosedRange<Float>) -> Guarded<Float> {
            Guarded((0..<count).map { _ in Float.random(in: range, using: &numbers) })
        }
        let x = reals(rows * n, -10...10), dy = reals(rows * n, -1...1), scale = reals(rows, 0...1)
        let targets = reals(rows * n, 0...1), y = Guarded<Float>(count: rows * n), logs = Guarded<Float>(count: rows * n)
        let labels = Guarded((0..<rows).map { _ in Int64.random(in: 0..<Int64(n), using: &numbers) })
        let narrow = Guarded(labels.values.map { Int32($0) })
        let reference = try need(SoftmaxKernel(.float32, level: .baseline))
        reference.softmax(nil, x.raw, y.raw, rows: rows, n: n)
        reference.logSoftmax(nil, x.raw, logs.raw, rows: rows, n: n)
        for r in 0..<rows {
            var sum: Float = 0
            for i in 0..<n { sum += y.pointer[r * n + i] }
            #expect(abs(sum - 1) < 1e-5)
        }
        let size = rows * n
        try Self.compare([size], "softmax") { $0.softmax($1, x.raw, $2[0].raw, rows: rows, n: n) }
        try Self.compare([size], "log softmax") { $0.logSoftmax($1, x.raw, $2[0].raw, rows: rows, n: n) }
        try Self.compare([size], "softmax gradient") {
            $0.softmaxGradient($1, dy: dy.raw, y: y.raw, dx: $2[0].raw, rows: rows, n: n)
        }
        try Self.compare([size], "log softmax gradient") {
            $0.logSoftmaxGradient($1, dy: dy.raw, y: logs.raw, dx: $2[0].raw, rows: rows, n: n)
        }
        for labels in [try need(Labels(labels.raw, .int64)), try need(Labels(narrow.raw, .int32))] {
            try Self.compare([rows, size], "sparse cross-entropy") {
                $0.sparseCrossEntropy(
                    $1, logits: x.raw, labels: labels, loss: $2[0].raw, probabilities: $2[1].raw, rows: rows, n: n)
            }
            try Self.compare([rows], "sparse cross-entropy, loss alone") {
                $0.sparseCrossEntropy(
                    $1, logits: x.raw, labels: labels, loss: $2[0].raw, probabilities: nil, rows: rows, n: n)
            }
            try Self.compare([size], "sparse cross-entropy gradient") {
                $0.sparseCrossEntropyGradient(
                    $1, probabilities: y.raw, labels: labels, scale: scale.raw, dx: $2[0].raw, rows: rows, n: n)
            }
        }
        try Self.compare([rows, size], "cross-entropy") {
            $0.crossEntropy(
                $1, logits: x.raw, targets: targets.raw, loss: $2[0].raw, probabilities: $2[1].raw, rows: rows, n: n)
        }
        try Self.compare([size], "cross-entropy gradient") {
            $0.crossEntropyGradient(
                $1, probabilities: y.raw, targets: targets.raw, scale: scale.raw, dx: $2[0].raw, rows: rows, n: n)
        }
    }

    @Test("In place")
    func inPlace() throws {
        let values = (0..<57).map { Float($0 % 11) - 5 }
        for level in testedLevels + [.baseline] {
            let kernel = try need(SoftmaxKernel(.float32, level: level))
            let x = Guarded(values), y = Guarded<Float>(count: 57)
            kernel.softmax(nil, x.raw, y.raw, rows: 3, n: 19)
            kernel.softmax(nil, x.raw, x.raw, rows: 3, n: 19)
            #expect(sameBits(x.values, y.values))
            let z = Guarded(values)
            kernel.logSoftmax(nil, z.raw, y.raw, rows: 3, n: 19)
            kernel.logSoftmax(nil, z.raw, z.raw, rows: 3, n: 19)
            #expect(sameBits(z.values, y.values))
        }
    }

    @Test("Huge, infinite and NaN logits")
    func special() throws {
        for level in testedLevels + [.baseline] {
            let kernel = try need(SoftmaxKernel(.float32, level: level))
            let x = Guarded<Float>([1e30, 1e30, -1e30, 0, -.infinity, -.infinity, .nan, 0, 0])
            let y = Guarded<Float>(count: 9)
            kernel.softmax(nil, x.raw, y.raw, rows: 3, n: 3)
            #expect(y.values[..<3] == [0.5, 0.5, 0] && y.values[3..<6] == [1, 0, 0])
            #expect(y.values[6...].allSatisfy { $0.isNaN })
            let loss = Guarded<Float>(count: 3)
            kernel.sparseCrossEntropy(
                nil, logits: x.raw, labels: try need(Labels(Guarded<Int32>([2, 0, 1]).raw, .int32)), loss: loss.raw,
                probabilities: nil, rows: 3, n: 3)
            #expect(loss.pointer[0] == 2e30 && loss.pointer[1] == 0 && loss.pointer[2].isNaN)
        }
    }

    @Test("Labels out of range are reported, and harmless to the kernels")
    func labels() throws {
        let labels = try need(Labels(Guarded<Int64>([0, 2, -1, 3, .max]).raw, .int64))
        #expect(labels.firstOutOfRange(count: 5, classes: 3)?.row == 2)
        #expect(labels.firstOutOfRange(count: 5, classes: 3, ignored: -1)?.value == 3)
        #expect(labels.firstOutOfRange(count: 2, classes: 3) == nil)
        #expect(Labels(Guarded<Int64>([0]).raw, .float32) == nil)
        for level in testedLevels + [.baseline] {
            let kernel = try need(SoftmaxKernel(.float32, level: level))
            let x = Guarded([Float](repeating: 1, count: 15)), loss = Guarded<Float>(count: 5), dx = Guarded<Float>(count: 15)
            kernel.sparseCrossEntropy(
                nil, logits: x.raw, labels: labels, loss: loss.raw, probabilities: nil, rows: 5, n: 3)
            #expect(loss.values[2...] == [0, 0, 0] && loss.values[0] > 1)
            kernel.sparseCrossEntropyGradient(
                nil, probabilities: x.raw, labels: labels, scale: x.raw, dx: dx.raw, rows: 5, n: 3)
            #expect(dx.isIntact && dx.values == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
    }

    @Test("float64 gradients equal finite differences")
    func float64() throws {
        let kernel = try need(SoftmaxKernel(.float64))
        var numbers = TestNumbers(seed: 42)
        let x = (0..<12).map { _ in Double.random(in: -2...2, using: &numbers) }
        let labels = try need(Labels(Guarded<Int32>([3, 0, 1]).raw, .int32))
        func loss(_ x: [Double]) -> Double {
            let y = Guarded<Double>(count: 3)
            kernel.sparseCrossEntropy(
                nil, logits: Guarded(x).raw, labels: labels, loss: y.raw, probabilities: nil, rows: 3, n: 4)
            return y.values.reduce(0, +)
        }
        let p = Guarded<Double>(count: 12), dx = Guarded<Double>(count: 12)
        kernel.softmax(nil, Guarded(x).raw, p.raw, rows: 3, n: 4)
        kernel.sparseCrossEntropyGradient(
            nil, probabilities: p.raw, labels: labels, scale: Guarded<Double>([1, 1, 1]).raw, dx: dx.raw, rows: 3, n: 4)
        for i in 0..<12 {
            var up = x, down = x
            up[i] += 1e-6
            down[i] -= 1e-6
            #expect(abs((loss(up) - loss(down)) / 2e-6 - dx.pointer[i]) < 1e-8)
        }
    }
}
