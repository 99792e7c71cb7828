import DLBase
import DLGraph
import DLTensor
import Synchronization
import Testing

@testable import DLOps

@Suite(.serialized) struct PlanTests {
    private func variable(_ numbers: [Float], _ name: String = "v") throws -> Variable {
        Variable(try Tensor(numbers), name: name)
    }

    @Test func assignmentsHappenWhenThePlanRuns() throws {
        let counter = try variable([1, 2])
        let x = try Tensor([10.0, 20.0] as [Float])
        let plan = try Plan(
            record([x]) { inputs in
                let old = try copy(counter.value)
                try counter.assign(add(counter.value, inputs[0]))
                return [old, try scale(counter.value, 2)]
            })
        #expect(counter.tensor.numbers == [1, 2])
        #expect(try plan.run([x]).map(\.numbers) == [[1, 2], [22, 44]])
        #expect(counter.tensor.numbers == [11, 22])
        #expect(try plan.run([x]).map(\.numbers) == [[11, 22], [42, 84]])
    }

    @Test func updatesRunInPlace() throws {
        let weight = try variable([1, 2, 3])
        let x = try Tensor([1.0, 1.0, 1.0] as [Float])
        let plan = try Plan(
            record([x]) {
                try weight.assign(subtract(weight.value, $0[0]))
                return []
            })
        let address = weight.tensor.pointer
        _ = try plan.run([x])
        #expect(weight.tensor.numbers == [0, 1, 2])
        #expect(weight.tensor.pointer == address)
        // Whoever holds the contents keeps them.
        let held = weight.tensor
        _ = try plan.run([x])
        #expect(held.numbers == [0, 1, 2])
        #expect(weight.tensor.numbers == [-1, 0, 1])
    }

    @Test func variablesSwap() throws {
        let (a, b) = (try variable([1], "a"), try variable([2], "b"))
        let plan = try Plan(
            record([]) { _ in
                // The old contents are read before either changes.
                let (x, y) = (try scale(a.value, 1), try scale(b.value, 1))
                try a.assign(y)
                try b.assign(x)
                return []
            })
        _ = try plan.run([])
        #expect(a.tensor.numbers == [2])
        #expect(b.tensor.numbers == [1])
    }

    @Test func variablesSwapWithoutOperations() throws {
        let (a, b) = (try variable([1, 1], "a"), try variable([2, 2], "b"))
        let plan = try Plan(
            record([]) { _ in
                let (x, y) = (try reshape(a.value, [1, 2]), try reshape(b.value, [1, 2]))
                try a.assign(reshape(y, [2]))
                try b.assign(reshape(x, [2]))
                return []
            })
        _ = try plan.run([])
        #expect(a.tensor.numbers == [2, 2])
        #expect(b.tensor.numbers == [1, 1])
        _ = try plan.run([])
        #expect(a.tensor.numbers == [1, 1])
    }

    @Test func oneUpdateReadsWhatAnotherWrites() throws {
        let (a, b) = (try variable([1], "a"), try variable([10], "b"))
        let plan = try Plan(
            record([]) { _ in
                let (oldA, oldB) = (a.value, b.value)
                let nextA = try add(oldA, oldB)
                let nextB = try subtract(oldB, oldA)
                try a.assign(nextA)
                try b.assign(nextB)
                return []
            })
        _ = try plan.run([])
        #expect(a.tensor.numbers == [11])
        #expect(b.tensor.numbers == [9])
    }

    @Test func outputsMayBeViewsOfInputs() throws {
        let x = try Tensor([1.0, 2.0, 3.0, 4.0] as [Float])
        let plan = try Plan(record([x]) { [try reshape($0[0], [2, 2]), $0[0], try reshape(square($0[0]), [4, 1])] })
        let outputs = try plan.run([x])
        #expect(outputs.map(\.numbers) == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 4, 9, 16]])
        #expect(outputs.map(\.shape) == [[2, 2], [4], [4, 1]])
        #expect(x.numbers == [1, 2, 3, 4])
    }

