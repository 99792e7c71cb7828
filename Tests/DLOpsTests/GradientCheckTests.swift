import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// Gradients of every listed operation against central finite differences in float64.
@Suite struct GradientCheckTests {
    static let step = 1e-5
    static let tolerance = 1e-6

    /// A scalar that depends on every floating-point output of the operation, each element with a weight of its own.
    static func target(_ outputs: [Value], seed: UInt64 = 7) throws -> Value? {
        var random = RandomStream(seed: seed)
        var total: Value?
        for output in outputs where output.type.isFloatingPoint {
            let weights = (0..<output.shape.count).map { _ in 0.5 + random.uniform() }
            let part = try DLOps.sum(multiply(output, Value(Tensor(weights, output.shape))))
            total = try total.map { try add($0, part) } ?? part
        }
        return total
    }

    static func gradients(_ test: SampleCase, _ inputs: [Value]) throws -> [Value?] {
        let tape = Tape()
        tape.start()
        defer { tape.stop() }
        for input in inputs where input.type.isFloatingPoint { tape.watch(input) }
        let target = try #require(try GradientCheckTests.target(Array(test.apply(inputs).prefix(test.sample.differentiableOutputs))))
        return try tape.gradients(of: target, withRespectTo: inputs)
    }

    /// Compares a gradient with finite differences of a scalar function of the inputs.
    static func compare(
        _ analytic: [Tensor?], _ inputs: [Tensor], _ what: String, _ f: ([Tensor]) throws -> Double
    ) throws {
        for (position, input) in inputs.enumerated() where input.type.isFloatingPoint {
            for element in 0..<input.count {
                let x = input.number(at: element)
                var nearby = inputs
                nearby[position] = try input.replacing(element, with: x + step)
                let above = try f(nearby)
                nearby[position] = try input.replacing(element, with: x - step)
                let below = try f(nearby)
                let numeric = (above - below) / (2 * step)
                let computed = analytic[position]?.number(at: element) ?? 0
                #expect(
                    abs(numeric - computed) <= tolerance * max(1, abs(numeric)),
                    "\(what): input \(position), element \(element): computed \(computed), finite difference \(numeric)")
            }
        }
    }

    @Test(arguments: SampleCase.all.filter(\.sample.differentiable))
    func firstOrder(_ test: SampleCase) throws {
        let inputs = try test.sample.makeInputs(.float64)
        let values = inputs.map { Value($0) }
        let gradients = try GradientCheckTests.gradients(test, values)
        for (gradient, value) in zip(gradients, values) {
            guard let gradient else { continue }
            #expect(gradient.spec == value.spec)
        }
        try GradientCheckTests.compare(gradients.map { try $0?.tensor() }, inputs, test.testDescription) {
            try GradientCheckTests.target(Array(test.apply($0.map { Value($0) }).prefix(test.sample.differentiableOutputs)))?.tensor().item() ?? .nan
        }
    }

    @Test(arguments: SampleCase.all.filter(\.sample.twiceDifferentiable))
    func secondOrder(_ test: SampleCase) throws {
        let inputs = try test.sample.makeInputs(.float64)
        /// The weighted sum of the gradients' elements, itself on a tape.
        func slope(_ values: [Value]) throws -> Value? {
            try GradientCheckTests.target(GradientCheckTests.gradients(test, values).compactMap { $0 }, seed: 11)
        }
        let values = inputs.map { Value($0) }
        let tape = Tape()
        tape.start()
        defer { tape.stop() }
        for value in values where value.type.isFloatingPoint { tape.watch(value) }
        guard let total = try slope(values) else { return }
        let second = try tape.gradients(of: total, withRespectTo: values)
        tape.stop()
        try GradientCheckTests.compare(second.map { try $0?.tensor() }, inputs, "second order, " + test.testDescription) {
            try slope($0.map { Value($0) })?.tensor().item() ?? .nan
        }
    }

    @Test func everyOperationHasSamples() {
        for entry in operationTable {
            #expect(!entry.samples.isEmpty, "\(entry.declaration.name) has no sample")
        }
    }
}
