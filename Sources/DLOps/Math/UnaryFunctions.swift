import CDLKernels
import DLBase
import DLGraph
import DLTensor

extension UnaryFunction {
    // MARK: Arithmetic

    static let negative = UnaryFunction(
        "negative", kernel: .negative, "Changes the sign.", formula: "-x", gradient: { try DLOps.negative($0.dy) })

    static let abs = UnaryFunction(
        "abs", kernel: .abs, aliases: ["absolute", "fabs"], "The absolute value; its gradient at 0 is 0.", formula: "|x|",
        gradient: { try multiply($0.dy, DLOps.sign($0.x)) })

    static let sign = UnaryFunction(
        "sign", kernel: .sign, "-1, 0 or 1; NaN stays NaN.")

    static let square = UnaryFunction(
        "square", kernel: .square, "The square.", formula: "x^2", gradient: { try multiply($0.dy, scale($0.x, 2)) })

    static let sqrt = UnaryFunction(
        "sqrt", kernel: .sqrt, "The square root; NaN below 0.", formula: "x^(1/2)", domain: 0.5...3,
        gradient: { try divide($0.dy, scale($0.y, 2)) })

    static let rsqrt = UnaryFunction(
        "rsqrt", kernel: .rsqrt, "One over the square root.", formula: "x^(-1/2)", domain: 0.5...3,
        gradient: { try multiply($0.dy, scale(multiply($0.y, DLOps.square($0.y)), -0.5)) })

    static let reciprocal = UnaryFunction(
        "reciprocal", kernel: .reciprocal, "One over x.", formula: "1 / x", domain: 0.5...3,
        gradient: { try multiply($0.dy, DLOps.negative(DLOps.square($0.y))) })

    static let affine = UnaryFunction(
        "affine", kernel: .affine, "Scales and shifts by numbers.", formula: "scale x + offset",
        arguments: [
            Argument("scale", .float(Argument.anyFloat), 1, "Factor."),
            Argument("offset", .float(Argument.anyFloat), 0, "Added last."),
        ],
        isInternal: true, sampleAttributes: ["scale": -1.5, "offset": 0.25],
        gradient: { try scale($0.dy, $0.a) })

    static let clip = UnaryFunction(
        "clip", kernel: .clip, "Limits values to a range.", formula: "min(max(x, x_min), x_max)",
        arguments: [
            Argument("x_min", .float(Argument.anyFloat), nil, "The smallest value that comes out."),
            Argument("x_max", .float(Argument.anyFloat), nil, "The largest; it wins where the range is empty."),
        ],
        sampleAttributes: ["x_min": -0.7, "x_max": 0.9],
        derivative: Derivative(usesOutput: false, first: { x, a, b in x < a || x > b ? 0 : 1 }))

    // MARK: Exponentials

    static let exp = UnaryFunction(
        "exp", kernel: .exp, aliases: ["exponential"], "The exponential function.", formula: "e^x",
        gradient: { try multiply($0.dy, $0.y) })

    static let expm1 = UnaryFunction(
        "expm1", kernel: .expm1, "e^x - 1, exact near 0.", formula: "e^x - 1",
        gradient: { try multiply($0.dy, scale($0.y, 1, 1)) })

    static let log = UnaryFunction(
        "log", kernel: .log, "The natural logarithm; -infinity at 0, NaN below.", formula: "ln x", domain: 0.3...4,
        gradient: { try divide($0.dy, $0.x) })

    static let log1p = UnaryFunction(
        "log1p", kernel: .log1p, "ln(1 + x), exact near 0.", formula: "ln(1 + x)", domain: -0.6...3,
        gradient: { try divide($0.dy, scale($0.x, 1, 1)) })

    static let log2 = UnaryFunction(
        "log2", "The logarithm to base 2.", formula: "log2 x", domain: 0.3...4,
        gradient: { try divide($0.dy, scale($0.x, 0.693147180559945309)) },
        real: { x, _, _ in dl_log2_d(x) })

