import DLBase
import DLGraph
import DLLayers
import DLTensor

/// How to train.
package struct FitOptions {
    package var epochs = 1
    package var batchSize = 32
    package var shuffle = true
    package var initialEpoch = 0
    package var stepsPerEpoch: Int?
    package var validationSplit = 0.0
    package var validationData: TrainingData?
    package var validationSteps: Int?
    package var validationBatchSize: Int?
    package var validationFrequency = 1
    package var classWeights: [Double]?
    package var callbacks: [Callback] = []

    package init() {}

    func checked() throws -> FitOptions {
        func require(_ condition: Bool, _ name: String, _ expectation: String, _ value: Int) throws {
            guard condition else { throw DLError(.argument, "[fit] '\(name)' must be \(expectation). Received: \(value)") }
        }
        try require(epochs >= 1, "epochs", "at least 1", epochs)
        try require(batchSize >= 1, "batch_size", "at least 1", batchSize)
        try require(initialEpoch >= 0, "initial_epoch", "at least 0", initialEpoch)
        try require(stepsPerEpoch.map { $0 >= 1 } ?? true, "steps_per_epoch", "at least 1", stepsPerEpoch ?? 0)
        try require(validationSteps.map { $0 >= 1 } ?? true, "validation_steps", "at least 1", validationSteps ?? 0)
        try require(validationBatchSize.map { $0 >= 1 } ?? true, "validation_batch_size", "at least 1", validationBatchSize ?? 0)
        try require(validationFrequency >= 1, "validation_freq", "at least 1", validationFrequency)
        return self
    }
}

/// Something that has happened in training.
package struct FitEvent {
    package enum Kind: Int32, Sendable {
        case trainBegin = 1
        case epochBegin = 2
        case batchBegin = 3
        case batchEnd = 4
        case testBegin = 5
        case testEnd = 6
        case epochEnd = 7
        case trainEnd = 8
    }

    package let kind: Kind
    package let epoch: Int
    package let epochs: Int
    package let step: Int
    package let steps: Int
    package let logs: Logs
}

