import DLBase
import DLGraph
import DLOps

/// A penalty on a weight, added to the loss.
package struct Regularizer: Sendable {
    package let penalty: @Sendable (Value) throws -> Value
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
        ])

    private static func scaled(_ value: Value, _ factor: Double) throws -> Value {
        try multiply(value, constant(factor, like: value))
    }
}

/// A projection of a weight, applied after each update.
package struct Constraint: Sendable {
    package let project: @Sendable (Value) throws -> Value
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
        ])

    private static func norm(_ weight: Value, _ axes: [Int]) throws -> Value {
        try sqrt(sum(square(weight), axes: axes, keepDims: true))
    }
}
