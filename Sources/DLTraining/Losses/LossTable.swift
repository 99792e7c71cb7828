import DLBase
import DLGraph
import DLOps
import DLTensor

/// Every loss that has a name.
package enum Losses {
    package static let registry = Registry<Loss>(
        "loss",
        [
            sparseCategoricalCrossentropy, categoricalCrossentropy, binaryCrossentropy,
            difference("MeanSquaredError", ["mean_squared_error", "mse", "MSE"], "The mean square of the errors.", "mean((t - p)^2)") { try square($0) },
            difference("MeanAbsoluteError", ["mean_absolute_error", "mae", "MAE"], "The mean magnitude of the errors.", "mean(|t - p|)") { try abs($0) },
            difference("LogCosh", ["log_cosh", "logcosh"], "Like the square for small errors, like the magnitude for large ones.",
                "mean(log(cosh(p - t)))") { try logCosh($0) },
            huber,
            margin("Hinge", ["hinge"], "The hinge loss of classes -1 and 1; 0 and 1 are taken for them.", "mean(max(1 - t p, 0))") { $0 },
            margin("SquaredHinge", ["squared_hinge"], "The square of the hinge loss.", "mean(max(1 - t p, 0)^2)") { try square($0) },
            klDivergence, poisson, percentage, logarithmic, categoricalHinge, cosineSimilarity,
        ] + focal + overlap + embedding, beyondKeras: classic + moreEmbedding)

    /// From a name or JSON.
    package static func make(_ json: JSON, labelBase: Int = 0) throws -> Loss {
        guard labelBase != 0 else { return try registry.make(json) }
        let name = json.stringValue ?? json["class_name"]?.stringValue ?? ""
        guard registry.custom.find(name) == nil else { return try registry.make(json) }
        let declaration = try registry.declaration(name)
        guard declaration.arguments.contains(where: { $0.name == "label_base" }) else { return try registry.make(json) }
        var config = json["config"]?.objectValue ?? JSONObject()
        if config["label_base"] == nil { config["label_base"] = .int(Int64(labelBase)) }
        return try declaration.make(config: .object(config))
    }

    typealias Function = @Sendable (Value, Value, Arguments) throws -> Value

    static let common: [Argument] = [
        Argument("reduction", .choice(Loss.Reduction.allCases.map(\.rawValue)), "sum_over_batch_size",
            "How the losses of the samples become one."),
        Argument("name", .optional(.string), .null, "The name in logs."), Argument("dtype", .optional(.dtype), .null, "Unused: the predictions' type holds."),
    ]

    static func declare(
        _ name: String, _ aliases: [String], _ summary: String, _ formula: String, source: String = "", shapes: String,
        example: String = "", _ arguments: [Argument] = [], _ function: @escaping Function
    ) -> Declaration<Loss> {
        Declaration(
            name, aliases: aliases, summary, formula: formula, source: source.isEmpty ? "Keras, keras.losses.\(name)" : source,
            shapes: shapes, example: example, arguments: arguments + common
        ) { arguments in
            Loss(
                name: arguments.optionalString("name") ?? aliases.first ?? name,
                reduction: Loss.Reduction(rawValue: arguments.string("reduction")) ?? .sumOverBatchSize,
                serialized: ["class_name": .string(name), "config": arguments.json],
                rebase: arguments.has("label_base") ? { base in
                    var arguments = arguments
                    arguments.set("label_base", .int(Int64(base)))
                    let rebased = arguments
                    return { try function($0, $1, rebased) }
                } : nil
            ) { try function($0, $1, arguments) }
        }
    }

    static let same = "targets and predictions (batch, ...) alike; one loss for each sample"

    private static func difference(
        _ name: String, _ aliases: [String], _ summary: String, _ formula: String,
        _ function: @escaping @Sendable (Value) throws -> Value
    ) -> Declaration<Loss> {
        declare(name, aliases, summary, formula, shapes: same) { truth, prediction, arguments in
            let (t, p) = try aligned(truth, prediction, arguments.owner)
            return try meanOfLast(function(subtract(p, t)))
        }
    }

    static func logCosh(_ x: Value) throws -> Value {
        // log(cosh(x)) = x + softplus(-2x) - log(2), which does not overflow.
        let tail = try softplus(multiply(x, constant(-2, like: x)))
        return try subtract(add(x, tail), constant(0.693147180559945309, like: x))
    }

    /// The mean over the last axis; of a scalar or a vector of scalars, itself.
    static func meanOfLast(_ x: Value) throws -> Value { x.shape.rank <= 0 ? x : try mean(x, axes: [-1]) }

    private static func margin(
        _ name: String, _ aliases: [String], _ summary: String, _ formula: String,
        _ function: @escaping @Sendable (Value) throws -> Value
    ) -> Declaration<Loss> {
        declare(name, aliases, summary, formula, shapes: same) { truth, prediction, arguments in
            let (t, p) = try aligned(truth, prediction, arguments.owner)
            return try meanOfLast(function(relu(subtract(constant(1, like: p), multiply(signed(t), p)))))
        }
    }

    /// Labels -1 and 1; those that are all 0 or 1 are taken for them.
    static func signed(_ t: Value) throws -> Value {
        let one = try constant(1, like: t)
        let binary = try all(logicalOr(equal(t, constant(0, like: t)), equal(t, one)))
        return try `where`(binary, subtract(multiply(t, constant(2, like: t)), one), t)
    }

    private static let huber = declare(
        "Huber", ["huber"], "The square of small errors, the magnitude of large ones.",
        "mean(e^2 / 2 where |e| <= delta, else delta |e| - delta^2 / 2)", source: "Huber, Robust estimation of a location parameter, 1964",
        shapes: same, [Argument("delta", .float(1e-30...1e30), 1, "Where small ends.")]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let delta = try constant(arguments.float("delta"), like: p)
        let error = try abs(subtract(p, t))
        let half = try constant(0.5, like: p)
        let small = try multiply(half, square(error))
        let large = try subtract(multiply(delta, error), multiply(half, square(delta)))
        return try meanOfLast(`where`(lessEqual(error, delta), small, large))
    }

    private static let klDivergence = declare(
        "KLDivergence", ["kl_divergence", "kld", "KLD"], "The Kullback-Leibler divergence of distributions along the last axis.",
        "sum(t log(t / p))", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let (a, b) = (try clip(t, 1e-7, 1), try clip(p, 1e-7, 1))
        return try sum(multiply(a, log(divide(a, b))), axes: [-1])
    }

    private static let poisson = declare(
        "Poisson", ["poisson"], "The Poisson loss of counts.", "mean(p - t log(p))", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        return try meanOfLast(subtract(p, multiply(t, log(add(p, constant(1e-7, like: p))))))
    }

    private static let percentage = declare(
        "MeanAbsolutePercentageError", ["mean_absolute_percentage_error", "mape", "MAPE"], "The mean error in per cent of the truth.",
        "100 mean(|t - p| / max(|t|, 1e-7))", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let share = try divide(subtract(t, p), maximum(abs(t), constant(1e-7, like: t)))
        return try multiply(meanOfLast(abs(share)), constant(100, like: t))
    }

    private static let logarithmic = declare(
        "MeanSquaredLogarithmicError", ["mean_squared_logarithmic_error", "msle", "MSLE"],
        "The mean square of the logarithms' errors.", "mean((log(max(t, 1e-7) + 1) - log(max(p, 1e-7) + 1))^2)", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        func logarithm(_ x: Value) throws -> Value { try log(add(maximum(x, constant(1e-7, like: x)), constant(1, like: x))) }
        return try meanOfLast(square(subtract(logarithm(t), logarithm(p))))
    }

    private static let categoricalHinge = declare(
        "CategoricalHinge", ["categorical_hinge"], "The hinge loss of the right class against the best wrong one.",
        "max(1 + max((1 - t) p) - sum(t p), 0)", shapes: same
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let one = try constant(1, like: p)
        let right = try sum(multiply(t, p), axes: [-1])
        let wrong = try max(multiply(subtract(one, t), p), axes: [-1])
        return try relu(add(subtract(wrong, right), one))
    }

    private static let cosineSimilarity = declare(
        "CosineSimilarity", ["cosine_similarity"], "Minus the cosine between truth and prediction.",
        "-sum(t p) / (|t| |p|)", shapes: same, [Argument("axis", .axis, -1, "The axis of the vectors.")]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let axis = arguments.int("axis")
        func unit(_ x: Value) throws -> Value {
            let length = try sum(square(x), axes: [axis], keepDims: true)
            return try multiply(x, rsqrt(maximum(length, constant(1e-12, like: x))))
        }
        return try negative(sum(multiply(unit(t), unit(p)), axes: [axis]))
    }

    // MARK: Cross-entropies

    static let fromLogits = Argument("from_logits", .bool, false, "Whether predictions are logits instead of probabilities.")
    static let smoothing = Argument("label_smoothing", .float(Argument.fraction), 0, "Share of the truth that is spread over all classes.")
    static let axis = Argument("axis", .axis, -1, "The axis of the classes.")

    private static let sparseCategoricalCrossentropy = declare(
        "SparseCategoricalCrossentropy", ["sparse_categorical_crossentropy"], "The cross-entropy of class labels.",
        "-log(p[label])", shapes: "labels (batch, ...), predictions (batch, ..., classes); one loss for each label",
        [
            fromLogits,
            Argument("ignore_class", .optional(.int(Argument.anyInt)), .null, "A label whose samples do not count."), axis,
            Argument("label_base", .int(0...1), 0, "What labels count from.", isKeras: false),
        ]
    ) { truth, prediction, arguments in
        var labels = try labelsFor(truth, prediction, arguments.owner)
        var counts: Value?
        if let ignored = arguments.optionalInt("ignore_class") {
            let isCounted = try notEqual(cast(labels, .int64), Value(Tensor(scalar: Int64(ignored))))
            labels = try `where`(isCounted, labels, constant(arguments.float("label_base"), like: labels))
            counts = isCounted
        }
        let losses = try DLOps.sparseCategoricalCrossentropy(
            labels, prediction, fromLogits: arguments.bool("from_logits"), axis: arguments.int("axis"),
            labelBase: arguments.int("label_base"))
        guard let counts else { return losses }
        let counted = try `where`(counts, losses, constant(0, like: losses))
        counted.mask = counts
        return counted
    }

    private static let categoricalCrossentropy = declare(
        "CategoricalCrossentropy", ["categorical_crossentropy"], "The cross-entropy of distributions over classes.",
        "-sum(t log(p))", shapes: "targets and predictions (batch, ..., classes); one loss for each distribution",
        [fromLogits, smoothing, axis]
    ) { truth, prediction, arguments in
        guard prediction.shape.rank >= 1, truth.shape == prediction.shape else {
            throw DLError(
                .shape, "[CategoricalCrossentropy] targets must be distributions in the shape of the predictions; "
                    + "for class labels use sparse_categorical_crossentropy. "
                    + "Received: targets \(truth.shape), predictions \(prediction.shape)")
        }
        let axis = arguments.int("axis")
        var t = try cast(truth, prediction.type)
        let smooth = arguments.float("label_smoothing")
        if smooth > 0 {
            let classes = Double(prediction.shape[try prediction.shape.axis(axis, arguments.owner)])
            t = try add(multiply(t, constant(1 - smooth, like: t)), constant(smooth / classes, like: t))
        }
        return try DLOps.categoricalCrossentropy(t, prediction, fromLogits: arguments.bool("from_logits"), axis: axis)
    }

    private static let binaryCrossentropy = declare(
        "BinaryCrossentropy", ["binary_crossentropy"], "The cross-entropy of yes-or-no targets.",
        "mean(-(t log(p) + (1 - t) log(1 - p)))", shapes: same, [fromLogits, smoothing, axis]
    ) { truth, prediction, arguments in
        var (t, p) = try aligned(truth, prediction, arguments.owner)
        if p !== prediction { p.logits = try prediction.logits.map { ($0.activation, try reshape($0.value, p.shape.sizes)) } }
        let smooth = arguments.float("label_smoothing")
        if smooth > 0 { t = try add(multiply(t, constant(1 - smooth, like: t)), constant(0.5 * smooth, like: t)) }
        let losses = try DLOps.binaryCrossentropy(t, p, fromLogits: arguments.bool("from_logits"))
        return losses.shape.rank == 0 ? losses : try mean(losses, axes: [arguments.int("axis")])
    }

    /// Labels without a last axis of size 1, their other axes checked.
    static func labelsFor(_ truth: Value, _ prediction: Value, _ owner: String) throws -> Value {
        var labels = truth
        if labels.shape.rank == prediction.shape.rank, labels.shape.last == 1, labels.shape.rank > 0 {
            labels = try reshape(labels, Array(labels.shape.sizes.dropLast()))
        }
        guard prediction.shape.rank >= 1, labels.shape.sizes == Array(prediction.shape.sizes.dropLast()) else {
            throw DLError(
                .shape, "[\(owner)] one label for each prediction is needed; for one-hot targets use "
                    + "categorical_crossentropy. Received: labels \(truth.shape), predictions \(prediction.shape)")
        }
        return labels
    }
}
