import DLBase
import DLGraph
import DLOps
import DLTensor

/// A metric whose states are vectors or matrices that a function adds to in each step; their sizes come with the first.
package final class SummingMetric: Metric {
    typealias Terms = (_ truth: Value, _ prediction: Value, _ weight: Value?) throws -> [Value]

    private let terms: Terms
    private let finish: @Sendable ([[Double]]) -> [Double]
    private var sums: [Variable] = []

    init(
        name: String, serialized: JSON?, finish: @escaping @Sendable (_ sums: [[Double]]) -> [Double], terms: @escaping Terms
    ) {
        self.terms = terms
        self.finish = finish
        super.init(name: name, serialized: serialized)
    }

    private var owner: String { serialized?["class_name"]?.stringValue ?? name }

    override package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {
        guard let prediction else {
            throw DLError(.argument, "[\(owner)] takes targets and predictions. Received: no predictions")
        }
        let new = try terms(truth, prediction, maskedWeight(weight, prediction.mask, .float32, scaled: false))
        if sums.isEmpty {
            for (index, term) in new.enumerated() { sums.append(try addState("sum_\(index)", shape: term.shape)) }
        }
        for (sum, term) in zip(sums, new) {
            guard sum.shape == term.shape else {
                throw DLError(
                    .shape, "[\(owner)] began with another number of classes or outputs. Received: predictions \(prediction.shape)")
            }
            try add(term, to: sum)
        }
    }

    override package func numbers() -> [Double] {
        guard !sums.isEmpty else { return [0] }
        return finish(sums.map { sum in (0..<sum.shape.count).map { sum.tensor.number(at: $0) } })
    }
}

extension Metrics {
    static let classMetrics: [Declaration<Metric>] = [
        fScore("FBetaScore", beta: Argument("beta", .float(1e-30...1e15), 1.0, "How much more recall counts than precision.")),
        fScore("F1Score", beta: nil), r2Score, iou, meanIoU, oneHotIoU, oneHotMeanIoU, binaryIoU,
    ]

    private static func make(
        _ name: String, _ arguments: Arguments, label: String? = nil, finish: @escaping @Sendable ([[Double]]) -> [Double],
        terms: @escaping SummingMetric.Terms
    ) -> Metric {
        SummingMetric(
            name: arguments.optionalString("name") ?? label ?? snake(name),
            serialized: ["class_name": .string(name), "config": arguments.json], finish: finish, terms: terms)
    }

    private static func mean(_ numbers: [Double]) -> Double {
        numbers.isEmpty ? 0 : numbers.reduce(0, +) / Double(numbers.count)
    }

    // MARK: F-scores

    private static func fScore(_ name: String, beta: Argument?) -> Declaration<Metric> {
        let label = name == "F1Score" ? "f1_score" : "fbeta_score"
        return Declaration(
            name, aliases: [label], "The harmonic mean of precision and recall, by class.",
            formula: "(1 + beta^2) precision recall / (beta^2 precision + recall)", source: "Keras, keras.metrics.\(name)",
            shapes: "one-hot targets and predictions (batch, classes) -> one number for each class, or their average",
            arguments: [
                Argument("average", .optional(.choice(["micro", "macro", "weighted"])), .null, "How the scores of classes become one; null: not at all."),
            ] + [beta].compactMap { $0 } + [
                Argument("threshold", .optional(.float(Argument.fraction)), .null, "What is above counts as 1; null: the largest of a row does."),
            ] + common
        ) { arguments in
            let average = arguments.optionalString("average")
            let beta = beta == nil ? 1 : arguments.float("beta")
            let threshold = arguments.optionalFloat("threshold")
            return make(name, arguments, label: label) { sums in
                let (tp, fp, fn, weights) = (sums[0], sums[1], sums[2], sums[3])
                let scores = tp.indices.map { i in
                    let precision = tp[i] / (tp[i] + fp[i] + 1e-7)
                    let recall = tp[i] / (tp[i] + fn[i] + 1e-7)
                    return precision * recall / (beta * beta * precision + recall + 1e-7) * (1 + beta * beta)
                }
                switch average {
                case "weighted":
                    let total = weights.reduce(0, +) + 1e-7
                    return [zip(scores, weights).reduce(0) { $0 + $1.0 * $1.1 / total }]
                case nil: return scores
                default: return [mean(scores)]
                }
            } terms: { truth, prediction, weight in
                guard truth.shape.rank == 2, prediction.shape == truth.shape else {
                    throw DLError(
                        .shape, "[\(name)] targets and predictions must be (batch, classes) alike. "
                            + "Received: targets \(truth.shape), predictions \(prediction.shape)")
                }
                let p = prediction.type.isFloatingPoint ? prediction : try cast(prediction, .float32)
                let one = try constant(1, p.type)
                var said: Value
                if let threshold {
                    said = try greater(p, constant(threshold, p.type))
                } else {
                    let largest = try max(p, axes: [-1], keepDims: true)
                    said = try logicalAnd(greaterEqual(p, largest), greater(abs(p), constant(1e-9, p.type)))
                }
                said = try cast(said, p.type)
                let t = try cast(truth, p.type)
                let axes = average == "micro" ? nil : [0]
                let w = try weight.map { try fit($0, to: p, name) }
                func total(_ x: Value) throws -> Value { try DLOps.sum(w.map { try multiply(x, $0) } ?? x, axes: axes) }
                return [
                    try total(multiply(said, t)), try total(multiply(said, subtract(one, t))),
                    try total(multiply(subtract(one, said), t)), try total(t),
                ]
            }
        }
    }

