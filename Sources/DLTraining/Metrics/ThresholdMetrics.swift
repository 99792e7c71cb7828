import CDLKernels
import DLBase
import DLGraph
import DLOps
import DLTensor

/// A metric over true and false positives and negatives at thresholds.
package final class ThresholdMetric: Metric {
    /// The four counts of one column: true positives, false positives, true negatives, false negatives, by threshold.
    struct Counts {
        let tp: [Double]
        let fp: [Double]
        let tn: [Double]
        let fn: [Double]
    }

    struct Options {
        var thresholds: [Double]
        var topK: Int?
        var classId: Int?
        var fromLogits = false
        /// Whether each column is counted by itself.
        var multiLabel = false
        var labelWeights: [Double]?
    }

    private let options: Options
    private let finish: @Sendable ([Counts]) -> [Double]
    private var counts: Variable?

    init(name: String, serialized: JSON?, _ options: Options, finish: @escaping @Sendable ([Counts]) -> [Double]) throws {
        self.options = options
        self.finish = finish
        super.init(name: name, serialized: serialized)
        if !options.multiLabel { counts = try addState("counts", shape: [4, 1, options.thresholds.count]) }
    }

    private var owner: String { serialized?["class_name"]?.stringValue ?? name }

    override package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {
        guard let prediction else {
            throw DLError(.argument, "[\(owner)] takes targets and predictions. Received: no predictions")
        }
        let given = prediction.type.isFloatingPoint ? prediction : try cast(prediction, .float32)
        var (t, p) = try aligned(truth, given, owner)
        if options.fromLogits { p = try sigmoid(p) }
        var w = try maskedWeight(weight, prediction.mask, p.type, scaled: false).map { try fit($0, to: p, owner) }
        if let k = options.topK { p = try keepTop(k, p) }
        if let index = options.classId {
            guard p.shape.rank >= 2, index < p.shape.last else {
                throw DLError(.range, "[\(owner)] 'class_id' \(index) is beyond the classes. Received: predictions \(p.shape)")
            }
            let place = Value(try Tensor([Int32(clamping: index)]))
            t = try take(t, place, axis: -1)
            p = try take(p, place, axis: -1)
            if let given = w, given.shape.last > 1, given.shape.rank == p.shape.rank { w = try take(given, place, axis: -1) }
        }
        let labels = p.shape.rank >= 2 ? p.shape.last : 1
        if let weights = options.labelWeights, !options.multiLabel {
            guard weights.count == labels else {
                throw DLError(.shape, "[\(owner)] 'label_weights' needs one weight for each label. Received: \(weights.count) for predictions \(p.shape)")
            }
            let row = try cast(Value(Tensor(weights)), p.type)
            w = try w.map { try multiply($0, row) } ?? row
        }
        let columns = options.multiLabel ? labels : 1
        let shape = [-1, columns]
        let full = try broadcastTo(w ?? constant(1, p.type), p.shape)
        let found = try thresholdCounts(
            reshape(t, shape), reshape(p, shape), reshape(full, shape), thresholds: options.thresholds)
        let state = try counts ?? addState("counts", shape: [4, columns, options.thresholds.count])
        counts = state
        guard state.shape == found.shape else {
            throw DLError(.shape, "[\(owner)] began with \(state.shape[1]) labels. Received: predictions \(prediction.shape)")
        }
        try state.assign(DLOps.add(state.value, found))
    }

    /// All but the k largest of a row far below every threshold.
    private func keepTop(_ k: Int, _ p: Value) throws -> Value {
        guard p.shape.rank >= 1, k <= p.shape.last else {
            throw DLError(.range, "[\(owner)] 'top_k' is \(k), of fewer classes. Received: predictions \(p.shape)")
        }
        let places = try topK(p, k).positions
        let kept = try sum(oneHot(places, classes: p.shape.last, type: p.type), axes: [-2])
        return try `where`(greater(kept, constant(0, p.type)), p, constant(-1e10, p.type))
    }

    private func columns() -> [Counts] {
        guard let counts else { return [] }
        let (columns, n) = (counts.shape[1], counts.shape[2])
        func row(_ kind: Int, _ column: Int) -> [Double] {
            (0..<n).map { counts.tensor.number(at: (kind * columns + column) * n + $0) }
        }
        return (0..<columns).map { Counts(tp: row(0, $0), fp: row(1, $0), tn: row(2, $0), fn: row(3, $0)) }
    }

    override package func numbers() -> [Double] { finish(columns()) }
}