    static let log10 = UnaryFunction(
        "log10", "The logarithm to base 10.", formula: "log10 x", domain: 0.3...4,
        gradient: { try divide($0.dy, scale($0.x, 2.30258509299404568)) },
        real: { x, _, _ in dl_log10_d(x) })

    static let erf = UnaryFunction(
        "erf", kernel: .erf, "The error function.", formula: "2/sqrt(pi) integral of e^(-t^2) from 0 to x",
        gradient: {
            try multiply($0.dy, scale(DLOps.exp(DLOps.negative(DLOps.square($0.x))), 1.12837916709551257))
        })

    // MARK: Trigonometry

    static let sin = UnaryFunction(
        "sin", kernel: .sin, "The sine of an angle in radians.",
        gradient: { try multiply($0.dy, DLOps.cos($0.x)) })

    static let cos = UnaryFunction(
        "cos", kernel: .cos, "The cosine of an angle in radians.",
        gradient: { try multiply($0.dy, DLOps.negative(DLOps.sin($0.x))) })

    static let tan = UnaryFunction(
        "tan", kernel: .tan, "The tangent of an angle in radians.", domain: -1...1,
        gradient: { try multiply($0.dy, scale(DLOps.square($0.y), 1, 1)) })

    static let sinh = UnaryFunction(
        "sinh", kernel: .sinh, "The hyperbolic sine.", formula: "(e^x - e^-x) / 2",
        gradient: { try multiply($0.dy, DLOps.cosh($0.x)) })

    static let cosh = UnaryFunction(
        "cosh", kernel: .cosh, "The hyperbolic cosine.", formula: "(e^x + e^-x) / 2",
        gradient: { try multiply($0.dy, DLOps.sinh($0.x)) })

    static let arcsin = UnaryFunction(
        "arcsin", kernel: .asin, "The angle whose sine is x, -pi/2 to pi/2; NaN outside -1 to 1.", domain: -0.8...0.8,
        gradient: { try multiply($0.dy, DLOps.rsqrt(scale(DLOps.square($0.x), -1, 1))) })

    static let arccos = UnaryFunction(
        "arccos", kernel: .acos, "The angle whose cosine is x, 0 to pi; NaN outside -1 to 1.", domain: -0.8...0.8,
        gradient: { try multiply($0.dy, DLOps.negative(DLOps.rsqrt(scale(DLOps.square($0.x), -1, 1)))) })

    static let arctan = UnaryFunction(
        "arctan", kernel: .atan, "The angle whose tangent is x, -pi/2 to pi/2.",
        gradient: { try divide($0.dy, scale(DLOps.square($0.x), 1, 1)) })

    static let arcsinh = UnaryFunction(
        "arcsinh", "The inverse of the hyperbolic sine.",
        gradient: { try multiply($0.dy, DLOps.rsqrt(scale(DLOps.square($0.x), 1, 1))) },
        real: { x, _, _ in dl_asinh_d(x) })

    static let arccosh = UnaryFunction(
        "arccosh", "The inverse of the hyperbolic cosine; NaN below 1.", domain: 1.5...4,
        gradient: { try multiply($0.dy, DLOps.rsqrt(scale(DLOps.square($0.x), 1, -1))) },
        real: { x, _, _ in dl_acosh_d(x) })

    static let arctanh = UnaryFunction(
        "arctanh", "The inverse of the hyperbolic tangent; NaN outside -1 to 1.", domain: -0.7...0.7,
        gradient: { try divide($0.dy, scale(DLOps.square($0.x), -1, 1)) },
        real: { x, _, _ in dl_atanh_d(x) })

    // MARK: Rounding

    static let floor = UnaryFunction(
        "floor", kernel: .floor, "The next whole number below.")

    static let ceil = UnaryFunction(
        "ceil", kernel: .ceil, "The next whole number above.")