    // MARK: R2

    private static let r2Score = Declaration<Metric>(
        "R2Score", aliases: ["r2_score"], "The share of the targets' variance that predictions explain.",
        formula: "1 - sum((t - p)^2) / sum((t - mean(t))^2)", source: "Keras, keras.metrics.R2Score",
        shapes: "targets and predictions (batch, outputs) alike -> one number, or one for each output",
        arguments: [
            Argument("class_aggregation", .optional(.choice(["uniform_average", "variance_weighted_average"])), "uniform_average", "How outputs become one number; null: not at all."),
            Argument("num_regressors", .int(0...Int(Int32.max)), 0, "Inputs of the model, for the adjusted score; 0: not adjusted."),
        ] + common
    ) { arguments in
        let aggregation = arguments.optionalString("class_aggregation")
        let regressors = Double(arguments.int("num_regressors"))
        return make("R2Score", arguments, label: "r2_score") { sums in
            let (sum, squares, residual, count) = (sums[0], sums[1], sums[2], sums[3])
            let totals = sum.indices.map { squares[$0] - sum[$0] * (count[$0] == 0 ? 0 : sum[$0] / count[$0]) }
            let scores = sum.indices.map { i -> Double in
                let score = 1 - residual[i] / totals[i]
                return score.isInfinite ? 0 : score
            }
            func adjusted(_ score: Double) -> Double {
                let n = sums[4][0]
                guard regressors > 0, regressors < n - 1 else { return score }
                return 1 - (1 - score) * (n - 1) / (n - regressors - 1)
            }
            switch aggregation {
            case "uniform_average": return [adjusted(mean(scores))]
            case "variance_weighted_average":
                return [adjusted(zip(totals, scores).reduce(0) { $0 + $1.0 * $1.1 } / totals.reduce(0, +))]
            default: return scores.map(adjusted)
            }
        } terms: { truth, prediction, weight in
            let p = prediction.type.isFloatingPoint ? prediction : try cast(prediction, .float32)
            let (t, q) = try aligned(truth, p, "R2Score")
            guard q.shape.rank == 2 else {
                throw DLError(
                    .shape, "[R2Score] targets and predictions must be (batch, outputs). "
                        + "Received: targets \(truth.shape), predictions \(prediction.shape)")
            }
            // Differences of large sums want the digits.
            let (t64, p64) = (try cast(t, .float64), try cast(q, .float64))
            let w = try broadcastTo(weight.map { try fit($0, to: t64, "R2Score") } ?? constant(1, .float64), t64.shape)
            return [
                try DLOps.sum(multiply(t64, w), axes: [0]), try DLOps.sum(multiply(square(t64), w), axes: [0]),
                try DLOps.sum(multiply(square(subtract(t64, p64)), w), axes: [0]), try DLOps.sum(w, axes: [0]),
                try constant(Double(t64.shape.count), .float64),
            ]
        }
    }

    // MARK: Intersection over union

    private static let classes = Argument("num_classes", .int(1...65536), nil, "How many classes there are.")
    private static let targets = Argument("target_class_ids", .list(.index), nil, "The classes that count.")
    private static let ignored = Argument("ignore_class", .optional(.int(Argument.anyInt)), .null, "A label whose samples do not count.")
    private static let sparsePrediction = Argument("sparse_y_pred", .bool, true, "Whether predictions are labels; else the largest score counts.")
    private static let labelAxis = Argument("axis", .axis, -1, "The axis of classes.")
    private static let base = Argument("label_base", .int(0...1), 0, "What labels count from.", isKeras: false)

