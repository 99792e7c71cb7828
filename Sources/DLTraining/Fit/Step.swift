import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor

/// The tensors of one batch: inputs, targets, and a weight for each sample of each output, or none.
package struct Batch {
    package var x: [Tensor]
    package var y: [Tensor]
    package var weights: [Tensor?]

    package init(x: [Tensor], y: [Tensor] = [], weights: [Tensor?] = []) {
        self.x = x
        self.y = y
        self.weights = weights
    }

    var size: Int { x.first?.shape.sizes.first ?? 0 }
    var tensors: [Tensor] { x + y + weights.compactMap { $0 } }
}

/// The computation of one step, the same whether it is recorded into a graph or runs at once.
struct Step {
    let model: Model
    let compilation: Compilation

    /// Forward, loss, backward, update, metrics.
    func train(_ x: [Value], _ y: [Value], _ weights: [Value?]) throws {
        let tape = Tape()
        tape.start()
        defer { tape.stop() }
        let predictions = try model.apply(x, training: true)
        let losses = try loss(x, y, predictions, weights, training: true)
        let target = try compilation.optimizer.scaled(losses.total)
        tape.stop()
        let variables = model.trainableVariables
        guard !variables.isEmpty else {
            throw DLError(.state, "[fit] model '\(model.name)' has no trainable weights")
        }
        let recording = ThreadContext.current.recording
        recording?.begin(part: "backward")
        let gradients = try tape.gradients(of: target, withRespectTo: variables.map(\.value))
        let weightOf = Dictionary(
            model.allWeights.map { (ObjectIdentifier($0.variable), $0) }, uniquingKeysWith: { first, _ in first })
        recording?.begin(part: "update")
        try compilation.optimizer.apply(Array(zip(gradients, variables)).map { (gradient: $0, variable: $1) }) {
            weightOf[ObjectIdentifier($0)]?.constraint
        }
        recording?.begin(part: "metrics")
        try track(losses, y, predictions, weights, size: x[0].shape.sizes[0])
    }

    /// Forward, loss, metrics.
    func test(_ x: [Value], _ y: [Value], _ weights: [Value?]) throws {
        let predictions = try model.apply(x, training: false)
        let losses = try loss(x, y, predictions, weights, training: false)
        try track(losses, y, predictions, weights, size: x[0].shape.sizes[0])
    }

    struct Losses {
        let total: Value
        let outputs: [Value?]
    }

    private func loss(
        _ x: [Value], _ y: [Value], _ predictions: [Value], _ weights: [Value?], training: Bool
    ) throws -> Losses {
        guard let steps = model.ownStep(.loss) else { return try loss(y, predictions, weights) }
        let total = try steps.loss(
            model, OwnSteps.Inputs(x: x, y: y, weights: weights, predictions: predictions, training: training))
        return Losses(total: total.shape.rank == 0 ? total : try mean(total), outputs: [])
    }

    /// What compile said, and what layers have added in the latest call.
    func loss(_ y: [Value], _ predictions: [Value], _ weights: [Value?]) throws -> Losses {
        guard !compilation.losses.isEmpty else {
            throw DLError(.state, "[fit] model '\(model.name)' was compiled without a loss")
        }
        guard compilation.losses.count == predictions.count, y.count == predictions.count else {
            throw DLError(
                .argument, "[fit] model '\(model.name)' has \(predictions.count) outputs. "
                    + "Received: \(y.count) targets and \(compilation.losses.count) losses")
        }
        var terms: [Value] = []
        var outputs: [Value?] = []
        for (index, loss) in compilation.losses.enumerated() {
            guard let loss else {
                outputs.append(nil)
                continue
            }
            let value: Value
            do {
                let raw = try loss(y[index], predictions[index], weight: weights.indices.contains(index) ? weights[index] : nil)
                value = raw.shape.rank == 0 ? raw : try mean(raw)
            } catch let error as DLError {
                throw predictions.count > 1 ? error.within("output '\(Compilation.outputName(model, index))'") : error
            }
            outputs.append(value)
            if let factor = compilation.lossWeights?[index] {
                terms.append(try multiply(value, constant(factor, like: value)))
            } else {
                terms.append(value)
            }
        }
        terms += try model.takeCallAdditions().losses + model.regularizationLosses()
        guard var total = terms.first else { throw DLError(.state, "[fit] no output of model '\(model.name)' has a loss") }
        for term in terms.dropFirst() { total = try add(total, term) }
        return Losses(total: total, outputs: outputs)
    }

