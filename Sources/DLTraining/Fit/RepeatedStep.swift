import DLBase
import DLGraph
import DLLayers
import DLTensor

/// The step that ran last, ready to run again on other tensors of the same shapes. Doing so allocates nothing.
package final class RepeatedStep {
    let mode: PlanKey.Mode
    private let plan: Plan
    private let version: Int
    private let inputCount: Int
    private let targetCount: Int
    private let hasWeights: [Bool]
    /// All weights of the model, and which of them were trained.
    private let weights: [Variable]
    private let trainable: [Bool]
    private var pointers: [UnsafeRawPointer]

    init(_ mode: PlanKey.Mode, _ plan: Plan, _ model: Model, _ batch: Batch) {
        self.mode = mode
        self.plan = plan
        version = model.version
        inputCount = batch.x.count
        targetCount = batch.y.count
        hasWeights = batch.weights.map { $0 != nil }
        weights = model.allWeights.map(\.variable)
        trainable = weights.map(\.trainable)
        pointers = batch.tensors.map { UnsafeRawPointer($0.pointer) }
    }

    /// Whether the model is still what the step was made for.
    func fits(_ model: Model) -> Bool {
        guard model.version == version else { return false }
        for (index, weight) in weights.enumerated() where weight.trainable != trainable[index] { return false }
        return true
    }

    /// Puts the tensor in its place among inputs, targets and weights; false if it has another shape or type.
    private func accept(_ tensor: Tensor, at position: Int) -> Bool {
        let spec = plan.inputSpecs[position]
        guard tensor.shape == spec.shape, tensor.type == spec.type else { return false }
        pointers[position] = UnsafeRawPointer(tensor.pointer)
        return true
    }

    func accepts(_ batch: Batch) -> Bool {
        guard batch.x.count == inputCount, batch.y.count == targetCount, batch.weights.count == hasWeights.count else {
            return false
        }
        var position = 0
        for tensor in batch.x {
            guard accept(tensor, at: position) else { return false }
            position += 1
        }
        for tensor in batch.y {
            guard accept(tensor, at: position) else { return false }
            position += 1
        }
        for (index, tensor) in batch.weights.enumerated() {
            guard (tensor != nil) == hasWeights[index] else { return false }
            guard let tensor else { continue }
            guard accept(tensor, at: position) else { return false }
            position += 1
        }
        return true
    }

    func run() throws { try plan.run(inputs: pointers, outputs: []) }
}

extension Model {
    /// Repeats the last step on one batch without sample weights; nil where the step is not the last one's like, and the usual
    /// way has to be taken. The tensors come one by one, inputs first, so that no list has to be made of them.
    ///
    /// `give` takes each result with its position.
    package func repeatStepOnBatch(
        training: Bool, inputs: Int, targets: Int, tensor: (Int) -> Tensor?, give: (Int, Double) -> Void
    ) throws -> Int? {
        guard ownSteps == nil, let compilation, let step = compilation.recent, step.mode == (training ? .train : .test), step.fits(self),
            step.accepts(inputs: inputs, targets: targets, tensor)
        else { return nil }
        try compilation.resetMetrics()
        try step.run()
        latestNames = nil
        return try compilation.results(give)
    }
}

extension RepeatedStep {
    fileprivate func accepts(inputs: Int, targets: Int, _ tensor: (Int) -> Tensor?) -> Bool {
        guard inputs == inputCount, targets == targetCount, hasWeights.isEmpty else { return false }
        for position in 0..<inputs + targets {
            guard let tensor = tensor(position), accept(tensor, at: position) else { return false }
        }
        return true
    }
}
