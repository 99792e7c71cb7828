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
            let className = try #require(entry["class_name"]?.stringValue)
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
                let outputs = try layer.apply(inputs, training: entry["training"]?.boolValue ?? false)
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
                    let error = distance(found, wanted)
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
    @Test func activationsInDoublePrecision() throws { try check("activations", .float64, 1e-9) }
    @Test func activationsInSinglePrecision() throws { try check("activations", .float32, 2e-5) }
}