/// A training run that advances from event to event. Nothing happens between two calls of `next`.
package final class FitSession: TrainingControl {
    package let model: Model
    package private(set) var history: [(name: String, values: [Double])] = []
    package private(set) var epochsRun: [Int] = []

    private enum State {
        case start, epoch, batch, step, afterBatch, validate, validateEnd, epochEnd, end, done
    }

    /// nil where steps of the user's own do without.
    private let compilation: Compilation?
    private let options: FitOptions
    private let data: TrainingData
    private let validation: TrainingData?
    private let batcher: Batcher
    private let files: FitFiles
    private var state = State.start
    private var epoch: Int
    private var step = 0
    private var order: [Int]?
    /// The next batch of the data: with `stepsPerEpoch` an epoch goes on where the last one ended, as in Keras.
    private var position = 0
    private var random = GlobalRandom.nextStream()
    /// `random` before it gave the order of the samples now in use.
    private var orderedBy = RandomStream(seed: 0)
    package private(set) var batch: Batch?
    /// What the caller gave for the next step.
    private var fed: Batch?
    /// What the batches that the caller gave for validation have come to.
    private var tested: Logs?
    private var stopping = false
    /// The step within an epoch that a restored run goes on with.
    private var resumedStep: Int?
    private var logs = Logs()

    /// Checks data and options; the model is not touched. `files` writes and reads it for checkpoints.
    package init(_ model: Model, _ data: TrainingData, _ options: FitOptions, files: FitFiles = .none) throws {
        self.model = model
        self.options = try options.checked()
        self.files = files
        let isOwn = model.ownStep(.train) != nil
        compilation = isOwn ? model.compilation : try model.requireCompilation("fit")
        var training = try data.checked("fit", model, needsTargets: !isOwn)
        var held = try options.validationData?.checked(
            "fit: validation_data", model, needsTargets: model.ownStep(.test) == nil)
        if options.validationSplit != 0, held == nil {
            let (first, last) = try training.split(options.validationSplit)
            training = first
            held = last
        }
        if let weights = options.classWeights {
            training = try training.weighted(byClass: weights, labelBase: compilation?.options.labelBase ?? 0)
        }
        self.data = training
        validation = held
        batcher = Batcher(training, batchSize: options.batchSize)
        epoch = options.initialEpoch
    }

    private var steps: Int { options.stepsPerEpoch ?? batcher.steps }

    package func stop() { stopping = true }

    /// The next step takes these samples, all of them, instead of a batch of the run's own; after the beginning of a test they
    /// are one batch more to validate with instead.
    package func feed(_ data: TrainingData) throws {
        if state == .validateEnd {
            tested = try model.evaluate(further: data, isFirst: tested == nil, for: "fit")
            return
        }
        guard state == .step else {
            throw DLError(.state, "[fit] a batch is fed after the event \"batch begin\" or \"test begin\"")
        }
        var data = try data.checked("fit", model, needsTargets: model.ownStep(.train) == nil)
        if let weights = options.classWeights {
            data = try data.weighted(byClass: weights, labelBase: compilation?.options.labelBase ?? 0)
        }
        fed = Batch(x: data.x, y: data.y, weights: data.weights)
    }

    package func save(_ path: String, weightsOnly: Bool) throws { try files.save(model, path, weightsOnly) }

    /// Works until the next event; nil when training has ended. After an error the run is over.
    package func next() throws -> FitEvent? {
        do {
            return try advance()
        } catch {
            state = .done
            throw error
        }
    }

    private func event(_ kind: FitEvent.Kind) -> FitEvent {
        FitEvent(kind: kind, epoch: epoch, epochs: options.epochs, step: step, steps: steps, logs: logs)
    }

    private func advance() throws -> FitEvent? {
        switch state {
        case .start:
            for callback in options.callbacks { try callback.onTrainBegin(self) }
            state = .epoch
            return event(.trainBegin)
        case .epoch:
            guard epoch < options.epochs, !stopping else {
                state = .end
                return try advance()
            }
            step = resumedStep ?? 0
            logs = Logs()
            if options.stepsPerEpoch == nil, resumedStep == nil { position = 0 }
            resumedStep = nil
            if step == 0 { try model.resetMetrics() }
            for callback in options.callbacks { try callback.onEpochBegin(epoch, self) }
            state = .batch
            return event(.epochBegin)
        case .batch:
            state = .step
            return event(.batchBegin)
        case .step:
            let batch = try fed ?? ownBatch()
            self.batch = batch
            fed = nil
            for callback in options.callbacks { try callback.onBatchBegin(step, self) }
            try train(batch)
            for callback in options.callbacks { try callback.onBatchEnd(step, logs, self) }
            state = .afterBatch
            return event(.batchEnd)
        case .afterBatch:
            step += 1
            if step < steps, !stopping {
                state = .batch
            } else {
                let due = validation != nil && (epoch + 1) % options.validationFrequency == 0 && !stopping
                state = due ? .validate : .epochEnd
            }
            return try advance()
        case .validate:
            state = .validateEnd
            return event(.testBegin)
        case .validateEnd:
            if let validation {
                let results = try tested ?? model.evaluation(
                    validation, batchSize: options.validationBatchSize ?? options.batchSize, steps: options.validationSteps)
                for (name, value) in zip(results.names, results.values) { logs["val_" + name] = value }
                tested = nil
            }
            state = .epochEnd
            return event(.testEnd)
        case .epochEnd:
            for callback in options.callbacks { try callback.onEpochEnd(epoch, &logs, self) }
            record()
            let done = event(.epochEnd)
            epoch += 1
            state = .epoch
            return done
        case .end:
            if epoch > options.initialEpoch { try compilation?.optimizer.finishTraining() }
            for callback in options.callbacks { try callback.onTrainEnd(self) }
            state = .done
            return event(.trainEnd)
        case .done:
            return nil
        }
    }

    /// The user's own step, or the model's, whose figures are taken without making a list of them.
    private func train(_ batch: Batch) throws {
        guard let compilation, model.ownStep(.train) == nil else {
            logs = try model.logs(.train, batch, "fit")
            return
        }
        try StepRunner(model: model, compilation: compilation).run(.train, batch)
        for (name, value) in zip(compilation.names, try compilation.results()) { logs[name] = value }
    }

    private func ownBatch() throws -> Batch {
        if position >= batcher.steps { position = 0 }
        if position == 0 { shuffle() }
        defer { position += 1 }
        return try batcher.batch(position, order: order)
    }

    private func shuffle() {
        orderedBy = random
        order = options.shuffle ? random.permutation(data.count) : nil
    }

    private func record() {
        epochsRun.append(epoch)
        for (name, value) in zip(logs.names, logs.values) {
            if let index = history.firstIndex(where: { $0.name == name }) {
                history[index].values.append(value)
            } else {
                history.append((name, [value]))
            }
        }
    }

    /// {"epoch": [...], "loss": [...], ...}.
    package var historyJSON: JSON {
        var object = JSONObject()
        object["epoch"] = .array(epochsRun.map { .int(Int64($0)) })
        for (name, values) in history { object[name] = .array(values.map { .double($0) }) }
        return .object(object)
    }
}