    static let trunc = UnaryFunction(
        "trunc", "The next whole number towards 0.", integer: { x, _, _ in x },
        real: { x, _, _ in x.rounded(.towardZero) })

    static let round = UnaryFunction(
        "round", kernel: .round, "The nearest number with so many decimals; halves go to the even neighbour.",
        arguments: [Argument("decimals", .int(-30...30), 0, "Digits after the point; negative ones before it.")],
        integer: { x, a, _ in
            guard a < 0 else { return x }
            let unit = dl_pow_d(10, -a)
            return saturated((Double(x) / unit).rounded(.toNearestOrEven) * unit)
        },
        real: { x, a, _ in
        if a == 0 { return x.rounded(.toNearestOrEven) }
        let unit = dl_pow_d(10, a)
        return (x * unit).rounded(.toNearestOrEven) / unit
    })

    static let arithmetic: [UnaryFunction] = [
        negative, abs, sign, square, sqrt, rsqrt, reciprocal, affine, clip, exp, expm1, log, log1p, log2, log10, erf, sin,
        cos, tan, sinh, cosh, arcsin, arccos, arctan, arcsinh, arccosh, arctanh, floor, ceil, trunc, round,
    ]
}

// MARK: For Swift

package func negative(_ x: Value) throws -> Value { try apply(UnaryOperation(.negative), x) }
package func abs(_ x: Value) throws -> Value { try apply(UnaryOperation(.abs), x) }
package func sign(_ x: Value) throws -> Value { try apply(UnaryOperation(.sign), x) }
package func square(_ x: Value) throws -> Value { try apply(UnaryOperation(.square), x) }
package func sqrt(_ x: Value) throws -> Value { try apply(UnaryOperation(.sqrt), x) }
package func rsqrt(_ x: Value) throws -> Value { try apply(UnaryOperation(.rsqrt), x) }
package func reciprocal(_ x: Value) throws -> Value { try apply(UnaryOperation(.reciprocal), x) }
package func exp(_ x: Value) throws -> Value { try apply(UnaryOperation(.exp), x) }
package func expm1(_ x: Value) throws -> Value { try apply(UnaryOperation(.expm1), x) }
package func log(_ x: Value) throws -> Value { try apply(UnaryOperation(.log), x) }
package func log1p(_ x: Value) throws -> Value { try apply(UnaryOperation(.log1p), x) }
package func log2(_ x: Value) throws -> Value { try apply(UnaryOperation(.log2), x) }
package func log10(_ x: Value) throws -> Value { try apply(UnaryOperation(.log10), x) }
package func erf(_ x: Value) throws -> Value { try apply(UnaryOperation(.erf), x) }
package func sin(_ x: Value) throws -> Value { try apply(UnaryOperation(.sin), x) }
package func cos(_ x: Value) throws -> Value { try apply(UnaryOperation(.cos), x) }
package func tan(_ x: Value) throws -> Value { try apply(UnaryOperation(.tan), x) }
package func sinh(_ x: Value) throws -> Value { try apply(UnaryOperation(.sinh), x) }
package func cosh(_ x: Value) throws -> Value { try apply(UnaryOperation(.cosh), x) }
package func floor(_ x: Value) throws -> Value { try apply(UnaryOperation(.floor), x) }
package func ceil(_ x: Value) throws -> Value { try apply(UnaryOperation(.ceil), x) }
package func round(_ x: Value) throws -> Value { try apply(UnaryOperation(.round), x) }

/// factor x + offset in one pass.
package func scale(_ x: Value, _ factor: Double, _ offset: Double = 0) throws -> Value {
    try apply(UnaryOperation(.affine, factor, offset), x)
}

/// Limits values to a range.
package func clip(_ x: Value, _ low: Double, _ high: Double) throws -> Value {
    try apply(UnaryOperation(.clip, low, high), x)
}
