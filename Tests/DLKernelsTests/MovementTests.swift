import DLBase
import DLKernels
import Testing

@Suite("Movement of elements")
struct MovementTests {
    /// 0, 1, 2, ... moved by the copy, for every element size and with threads; the results must be equal.
    static func run(_ count: Int, _ result: Int, _ make: (_ byteCount: Int) -> StridedCopy?) throws -> [Int] {
        func typed<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws -> [Int] {
            let copy = try need(make(MemoryLayout<T>.size))
            var all: [[T]] = []
            withThreads { runtime in
                let x = Guarded((0..<count).map { T(truncatingIfNeeded: $0) }), y = Guarded([T](repeating: 99, count: result))
                copy(runtime, x.raw, y.raw)
                #expect(y.isIntact && x.isIntact)
                all.append(y.values)
            }
            #expect(all[0] == all[1])
            return all[0].map { Int($0) }
        }
        let wide = try typed(UInt64.self)
        #expect(try typed(UInt32.self) == wide)
        #expect(try typed(UInt8.self) == wide.map { $0 & 255 })
        return wide
    }

    static func strides(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for k in shape.indices.dropLast().reversed() { strides[k] = strides[k + 1] * shape[k + 1] }
        return strides
    }

    static func positions(_ shape: [Int]) -> [[Int]] {
        shape.reduce([[]]) { lists, size in lists.flatMap { list in (0..<size).map { list + [$0] } } }
    }

    @Test(
        "Permutations",
        arguments: [
            ([5], [0]), ([3, 4], [1, 0]), ([17, 33], [1, 0]), ([2, 3, 4], [2, 0, 1]), ([2, 3, 4], [0, 2, 1]),
            ([2, 5, 7, 3], [0, 3, 1, 2]), ([2, 5, 7, 3], [0, 2, 3, 1]), ([3, 1, 4, 2], [3, 2, 1, 0]), ([130, 200], [1, 0]),
            ([2, 3, 2, 2, 3, 2], [5, 0, 4, 1, 3, 2]), ([0, 3], [1, 0]), ([], []),
        ] as [([Int], [Int])])
    func permute(_ shape: [Int], _ permutation: [Int]) throws {
        let n = shape.reduce(1, *), from = Self.strides(shape)
        let got = try Self.run(n, n) { StridedCopy.permute(shape, permutation, byteCount: $0) }
        let expected = Self.positions(permutation.map { shape[$0] }).map { position in
            position.enumerated().reduce(0) { $0 + $1.element * from[permutation[$1.offset]] }
        }
        #expect(got == expected)
    }

    @Test("Slices with steps of both signs, and assignment to them")
    func slices() throws {
        let shape = [5, 6, 7]
        for (begin, step, sizes) in [
            ([0, 0, 0], [1, 1, 1], [5, 6, 7]), ([1, 2, 3], [1, 1, 1], [2, 3, 4]), ([4, 5, 6], [-1, -2, -3], [5, 3, 3]),
            ([0, 5, 1], [2, -5, 1], [3, 2, 6]), ([2, 2, 2], [1, 1, 1], [1, 1, 1]), ([0, 0, 0], [1, 1, 1], [2, 0, 3]),
        ] {
            let slice = StridedCopy.Slice(begin: begin, step: step, sizes: sizes)
            let n = sizes.reduce(1, *), from = Self.strides(shape)
            let expected = Self.positions(sizes).map { p in
                (0..<3).reduce(0) { $0 + (begin[$1] + p[$1] * step[$1]) * from[$1] }
            }
            #expect(try Self.run(210, n) { StridedCopy.slice(shape, slice, byteCount: $0) } == expected)
            let assigned = try Self.run(n, 210) { StridedCopy.assign(shape, slice, byteCount: $0) }
            var target = [Int](repeating: 99, count: 210)
            for (i, at) in expected.enumerated() { target[at] = i }
            #expect(assigned == target)
        }
        for (begin, step, size) in [(0, 1, 6), (-1, 1, 1), (5, 1, 1), (4, 1, 2), (0, -1, 2), (1, Int.max, 3), (0, 1, -1)] {
            #expect(StridedCopy.slice([5], .init(begin: [begin], step: [step], sizes: [size]), byteCount: 4) == nil)
        }
    }

