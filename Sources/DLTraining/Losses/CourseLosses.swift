import DLBase
import DLGraph
import DLOps
import DLTensor

// Losses beyond Keras's.

extension Losses {
    static let classic: [Declaration<Loss>] = [
        margin("Exponential", ["exponential_loss"], "The exponential loss of classes -1 and 1; 0 and 1 are taken for them.", "mean(exp(-t p))",
            source: "Freund and Schapire, A decision-theoretic generalization of on-line learning, 1997") { try exp(negative($0)) },
        margin("Logistic", ["logistic"], "The logistic loss of classes -1 and 1, 1 at the border; 0 and 1 are taken for them.",
            "mean(log2(1 + exp(-t p)))", source: "Cox, The regression analysis of binary sequences, 1958") {
            try scale(softplus(negative($0)), 1.442695040888963407)
        },
        halfSquaredError, wasserstein,
    ]

    private static func margin(
        _ name: String, _ aliases: [String], _ summary: String, _ formula: String, source: String,
        _ function: @escaping @Sendable (Value) throws -> Value
    ) -> Declaration<Loss> {
        declare(name, aliases, summary, formula, source: source, shapes: same) { truth, prediction, arguments in
            let (t, p) = try aligned(truth, prediction, arguments.owner)
            return try meanOfLast(function(multiply(signed(t), p)))
        }
    }

    private static let halfSquaredError = declare(
        "HalfSquaredError", ["half_squared_error"], "Half the sum of the squares of a sample's errors.", "1/2 sum((t - p)^2)",
        source: "Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986",
        shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let squares = try scale(square(subtract(p, t)), 0.5)
        return squares.shape.rank == 0 ? squares : try sum(squares, axes: [-1])
    }

    private static let wasserstein = declare(
        "Wasserstein", ["wasserstein"], "What a critic maximises: its scores of real samples (target 1) minus those of others (target -1).",
        "mean(-t p)", source: "Arjovsky, Chintala and Bottou, Wasserstein GAN, 2017", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        return try meanOfLast(negative(multiply(t, p)))
    }
}
