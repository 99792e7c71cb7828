import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// Updates that compute their gradient themselves.
@Suite struct ProductUpdateTests {
    private func random(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
        var stream = RandomStream(seed: seed)
        return try Tensor((0..<shape.count).map { _ in Float(stream.uniform() * 2 - 1) }, shape)
    }

    /// Steps of a weight of m x n with a gradient of k rows, and what the weight and its slots then hold.
    private func train(
        _ sizes: (k: Int, m: Int, n: Int), fused: Bool, slots: Int,
        _ update: (Value, Value, [Value], Value) throws -> [Value]
    ) throws -> (text: String, results: [Tensor]) {
        let (k, m, n) = sizes
        let names = ["w", "m"]
        let variables = try (0...slots).map { slot in
            Variable(try random([m, n], UInt64(10 + slot)), name: names[slot])
        }
        let inputs = try [random([k, m], 1), random([k, n], 2)]
        let graph = Graph()
        try ThreadContext.current.recording(into: graph) {
            let symbols = inputs.map { graph.addInput(TensorSpec($0.shape, $0.type)) }
            let gradient = try matmul(symbols[0], symbols[1], transposeA: true)
            let rate = try Value(Tensor([Float(0.1)], .scalar))
            let results = try update(
                variables[0].value, gradient, variables.dropFirst().map(\.value), rate)
            for (variable, result) in zip(variables, results) { try variable.assign(result) }
        }
        var pass = ProductUpdateFusion()
        pass.smallestBytes = 0
        if fused { try pass.run(on: graph) }
        let text = graph.description
        let plan = try Plan(graph, passes: [])
        for _ in 0..<3 { _ = try plan.run(inputs) }
        return (text, variables.map(\.tensor))
    }

    /// Rows short of, at and over the blocks, columns beside the lanes, depths from one row to the most.
    @Test(arguments: [(1, 5, 7), (4, 130, 33), (16, 49, 513), (5, 25, 4100), (33, 24, 64), (128, 97, 130), (128, 784, 512)])
    func sameBits(sizes: (Int, Int, Int)) throws {
        let updates: [(slots: Int, update: (Value, Value, [Value], Value) throws -> [Value])] = [
            (0, { [try sgdUpdate($0, $1, learningRate: $3, weightDecay: 0.01)] }),
            (1, {
                let result = try momentumUpdate(
                    $0, $1, momentum: $2[0], learningRate: $3, momentum: 0.9, nesterov: true, weightDecay: 0.01)
                return [result.w, result.momentum]
            }),
            (1, {
                let result = try momentumUpdate($0, $1, momentum: $2[0], learningRate: $3, momentum: 0.9)
                return [result.w, result.momentum]
            }),
        ]
        for (slots, update) in updates {
            let plain = try train((k: sizes.0, m: sizes.1, n: sizes.2), fused: false, slots: slots, update)
            let fused = try train((k: sizes.0, m: sizes.1, n: sizes.2), fused: true, slots: slots, update)
            #expect(plain.text.contains("matmul"))
            #expect(!fused.text.contains("matmul(") && fused.text.contains("_of_product("), "\(fused.text)")
            for (a, b) in zip(plain.results, fused.results) { #expect(a.bytes == b.bytes, "\(sizes) \(slots) slots") }
        }
    }

    @Test func gradientsThatOthersReadStay() throws {
        let x = try random([4, 6], 1), dy = try random([4, 8], 2)
        let w = Variable(try random([6, 8], 3), name: "w")
        let graph = Graph()
        try ThreadContext.current.recording(into: graph) {
            let symbols = [x, dy].map { graph.addInput(TensorSpec($0.shape, $0.type)) }
            let gradient = try matmul(symbols[0], symbols[1], transposeA: true)
            try graph.markOutput(gradient)
            try w.assign(sgdUpdate(w.value, gradient, learningRate: Value(Tensor([Float(0.1)], .scalar))))
        }
        var pass = ProductUpdateFusion()
        pass.smallestBytes = 0
        try pass.run(on: graph)
        #expect(graph.description.contains("matmul(") && !graph.description.contains("_of_product"))
    }
}
