import DLBase
import DLGraph
import DLOps
import DLTensor
import Testing

/// Pooling, transposed and separable convolution, and the geometry of sequences, pictures and volumes.
@Suite struct KerasSpatialTests {
    @Test func inDoublePrecision() throws { try KerasLayerTests().check("spatial", .float64, 1e-9) }
    @Test func inSinglePrecision() throws { try KerasLayerTests().check("spatial", .float32, 2e-5) }

    /// keras.ops.image: outputs, and gradients for the first input.
    @Test(arguments: [(ElementType.float64, 1e-9), (.float32, 2e-5)])
    func pictures(_ type: ElementType, _ tolerance: Double) throws {
        let fixture = try KerasFixture("images")
        #expect(fixture.cases.count > 40)
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            do {
                let inputs = try fixture.tensors(entry["inputs"]).map { Value(try $0.converted(type)) }
                let tape = Tape()
                tape.watch(inputs[0])
                tape.start()
                let operation = try #require(entry["operation"]?.stringValue)
                let output = try Operations.apply(operation, inputs, attributes: entry["attributes"] ?? .null)[0]
                tape.stop()
                let error = distance(try output.tensor(), try fixture.tensor(entry["output"]))
                #expect(error < tolerance, "\(name): output is off by \(error)")
                let seed = try fixture.tensor(entry["output_gradient"]).converted(type)
                let gradient = try tape.gradients(of: output, withRespectTo: [inputs[0]], seed: Value(seed))[0]
                let wanted = try fixture.tensor(entry["input_gradient"])
                let found = try gradient?.tensor() ?? Tensor(zeros: wanted.shape, type)
                let off = distance(found, wanted)
                #expect(off < tolerance, "\(name): gradient is off by \(off)")
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
    }
}
