import DLBase
import DLGraph
import DLOps
import DLTensor

/// Every metric that has a name.
package enum Metrics {
    package static let registry = Registry<Metric>(
        "metric",
        [
            mean, sum, accuracy, binaryAccuracy, categoricalAccuracy, sparseCategoricalAccuracy, topK, sparseTopK,
            loss("MeanSquaredError", ["mean_squared_error", "mse", "MSE"]),
            loss("MeanAbsoluteError", ["mean_absolute_error", "mae", "MAE"]),
            rootMeanSquaredError, loss("Hinge", ["hinge"]), loss("SquaredHinge", ["squared_hinge"]),
            loss("KLDivergence", ["kl_divergence"]), loss("Poisson", ["poisson"]),
            loss("BinaryCrossentropy", ["binary_crossentropy"]),
            loss("CategoricalCrossentropy", ["categorical_crossentropy"]),
            loss("SparseCategoricalCrossentropy", ["sparse_categorical_crossentropy"]),
            loss("CategoricalHinge", ["categorical_hinge"]), loss("LogCosh", ["log_cosh", "logcosh", "LogCoshError"], as: "LogCoshError", label: "logcosh"),
            loss("MeanAbsolutePercentageError", ["mean_absolute_percentage_error", "mape", "MAPE"]),
            loss("MeanSquaredLogarithmicError", ["mean_squared_logarithmic_error", "msle", "MSLE"]),
            cosineSimilarity, pearson, concordance,
        ] + thresholdMetrics + classMetrics, beyondKeras: [
            loss("Huber", ["huber"]), loss("BinaryFocalCrossentropy", ["binary_focal_crossentropy"]),
            loss("CategoricalFocalCrossentropy", ["categorical_focal_crossentropy"]), zeroOne, topKError, sparseTopKError,
            rocCurve,
        ])

    /// From a name or JSON. "accuracy" means the one that suits the shapes of truth and prediction.
    package static func make(
        _ json: JSON, truth: TensorSpec? = nil, prediction: TensorSpec? = nil, labelBase: Int = 0
    ) throws -> Metric {
        let className = json.stringValue ?? json["class_name"]?.stringValue ?? ""
        var name = className
        var config: JSONObject = json["config"]?.objectValue ?? JSONObject()
        if json.stringValue == "accuracy" || json.stringValue == "acc", let truth, let prediction {
            name = suitable(truth, prediction, "Accuracy")
            config["name"] = .string(className)
        } else if ["crossentropy", "ce"].contains(json.stringValue), let truth, let prediction {
            name = suitable(truth, prediction, "Crossentropy")
            config["name"] = .string(className)
        }
        guard registry.find(name) != nil || registry.custom.find(name) == nil else { return try registry.make(json) }
        let declaration = try registry.declaration(name)
        if labelBase != 0, config["label_base"] == nil, declaration.arguments.contains(where: { $0.name == "label_base" }) {
            config["label_base"] = .int(Int64(labelBase))
        }
        if config["name"] == nil, json.stringValue != nil, declaration.name != className {
            config["name"] = .string(className)
        }
        return try declaration.make(config: .object(config))
    }

    private static func suitable(_ truth: TensorSpec, _ prediction: TensorSpec, _ suffix: String) -> String {
        if prediction.shape.last == 1 { return "Binary" + suffix }
        let labels = truth.shape.rank < prediction.shape.rank
            || (truth.shape.rank == prediction.shape.rank && truth.shape.last == 1)
        return (labels ? "SparseCategorical" : "Categorical") + suffix
    }

    static let common: [Argument] = [
        Argument("name", .optional(.string), .null, "The name in logs."), Argument("dtype", .optional(.dtype), .null, "Unused: sums are kept in float64."),
    ]
    private static let labelBase = Argument("label_base", .int(0...1), 0, "What labels count from.", isKeras: false)

    static func snake(_ name: String) -> String {
        var text = ""
        for character in name {
            if character.isUppercase, !text.isEmpty { text.append("_") }
            text.append(contentsOf: character.lowercased())
        }
        return text
    }

    private static func declare(
        _ name: String, _ aliases: [String] = [], _ summary: String, shapes: String, _ arguments: [Argument] = [],
        finish: (@Sendable (Double) -> Double)? = nil,
        _ function: @escaping @Sendable (Value, Value, Arguments) throws -> Value
    ) -> Declaration<Metric> {
        Declaration(
            name, aliases: aliases, summary, source: "Keras, keras.metrics.\(name)", shapes: shapes, arguments: arguments + common
        ) { arguments in
            return try MeanMetric(
                name: arguments.optionalString("name") ?? snake(name),
                serialized: ["class_name": .string(name), "config": arguments.json], finish: finish, rebase: rebased(arguments, call)) { try call($0, $1, arguments) }
            @Sendable func call(_ truth: Value, _ prediction: Value?, _ arguments: Arguments) throws -> Value {
                guard let prediction else {
                    throw DLError(.argument, "[\(name)] takes targets and predictions. Received: no predictions")
                }
                return try function(truth, prediction, arguments)
            }
        }
    }

    // MARK: Plain values

    private static let mean = Declaration<Metric>(
        "Mean", aliases: ["mean"], "The mean of the values it is given.", shapes: "values of any shape", arguments: common
    ) { arguments in
        try MeanMetric(
            name: arguments.optionalString("name") ?? "mean", serialized: ["class_name": "Mean", "config": arguments.json]
        ) { values, _ in try cast(values, values.type.isFloatingPoint ? values.type : .float32) }
    }

    private static let sum = Declaration<Metric>(
        "Sum", aliases: ["sum"], "The sum of the values it is given.", shapes: "values of any shape", arguments: common
    ) { arguments in
        try SumMetric(
            sum: arguments.optionalString("name") ?? "sum", serialized: ["class_name": "Sum", "config": arguments.json])
    }

    // MARK: Accuracy

    private static func matches(_ a: Value, _ b: Value) throws -> Value { try cast(equal(a, b), .float32) }

    private static let accuracy = declare(
        "Accuracy", [], "How often targets and predictions are equal.", shapes: "targets and predictions alike"
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        return try matches(t, p)
    }

    private static let binaryAccuracy = declare(
        "BinaryAccuracy", ["binary_accuracy"], "How often predictions are on the side of the threshold that the targets say.",
        shapes: "targets 0 or 1 and predictions alike",
        [Argument("threshold", .float(Argument.fraction), 0.5, "What is above counts as 1.")]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let hits = try binaryMatches(t, p, threshold: arguments.float("threshold"))
        return hits.shape.rank == 0 ? hits : try DLOps.mean(hits, axes: [-1])
    }

    private static let categoricalAccuracy = declare(
        "CategoricalAccuracy", ["categorical_accuracy"], "How often the most probable class is the right one.",
        shapes: "one-hot targets and predictions (batch, ..., classes)"
    ) { truth, prediction, arguments in
        guard truth.shape == prediction.shape, truth.shape.rank >= 1 else {
            throw DLError(
                .shape, "[CategoricalAccuracy] targets must be one-hot in the shape of the predictions. "
                    + "Received: targets \(truth.shape), predictions \(prediction.shape)")
        }
        return try categoricalMatches(truth, prediction)
    }

    private static let sparseShapes = "labels (batch, ...), predictions (batch, ..., classes)"

    private static let sparseCategoricalAccuracy = declare(
        "SparseCategoricalAccuracy", ["sparse_categorical_accuracy"], "How often the most probable class is the label.",
        shapes: sparseShapes, [labelBase]
    ) { truth, prediction, arguments in
        let labels = try Losses.labelsFor(truth, prediction, arguments.owner)
        return try sparseCategoricalMatches(labels, prediction, labelBase: arguments.int("label_base"))
    }

    private static let k = Argument("k", .int(Argument.positive), 5, "How many classes count as found.")

    private static let topK = declare(
        "TopKCategoricalAccuracy", ["top_k_categorical_accuracy"], "How often the right class is among the k most probable.",
        shapes: "one-hot targets and predictions (batch, classes)", [k]
    ) { truth, prediction, arguments in
        guard truth.shape == prediction.shape, truth.shape.rank >= 1 else {
            throw DLError(
                .shape, "[TopKCategoricalAccuracy] targets must be one-hot in the shape of the predictions. "
                    + "Received: targets \(truth.shape), predictions \(prediction.shape)")
        }
        return try inTopK(Operations.apply("argmax", [truth], attributes: ["axis": -1])[0], prediction, k: arguments.int("k"))
    }

    private static let sparseTopK = declare(
        "SparseTopKCategoricalAccuracy", ["sparse_top_k_categorical_accuracy"],
        "How often the label is among the k most probable classes.", shapes: sparseShapes,
        [k, Argument("from_sorted_ids", .bool, false, "Always false."), labelBase]
    ) { truth, prediction, arguments in
        guard !arguments.bool("from_sorted_ids") else {
            throw DLError(.unsupported, "[SparseTopKCategoricalAccuracy] 'from_sorted_ids' is not supported")
        }
        let labels = try Losses.labelsFor(truth, prediction, arguments.owner)
        return try inTopK(
            labels, prediction, k: arguments.int("k"), labelBase: arguments.int("label_base"))
    }

    // MARK: Losses as metrics

    /// The mean of a loss; it has the loss's own arguments.
    private static func loss(
        _ name: String, _ aliases: [String], as metric: String? = nil, label: String? = nil
    ) -> Declaration<Metric> {
        let declaration = Losses.registry.find(name)!
        let arguments = declaration.arguments.filter { $0.name != "reduction" }.map { argument in
            // Keras's metric of that name has no axis.
            name == "BinaryCrossentropy" && argument.name == "axis"
                ? Argument("axis", argument.kind, argument.defaultValue, argument.doc, isKeras: false) : argument
        } + [Argument("reduction", .any, .null, "Unused: a metric is the mean.", isKeras: false)]
        return Declaration(
            metric ?? name, aliases: aliases.filter { $0 != metric }, "The mean of the loss \(name).", formula: declaration.formula,
            source: "Keras, keras.metrics.\(name)", shapes: declaration.shapes, arguments: arguments
        ) { arguments in
            let loss = try declaration.make(arguments)
            return try MeanMetric(
                name: arguments.optionalString("name") ?? label ?? aliases[0],
                serialized: ["class_name": .string(metric ?? name), "config": arguments.json],
                rebase: arguments.has("label_base") ? { base in
                    loss.setLabelBase(base)
                    return { try loss.perSample($0, $1 ?? $0) }
                } : nil
            ) { truth, prediction in
                guard let prediction else {
                    throw DLError(.argument, "[\(name)] takes targets and predictions. Received: no predictions")
                }
                return try loss.perSample(truth, prediction)
            }
        }
    }

    private static let rootMeanSquaredError = declare(
        "RootMeanSquaredError", ["root_mean_squared_error", "rmse"], "The root of the mean square of the errors.",
        shapes: "targets and predictions alike", finish: { $0.squareRoot() }
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        return try square(subtract(p, t))
    }

    /// The function of a metric for labels that count from another number, where it has labels.
    static func rebased(
        _ arguments: Arguments, _ function: @escaping @Sendable (Value, Value?, Arguments) throws -> Value
    ) -> ((Int) -> MeanMetric.Function)? {
        guard arguments.has("label_base") else { return nil }
        return { base in
            var arguments = arguments
            arguments.set("label_base", .int(Int64(base)))
            let rebased = arguments
            return { try function($0, $1, rebased) }
        }
    }

    // MARK: Correlations

    private static let vectorAxis = Argument("axis", .axis, -1, "The axis of the vectors.")

    private static let cosineSimilarity = declare(
        "CosineSimilarity", ["cosine_similarity"], "The cosine between targets and predictions.",
        shapes: "targets and predictions alike", [vectorAxis]
    ) { truth, prediction, arguments in
        let axis = arguments["axis"]
        let loss = try Losses.registry.declaration("CosineSimilarity").make(config: ["axis": axis])
        return try negative(loss.perSample(truth, prediction))
    }

    private static let pearson = declare(
        "PearsonCorrelation", ["pearson_correlation"], "Pearson's correlation of targets and predictions of each sample.",
        shapes: "targets and predictions (batch, ...) alike", [vectorAxis]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let axis = arguments.int("axis")
        func standard(_ x: Value) throws -> Value {
            let centered = try subtract(x, DLOps.mean(x, axes: [axis], keepDims: true))
            return try divide(centered, sqrt(DLOps.mean(square(centered), axes: [axis], keepDims: true)))
        }
        return try DLOps.mean(multiply(standard(t), standard(p)), axes: [axis])
    }

    private static let concordance = declare(
        "ConcordanceCorrelation", ["concordance_correlation"], "Lin's correlation, which also asks for equal means and deviations.",
        shapes: "targets and predictions (batch, ...) alike", [vectorAxis]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let axis = arguments.int("axis")
        func average(_ x: Value) throws -> Value { try DLOps.mean(x, axes: [axis], keepDims: true) }
        let (a, b) = (try average(t), try average(p))
        let (u, v) = (try average(square(subtract(t, a))), try average(square(subtract(p, b))))
        let covariance = try multiply(subtract(t, b), subtract(p, b))
        let norm = try add(add(u, v), square(subtract(a, b)))
        return try DLOps.mean(divide(scale(covariance, 2), scale(norm, 1, 1e-7)), axes: [axis])
    }

    // MARK: Errors

    private static let zeroOne = declare(
        "ZeroOne", ["zero_one", "error_rate"], "How often the prediction is wrong: 1 minus the accuracy that suits the shapes.",
        shapes: "labels, one-hot targets or yes-or-no targets", [labelBase]
    ) { truth, prediction, arguments in
        let hits: Value
        switch suitable(truth.spec, prediction.spec, "") {
        case "Binary":
            let (t, p) = try aligned(truth, prediction, arguments.owner)
            hits = try binaryMatches(t, p, threshold: 0.5)
        case "Categorical": hits = try categoricalMatches(truth, prediction)
        default:
            let labels = try Losses.labelsFor(truth, prediction, arguments.owner)
            hits = try sparseCategoricalMatches(labels, prediction, labelBase: arguments.int("label_base"))
        }
        return try scale(cast(hits, .float32), -1, 1)
    }

    private static let topKError = declare(
        "TopKCategoricalError", ["top_k_categorical_error"], "How often the right class is not among the k most probable.",
        shapes: "one-hot targets and predictions (batch, classes)", [k]
    ) { truth, prediction, arguments in
        guard truth.shape == prediction.shape, truth.shape.rank >= 1 else {
            throw DLError(
                .shape, "[TopKCategoricalError] targets must be one-hot in the shape of the predictions. "
                    + "Received: targets \(truth.shape), predictions \(prediction.shape)")
        }
        return try scale(cast(inTopK(argmax(truth, axis: -1), prediction, k: arguments.int("k")), .float32), -1, 1)
    }

    private static let sparseTopKError = declare(
        "SparseTopKCategoricalError", ["sparse_top_k_categorical_error"], "How often the label is not among the k most probable classes.",
        shapes: sparseShapes, [k, labelBase]
    ) { truth, prediction, arguments in
        let labels = try Losses.labelsFor(truth, prediction, arguments.owner)
        let hits = try inTopK(labels, prediction, k: arguments.int("k"), labelBase: arguments.int("label_base"))
        return try scale(cast(hits, .float32), -1, 1)
    }
}
