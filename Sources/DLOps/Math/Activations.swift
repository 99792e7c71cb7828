import CDLKernels
import DLBase
import DLGraph

extension UnaryFunction {
    // MARK: Piecewise linear

    static let relu = UnaryFunction(
        "relu", kernel: .relu, "The rectifier; its gradient at 0 is 0.", formula: "max(x, 0)",
        source: "Nair, Hinton, \"Rectified linear units improve restricted Boltzmann machines\", 2010",
        derivative: Derivative(usesOutput: true))

    static let relu6 = UnaryFunction(
        "relu6", kernel: .relu6, "The rectifier up to 6.", formula: "min(max(x, 0), 6)", source: "Krizhevsky, 2010", domain: -4...9,
        derivative: Derivative(usesOutput: true))

    static let leakyRelu = UnaryFunction(
        "leaky_relu", kernel: .leakyRelu, "The rectifier with a slope below 0.", formula: "x >= 0 ? x : negative_slope x",
        source: "Maas, Hannun, Ng, \"Rectifier nonlinearities improve neural network acoustic models\", 2013",
        arguments: [Argument("negative_slope", .float(Argument.anyFloat), 0.2, "The slope below 0.")],
        derivative: Derivative(usesOutput: false))

    static let hardSigmoid = UnaryFunction(
        "hard_sigmoid", kernel: .hardSigmoid, "A sigmoid made of three lines.", formula: "min(max(x / 6 + 1/2, 0), 1)", domain: -5...5,
        derivative: Derivative(usesOutput: false))

    static let hardTanh = UnaryFunction(
        "hard_tanh", kernel: .hardTanh, "Limits to -1 ... 1.", formula: "min(max(x, -1), 1)",
        derivative: Derivative(usesOutput: true))

    static let hardSilu = UnaryFunction(
        "hard_silu", kernel: .hardSilu, aliases: ["hard_swish"], "x times its hard sigmoid.", formula: "x hard_sigmoid(x)",
        source: "Howard et al., \"Searching for MobileNetV3\", 2019", domain: -5...5,
        derivative: Derivative(
            usesOutput: false, second: { x, _, _ in
                // 1/3 between the corners.
                try scale(cast(less(DLOps.abs(x), constant(3, like: x)), x.type), 1.0 / 3)
            }))

    static let softShrink = UnaryFunction(
        "soft_shrink", "Moves values towards 0 by the threshold.",
        formula: "sign(x) max(|x| - threshold, 0)",
        arguments: [Argument("threshold", .float(Argument.notNegative), 0.5, "What is taken off.")],
        derivative: Derivative(usesOutput: false, first: { x, a, _ in x > a || x < -a ? 1 : 0 }),
        real: { x, a, _ in x > a ? x - a : x < -a ? x + a : x.isNaN ? x : 0 })

    static let hardShrink = UnaryFunction(
        "hard_shrink", "Sets small values to 0.", formula: "|x| > threshold ? x : 0",
        arguments: [Argument("threshold", .float(Argument.notNegative), 0.5, "What counts as small.")],
        derivative: Derivative(usesOutput: false, first: { x, a, _ in x > a || x < -a ? 1 : 0 }),
        real: { x, a, _ in x > a || x < -a || x.isNaN ? x : 0 })

    static let threshold = UnaryFunction(
        "threshold", "Replaces values that do not exceed a threshold.", formula: "x > threshold ? x : default_value",
        arguments: [
            Argument("threshold", .float(Argument.anyFloat), nil, "What must be exceeded."),
            Argument("default_value", .float(Argument.anyFloat), nil, "What stands in."),
        ],
        sampleAttributes: ["threshold": 0.3, "default_value": -2.5],
        derivative: Derivative(usesOutput: false, first: { x, a, _ in x > a ? 1 : 0 }),
        real: { x, a, b in x > a || x.isNaN ? x : b })

    static let step = UnaryFunction(
        "step", kernel: .step, "1 above 0, else 0; its gradient is 0.",
        formula: "x > 0 ? 1 : 0")

    // MARK: Exponential below 0

    static let elu = UnaryFunction(
        "elu", kernel: .elu, "Linear above 0, an exponential below.", formula: "x > 0 ? x : alpha (e^x - 1)",
        source: "Clevert, Unterthiner, Hochreiter, \"Fast and accurate deep network learning by ELUs\", 2016",
        arguments: [Argument("alpha", .float(Argument.notNegative), 1, "Minus the limit far below 0.")],
        derivative: Derivative(
            usesOutput: true, first: { y, a, _ in y > 0 ? 1 : y + a },
            second: { y, _, _ in try cast(lessEqual(y, constant(0, like: y)), y.type) }))

