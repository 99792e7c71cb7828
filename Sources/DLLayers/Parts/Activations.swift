import DLBase
import DLGraph
import DLOps
import DLTensor

/// A function applied element by element, or along the last axis, to what a layer has computed.
package struct ActivationFunction: Sendable {
    package let apply: @Sendable (Value) throws -> Value

    package init(apply: @escaping @Sendable (Value) throws -> Value) { self.apply = apply }
}

package enum Activations {
    package static let registry = Registry<ActivationFunction>(
        "activation",
        [
            Declaration("linear", aliases: ["identity"], "What comes in.", formula: "x") { _ in ActivationFunction { $0 } },
            operation("relu", "Cuts off below 0.", "max(x, 0)"), operation("relu6", "Cuts off below 0 and above 6.", "min(max(x, 0), 6)"),
            operation("sigmoid", "The logistic function.", "1 / (1 + exp(-x))"),
            operation("tanh", "The hyperbolic tangent.", "tanh(x)"),
            Declaration(
                "scaled_tanh", "A hyperbolic tangent that is 1 at 1 and -1 at -1.", formula: "1.7159 tanh(2 x / 3)",
                source: "LeCun et al., Gradient-based learning applied to document recognition, 1998"
            ) { _ in ActivationFunction { try scale(tanh(scale($0, 2.0 / 3)), 1.7159) } },
            operation("softplus", "A smooth relu.", "log(1 + exp(x))"),
            operation("softsign", "Like tanh, with slower tails.", "x / (1 + |x|)"),
            operation("silu", "x times its sigmoid.", "x / (1 + exp(-x))", ["swish"]),
            Declaration(
                "gelu", "x times the normal distribution function.", formula: "x / 2 (1 + erf(x / sqrt(2)))"
            ) { _ in ActivationFunction { try gelu($0, approximate: false) } },
            operation("selu", "An elu scaled so that activations normalise themselves.", "1.0507 x, or 1.7581 (exp(x) - 1) below 0"),
            operation("elu", "Exponential below 0.", "x, or exp(x) - 1 below 0"),
            operation("leaky_relu", "A small slope below 0.", "x, or 0.2 x below 0"),
            operation("hard_sigmoid", "A sigmoid of three straight lines.", "min(max(x / 6 + 0.5, 0), 1)"),
            operation("hard_silu", "x times its hard_sigmoid.", "x min(max(x / 6 + 0.5, 0), 1)", ["hard_swish"]),
            operation("hard_tanh", "Cuts off below -1 and above 1.", "min(max(x, -1), 1)"),
            operation("log_sigmoid", "The logarithm of the sigmoid.", "-log(1 + exp(-x))"),
            operation("celu", "Exponential below 0, with a smooth bend.", "max(x, 0) + min(exp(x) - 1, 0)"),
            operation("squareplus", "A smooth relu without exponentials.", "(x + sqrt(x^2 + 4)) / 2"),
            operation("tanh_shrink", "x without its tanh.", "x - tanh(x)"),
            operation("soft_shrink", "Draws towards 0.", "x - 0.5, 0 or x + 0.5"),
            operation("hard_shrink", "Sets what is near 0 to 0.", "x if |x| > 0.5, else 0"),
            operation("mish", "x times tanh of its softplus.", "x tanh(log(1 + exp(x)))"),
            operation("glu", "One half of the last axis, gated by the sigmoid of the other.", "a sigmoid(b), x = [a, b]"),
            Declaration(
                "threshold", "Replaces what does not exceed a threshold.", formula: "x if x > threshold, else default_value",
                arguments: [
                    Argument("threshold", .float(Argument.anyFloat), 0, "What must be exceeded."),
                    Argument("default_value", .float(Argument.anyFloat), 0, "What stands for the rest."),
                ]
            ) { arguments in
                let operation = try Operations.registry.declaration("threshold").make(config: arguments.json)
                return ActivationFunction { try apply(operation, $0) }
            },
            Declaration(
                "sparsemax", "A softmax whose small probabilities are 0.", formula: "max(x - t, 0), t such that the sum is 1",
                source: "Martins and Astudillo, From softmax to sparsemax, 2016"
            ) { _ in ActivationFunction { try sparsemax($0) } },
            Declaration("exponential", aliases: ["exp"], "The exponential function.", formula: "exp(x)") { _ in
                ActivationFunction { try exp($0) }
            },
            operation("gaussian", "A bell around 0.", "exp(-x^2 / 2)"),
            operation("step", "Rosenblatt's threshold; its gradient is 0.", "1 if x > 0, else 0", ["heaviside"]),
            Declaration("sign", "The sign; its gradient is 0.", formula: "-1, 0 or 1") { _ in
                ActivationFunction { try sign($0) }
            },
            Declaration(
                "softmax", "Makes numbers along the last axis positive with sum 1.", formula: "exp(x_i) / sum exp(x_j)"
            ) { _ in ActivationFunction { try softmax($0) } },
            Declaration("log_softmax", "The logarithm of the softmax.", formula: "x_i - log sum exp(x_j)") { _ in
                ActivationFunction { try logSoftmax($0) }
            },
        ])

    private static func sparsemax(_ x: Value) throws -> Value {
        guard x.shape.rank > 0, x.shape.last > 0 else {
            throw DLError(.shape, "[sparsemax] the input needs a last axis with elements. Received: \(x.shape)")
        }
        let n = x.shape.last
        let fixed = try stopGradient(x)
        let sorted = try sort(fixed, axis: -1, descending: true)
        let ranks = try Tensor(zeros: [n], x.type)
        for index in 0..<n { ranks.setNumber(Double(index + 1), at: index) }
        let bound = try add(multiply(Value(ranks), sorted), constant(1, like: x))
        let counted = try cast(greater(bound, cumsum(sorted, axis: -1)), x.type)
        func threshold(_ scores: Value, _ mask: Value) throws -> Value {
            let total = try sum(multiply(scores, mask), axes: [-1], keepDims: true)
            return try divide(subtract(total, constant(1, like: x)), sum(mask, axes: [-1], keepDims: true))
        }
        let support = try cast(greater(fixed, threshold(sorted, counted)), x.type)
        return try multiply(support, subtract(x, threshold(x, support)))
    }

    private static func operation(
        _ name: String, _ summary: String, _ formula: String, _ aliases: [String] = []
    ) -> Declaration<ActivationFunction> {
        Declaration(name, aliases: aliases, summary, formula: formula) { _ in
            let operation = try Operations.registry.declaration(name).make(config: .null)
            return ActivationFunction { try apply(operation, $0) }
        }
    }

    /// The activation in an argument; nil for none.
    static func make(_ arguments: Arguments, _ name: String) throws -> ActivationFunction? {
        let given = arguments[name]
        guard !given.isNull, given != .string("linear") else { return nil }
        do {
            return try registry.make(given)
        } catch var error as DLError {
            error.message = "[\(arguments.owner)] '\(name)': \(error.message)"
            throw error
        }
    }
}
