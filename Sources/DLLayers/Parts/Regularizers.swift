import DLBase
import DLGraph
import DLOps
import DLTensor

/// A penalty on a weight or on a layer's output, added to the loss.
package struct Regularizer: Sendable {
    package let penalty: @Sendable (Value) throws -> Value
    /// As a penalty on outputs it is for the batch as a whole, not a sum over the samples.
    var isPerBatch = false
    /// The weight of the squared derivatives of outputs by inputs, for the penalty that is made of these.
    var contraction: Double?

    package init(_ penalty: @escaping @Sendable (Value) throws -> Value) { self.penalty = penalty }
}

package enum Regularizers {
    private static let factor = Argument.Kind.float(Argument.notNegative)

    package static let registry = Registry<Regularizer>(
        "regularizer",
        [
            Declaration(
                "L1", aliases: ["l1"], "Penalises the sum of magnitudes.", formula: "l1 * sum(|w|)",
                arguments: [Argument("l1", factor, 0.01, "The factor.")]
            ) { arguments in
                let l1 = arguments.float("l1")
                return Regularizer { try scaled(sum(abs($0)), l1) }
            },
            Declaration(
                "L2", aliases: ["l2"], "Penalises the sum of squares.", formula: "l2 * sum(w^2)",
                arguments: [Argument("l2", factor, 0.01, "The factor.")]
            ) { arguments in
                let l2 = arguments.float("l2")
                return Regularizer { try scaled(sum(square($0)), l2) }
            },
            Declaration(
                "L1L2", aliases: ["l1_l2"], "Penalises magnitudes and squares.", formula: "l1 * sum(|w|) + l2 * sum(w^2)",
                arguments: [
                    Argument("l1", factor, 0, "Factor of the magnitudes."), Argument("l2", factor, 0, "Factor of the squares."),
                ]
            ) { arguments in
                let (l1, l2) = (arguments.float("l1"), arguments.float("l2"))
                return Regularizer { try add(scaled(sum(abs($0)), l1), scaled(sum(square($0)), l2)) }
            },
            Declaration(
                "OrthogonalRegularizer", aliases: ["orthogonal_regularizer"],
                "Penalises rows or columns of a matrix that are not at right angles.",
                formula: "factor * sum(|<v_i, v_j>|, i < j) / number of pairs, v the rows or columns scaled to length 1",
                source: "Brock et al., Neural photo editing with introspective adversarial networks, 2017",
                arguments: [
                    Argument("factor", .float(Argument.anyFloat), 0.01, "The factor."),
                    Argument("mode", .choice(["rows", "columns"]), "rows", "Which of them are compared."),
                ]
            ) { arguments in
                let (factor, rows) = (arguments.float("factor"), arguments.string("mode") == "rows")
                return Regularizer { try orthogonality($0, factor, rows: rows) }
            },
        ],
        beyondKeras: [
            Declaration(
                "KLSparsity", aliases: ["kl_sparsity"],
                "Keeps the mean activity of each unit over the batch near a small number; a penalty on outputs between 0 and 1.",
                formula: "weight * sum over units of rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)), r the unit's mean "
                    + "over the batch, kept in [1e-7, 1 - 1e-7]",
                source: "A. Ng, Sparse autoencoder, CS294A lecture notes, 2011",
                arguments: [
                    Argument("rho", .float(1e-6...(1 - 1e-6)), 0.05, "The mean activity that is wanted."),
                    Argument("weight", factor, 3, "The factor."),
                ]
            ) { arguments in
                let (rho, weight) = (arguments.float("rho"), arguments.float("weight"))
                var regularizer = Regularizer { try sparsity($0, rho, weight) }
                regularizer.isPerBatch = true
                return regularizer
            },
            Declaration(
                "Contractive", aliases: ["contractive"],
                "Penalises how strongly outputs follow inputs; only as an activity regularizer.",
                formula: "weight * mean over the batch of sum((dh_j / dx_i)^2)",
                source: "Rifai et al., Contractive auto-encoders: explicit invariance during feature extraction, 2011",
                arguments: [Argument("weight", factor, 0.1, "The factor.")]
            ) { arguments in
                var regularizer = Regularizer { _ in
                    throw DLError(
                        .unsupported, "[Contractive] the penalty is on how outputs follow inputs; give it as 'activity_regularizer'")
                }
                regularizer.contraction = arguments.float("weight")
                return regularizer
            },
        ])

    private static func sparsity(_ h: Value, _ rho: Double, _ weight: Double) throws -> Value {
        guard h.shape.rank >= 2, h.shape.count > 0 else {
            throw DLError(.shape, "[KLSparsity] takes outputs with a batch axis and others. Received: \(h.shape)")
        }
        let least = 1e-7
        let limited = try minimum(
            maximum(mean(h, axes: [0]), constant(least, like: h)), constant(1 - least, like: h))
        let rest = try subtract(constant(1, like: h), limited)
        // Both logarithms of rho are constants.
        let fixed = rho * logarithm(rho) + (1 - rho) * logarithm(1 - rho)
        let inner = try add(scaled(log(limited), rho), scaled(log(rest), 1 - rho))
        return try scaled(sum(subtract(constant(fixed, like: h), inner)), weight)
    }

    private static func orthogonality(_ w: Value, _ factor: Double, rows: Bool) throws -> Value {
        guard w.shape.rank == 2 else {
            throw DLError(.shape, "[OrthogonalRegularizer] takes a matrix. Received: \(w.shape)")
        }
        let squares = try sum(square(w), axes: [rows ? 1 : 0], keepDims: true)
        let unit = try divide(w, sqrt(maximum(squares, constant(1e-14, like: w))))
        let flipped = try transpose(unit, [1, 0])
        let products = try rows ? matmul(unit, flipped) : matmul(flipped, unit)
        let count = products.shape[0]
        let diagonal = try Tensor(zeros: [count, count], w.type)
        for index in 0..<count * count where index / count != index % count { diagonal.setNumber(1, at: index) }
        let pairs = Double(count) * Double(count - 1) / 2
        let total = try sum(abs(multiply(products, Value(diagonal))))
        return try scaled(total, pairs > 0 ? factor * 0.5 / pairs : 0)
    }

    private static func scaled(_ value: Value, _ factor: Double) throws -> Value {
        try multiply(value, constant(factor, like: value))
    }
}

