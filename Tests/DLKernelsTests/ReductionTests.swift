import DLBase
import DLKernels
import Testing

@Suite("Reductions")
struct ReductionTests {
    static let shapes: [([Int], [Int]?)] = [
        ([], nil), ([1], nil), ([7], nil), ([8], nil), ([9], nil), ([16], [0]), ([17], [0]), ([100_003], nil), ([5, 0], [1]),
        ([0, 5], [0]), ([3, 10], [1]), ([64, 33], [1]), ([3, 40_000], [1]), ([64, 33], [0]), ([1000, 6], [0]),
        ([9000, 6], [0]), ([5000, 10], [0]), ([3000, 16], [0]), ([777, 33], [0]), ([600, 128], [0]), ([40, 5000], [0]),
        ([4, 9, 7, 5], [0, 1, 2]), ([8, 28, 28, 6], [0, 1, 2]), ([4, 9, 7, 5], [1, 2]), ([4, 9, 7, 5], [0, 2]),
        ([4, 9, 7, 5], [1, 3]), ([4, 9, 7, 5], []), ([4, 9, 7, 5], nil), ([2, 300, 70], [1]), ([2, 3000, 7], [1]),
        ([3, 1, 2, 1, 3, 2], [0, 2, 4]),
    ]

    static func naive(_ f: ReductionFunction, _ x: [Double], _ shape: [Int], _ axes: [Int]) -> [Double] {
        let kept = shape.indices.filter { !axes.contains($0) }
        let count = kept.reduce(1) { $0 * shape[$1] }
        var lists = [[Double]](repeating: [], count: count)
        for (i, value) in x.enumerated() {
            var rest = i, at = 0, step = 1
            for axis in shape.indices.reversed() {
                let position = rest % shape[axis]
                rest /= shape[axis]
                if kept.contains(axis) {
                    at += position * step
                    step *= shape[axis]
                }
            }
            lists[at].append(value)
        }
        return lists.map { list in
            switch f {
            case .sum: list.reduce(0, +)
            case .mean: list.reduce(0, +) / Double(list.count)
            case .maximum: list.reduce(-.infinity, max)
            case .minimum: list.reduce(.infinity, min)
            case .product: list.reduce(1, *)
            case .sumOfSquares: list.reduce(0) { $0 + $1 * $1 }
            case .sumOfMagnitudes: list.reduce(0) { $0 + abs($1) }
            case .logSumExp: logSumExp(list)
            case .any, .all: 0
            }
        }
    }

    static func logSumExp(_ list: [Double]) -> Double {
        let largest = list.reduce(-.infinity, max)
        if largest.isInfinite { return largest }
        var sum = 0.0
        for value in list { sum += UnaryTests.exp(value - largest) }
        return largest + UnaryTests.log(sum)
    }

    @Test("Every function over every kind of axes, with one thread and with three", arguments: shapes.indices)
    func allAxes(_ index: Int) throws {
        let (shape, axes) = Self.shapes[index]
        var numbers = TestNumbers(seed: 31)
        let n = shape.reduce(1, *)
        for f in ReductionFunction.allCases where f.resultType(.float32) != nil {
            if (f == .logSumExp || f == .product) && n > 30_000 { continue }
            let values: [Float] =
                f == .product
                ? (0..<n).map { _ in Float.random(in: 0.98...1.02, using: &numbers) }
                : (0..<n).map { _ in Float.random(in: f == .maximum ? -1 ... -0.5 : 0.25...1.5, using: &numbers) }
            let x = Guarded(values)
            let expected = Self.naive(f, values.map { Double($0) }, shape, axes ?? Array(shape.indices)).map { Float($0) }
            for level in testedLevels + [.baseline] {
                let kernel = try need(ReductionKernel(f, .float32, shape: shape, axes: axes, level: level))
                #expect(kernel.resultCount == expected.count)
                var results: [[Float]] = []
                withThreads { runtime in
                    let y = Guarded<Float>(count: expected.count)
                    let scratch = GuardedScratch(bytes: kernel.scratchByteCount)
                    kernel(runtime, x.raw, y.raw, scratch: scratch.pointer)
                    #expect(y.isIntact && scratch.isIntact && x.isIntact)
                    withExtendedLifetime(scratch) {}
                    results.append(y.values)
                }
                #expect(sameBits(results[0], results[1]), "\(f) \(level)")
                #expect(relativeError(results[0], expected) < (f == .product ? 1e-5 : 1e-6), "\(f) \(level) \(results[0].prefix(4)) \(expected.prefix(4))")
            }
        }
    }

