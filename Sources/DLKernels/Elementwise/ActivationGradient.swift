import CDLKernels
import DLBase

/// dx = dy f'(.) for the activations whose derivative has a closed form in their output or their input.
package struct ActivationGradientKernel: @unchecked Sendable {
    package enum Operand: Sendable {
        /// The derivative is computed from x.
        case input
        /// The derivative is computed from y = f(x).
        case output
    }

    package let function: UnaryFunction
    package let type: ElementType
    package let operand: Operand
    private let alpha: Double
    private let code: Int
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for other functions than those `operand(of:)` knows, and for types that are not floating point.
    package init?(
        _ function: UnaryFunction, _ type: ElementType, alpha: Double = 0, level: ProcessorLevel = .current
    ) {
        guard type.isFloatingPoint, let (operand, code) = Self.entry(function, alpha) else { return nil }
        self.function = function
        self.type = type
        self.operand = operand
        self.alpha = alpha
        self.code = code
        table = tunedMath(type, level)
    }

    /// What the second operand must be: the activation's input or its output; nil where there is no such kernel.
    package static func operand(of function: UnaryFunction, alpha: Double = 0) -> Operand? {
        entry(function, alpha)?.operand
    }

    private static func entry(_ function: UnaryFunction, _ alpha: Double) -> (operand: Operand, code: Int)? {
        switch function {
        case .relu: (.output, DL_GRADIENT_RELU_Y)
        case .relu6: (.output, DL_GRADIENT_RELU6_Y)
        case .hardTanh: (.output, DL_GRADIENT_HARD_TANH_Y)
        case .leakyRelu: (.input, DL_GRADIENT_LEAKY_RELU_X)
        // The sign of x can be read from y only while alpha is positive.
        case .elu: alpha > 0 ? (.output, DL_GRADIENT_ELU_Y) : nil
        case .selu: (.output, DL_GRADIENT_SELU_Y)
        case .sigmoid: (.output, DL_GRADIENT_SIGMOID_Y)
        case .tanh: (.output, DL_GRADIENT_TANH_Y)
        case .exp: (.output, DL_GRADIENT_EXP_Y)
        case .softplus: (.input, DL_GRADIENT_SOFTPLUS_X)
        case .softsign: (.input, DL_GRADIENT_SOFTSIGN_X)
        case .silu: (.input, DL_GRADIENT_SILU_X)
        case .gelu: (.input, DL_GRADIENT_GELU_X)
        case .geluTanh: (.input, DL_GRADIENT_GELU_TANH_X)
        case .hardSigmoid: (.input, DL_GRADIENT_HARD_SIGMOID_X)
        case .hardSilu: (.input, DL_GRADIENT_HARD_SILU_X)
        case .mish: (.input, DL_GRADIENT_MISH_X)
        case .logSigmoid: (.input, DL_GRADIENT_LOG_SIGMOID_X)
        case .gaussian: (.input, DL_GRADIENT_GAUSSIAN_X)
        default: nil
        }
    }

    /// dy, v (x or y, as `operand` says) and dx hold `count` elements; dx may be either of the others.
    package func callAsFunction(
        _ runtime: Runtime?, dy: UnsafeRawPointer, v: UnsafeRawPointer, dx: UnsafeMutableRawPointer, count: Int
    ) {
        if let table {
            table.pointee.activation_gradient?(
                runtime, Int64(code), dy.of(Float.self), v.of(Float.self), dx.of(Float.self), Int64(count),
                Float(alpha))
        } else if type == .float32 {
            reference(dy.of(Float.self), v.of(Float.self), dx.of(Float.self), count)
        } else {
            reference(dy.of(Double.self), v.of(Double.self), dx.of(Double.self), count)
        }
    }

    private func reference<T: FloatElement>(
        _ dy: UnsafePointer<T>, _ v: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>, _ n: Int
    ) {
        for i in 0..<n { dx[i] = T(rounding: dy[i].double * derivative(v[i].double)) }
    }

    /// f' at v, which is x or y as `operand` says.
    func derivative(_ v: Double) -> Double {
        switch function {
        case .relu: return v > 0 ? 1 : 0
        case .relu6: return v > 0 && v < 6 ? 1 : 0
        case .hardTanh: return v > -1 && v < 1 ? 1 : 0
        case .leakyRelu: return v < 0 ? alpha : 1
        case .elu: return v < 0 ? v + alpha : 1
        case .selu: return v < 0 ? v + Formula.seluScale * Formula.seluAlpha : Formula.seluScale
        case .sigmoid: return v * (1 - v)
        case .tanh: return 1 - v * v
        case .exp: return v
        case .softplus: return Formula.sigmoid(v)
        case .softsign: return 1 / ((1 + abs(v)) * (1 + abs(v)))
        case .silu: return Formula.sigmoid(v) * (1 + v * (1 - Formula.sigmoid(v)))
        case .gelu:
            return 0.5 * (1 + dl_erf_d(v * 0.5.squareRoot())) + v * 0.3989422804014327 * dl_exp_d(-0.5 * v * v)
        case .geluTanh:
            let t = dl_tanh_d(Formula.geluArgument(v))
            return 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * v * v)
        case .hardSigmoid: return abs(v) < 3 ? 1.0 / 6 : 0
        case .hardSilu: return abs(v) < 3 ? v / 3 + 0.5 : v > 0 ? 1 : 0
        case .mish:
            let t = dl_tanh_d(Formula.softplus(v))
            return t + v * Formula.sigmoid(v) * (1 - t * t)
        case .logSigmoid: return Formula.sigmoid(-v)
        case .gaussian: return -v * dl_exp_d(-0.5 * v * v)
        default: return 0
        }
    }
}
