import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct NormalizationFusionTests {
    private func random(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
        var stream = RandomStream(seed: seed)
        return try Tensor((0..<shape.count).map { _ in Float(stream.uniform() * 2 - 1) }, shape)
    }

    /// The graph of a loss and its gradients for x, gamma and beta of each of `layers` normalisations.
    private func graph(_ inputs: [Tensor], _ body: ([Value]) throws -> Value) throws -> Graph {
        try record(inputs) { inputs in
            let tape = Tape()
            tape.start()
            defer { tape.stop() }
            for input in inputs { tape.watch(input) }
            let y = try body(inputs)
            let loss = try DLOps.sum(multiply(y, y))
            return [loss] + (try tape.gradients(of: loss, withRespectTo: inputs)).compactMap { $0 }
        }
    }

    private func expectSame(_ graph: Graph, _ inputs: [Tensor]) throws {
        let plain = try Plan(graph, passes: []).run(inputs)
        try NormalizationActivationFusion().run(on: graph)
        let fused = try Plan(graph, passes: []).run(inputs)
        #expect(plain.count == inputs.count + 1)
        for (a, b) in zip(plain, fused) {
            for (x, y) in zip(a.numbers, b.numbers) { #expect(abs(x - y) <= 2e-5 * Swift.max(1, abs(x))) }
        }
    }

    @Test func reluBehindNormalization() throws {
        let inputs = [try random([6, 3], 1), try random([3], 2), try random([3], 3)]
        let graph = try graph(inputs) { inputs in
            try relu(batchNormalizationTraining(inputs[0], gamma: inputs[1], beta: inputs[2]).y)
        }
        #expect(
            graph.nodes.map(\.operation.name).filter { $0.hasPrefix("batch") || $0.hasPrefix("relu") } == [
                "batch_normalization_training", "relu", "relu_gradient", "batch_normalization_gradient",
            ])
        try expectSame(graph, inputs)
        #expect(
            graph.nodes.map(\.operation.name).filter { $0.hasPrefix("batch") || $0.hasPrefix("relu") } == [
                "batch_normalization_activation", "batch_normalization_activation_gradient",
            ])
    }

    /// Two blocks of a residual network: the first one's output goes both ways, and the loss uses the second one's twice, so
    /// both gradients are sums of two.
    @Test func shortcuts() throws {
        let inputs = [
            try random([6, 3], 1), try random([3], 2), try random([3], 3), try random([3, 3], 4), try random([3, 3], 5),
        ]
        let graph = try graph(inputs) { inputs in
            var x = inputs[0]
            for weights in inputs[3...] {
                let y = try batchNormalizationTraining(matmul(x, weights), gamma: inputs[1], beta: inputs[2]).y
                x = try relu(add(y, x))
            }
            return x
        }
        try expectSame(graph, inputs)
        let names = graph.nodes.map(\.operation.name)
        #expect(!names.contains("relu") && !names.contains("relu_gradient"))
        let gradients = graph.nodes.compactMap { $0.operation as? BatchNormalizationActivationGradient }
        #expect(gradients.map(\.residual) == [true, true])
        #expect(gradients.map(\.twoUpstreams) == [true, true])
    }

    /// A shortcut with a normalisation of its own: the one computed last takes the sum.
    @Test func projections() throws {
        let inputs = [
            try random([6, 3], 1), try random([4], 2), try random([4], 3), try random([3, 4], 4), try random([3, 4], 5),
        ]
        let graph = try graph(inputs) { inputs in
            let branches = try inputs[3...].map {
                try batchNormalizationTraining(matmul(inputs[0], $0), gamma: inputs[1], beta: inputs[2]).y
            }
            return try relu(add(branches[0], branches[1]))
        }
        try expectSame(graph, inputs)
        let names = graph.nodes.map(\.operation.name)
        #expect(names.filter { $0 == "batch_normalization_training" }.count == 1)
        #expect(names.filter { $0 == "batch_normalization_activation" }.count == 1)
        #expect(names.filter { $0 == "batch_normalization_gradient" }.count == 1)
    }

    /// What others read must stay.
    @Test func sharedValuesAreLeftAlone() throws {
        let inputs = [try random([6, 3], 1), try random([3], 2), try random([3], 3)]
        let graph = try graph(inputs) { inputs in
            let y = try batchNormalizationTraining(inputs[0], gamma: inputs[1], beta: inputs[2]).y
            return try add(relu(y), y)
        }
        let before = graph.nodes.map(\.operation.name)
        try NormalizationActivationFusion().run(on: graph)
        #expect(graph.nodes.map(\.operation.name) == before)
    }

    /// Statistics are read by the moving averages, which may stand between the normalisation and the ReLU.
    @Test func statisticsComeFromTheFusedNode() throws {
        let inputs = [try random([6, 3], 1)]
        let graph = try record(inputs) { inputs in
            let (y, mean, _) = try batchNormalizationTraining(inputs[0], gamma: nil, beta: nil)
            let doubled = try add(mean, mean)
            return [try relu(y), doubled]
        }
        let plain = try Plan(graph, passes: []).run(inputs)
        try NormalizationActivationFusion().run(on: graph)
        #expect(graph.nodes.map(\.operation.name) == ["batch_normalization_activation", "add"])
        let fused = try Plan(graph, passes: []).run(inputs)
        for (a, b) in zip(plain, fused) { #expect(a.numbers == b.numbers) }
    }
}
