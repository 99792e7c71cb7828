import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct NetworkFusionTests {
    private func random(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
        var stream = RandomStream(seed: seed)
        return try Tensor((0..<shape.count).map { _ in Float(stream.uniform() * 2 - 1) }, shape)
    }

    /// The graph's text before and after, and the results of both.
    private func compare(
        _ inputs: [Tensor], passes: [any GraphPass], before: String, after: String,
        _ body: ([Value]) throws -> [Value]
    ) throws {
        let graph = try record(inputs, body)
        #expect(graph.description == before)
        let plain = try Plan(graph, passes: []).run(inputs)
        for pass in passes { try pass.run(on: graph) }
        #expect(graph.description == after)
        let fused = try Plan(graph, passes: []).run(inputs)
        for (a, b) in zip(plain, fused) {
            #expect(a.shape == b.shape)
            for (x, y) in zip(a.numbers, b.numbers) { #expect(abs(x - y) <= 1e-6 * Swift.max(1, abs(x))) }
        }
    }

    @Test func convolutionBiasAndActivation() throws {
        try compare(
            [random([2, 5, 5, 3], 1), random([3, 3, 3, 4], 2), random([4], 3)],
            passes: [BiasFusion(), ActivationFusion()],
            before: """
                %0 = input 0 : float32 (2, 5, 5, 3)
                %1 = input 1 : float32 (3, 3, 3, 4)
                %2 = input 2 : float32 (4,)
                %3 = conv2d(%0, %1) {"padding":"same"} : float32 (2, 5, 5, 4)
                %4 = bias_add(%3, %2) : float32 (2, 5, 5, 4)
                %5 = relu(%4) : float32 (2, 5, 5, 4)
                return %5
                """,
            after: """
                %0 = input 0 : float32 (2, 5, 5, 3)
                %1 = input 1 : float32 (3, 3, 3, 4)
                %2 = input 2 : float32 (4,)
                %7 = conv2d_bias(%0, %1, %2) {"padding":"same","activation":"relu"} : float32 (2, 5, 5, 4)
                return %7
                """
        ) { [try relu(biasAdd(conv2d($0[0], $0[1], padding: .same), $0[2]))] }
    }

    @Test func productAndAddedVector() throws {
        try compare(
            [random([6, 3], 1), random([3, 4], 2), random([4], 3)], passes: [BiasFusion(), ActivationFusion()],
            before: """
                %0 = input 0 : float32 (6, 3)
                %1 = input 1 : float32 (3, 4)
                %2 = input 2 : float32 (4,)
                %3 = matmul(%0, %1) : float32 (6, 4)
                %4 = add(%2, %3) : float32 (6, 4)
                return %4
                """,
            after: """
                %0 = input 0 : float32 (6, 3)
                %1 = input 1 : float32 (3, 4)
                %2 = input 2 : float32 (4,)
                %5 = dense_bias(%0, %1, %2) : float32 (6, 4)
                return %5
                """
        ) { [try add($0[2], matmul($0[0], $0[1]))] }
    }

    /// Two layers: the second convolution reads what the first fusion has replaced.
    @Test func layersInARow() throws {
        let graph = try record([random([2, 3], 1), random([3, 3], 2), random([3], 3)]) { inputs in
            var x = inputs[0]
            for _ in 0..<2 { x = try relu(biasAdd(matmul(x, inputs[1]), inputs[2])) }
            return [x]
        }
        for pass in [BiasFusion(), ActivationFusion()] as [any GraphPass] { try pass.run(on: graph) }
        #expect(graph.nodes.map(\.operation.name) == ["dense_bias", "dense_bias"])
    }

    @Test func whatIsUsedTwiceStays() throws {
        let inputs = [try random([6, 3], 1), try random([3, 4], 2), try random([4], 3)]
        let sums = try record(inputs) { inputs in
            let product = try matmul(inputs[0], inputs[1])
            return [try biasAdd(product, inputs[2]), product]
        }
        try BiasFusion().run(on: sums)
        #expect(sums.nodes.map(\.operation.name) == ["matmul", "bias_add"])
        let activations = try record(inputs) { inputs in
            let before = try denseBias(inputs[0], inputs[1], inputs[2])
            return [try relu(before), try sigmoid(before)]
        }
        try ActivationFusion().run(on: activations)
        #expect(activations.nodes.map(\.operation.name) == ["dense_bias", "relu", "sigmoid"])
        // A row of one number per row is no bias.
        let column = try record([random([4, 4], 1), random([4, 4], 2), random([4, 1], 3)]) { inputs in
            [try add(matmul(inputs[0], inputs[1]), inputs[2])]
        }
        try BiasFusion().run(on: column)
        #expect(column.nodes.map(\.operation.name) == ["matmul", "add"])
    }

    @Test func reluGradientGoesThroughPooling() throws {
        let geometry = PoolGeometry(size: [2, 2])
        // Zeros are where ReLU was; one window has nothing else.
        let x = try tensor([0, 2, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0, 5], [1, 4, 4, 1])
        try compare(
            [x, tensor([2, 0, 4, 5], [1, 2, 2, 1]), tensor([7, 8, 9, 10], [1, 2, 2, 1])],
            passes: [ReluGradientThroughPooling()],
            before: """
                %0 = input 0 : float32 (1, 4, 4, 1)
                %1 = input 1 : float32 (1, 2, 2, 1)
                %2 = input 2 : float32 (1, 2, 2, 1)
                %3 = max_pool_gradient(%0, %1, %2) {"pool_size":[2,2]} : float32 (1, 4, 4, 1)
                %4 = relu_gradient(%3, %0) : float32 (1, 4, 4, 1)
                return %4
                """,
            after: """
                %0 = input 0 : float32 (1, 4, 4, 1)
                %1 = input 1 : float32 (1, 2, 2, 1)
                %2 = input 2 : float32 (1, 2, 2, 1)
                %5 = relu_gradient(%2, %1) : float32 (1, 2, 2, 1)
                %6 = max_pool_gradient(%0, %1, %5) {"pool_size":[2,2]} : float32 (1, 4, 4, 1)
                return %6
                """
        ) {
            [try reluGradient(DLGraph.apply(MaxPoolGradient(geometry: geometry), $0[0], $0[1], $0[2]), $0[0])]
        }
    }

    @Test(arguments: [false, true])
    func normalizationIsFoldedIntoTheConvolution(_ hasBias: Bool) throws {
        var stream = RandomStream(seed: 4)
        let variance = try Tensor((0..<4).map { _ in Float(0.5 + stream.uniform()) }, [4])
        let inputs = try [random([2, 9, 9, 3], 1), random([3, 3, 3, 4], 2), random([4], 3), variance, random([4], 6)]
        let graph = try record(inputs) { inputs in
            var y = try conv2d(inputs[0], inputs[1])
            if hasBias { y = try biasAdd(y, inputs[4]) }
            y = try batchNormalization(y, mean: inputs[2], variance: inputs[3], gamma: inputs[4], beta: inputs[2])
            return [try relu(y)]
        }
        let plain = try Plan(graph, passes: []).run(inputs)[0]
        for pass in inferencePasses { try pass.run(on: graph) }
        let names = graph.nodes.map(\.operation.name)
        #expect(names.last == "conv2d_bias" && !names.contains("relu") && !names.contains("batch_normalization"))
        let folded = try Plan(graph, passes: []).run(inputs)[0]
        for (a, b) in zip(plain.numbers, folded.numbers) { #expect(abs(a - b) <= 1e-5 * Swift.max(1, abs(a))) }
    }

    /// More weights than outputs: scaling them in every run would cost more than it saves.
    @Test func normalizationOfFewOutputsStays() throws {
        let graph = try record([random([1, 3], 1), random([3, 4], 2), random([4], 3)]) { inputs in
            [try batchNormalization(matmul(inputs[0], inputs[1]), mean: inputs[2], variance: inputs[2])]
        }
        for pass in inferencePasses { try pass.run(on: graph) }
        #expect(graph.nodes.map(\.operation.name) == ["matmul", "batch_normalization"])
    }

    /// A whole step of training gives the same weights with and without the passes.
    @Test func trainingStepIsUnchanged() throws {
        func step(_ passes: [any GraphPass]) throws -> ([Double], [String]) {
            let kernel = Variable(try random([3, 3, 1, 4], 5), name: "kernel")
            let bias = Variable(try random([4], 6), name: "bias")
            let dense = Variable(try random([16, 3], 7), name: "dense")
            let offset = Variable(try random([3], 8), name: "offset")
            let variables = [kernel, bias, dense, offset]
            let graph = Graph()
            try ThreadContext.current.recording(into: graph) {
                let x = graph.addInput(TensorSpec([5, 6, 6, 1], .float32))
                let labels = graph.addInput(TensorSpec([5], .int32))
                let tape = Tape()
                tape.start()
                defer { tape.stop() }
                var y = try relu(biasAdd(conv2d(x, kernel.value), bias.value))
                y = try reshape(maxPool(y, poolSize: [2, 2]), [5, 16])
                y = try softmax(biasAdd(matmul(y, dense.value), offset.value))
                let loss = try DLOps.mean(sparseCategoricalCrossentropy(labels, y))
                let gradients = try tape.gradients(of: loss, withRespectTo: variables.map(\.value))
                for (variable, gradient) in zip(variables, gradients) {
                    let gradient = try #require(gradient)
                    try variable.assign(sgdUpdate(variable.value, gradient, learningRate: constant(0.1)))
                }
                try graph.markOutput(loss)
            }
            let plan = try Plan(graph, passes: passes)
            let inputs = [try random([5, 6, 6, 1], 9), try tensor([0, 1, 2, 1, 0], [5], .int32)]
            var losses: [Double] = []
            for _ in 0..<3 { losses += try plan.run(inputs)[0].numbers }
            return (losses + variables.flatMap(\.tensor.numbers), plan.steps.map(\.name))
        }
        let (plain, _) = try step(Plan.standardPasses)
        let (fused, names) = try step(standardPasses)
        #expect(plain[2] < plain[0])
        for (a, b) in zip(plain, fused) { #expect(abs(a - b) <= 1e-5) }
        #expect(names.contains("conv2d_bias") && names.contains("dense_bias"))
        #expect(!names.contains("relu") && !names.contains("bias_add") && !names.contains("conv2d"))
        // The loss goes past softmax, which nobody else needs.
        #expect(!names.contains("softmax"))
    }
}
