import DLBase
import DLGraph
import DLLayers
import DLTensor

/// Steps that the user of the library writes, in the place of a model's own: whatever trains, measures or predicts takes
/// them where they are there.
package final class OwnSteps: @unchecked Sendable {
    package enum Kind: Int32, CaseIterable, Sendable {
        case train = 1
        case test = 2
        case predict = 3
        /// The loss of predictions, as part of the model's own steps.
        case loss = 4
        /// What the steps gather begins anew.
        case reset = 5
    }

    /// What a step works on. `predictions` are for `loss` alone.
    package struct Inputs {
        package var x: [Value] = []
        package var y: [Value] = []
        package var weights: [Value?] = []
        package var predictions: [Value] = []
        package var training = false
    }

    package struct Results {
        package var logs = Logs()
        package var outputs: [Value] = []

        package init() {}
    }

    package typealias Body = (Model, Kind, Inputs) throws -> Results

    private let kinds: Set<Kind>
    private let body: Body

    package init(_ kinds: Set<Kind>, _ body: @escaping Body) {
        self.kinds = kinds
        self.body = body
    }

    package func has(_ kind: Kind) -> Bool { kinds.contains(kind) }

    /// Runs a step on numbers, outside of any recording.
    func run(_ model: Model, _ kind: Kind, _ batch: Batch) throws -> Results {
        let context = ThreadContext.current
        return try context.recording(into: nil) {
            try context.withoutTapes {
                let inputs = Inputs(
                    x: batch.x.map { Value($0) }, y: batch.y.map { Value($0) },
                    weights: batch.weights.map { $0.map { Value($0) } }, training: kind == .train)
                return try body(model, kind, inputs)
            }
        }
    }

    /// The total loss, part of whatever is being recorded.
    func loss(_ model: Model, _ inputs: Inputs) throws -> Value {
        let outputs = try body(model, .loss, inputs).outputs
        guard outputs.count == 1, outputs[0].type.isFloatingPoint else {
            throw DLError(
                .callback, "[compute_loss] model '\(model.name)' must give one floating-point tensor. "
                    + "Received: \(outputs.map { "\($0.spec)" }.joined(separator: ", "))")
        }
        return outputs[0]
    }
}

extension Model {
    package var ownSteps: OwnSteps? { ownStepState as? OwnSteps }

    /// Takes the place of the steps so far; nil gives the model its own back.
    package func setOwnSteps(_ steps: OwnSteps?) {
        ownStepState = steps
        // Plans have the loss of before in them.
        compilation?.forgetPlans()
    }

    func ownStep(_ kind: OwnSteps.Kind) -> OwnSteps? { ownSteps.flatMap { $0.has(kind) ? $0 : nil } }

    /// What is gathered over batches begins anew.
    package func resetMetrics() throws {
        try compilation?.resetMetrics()
        if let steps = ownStep(.reset) { _ = try steps.run(self, .reset, Batch(x: [])) }
    }

    /// The figures of the data so far, after one more batch of it.
    func logs(_ mode: PlanKey.Mode, _ batch: Batch, _ method: String) throws -> Logs {
        if let steps = ownStep(mode == .train ? .train : .test) {
            return try steps.run(self, mode == .train ? .train : .test, batch).logs
        }
        let compilation = try requireCompilation(method)
        try StepRunner(model: self, compilation: compilation).run(mode, batch)
        return Logs(compilation.names, try compilation.results())
    }

    /// The loss that compile asked for, and what layers have added in the model's latest call.
    package func computeLoss(_ y: [Value], _ predictions: [Value], _ weights: [Value?]) throws -> Value {
        try Step(model: self, compilation: requireCompilation("compute_loss")).loss(y, predictions, weights).total
    }

    /// Takes a batch into the metrics that compile asked for, not into the loss.
    package func updateMetrics(_ y: [Value], _ predictions: [Value], _ weights: [Value?]) throws {
        try Step(model: self, compilation: requireCompilation("compute_metrics")).updateMetrics(y, predictions, weights)
    }

    /// Predictions for one batch by a step of the user's own, as tensors.
    func ownPrediction(_ steps: OwnSteps, _ batch: Batch) throws -> [Tensor] {
        let outputs = try steps.run(self, .predict, batch).outputs
        guard !outputs.isEmpty else {
            throw DLError(.callback, "[predict_step] model '\(name)' gave no outputs")
        }
        return try outputs.map { output in
            guard output.shape.sizes.first == batch.size else {
                throw DLError(
                    .shape, "[predict_step] the first axis of an output of model '\(name)' is not the batch. "
                        + "Received: output \(output.shape) for a batch of \(batch.size)")
            }
            return try output.tensor("predict_step")
        }
    }
}