extension ThresholdMetric.Counts {
    var recall: [Double] { zip(tp, fn).map { share($0, $0 + $1) } }
    var precision: [Double] { zip(tp, fp).map { share($0, $0 + $1) } }
    var specificity: [Double] { zip(tn, fp).map { share($0, $0 + $1) } }
    var falsePositiveRate: [Double] { zip(fp, tn).map { share($0, $0 + $1) } }
}

/// 0 where there is nothing to share.
private func share(_ part: Double, _ whole: Double) -> Double { whole == 0 ? 0 : part / whole }

extension Metrics {
    static let thresholdMetrics: [Declaration<Metric>] = [
        counts("TruePositives", "How many are 1 and are said to be.") { $0.tp },
        counts("FalsePositives", "How many are 0 and are said to be 1.") { $0.fp },
        counts("TrueNegatives", "How many are 0 and are said to be.") { $0.tn },
        counts("FalseNegatives", "How many are 1 and are said to be 0.") { $0.fn },
        share("Precision", "The share of what is said to be 1 that is.", "tp / (tp + fp)") { $0.precision },
        share("Recall", "The share of what is 1 that is found.", "tp / (tp + fn)") { $0.recall },
        atLeast("SensitivityAtSpecificity", "specificity", "The best sensitivity where the specificity is enough.") { ($0.specificity, $0.recall) },
        atLeast("SpecificityAtSensitivity", "sensitivity", "The best specificity where the sensitivity is enough.") { ($0.recall, $0.specificity) },
        atLeast("PrecisionAtRecall", "recall", "The best precision where the recall is enough.") { ($0.recall, $0.precision) },
        atLeast("RecallAtPrecision", "precision", "The best recall where the precision is enough.") { ($0.precision, $0.recall) },
        auc,
    ]

    private static let shapes = "targets 0 or 1 and predictions from 0 to 1 alike"
    private static let thresholdList = Argument(
        "thresholds", .optional(.any), .null, "A number or a list of them from 0 to 1; predictions above count as 1; null: 0.5.")
    private static let classId = Argument("class_id", .optional(.index), .null, "The class that is looked at; null: all.")

    /// nil where none are given.
    private static func thresholds(_ arguments: Arguments) throws -> [Double]? {
        guard arguments.has("thresholds") else { return nil }
        let given = arguments["thresholds"].arrayValue ?? [arguments["thresholds"]]
        let numbers = given.compactMap(\.doubleValue)
        guard !given.isEmpty, given.count <= 100_000, numbers.count == given.count, numbers.allSatisfy(Argument.fraction.contains) else {
            throw arguments.error("thresholds", "a number from 0 to 1, or a list of them")
        }
        return numbers
    }

    private static func checkedClass(_ arguments: Arguments) throws -> Int? {
        guard let index = arguments.optionalInt("class_id") else { return nil }
        guard index >= 0 else { throw arguments.error("class_id", "a class") }
        return index
    }

    private static func evenly(_ count: Int) -> [Double] {
        guard count > 1 else { return [0.5] }
        return [0] + (0..<count - 2).map { Double($0 + 1) / Double(count - 1) } + [1]
    }

