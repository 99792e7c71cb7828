import CDLKernels
import DLBase
import DLGraph
import DLTensor

/// What the error function lacks to 1: its continued fraction where the difference would lose digits.
private func complementaryErrorFunction(_ x: Double) -> Double {
    if x.isNaN || x < 2 { return 1 - dl_erf_d(x) }
    if x > 30 { return 0 }
    var rest = x
    for k in stride(from: 60, to: 0, by: -1) { rest = x + Double(k) / 2 / rest }
    return dl_exp_d(-x * x) / (rest * 1.77245385090551603)
}

/// The cube root, by one of Newton's steps from a power.
private func cubeRoot(_ x: Double) -> Double {
    if x == 0 || !x.isFinite { return x }
    let root = dl_pow_d(Swift.abs(x), 1.0 / 3)
    let better = root - (root * root * root - Swift.abs(x)) / (3 * root * root)
    return x < 0 ? -better : better
}

/// The number whose error function is y: a first guess within 1e-2, then steps of Halley's method.
private func inverseErrorFunction(_ y: Double) -> Double {
    guard y > -1, y < 1 else { return y == 1 ? .infinity : y == -1 ? -.infinity : .nan }
    if y == 0 { return y }
    // S. Winitzki, "A handy approximation for the error function and its inverse", 2008.
    let l = dl_log1p_d(-y * y)
    let t = 2 / (Double.pi * 0.147) + l / 2
    let magnitude = ((t * t - l / 0.147).squareRoot() - t).squareRoot()
    var x = y < 0 ? -magnitude : magnitude
    for _ in 0..<3 {
        // Near 1 the difference is taken of what is left to 1, which keeps its digits.
        let error = x > 0.5 ? (1 - y) - complementaryErrorFunction(x) : x < -0.5 ? complementaryErrorFunction(-x) - (1 + y) : dl_erf_d(x) - y
        let step = error / (1.12837916709551257 * dl_exp_d(-x * x))
        x -= step / (1 + x * step)
    }
    return x
}

extension UnaryFunction {
    private static func pi180(_ factor: Double, _ name: String, _ summary: String) -> UnaryFunction {
        UnaryFunction(
            name, summary, formula: factor < 1 ? "x pi / 180" : "x 180 / pi", gradient: { try scale($0.dy, factor) },
            real: { x, _, _ in x * factor })
    }

    static let more: [UnaryFunction] = [
        UnaryFunction(
            "exp2", "2 to the power of x.", formula: "2^x",
            gradient: { try multiply($0.dy, scale($0.y, 0.693147180559945309)) }, real: { x, _, _ in dl_pow_d(2, x) }),
        UnaryFunction(
            "cbrt", "The cube root, negative below 0.", formula: "x^(1/3)", domain: 0.5...3,
            gradient: { try divide($0.dy, scale(DLOps.square($0.y), 3)) }, real: { x, _, _ in cubeRoot(x) }),
        UnaryFunction(
            "erfc", "What the error function lacks to 1, exact where it is small.", formula: "1 - erf x",
            gradient: {
                try multiply($0.dy, scale(DLOps.exp(DLOps.negative(DLOps.square($0.x))), -1.12837916709551257))
            }, real: { x, _, _ in complementaryErrorFunction(x) }),
        UnaryFunction(
            "erfinv", "The inverse of the error function; infinite at -1 and 1, NaN outside.", formula: "erf(y) = x",
            domain: -0.9...0.9,
            gradient: { try multiply($0.dy, scale(DLOps.exp(DLOps.square($0.y)), 0.886226925452758014)) },
            real: { x, _, _ in inverseErrorFunction(x) }),
        pi180(Double.pi / 180, "deg2rad", "An angle in degrees, in radians."),
        pi180(180 / Double.pi, "rad2deg", "An angle in radians, in degrees."),
        UnaryFunction(
            "sinc", "sin(pi x) / (pi x), 1 at 0.", formula: "sin(pi x) / (pi x)", domain: 0.2...2,
            gradient: { g in
                // cos(pi x) / x - y / x, and 0 at 0.
                let isZero = try equal(g.x, constant(0, like: g.x))
                let safe = try `where`(isZero, constant(1, like: g.x), g.x)
                let slope = try divide(subtract(DLOps.cos(scale(g.x, Double.pi)), g.y), safe)
                return try multiply(g.dy, `where`(isZero, constant(0, like: g.x), slope))
            },
            real: { x, _, _ in x == 0 ? 1 : dl_sin_d(Double.pi * x) / (Double.pi * x) }),
    ]
}