    static let selu = UnaryFunction(
        "selu", kernel: .selu, "The ELU that keeps mean 0 and variance 1.",
        formula: "1.0507 (x > 0 ? x : 1.67326 (e^x - 1))",
        source: "Klambauer, Unterthiner, Mayr, Hochreiter, \"Self-normalizing neural networks\", 2017",
        derivative: Derivative(
            usesOutput: true, second: { y, _, _ in try cast(lessEqual(y, constant(0, like: y)), y.type) }))

    static let celu = UnaryFunction(
        "celu", "The continuously differentiable ELU.", formula: "max(x, 0) + min(alpha (e^(x/alpha) - 1), 0)",
        source: "Barron, \"Continuously differentiable exponential linear units\", 2017",
        arguments: [Argument("alpha", .float(1e-6...1e6), 1, "Minus the limit far below 0.")],
        sampleAttributes: ["alpha": 1.5],
        derivative: Derivative(
            usesOutput: true, first: { y, a, _ in y > 0 ? 1 : y / a + 1 },
            second: { y, a, _ in try scale(cast(lessEqual(y, constant(0, like: y)), y.type), 1 / a) }),
        real: { x, a, _ in x > 0 ? x : a * dl_expm1_d(x / a) })

    // MARK: Smooth

    static let sigmoid = UnaryFunction(
        "sigmoid", kernel: .sigmoid, "The logistic function.", formula: "1 / (1 + e^-x)",
        derivative: Derivative(
            usesOutput: true, second: { y, _, _ in try scale(y, -2, 1) }))

    static let tanh = UnaryFunction(
        "tanh", kernel: .tanh, "The hyperbolic tangent.", formula: "(e^x - e^-x) / (e^x + e^-x)",
        derivative: Derivative(
            usesOutput: true, second: { y, _, _ in try scale(y, -2) }))

    static let softplus = UnaryFunction(
        "softplus", kernel: .softplus, "A smooth rectifier.", formula: "ln(1 + e^x)",
        derivative: Derivative(
            usesOutput: false, second: { x, _, _ in
                let s = try DLOps.sigmoid(x)
                return try multiply(s, scale(s, -1, 1))
            }))

    static let softsign = UnaryFunction(
        "softsign", kernel: .softsign, "x over 1 + |x|.", formula: "x / (1 + |x|)",
        derivative: Derivative(
            usesOutput: false, second: { x, _, _ in
                let d = try scale(DLOps.abs(x), 1, 1)
                return try divide(scale(DLOps.sign(x), -2), multiply(d, DLOps.square(d)))
            }))

    static let silu = UnaryFunction(
        "silu", kernel: .silu, aliases: ["swish"], "x times its sigmoid.", formula: "x / (1 + e^-x)",
        source: "Ramachandran, Zoph, Le, \"Searching for activation functions\", 2017",
        derivative: Derivative(
            usesOutput: false,
            second: { x, _, _ in
                let s = try DLOps.sigmoid(x)
                let t = try scale(multiply(x, scale(s, -2, 1)), 1, 2)
                return try multiply(multiply(s, scale(s, -1, 1)), t)
            }))

    static let logSigmoid = UnaryFunction(
        "log_sigmoid", kernel: .logSigmoid, "The logarithm of the logistic function.", formula: "-ln(1 + e^-x)",
        derivative: Derivative(
            usesOutput: false, second: { x, _, _ in
                let s = try DLOps.sigmoid(x)
                return try multiply(s, scale(s, 1, -1))
            }))

    static let mish = UnaryFunction(
        "mish", kernel: .mish, "x times the hyperbolic tangent of its softplus.", formula: "x tanh(ln(1 + e^x))",
        source: "Misra, \"Mish: a self regularized non-monotonic activation function\", 2019",
        derivative: Derivative(
            usesOutput: false,
            second: { x, _, _ in
                let t = try DLOps.tanh(DLOps.softplus(x))
                let s = try DLOps.sigmoid(x)
                let sech = try scale(DLOps.square(t), -1, 1)
                let bend = try subtract(scale(s, -1, 1), multiply(scale(t, 2), s))
                return try multiply(multiply(sech, s), scale(multiply(x, bend), 1, 2))
            }))

    static let gaussian = UnaryFunction(
        "gaussian", kernel: .gaussian, "The bell curve of height 1.", formula: "e^(-x^2 / 2)",
        derivative: Derivative(
            usesOutput: false,
            second: { x, _, _ in
                let square = try DLOps.square(x)
                return try multiply(scale(square, 1, -1), DLOps.exp(scale(square, -0.5)))
            }))

    static let squareplus = UnaryFunction(
        "squareplus", "A smooth rectifier without exponentials.", formula: "(x + sqrt(x^2 + b)) / 2",
        source: "Barron, \"Squareplus: a softplus-like algebraic rectifier\", 2021",
        arguments: [Argument("b", .float(Argument.notNegative), 4, "Smoothness.")],
        derivative: Derivative(
            usesOutput: false, first: { x, b, _ in 0.5 + 0.5 * x / (x * x + b).squareRoot() },
            second: { x, b, _ in
                let r = try DLOps.rsqrt(scale(DLOps.square(x), 1, b))
                return try scale(multiply(r, DLOps.square(r)), b / 2)
            }),
        real: { x, b, _ in 0.5 * (x + (x * x + b).squareRoot()) })

