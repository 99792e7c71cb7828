import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor

/// A function over tensors that is recorded once for each signature of its inputs and then runs as a plan: variables,
/// optimizers and metrics that it changes are changed by the plan.
///
/// Thread-safety: one thread at a time.
package final class CompiledFunction: @unchecked Sendable {
    package typealias Body = ([Value]) throws -> [Value]

    package let name: String
    private let body: Body
    private var plans: [[TensorSpec]: Plan] = [:]

    package init(name: String, _ body: @escaping Body) {
        self.name = name
        self.body = body
    }

    /// How many signatures have been recorded.
    package var signatures: Int { plans.count }

    package func callAsFunction(_ inputs: [Value]) throws -> [Value] {
        // Inside another recording it is part of that.
        if inputs.contains(where: \.isSymbolic) || ThreadContext.current.recording != nil { return try body(inputs) }
        let tensors = try inputs.map { try $0.tensor(name) }
        let specs = inputs.map(\.spec)
        let plan: Plan
        if let known = plans[specs] {
            plan = known
        } else {
            plan = try record(specs)
            if plans.count >= 64 { plans.removeAll() }
            plans[specs] = plan
        }
        let outputs = try plan.outputSpecs.map { try Tensor(uninitialized: $0.shape, $0.type) }
        try plan.run(inputs: tensors.map { UnsafeRawPointer($0.pointer) }, outputs: outputs.map(\.pointer))
        return outputs.map { Value($0) }
    }

    private func record(_ specs: [TensorSpec]) throws -> Plan {
        let graph = Graph()
        let context = ThreadContext.current
        try context.recording(into: graph) {
            try context.withoutTapes {
                for output in try body(specs.map { graph.addInput($0) }) { try graph.markOutput(output) }
            }
        }
        return try Plan(graph, passes: standardPasses)
    }
}
