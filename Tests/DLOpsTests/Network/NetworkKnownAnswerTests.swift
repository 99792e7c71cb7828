import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// Answers that can be worked out on paper.
@Suite struct NetworkKnownAnswerTests {
    /// The picture of the course's slide on pooling.
    static let picture: [Double] = [12, 20, 30, 0, 8, 12, 2, 0, 34, 70, 37, 4, 112, 100, 25, 12]

    private func numbers(_ value: Value) throws -> [Double] { try value.tensor().numbers }

    @Test(arguments: [ElementType.float32, .float64])
    func poolingOfTheCourse(_ type: ElementType) throws {
        let x = try value(Self.picture, [1, 4, 4, 1], type)
        #expect(try numbers(maxPool(x, poolSize: [2, 2])) == [20, 30, 112, 37])
        #expect(try numbers(averagePool(x, poolSize: [2, 2])) == [13, 8, 79, 19.5])
    }

    @Test func poolingGradients() throws {
        let x = try value(Self.picture, [1, 4, 4, 1])
        let tape = Tape()
        tape.start()
        defer { tape.stop() }
        tape.watch(x)
        let weights = try value([1, 2, 3, 4], [1, 2, 2, 1])
        let largest = try DLOps.sum(multiply(maxPool(x, poolSize: [2, 2]), weights))
        let mean = try DLOps.sum(multiply(averagePool(x, poolSize: [2, 2]), weights))
        let first = try #require(try tape.gradients(of: largest, withRespectTo: [x])[0])
        #expect(try numbers(first) == [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0, 0])
        let second = try #require(try tape.gradients(of: mean, withRespectTo: [x])[0])
        #expect(
            try numbers(second)
                == [0.25, 0.25, 0.5, 0.5, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 0.75, 0.75, 1, 1])
    }

    @Test func equalMaximaSendTheirGradientToTheFirst() throws {
        let x = try value([3, 3, 3, 3], [1, 2, 2, 1])
        let y = try maxPool(x, poolSize: [2, 2])
        let dx = try DLGraph.apply(MaxPoolGradient(geometry: PoolGeometry(size: [2, 2])), x, y, value([5], [1, 1, 1, 1]))
        #expect(try numbers(dx) == [5, 0, 0, 0])
    }

    @Test func averageDoesNotCountPadding() throws {
        let x = try value([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1])
        let y = try averagePool(x, poolSize: [2, 2], padding: .same)
        #expect(try numbers(y) == [3, 4.5, 7.5, 9])
    }

    /// (I * K)(i, j) = sum I(i + m, j + n) K(m, n), worked out by hand.
    @Test(arguments: [ElementType.float32, .float64])
    func convolutionByHand(_ type: ElementType) throws {
        let x = try value([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 3, 1], type)
        let kernel = try value([1, 0, 0, -1], [2, 2, 1, 1], type)
        #expect(try numbers(conv2d(x, kernel)) == [-4, -4, -4, -4])
        // Same padding puts the odd row below and the odd column to the right.
        #expect(try numbers(conv2d(x, kernel, padding: .same)) == [-4, -4, 3, -4, -4, 6, 7, 8, 9])
        #expect(
            try numbers(conv2d(x, kernel, padding: .explicit(top: 1, bottom: 0, left: 1, right: 0)))
                == [-1, -2, -3, -4, -4, -4, -7, -4, -4])
        #expect(try numbers(conv2d(x, kernel, strides: [2, 2], padding: .same)) == [-4, 3, 7, 9])
        #expect(try numbers(conv2d(x, kernel, dilation: [2, 2])) == [-8])
    }

    /// The other formula of the slide: the true convolution is the same with the kernel turned by half a circle.
    @Test func bothFormulasOfTheCourse() throws {
        var random = RandomStream(seed: 3)
        let size = 8
        let width = 3
        let image = (0..<size * size).map { _ in random.uniform() }
        let kernel = (0..<width * width).map { _ in random.uniform() }
        let y = try numbers(
            conv2d(
                value(image, [1, size, size, 1], .float64),
                value(Array(kernel.reversed()), [width, width, 1, 1], .float64)))
        for i in 0..<size - width + 1 {
            for j in 0..<size - width + 1 {
                // sum I(i - m, j - n) K(m, n), taken where all of it lies inside.
                var sum = 0.0
                for m in 0..<width {
                    for n in 0..<width {
                        sum += image[(i + width - 1 - m) * size + j + width - 1 - n] * kernel[m * width + n]
                    }
                }
                #expect(abs(y[i * (size - width + 1) + j] - sum) < 1e-12)
            }
        }
    }

    @Test func shapesOfTheCourse() throws {
        let x = TensorSpec([1, 32, 32, 1], .float32)
        let conv = Conv2D(geometry: Conv2DGeometry())
        #expect(try conv.outputs(for: [x, TensorSpec([5, 5, 1, 7], .float32)])[0].shape == [1, 28, 28, 7])
        let padded = Conv2D(geometry: Conv2DGeometry(padding: .explicit(top: 2, bottom: 2, left: 2, right: 2)))
        #expect(try padded.outputs(for: [x, TensorSpec([5, 5, 1, 7], .float32)])[0].shape == [1, 32, 32, 7])
    }

    @Test func channelsFirstIsTheSameTurned() throws {
        var random = RandomStream(seed: 5)
        let x = try value((0..<2 * 3 * 4 * 5).map { _ in random.uniform() }, [2, 3, 4, 5], .float64)
        let kernel = try value((0..<2 * 2 * 3 * 6).map { _ in random.uniform() }, [2, 2, 3, 6], .float64)
        let first = try conv2d(x, kernel, dataFormat: .channelsFirst)
        let last = try conv2d(DLOps.transpose(x, [0, 2, 3, 1]), kernel)
        #expect(first.shape == [2, 6, 3, 4])
        #expect(try numbers(DLOps.transpose(first, [0, 2, 3, 1])) == numbers(last))
        let pooled = try maxPool(x, poolSize: [2, 2], dataFormat: .channelsFirst)
        #expect(pooled.shape == [2, 3, 2, 2])
        let added = try Operations.apply(
            "bias_add", [x, value([1, 2, 3], [3], .float64)], attributes: ["data_format": "channels_first"])[0]
        #expect(try numbers(subtract(added, x)).map { ($0 * 1e6).rounded() / 1e6 }
            == (0..<2).flatMap { _ in (1...3).flatMap { [Double](repeating: Double($0), count: 20) } })
    }

    /// What Keras 3 answers for x = 1, 2, 3 and the kernel 1, 2, ... along one axis.
    @Test(arguments: [
        (size: 3, stride: 2, same: false, output: nil, dilation: 1, [1, 2, 5, 4, 9, 6, 9]),
        (size: 3, stride: 2, same: true, output: nil, dilation: 1, [1, 2, 5, 4, 9, 6]),
        (size: 2, stride: 3, same: true, output: nil, dilation: 1, [1, 2, 0, 2, 4, 0, 3, 6, 0]),
        (size: 2, stride: 3, same: false, output: nil, dilation: 1, [1, 2, 0, 2, 4, 0, 3, 6, 0]),
        (size: 4, stride: 2, same: true, output: nil, dilation: 1, [2, 5, 8, 9, 14, 9]),
        (size: 3, stride: 2, same: true, output: 1, dilation: 1, [1, 2, 5, 4, 9, 6]),
        (size: 3, stride: 2, same: true, output: 0, dilation: 1, [2, 5, 4, 9, 6]),
        (size: 4, stride: 3, same: true, output: 2, dilation: 1, [2, 3, 6, 4, 6, 11, 6, 9]),
        (size: 3, stride: 2, same: false, output: 1, dilation: 1, [1, 2, 5, 4, 9, 6, 9, 0]),
        (size: 3, stride: 1, same: true, output: nil, dilation: 2, [5, 4, 9]),
    ] as [(size: Int, stride: Int, same: Bool, output: Int?, dilation: Int, [Double])])
    func transposedConvolution(_ size: Int, _ stride: Int, _ same: Bool, _ output: Int?, _ dilation: Int, _ wanted: [Double]) throws {
        let x = try value([1, 2, 3], [1, 3, 1, 1])
        let kernel = try value((1...size).map(Double.init), [size, 1, 1, 1])
        let y = try conv2dTranspose(
            x, kernel, strides: [stride, 1], same: same, outputPadding: output.map { [$0, 0] }, dilation: [dilation, 1])
        #expect(try numbers(y) == wanted)
    }

    @Test func matrixProducts() throws {
        let a = try value([1, 2, 3, 4, 5, 6], [2, 3])
        let b = try value([1, 0, 0, 1, 1, 1], [3, 2])
        #expect(try numbers(matmul(a, b)) == [4, 5, 10, 11])
        #expect(try numbers(matmul(a, a, transposeB: true)) == [14, 32, 32, 77])
        #expect(try numbers(matmul(value([1, 2, 3], [3]), b)) == [4, 5])
        let dot = try matmul(value([1, 2, 3], [3]), value([4, 5, 6], [3]))
        #expect(dot.shape == .scalar)
        #expect(try numbers(dot) == [32])
        // A stack of two against one matrix, and one of two against three.
        let stack = try value(Array(1...12).map(Double.init), [2, 2, 3])
        #expect(try numbers(matmul(stack, b)) == [4, 5, 10, 11, 16, 17, 22, 23])
        let left = try value([1, 2], [2, 1, 1, 1])
        let right = try value([1, 10, 100], [3, 1, 1])
        let stretched = try matmul(left, right)
        #expect(stretched.shape == [2, 3, 1, 1])
        #expect(try numbers(stretched) == [1, 10, 100, 2, 20, 200])
        // float32 and float64 meet in float64.
        #expect(try matmul(a, value([1, 0, 0, 1, 1, 1], [3, 2], .float64)).type == .float64)
        // No terms: zeros.
        #expect(try numbers(matmul(value([], [2, 0]), value([], [0, 2]))) == [0, 0, 0, 0])
    }

    @Test func softmaxOfLargeNumbers() throws {
        let p = try numbers(softmax(value([1000, 1000, -1000, 0], [2, 2])))
        #expect(p == [0.5, 0.5, 0, 1])
        let logs = try numbers(logSoftmax(value([1000, 1000, -1000, 0], [2, 2], .float64)))
        #expect(abs(logs[0] + 0.6931471805599453) < 1e-12 && logs[2] == -1000)
    }

    @Test func crossEntropies() throws {
        let scores = try value([2, 1, 0.1, 0, 0, 0], [2, 3], .float64)
        let labels = try value([0, 2], [2], .int32)
        let losses = try numbers(sparseCategoricalCrossentropy(labels, scores, fromLogits: true))
        #expect(abs(losses[0] - 0.4170300162778333) < 1e-10)
        #expect(abs(losses[1] - 1.0986122886681098) < 1e-12)
        let dense = try value([1, 0, 0, 0, 0, 1], [2, 3], .float64)
        #expect(try numbers(categoricalCrossentropy(dense, scores, fromLogits: true)) == losses)
        // Probabilities that softmax made lead back to the scores.
        let far = try value([200, 0, 0], [1, 3])
        let wrong = try value([1], [1], .int32)
        #expect(try numbers(sparseCategoricalCrossentropy(wrong, softmax(far))) == [200])
        // But not where the loss goes along another axis than softmax did.
        let square = try value([1, 2, 3, 5], [2, 2], .float64)
        let across = try sparseCategoricalCrossentropy(value([0, 1], [2], .int32), softmax(square), axis: 0)
        let p = try numbers(softmax(square))
        let wanted = [p[0] / (p[0] + p[2]), p[3] / (p[1] + p[3])]
        for (loss, q) in zip(try numbers(across), wanted) {
            #expect(abs(loss - (try numbers(negative(DLOps.log(value([q], [1], .float64))))[0])) < 1e-12)
        }
        // Probabilities from elsewhere are clipped as in Keras.
        let clipped = try numbers(sparseCategoricalCrossentropy(wrong, value([1, 0, 0], [1, 3], .float64)))
        #expect(abs(clipped[0] - 16.11809565095832) < 1e-9)
        // And normalised.
        let half = try numbers(sparseCategoricalCrossentropy(wrong, value([2, 2, 0], [1, 3], .float64)))
        #expect(abs(half[0] - 0.6931471805599453) < 1e-12)
    }

    @Test func binaryCrossEntropies() throws {
        let truth = try value([1, 0], [2], .float64)
        let scores = try value([0, 0], [2], .float64)
        for loss in try numbers(binaryCrossentropy(truth, scores, fromLogits: true)) {
            #expect(abs(loss - 0.6931471805599453) < 1e-12)
        }
        let far = try value([-300, 300], [2])
        #expect(try numbers(binaryCrossentropy(value([1, 0], [2]), sigmoid(far))) == [300, 300])
        let certain = try numbers(binaryCrossentropy(truth, value([0, 1], [2], .float64)))
        #expect(abs(certain[0] - 16.11809565095832) < 1e-6 && abs(certain[1] - 16.11809565095832) < 1e-6)
    }

    @Test func batchNormalisationOfTheFormula() throws {
        let x = try value([1, 10, 3, 20, 5, 60], [3, 2], .float64)
        let result = try batchNormalizationTraining(
            x, gamma: value([2, 1], [2], .float64), beta: value([0, 5], [2], .float64), epsilon: 0)
        #expect(try numbers(result.mean) == [3, 30])
        let variance = try numbers(result.variance)
        #expect(abs(variance[0] - 8.0 / 3) < 1e-12 && abs(variance[1] - 1400.0 / 3) < 1e-9)
        let y = try numbers(result.y)
        #expect(abs(y[0] + 2 * 2 / (8.0 / 3).squareRoot()) < 1e-12)
        #expect(abs(y[5] - (5 + 30 / (1400.0 / 3).squareRoot())) < 1e-12)
    }

    @Test func topKAndMatches() throws {
        let scores = try value([0.1, 0.5, 0.4, 0.3, 0.3, 0.4], [2, 3])
        let labels = try value([2, 1], [2], .int32)
        #expect(try numbers(inTopK(labels, scores, k: 1)) == [0, 0])
        // The two 0.3 tie: one number is larger than either.
        #expect(try numbers(inTopK(labels, scores, k: 2)) == [1, 1])
        #expect(try numbers(sparseCategoricalMatches(value([1, 2], [2], .int64), scores)) == [1, 1])
        #expect(try numbers(sparseCategoricalMatches(value([2, 2], [2, 1], .uint8), scores, labelBase: 1)) == [1, 0])
        #expect(try numbers(categoricalMatches(value([0, 1, 0, 1, 0, 0], [2, 3], .int32), scores)) == [1, 0])
        #expect(try numbers(binaryMatches(value([1, 0, 1], [3], .uint8), value([0.6, 0.6, 0.5], [3]))) == [1, 0, 0])
    }

    @Test func norms() throws {
        let values = [try value([3], [1]), try value([0, 4], [2])]
        #expect(try numbers(globalNorm(values)) == [5])
        #expect(try clipByGlobalNorm(values, 1).flatMap { try numbers($0) }.map { ($0 * 1e6).rounded() } == [600_000, 0, 800_000])
        #expect(try numbers(clipByNorm(values[1], 8)) == [0, 4])
        #expect(try numbers(clipByNorm(values[1], 2)) == [0, 2])
    }
}