    private static func make(
        _ name: String, _ arguments: Arguments, _ options: ThresholdMetric.Options,
        _ finish: @escaping @Sendable ([ThresholdMetric.Counts]) -> [Double]
    ) throws -> Metric {
        try ThresholdMetric(
            name: arguments.optionalString("name") ?? snake(name),
            serialized: ["class_name": .string(name), "config": arguments.json], options, finish: finish)
    }

    private static func counts(
        _ name: String, _ summary: String, _ pick: @escaping @Sendable (ThresholdMetric.Counts) -> [Double]
    ) -> Declaration<Metric> {
        Declaration(
            name, aliases: [snake(name)], summary, source: "Keras, keras.metrics.\(name)", shapes: shapes, arguments: [thresholdList] + common
        ) { arguments in
            try make(name, arguments, .init(thresholds: thresholds(arguments) ?? [0.5])) { pick($0[0]) }
        }
    }

    private static func share(
        _ name: String, _ summary: String, _ formula: String, _ pick: @escaping @Sendable (ThresholdMetric.Counts) -> [Double]
    ) -> Declaration<Metric> {
        Declaration(
            name, aliases: [snake(name)], summary, formula: formula, source: "Keras, keras.metrics.\(name)", shapes: shapes,
            arguments: [
                thresholdList,
                Argument("top_k", .optional(.int(Argument.positive)), .null, "Only the k largest predictions of a sample count as 1."),
                classId,
            ] + common
        ) { arguments in
            let topK = arguments.optionalInt("top_k")
            let chosen = try thresholds(arguments) ?? [topK == nil ? 0.5 : -1e10 + 1024]
            return try make(name, arguments, .init(thresholds: chosen, topK: topK, classId: checkedClass(arguments))) { pick($0[0]) }
        }
    }

    private static func atLeast(
        _ name: String, _ argument: String, _ summary: String,
        _ pick: @escaping @Sendable (ThresholdMetric.Counts) -> (bound: [Double], wanted: [Double])
    ) -> Declaration<Metric> {
        Declaration(
            name, aliases: [snake(name)], summary, source: "Keras, keras.metrics.\(name)", shapes: shapes,
            arguments: [
                Argument(argument, .float(Argument.fraction), nil, "The least \(argument)."),
                Argument("num_thresholds", .int(1...100_000), 200, "How many thresholds from 0 to 1 are tried."), classId,
            ] + common
        ) { arguments in
            let least = arguments.float(argument)
            return try make(
                name, arguments, .init(thresholds: evenly(arguments.int("num_thresholds")), classId: checkedClass(arguments))
            ) { counts in
                let (bound, wanted) = pick(counts[0])
                return [zip(bound, wanted).reduce(0) { $1.0 >= least ? Swift.max($0, $1.1) : $0 }]
            }
        }
    }

