import DLBase
import DLKernels
import Glibc
import Testing

@Suite("Functions of one element")
struct UnaryTests {
    static let functions = UnaryFunction.allCases.filter { $0.resultType(.float32) == .float32 }

    static func parameters(_ f: UnaryFunction) -> (alpha: Double, beta: Double) {
        switch f {
        case .elu: (0.75, 0)
        case .leakyRelu: (0.125, 0)
        case .clip: (-1.5, 2.25)
        case .affine: (1.5, -0.25)
        default: (0, 0)
        }
    }

    static func kernel(_ f: UnaryFunction, _ type: ElementType, _ level: ProcessorLevel) throws -> UnaryKernel {
        let (alpha, beta) = parameters(f)
        return try need(UnaryKernel(f, type, alpha: alpha, beta: beta, level: level))
    }

    /// Largest distance in units of the last place, or of the largest term where terms cancel.
    static func isClose(_ f: UnaryFunction, _ x: Float, _ got: Float, _ expected: Float) -> Bool {
        if ulps(got, expected) <= 3 { return true }
        switch f {
        case .gelu, .geluTanh, .erf, .affine, .mish, .silu, .logSigmoid, .softplus, .selu, .elu, .cosh, .sinh,
            .gaussian:
            // The square of the argument carries its own rounding into gaussian.
            let scale = f == .gaussian ? 64 * max(expected, .leastNormalMagnitude) : max(abs(x), 1)
            return abs(got - expected) <= 4 * Float.ulpOfOne * min(scale, .greatestFiniteMagnitude)
                || ulps(got, expected) <= 8
        case .sin, .cos: return abs(got - expected) <= 2 * Float.ulpOfOne
        default: return false
        }
    }

