import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Synchronization

extension Model {
    /// Loss and metrics on data, in the order of the compilation's names.
    package func evaluate(_ data: TrainingData, batchSize: Int = 32, steps: Int? = nil) throws -> [Double] {
        let compilation = try requireCompilation("evaluate")
        guard batchSize >= 1 else {
            throw DLError(.argument, "[evaluate] 'batch_size' must be at least 1. Received: \(batchSize)")
        }
        let data = try data.checked("evaluate", self, needsTargets: true)
        let batcher = Batcher(data, batchSize: batchSize)
        try compilation.resetMetrics()
        let runner = StepRunner(model: self, compilation: compilation)
        for step in 0..<min(batcher.steps, steps ?? Int.max) { try runner.run(.test, batcher.batch(step, order: nil)) }
        return compilation.results()
    }

    /// One training step on one batch, and its own loss and metrics.
    package func trainOnBatch(_ data: TrainingData, classWeights: [Double]? = nil) throws -> [Double] {
        try stepOnBatch(.train, data, classWeights, "train_on_batch")
    }

    package func testOnBatch(_ data: TrainingData) throws -> [Double] { try stepOnBatch(.test, data, nil, "test_on_batch") }

    private func stepOnBatch(
        _ mode: PlanKey.Mode, _ data: TrainingData, _ classWeights: [Double]?, _ method: String
    ) throws -> [Double] {
        let compilation = try requireCompilation(method)
        var data = try data.checked(method, self, needsTargets: true)
        if let classWeights { data = try data.weighted(byClass: classWeights, labelBase: compilation.options.labelBase) }
        try compilation.resetMetrics()
        try StepRunner(model: self, compilation: compilation).run(
            mode, Batch(x: data.x, y: data.y, weights: data.weights))
        return compilation.results()
    }

    // MARK: Prediction

    /// Outputs for inputs, batch by batch. Many threads may do this with one model at once.
    package func predict(_ x: [Tensor], batchSize: Int = 32) throws -> [Tensor] {
        guard batchSize >= 1 else {
            throw DLError(.argument, "[predict] 'batch_size' must be at least 1. Received: \(batchSize)")
        }
        let data = try TrainingData(x: x).checked("predict", self, needsTargets: false)
        let batcher = Batcher(data, batchSize: batchSize)
        var results: [Tensor] = []
        for step in 0..<batcher.steps {
            let batch = try batcher.batch(step, order: nil)
            let plan = try predictionPlan(batch)
            if results.isEmpty {
                results = try plan.outputSpecs.map { spec in
                    guard spec.shape.sizes.first == batch.size else {
                        throw DLError(
                            .shape, "[predict] the first axis of an output of model '\(name)' is not the batch. "
                                + "Received: output \(spec.shape) for a batch of \(batch.size)")
                    }
                    return try Tensor(uninitialized: Shape(checked: [data.count] + spec.shape.sizes.dropFirst()), spec.type)
                }
            }
            let start = step * batchSize
            try plan.run(
                inputs: batch.x.map { UnsafeRawPointer($0.pointer) },
                outputs: results.map { try $0.rows(start..<start + batch.size).pointer })
        }
        return results
    }

    private func predictionPlan(_ batch: Batch) throws -> Plan {
        let key = PlanKey(
            mode: .predict, version: version, specs: batch.x.map { TensorSpec($0.shape, $0.type) }, counts: [batch.x.count],
            hasWeights: [], trainable: [], compilation: nil)
        return try predictionPlans.plan(key) {
            try buildIfNeeded(batch.x.map { $0.shape.sizes })
            let graph = Graph()
            let context = ThreadContext.current
            try context.recording(into: graph) {
                try context.withoutTapes {
                    let inputs = batch.x.map { graph.addInput(TensorSpec($0.shape, $0.type)) }
                    for output in try apply(inputs, training: false) { try graph.markOutput(output) }
                }
            }
            return try Plan(graph, passes: inferencePasses)
        }
    }
}

/// Plans for prediction, made once for each signature, by one thread while others wait.
final class PredictionPlans: @unchecked Sendable {
    private let plans = Mutex<[PlanKey: Plan]>([:])

    func plan(_ key: PlanKey, _ make: () throws -> Plan) throws -> Plan {
        try plans.withLock { plans in
            if let known = plans[key] { return known }
            let plan = try make()
            if plans.count >= 64 { plans.removeAll() }
            plans[key] = plan
            return plan
        }
    }

    var all: [(PlanKey, Plan)] { plans.withLock { $0.map { ($0.key, $0.value) } } }
}

extension Model {
    /// Made by whichever thread predicts first.
    var predictionPlans: PredictionPlans {
        predictionState.withLock { state in
            if let plans = state as? PredictionPlans { return plans }
            let plans = PredictionPlans()
            state = plans
            return plans
        }
    }
}