    private static let auc = Declaration<Metric>(
        "AUC", aliases: ["auc"], "The area under the ROC or the precision-recall curve.",
        formula: "sum over thresholds of the curve's pieces", source: "Davis and Goadrich, The relationship between precision-recall and ROC curves, 2006; Keras",
        shapes: shapes,
        arguments: [
            Argument("num_thresholds", .int(2...100_000), 200, "How many thresholds from 0 to 1 the curve has."),
            Argument("curve", .choice(["ROC", "PR", "PRGAIN"]), "ROC", "Which curve."),
            Argument("summation_method", .choice(["interpolation", "minoring", "majoring"]), "interpolation", "How pieces of the curve count."),
        ] + common + [
            Argument("thresholds", .optional(.list(.float(Argument.fraction))), .null, "The thresholds themselves, instead of their number."),
            Argument("multi_label", .bool, false, "Whether each label has a curve of its own; the result is the mean of their areas."),
            Argument("num_labels", .optional(.int(Argument.positive)), .null, "Unused: the predictions tell."),
            Argument("label_weights", .optional(.list(.float(Argument.notNegative))), .null, "The weight of each label."),
            Argument("from_logits", .bool, false, "Whether predictions are logits instead of probabilities."),
        ]
    ) { arguments in
        var inner = evenly(arguments.int("num_thresholds"))
        inner = Array(inner.dropFirst().dropLast())
        if let given = arguments["thresholds"].arrayValue {
            guard given.count <= 100_000 else { throw arguments.error("thresholds", "a list of at most 100000 numbers") }
            inner = given.compactMap(\.doubleValue).sorted()
        }
        let weights = arguments["label_weights"].arrayValue.map { $0.compactMap(\.doubleValue) }
        let (curve, method) = (arguments.string("curve"), arguments.string("summation_method"))
        let options = ThresholdMetric.Options(
            thresholds: [-1e-7] + inner + [1 + 1e-7], fromLogits: arguments.bool("from_logits"),
            multiLabel: arguments.bool("multi_label"), labelWeights: weights)
        let isMulti = options.multiLabel
        return try make("AUC", arguments, options) { columns in
            let areas = columns.map { area($0, curve, method) }
            guard isMulti, let weights, weights.count == areas.count else {
                return [areas.isEmpty ? 0 : areas.reduce(0, +) / Double(areas.count)]
            }
            let total = weights.reduce(0, +)
            return [total == 0 ? 0 : zip(areas, weights).reduce(0) { $0 + $1.0 * $1.1 } / total]
        }
    }

    private static func area(_ c: ThresholdMetric.Counts, _ curve: String, _ method: String) -> Double {
        func divided(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }
        let n = c.tp.count
        if curve == "PR", method == "interpolation" {
            var total = 0.0
            for i in 0..<n - 1 {
                let tp = c.tp[i] - c.tp[i + 1]
                let (p, next) = (c.tp[i] + c.fp[i], c.tp[i + 1] + c.fp[i + 1])
                let slope = divided(tp, Swift.max(p - next, 0))
                let intercept = c.tp[i + 1] - slope * next
                let ratio = p > 0 && next > 0 ? p / next : 1
                total += divided(slope * (tp + intercept * dl_log_d(ratio)), Swift.max(c.tp[i + 1] + c.fn[i + 1], 0))
            }
            return total
        }
        let x: [Double]
        let y: [Double]
        switch curve {
        case "ROC": (x, y) = (c.falsePositiveRate, c.recall)
        case "PR": (x, y) = (c.recall, c.precision)
        default:
            let scales = (0..<n).map { divided(c.tp[$0] + c.fn[$0], c.tn[$0] + c.fp[$0]) }
            x = (0..<n).map { c.tp[$0] == 0 ? 0 : Swift.max(1 - scales[$0] * divided(c.fn[$0], c.tp[$0]), 0) }
            y = (0..<n).map { c.tp[$0] == 0 ? 1 : 1 - scales[$0] * divided(c.fp[$0], c.tp[$0]) }
        }
        var total = 0.0
        for i in 0..<n - 1 {
            let height = switch method {
            case "interpolation": (y[i] + y[i + 1]) / 2
            case "minoring": Swift.min(y[i], y[i + 1])
            default: Swift.max(y[i], y[i + 1])
            }
            total += (x[i] - x[i + 1]) * height
        }
        return total
    }

    static let rocCurve = Declaration<Metric>(
        "ROCCurve", aliases: ["roc_curve"], "The points of the ROC curve, for plotting.",
        formula: "rows: thresholds, false positive rates, true positive rates", shapes: shapes + " -> (3, num_thresholds)",
        arguments: [Argument("num_thresholds", .int(2...100_000), 200, "How many thresholds from 0 to 1 the curve has.")] + common
    ) { arguments in
        let thresholds = evenly(arguments.int("num_thresholds"))
        let metric = try make("ROCCurve", arguments, .init(thresholds: thresholds)) {
            thresholds + $0[0].falsePositiveRate + $0[0].recall
        }
        metric.resultShape = [3, thresholds.count]
        return metric
    }
}