    static let tanhShrink = UnaryFunction(
        "tanh_shrink", "What the hyperbolic tangent takes off.", formula: "x - tanh(x)",
        derivative: Derivative(
            usesOutput: false,
            first: { x, _, _ in
                let t = dl_tanh_d(x)
                return t * t
            },
            second: { x, _, _ in
                let t = try DLOps.tanh(x)
                return try multiply(scale(t, 2), scale(DLOps.square(t), -1, 1))
            }),
        real: { x, _, _ in x - dl_tanh_d(x) })

    static let activations: [UnaryFunction] = [
        relu, relu6, leakyRelu, hardSigmoid, hardTanh, hardSilu, softShrink, hardShrink, threshold, step, elu, selu, celu,
        sigmoid, tanh, softplus, softsign, silu, logSigmoid, mish, gaussian, squareplus, tanhShrink,
    ]
}

// MARK: For Swift

package func relu6(_ x: Value) throws -> Value { try apply(UnaryOperation(.relu6), x) }
package func elu(_ x: Value, alpha: Double = 1) throws -> Value { try apply(UnaryOperation(.elu, alpha), x) }
package func selu(_ x: Value) throws -> Value { try apply(UnaryOperation(.selu), x) }
package func celu(_ x: Value, alpha: Double = 1) throws -> Value { try apply(UnaryOperation(.celu, alpha), x) }
package func sigmoid(_ x: Value) throws -> Value { try apply(UnaryOperation(.sigmoid), x) }
package func tanh(_ x: Value) throws -> Value { try apply(UnaryOperation(.tanh), x) }
package func softplus(_ x: Value) throws -> Value { try apply(UnaryOperation(.softplus), x) }
package func softsign(_ x: Value) throws -> Value { try apply(UnaryOperation(.softsign), x) }
package func silu(_ x: Value) throws -> Value { try apply(UnaryOperation(.silu), x) }
package func hardSigmoid(_ x: Value) throws -> Value { try apply(UnaryOperation(.hardSigmoid), x) }
package func hardSilu(_ x: Value) throws -> Value { try apply(UnaryOperation(.hardSilu), x) }
package func hardTanh(_ x: Value) throws -> Value { try apply(UnaryOperation(.hardTanh), x) }
package func mish(_ x: Value) throws -> Value { try apply(UnaryOperation(.mish), x) }
package func logSigmoid(_ x: Value) throws -> Value { try apply(UnaryOperation(.logSigmoid), x) }
package func gaussian(_ x: Value) throws -> Value { try apply(UnaryOperation(.gaussian), x) }
package func step(_ x: Value) throws -> Value { try apply(UnaryOperation(.step), x) }
package func squareplus(_ x: Value, b: Double = 4) throws -> Value { try apply(UnaryOperation(.squareplus, b), x) }
package func tanhShrink(_ x: Value) throws -> Value { try apply(UnaryOperation(.tanhShrink), x) }
package func softShrink(_ x: Value, threshold: Double = 0.5) throws -> Value {
    try apply(UnaryOperation(.softShrink, threshold), x)
}
package func hardShrink(_ x: Value, threshold: Double = 0.5) throws -> Value {
    try apply(UnaryOperation(.hardShrink, threshold), x)
}
package func threshold(_ x: Value, threshold: Double, defaultValue: Double) throws -> Value {
    try apply(UnaryOperation(.threshold, threshold, defaultValue), x)
}
package func leakyRelu(_ x: Value, negativeSlope: Double = 0.2) throws -> Value {
    try apply(UnaryOperation(.leakyRelu, negativeSlope), x)
}

/// The rectifier in its general form: `maximum` where x reaches it, x above `threshold`, and below it
/// negativeSlope (x - threshold).
package func relu(
    _ x: Value, negativeSlope: Double = 0, maximum: Double? = nil, threshold: Double = 0
) throws -> Value {
    if threshold == 0 {
        if negativeSlope == 0 {
            guard let maximum else { return try apply(UnaryOperation(.relu), x) }
            return maximum == 6 ? try relu6(x) : try clip(x, 0, maximum)
        }
        let y = try leakyRelu(x, negativeSlope: negativeSlope)
        return try maximum.map { try minimum(y, constant($0, like: y)) } ?? y
    }
    let limit = try constant(threshold, like: x)
    let above = try maximum.map { try minimum(x, constant($0, like: x)) } ?? x
    let below = negativeSlope == 0 ? try constant(0, like: x) : try scale(x, negativeSlope, -negativeSlope * threshold)
    return try `where`(greaterEqual(x, limit), above, below)
}
