import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct PassTests {
    @Test func deadCodeGoes() throws {
        let x = try Tensor([1.0, 2.0] as [Float])
        let graph = try record([x]) { inputs in
            _ = try exp(inputs[0])
            return [try square(inputs[0])]
        }
        #expect(
            graph.description == """
                %0 = input 0 : float32 (2,)
                %1 = exp(%0) : float32 (2,)
                %2 = square(%0) : float32 (2,)
                return %2
                """)
        DeadCodeElimination().run(on: graph)
        #expect(
            graph.description == """
                %0 = input 0 : float32 (2,)
                %2 = square(%0) : float32 (2,)
                return %2
                """)
    }

    @Test func equalUsesAreMerged() throws {
        let x = try Tensor([1.0, 2.0] as [Float])
        let graph = try record([x]) { inputs in
            try [add(scale(inputs[0], 2), scale(inputs[0], 2)), scale(inputs[0], 3)]
        }
        CommonSubexpressions().run(on: graph)
        #expect(
            graph.description == """
                %0 = input 0 : float32 (2,)
                %1 = affine(%0) {"scale":2.0,"offset":0.0} : float32 (2,)
                %3 = add(%1, %1) : float32 (2,)
                %4 = affine(%0) {"scale":3.0,"offset":0.0} : float32 (2,)
                return %3, %4
                """)
        #expect(try Plan(graph).run([x]).map(\.numbers) == [[4, 8], [3, 6]])
    }

    @Test func constantsAreFolded() throws {
        let x = try Tensor([1.0, 2.0] as [Float])
        let weight = Variable(try Tensor([1.0, 1.0] as [Float]), name: "w")
        let graph = Graph()
        let one = try graph.adoptForTest(value([1, 2]))
        let node = try graph.makeNode(UnaryOperation(.square), inputs: [one], label: "")
        let symbol = graph.addInput(TensorSpec(x.shape, x.type))
        let sum = try ThreadContext.current.recording(into: graph) { try add(symbol, weight.value) }
        try graph.markOutput(sum)
        graph.rewrite(nodes: [node] + graph.nodes)
        graph.markForTest(node.outputs[0])
        #expect(graph.description.contains("square(constant0)"))
        try ConstantFolding().run(on: graph)
        #expect(!graph.description.contains("square"))
        #expect(graph.description.contains("add(%2, w)"))
        #expect(try Plan(graph).run([x]).map(\.numbers) == [[2, 3], [1, 4]])
    }

    /// What depends on constants alone is computed while it is recorded.
    @Test func constantsAreComputedAtOnce() throws {
        let x = try Tensor([1.0, 2.0] as [Float])
        let graph = try record([x]) { try [add($0[0], square(value([3, 4])))] }
        #expect(graph.nodes.count == 1)
        #expect(try Plan(graph).run([x])[0].numbers == [10, 18])
    }

    @Test func symbolsCannotLeaveTheirRecording() throws {
        var kept: Value?
        _ = try record([Tensor([1.0] as [Float])]) {
            kept = $0[0]
            return $0
        }
        let symbol = try #require(kept)
        #expect(message { _ = try symbol.tensor("print") }.contains("symbolic"))
        let text = message { _ = try record([Tensor([1.0] as [Float])]) { [try add($0[0], symbol)] } }
        #expect(text.contains("outside the recording"))
    }
}

extension Graph {
    func adoptForTest(_ value: Value) throws -> Int { addConstant(try value.tensor()) }
    func markForTest(_ id: Int) { try? markOutput(Value(.node(self, id: id), values[id].spec)) }
}
