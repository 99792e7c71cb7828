import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Synchronization

extension Model {
    /// Loss and metrics on data, in the order of the compilation's names.
    package func evaluate(_ data: TrainingData, batchSize: Int = 32, steps: Int? = nil) throws -> [Double] {
        try evaluation(data, batchSize: batchSize, steps: steps).values
    }

    /// The same with names.
    package func evaluation(_ data: TrainingData, batchSize: Int = 32, steps: Int? = nil) throws -> Logs {
        guard batchSize >= 1 else {
            throw DLError(.argument, "[evaluate] 'batch_size' must be at least 1. Received: \(batchSize)")
        }
        let isOwn = ownStep(.test) != nil
        if !isOwn { _ = try requireCompilation("evaluate") }
        let data = try data.checked("evaluate", self, needsTargets: !isOwn)
        let batcher = Batcher(data, batchSize: batchSize)
        try resetMetrics()
        var logs = Logs()
        for step in 0..<min(batcher.steps, steps ?? Int.max) {
            logs = try self.logs(.test, batcher.batch(step, order: nil), "evaluate")
        }
        latestNames = logs.names
        return logs
    }

    /// One batch more of an evaluation, which begins with the first one; what all batches so far have given.
    package func evaluate(further batch: TrainingData, isFirst: Bool, for method: String = "evaluate") throws -> Logs {
        let isOwn = ownStep(.test) != nil
        if !isOwn { _ = try requireCompilation(method) }
        let data = try batch.checked(method, self, needsTargets: !isOwn)
        if isFirst { try resetMetrics() }
        let results = try logs(.test, Batch(x: data.x, y: data.y, weights: data.weights), method)
        latestNames = results.names
        return results
    }

    /// One training step on one batch, and its own loss and metrics.
    package func trainOnBatch(_ data: TrainingData, classWeights: [Double]? = nil) throws -> [Double] {
        try stepOnBatch(.train, data, classWeights, "train_on_batch")
    }

    package func testOnBatch(_ data: TrainingData) throws -> [Double] { try stepOnBatch(.test, data, nil, "test_on_batch") }

    private func stepOnBatch(
        _ mode: PlanKey.Mode, _ data: TrainingData, _ classWeights: [Double]?, _ method: String
    ) throws -> [Double] {
        let isOwn = ownStep(mode == .train ? .train : .test) != nil
        if !isOwn { _ = try requireCompilation(method) }
        var data = try data.checked(method, self, needsTargets: !isOwn)
        if let classWeights { data = try data.weighted(byClass: classWeights, labelBase: compilation?.options.labelBase ?? 0) }
        try resetMetrics()
        let logs = try self.logs(mode, Batch(x: data.x, y: data.y, weights: data.weights), method)
        latestNames = logs.names
        return logs.values
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
            if let own = ownStep(.predict) {
                let outputs = try ownPrediction(own, batch)
                if batcher.steps == 1 { return try outputs.map { try $0.copy() } }
                if results.isEmpty {
                    results = try outputs.map {
                        try Tensor(uninitialized: Shape(checked: [data.count] + $0.shape.sizes.dropFirst()), $0.type)
                    }
                }
                try fill(results, outputs, step * batchSize, batch.size)
                continue
            }
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

    /// Puts the outputs of a batch in their rows.
    private func fill(_ results: [Tensor], _ outputs: [Tensor], _ start: Int, _ count: Int) throws {
        guard outputs.count == results.count else {
            throw DLError(
                .callback, "[predict_step] model '\(name)' gave \(results.count) outputs for the first batch. Received: \(outputs.count)")
        }
        for (result, output) in zip(results, outputs) {
            let rows = try result.rows(start..<start + count)
            guard rows.shape == output.shape, rows.type == output.type else {
                throw DLError(
                    .shape, "[predict_step] model '\(name)' gave \(rows.type.name) \(rows.shape) for the first batch. "
                        + "Received: \(output.type.name) \(output.shape)")
            }
            rows.pointer.copyMemory(from: UnsafeRawPointer(output.pointer), byteCount: output.shape.count &* output.type.byteCount)
        }
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
