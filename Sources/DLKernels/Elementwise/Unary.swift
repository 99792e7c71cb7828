import CDLKernels
import DLBase

/// Functions of one element.
package enum UnaryFunction: CaseIterable, Sendable {
    case negative, abs, sign, square, sqrt, rsqrt, reciprocal, exp, expm1, log, log1p, sin, cos, tan, sinh, cosh, tanh
    case asin, acos, atan, floor, ceil
    /// Halves go to the even neighbour.
    case round
    case relu, relu6, sigmoid, softplus, softsign, silu
    /// x Phi(x) with the exact error function, and Keras's approximation by tanh.
    case gelu, geluTanh
    /// alpha (exp(x) - 1) below zero.
    case elu
    case selu
    /// alpha x below zero.
    case leakyRelu
    /// relu6(x + 3) / 6.
    case hardSigmoid
    /// x between -1 and 1.
    case hardTanh
    case hardSilu, mish, logSigmoid
    /// exp(-x^2 / 2).
    case gaussian
    /// 1 above zero, else 0.
    case step
    case erf
    /// x between alpha and beta.
    case clip
    /// alpha x + beta.
    case affine
    case logicalNot, isNaN, isInfinite, isFinite

    var isPredicate: Bool {
        switch self {
        case .logicalNot, .isNaN, .isInfinite, .isFinite: true
        default: false
        }
    }

    /// The element type of the result, nil where the function is not defined for the type.
    package func resultType(_ type: ElementType) -> ElementType? {
        if isPredicate { return .bool }
        switch type {
        case .float32, .float64: return type
        case .int32, .int64, .uint8:
            switch self {
            case .negative, .abs, .sign, .square, .floor, .ceil, .round, .relu, .relu6, .step, .clip: return type
            default: return nil
            }
        case .bool: return nil
        }
    }

    /// The number of the tuned function.
    var code: Int {
        switch self {
        case .negative: DL_UNARY_NEGATIVE
        case .abs: DL_UNARY_ABS
        case .sign: DL_UNARY_SIGN
        case .square: DL_UNARY_SQUARE
        case .sqrt: DL_UNARY_SQRT
        case .rsqrt: DL_UNARY_RSQRT
        case .reciprocal: DL_UNARY_RECIPROCAL
        case .exp: DL_UNARY_EXP
        case .expm1: DL_UNARY_EXPM1
        case .log: DL_UNARY_LOG
        case .log1p: DL_UNARY_LOG1P
        case .sin: DL_UNARY_SIN
        case .cos: DL_UNARY_COS
        case .tan: DL_UNARY_TAN
        case .sinh: DL_UNARY_SINH
        case .cosh: DL_UNARY_COSH
        case .tanh: DL_UNARY_TANH
        case .asin: DL_UNARY_ASIN
        case .acos: DL_UNARY_ACOS
        case .atan: DL_UNARY_ATAN
        case .floor: DL_UNARY_FLOOR
        case .ceil: DL_UNARY_CEIL
        case .round: DL_UNARY_ROUND
        case .relu: DL_UNARY_RELU
        case .relu6: DL_UNARY_RELU6
        case .sigmoid: DL_UNARY_SIGMOID
        case .softplus: DL_UNARY_SOFTPLUS
        case .softsign: DL_UNARY_SOFTSIGN
        case .silu: DL_UNARY_SILU
        case .gelu: DL_UNARY_GELU
        case .geluTanh: DL_UNARY_GELU_TANH
        case .elu: DL_UNARY_ELU
        case .selu: DL_UNARY_SELU
        case .leakyRelu: DL_UNARY_LEAKY_RELU
        case .hardSigmoid: DL_UNARY_HARD_SIGMOID
        case .hardTanh: DL_UNARY_HARD_TANH
        case .hardSilu: DL_UNARY_HARD_SILU
        case .mish: DL_UNARY_MISH
        case .logSigmoid: DL_UNARY_LOG_SIGMOID
        case .gaussian: DL_UNARY_GAUSSIAN
        case .step: DL_UNARY_STEP
        case .erf: DL_UNARY_ERF
        case .clip: DL_UNARY_CLIP
        case .affine: DL_UNARY_AFFINE
        case .logicalNot: DL_PREDICATE_NOT
        case .isNaN: DL_PREDICATE_NAN
        case .isInfinite: DL_PREDICATE_INFINITE
        case .isFinite: DL_PREDICATE_FINITE
        }
    }
}

/// y = f(x), element by element; y may be x where both have one type.
package struct UnaryKernel: @unchecked Sendable {
    package let function: UnaryFunction
    package let type: ElementType
    package let resultType: ElementType
    let alpha: Double
    let beta: Double
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil where the function is not defined for the type.
    package init?(
        _ function: UnaryFunction, _ type: ElementType, alpha: Double = 0, beta: Double = 0,
        level: ProcessorLevel = .current
    ) {
        guard let resultType = function.resultType(type) else { return nil }
        self.function = function
        self.type = type
        self.resultType = resultType
        self.alpha = alpha
        self.beta = beta
        table = tunedMath(type, level)
    }

    /// x and y hold `count` elements.
    package func callAsFunction(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, count: Int) {
        if let table {
            let code = Int64(function.code)
            if function.isPredicate {
                table.pointee.predicate?(runtime, code, x.of(Float.self), y.of(UInt8.self), Int64(count))
            } else {
                table.pointee.unary?(
                    runtime, code, x.of(Float.self), y.of(Float.self), Int64(count), Float(alpha), Float(beta))
            }
            return
        }
        reference(x, y, count)
    }
}