    private static func intersection(
        _ name: String, _ label: String, _ summary: String, _ arguments: [Argument],
        _ read: @escaping @Sendable (Arguments) throws -> (count: Int, ids: [Int]?, sparseTruth: Bool, sparsePrediction: Bool)
    ) -> Declaration<Metric> {
        Declaration(
            name, aliases: [label], summary, formula: "tp / (tp + fp + fn), mean over classes", source: "Keras, keras.metrics.\(name)",
            shapes: "labels or scores (batch, ...)", example: example(name), arguments: arguments
        ) { arguments in
            let options = try read(arguments)
            for id in options.ids ?? [] where id < 0 || id >= options.count {
                throw arguments.error("target_class_ids", "classes from 0 to \(options.count - 1)")
            }
            let ignored = arguments.optionalInt("ignore_class")
            let base = arguments.int("label_base")
            return make(name, arguments, label: label) { sums in
                let (n, matrix) = (options.count, sums[0])
                var ratios: [Double] = []
                for id in options.ids ?? Array(0..<n) {
                    let row = (0..<n).reduce(0) { $0 + matrix[id * n + $1] }
                    let column = (0..<n).reduce(0) { $0 + matrix[$1 * n + id] }
                    let both = matrix[id * n + id]
                    // A class that is neither there nor said to be does not count.
                    if row + column - both > 0 { ratios.append(both / (row + column - both)) }
                }
                return [mean(ratios)]
            } terms: { truth, prediction, weight in
                func labels(_ x: Value, _ areLabels: Bool, _ threshold: Double?) throws -> Value {
                    if let threshold, x.type.isFloatingPoint { return try cast(greaterEqual(x, constant(threshold, like: x)), .int32) }
                    return try cast(areLabels ? x : argmax(x, axis: arguments.int("axis")), .int32)
                }
                let threshold = arguments.optionalFloat("threshold")
                let t = try ravel(labels(truth, options.sparseTruth, nil))
                let p = try ravel(labels(prediction, options.sparsePrediction, threshold))
                guard t.shape == p.shape else {
                    throw DLError(
                        .shape, "[\(name)] targets and predictions do not fit. "
                            + "Received: targets \(truth.shape), predictions \(prediction.shape)")
                }
                var w = try weight.map { weight -> Value in
                    let shape = options.sparsePrediction ? prediction.shape : try argmax(prediction, axis: arguments.int("axis")).shape
                    let sample = try constant(0, .float32)
                    return try ravel(broadcastTo(fit(weight, to: broadcastTo(sample, shape), name), shape))
                } ?? broadcastTo(constant(1, .float32), t.shape)
                if let ignored {
                    let counts = try notEqual(t, constant(Double(ignored), .int32))
                    w = try multiply(cast(w, .float32), cast(counts, .float32))
                }
                func hot(_ x: Value, _ areLabels: Bool) throws -> Value {
                    let zeroBased = areLabels && base != 0 ? try subtract(x, constant(Double(base), .int32)) : x
                    return try oneHot(zeroBased, classes: options.count, type: .float64)
                }
                let weighted = try multiply(hot(t, options.sparseTruth), expandDims(cast(w, .float64), -1))
                return [try matmul(weighted, hot(p, options.sparsePrediction && threshold == nil), transposeA: true)]
            }
        }
    }

    private static func example(_ name: String) -> String {
        let ids = name.hasSuffix("MeanIoU") ? "" : ", target_class_ids = { 1, 2 }"
        let call = name == "BinaryIoU" ? "BinaryIoU()" : "\(name){ num_classes = 2\(ids) }"
        let data = name.hasPrefix("OneHot")
            ? "{ { 1, 0 }, { 0, 1 } }, { { 0.9, 0.1 }, { 0.6, 0.4 } }"
            : name == "BinaryIoU" ? "{ 0, 1, 1 }, { 0.2, 0.7, 0.4 }" : "{ 1, 2, 2 }, { 1, 2, 1 }"
        return "local dl = require \"dl\"\nlocal metric = dl.metrics.\(call)\nmetric:update(\(data))\nprint(metric:result())"
    }

    private static func ids(_ arguments: Arguments) -> [Int] { arguments.ints("target_class_ids") }

    private static let sparseTruth = Argument("sparse_y_true", .bool, true, "Whether targets are labels; else the largest score counts.")

    private static let iou = intersection(
        "IoU", "io_u", "The overlap of what is of a class and what is said to be, over both together.",
        [classes, targets] + common + [ignored, sparseTruth, sparsePrediction, labelAxis, base]
    ) { ($0.int("num_classes"), ids($0), $0.bool("sparse_y_true"), $0.bool("sparse_y_pred")) }

    private static let meanIoU = intersection(
        "MeanIoU", "mean_io_u", "The mean overlap over all classes.",
        [classes] + common + [ignored, sparseTruth, sparsePrediction, labelAxis, base]
    ) { ($0.int("num_classes"), nil, $0.bool("sparse_y_true"), $0.bool("sparse_y_pred")) }

    private static let oneHotIoU = intersection(
        "OneHotIoU", "one_hot_io_u", "The overlap of one-hot targets and scores.",
        [classes, targets] + common + [ignored, Argument("sparse_y_pred", .bool, false, "Whether predictions are labels."), labelAxis]
    ) { ($0.int("num_classes"), ids($0), false, $0.bool("sparse_y_pred")) }

    private static let oneHotMeanIoU = intersection(
        "OneHotMeanIoU", "one_hot_mean_io_u", "The mean overlap of one-hot targets and scores over all classes.",
        [classes] + common + [ignored, Argument("sparse_y_pred", .bool, false, "Whether predictions are labels."), labelAxis]
    ) { ($0.int("num_classes"), nil, false, $0.bool("sparse_y_pred")) }

    private static let binaryIoU = intersection(
        "BinaryIoU", "binary_io_u", "The overlap of yes-or-no targets and chances.",
        [
            Argument("target_class_ids", .list(.index), [0, 1], "The classes that count: 0, 1 or both."),
            Argument("threshold", .float(Argument.fraction), 0.5, "What is at least this counts as 1."),
        ] + common
    ) { (2, ids($0), true, true) }
}