    @Test("Reverse, tile, repeat, broadcast, concatenate")
    func others() throws {
        #expect(try Self.run(6, 6) { StridedCopy.reverse([2, 3], axes: [1], byteCount: $0) } == [2, 1, 0, 5, 4, 3])
        #expect(try Self.run(6, 6) { StridedCopy.reverse([2, 3], axes: [0, 1], byteCount: $0) } == [5, 4, 3, 2, 1, 0])
        #expect(try Self.run(2, 12) { StridedCopy.tile([1, 2], [2, 3], byteCount: $0) } == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
        #expect(try Self.run(4, 8) { StridedCopy.tile([2, 2], [2, 1], byteCount: $0) } == [0, 1, 2, 3, 0, 1, 2, 3])
        #expect(try Self.run(4, 12) { StridedCopy.repeatElements([2, 2], axis: 0, times: 3, byteCount: $0) } == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3])
        #expect(try Self.run(4, 8) { StridedCopy.repeatElements([2, 2], axis: 1, times: 2, byteCount: $0) } == [0, 0, 1, 1, 2, 2, 3, 3])
        #expect(try Self.run(3, 6) { StridedCopy.broadcast([3], to: [2, 3], byteCount: $0) } == [0, 1, 2, 0, 1, 2])
        #expect(try Self.run(2, 6) { StridedCopy.broadcast([2, 1], to: [2, 3], byteCount: $0) } == [0, 0, 0, 1, 1, 1])
        #expect(try Self.run(4, 6) { StridedCopy.concatenate(into: [2, 3], axis: 1, begin: 1, size: 2, byteCount: $0) } == [99, 0, 1, 99, 2, 3])
        #expect(StridedCopy.concatenate(into: [2, 3], axis: 1, begin: 2, size: 2, byteCount: 4) == nil)
        #expect(StridedCopy.broadcast([2], to: [3], byteCount: 4) == nil)
        #expect(StridedCopy.tile([2], [.max], byteCount: 4) == nil || StridedCopy.tile([4], [.max], byteCount: 4) == nil)
        #expect(StridedCopy.permute([2, 3], [0, 0], byteCount: 4) == nil && StridedCopy.permute([2], [0], byteCount: 2) == nil)
    }

    @Test("Padding with a constant")
    func pad() throws {
        let kernel = try need(PadKernel([2, 2], before: [1, 0], after: [0, 2], byteCount: 4))
        let y = Guarded<Float>(count: kernel.resultCount)
        kernel(nil, Guarded<Float>([1, 2, 3, 4]).raw, y.raw, element: Fill.bits(-1, .float32))
        #expect(y.isIntact && y.values == [-1, -1, -1, -1, 1, 2, -1, -1, 3, 4, -1, -1])
        #expect(PadKernel([2], before: [-1], after: [0], byteCount: 4) == nil)
        #expect(PadKernel([2], before: [.max], after: [0], byteCount: 4) == nil)
    }

