import DLBase
import DLGraph
import DLKernels
import DLTensor

/// One step of an optimizer with at most two states of the weight's shape. A family of operations that differ in the rule.
struct RuleUpdate: Operation {
    let family: UpdateFamily
    let arguments: Arguments

    var name: String { family.declaration.name }

    /// Whether it makes a new weight out of a weight and its gradient.
    var isWeightUpdate: Bool { family.isWeightUpdate }

    var attributes: JSON {
        var object = JSONObject()
        for argument in family.arguments where arguments[argument.name] != argument.defaultValue {
            object[argument.name] = arguments[argument.name]
        }
        return .object(object)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try OptimizerUpdate.outputs(inputs, slots: family.slots, scalars: family.scalars, name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        guard let kernel = OptimizerKernel(inputs[0].type) else { throw noKernel(name, inputs[0].type) }
        let n = inputs[0].shape.count
        let slots = family.slots.count
        let first = slots + 2
        let types = inputs[first...].map(\.type)
        let (rateType, stepType, lastType) = (types.first, types.dropFirst().first, types.dropFirst(2).first)
        let rule = family.rule(arguments)
        let decay = arguments.float("weight_decay")
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(inputs[0].type), inPlace: OptimizerUpdate.inPlace(slots: slots)) { arguments in
            var scalars = SIMD4<Double>()
            if let rateType { scalars[0] = OptimizerUpdate.scalar(arguments.inputs[first], rateType) }
            if let stepType { scalars[1] = OptimizerUpdate.scalar(arguments.inputs[first + 1], stepType) }
            if let lastType { scalars[2] = OptimizerUpdate.scalar(arguments.inputs[first + 2], lastType) }
            func state(_ slot: Int) -> OptimizerKernel.State? {
                slot < slots ? OptimizerKernel.State(arguments.inputs[slot + 2], arguments.outputs[slot + 1]) : nil
            }
            kernel.update(
                runtime, rule(scalars), w: OptimizerKernel.State(arguments.inputs[0], arguments.outputs[0]),
                g: arguments.inputs[1], a: state(0), b: state(1), n: n, decay: scalars[0] * decay)
        }
    }
}

/// What distinguishes one rule from another.
package struct UpdateFamily: Sendable {
    /// The rule for scalar inputs in their order.
    typealias Rule = @Sendable (_ scalars: SIMD4<Double>) -> UpdateRule

    let slots: [String]
    /// The learning rate first, then the number of steps before this one.
    let scalars: [String]
    let isWeightUpdate: Bool
    let arguments: [Argument]
    let rule: @Sendable (Arguments) -> Rule
    private let describe: @Sendable (UpdateFamily) -> Declaration<any Operation>

    var declaration: Declaration<any Operation> { describe(self) }

    init(
        _ name: String, _ summary: String, formula: String, source: String, slots: [String],
        scalars: [String] = ["learning_rate", "iterations"], isWeightUpdate: Bool = true, _ arguments: [Argument],
        rule: @escaping @Sendable (Arguments) -> Rule
    ) {
        self.slots = slots
        self.scalars = scalars
        self.isWeightUpdate = isWeightUpdate
        self.arguments = arguments + (isWeightUpdate && scalars.first == "learning_rate" ? [OptimizerUpdate.weightDecay] : [])
        self.rule = rule
        describe = { family in
            Declaration(
                name, summary, formula: formula, source: source,
                shapes: (["w, g"] + slots).joined(separator: ", ") + " (one shape)"
                    + scalars.map { ", \($0) ()" }.joined() + " -> " + (["w'"] + slots.map { "\($0)'" }).joined(separator: ", "),
                extra: JSONObject([("inputs", .array((["w", "g"] + slots + scalars).map { .string($0) })), ("internal", true)]),
                arguments: family.arguments
            ) { RuleUpdate(family: family, arguments: $0) }
        }
    }

    /// The new weight and states.
    package func callAsFunction(
        _ w: Value, _ g: Value, _ states: [Value], _ scalars: [Value], _ config: JSONObject = JSONObject()
    ) throws -> [Value] {
        let operation = RuleUpdate(family: self, arguments: try declaration.check(.object(config)))
        return try DLGraph.apply(operation, to: [w, g] + states + scalars)
    }

    /// Uses that tests run.
    func samples(_ attributes: JSON...) -> OperationEntry {
        func sample(_ shape: Shape, _ attributes: JSON, _ step: Double) -> OperationSample {
            let given: [OperationSample.Input] = scalars.map { name in
                switch name {
                case "learning_rate": .given([0.1], .scalar, .float32)
                case "iterations": .given([step], .scalar, .int64)
                default: .given([0.5], .scalar, .float64)
                }
            }
            return OperationSample(
                [.uniform(shape), .uniform(shape)] + slots.map { _ in .uniform(shape, 0.1...1) } + given,
                attributes: attributes)
        }
        let all = [sample([3, 5], [:], 0)] + attributes.map { sample([7], $0, 41) }
        return OperationEntry(declaration, samples: all)
    }
}

extension OperationSample {
    /// An update, which has no gradient.
    fileprivate init(_ inputs: [Input], attributes: JSON) {
        self.init(list: inputs, attributes: attributes, differentiable: false)
    }
}
