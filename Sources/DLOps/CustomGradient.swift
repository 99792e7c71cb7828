import DLBase
import DLGraph
import DLTensor
import Synchronization

/// Operations with a gradient that the caller writes: y = f(x), and g(dy) in place of what the chain rule would give.
///
/// f runs where it is applied, eagerly or in a recording, like any code made of operations; tapes that listen then see one
/// operation whose gradient is g. What f computes on the way is still known to them, so that g may use it and be
/// differentiated itself.
package struct CustomGradient: Operation {
    package typealias Backward = ([Value]) throws -> [Value?]
    package typealias Forward = ([Value]) throws -> (outputs: [Value], backward: Backward)

    private final class Function: @unchecked Sendable {
        let number: Int
        let forward: Forward

        init(_ forward: @escaping Forward) {
            self.forward = forward
            number = Function.count.wrappingAdd(1, ordering: .relaxed).newValue
        }

        private static let count = Atomic(0)
    }

    /// What stands in messages and names of layers.
    package static let operationName = "custom_gradient"

    private let label: String
    private let function: Function

    package init(name: String?, _ forward: @escaping Forward) {
        label = name ?? CustomGradient.operationName
        function = Function(forward)
    }

    package var name: String { CustomGradient.operationName }
    /// No two functions are alike.
    package var attributes: JSON { ["name": .string(label), "number": .int(Int64(function.number))] }

    package func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let graph = Graph()
        let context = ThreadContext.current
        return try context.withoutTapes {
            try context.recording(into: graph) { try function.forward(inputs.map { graph.addInput($0) }).outputs.map(\.spec) }
        }
    }

    package func composed(_ inputs: [Value]) throws -> [Value]? {
        let tapes = ThreadContext.current.tapes
        let starts = tapes.map(\.recordCount)
        let (results, backward) = try function.forward(inputs)
        guard !results.isEmpty else { throw DLError(.argument, "[\(label)] the function gave no tensor. Received: 0 outputs") }
        for (tape, start) in zip(tapes, starts) {
            guard let captured = tape.captured(since: start, by: results, arguments: inputs) else { continue }
            let which = captured.sourceVariable.map { "variable '\($0.name)'" } ?? "a watched tensor"
            throw DLError(
                .argument, "[\(label)] the function uses \(which), which is none of its arguments, so it would get no gradient; "
                    + "make it an argument, or use stop_gradient. Received: \(captured.spec)")
        }
        let outputs = results.map { $0.renamed() }
        let use = CustomGradientUse(label: label, backward: backward)
        for tape in tapes { tape.note(use, inputs, outputs) }
        return outputs
    }

    package func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(label)] is made of other operations and has no kernel")
    }
}

/// What tapes remember of one application.
private struct CustomGradientUse: Operation, @unchecked Sendable {
    let label: String
    let backward: CustomGradient.Backward

    var name: String { label }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        throw DLError(.internal, "[\(label)] stands on tapes only")
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(label)] stands on tapes only")
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let upstream = try zip(context.outputGradients, context.outputs).map { try $0 ?? fullLike($1, 0) }
        let gradients = try backward(upstream)
        guard gradients.count == context.inputs.count else {
            throw DLError(
                .argument, "[\(label)] the gradient function must give one gradient for each of \(context.inputs.count) arguments, "
                    + "none where there is none. Received: \(gradients.count)")
        }
        for (index, (gradient, input)) in zip(gradients, context.inputs).enumerated() {
            guard let gradient, input.type.isFloatingPoint else { continue }
            guard gradient.spec == input.spec else {
                throw DLError(
                    gradient.type == input.type ? .shape : .dtype,
                    "[\(label)] the gradient for argument \(index + 1) of \(context.inputs.count) must be like it, \(input.spec). "
                        + "Received: \(gradient.spec)")
            }
        }
        return gradients
    }
}