    private func track(
        _ losses: Losses, _ y: [Value], _ predictions: [Value], _ weights: [Value?], size: Int
    ) throws {
        let samples = try constant(Double(size), .float64)
        try compilation.lossTracker.update(cast(losses.total, .float64), nil, weight: samples)
        for (tracker, value) in zip(compilation.outputLossTrackers, losses.outputs) {
            if let tracker, let value { try tracker.update(cast(value, .float64), nil, weight: samples) }
        }
        try updateMetrics(y, predictions, weights)
    }

    func updateMetrics(_ y: [Value], _ predictions: [Value], _ weights: [Value?]) throws {
        try compilation.makeMetrics(model, truths: y.map(\.spec), predictions: predictions.map(\.spec))
        for (metric, output, weighted) in compilation.metrics {
            let weight = weighted && weights.indices.contains(output) ? weights[output] : nil
            try metric.update(y[output], predictions[output], weight: weight)
        }
    }
}

/// Runs steps: compiled, one plan for each signature, or operation by operation.
struct StepRunner {
    let model: Model
    let compilation: Compilation

    func run(_ mode: PlanKey.Mode, _ batch: Batch) throws {
        if compilation.options.runEagerly { return try runEagerly(mode, batch) }
        if let recent = compilation.recent, recent.mode == mode, recent.fits(model), recent.accepts(batch) {
            return try recent.run()
        }
        let key = PlanKey(
            mode: mode, version: model.version, specs: batch.tensors.map { TensorSpec($0.shape, $0.type) },
            counts: [batch.x.count, batch.y.count], hasWeights: batch.weights.map { $0 != nil },
            trainable: model.allWeights.map(\.variable.trainable), compilation: nil)
        let plan: Plan
        if let known = compilation.plans.withLock({ $0[key] }) {
            plan = known
        } else {
            plan = try record(mode, batch)
            // More signatures than this come from data whose shape changes all the time; old plans go.
            compilation.plans.withLock {
                if $0.count >= 64 { $0.removeAll() }
                $0[key] = plan
            }
        }
        let step = RepeatedStep(mode, plan, model, batch)
        compilation.recent = step
        try step.run()
    }

    /// Makes weights, states of the optimizer and metrics, without a step.
    func prepare(_ mode: PlanKey.Mode, _ batch: Batch) throws { _ = try graph(mode, batch) }

    private func record(_ mode: PlanKey.Mode, _ batch: Batch) throws -> Plan {
        try Plan(graph(mode, batch), passes: standardPasses)
    }

    /// The step as it is written down, before any pass.
    func graph(_ mode: PlanKey.Mode, _ batch: Batch) throws -> Graph {
        let context = ThreadContext.current
        try model.buildIfNeeded(batch.x.map { $0.shape.sizes })
        let graph = Graph()
        try context.recording(into: graph) {
            try context.withoutTapes {
                let x = batch.x.map { graph.addInput(TensorSpec($0.shape, $0.type)) }
                let y = batch.y.map { graph.addInput(TensorSpec($0.shape, $0.type)) }
                let weights = batch.weights.map { $0.map { graph.addInput(TensorSpec($0.shape, $0.type)) } }
                let step = Step(model: model, compilation: compilation)
                try mode == .train ? step.train(x, y, weights) : step.test(x, y, weights)
            }
        }
        return graph
    }

    /// A failing step leaves variables as they were, as the compiled one does.
    private func runEagerly(_ mode: PlanKey.Mode, _ batch: Batch) throws {
        try model.buildIfNeeded(batch.x.map { $0.shape.sizes })
        let kept = (model.allWeights.map(\.variable) + model.allStates + compilation.variables).map { ($0, $0.tensor) }
        let context = ThreadContext.current
        do {
            try context.recording(into: nil) {
                let step = Step(model: model, compilation: compilation)
                let x = batch.x.map { Value($0) }
                let y = batch.y.map { Value($0) }
                let weights = batch.weights.map { $0.map { Value($0) } }
                try mode == .train ? step.train(x, y, weights) : step.test(x, y, weights)
            }
        } catch {
            for (variable, tensor) in kept { variable.replace(tensor) }
            throw error
        }
    }
}