private let twoInputs = ["x1", "x2"]

private func sample(_ low: ClosedRange<Double> = -2...2, _ high: ClosedRange<Double> = -2...2, differentiable: Bool = true)
    -> [OperationSample]
{
    [
        OperationSample(.uniform([3, 4], low), .uniform([3, 4], high), differentiable: differentiable),
        OperationSample(.uniform([2, 1, 3], low), .uniform([4, 1], high), differentiable: differentiable),
    ]
}

private func pair(
    _ name: String, _ summary: String, formula: String, samples: [OperationSample] = sample(), isReal: Bool = true,
    _ body: @escaping @Sendable (_ a: Value, _ b: Value) throws -> Value
) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, formula: formula, shapes: "x1 and x2 are broadcast: aligned at the last axis, sizes of 1 stretch",
        inputs: twoInputs, samples: samples
    ) { inputs, _ in
        let both = try isReal ? reals(inputs) : inputs
        return [try body(both[0], both[1])]
    }
}

/// The logarithm of a sum of powers of e or of 2.
private func logAdd(_ a: Value, _ b: Value, base2: Bool) throws -> Value {
    let larger = try maximum(a, b)
    // Equal infinities have no difference; the result is the larger one.
    let isFiniteLarger = try isFinite(larger)
    let distance = try `where`(isFiniteLarger, negative(abs(subtract(a, b))), constant(0, like: larger))
    let rest = try base2 ? scale(log1p(exp(scale(distance, 0.693147180559945309))), 1.44269504088896341) : log1p(exp(distance))
    return try `where`(isFiniteLarger, add(larger, rest), larger)
}

private func predicate(_ name: String, _ summary: String, _ body: @escaping @Sendable (_ x: Value) throws -> Value) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, shapes: "any shape; the same as bool",
        samples: [OperationSample(.given([1, .nan, .infinity, -.infinity, -2], [5], .float32), differentiable: false)]
    ) { inputs, _ in [try body(inputs[0])] }
}

