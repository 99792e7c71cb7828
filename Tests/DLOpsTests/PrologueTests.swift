import DLBase
import DLKernels
import DLTensor
import Testing

@testable import DLGraph
@testable import DLOps

@Suite struct PrologueTests {
    private func random(_ shape: Shape, _ seed: UInt64) throws -> Tensor {
        var stream = RandomStream(seed: seed)
        return try Tensor((0..<shape.count).map { _ in Float(stream.uniform() * 2 - 1) }, shape)
    }

    @Test func whatVariablesDecideIsComputedOnce() throws {
        let w = Variable(try tensor([1, 2], [2]), name: "w")
        let x = try tensor([10, 20], [2])
        let graph = try record([x]) { [try multiply($0[0], square(w.value))] }
        let plan = try Plan(graph)
        #expect(plan.steps.map(\.name) == ["multiply"])
        #expect(plan.prologue?.plan.steps.map(\.name) == ["square"])
        #expect(try plan.run([x])[0].numbers == [10, 80])
        #expect(try plan.run([x])[0].numbers == [10, 80])
        try w.assign(tensor([3, 4], [2]))
        #expect(try plan.run([x])[0].numbers == [90, 320])
    }

    /// What a graph changes must not be kept.
    @Test func changingVariablesHaveNoPrologue() throws {
        let w = Variable(try tensor([1, 2], [2]), name: "w")
        let x = try tensor([10, 20], [2])
        let graph = try record([x]) { inputs in
            let y = try multiply(inputs[0], square(w.value))
            try w.assign(add(w.value, w.value))
            return [y]
        }
        let plan = try Plan(graph)
        #expect(plan.steps.map(\.name).contains("square"))
        #expect(try plan.run([x])[0].numbers == [10, 80])
        #expect(try plan.run([x])[0].numbers == [40, 320])
    }

    @Test func viewsAndResultsOfVariables() throws {
        let w = Variable(try tensor([1, 2, 3, 4], [2, 2]), name: "w")
        let x = try tensor([1, 1, 1, 1], [4])
        let graph = try record([x]) { inputs in
            let doubled = try add(w.value, w.value)
            return [try add(inputs[0], reshape(doubled, [4])), doubled, try reshape(w.value, [4])]
        }
        let plan = try Plan(graph)
        #expect(try plan.run([x]).map(\.numbers) == [[3, 5, 7, 9], [2, 4, 6, 8], [1, 2, 3, 4]])
        try w.assign(tensor([0, 0, 0, 1], [2, 2]))
        #expect(try plan.run([x]).map(\.numbers) == [[1, 1, 1, 3], [0, 0, 0, 2], [0, 0, 0, 1]])
    }

    /// Something much larger than the variable it comes from is computed again instead.
    @Test func largeResultsAreNotKept() throws {
        let w = Variable(try tensor([2], [1]), name: "w")
        let x = try random([100, 100], 1)
        let graph = try record([x]) { [try multiply($0[0], broadcastTo(w.value, [100, 100]))] }
        let plan = try Plan(graph)
        #expect(plan.steps.map(\.name) == ["broadcast_to", "multiply"])
    }

    @Test func manyThreadsShareOnePrologue() throws {
        let w = Variable(try random([64, 64], 2), name: "w")
        let x = try random([4, 64], 3)
        let plan = try Plan(record([x]) { [try matmul($0[0], square(w.value))] })
        let expected = try plan.run([x])[0].bytes
        try w.assign(random([64, 64], 2))
        nonisolated(unsafe) var same = [Bool](repeating: false, count: 16)
        let input = x
        same.withUnsafeMutableBufferPointer { same in
            nonisolated(unsafe) let same = same
            ThreadPool.shared.forEach(pieces: 16) { piece in
                same[piece] = (try? plan.run([input])[0].bytes) == expected
            }
        }
        #expect(same.allSatisfy { $0 })
    }

    @Test(arguments: [(3, 8, 40), (3, 32, 64), (1, 40, 33), (5, 3, 16)])
    func convolutionsArePackedOnce(_ window: Int, _ channels: Int, _ filters: Int) throws {
        let x = try random([4, 16, 16, channels], 4)
        let kernel = Variable(try random([window, window, channels, filters], 5), name: "kernel")
        let bias = Variable(try random([filters], 6), name: "bias")
        let graph = try record([x]) { inputs in
            [try relu(biasAdd(conv2d(inputs[0], kernel.value, padding: .same), bias.value))]
        }
        let plain = try Plan(record([x]) { inputs in
            [try relu(biasAdd(conv2d(inputs[0], kernel.value, padding: .same), bias.value))]
        })
        let plan = try Plan(graph, passes: inferencePasses)
        let problem = try Conv2DGeometry(padding: .same).problem(input: x.shape, kernel: kernel.shape, "test")
        if Convolution2DForward(problem).packedBytes > 0 {
            #expect(plan.steps.map(\.name) == ["conv2d_packed"])
        }
        for seed in 5...7 as ClosedRange<UInt64> {
            try kernel.assign(random(kernel.shape, seed))
            let (a, b) = (try plan.run([x])[0].numbers, try plain.run([x])[0].numbers)
            #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 * Swift.max(1, abs($0)) })
        }
    }
}