/// A projection of a weight, applied after each update.
package struct Constraint: Sendable {
    package let project: @Sendable (Value) throws -> Value

    package init(project: @escaping @Sendable (Value) throws -> Value) { self.project = project }
}

package enum Constraints {
    private static let axis = Argument("axis", .axes, 0, "The axes along which norms are taken; 0 for the inputs of a Dense kernel.")

    package static let registry = Registry<Constraint>(
        "constraint",
        [
            Declaration("NonNeg", aliases: ["non_neg"], "Keeps every entry from going below 0.") { _ in
                Constraint { try relu($0) }
            },
            Declaration(
                "UnitNorm", aliases: ["unit_norm"], "Scales to norm 1.", formula: "w / (1e-7 + norm(w))", arguments: [axis]
            ) { arguments in
                let axes = arguments.ints("axis")
                return Constraint { try divide($0, add(norm($0, axes), constant(1e-7, like: $0))) }
            },
            Declaration(
                "MaxNorm", aliases: ["max_norm"], "Scales down what has a norm above the limit.",
                formula: "w * clip(norm(w), 0, max_value) / (1e-7 + norm(w))",
                arguments: [Argument("max_value", .float(Argument.notNegative), 2, "The limit."), axis]
            ) { arguments in
                let (limit, axes) = (arguments.float("max_value"), arguments.ints("axis"))
                return Constraint { weight in
                    let length = try norm(weight, axes)
                    let wanted = try minimum(length, constant(limit, like: weight))
                    return try multiply(weight, divide(wanted, add(length, constant(1e-7, like: weight))))
                }
            },
            Declaration(
                "MinMaxNorm", aliases: ["min_max_norm"], "Draws norms into a range.",
                formula: "w * (rate clip(norm(w), min_value, max_value) + (1 - rate) norm(w)) / (1e-7 + norm(w))",
                arguments: [
                    Argument("min_value", .float(Argument.notNegative), 0, "The least norm."),
                    Argument("max_value", .float(Argument.notNegative), 1, "The largest norm."),
                    Argument("rate", .float(Argument.fraction), 1, "How much of the way is gone in one update."), axis,
                ]
            ) { try minMax($0) },
        ])

    private static func minMax(_ arguments: Arguments) throws -> Constraint {
        let (least, most, rate) = (arguments.float("min_value"), arguments.float("max_value"), arguments.float("rate"))
        guard least <= most else { throw arguments.error("min_value", "no larger than 'max_value'") }
        let axes = arguments.ints("axis")
        return Constraint { weight in
            let length = try norm(weight, axes)
            let limited = try minimum(maximum(length, constant(least, like: weight)), constant(most, like: weight))
            let wanted = try add(
                multiply(limited, constant(rate, like: weight)), multiply(length, constant(1 - rate, like: weight)))
            return try multiply(weight, divide(wanted, add(length, constant(1e-7, like: weight))))
        }
    }

    private static func norm(_ weight: Value, _ axes: [Int]) throws -> Value {
        try sqrt(sum(square(weight), axes: axes, keepDims: true))
    }
}
