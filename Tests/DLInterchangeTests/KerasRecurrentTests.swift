import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Testing

/// Recurrent layers, wrappers, masks and embeddings against numbers that Keras computed.
@Suite struct KerasRecurrentTests {
    /// A configuration with another element type, in the layers inside too.
    private func typed(_ json: JSON, _ type: ElementType) -> JSON {
        switch json {
        case .array(let entries): return .array(entries.map { typed($0, type) })
        case .object(let object):
            var copy = JSONObject()
            for (key, value) in zip(object.keys, object.values) {
                let isType = key == "dtype" && (value["config"] != nil || value == "float64")
                copy[key] = isType ? .string(type.name) : typed(value, type)
            }
            return .object(copy)
        default: return json
        }
    }

    private func check(_ type: ElementType, _ tolerance: Double) throws {
        try check("recurrent", 80, type, tolerance)
        try check("recurrent_pictures", 2, type, tolerance)
    }

    private func check(_ fixtureName: String, _ count: Int, _ type: ElementType, _ tolerance: Double) throws {
        let fixture = try KerasFixture(fixtureName)
        #expect(fixture.cases.count >= count)
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            do {
                try run(entry, fixture, type, tolerance)
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done == fixture.cases.count)
    }

    private func run(_ entry: JSON, _ fixture: KerasFixture, _ type: ElementType, _ tolerance: Double) throws {
        let name = entry["name"]?.stringValue ?? ""
        let json: JSON = ["class_name": entry["class_name"] ?? .null, "config": typed(entry["config"] ?? [:], type)]
        // Through our own JSON and back.
        let layer = try Layer.deserialize(Layer.deserialize(json).serialized())
        let inputs = try fixture.tensors(entry["inputs"]).map { Value(try $0.converted(type)) }
        var arguments = inputs
        try layer.buildIfNeeded(inputs.map(\.partialShape))
        try setWeights(layer, entry, fixture, type)
        let seeds = try fixture.tensors(entry["output_gradients"])
        let tape = Tape()
        for input in inputs where input.type.isFloatingPoint { tape.watch(input) }
        tape.start()
        defer { tape.stop() }
        if let mask = try fixture.optionalTensor(entry["mask"]) {
            arguments[0] = try withMask(inputs[0], cast(Value(mask), .bool))
        }
        let outputs = try layer.apply(arguments, training: entry["training"]?.boolValue ?? false)
        let expected = try fixture.tensors(entry["outputs"])
        #expect(outputs.count == expected.count, "\(name): number of outputs")
        var target: Value?
        for (index, (output, wanted)) in zip(outputs, expected).enumerated() {
            let error = distance(try output.tensor(), wanted)
            #expect(error < tolerance, "\(name): output \(index) is off by \(error)")
            let part = try sum(multiply(output, Value(seeds[index].converted(type))))
            target = try target.map { try add($0, part) } ?? part
        }
        tape.stop()
        let variables = layer.orderedVariables.filter(\.trainable)
        let gradients = try tape.gradients(
            of: try #require(target), withRespectTo: inputs.filter(\.type.isFloatingPoint) + variables.map(\.value))
        let wanted = try zip(inputs, fixture.tensors(entry["input_gradients"])).filter { $0.0.type.isFloatingPoint }.map(\.1)
            + fixture.tensors(entry["weight_gradients"])
        #expect(wanted.count == gradients.count, "\(name): number of gradients")
        for (index, (gradient, wanted)) in zip(gradients, wanted).enumerated() {
            let found = try gradient?.tensor() ?? Tensor(zeros: wanted.shape, type)
            let error = distance(found, wanted)
            #expect(error < tolerance, "\(name): gradient \(index) is off by \(error)")
        }
    }

    @Test func recurrentInDoublePrecision() throws { try check(.float64, 1e-9) }
    @Test func recurrentInSinglePrecision() throws { try check(.float32, 2e-5) }
}
