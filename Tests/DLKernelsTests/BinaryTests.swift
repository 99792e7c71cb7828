import DLBase
import DLKernels
import Testing

@Suite("Functions of two elements")
struct BinaryTests {
    /// The element of a broadcast operand that meets element i of the result.
    static func index(_ i: Int, _ result: [Int], _ shape: [Int]) -> Int {
        var rest = i, at = 0, step = 1
        for back in 0..<result.count {
            let size = result[result.count - 1 - back]
            let position = rest % size
            rest /= size
            if back < shape.count {
                let own = shape[shape.count - 1 - back]
                if own != 1 { at += position * step }
                step *= own
            }
        }
        return at
    }

    static let pairs: [([Int], [Int])] = [
        ([], []), ([1], [1]), ([5], []), ([], [33]), ([17], [17]), ([3, 17], [17]), ([17], [3, 17]),
        ([100, 6], [6]), ([100, 10], [10]), ([7, 16], [16]), ([50, 33], [33]), ([40, 64], [64]), ([9, 1], [9, 5]),
        ([9, 5], [9, 1]), ([2, 3, 4, 5], [3, 1, 5]), ([2, 1, 4, 1], [1, 3, 1, 5]), ([4, 1, 3, 1, 2], [1, 2, 1, 5, 1]),
        ([2, 1, 2, 1, 2, 1, 2, 1], [1, 2, 1, 2, 1, 2, 1, 2]), ([0, 3], [1, 3]), ([3, 40000], [3, 1]), ([1, 20000], [3, 1]),
        ([1000, 50], [50]), ([6000, 6], [6]),
    ]

    @Test("Every function broadcasts like NumPy", arguments: pairs)
    func broadcasting(_ a: [Int], _ b: [Int]) throws {
        var numbers = TestNumbers(seed: 21)
        let result = try need(BroadcastPlan.shape(a, b))
        let plan = try need(BroadcastPlan([a, b], to: result))
        let n = result.reduce(1, *)
        let x = Guarded((0..<a.reduce(1, *)).map { _ in Float.random(in: 0.25...4, using: &numbers) })
        let z = Guarded((0..<b.reduce(1, *)).map { _ in Float.random(in: 0.25...4, using: &numbers) })
        // The shapes of the big cases are tested with a few functions only: the loops are the same.
        let functions: [BinaryFunction] =
            n > 5000 ? [.add, .subtract, .less] : BinaryFunction.allCases.filter { $0.resultType(.float32) != nil }
        for f in functions {
            let reference = try need(BinaryKernel(f, .float32, level: .baseline))
            for level in testedLevels {
                let kernel = try need(BinaryKernel(f, .float32, level: level))
                withThreads { runtime in
                    if kernel.resultType == .bool {
                        let y = Guarded<UInt8>(count: n), expected = Guarded<UInt8>(count: n)
                        kernel(runtime, plan, x.raw, z.raw, y.raw)
                        reference(nil, plan, x.raw, z.raw, expected.raw)
                        #expect(y.isIntact && y.values == expected.values, "\(f) \(level)")
                    } else {
                        let y = Guarded<Float>(count: n), expected = Guarded<Float>(count: n)
                        kernel(runtime, plan, x.raw, z.raw, y.raw)
                        reference(nil, plan, x.raw, z.raw, expected.raw)
                        #expect(y.isIntact)
                        #expect(zip(y.values, expected.values).allSatisfy { ulps($0, $1) <= 2 }, "\(f) \(level)")
                    }
                }
            }
        }
        // The reference itself, against the definition.
        let y = Guarded<Float>(count: n)
        try need(BinaryKernel(.subtract, .float32, level: .baseline))(nil, plan, x.raw, z.raw, y.raw)
        for i in 0..<n {
            #expect(y.pointer[i] == x.pointer[Self.index(i, result, a)] - z.pointer[Self.index(i, result, b)])
        }
    }

    @Test("In place, and special values")
    func special() throws {
        let plan = try need(BroadcastPlan([[9], [9]], to: [9]))
        let a: [Float] = [.nan, 1, .infinity, -0.0, -5, 5, -5, 7, 0]
        let b: [Float] = [1, .nan, .infinity, 0, 3, -3, 0, .infinity, 0]
        for level in testedLevels + [.baseline] {
            func run(_ f: BinaryFunction) throws -> [Float] {
                let x = Guarded(a), z = Guarded(b)
                try need(BinaryKernel(f, .float32, level: level))(nil, plan, x.raw, z.raw, x.raw)
                #expect(x.isIntact)
                return x.values
            }
            let largest = try run(.maximum), smallest = try run(.minimum), mod = try run(.mod)
            #expect(largest[0].isNaN && largest[1].isNaN && largest[2] == .infinity && largest[4] == 3)
            #expect(smallest[0].isNaN && smallest[1].isNaN && smallest[4] == -5)
            #expect(mod[4] == 1 && mod[5] == -1 && mod[6].isNaN && mod[7] == 7)
            #expect(try run(.floorDivide)[4] == -2)
        }
    }