    @Test func sameOutputTwice() throws {
        let x = try Tensor([1.0, 2.0] as [Float])
        let plan = try Plan(
            record([x]) { inputs in
                let y = try exp(inputs[0])
                return [y, y, try reshape(y, [2, 1])]
            })
        let outputs = try plan.run([x])
        #expect(outputs[0].bytes == outputs[1].bytes)
        #expect(outputs[0].bytes == outputs[2].bytes)
    }

    @Test func failureLeavesVariablesAlone() throws {
        let weight = try variable([1, 2])
        let x = try Tensor([1.0, 2.0, 3.0] as [Float])
        let good = try Tensor([0, 2] as [Int32])
        let bad = try Tensor([0, 7] as [Int32])
        let plan = try Plan(
            record([x, good]) { inputs in
                try weight.assign(add(weight.value, take(inputs[0], inputs[1], axis: 0)))
                return []
            })
        _ = try plan.run([x, good])
        #expect(weight.tensor.numbers == [2, 5])
        let text = message { _ = try plan.run([x, bad]) }
        #expect(text.hasPrefix("[take] position 7 is out of range"))
        #expect(weight.tensor.numbers == [2, 5])
        _ = try plan.run([x, good])
        #expect(weight.tensor.numbers == [3, 8])
    }

    @Test func runsFromManyThreads() throws {
        let x = try tensor((0..<1000).map { Double($0) * 0.01 }, [10, 100])
        let plan = try Plan(
            record([x]) { inputs in
                let y = try tanh(add(inputs[0], scale(inputs[0], -0.5)))
                return [try sum(multiply(y, exp(negative(inputs[0]))), axes: [1]), y]
            })
        let expected = try plan.run([x]).map(\.bytes)
        let failures = Mutex(0)
        ThreadPool.shared.forEach(pieces: 16) { _ in
            for _ in 0..<20 {
                let same = (try? plan.run([x]).map(\.bytes)) == expected
                if !same { failures.withLock { $0 += 1 } }
            }
        }
        #expect(failures.withLock { $0 } == 0)
    }

    @Test func noAllocationAfterTheFirstRun() throws {
        let weight = try variable([Float](repeating: 0.5, count: 64))
        let x = try Tensor([Float](repeating: 1, count: 64))
        let plan = try Plan(
            record([x]) { inputs in
                let y = try sigmoid(multiply(inputs[0], weight.value))
                try weight.assign(subtract(weight.value, scale(y, 0.1)))
                return [try mean(y)]
            })
        let output = try Tensor(uninitialized: .scalar, .float32)
        func run() throws { try plan.run(inputs: [UnsafeRawPointer(x.pointer)], outputs: [output.pointer]) }
        try run()
        // Other suites allocate at the same time; one quiet stretch is proof enough.
        var quiet = false
        for _ in 0..<200 where !quiet {
            let before = Memory.statistics.allocations
            try run()
            quiet = Memory.statistics.allocations == before
        }
        #expect(quiet)
        #expect(weight.tensor.number(at: 0) < 0.5)
    }

    @Test func arenaIsReused() throws {
        let x = try Tensor([Float](repeating: 1, count: 1024))
        let chain = try Plan(
            record([x]) { inputs in
                var y = inputs[0]
                for _ in 0..<20 { y = try cumsum(sin(y), axis: 0) }
                return [y]
            })
        #expect(chain.arenaBytes <= 3 * 4096)
    }

    @Test func recordedRandomNumbersDifferFromRunToRun() throws {
        let x = try Tensor([1.0] as [Float])
        let plan = try Plan(record([x]) { [try add($0[0], randomUniform([4]))] })
        let (first, second) = (try plan.run([x])[0].numbers, try plan.run([x])[0].numbers)
        #expect(first != second)
        #expect((first + second).allSatisfy { $0 >= 1 && $0 < 2 })
    }
}