    @Test("float32 agrees with double precision, at vector borders and on special values", arguments: functions)
    func accuracy(_ f: UnaryFunction) throws {
        var numbers = TestNumbers(seed: 11)
        let reference = try Self.kernel(f, .float32, .baseline)
        for level in testedLevels {
            let tuned = try Self.kernel(f, .float32, level)
            for n in borderSizes + [5000] {
                var x = (0..<n).map { _ in Float.random(in: -12...12, using: &numbers) }
                for i in 0..<min(n, specialFloats.count) where n > 20 { x[i] = specialFloats[i] }
                let input = Guarded(x), y = Guarded<Float>(count: n), expected = Guarded<Float>(count: n)
                tuned(nil, input.raw, y.raw, count: n)
                reference(nil, input.raw, expected.raw, count: n)
                #expect(y.isIntact)
                for i in 0..<n {
                    #expect(
                        Self.isClose(f, x[i], y.pointer[i], expected.pointer[i]),
                        "\(f)(\(x[i])) = \(y.pointer[i]), expected \(expected.pointer[i]), \(level)")
                }
                let y0 = y.values
                tuned(nil, input.raw, input.raw, count: n)
                #expect(sameBits(input.values, y0), "in place")
                #expect(input.isIntact)
            }
        }
    }

    @Test("All thread counts and both widths give the same bits", arguments: functions)
    func determinism(_ f: UnaryFunction) throws {
        var numbers = TestNumbers(seed: 12)
        let x = Guarded((0..<40_001).map { _ in Float.random(in: -9...9, using: &numbers) })
        var results: [[Float]] = []
        for level in testedLevels {
            let kernel = try Self.kernel(f, .float32, level)
            withThreads { runtime in
                let y = Guarded<Float>(count: x.count)
                kernel(runtime, x.raw, y.raw, count: x.count)
                #expect(y.isIntact)
                results.append(y.values)
            }
        }
        for result in results { #expect(sameBits(result, results[0])) }
    }

    @Test(
        "exp, log, tanh and their kin stay within 3 units of the last place over random bit patterns",
        arguments: [UnaryFunction.exp, .expm1, .log, .log1p, .tanh, .sigmoid, .sqrt, .reciprocal])
    func allMagnitudes(_ f: UnaryFunction) throws {
        var numbers = TestNumbers(seed: 13)
        let n = 400_000
        let x = Guarded((0..<n).map { _ in Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &numbers)) })
        let y = Guarded<Float>(count: n), expected = Guarded<Float>(count: n)
        try Self.kernel(f, .float32, .baseline)(nil, x.raw, expected.raw, count: n)
        for level in testedLevels {
            try Self.kernel(f, .float32, level)(nil, x.raw, y.raw, count: n)
            var worst: UInt32 = 0, at = 0
            for i in 0..<n where ulps(y.pointer[i], expected.pointer[i]) > worst {
                worst = ulps(y.pointer[i], expected.pointer[i])
                at = i
            }
            #expect(worst <= 3, "\(f)(\(x.pointer[at])) = \(y.pointer[at]), expected \(expected.pointer[at])")
        }
    }

    @Test("The sign of zero is kept where mathematics keeps it")
    func signOfZero() throws {
        for level in testedLevels + [.baseline] {
            for f in [UnaryFunction.tanh, .sin, .expm1, .log1p, .sinh, .erf, .sign, .sqrt, .floor, .round] {
                let x = Guarded<Float>([-0.0]), y = Guarded<Float>(count: 1)
                try Self.kernel(f, .float32, level)(nil, x.raw, y.raw, count: 1)
                #expect(y.pointer[0] == 0 && y.pointer[0].sign == .minus, "\(f) \(level)")
            }
        }
    }

    @Test("Predicates", arguments: borderSizes)
    func predicates(_ n: Int) throws {
        let x = (0..<n).map { specialFloats[$0 % specialFloats.count] }
        for f in UnaryFunction.allCases where f.resultType(.float32) == .bool {
            for level in testedLevels + [.baseline] {
                let input = Guarded(x), y = Guarded<UInt8>(count: n)
                try need(UnaryKernel(f, .float32, level: level))(nil, input.raw, y.raw, count: n)
                #expect(y.isIntact)
                for i in 0..<n {
                    let expected =
                        switch f {
                        case .logicalNot: x[i] == 0
                        case .isNaN: x[i].isNaN
                        case .isInfinite: x[i].isInfinite
                        default: x[i].isFinite
                        }
                    #expect(y.pointer[i] == (expected ? 1 : 0), "\(f) \(x[i]) \(level)")
                }
            }
        }
    }

    @Test("Whole numbers: wrap, clip, sign")
    func wholeNumbers() throws {
        func run(_ f: UnaryFunction, _ x: [Int32], alpha: Double = 0, beta: Double = 0) throws -> [Int32] {
            let input = Guarded(x), y = Guarded<Int32>(count: x.count)
            try need(UnaryKernel(f, .int32, alpha: alpha, beta: beta))(nil, input.raw, y.raw, count: x.count)
            return y.values
        }
        let x: [Int32] = [.min, -7, -1, 0, 1, 8, .max]
        #expect(try run(.negative, x) == [.min, 7, 1, 0, -1, -8, -.max])
        #expect(try run(.abs, x) == [.min, 7, 1, 0, 1, 8, .max])
        #expect(try run(.sign, x) == [-1, -1, -1, 0, 1, 1, 1])
        #expect(try run(.relu6, x) == [0, 0, 0, 0, 1, 6, 6])
        #expect(try run(.clip, x, alpha: -2, beta: 1e300) == [-2, -2, -1, 0, 1, 8, .max])
        #expect(UnaryKernel(.exp, .int32) == nil && UnaryKernel(.negative, .bool) == nil)
    }

    @Test("Activation gradients equal finite differences in float64 and the reference in float32")
    func gradients() throws {
        var numbers = TestNumbers(seed: 14)
        var tested = 0
        for f in UnaryFunction.allCases {
            let alpha = Self.parameters(f).alpha
            guard let operand = ActivationGradientKernel.operand(of: f, alpha: alpha) else { continue }
            tested += 1
            let n = 203
            let x = Guarded((0..<n).map { _ in Double.random(in: -4...4, using: &numbers) })
            let dy = Guarded((0..<n).map { _ in Double.random(in: -1...1, using: &numbers) })
            let y = Guarded<Double>(count: n), up = Guarded<Double>(count: n), down = Guarded<Double>(count: n)
            let forward = try Self.kernel(f, .float64, .current)
            let step = 1e-6
            forward(nil, x.raw, y.raw, count: n)
            forward(nil, Guarded(x.values.map { $0 + step }).raw, up.raw, count: n)
            forward(nil, Guarded(x.values.map { $0 - step }).raw, down.raw, count: n)
            let dx = Guarded<Double>(count: n)
            let backward = try need(ActivationGradientKernel(f, .float64, alpha: alpha))
            backward(nil, dy: dy.raw, v: operand == .input ? x.raw : y.raw, dx: dx.raw, count: n)
            for i in 0..<n {
                let expected = dy.pointer[i] * (up.pointer[i] - down.pointer[i]) / (2 * step)
                #expect(abs(dx.pointer[i] - expected) < 1e-6, "\(f) at \(x.pointer[i])")
            }
            for level in testedLevels {
                let kernel = try need(ActivationGradientKernel(f, .float32, alpha: alpha, level: level))
                for n in borderSizes + [203] {
                    let source = operand == .input ? x.values : y.values
                    let v = Guarded(source.prefix(n).map { Float($0) }), dyf = Guarded(dy.values.prefix(n).map { Float($0) })
                    let out = Guarded<Float>(count: v.count)
                    kernel(nil, dy: dyf.raw, v: v.raw, dx: out.raw, count: v.count)
                    #expect(out.isIntact)
                    #expect(
                        zip(out.values, dx.values).allSatisfy { abs(Double($0) - $1) < 3e-6 }, "\(f) \(level)")
                    let result = out.values
                    kernel(nil, dy: dyf.raw, v: v.raw, dx: dyf.raw, count: v.count)
                    #expect(sameBits(dyf.values, result), "in place")
                }
            }
        }
        #expect(tested >= 19)
    }

    @Test("Casts saturate, truncate towards zero and never trap")
    func casts() {
        func cast<S: BitwiseCopyable, D: BitwiseCopyable>(_ x: [S], _ from: ElementType, _ to: ElementType, _ d: D.Type) -> [D] {
            let input = Guarded(x), y = Guarded<D>(count: x.count)
            CastKernel(from: from, to: to)(nil, input.raw, y.raw, count: x.count)
            #expect(y.isIntact)
            return y.values
        }
        let reals: [Float] = [0, -0.9, 1.9, -1.9, 255.9, 256, -1, 1e30, -1e30, .nan, .infinity, -.infinity]
        #expect(cast(reals, .float32, .uint8, UInt8.self) == [0, 0, 1, 0, 255, 255, 0, 255, 0, 0, 255, 0])
        #expect(
            cast(reals, .float32, .int32, Int32.self)
                == [0, 0, 1, -1, 255, 256, -1, .max, .min, 0, .max, .min])
        #expect(
            cast(reals, .float32, .int64, Int64.self)
                == [0, 0, 1, -1, 255, 256, -1, .max, .min, 0, .max, .min])
        #expect(cast(reals, .float32, .bool, UInt8.self) == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
        #expect(cast([1e300, -1e300, 0.1], .float64, .float32, Float.self) == [.infinity, -.infinity, 0.1])
        #expect(cast([Int64.max, -1, 258], .int64, .uint8, UInt8.self) == [255, 255, 2])
        #expect(cast([Int64.max, 3], .int64, .int32, Int32.self) == [-1, 3])
        #expect(cast([UInt8(0), 1, 7], .bool, .float32, Float.self) == [0, 1, 1])
        #expect(cast([UInt8(0), 1, 7], .bool, .bool, UInt8.self) == [0, 1, 1])
        #expect(cast([UInt8(0), 200], .uint8, .float64, Double.self) == [0, 200])
        for from in ElementType.allCases {
            for to in ElementType.allCases {
                let x = Guarded<UInt64>((0..<64).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }), y = Guarded<UInt64>(count: 64)
                CastKernel(from: from, to: to)(nil, x.raw, y.raw, count: 64)
                #expect(y.isIntact)
            }
        }
    }
}

extension UnaryTests {
    static func exp(_ x: Double) -> Double { Glibc.exp(x) }
    static func log(_ x: Double) -> Double { Glibc.log(x) }
}
