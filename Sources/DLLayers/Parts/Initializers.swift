import DLBase
import DLOps
import DLTensor

/// How a weight gets its first contents.
package struct Initializer: Sendable {
    package let make: @Sendable (Shape, ElementType) throws -> Tensor

    package init(make: @escaping @Sendable (Shape, ElementType) throws -> Tensor) { self.make = make }
}

package enum Initializers {
    package static let registry = Registry<Initializer>(
        "initializer",
        [
            constant("Zeros", ["zeros"], "All zeros.", 0), constant("Ones", ["ones"], "All ones.", 1), constantValue,
            randomNormal, randomUniform, truncatedNormal, varianceScaling, identity, orthogonal,
            scaled("GlorotUniform", ["glorot_uniform"], 1, "fan_avg", "uniform", glorot),
            scaled("GlorotNormal", ["glorot_normal"], 1, "fan_avg", "truncated_normal", glorot),
            scaled("HeUniform", ["he_uniform"], 2, "fan_in", "uniform", he),
            scaled("HeNormal", ["he_normal"], 2, "fan_in", "truncated_normal", he),
            scaled("LecunUniform", ["lecun_uniform"], 1, "fan_in", "uniform", lecun),
            scaled("LecunNormal", ["lecun_normal"], 1, "fan_in", "truncated_normal", lecun),
        ])

    private static let glorot = "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010"
    private static let he = "He et al., Delving deep into rectifiers, 2015"
    private static let lecun = "LeCun et al., Efficient BackProp, 1998"

    private static let seed = Argument(
        "seed", .optional(.int(0...Int.max)), .null, "Fixes the numbers; without it they come from the process's generator.")

    private static let fanAxes = [
        Argument("input_axes", .any, .null, "Always null: the axis before the last."),
        Argument("output_axes", .any, .null, "Always null: the last axis."),
    ]

    private static func refuseFanAxes(_ arguments: Arguments) throws {
        for name in ["input_axes", "output_axes"] where arguments.has(name) {
            throw DLError(.unsupported, "[\(arguments.owner)] '\(name)' is not supported")
        }
    }

    private static func seedValue(_ arguments: Arguments) -> UInt64? { arguments.optionalInt("seed").map(UInt64.init) }

    private static func constant(_ name: String, _ aliases: [String], _ summary: String, _ value: Double) -> Declaration<Initializer> {
        Declaration(name, aliases: aliases, summary) { _ in
            Initializer { shape, type in try Tensor(number: value, type, shape: shape) }
        }
    }

    private static let constantValue = Declaration<Initializer>(
        "Constant", aliases: ["constant"], "One number everywhere.",
        arguments: [Argument("value", .float(Argument.anyFloat), 0, "The number.")]
    ) { arguments in
        let value = arguments.float("value")
        return Initializer { shape, type in try Tensor(number: value, type, shape: shape) }
    }

    private static let randomNormal = Declaration<Initializer>(
        "RandomNormal", aliases: ["random_normal", "normal"], "Normally distributed numbers.",
        arguments: [
            Argument("mean", .float(Argument.anyFloat), 0, "Their mean."),
            Argument("stddev", .float(Argument.notNegative), 0.05, "Their standard deviation."), seed,
        ]
    ) { arguments in
        let (mean, deviation, seed) = (arguments.float("mean"), arguments.float("stddev"), seedValue(arguments))
        return Initializer { try RandomFill.normal($0, $1, mean: mean, deviation: deviation, seed: seed) }
    }

    private static let truncatedNormal = Declaration<Initializer>(
        "TruncatedNormal", aliases: ["truncated_normal"],
        "Normally distributed numbers; those beyond two standard deviations are drawn again.",
        arguments: [
            Argument("mean", .float(Argument.anyFloat), 0, "The mean."),
            Argument("stddev", .float(Argument.notNegative), 0.05, "The standard deviation before truncation."), seed,
        ]
    ) { arguments in
        let (mean, deviation, seed) = (arguments.float("mean"), arguments.float("stddev"), seedValue(arguments))
        return Initializer { try RandomFill.truncatedNormal($0, $1, mean: mean, deviation: deviation, seed: seed) }
    }

    private static let randomUniform = Declaration<Initializer>(
        "RandomUniform", aliases: ["random_uniform", "uniform"], "Uniformly distributed numbers.",
        arguments: [
            Argument("minval", .float(Argument.anyFloat), -0.05, "The lower border."),
            Argument("maxval", .float(Argument.anyFloat), 0.05, "The upper border."), seed,
        ]
    ) { arguments in
        let (low, high, seed) = (arguments.float("minval"), arguments.float("maxval"), seedValue(arguments))
        return Initializer { try RandomFill.uniform($0, $1, low: low, high: high, seed: seed) }
    }

    private static let varianceScaling = Declaration<Initializer>(
        "VarianceScaling", aliases: ["variance_scaling"], "Random numbers whose variance follows from the number of connections.",
        formula: "variance = scale / n, n = fan_in, fan_out or their mean", source: glorot,
        arguments: [
            Argument("scale", .float(1e-30...1e30), 1, "The factor."),
            Argument("mode", .choice(["fan_in", "fan_out", "fan_avg"]), "fan_in", "What n is."),
            Argument("distribution", .choice(["truncated_normal", "untruncated_normal", "uniform", "normal"]), "truncated_normal",
                "The distribution; \"normal\" is \"truncated_normal\"."), seed,
        ] + fanAxes
    ) { arguments in
        try refuseFanAxes(arguments)
        return scaling(
            arguments.float("scale"), arguments.string("mode"), arguments.string("distribution"), seedValue(arguments))
    }

    private static func scaled(
        _ name: String, _ aliases: [String], _ scale: Double, _ mode: String, _ distribution: String, _ source: String
    ) -> Declaration<Initializer> {
        let spread = distribution == "uniform" ? "uniform in ±sqrt(3 v)" : "truncated normal with variance v"
        let count = mode == "fan_in" ? "fan_in" : "((fan_in + fan_out) / 2)"
        return Declaration(
            name, aliases: aliases, "Random numbers, \(spread), whose variance suits the number of connections.",
            formula: "v = \(scale == 2 ? "2" : "1") / \(count)", source: source, arguments: [seed] + fanAxes
        ) { arguments in
            try refuseFanAxes(arguments)
            return scaling(scale, mode, distribution, seedValue(arguments))
        }
    }

    private static func scaling(_ scale: Double, _ mode: String, _ distribution: String, _ seed: UInt64?) -> Initializer {
        Initializer { shape, type in
            let (fanIn, fanOut) = fans(shape)
            let n = mode == "fan_in" ? fanIn : mode == "fan_out" ? fanOut : (fanIn + fanOut) / 2
            let variance = scale / max(1, n)
            switch distribution {
            case "uniform":
                let limit = (3 * variance).squareRoot()
                return try RandomFill.uniform(shape, type, low: -limit, high: limit, seed: seed)
            case "untruncated_normal":
                return try RandomFill.normal(shape, type, mean: 0, deviation: variance.squareRoot(), seed: seed)
            default:
                // The standard deviation of a normal distribution cut at two of its own is this much smaller.
                let deviation = variance.squareRoot() / 0.87962566103423978
                return try RandomFill.truncatedNormal(shape, type, mean: 0, deviation: deviation, seed: seed)
            }
        }
    }

    /// How many inputs an output is made of and the other way round; the last two axes are in and out.
    static func fans(_ shape: Shape) -> (Double, Double) {
        switch shape.rank {
        case 0: return (1, 1)
        case 1: return (Double(shape[0]), Double(shape[0]))
        default:
            let field = Double(shape.sizes.dropLast(2).reduce(1, &*))
            return (Double(shape[shape.rank - 2]) * field, Double(shape[shape.rank - 1]) * field)
        }
    }

    private static let identity = Declaration<Initializer>(
        "Identity", aliases: ["identity", "IdentityInitializer"], "The identity matrix times a number; for weights with two axes.",
        arguments: [Argument("gain", .float(Argument.anyFloat), 1, "The number.")]
    ) { arguments in
        let gain = arguments.float("gain")
        return Initializer { shape, type in
            guard shape.rank == 2 else {
                throw DLError(.shape, "[Identity] only a weight with two axes can be the identity. Received: \(shape)")
            }
            let tensor = try Tensor(zeros: shape, type)
            for index in 0..<min(shape[0], shape[1]) { tensor.setNumber(gain, at: index &* shape[1] &+ index) }
            return tensor
        }
    }

    private static let orthogonal = Declaration<Initializer>(
        "Orthogonal", aliases: ["orthogonal", "OrthogonalInitializer"],
        "A random matrix with orthonormal rows or columns, whichever are fewer; leading axes count as rows.",
        source: "Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, 2013",
        arguments: [Argument("gain", .float(Argument.anyFloat), 1, "A factor."), seed]
    ) { arguments in
        let (gain, seed) = (arguments.float("gain"), seedValue(arguments))
        return Initializer { shape, type in
            guard shape.rank >= 2 else {
                throw DLError(.shape, "[Orthogonal] the weight must have at least two axes. Received: \(shape)")
            }
            let columns = shape.last
            let rows = shape.sizes.dropLast().reduce(1, &*)
            let normal = try RandomFill.normal(
                Shape([max(rows, columns), min(rows, columns)]), .float64, mean: 0, deviation: 1, seed: seed)
            let basis = orthonormalColumns(normal.array(Double.self), max(rows, columns), min(rows, columns))
            let tensor = try Tensor(uninitialized: shape, type)
            for row in 0..<rows {
                for column in 0..<columns {
                    let value = rows >= columns ? basis[row &* columns &+ column] : basis[column &* rows &+ row]
                    tensor.setNumber(gain * value, at: row &* columns &+ column)
                }
            }
            return tensor
        }
    }

    /// Modified Gram-Schmidt, twice, which is as orthogonal as Householder's method.
    private static func orthonormalColumns(_ matrix: [Double], _ rows: Int, _ columns: Int) -> [Double] {
        var q = matrix
        for column in 0..<columns {
            for _ in 0..<2 {
                for earlier in 0..<column {
                    var product = 0.0
                    for row in 0..<rows { product += q[row * columns + column] * q[row * columns + earlier] }
                    for row in 0..<rows { q[row * columns + column] -= product * q[row * columns + earlier] }
                }
            }
            var norm = 0.0
            for row in 0..<rows { norm += q[row * columns + column] * q[row * columns + column] }
            norm = norm.squareRoot()
            for row in 0..<rows { q[row * columns + column] /= norm > 0 ? norm : 1 }
        }
        return q
    }
}
