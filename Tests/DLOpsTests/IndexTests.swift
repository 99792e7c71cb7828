import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct IndexTests {
    private let x: Tensor

    init() throws { x = try tensor((0..<24).map(Double.init), [2, 3, 4]) }

    private func range(_ start: Int?, _ stop: Int?, _ step: Int = 1) -> IndexEntry {
        .range(start: start, stop: stop, step: step)
    }

    @Test func oneRunOfMemoryIsShared() throws {
        let shared: [[IndexEntry]] = [
            [.at(1)], [.at(-1), .at(2)], [range(0, 1)], [.at(0), range(1, 3)], [.at(0), .at(1), range(1, 3)], [], [.all, .all],
            [.at(1), .at(1), .at(1)],
        ]
        for entries in shared {
            let part = try x.part(entries)
            #expect(part.storage === x.storage, "\(entries)")
        }
        for entries in [[.all, .at(0)], [range(0, 2), range(0, 2)], [range(nil, nil, -1)], [.at(0), range(nil, nil, 2)]] {
            #expect(try x.part(entries).storage !== x.storage, "\(entries)")
        }
    }

    @Test func partsHaveTheRightElements() throws {
        #expect(try x.part([.at(1), .at(0)]).numbers == [12, 13, 14, 15])
        #expect(try x.part([.all, .at(-1), range(0, 2)]).numbers == [8, 9, 20, 21])
        #expect(try x.part([.at(0), range(nil, nil, -1), .at(0)]).numbers == [8, 4, 0])
        #expect(try x.part([.at(0), .at(0), range(3, nil, -2)]).numbers == [3, 1])
        #expect(try x.part([.at(0), .at(0), range(-100, 100)]).numbers == [0, 1, 2, 3])
        #expect(try x.part([.at(0), .at(0), range(3, 1)]).shape == [0])
        #expect(try x.part([range(5, 9)]).shape == [0, 3, 4])
    }

    @Test func viewsSeeWrites() throws {
        let row = try x.part([.at(1)])
        try x.assignPart([.at(1), .at(0), .at(0)], Tensor(scalar: Float(99)))
        #expect(row.number(at: 0) == 99)
    }

    @Test func assignmentBroadcastsAndCasts() throws {
        let y = try x.copy()
        try y.assignPart([.all, .at(0), range(1, 3)], Tensor([1, 2] as [Int32]))
        #expect(try y.part([.all, .at(0)]).numbers == [0, 1, 2, 3, 12, 1, 2, 15])
        try y.assignPart([.at(0), range(nil, nil, -1), .at(0)], tensor([1, 2, 3], [3]))
        #expect(try y.part([.at(0), .all, .at(0)]).numbers == [3, 2, 1])
        try y.assignPart([], Tensor(scalar: Float(7)))
        #expect(y.numbers.allSatisfy { $0 == 7 })
    }

    /// The value may be part of the same memory.
    @Test func overlappingAssignment() throws {
        let y = try tensor([1, 2, 3, 4], [4])
        try y.assignPart([range(1, 4)], y.part([range(0, 3)]))
        #expect(y.numbers == [1, 1, 2, 3])
    }

    @Test func errorsNameWhatIsWrong() throws {
        #expect(message { _ = try x.part([.at(2)]) }.hasPrefix("[get_item] position 2 is out of range for axis 0 of size 2"))
        #expect(message { _ = try x.part([.at(Int.min)]) }.contains("out of range"))
        #expect(message { _ = try x.part([.all, .all, .all, .all]) }.contains("4 positions for a tensor with 3 axes"))
        #expect(message { _ = try x.part([range(nil, nil, 0)]) }.contains("step must not be 0"))
        #expect(message { try x.assignPart([.at(0)], tensor([1, 2, 3], [3])) }.contains("does not fit"))
        _ = try x.part([range(Int.min, Int.max, Int.max)])
        _ = try x.part([range(Int.max, Int.min, -Int.max)])
    }

    @Test func trackedValuesAreIndexedByAnOperation() throws {
        let value = Value(x)
        #expect(try index(value, [.at(0)]).tensor().storage === x.storage)
        let tape = Tape()
        tape.start()
        tape.watch(value)
        let part = try index(value, [.at(0), .at(1)])
        tape.stop()
        let gradient = try #require(try tape.gradients(of: part, withRespectTo: [value])[0]?.tensor())
        #expect(gradient.numbers.reduce(0, +) == 4)
        #expect(gradient.number(at: 4) == 1)
    }
}
