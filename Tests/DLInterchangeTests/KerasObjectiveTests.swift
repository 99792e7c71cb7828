import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import DLTraining
import Testing

@Suite struct KerasObjectiveTests {
    /// Losses and metrics that are not here yet; the lists may only get shorter.
    static let missingLosses: Set<String> = []
    static let missingMetrics: Set<String> = []

    private func losses(_ type: ElementType, _ tolerance: Double, _ group: String = "losses") throws {
        let fixture = try KerasFixture(group)
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            guard let className = entry["class_name"]?.stringValue, !Self.missingLosses.contains(className) else { continue }
            // 1 - 1e-7 is not a float32 number, so the loss of a sure but wrong prediction has fewer digits there.
            if type == .float32, name.contains("_sure") { continue }
            do {
                var config = withType(entry["config"] ?? [:], type)
                // Keras's own configuration of Huber leaves out the one argument that matters; the cases have 0.75.
                if className == "Huber", var object = config.objectValue {
                    object["delta"] = 0.75
                    config = .object(object)
                }
                // The axis of CosineSimilarity likewise.
                if name.hasPrefix("cosine_axis"), var object = config.objectValue {
                    object["axis"] = 0
                    config = .object(object)
                }
                let loss = try Losses.registry.make(["class_name": .string(className), "config": config])
                let inputs = try fixture.tensors(entry["inputs"])
                let prediction = Value(try inputs[1].converted(type))
                let weight = try fixture.optionalTensor(entry["sample_weight"]).map { Value(try $0.converted(type)) }
                let tape = Tape()
                tape.watch(prediction)
                tape.start()
                let result = try loss(Value(inputs[0].converted(type)), prediction, weight: weight)
                tape.stop()
                let error = distance(try result.tensor(), try fixture.tensors(entry["outputs"])[0])
                #expect(error < tolerance, "\(name): off by \(error)")
                let wanted = try fixture.tensors(entry["input_gradients"])[0]
                let gradient = try tape.gradients(of: result, withRespectTo: [prediction])[0]?.tensor()
                    ?? Tensor(zeros: wanted.shape, type)
                let gradientError = distance(gradient, wanted)
                #expect(gradientError < tolerance, "\(name): gradient off by \(gradientError)")
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done > (group == "losses" ? 150 : 60))
    }

    @Test func lossesInDoublePrecision() throws { try losses(.float64, 1e-9) }
    @Test func lossesInSinglePrecision() throws { try losses(.float32, 2e-5) }

    @Test func moreLossesInDoublePrecision() throws { try losses(.float64, 1e-9, "more_losses") }
    @Test func moreLossesInSinglePrecision() throws { try losses(.float32, 2e-5, "more_losses") }

    @Test func metrics() throws { try metrics("metrics") }
    @Test func moreMetrics() throws { try metrics("more_metrics") }

    private func metrics(_ group: String) throws {
        let fixture = try KerasFixture(group)
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            guard let className = entry["class_name"]?.stringValue, !Self.missingMetrics.contains(className) else { continue }
            do {
                let metric = try Metrics.registry.make([
                    "class_name": .string(className), "config": withType(entry["config"] ?? [:], .float32),
                ])
                for (step, update) in (entry["updates"]?.arrayValue ?? []).enumerated() {
                    let weight = try fixture.optionalTensor(update["sample_weight"]).map { Value($0) }
                    if let values = try fixture.optionalTensor(update["values"]) {
                        try metric.update(Value(values), nil, weight: weight)
                    } else {
                        try metric.update(
                            Value(fixture.tensor(update["y_true"])), Value(fixture.tensor(update["y_pred"])), weight: weight)
                    }
                    let wanted = try #require(update["result"])
                    let expected = try wanted.arrayValue?.compactMap(\.doubleValue) ?? [#require(wanted.doubleValue)]
                    let found = try metric.numbers()
                    #expect(found.count == expected.count, "\(name)")
                    for (a, b) in zip(found, expected) {
                        #expect(Swift.abs(a - b) < 1e-5 * max(Swift.abs(b), 1e-3), "\(name), update \(step): \(found) instead of \(expected)")
                    }
                }
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done > 25)
    }
}
