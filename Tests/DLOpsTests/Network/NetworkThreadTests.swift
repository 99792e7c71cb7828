import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// The same bits whatever the number of threads.
@Suite(.serialized) struct NetworkThreadTests {
    private func random(_ shape: Shape, _ seed: UInt64, _ range: ClosedRange<Double> = -1...1) throws -> Value {
        var stream = RandomStream(seed: seed)
        let width = range.upperBound - range.lowerBound
        return Value(try Tensor((0..<shape.count).map { _ in Float(range.lowerBound + stream.uniform() * width) }, shape))
    }

    private func everything() throws -> [[UInt8]] {
        var results: [Value] = []
        let x = try random([6, 33, 35, 17], 1)
        let kernel = try random([3, 3, 17, 29], 2)
        let y = try conv2d(x, kernel, padding: .same)
        let geometry = Conv2DGeometry(padding: .same)
        results.append(y)
        results.append(try conv2dBackwardData(y, kernel, inputSize: [33, 35], geometry))
        results.append(try conv2dBackwardWeights(x, y, kernelSize: [3, 3], geometry))
        results.append(try matmul(random([301, 257], 3), random([257, 130], 4)))
        results.append(try maxPool(x, poolSize: [3, 3], strides: [2, 2]))
        results.append(try averagePool(x, poolSize: [2, 2]))
        let scores = try random([4000, 23], 5)
        let labels = Value(try Tensor((0..<4000).map { Int32($0 % 23) }, [4000]))
        results.append(try softmax(scores))
        let tape = Tape()
        tape.start()
        tape.watch(scores)
        tape.watch(x)
        let loss = try DLOps.mean(sparseCategoricalCrossentropy(labels, scores, fromLogits: true))
        let pooled = try DLOps.sum(maxPool(x, poolSize: [3, 3], strides: [2, 2]))
        let total = try add(loss, pooled)
        results += try tape.gradients(of: total, withRespectTo: [scores, x]).compactMap { $0 } + [loss]
        tape.stop()
        let gamma = try random([17], 6)
        let normal = try batchNormalizationTraining(x, gamma: gamma, beta: gamma)
        results += [normal.y, normal.mean, normal.variance]
        results += try DLGraph.apply(
            BatchNormalizationGradient(), to: [normal.y, x, normal.mean, normal.variance, gamma])
        results.append(try globalNorm([x, scores]))
        let seed = Value(try Tensor([Int64(7), 3], [2]))
        results.append(try dropout(x, seed: seed, rate: 0.3))
        let adam = try adamUpdate(
            scores, random([4000, 23], 7), momentum: scores, velocity: random([4000, 23], 8, 0...1),
            learningRate: constant(0.01), iterations: Value(Tensor(scalar: Int64(3))))
        results += [adam.w, adam.momentum, adam.velocity]
        return try results.map { try $0.tensor().bytes }
    }

    @Test func bitsDoNotDependOnThreads() throws {
        let threads = ThreadPool.shared.threads
        defer { ThreadPool.shared.threads = threads }
        ThreadPool.shared.threads = 1
        let alone = try everything()
        for count in [2, 5] {
            ThreadPool.shared.threads = count
            let together = try everything()
            #expect(alone.count == together.count)
            for (index, pair) in zip(alone, together).enumerated() {
                #expect(pair.0 == pair.1, "result \(index) with \(count) threads")
            }
        }
    }

    /// The mask comes from the seed alone, keeps the mean and is the gradient's too.
    @Test func dropoutIsMadeAgain() throws {
        let x = try random([100, 100], 1, 1...2)
        let seed = Value(try Tensor([Int64(11), 5], [2]))
        let y = try dropout(x, seed: seed, rate: 0.25).tensor().numbers
        #expect(try dropout(x, seed: seed, rate: 0.25).tensor().numbers == y)
        #expect(try dropout(x, seed: Value(Tensor([Int64(11), 6], [2])), rate: 0.25).tensor().numbers != y)
        let dropped = y.filter { $0 == 0 }.count
        // Four deviations of a binomial around 2500.
        #expect(abs(dropped - 2500) < 174)
        let tape = Tape()
        tape.start()
        defer { tape.stop() }
        tape.watch(x)
        let gradient = try #require(
            try tape.gradients(of: DLOps.sum(dropout(x, seed: seed, rate: 0.25)), withRespectTo: [x])[0])
        for (slope, value) in zip(try gradient.tensor().numbers, y) {
            #expect(value == 0 ? slope == 0 : abs(slope - 1 / 0.75) < 1e-6)
        }
        #expect(try dropout(x, seed: seed, rate: 1).tensor().numbers.allSatisfy { $0 == 0 })
        #expect(try dropout(x, seed: seed, rate: 0).tensor().numbers == x.tensor().numbers)
    }
}
