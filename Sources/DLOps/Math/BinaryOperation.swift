import DLBase
import DLGraph
import DLKernels
import DLTensor

/// y = f(x1, x2), broadcast: what one function of two operands is made of.
final class BinaryFunction: Sendable {
    /// Gradients before they are summed to the operands' shapes.
    typealias Gradient = @Sendable (_ g: BinaryGradient) throws -> (Value?, Value?)

    let name: String
    let aliases: [String]
    let summary: String
    let formula: String
    let kernel: DLKernels.BinaryFunction
    /// Whether whole numbers are cast to float32 first.
    let isReal: Bool
    let gradient: Gradient?
    let domains: (ClosedRange<Double>, ClosedRange<Double>)

    init(
        _ name: String, kernel: DLKernels.BinaryFunction, aliases: [String] = [], _ summary: String, formula: String,
        domains: (ClosedRange<Double>, ClosedRange<Double>) = (-2.0...2.0, -2.0...2.0),
        isReal: Bool = false, gradient: Gradient? = nil
    ) {
        self.name = name
        self.kernel = kernel
        self.isReal = isReal
        self.aliases = aliases
        self.summary = summary
        self.formula = formula
        self.domains = domains
        self.gradient = gradient
    }

    var entry: OperationEntry {
        let declaration = Declaration<any Operation>(
            name, aliases: aliases, summary, formula: formula,
            shapes: "x1 and x2 are broadcast: aligned at the last axis, sizes of 1 stretch",
            extra: JSONObject([("inputs", ["x1", "x2"])]), make: { _ in BinaryOperation(self) })
        let differentiable = gradient != nil
        return OperationEntry(
            declaration,
            samples: [
                OperationSample(
                    .uniform([3, 4], domains.0), .uniform([3, 4], domains.1), differentiable: differentiable),
                OperationSample(
                    .uniform([2, 1, 3], domains.0), .uniform([4, 1], domains.1), differentiable: differentiable),
                OperationSample(.uniform([], domains.0), .uniform([5], domains.1), differentiable: differentiable),
            ])
    }
}

/// What a binary function's gradients are computed from.
struct BinaryGradient {
    let a: Value
    let b: Value
    let y: Value
    let dy: Value
    let needs: [Bool]
}

/// One use of a function of two operands.
struct BinaryOperation: Operation {
    let function: BinaryFunction

    init(_ function: BinaryFunction) { self.function = function }

    var name: String { function.name }

    private func type(_ inputs: [ElementType]) -> ElementType {
        function.isReal ? Promotion.floating(inputs) : Promotion.arithmetic(inputs)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        return [TensorSpec(try inputs[0].shape.broadcast(with: inputs[1].shape, name), type(inputs.map(\.type)))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        try Promotion.meet(inputs, type(inputs.map(\.type))).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let type = outputs[0].type
        guard let plan = BroadcastPlan(inputs.map(\.shape.sizes), to: outputs[0].shape.sizes),
            let kernel = BinaryKernel(function.kernel, type)
        else { throw DLError(.internal, "[\(name)] there is no kernel for \(type.name)") }
        let runtime = ThreadPool.shared.runtime
        return Kernel("element-wise", inPlace: Broadcasting.inPlace(inputs, outputs[0], [0, 1])) {
            kernel(runtime, plan, $0.inputs[0], $0.inputs[1], $0.outputs[0])
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard let gradient = function.gradient else { return [nil, nil] }
        let (a, b) = (context.inputs[0], context.inputs[1])
        let result = try gradient(
            BinaryGradient(a: a, b: b, y: context.outputs[0], dy: context.upstream, needs: context.needs))
        return [
            try context.needs[0] ? result.0.map { try sumToShape($0, a.shape) } : nil,
            try context.needs[1] ? result.1.map { try sumToShape($0, b.shape) } : nil,
        ]
    }
}
