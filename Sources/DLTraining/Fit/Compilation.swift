import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Synchronization

/// What `compile` was asked for: JSON where it can be written down, objects where they are the caller's own.
package struct CompileOptions {
    /// A loss or metric by description, or made already.
    package enum Choice<Product> {
        case described(JSON)
        case made(Product)
    }

    package var optimizer: Choice<Optimizer> = .described("rmsprop")
    /// One for each output; nil for outputs without a loss.
    package var losses: [Choice<Loss>?] = []
    package var lossWeights: [Double]?
    /// For each output.
    package var metrics: [[Choice<Metric>]] = []
    package var weightedMetrics: [[Choice<Metric>]] = []
    package var runEagerly = false
    package var labelBase = 0

    package init() {}
}

/// What a compiled model keeps: how it is trained and measured, and the plans made so far.
package final class Compilation: @unchecked Sendable {
    package let options: CompileOptions
    package let optimizer: Optimizer
    package let losses: [Loss?]
    package let lossWeights: [Double]?
    package let lossTracker: MeanMetric
    /// One for each output, where there are several.
    package let outputLossTrackers: [MeanMetric?]
    /// Made when the shapes of targets and predictions are known.
    private(set) var metrics: [(metric: Metric, output: Int, weighted: Bool)] = []
    package private(set) var names: [String] = []
    private var metricsAreMade = false
    let plans = Mutex<[PlanKey: Plan]>([:])
    var recent: RepeatedStep?

    /// Checks everything that can be checked without data; nothing of the model changes.
    package init(_ model: Model, _ options: CompileOptions) throws {
        self.options = options
        switch options.optimizer {
        case .made(let optimizer): self.optimizer = optimizer
        case .described(let json): self.optimizer = try Optimizers.registry.make(json)
        }
        let outputs = model.outputs.count
        if outputs > 0, options.losses.count > 0, options.losses.count != outputs {
            throw DLError(
                .argument, "[compile] model '\(model.name)' has \(outputs) outputs. Received: \(options.losses.count) losses")
        }
        losses = try options.losses.map { choice in
            switch choice {
            case .none: return nil
            case .made(let loss): return loss
            case .described(let json): return try Losses.make(json, labelBase: options.labelBase)
            }
        }
        if let weights = options.lossWeights, weights.count != options.losses.count {
            throw DLError(
                .argument, "[compile] loss_weights needs one number for each output. "
                    + "Received: \(weights.count) for \(options.losses.count) outputs")
        }
        lossWeights = options.lossWeights
        // A misspelt metric is told now, not when the first batch comes.
        for choice in (options.metrics + options.weightedMetrics).joined() {
            if case .described(let json) = choice, !["accuracy", "acc", "crossentropy", "ce"].contains(json.stringValue) {
                _ = try Metrics.make(json)
            }
        }
        lossTracker = try MeanMetric(name: "loss") { value, _ in value }
        outputLossTrackers = try options.losses.count > 1
            ? options.losses.enumerated().map { index, loss in
                try loss.map { _ in try MeanMetric(name: "\(Compilation.outputName(model, index))_loss") { value, _ in value } }
            } : []
        names = ["loss"] + outputLossTrackers.compactMap { $0?.name }
    }

    static func outputName(_ model: Model, _ index: Int) -> String {
        model.outputNames.indices.contains(index) ? model.outputNames[index] : "output_\(index)"
    }

    /// Makes the metrics once targets and predictions are known.
    func makeMetrics(_ model: Model, truths: [TensorSpec], predictions: [TensorSpec]) throws {
        guard !metricsAreMade else { return }
        var made: [(metric: Metric, output: Int, weighted: Bool)] = []
        var madeNames = ["loss"] + outputLossTrackers.compactMap { $0?.name }
        for (list, weighted) in [(options.metrics, false), (options.weightedMetrics, true)] {
            for (output, choices) in list.enumerated() {
                guard truths.indices.contains(output), predictions.indices.contains(output) else {
                    throw DLError(.argument, "[compile] there are metrics for output \(output). Received: \(truths.count) outputs")
                }
                for choice in choices {
                    let metric: Metric
                    switch choice {
                    case .made(let given): metric = given
                    case .described(let json):
                        metric = try Metrics.make(
                            json, truth: truths[output], prediction: predictions[output], labelBase: options.labelBase)
                    }
                    made.append((metric, output, weighted))
                    let prefix = predictions.count > 1 ? Compilation.outputName(model, output) + "_" : ""
                    let known = madeNames.contains(prefix + metric.name)
                    let own = weighted && known ? "weighted_" + metric.name : metric.name
                    madeNames.append(Compilation.unused(prefix + own, madeNames))
                }
            }
        }
        metrics = made
        names = madeNames
        metricsAreMade = true
    }

    private static func unused(_ name: String, _ taken: [String]) -> String {
        guard taken.contains(name) else { return name }
        var count = 1
        while taken.contains("\(name)_\(count)") { count += 1 }
        return "\(name)_\(count)"
    }

    private var trackers: [Metric] { [lossTracker] + outputLossTrackers.compactMap { $0 } + metrics.map(\.metric) }

    /// Loss first, then the losses of several outputs, then metrics: the order of `names`.
    private func forEachTracker(_ body: (Metric) throws -> Void) rethrows {
        try body(lossTracker)
        for tracker in outputLossTrackers { if let tracker { try body(tracker) } }
        for entry in metrics { try body(entry.metric) }
    }

    /// Everything besides the model's weights that a step changes.
    var variables: [Variable] {
        [optimizer.iterations] + optimizer.scalars + optimizer.slots.flatMap(\.states) + trackers.flatMap(\.variables)
    }

    /// Loss and metrics since the last reset, in the order of `names`.
    package func results() throws -> [Double] { try trackers.map { try $0.number() } }

    /// The same one by one, with their positions; how many there are.
    func results(_ give: (Int, Double) -> Void) throws -> Int {
        var position = 0
        try forEachTracker {
            give(position, try $0.number())
            position += 1
        }
        return position
    }

    func forgetPlans() {
        plans.withLock { $0.removeAll() }
        recent = nil
    }

    /// Loss first, then the losses of several outputs, then metrics: the order of `names`.
    package var allTrackers: [Metric] { trackers }

    package func resetMetrics() throws { try forEachTracker { try $0.reset() } }
}

extension Model {
    package var compilation: Compilation? { trainingState as? Compilation }

    package func compile(_ options: CompileOptions) throws {
        trainingState = try Compilation(self, options)
        latestNames = nil
    }

    func requireCompilation(_ method: String) throws -> Compilation {
        if let compilation { return compilation }
        throw DLError(.state, "[\(method)] model '\(name)' has not been compiled; call compile first")
    }
}

/// What a plan was made for: another batch size, another set of trainable weights, another architecture need their own.
struct PlanKey: Hashable {
    enum Mode: String, CaseIterable, Hashable {
        case train, test, predict

        var position: Int { Mode.allCases.firstIndex(of: self) ?? 0 }
    }

    let mode: Mode
    let version: Int
    let specs: [TensorSpec]
    let counts: [Int]
    let hasWeights: [Bool]
    let trainable: [Bool]
    let compilation: ObjectIdentifier?
}
