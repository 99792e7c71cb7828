import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Testing

@Suite struct KerasLayerTests {
    /// Classes that are not here yet; the list may only get shorter.
    static let missing: Set<String> = []

    func check(_ fixtureName: String, _ type: ElementType, _ tolerance: Double) throws {
        let fixture = try KerasFixture(fixtureName)
        #expect(fixture.cases.count > 20)
        var done = 0
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            // Cases of other kinds have their own test.
            guard let className = entry["class_name"]?.stringValue else { continue }
            if KerasLayerTests.missing.contains(className) { continue }
            let layer: Layer
            do {
                layer = try Layer.deserialize([
                    "class_name": .string(className), "config": withType(entry["config"] ?? [:], type),
                ])
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
                continue
            }
            do {
                let inputs = try fixture.tensors(entry["inputs"]).map { Value(try $0.converted(type)) }
                try layer.buildIfNeeded(inputs.map(\.partialShape))
                try setWeights(layer, entry, fixture, type)
                let tape = Tape()
                for input in inputs where input.type.isFloatingPoint { tape.watch(input) }
                tape.start()
                var options = CallOptions(
                    training: entry["training"]?.boolValue ?? false, flags: entry["flags"]?.objectValue ?? JSONObject())
                var named: [Value] = []
                for (key, tensor) in (entry["named"]?.objectValue ?? JSONObject()).pairs {
                    options.names.append(key)
                    named.append(Value(try fixture.tensor(tensor)))
                }
                let outputs = try layer.apply(inputs + named, options)
                tape.stop()
                for (output, expected) in zip(outputs, try fixture.tensors(entry["outputs"])) {
                    let error = distance(try output.tensor(), expected)
                    #expect(error < tolerance, "\(name): output is off by \(error)")
                }
                let seeds = try fixture.tensors(entry["output_gradients"])
                guard let seed = seeds.first else { continue }
                let variables = layer.orderedVariables.filter(\.trainable)
                let gradients = try tape.gradients(
                    of: outputs[0], withRespectTo: inputs + variables.map(\.value), seed: Value(seed.converted(type)))
                let expected = try fixture.tensors(entry["input_gradients"]) + fixture.tensors(entry["weight_gradients"])
                #expect(expected.count == gradients.count, "\(name): number of gradients")
                for (index, (gradient, wanted)) in zip(gradients, expected).enumerated() {
                    let found = try gradient?.tensor() ?? Tensor(zeros: wanted.shape, type)
                    // Where nothing but rounding is expected (a bias that moves all scores alike), the error itself counts.
                    let vanishes = (0..<wanted.count).allSatisfy { Swift.abs(wanted.number(at: $0)) < 1e-12 }
                    let error = distance(found, wanted) * (vanishes ? 1e-3 : 1)
                    #expect(error < tolerance, "\(name): gradient \(index) is off by \(error)")
                }
                let after = try fixture.tensors(entry["state_after"])
                for (variable, wanted) in zip(layer.orderedVariables.filter { !$0.declaredTrainable }, after) {
                    let error = distance(variable.tensor, wanted)
                    #expect(error < tolerance, "\(name): state is off by \(error)")
                }
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done > 20)
    }

    @Test func layersInDoublePrecision() throws { try check("layers", .float64, 1e-9) }
    @Test func layersInSinglePrecision() throws { try check("layers", .float32, 2e-5) }
    @Test func generalLayersInDoublePrecision() throws { try check("general_layers", .float64, 1e-9) }
    @Test func generalLayersInSinglePrecision() throws { try check("general_layers", .float32, 2e-5) }
    @Test func regularizersAndConstraints() throws {
        let fixture = try KerasFixture("general_layers")
        var done = 0
        for entry in fixture.cases {
            guard let kind = entry["kind"]?.stringValue, let object = entry["object"] else { continue }
            let name = entry["name"]?.stringValue ?? ""
            let input = Value(try fixture.tensor(entry["input"]))
            let tape = Tape()
            tape.watch(input)
            tape.start()
            let output: Value
            do {
                defer { tape.stop() }
                output = try kind == "regularizer"
                    ? Regularizers.registry.make(object).penalty(input) : Constraints.registry.make(object).project(input)
            }
            let error = distance(try output.tensor(), try fixture.tensor(entry["output"]))
            #expect(error < 1e-9, "\(name): off by \(error)")
            if let wanted = try fixture.optionalTensor(entry["gradient"]) {
                let gradient = try #require(try tape.gradients(of: output, withRespectTo: [input])[0])
                #expect(distance(try gradient.tensor(), wanted) < 1e-9, "\(name): gradient")
            }
            done += 1
        }
        #expect(done >= 6)
    }

    @Test func activationsInDoublePrecision() throws { try check("activations", .float64, 1e-9) }
    @Test func activationsInSinglePrecision() throws { try check("activations", .float32, 2e-5) }
}