    @Test("Usual exponents of power", arguments: [2, 1, -1, 0.5, 3, 0, -0.5] as [Float])
    func powers(_ exponent: Float) throws {
        let x = specialFloats, n = x.count
        let plan = try need(BroadcastPlan([[n], []], to: [n]))
        let reference = Guarded<Float>(count: n)
        try need(BinaryKernel(.power, .float32, level: .baseline))(
            nil, plan, Guarded(x).raw, Guarded([exponent]).raw, reference.raw)
        for level in testedLevels {
            let y = Guarded<Float>(count: n)
            try need(BinaryKernel(.power, .float32, level: level))(
                nil, plan, Guarded(x).raw, Guarded([exponent]).raw, y.raw)
            for i in 0..<n {
                #expect(ulps(y.pointer[i], reference.pointer[i]) <= 1, "\(x[i])^\(exponent): \(y.pointer[i])")
            }
        }
    }

    @Test("Whole numbers wrap, and division by zero gives zero")
    func wholeNumbers() throws {
        let a: [Int32] = [7, -7, 7, -7, 5, .min, .max, 2, -1, .min]
        let b: [Int32] = [2, 2, -2, -2, 0, -1, 1, 31, .min, 0]
        let plan = try need(BroadcastPlan([[10], [10]], to: [10]))
        func run(_ f: BinaryFunction) throws -> [Int32] {
            let y = Guarded<Int32>(count: 10)
            try need(BinaryKernel(f, .int32))(nil, plan, Guarded(a).raw, Guarded(b).raw, y.raw)
            #expect(y.isIntact)
            return y.values
        }
        #expect(try run(.divide) == [3, -3, -3, 3, 0, .min, .max, 0, 0, 0])
        #expect(try run(.floorDivide) == [3, -4, -4, 3, 0, .min, .max, 0, 0, 0])
        #expect(try run(.mod) == [1, 1, -1, -1, 0, 0, 0, 2, -1, 0])
        #expect(try run(.power) == [49, 49, 0, 0, 1, 0, .max, .min, 1, 1])
        #expect(try run(.add)[5] == .max && run(.multiply)[5] == .min)
        let bytes = Guarded<UInt8>(count: 3)
        try need(BinaryKernel(.subtract, .uint8))(
            nil, try need(BroadcastPlan([[3], []], to: [3])), Guarded<UInt8>([0, 5, 255]).raw, Guarded<UInt8>([6]).raw,
            bytes.raw)
        #expect(bytes.values == [250, 255, 249])
        #expect(BinaryKernel(.add, .bool) == nil && BinaryKernel(.logicalAnd, .int32) == nil)
        let logic = Guarded<UInt8>(count: 4)
        let four = try need(BroadcastPlan([[4], [4]], to: [4]))
        for (f, expected) in [
            (BinaryFunction.logicalAnd, [0, 0, 0, 1] as [UInt8]), (.logicalOr, [0, 1, 1, 1]), (.logicalXor, [0, 1, 1, 0]),
        ] {
            try need(BinaryKernel(f, .bool))(
                nil, four, Guarded<UInt8>([0, 0, 1, 1]).raw, Guarded<UInt8>([0, 1, 0, 1]).raw, logic.raw)
            #expect(logic.values == expected)
        }
    }

    @Test("Plans refuse what does not broadcast")
    func refusals() {
        #expect(BroadcastPlan([[3], [2]], to: [3]) == nil)
        #expect(BroadcastPlan([[3]], to: [2, 2]) == nil)
        #expect(BroadcastPlan([[2, 3]], to: [3]) == nil)
        #expect(BroadcastPlan([[1, 3]], to: [3]) != nil)
        #expect(BroadcastPlan.shape([3], [2]) == nil)
        #expect(BroadcastPlan([[Int.max, 2]], to: [Int.max, 2]) == nil)
        let many = (0..<20).map { $0 % 2 == 0 ? 2 : 1 }, other = (0..<20).map { $0 % 2 == 0 ? 1 : 2 }
        #expect(BroadcastPlan([many, other], to: [Int](repeating: 2, count: 20)) == nil)
    }

    @Test("Selection by a condition, with broadcasting, for every element size")
    func selection() throws {
        let plan = try need(BroadcastPlan([[3, 1], [4], []], to: [3, 4]))
        let condition = Guarded<UInt8>([1, 0, 5])
        func run<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws {
            let y = Guarded<T>(count: 12)
            try need(SelectKernel(byteCount: MemoryLayout<T>.size))(
                plan, condition: condition.pointer, Guarded<T>([1, 2, 3, 4]).raw, Guarded<T>([9]).raw, y.raw)
            #expect(y.isIntact && y.values == [1, 2, 3, 4, 9, 9, 9, 9, 1, 2, 3, 4])
        }
        try run(UInt8.self)
        try run(Int32.self)
        try run(Int64.self)
        #expect(SelectKernel(byteCount: 2) == nil)
    }
}