/// Functions of one and two numbers that are formulas of others.
let moreFunctionEntries: [OperationEntry] = UnaryFunction.more.map(\.entry) + [
    pair("logaddexp", "ln(e^x1 + e^x2), computed without overflow.", formula: "ln(e^x1 + e^x2)") {
        try logAdd($0, $1, base2: false)
    },
    pair("logaddexp2", "log2(2^x1 + 2^x2), computed without overflow.", formula: "log2(2^x1 + 2^x2)") {
        try logAdd($0, $1, base2: true)
    },
    pair("hypot", "The hypotenuse of a right triangle, computed without overflow.", formula: "sqrt(x1^2 + x2^2)") { a, b in
        let (x, y) = (try abs(a), try abs(b))
        let (larger, smaller) = (try maximum(x, y), try minimum(x, y))
        let isZero = try equal(larger, constant(0, like: larger))
        let ratio = try divide(smaller, `where`(isZero, constant(1, like: larger), larger))
        let length = try multiply(larger, sqrt(scale(square(ratio), 1, 1)))
        return try `where`(isInfinite(larger), larger, length)
    },
    pair(
        "heaviside", "0 below 0, 1 above, x2 at 0.", formula: "x1 < 0 ? 0 : x1 > 0 ? 1 : x2", samples: sample(differentiable: false)
    ) { a, b in
        let zero = try constant(0, like: a)
        let one = try constant(1, like: a)
        let known = try `where`(equal(a, zero), b, `where`(less(a, zero), zero, one))
        return try `where`(isNaN(a), a, known)
    },
    pair(
        "fmod", "The remainder with the dividend's sign; whole numbers give 0 for a divisor of 0.", formula: "x1 - trunc(x1 / x2) x2",
        samples: sample(-5...5, 0.8...2), isReal: false
    ) { a, b in
        let type = Promotion.arithmetic([a.type, b.type])
        let (x, y) = (try cast(a, type), try cast(b, type))
        // The remainder of the magnitudes, with the dividend's sign.
        let rest = try mod(abs(x), abs(y))
        return try `where`(less(x, constant(0, like: x)), negative(rest), rest)
    },
    pair("fmax", "The larger one; of a number and NaN the number.", formula: "max(x1, x2)", isReal: false) { a, b in
        guard a.type.isFloatingPoint || b.type.isFloatingPoint else { return try maximum(a, b) }
        let both = try reals([a, b])
        return try `where`(isNaN(both[0]), both[1], `where`(isNaN(both[1]), both[0], maximum(both[0], both[1])))
    },
    pair("fmin", "The smaller one; of a number and NaN the number.", formula: "min(x1, x2)", isReal: false) { a, b in
        guard a.type.isFloatingPoint || b.type.isFloatingPoint else { return try minimum(a, b) }
        let both = try reals([a, b])
        return try `where`(isNaN(both[0]), both[1], `where`(isNaN(both[1]), both[0], minimum(both[0], both[1])))
    },
    pair("divide_no_nan", "The quotient, 0 where the divisor is 0.", formula: "x2 == 0 ? 0 : x1 / x2", samples: sample(-2...2, 0.5...2)) {
        a, b in
        let isZero = try equal(b, constant(0, like: b))
        return try `where`(isZero, constant(0, like: a), divide(a, `where`(isZero, constant(1, like: b), b)))
    },
    pair(
        "ldexp", "A number times a power of two.", formula: "x1 2^x2", samples: [OperationSample(.uniform([3, 4]), .integers([4], below: 5))],
        isReal: false
    ) { a, b in
        guard !b.type.isFloatingPoint else {
            throw DLError(.dtype, "[ldexp] x2 must be whole numbers. " + received(("x1", a.spec), ("x2", b.spec)))
        }
        let x = try real(a)
        return try multiply(x, power(constant(2, like: x), cast(b, x.type)))
    },
    predicate("isposinf", "Whether each number is +infinity.") { x in
        guard x.type.isFloatingPoint else { return try isInfinite(x) }
        return try equal(x, constant(.infinity, like: x))
    },
    predicate("isneginf", "Whether each number is -infinity.") { x in
        guard x.type.isFloatingPoint else { return try isInfinite(x) }
        return try equal(x, constant(-.infinity, like: x))
    },
    FormulaOperation.derived(
        "saturate_cast", "Another dtype; numbers that do not fit become the nearest that do.", shapes: "any shape; the same comes out",
        arguments: [Argument("dtype", .dtype, nil, "The dtype.")],
        samples: [OperationSample(.uniform([5], -400...400), attributes: ["dtype": "uint8"], differentiable: false)]
    ) { inputs, arguments in
        let (x, type) = (inputs[0], arguments.type("dtype") ?? .float32)
        // Casts from floating point saturate already; between whole numbers they wrap.
        let isNarrower = !x.type.isFloatingPoint && !type.isFloatingPoint && x.type != .bool && type != .bool
            && (type.byteCount < x.type.byteCount || type == .uint8)
        guard isNarrower else { return [try cast(x, type)] }
        let low = type == .uint8 ? 0 : -Double(1 << (8 * type.byteCount - 1))
        let high = type == .uint8 ? 255 : Double(1 << (8 * type.byteCount - 1)) - 1
        return [try cast(clip(x, low, high), type)]
    },
    FormulaOperation.derived(
        "empty_like", "A tensor in the shape of another; its elements are 0 here, but nobody should rely on it.",
        shapes: "any shape; the same comes out", arguments: [Argument("dtype", .optional(.dtype), .null, "null for that of x.")],
        samples: [OperationSample(.uniform([3, 4]), differentiable: false)]
    ) { inputs, arguments in [try fullLike(inputs[0], 0, arguments.type("dtype"))] },
]
