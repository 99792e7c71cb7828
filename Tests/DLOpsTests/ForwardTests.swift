import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// What must hold of the forward computation of every listed operation.
@Suite struct ForwardTests {
    /// float32 agrees with float64 as far as its digits go; in a gradient through time as far as those of the largest element
    /// go, since its sums over steps cancel.
    @Test(arguments: SampleCase.all)
    func typesAgree(_ test: SampleCase) throws {
        let wide = try test.sample.makeInputs(.float32).map { $0.type == .float32 ? try $0.converted(to: .float64) : $0 }
        let narrow = try test.sample.makeInputs(.float32)
        let expected = try tensors(test.apply(wide.map { Value($0) }))
        let computed = try tensors(test.apply(narrow.map { Value($0) }))
        #expect(expected.count == computed.count)
        for (a, b) in zip(expected, computed) {
            #expect(a.shape == b.shape)
            let isThroughTime = ["simple_rnn_backward", "gru_backward", "lstm_backward"].contains(test.name)
            let floor = isThroughTime ? (0..<a.count).map { abs(a.number(at: $0)) }.max() ?? 1 : 1
            for index in 0..<a.count {
                let (x, y) = (a.number(at: index), b.number(at: index))
                if x.isNaN || y.isNaN || x.isInfinite {
                    #expect(x.isNaN == y.isNaN && (x.isNaN || x == y), "element \(index): \(x) and \(y)")
                } else {
                    #expect(abs(x - y) <= 4e-6 * max(1, floor, abs(x)), "element \(index): float64 \(x), float32 \(y)")
                }
            }
        }
    }

    /// A recorded graph computes the same bits as the eager call.
    @Test(arguments: SampleCase.compilable)
    func compiledIsEager(_ test: SampleCase) throws {
        for type in [ElementType.float32, .float64] {
            let inputs = try test.sample.makeInputs(type)
            let eager = try tensors(test.apply(inputs.map { Value($0) }))
            let compiled = try runCompiled(inputs) { try test.apply($0) }
            #expect(eager.map(\.shape) == compiled.map(\.shape))
            #expect(eager.map(\.type) == compiled.map(\.type))
            #expect(eager.map(\.bytes) == compiled.map(\.bytes))
        }
    }

    /// Results do not change where the plan writes over inputs that nobody needs any more.
    @Test(arguments: SampleCase.compilable.filter { !$0.sample.inputs.isEmpty })
    func inPlaceIsSafe(_ test: SampleCase) throws {
        let inputs = try test.sample.makeInputs(.float32)
        func chain(_ values: [Value]) throws -> [Value] {
            let fresh = try values.map { $0.type.isFloatingPoint ? try scale($0, 1, 0) : $0 }
            return try test.apply(fresh).map { $0.type.isFloatingPoint ? try scale($0, 3, 1) : $0 }
        }
        let eager = try tensors(chain(inputs.map { Value($0) }))
        #expect(eager.map(\.bytes) == (try runCompiled(inputs, chain)).map(\.bytes))
        // A value that is used twice must survive its first use.
        func twice(_ values: [Value]) throws -> [Value] {
            let fresh = try values.map { $0.type.isFloatingPoint ? try scale($0, 1, 0) : $0 }
            let first = try test.apply(fresh)
            return try first + fresh.map { $0.type.isFloatingPoint ? try negative($0) : $0 }
        }
        let expected = try tensors(twice(inputs.map { Value($0) }))
        #expect(expected.map(\.bytes) == (try runCompiled(inputs, twice)).map(\.bytes))
    }

    /// Wrong numbers of inputs are refused by name, whatever the operation.
    @Test(arguments: operationTable.map(\.declaration.name))
    func refusesTooManyInputs(_ name: String) throws {
        let inputs = try (0..<9).map { _ in try value([1, 2], [2, 1]) }
        let declaration = try Operations.registry.declaration(name)
        guard declaration.extra["variadic"] == nil else { return }
        let sample = try #require(operationTable.first { $0.declaration.name == name }?.samples.first)
        let text = message { _ = try Operations.apply(name, inputs, attributes: sample.attributes) }
        #expect(text.hasPrefix("[\(name)]"), "\(name): \(text)")
        #expect(text.contains("Received"), "\(name): \(text)")
    }
}
