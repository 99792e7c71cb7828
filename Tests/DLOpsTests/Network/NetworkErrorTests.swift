import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct NetworkErrorTests {
    private func zeros(_ shape: Shape, _ type: ElementType = .float32) throws -> Value {
        Value(try Tensor(zeros: shape, type))
    }

    @Test func convolutionNamesWhatDiffers() throws {
        let x = try zeros([32, 14, 14, 3])
        #expect(
            message { _ = try conv2d(x, zeros([5, 5, 6, 16])) }
                == "[conv2d] input has 3 channels, kernel was built for 6. "
                + "Received: input (32, 14, 14, 3), kernel (5, 5, 6, 16)")
        #expect(
            message { _ = try conv2d(x, zeros([5, 20, 3, 16])) }
                == "[conv2d] kernel covers 20 columns, the padded input has only 14. "
                + "Received: input (32, 14, 14, 3), kernel (5, 20, 3, 16)")
        #expect(
            message { _ = try conv2d(x, zeros([5, 5, 1, 16]), groups: 3) }
                == "[conv2d] 3 groups do not divide 16 filters. Received: input (32, 14, 14, 3), kernel (5, 5, 1, 16)")
        #expect(message { _ = try conv2d(zeros([14, 14, 3]), zeros([5, 5, 3, 16])) }.hasPrefix("[conv2d] input must have 4 axes"))
        #expect(message { _ = try conv2d(x, zeros([5, 5, 3, 16], .float64)) }.hasPrefix("[conv2d] inputs must have one dtype"))
        #expect(message { _ = try conv2d(zeros([1, 4, 4, 1], .int32), zeros([1, 1, 1, 1], .int32)) }
            .hasPrefix("[conv2d] takes float32 or float64"))
    }

    @Test func transposedConvolutionNamesWhatDiffers() throws {
        let x = try zeros([2, 4, 4, 3])
        #expect(message { _ = try conv2dTranspose(x, zeros([3, 3, 8, 5])) }
            == "[conv2d_transpose] input has 3 channels, kernel was built for 5. Received: input (2, 4, 4, 3), kernel (3, 3, 8, 5)")
        #expect(message { _ = try conv2dTranspose(x, zeros([3, 3, 8, 3]), strides: [2, 2], outputPadding: [2, 0]) }
            .hasPrefix("[conv2d_transpose] output_padding must be less than strides"))
        let big = Int(Int32.max)
        #expect(message { _ = try conv2dTranspose(x, zeros([3, 3, 8, 3]), strides: [big, big], same: true, dilation: [big, big]) } != "")
    }

    /// Sizes and attributes that would overflow are refused before anything is computed with them.
    @Test func hugeNumbersAreRefused() throws {
        let big = Int(Int32.max)
        let x = TensorSpec([1, 8, 8, 1], .float32)
        for (strides, dilation, padding) in [
            ([big, big], [big, big], Padding.same), ([1, 1], [big, big], .valid),
            ([1, 1], [1, 1], .explicit(top: big, bottom: big, left: big, right: big)),
        ] {
            let conv = Conv2D(geometry: Conv2DGeometry(strides: strides, padding: padding, dilation: dilation))
            let kernel = TensorSpec([3, 3, 1, 1], .float32)
            if let outputs = try? conv.outputs(for: [x, kernel]) {
                // Only padding "same" with a stride beyond the picture gives a result, of one window.
                #expect(padding == .same && outputs[0].shape == [1, 1, 1, 1])
            }
        }
        let huge = TensorSpec(Shape([0, 1 << 40, 1 << 15, 1]), .float32)
        #expect(message { _ = try Conv2D(geometry: Conv2DGeometry()).outputs(for: [huge, x]) } != "")
        #expect(message { _ = try MaxPool(geometry: PoolGeometry(size: [big, big], padding: .same)).outputs(for: [huge]) } != "")
        let wide = TensorSpec(Shape([1 << 28, 1 << 28]), .float32)
        #expect(message { _ = try MatMul().kernel(inputs: [wide, wide], outputs: [wide]) } != "")
        #expect(message { _ = try Operations.registry.declaration("conv2d").make(config: ["strides": 0]) }
            .hasPrefix("[conv2d] 'strides' must be a whole number of at least 1"))
        #expect(message { _ = try Operations.registry.declaration("conv2d").make(config: ["padding": "full"]) }
            .hasPrefix("[conv2d] 'padding' must be 'valid', 'same'"))
        #expect(message { _ = try Operations.registry.declaration("conv2d").make(config: ["padding": [1, -1]]) } != "")
    }

    @Test func paddingIsReadInEveryForm() throws {
        func padding(_ json: JSON) throws -> Padding {
            let conv = try Operations.registry.declaration("conv2d").make(config: ["padding": json]) as? Conv2D
            return try #require(conv).geometry.padding
        }
        #expect(try padding("same") == .same)
        #expect(try padding(2) == .explicit(top: 2, bottom: 2, left: 2, right: 2))
        #expect(try padding([1, 2]) == .explicit(top: 1, bottom: 1, left: 2, right: 2))
        #expect(try padding([1, 2, 3, 4]) == .explicit(top: 1, bottom: 2, left: 3, right: 4))
        #expect(try padding([[1, 2], [3, 4]]) == .explicit(top: 1, bottom: 2, left: 3, right: 4))
    }

    @Test func matrixProductNamesWhatDiffers() throws {
        #expect(
            message { _ = try matmul(zeros([2, 3]), zeros([4, 5])) }
                == "[matmul] inner sizes differ: a has 3, b has 4. Received: a (2, 3), b (4, 5)")
        #expect(message { _ = try matmul(zeros([2, 1, 3]), zeros([3, 3, 5])) }.contains("broadcast"))
        #expect(message { _ = try matmul(zeros(.scalar), zeros([3, 3])) }.hasPrefix("[matmul] a number has no matrix product"))
        #expect(message { _ = try denseBias(zeros([2, 3]), zeros([4, 5]), zeros([5])) }
            == "[dense_bias] input has 3 features, kernel was built for 4. Received: input (2, 3), kernel (4, 5), bias (5,)")
    }

    @Test func poolingRefusesWhatDoesNotFit() throws {
        #expect(
            message { _ = try maxPool(zeros([1, 4, 4, 1]), poolSize: [5, 2]) }
                == "[max_pool] the window has 5 rows, the input only 4. "
                + "Received: input (1, 4, 4, 1), pool_size (5, 2), strides (5, 2)")
        #expect(message {
            _ = try averagePool(
                zeros([1, 4, 4, 1]), poolSize: [2, 2], padding: .explicit(top: 2, bottom: 0, left: 0, right: 0))
        }.hasPrefix("[average_pool] padding must be smaller than the window"))
        #expect(message { _ = try Operations.apply("max_pool", [zeros([1, 4, 4, 1])]) }
            == "[max_pool] argument 'pool_size' is missing; expected a whole number of at least 1, or a list of them")
    }

    @Test func labelsOutOfRangeAreNamedWithTheCure() throws {
        var numbers = [Double](repeating: 3, count: 20)
        numbers[17] = 10
        let scores = try zeros([20, 10])
        for type in [ElementType.int32, .int64, .uint8] {
            let labels = try value(numbers, [20], type)
            let expected = "label 10 at row 17 is out of range: with 10 classes labels run 0..9; "
                + "pass label_base = 1 if yours count from 1"
            #expect(message { _ = try sparseCategoricalCrossentropy(labels, scores, fromLogits: true) }
                == "[sparse_categorical_crossentropy] " + expected)
            #expect(message { _ = try sparseCategoricalCrossentropy(labels, scores) }
                == "[sparse_categorical_crossentropy] " + expected)
            #expect(message { _ = try sparseCategoricalMatches(labels, scores) } == "[sparse_categorical_matches] " + expected)
            #expect(message { _ = try inTopK(labels, scores, k: 3) } == "[in_top_k] " + expected)
            #expect(message { _ = try sparseCategoricalCrossentropy(labels, scores, fromLogits: true, labelBase: 1) } == "")
        }
        let zero = try value([1, 0], [2], .int32)
        #expect(message { _ = try sparseCategoricalCrossentropy(zero, zeros([2, 3]), fromLogits: true, labelBase: 1) }
            == "[sparse_categorical_crossentropy] label 0 at row 1 is out of range: with 3 classes labels run 1..3; "
            + "pass label_base = 0 if yours count from 0")
        let half = try value([1, 0.5], [2])
        #expect(message { _ = try sparseCategoricalCrossentropy(half, zeros([2, 3]), fromLogits: true) }
            == "[sparse_categorical_crossentropy] label 0.5 at row 1 is not a whole number")
        for bad in [-1, .infinity, .nan, 1e30, -1e30] {
            #expect(message { _ = try sparseCategoricalCrossentropy(value([bad], [1]), zeros([1, 3]), fromLogits: true) }
                .hasPrefix("[sparse_categorical_crossentropy] label "))
        }
        let largest = Value(try Tensor([Int64.min, Int64.max], [2]))
        #expect(message { _ = try sparseCategoricalCrossentropy(largest, zeros([2, 3]), fromLogits: true, labelBase: 1) } != "")
    }

    @Test func wholeFloatsAreLabels() throws {
        let scores = try value([2, 1, 0.1, 0, 0, 3], [2, 3])
        let whole = try sparseCategoricalCrossentropy(value([0, 2], [2], .int32), scores, fromLogits: true)
        let float = try sparseCategoricalCrossentropy(value([0, 2], [2, 1]), scores, fromLogits: true)
        #expect(try whole.tensor().numbers == float.tensor().numbers)
    }

    @Test func labelsInACompiledStepAreCheckedBeforeAnythingChanges() throws {
        let weight = Variable(try Tensor([Float](repeating: 1, count: 3)), name: "w")
        let graph = Graph()
        try ThreadContext.current.recording(into: graph) {
            let labels = graph.addInput(TensorSpec([1], .int32))
            let scores = try reshape(weight.value, [1, 3])
            try graph.markOutput(sparseCategoricalCrossentropy(labels, scores, fromLogits: true))
            try weight.assign(sgdUpdate(weight.value, weight.value, learningRate: constant(0.5)))
        }
        let plan = try Plan(graph, passes: standardPasses)
        #expect(message { _ = try plan.run([tensor([3], [1], .int32)]) }.contains("label 3 at row 0 is out of range"))
        #expect(weight.tensor.numbers == [1, 1, 1])
        _ = try plan.run([tensor([2], [1], .int32)])
        #expect(weight.tensor.numbers == [0.5, 0.5, 0.5])
    }

    @Test func optimizersCheckTheirInputs() throws {
        #expect(message { _ = try sgdUpdate(zeros([3]), zeros([4]), learningRate: zeros(.scalar)) }
            == "[sgd_update] gradient must have the weight's shape. Received: weight (3,), gradient (4,)")
        #expect(message { _ = try sgdUpdate(zeros([3]), zeros([3]), learningRate: zeros([2])) }
            .hasPrefix("[sgd_update] learning_rate must be one number"))
    }
}