// MARK: Going on later

extension FitSession {
    package func saveState(_ path: String) throws {
        // Between two epochs the next one draws its own order.
        let within = state == .step || state == .afterBatch
        let next = within ? step + 1 : 0
        let ended = within && next >= steps
        var place = JSONObject()
        place["epoch"] = .int(Int64(epoch + (within && !ended ? 0 : 1)))
        place["step"] = .int(Int64(ended ? 0 : next))
        let continues = position < batcher.steps && (within && !ended || options.stepsPerEpoch != nil)
        place["position"] = .int(Int64(continues ? position : 0))
        place["random"] = .string((continues ? orderedBy : random).text)
        try files.saveState(model, path, .object(place))
    }

    package func restoreState(_ path: String) throws {
        // One recorded step makes everything that a step changes, so that there is room for what the file has.
        if let compilation, model.ownStep(.train) == nil {
            try StepRunner(model: model, compilation: compilation).prepare(.train, batcher.batch(0, order: nil))
        }
        let place = try files.restoreState(model, path)
        guard let epoch = place["epoch"]?.intValue, let step = place["step"]?.intValue, let position = place["position"]?.intValue,
            let stream = place["random"]?.stringValue.flatMap(RandomStream.init(text:)), epoch >= 0, step >= 0,
            position >= 0, position < batcher.steps || position == 0, step < steps
        else {
            throw DLError(.format, "[BackupAndRestore] '\(Files.printable(path))' is not of a run over such data. Received: \(place.canonicalText)")
        }
        self.epoch = Swift.max(epoch, options.initialEpoch)
        random = stream
        self.position = position
        if position > 0 { shuffle() }
        resumedStep = step
    }
}

/// How a run writes and reads models; the formats are known further up.
package struct FitFiles {
    package var save: (Model, String, _ weightsOnly: Bool) throws -> Void
    /// All that training changes, and where the run is.
    package var saveState: (Model, String, JSON) throws -> Void
    package var restoreState: (Model, String) throws -> JSON

    /// For runs whose callbacks write nothing.
    package static var none: FitFiles {
        let refusal = DLError(.unsupported, "[fit] this run has nowhere to write to")
        return FitFiles(
            save: { _, _, _ in throw refusal }, saveState: { _, _, _ in throw refusal }, restoreState: { _, _ in throw refusal })
    }

    package init(
        save: @escaping (Model, String, Bool) throws -> Void, saveState: @escaping (Model, String, JSON) throws -> Void,
        restoreState: @escaping (Model, String) throws -> JSON
    ) {
        self.save = save
        self.saveState = saveState
        self.restoreState = restoreState
    }
}
