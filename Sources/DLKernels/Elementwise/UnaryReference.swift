import CDLKernels
import DLBase

extension UnaryFunction {
    /// The function's value in double precision.
    func value(_ x: Double, alpha: Double = 0, beta: Double = 0) -> Double {
        switch self {
        case .negative: -x
        case .abs: Swift.abs(x)
        case .sign: x > 0 ? 1 : x < 0 ? -1 : x
        case .square: x * x
        case .sqrt: x.squareRoot()
        case .rsqrt: 1 / x.squareRoot()
        case .reciprocal: 1 / x
        case .exp: dl_exp_d(x)
        case .expm1: dl_expm1_d(x)
        case .log: dl_log_d(x)
        case .log1p: dl_log1p_d(x)
        case .sin: dl_sin_d(x)
        case .cos: dl_cos_d(x)
        case .tan: dl_tan_d(x)
        case .sinh: dl_sinh_d(x)
        case .cosh: dl_cosh_d(x)
        case .tanh: dl_tanh_d(x)
        case .asin: dl_asin_d(x)
        case .acos: dl_acos_d(x)
        case .atan: dl_atan_d(x)
        case .floor: x.rounded(.down)
        case .ceil: x.rounded(.up)
        case .round: x.rounded(.toNearestOrEven)
        case .erf: dl_erf_d(x)
        case .clip: x < alpha ? alpha : x > beta ? beta : x
        case .affine: alpha * x + beta
        case .logicalNot: x == 0 ? 1 : 0
        case .isNaN: x.isNaN ? 1 : 0
        case .isInfinite: x.isInfinite ? 1 : 0
        case .isFinite: x.isFinite ? 1 : 0
        default: activation(x, alpha)
        }
    }

    private func activation(_ x: Double, _ alpha: Double) -> Double {
        switch self {
        case .relu: return x < 0 ? 0 : x
        case .relu6: return x < 0 ? 0 : x > 6 ? 6 : x
        case .sigmoid: return Formula.sigmoid(x)
        case .softplus: return Formula.softplus(x)
        case .softsign: return x / (1 + Swift.abs(x))
        case .silu: return x * Formula.sigmoid(x)
        case .gelu: return 0.5 * x * (1 + dl_erf_d(x * 0.5.squareRoot()))
        case .geluTanh: return 0.5 * x * (1 + dl_tanh_d(Formula.geluArgument(x)))
        case .elu: return x < 0 ? alpha * dl_expm1_d(x) : x
        case .selu: return Formula.seluScale * (x < 0 ? Formula.seluAlpha * dl_expm1_d(x) : x)
        case .leakyRelu: return x < 0 ? alpha * x : x
        case .hardSigmoid: return Formula.hardSigmoid(x)
        case .hardTanh: return x < -1 ? -1 : x > 1 ? 1 : x
        case .hardSilu: return x * Formula.hardSigmoid(x)
        case .mish: return x * dl_tanh_d(Formula.softplus(x))
        case .logSigmoid: return -Formula.softplus(-x)
        case .gaussian: return dl_exp_d(-0.5 * x * x)
        case .step: return x > 0 ? 1 : 0
        default: return x
        }
    }
}

/// Formulas in double precision that functions and their derivatives share.
enum Formula {
    static let seluScale = 1.0507009873554805
    static let seluAlpha = 1.6732632423543772

    static func sigmoid(_ x: Double) -> Double { 1 / (1 + dl_exp_d(-x)) }
    static func softplus(_ x: Double) -> Double {
        x.isNaN ? x : (x > 0 ? x : 0) + dl_log1p_d(dl_exp_d(-abs(x)))
    }
    static func hardSigmoid(_ x: Double) -> Double { (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6 }
    /// sqrt(2 / pi) (x + 0.044715 x^3).
    static func geluArgument(_ x: Double) -> Double { 0.7978845608028654 * (x + 0.044715 * x * x * x) }
}

extension UnaryKernel {
    func reference(_ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int) {
        switch type {
        case .float32: real(x.of(Float.self), y, count)
        case .float64: real(x.of(Double.self), y, count)
        case .int32: whole(x.of(Int32.self), y, count)
        case .int64: whole(x.of(Int64.self), y, count)
        case .uint8, .bool: whole(x.of(UInt8.self), y, count)
        }
    }

    private func real<T: FloatElement>(_ x: UnsafePointer<T>, _ y: UnsafeMutableRawPointer, _ n: Int) {
        if function.isPredicate {
            let y = y.of(UInt8.self)
            for i in 0..<n { y[i] = function.value(x[i].double) == 0 ? 0 : 1 }
        } else {
            let y = y.of(T.self)
            for i in 0..<n { y[i] = T(rounding: function.value(x[i].double, alpha: alpha, beta: beta)) }
        }
    }

    private func whole<T: FixedWidthInteger>(_ x: UnsafePointer<T>, _ y: UnsafeMutableRawPointer, _ n: Int) {
        if function.isPredicate {
            let y = y.of(UInt8.self)
            for i in 0..<n {
                y[i] =
                    switch function {
                    case .logicalNot: x[i] == 0 ? 1 : 0
                    case .isFinite: 1
                    default: 0
                    }
            }
            return
        }
        let y = y.of(T.self)
        let low = saturated(alpha, T.self), high = saturated(beta, T.self)
        for i in 0..<n {
            let v = x[i]
            y[i] =
                switch function {
                case .negative: 0 &- v
                case .abs: v < 0 ? 0 &- v : v
                case .sign, .step: v > 0 ? 1 : v < 0 && function == .sign ? 0 &- 1 : 0
                case .square: v &* v
                case .relu: v < 0 ? 0 : v
                case .relu6: v < 0 ? 0 : v > 6 ? 6 : v
                case .clip: v < low ? low : v > high ? high : v
                default: v
                }
        }
    }
}

/// The nearest whole number of the type towards zero; 0 for NaN.
@inline(__always)
func saturated<T: FixedWidthInteger>(_ x: Double, _ type: T.Type) -> T {
    if x.isNaN { return 0 }
    // The maximum of a 64-bit type rounds up to a power of two, which is itself out of range.
    if x >= Double(T.max) { return T.max }
    if x <= Double(T.min) { return T.min }
    return T(x)
}
