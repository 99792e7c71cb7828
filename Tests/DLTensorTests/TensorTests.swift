import DLBase
import DLTestSupport
import Testing

@testable import DLTensor

@Suite struct TensorTests {
    private func counted(_ shape: Shape) throws -> Tensor { try Tensor((0..<shape.count).map { Float($0) }, shape) }

    @Test func making() throws {
        #expect(try Tensor(zeros: [2, 3]).numbers == [0, 0, 0, 0, 0, 0])
        #expect(try Tensor([Int32(1), 2, 3]).shape == [3])
        #expect(try Tensor(scalar: 2.5).item() == 2.5)
        #expect(try Tensor([Float](), [0, 5]).count == 0)
        #expect(try Tensor(number: 7, .uint8, shape: [2]).array(UInt8.self) == [7, 7])
        #expect(failure { _ = try Tensor([1.0, 2], [3]) }?.code == .shape)
        for type in ElementType.allCases {
            let tensor = try Tensor(zeros: [3, 5], type)
            #expect(tensor.byteCount == 15 * type.byteCount && UInt(bitPattern: tensor.pointer) % 64 == 0)
        }
    }

    @Test func shapesThatDoNotFitAreRefused() {
        #expect(failure { _ = try Shape(checked: [-1]) }?.code == .shape)
        #expect(failure { _ = try Shape(checked: [Int.max, 2]) }?.code == .shape)
        #expect(failure { _ = try Shape(checked: [0, Int.max, 2]) }?.code == .shape)
        #expect(failure { _ = try Shape(checked: [1 << 31, 1 << 31]) }?.code == .shape)
        #expect(failure { _ = try Shape(checked: [Int](repeating: 1, count: 17)) }?.code == .shape)
        #expect(failure { _ = try Tensor(zeros: Shape(checked: [1 << 28, 1 << 28]), .float64) }?.code == .memory)
        // The largest shape that is allowed has a size in bytes that an Int holds.
        #expect(Int.max / 16 * 8 > 0)
    }

    @Test func outOfMemoryIsAnError() {
        Memory.failAllocation(1)
        #expect(failure { _ = try Tensor(zeros: [10]) }?.code == .memory)
    }

    @Test func memoryGoesBack() throws {
        // Larger than anything that other tests hold at the same time.
        let size = 300 << 20
        var tensor: Tensor? = try Tensor(uninitialized: [size], .uint8)
        let view = try tensor?.rows(5..<10)
        #expect(Memory.statistics.inUse >= size)
        tensor = nil
        #expect(Memory.statistics.inUse >= size)
        withExtendedLifetime(view) {}
    }

    @Test func foreignMemoryIsReleasedOnce() throws {
        final class Counter { var value = 0 }
        let counter = Counter()
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        do {
            let storage = Storage(foreign: memory, byteCount: 8) {
                memory.deallocate()
                counter.value += 1
            }
            let tensor = Tensor(storage: storage, shape: [2], type: .float32)
            tensor.fill(3)
            let row = try tensor.row(1)
            #expect(row.numbers == [3] && counter.value == 0)
        }
        #expect(counter.value == 1)
    }

