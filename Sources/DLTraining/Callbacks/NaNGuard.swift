import DLBase
import DLGraph
import DLLayers
import DLTensor

/// Ends training with the name of the operation that first gave NaN or infinity.
package final class NaNGuard: Callback {
    static let declaration = Declaration<Callback>(
        "NaNGuard",
        "Fails at the first batch whose loss or weights become NaN or infinite, names the layer and the operation where that "
            + "began, forward or backward, and leaves the model as it was before that batch. Each batch costs a copy of the weights.",
        example: "local dl = require \"dl\"\nprint(dl.callbacks.NaNGuard{})"
    ) { _ in NaNGuard() }

    private var kept: [(variable: Variable, tensor: Tensor)] = []
    private var epoch = 0
    private var isReady = false

    override package func onTrainBegin(_ training: any TrainingControl) {
        kept = []
        isReady = false
    }

    override package func onEpochBegin(_ epoch: Int, _ training: any TrainingControl) { self.epoch = epoch }

    override package func onBatchBegin(_ batch: Int, _ training: any TrainingControl) throws {
        guard let given = training.batch else { return }
        let model = training.model
        if !isReady, let compilation = model.compilation, model.ownStep(.train) == nil {
            try StepRunner(model: model, compilation: compilation).prepare(.train, given)
        }
        isReady = true
        let parts = [("input", given.x.map { Optional($0) }), ("target", given.y.map { Optional($0) }), ("sample_weight", given.weights)]
        for (kind, tensors) in parts {
            for (index, tensor) in tensors.enumerated() {
                guard let tensor, let place = firstNonFinite(tensor) else { continue }
                let row = tensor.shape.rank > 0 ? place / Swift.max(1, tensor.count / Swift.max(1, tensor.shape[0])) : 0
                throw failure(batch, "\(kind) \(index) has \(Text.shortest(tensor.number(at: place))) in sample \(row) of the batch")
            }
        }
        for weight in model.allWeights {
            if let place = firstNonFinite(weight.variable.tensor) {
                throw failure(
                    batch, "the weight '\(weight.variable.name)' had \(Text.shortest(weight.variable.tensor.number(at: place))) before the batch")
            }
        }
        let variables = model.allWeights.map(\.variable) + model.allStates + (model.compilation?.variables ?? [])
        kept = try variables.map { ($0, try $0.tensor.copy()) }
    }

    override package func onBatchEnd(_ batch: Int, _ logs: Logs, _ training: any TrainingControl) throws {
        let model = training.model
        let loss = logs["loss"]
        let weight = model.allWeights.first { firstNonFinite($0.variable.tensor) != nil }
        guard loss?.isFinite == false || weight != nil else { return }
        for (variable, tensor) in kept { variable.replace(try tensor.copy()) }
        var found: String?
        if let compilation = model.compilation, let given = training.batch, model.ownStep(.train) == nil {
            let graph = try StepRunner(model: model, compilation: compilation).graph(.train, given)
            found = try NonFiniteSearch(graph, ignoring: compilation.metrics.flatMap(\.metric.variables)).run(given.tensors)
        }
        let seen = weight.map { "the weight '\($0.variable.name)' became NaN or infinite" }
            ?? "the loss became \(Text.shortest(loss ?? .nan))"
        throw failure(batch, found ?? seen)
    }

    private func failure(_ batch: Int, _ text: String) -> DLError {
        DLError(.range, "[NaNGuard] epoch \(epoch + 1), batch \(batch + 1): \(text). The model is as it was before the batch")
    }
}

/// The position of the first element that is NaN or infinite.
func firstNonFinite(_ tensor: Tensor) -> Int? {
    switch tensor.type {
    case .float32:
        let elements = tensor.elements(Float.self)
        return (0..<tensor.count).first { !elements[$0].isFinite }
    case .float64:
        let elements = tensor.elements(Double.self)
        return (0..<tensor.count).first { !elements[$0].isFinite }
    default: return nil
    }
}

/// Runs a recorded step operation by operation and finds where what spoils its results began.
struct NonFiniteSearch {
    private let graph: Graph
    private let ignored: Set<ObjectIdentifier>

    init(_ graph: Graph, ignoring variables: [Variable]) {
        self.graph = graph
        ignored = Set(variables.map { ObjectIdentifier($0) })
    }

    /// A sentence about the first operation that gave NaN or infinity out of numbers, on a way to what the step changes.
    func run(_ inputs: [Tensor]) throws -> String? {
        var lastUse: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() { for input in node.inputs { lastUse[input] = index } }
        var tensors: [Int: Tensor] = [:]
        for (id, value) in graph.values.enumerated() {
            switch value.source {
            case .input(let index): tensors[id] = inputs.indices.contains(index) ? inputs[index] : nil
            case .constant(let index): tensors[id] = graph.constants[index]
            case .variable(let index): tensors[id] = graph.variables[index].tensor
            case .node: break
            }
        }
        /// Values that are not all numbers, with the first that is none.
        var bad: [Int: Double] = [:]
        for (index, node) in graph.nodes.enumerated() {
            let given = node.inputs.compactMap { tensors[$0] }
            guard given.count == node.inputs.count else { continue }
            for (id, tensor) in zip(node.outputs, try evaluate(node.operation, given)) {
                if let place = firstNonFinite(tensor) { bad[id] = tensor.number(at: place) }
                if lastUse[id] != nil { tensors[id] = tensor }
            }
            for input in node.inputs where lastUse[input] == index { tensors[input] = nil }
        }
        var wanted = Set(
            graph.assignments.filter { !ignored.contains(ObjectIdentifier(graph.variables[$0.variable])) }.map(\.value))
        wanted.formIntersection(bad.keys)
        var first: Int?
        for (index, node) in graph.nodes.enumerated().reversed() where node.outputs.contains(where: wanted.contains) {
            let causes = node.inputs.filter { bad[$0] != nil }
            if causes.isEmpty { first = index }
            wanted.formUnion(causes)
        }
        return first.map { describe($0, bad) }
    }

    private func describe(_ index: Int, _ bad: [Int: Double]) -> String {
        let node = graph.nodes[index]
        let output = node.outputs.first { bad[$0] != nil } ?? node.outputs[0]
        let place = node.label.isEmpty ? "outside of any layer" : "in layer '\(node.label)'"
        return "operation '\(node.operation.name)' \(place), \(graph.part(of: index)), gave \(Text.shortest(bad[output] ?? .nan)) "
            + "in its output \(graph.values[output].spec), while everything that went in was a number"
    }
}
