import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLOps
import DLTensor
import DLTraining
import Testing

/// Histories of `fit`, results of `evaluate` and `predict`, as Keras has them for the same data in the same order.
@Suite struct KerasFitTests {
    private struct Case {
        let fixture: KerasFixture
        let entry: JSON
        let model: Model

        /// A tensor, or one for each output by name or position.
        func tensors(_ json: JSON?) throws -> [Tensor] {
            guard let json, !json.isNull else { return [] }
            if let table = json.objectValue {
                return try model.outputNames.map { try fixture.tensor(table[$0]) }
            }
            return try json.arrayValue?.map { try fixture.tensor($0) } ?? [fixture.tensor(json)]
        }

        func data(_ x: JSON?, _ y: JSON?, _ weights: JSON? = nil) throws -> TrainingData {
            TrainingData(x: try tensors(x), y: try tensors(y), weights: try tensors(weights))
        }

        /// One entry for each output, from a single one or from a table by output name.
        func perOutput<T>(_ json: JSON?, _ make: (JSON) -> T) -> [T] {
            guard let json, !json.isNull else { return [] }
            if let table = json.objectValue, json["class_name"] == nil { return model.outputNames.map { make(table[$0] ?? .null) } }
            return [make(json)]
        }

        func options() throws -> CompileOptions {
            let compile = try #require(entry["compile"])
            var options = CompileOptions()
            options.optimizer = .described(try #require(entry["optimizer"]))
            options.losses = perOutput(compile["loss"]) { $0.isNull ? nil : .described($0) }
            func metrics(_ key: String) -> [[CompileOptions.Choice<Metric>]] {
                perOutput(compile[key]) { ($0.arrayValue ?? []).map { .described($0) } }
            }
            options.metrics = metrics("metrics")
            options.weightedMetrics = metrics("weighted_metrics")
            if let weights = compile["loss_weights"] { options.lossWeights = perOutput(weights) { $0.doubleValue ?? 1 } }
            return options
        }

        func fitOptions() throws -> FitOptions {
            let fit = try #require(entry["fit"])
            var options = FitOptions()
            options.shuffle = false
            options.batchSize = fit["batch_size"]?.intValue ?? 32
            options.epochs = fit["epochs"]?.intValue ?? 1
            options.initialEpoch = fit["initial_epoch"]?.intValue ?? 0
            options.stepsPerEpoch = fit["steps_per_epoch"]?.intValue
            options.validationSplit = fit["validation_split"]?.doubleValue ?? 0
            options.validationBatchSize = fit["validation_batch_size"]?.intValue
            if let held = fit["validation_data"]?.arrayValue {
                options.validationData = try data(held[0], held[1], held.count > 2 ? held[2] : nil)
            }
            if let weights = fit["class_weight"]?.objectValue {
                options.classWeights = (0..<weights.count).map { weights[String($0)]?.doubleValue ?? 1 }
            }
            return options
        }
    }

    private func close(_ found: Double?, _ wanted: Double) -> Bool {
        guard let found else { return false }
        return Swift.abs(found - wanted) <= 1e-4 * max(1, Swift.abs(wanted))
    }

    @Test func fitEvaluateAndPredict() throws {
        let fixture = try KerasFixture("fit")
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            do {
                let json = try entry["model"]?.stringValue.map { try JSON(parsing: $0) } ?? #require(entry["model"])
                let model = try #require(try Layer.deserialize(json) as? Model)
                let item = Case(fixture: fixture, entry: entry, model: model)
                try setWeights(model, entry, fixture)
                try model.compile(item.options())
                let fit = try #require(entry["fit"])
                let session = try FitSession(
                    model, item.data(fit["x"], fit["y"], fit["sample_weight"]), item.fitOptions())
                while try session.next() != nil {}
                for (label, values) in entry["history"]?.objectValue?.pairs.map({ ($0, $1) }) ?? [] {
                    let found = session.history.first { $0.name == label }?.values
                    for (epoch, wanted) in (values.arrayValue ?? []).enumerated() {
                        let value = found.flatMap { $0.indices.contains(epoch) ? $0[epoch] : nil }
                        #expect(close(value, wanted.doubleValue ?? .nan), "\(name): \(label)[\(epoch)] \(String(describing: value)) instead of \(wanted)")
                    }
                }
                let call = try #require(entry["evaluate_call"])
                let results = try model.evaluate(
                    item.data(call["x"], call["y"], call["sample_weight"]), batchSize: call["batch_size"]?.intValue ?? 32)
                for (label, value) in zip(try #require(model.compilation).names, results) {
                    if let wanted = entry["evaluate"]?[label]?.doubleValue {
                        #expect(close(value, wanted), "\(name): evaluate \(label) \(value) instead of \(wanted)")
                    } else {
                        Issue.record("\(name): Keras's evaluate has no '\(label)'")
                    }
                }
                let predictions = try model.predict(item.tensors(entry["predict_x"]), batchSize: 8)
                let names = predictions.count == 1 ? [""] : model.outputNames
                for (output, prediction) in zip(names, predictions) {
                    let wanted = try fixture.tensor(entry["predictions"]?[output])
                    #expect(distance(prediction, wanted) < 1e-3, "\(name): predictions '\(output)'")
                }
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done == fixture.cases.count)
    }
}