    @Test("NaN and infinity in maxima and minima", arguments: [1, 7, 8, 9, 33, 20_000])
    func special(_ n: Int) throws {
        for position in Set([0, n / 2, n - 1]) {
            for f in [ReductionFunction.maximum, .minimum] {
                for (shape, axes) in [([n], [0]), ([n, 3], [0])] {
                    for level in testedLevels + [.baseline] {
                        var values = [Float](repeating: 1, count: shape.reduce(1, *))
                        values[position * (values.count / n)] = .nan
                        let x = Guarded(values)
                        let kernel = try need(ReductionKernel(f, .float32, shape: shape, axes: axes, level: level))
                        let y = Guarded<Float>(count: kernel.resultCount)
                        let scratch = GuardedScratch(bytes: kernel.scratchByteCount)
                        kernel(nil, x.raw, y.raw, scratch: scratch.pointer)
                        withExtendedLifetime(scratch) {}
                        #expect(y.pointer[0].isNaN, "\(f) \(shape) \(level)")
                        for i in 1..<max(1, y.count) { #expect(y.pointer[i] == 1) }
                    }
                }
            }
        }
    }

    @Test("Long sums of equal numbers keep seven digits")
    func accuracy() throws {
        let n = 4_000_000
        let x = Guarded([Float](repeating: 0.1, count: n))
        for level in testedLevels {
            for shape in [[n], [n / 8, 8], [8, n / 8]] {
                let kernel = try need(ReductionKernel(.sum, .float32, shape: shape, axes: [0], level: level))
                let y = Guarded<Float>(count: kernel.resultCount), scratch = GuardedScratch(bytes: kernel.scratchByteCount)
                kernel(nil, x.raw, y.raw, scratch: scratch.pointer)
                withExtendedLifetime(scratch) {}
                let expected = Float(Double(n / kernel.resultCount) * Double(Float(0.1)))
                #expect(y.values.allSatisfy { abs($0 - expected) <= 1e-6 * expected }, "\(y.pointer[0]) \(expected)")
            }
        }
    }

    @Test("Whole numbers and bool")
    func wholeNumbers() throws {
        func run<T: BitwiseCopyable>(_ f: ReductionFunction, _ type: ElementType, _ x: [T], _ axes: [Int]) throws -> [T] {
            let kernel = try need(ReductionKernel(f, type, shape: [2, x.count / 2], axes: axes))
            let y = Guarded<T>(count: kernel.resultCount), scratch = GuardedScratch(bytes: kernel.scratchByteCount)
            kernel(nil, Guarded(x).raw, y.raw, scratch: scratch.pointer)
            withExtendedLifetime(scratch) {}
            #expect(y.isIntact)
            return y.values
        }
        #expect(try run(.sum, .int32, [Int32.max, 1, -3, 4], [1]) == [.min, 1])
        #expect(try run(.maximum, .int64, [Int64.min, 1, -3, -4], [0]) == [-3, 1])
        #expect(try run(.minimum, .uint8, [UInt8(9), 200, 3, 4], [0, 1]) == [3])
        #expect(try run(.product, .int32, [Int32(2), 3, 4, 5], [0]) == [8, 15])
        #expect(try run(.sumOfSquares, .int32, [Int32(2), 3, 4, 5], [0, 1]) == [54])
        #expect(try run(.any, .bool, [UInt8(0), 0, 0, 9], [1]) == [0, 1])
        #expect(try run(.all, .bool, [UInt8(1), 2, 0, 9], [1]) == [1, 0])
        #expect(ReductionKernel(.any, .float32, shape: [2]) == nil)
        #expect(ReductionKernel(.mean, .int32, shape: [2]) == nil)
        #expect(ReductionKernel(.sum, .float32, shape: [2], axes: [1]) == nil)
    }

    @Test("Positions of extremes: the first one, NaN wins")
    func arguments() throws {
        let x: [Float] = [1, 3, 3, 0, .nan, 5, .nan, 7, -.infinity, -.infinity, -.infinity, -.infinity]
        let axis = ReductionAxis(outer: 3, n: 4, inner: 1)
        let y = Guarded<Int64>(count: 3), z = Guarded<Int32>(count: 4)
        try need(ArgumentKernel(.maximum, .float32))(nil, axis, Guarded(x).raw, y.raw)
        #expect(y.values == [1, 0, 0])
        try need(ArgumentKernel(.minimum, .float32))(nil, axis, Guarded(x).raw, y.raw)
        #expect(y.values == [3, 0, 0])
        try need(ArgumentKernel(.maximum, .float32, resultType: .int32))(
            nil, try need(ReductionAxis([3, 4], axis: 0)), Guarded(x).raw, z.raw)
        #expect(z.values == [1, 1, 1, 2] || z.values == [1, 1, 1, 1])
        try need(ArgumentKernel(.maximum, .uint8))(nil, axis, Guarded<UInt8>([0, 9, 9, 1, 4, 3, 2, 1, 0, 0, 0, 1]).raw, y.raw)
        #expect(y.values == [1, 0, 3])
        #expect(ArgumentKernel(.maximum, .float32, resultType: .uint8) == nil)
        #expect(ReductionAxis([3], axis: 1) == nil)
    }

    @Test("Running sums and products")
    func scans() throws {
        func run(_ f: ScanKernel.Function, _ exclusive: Bool, _ reverse: Bool) throws -> [Int32] {
            let x = Guarded<Int32>([1, 2, 3, 4, 5, 6])
            try need(ScanKernel(f, .int32, exclusive: exclusive, reverse: reverse))(
                nil, ReductionAxis(outer: 1, n: 3, inner: 2), x.raw, x.raw)
            #expect(x.isIntact)
            return x.values
        }
        #expect(try run(.sum, false, false) == [1, 2, 4, 6, 9, 12])
        #expect(try run(.sum, true, false) == [0, 0, 1, 2, 4, 6])
        #expect(try run(.sum, false, true) == [9, 12, 8, 10, 5, 6])
        #expect(try run(.product, false, false) == [1, 2, 3, 8, 15, 48])
        #expect(try run(.product, true, true) == [15, 24, 5, 6, 1, 1])
        let x = Guarded<Float>([0.5, 0.25, 1]), y = Guarded<Float>(count: 3)
        try need(ScanKernel(.sum, .float32))(nil, ReductionAxis(outer: 1, n: 3, inner: 1), x.raw, y.raw)
        #expect(y.values == [0.5, 0.75, 1.75])
        #expect(ScanKernel(.sum, .bool) == nil)
    }
}
