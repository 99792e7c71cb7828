import DLBase
import DLGraph
import DLOps
import DLTensor
import Testing

/// keras.ops: outputs, and gradients for the first input.
@Suite struct KerasOperationTests {
    @Test(arguments: [(ElementType.float64, 1e-9), (.float32, 2e-5)])
    func operations(_ type: ElementType, _ tolerance: Double) throws {
        try KerasOperationTests.check("operations", atLeast: 60, type, tolerance)
    }

    static func check(_ group: String, atLeast count: Int, _ type: ElementType, _ tolerance: Double) throws {
        let fixture = try KerasFixture(group)
        #expect(fixture.cases.count >= count)
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            let tolerance = Swift.max(tolerance, entry["tolerance"]?.doubleValue ?? 0)
            do {
                let inputs = try fixture.tensors(entry["inputs"]).map { Value(try $0.converted(type)) }
                let tape = Tape()
                if let first = inputs.first { tape.watch(first) }
                tape.start()
                defer { tape.stop() }
                let operation = try #require(entry["operation"]?.stringValue)
                let output = try Operations.apply(operation, inputs, attributes: entry["attributes"] ?? .null)[0]
                tape.stop()
                let error = distance(try output.tensor(), try fixture.tensor(entry["output"]))
                #expect(error < tolerance, "\(name): output is off by \(error)")
                guard let first = inputs.first else { continue }
                let seed = try fixture.tensor(entry["output_gradient"]).converted(type)
                let gradient = try tape.gradients(of: output, withRespectTo: [first], seed: Value(seed))[0]
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