    @Test("Gather and scatter-add, with indices out of range reported")
    func gather() throws {
        let axis = ReductionAxis(outer: 2, n: 3, inner: 2)
        let x = Guarded<Float>((0..<12).map { Float($0) })
        let wide = try need(Indices(Guarded<Int64>([2, 0, 2, 1]).raw, .int64, count: 4))
        let narrow = try need(Indices(Guarded<Int32>([2, 0, 2, 1]).raw, .int32, count: 4))
        for indices in [wide, narrow] {
            let y = Guarded<Float>(count: 16)
            #expect(Gather.take(nil, axis, x.raw, indices, y.raw, byteCount: 4) == nil)
            #expect(y.isIntact && y.values == [4, 5, 0, 1, 4, 5, 2, 3, 10, 11, 6, 7, 10, 11, 8, 9])
            let sum = Guarded([Float](repeating: 0, count: 12))
            #expect(Gather.scatterAdd(nil, axis, y.raw, indices, sum.raw, type: .float32) == nil)
            #expect(sum.isIntact && sum.values == [0, 1, 2, 3, 8, 10, 6, 7, 8, 9, 20, 22])
        }
        let bad = try need(Indices(Guarded<Int32>([0, 3, -1]).raw, .int32, count: 3))
        let y = Guarded([Float](repeating: 7, count: 12))
        let report = Gather.take(nil, axis, x.raw, bad, y.raw, byteCount: 4)
        #expect(report?.position == 1 && report?.value == 3 && y.values.allSatisfy { $0 == 7 })
        #expect(Gather.scatterAdd(nil, axis, x.raw, bad, y.raw, type: .float32)?.value == 3)
        #expect(y.values.allSatisfy { $0 == 7 })
        #expect(Indices(x.raw, .float32, count: 1) == nil)
    }

    @Test("Scatter-add gives the same bits for any number of threads")
    func scatterThreads() throws {
        var numbers = TestNumbers(seed: 81)
        let axis = ReductionAxis(outer: 1, n: 5, inner: 301), count = 700
        let x = Guarded((0..<count * 301).map { _ in Float.random(in: -1...1, using: &numbers) })
        let indices = try need(
            Indices(Guarded((0..<count).map { _ in Int32.random(in: 0..<5, using: &numbers) }).raw, .int32, count: count))
        var all: [[Float]] = []
        withThreads { runtime in
            let y = Guarded([Float](repeating: 0, count: 5 * 301))
            #expect(Gather.scatterAdd(runtime, axis, x.raw, indices, y.raw, type: .float32) == nil)
            #expect(y.isIntact)
            all.append(y.values)
        }
        #expect(sameBits(all[0], all[1]))
    }

    @Test("An index for every element")
    func alongAxis() throws {
        let axis = ReductionAxis(outer: 2, n: 3, inner: 2), x = Guarded<Int64>((0..<12).map { Int64($0) })
        let indices = try need(Indices(Guarded<Int32>([2, 0, 1, 1]).raw, .int32, count: 4))
        let y = Guarded<Int64>(count: 4)
        #expect(Gather.takeAlongAxis(axis, k: 1, x.raw, indices, y.raw, byteCount: 8) == nil)
        #expect(y.values == [4, 1, 8, 9])
        let back = Guarded([Int64](repeating: 0, count: 12))
        #expect(Gather.scatterAddAlongAxis(axis, k: 1, y.raw, indices, back.raw, type: .int64) == nil)
        #expect(back.values == [0, 1, 0, 0, 4, 0, 0, 0, 8, 9, 0, 0])
    }

    @Test("One-hot rows, ranges and fills")
    func oneHot() throws {
        let indices = try need(Indices(Guarded<Int64>([1, -1, 2, 3]).raw, .int64, count: 4))
        let y = Guarded<Float>(count: 12), bytes = Guarded<UInt8>(count: 12)
        Gather.oneHot(indices, depth: 3, y.raw, type: .float32)
        Gather.oneHot(indices, depth: 3, bytes.raw, type: .bool)
        #expect(y.isIntact && y.values == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        #expect(bytes.isIntact && bytes.values == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        let whole = Guarded<Int32>(count: 4)
        Fill.range(whole.raw, count: 4, type: .int32, start: 5, step: -2)
        #expect(whole.isIntact && whole.values == [5, 3, 1, -1])
        Fill.run(whole.raw, count: 4, byteCount: 4, element: Fill.bits(1e300, .int32))
        #expect(whole.values == [.max, .max, .max, .max])
        #expect(Fill.bits(.nan, .int64) == 0 && Fill.bits(300, .uint8) == 255 && Fill.bits(0.5, .bool) == 1)
    }
}
