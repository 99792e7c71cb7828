import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLOps
import DLTensor
import DLTraining
import Testing

@Suite struct KerasTrainingTests {
    /// Ten steps of each model under each optimizer, compiled or operation by operation, agree with Keras's.
    private func trajectories(eager: Bool, only prefixes: [String] = []) throws {
        let fixture = try KerasFixture("training")
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            if !prefixes.isEmpty, !prefixes.contains(where: name.hasPrefix) { continue }
            do {
                let model = try #require(try Layer.deserialize(json(entry["model"])) as? Model)
                try setWeights(model, entry, fixture)
                var options = CompileOptions()
                options.optimizer = .described(try #require(entry["optimizer"]))
                options.losses = [.described(try #require(entry["loss"]))]
                options.metrics = [(entry["metrics"]?.arrayValue ?? []).map { .described($0) }]
                options.runEagerly = eager
                try model.compile(options)
                var x = Value(try fixture.tensor(entry["x"]))
                if let factor = entry["x_scale"]?.doubleValue, x.type == .uint8 {
                    x = try multiply(cast(x, .float32), constant(factor, .float32))
                }
                let all = try x.tensor()
                let y = try fixture.tensor(entry["y"])
                #expect(distance(try model.predict([all.row(0)])[0], try fixture.tensor(entry["initial_predictions"])) < 1e-5, "\(name): initial predictions")
                for (step, expected) in (entry["steps"]?.arrayValue ?? []).enumerated() {
                    let values = try model.trainOnBatch(TrainingData(x: [all.row(step)], y: [y.row(step)]))
                    let names = try #require(model.compilation).names
                    for (label, value) in zip(names, values) {
                        guard let wanted = expected[label]?.doubleValue else { continue }
                        #expect(Swift.abs(value - wanted) < 1e-4, "\(name), step \(step): \(label) \(value) instead of \(wanted)")
                    }
                }
                for (index, (variable, expected)) in zip(model.orderedVariables, entry["final_weights"]?.arrayValue ?? []).enumerated() {
                    let stride = expected["stride"]?.intValue ?? 1
                    let wanted = try fixture.tensor(expected["key"])
                    let numbers = Swift.stride(from: 0, to: variable.shape.count, by: stride).map { variable.tensor.number(at: $0) }
                    var worst = 0.0
                    for (position, number) in numbers.enumerated() { worst = max(worst, Swift.abs(number - wanted.number(at: position))) }
                    // A bias straight before a batch normalisation has no gradient but rounding errors, which Adam makes as
                    // large as any other: ten steps of 0.001 bound where it may be.
                    let free = name.hasPrefix("residual_adam") && index == 3
                    #expect(worst < (free ? 1e-2 : 1e-4), "\(name): weight \(index) is off by \(worst)")
                }
                let predicted = distance(try model.predict([all.row(0)])[0], try fixture.tensor(entry["predictions"]))
                #expect(predicted < (name.hasPrefix("residual_adam") ? 1e-2 : 1e-3), "\(name): predictions are off by \(predicted)")
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done > (prefixes.isEmpty ? 30 : 3))
    }

    private func json(_ text: JSON?) throws -> JSON {
        if let text = text?.stringValue { return try JSON(parsing: text) }
        return try #require(text)
    }

    @Test func compiledStepsFollowKeras() throws { try trajectories(eager: false) }
    @Test func eagerStepsFollowKeras() throws { try trajectories(eager: true, only: ["mlp_", "normalised_"]) }
}