    @Test func reshapesShareMemory() throws {
        let tensor = try counted([2, 6])
        let other = try tensor.reshaped([3, 4])
        #expect(other.shape == [3, 4] && other.numbers == tensor.numbers)
        other.setNumber(-1, at: 5)
        #expect(tensor.number(at: 5) == -1)
        #expect(try counted([1]).reshaped([]).item() == 0)
        #expect(try Tensor(zeros: [0, 3]).reshaped([7, 0]).shape == [7, 0])
        #expect(failure { _ = try tensor.reshaped([5]) }?.message
            == "[reshape] cannot reshape 12 elements into 5. Received: (2, 6) and (5,)")
    }

    @Test func rowsShareMemory() throws {
        let tensor = try counted([4, 2, 3])
        let middle = try tensor.rows(1..<3)
        #expect(middle.shape == [2, 2, 3] && middle.numbers == (6..<18).map { Double($0) })
        #expect(try middle.row(1).numbers == (12..<18).map { Double($0) })
        #expect(try middle.row(1).row(0).row(2).item() == 14)
        try middle.row(0).fill(9)
        #expect(tensor.number(at: 6) == 9 && tensor.number(at: 12) == 12 && tensor.number(at: 5) == 5)
        #expect(try tensor.rows(4..<4).count == 0)
        for range in [-1..<1, 3..<5, 0..<Int.max, Int.min..<0] {
            #expect(failure { _ = try tensor.rows(range) }?.code == .range)
        }
        for index in [-1, 4, Int.max, Int.min] { #expect(failure { _ = try tensor.row(index) }?.code == .range) }
        #expect(failure { _ = try Tensor(scalar: 1.0).rows(0..<1) }?.code == .range)
    }

    @Test func copiesAreApart() throws {
        let tensor = try counted([3])
        let copy = try tensor.copy()
        copy.fill(5)
        #expect(tensor.numbers == [0, 1, 2] && copy.numbers == [5, 5, 5])
        #expect(try Tensor(zeros: [0]).copy().count == 0)
    }

    @Test func assigning() throws {
        let tensor = try counted([2, 3])
        let version = tensor.storage.version
        try tensor.row(1).assign(try Tensor([Float(7), 8, 9]))
        #expect(tensor.numbers == [0, 1, 2, 7, 8, 9] && tensor.storage.version != version)
        #expect(failure { try tensor.assign(try Tensor(zeros: [3, 2])) }?.code == .shape)
        #expect(failure { try tensor.assign(try Tensor(zeros: [2, 3], .float64)) }?.code == .shape)
        // Parts of one tensor that overlap.
        let line = try counted([6])
        try line.rows(1..<6).assign(try line.rows(0..<5))
        #expect(line.numbers == [0, 0, 1, 2, 3, 4])
    }

    @Test func fillingSaturates() throws {
        func filled(_ type: ElementType, _ number: Double) throws -> Double { try Tensor(number: number, type).item() }
        #expect(try filled(.uint8, 256) == 255 && filled(.uint8, -1) == 0 && filled(.uint8, 254.9) == 254)
        #expect(try filled(.int32, 1e10) == 2_147_483_647 && filled(.int32, -1e10) == -2_147_483_648)
        #expect(try Tensor(number: 1e300, .int64).array(Int64.self) == [.max])
        #expect(try Tensor(number: -1e300, .int64).array(Int64.self) == [.min])
        #expect(try Tensor(number: 0x1p63, .int64).array(Int64.self) == [.max])
        for type in [ElementType.uint8, .int32, .int64] { #expect(try filled(type, .nan) == 0) }
        #expect(try filled(.int32, -.infinity) == -2_147_483_648)
        #expect(try filled(.bool, .nan) == 1 && filled(.bool, 0) == 0 && filled(.bool, -2) == 1)
        #expect(try filled(.float32, 1e300) == .infinity && filled(.float32, .nan).isNaN)
        for type in ElementType.allCases {
            let tensor = try Tensor(zeros: [2], type)
            tensor.setNumber(1e300, at: 1)
            #expect(try tensor.number(at: 1) == filled(type, 1e300) && tensor.number(at: 0) == 0)
        }
    }

    @Test func items() throws {
        #expect(try Tensor([Float(3)], [1, 1]).item() == 3)
        #expect(failure { _ = try Tensor(zeros: [2]).item() }?.code == .shape)
        #expect(failure { _ = try Tensor(zeros: [0]).item() }?.code == .shape)
    }

    @Test func uniqueness() throws {
        var alone = try counted([2])
        let isAlone = alone.isUniquelyReferenced()
        #expect(isAlone)
        var tensor = try counted([2])
        let view = try tensor.row(0)
        let isShared = !tensor.isUniquelyReferenced()
        #expect(isShared)
        withExtendedLifetime(view) {}
    }

    private func gather(_ source: Tensor, _ indices: [Int], _ target: Tensor) throws {
        try indices.withUnsafeBufferPointer { try gatherRows(source, $0, into: target) }
    }

    @Test func gatheringRows() throws {
        let source = try counted([5, 2, 2])
        let target = try Tensor(zeros: [4, 2, 2])
        let version = target.storage.version
        try gather(source, [4, 0, 0, 2], target)
        #expect(target.numbers == [16, 17, 18, 19, 0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11])
        #expect(target.storage.version != version)
        try gather(try Tensor([Int64(5), 6, 7]), [2, 0], try Tensor(zeros: [2], .int64))
        try gather(source, [], try Tensor(zeros: [0, 2, 2]))
        try gather(try Tensor(zeros: [3, 0]), [1, 1], try Tensor(zeros: [2, 0]))
    }

    @Test func gatheringManyRowsIsTheSameWithAnyThreads() throws {
        let source = try Tensor((0..<3000 * 257).map { Int32($0) }, [3000, 257])
        var random = RandomStream(seed: 3)
        let order = random.permutation(3000)
        let threads = ThreadPool.shared.threads
        defer { ThreadPool.shared.threads = threads }
        for threads in [1, 2, 5] {
            ThreadPool.shared.threads = threads
            let target = try Tensor(zeros: [3000, 257], .int32)
            try gather(source, order, target)
            let all = target.elements(Int32.self)
            #expect(order.indices.allSatisfy { row in
                (0..<257).allSatisfy { all[row * 257 + $0] == Int32(order[row] * 257 + $0) }
            })
        }
    }

    @Test func gatheringWhatDoesNotFit() throws {
        let source = try counted([5, 2])
        let target = try Tensor(zeros: [2, 2])
        for index in [-1, 5, Int.max, Int.min] {
            #expect(failure { try gather(source, [0, index], target) }?.code == .range)
        }
        #expect(failure { try gather(source, [1], target) }?.code == .shape)
        #expect(failure { try gather(source, [1, 1], try Tensor(zeros: [2, 3])) }?.code == .shape)
        #expect(failure { try gather(source, [1, 1], try Tensor(zeros: [2, 2], .int32)) }?.code == .dtype)
        #expect(failure { try gather(try Tensor(scalar: 1.0), [], try Tensor(scalar: 1.0)) }?.code == .shape)
        #expect(target.numbers == [0, 0, 0, 0])
    }
}
