import DLBase
import DLGraph
import DLKernels
import DLTensor

/// y[i] = f(x[i]): what one element-wise function is made of. Functions have at most two parameters, numbers called
/// `a` and `b` here and by the names of `arguments` outside.
final class UnaryFunction: Sendable {
    typealias Real = @Sendable (_ x: Double, _ a: Double, _ b: Double) -> Double
    typealias Integer = @Sendable (_ x: Int64, _ a: Double, _ b: Double) -> Int64
    /// The gradient of x as operations.
    typealias Gradient = @Sendable (_ g: UnaryGradient) throws -> Value?

    /// f' for a fused gradient operation, as a function of the output (`usesOutput`) or of the input.
    struct Derivative: Sendable {
        let usesOutput: Bool
        /// Where there is no kernel.
        let first: Real?
        /// The derivative of that as operations; nil where it is zero almost everywhere.
        let second: @Sendable (_ v: Value, _ a: Double, _ b: Double) throws -> Value?

        init(
            usesOutput: Bool, first: Real? = nil,
            second: @escaping @Sendable (_ v: Value, _ a: Double, _ b: Double) throws -> Value? = { _, _, _ in nil }
        ) {
            self.usesOutput = usesOutput
            self.first = first
            self.second = second
        }
    }

    let name: String
    let kernel: DLKernels.UnaryFunction?
    let aliases: [String]
    let summary: String
    let formula: String
    let source: String
    let arguments: [Argument]
    /// Attributes that select this function among those of the same name.
    let selector: JSONObject
    /// For what the kernel cannot do, or where there is none.
    let real: Real?
    /// The same for whole numbers. Where neither it nor the kernel takes them, they are cast to float32 first.
    let integer: Integer?
    let derivative: Derivative?
    let gradient: Gradient?
    let domain: ClosedRange<Double>
    let isInternal: Bool
    let sampleAttributes: JSON

    init(
        _ name: String, kernel: DLKernels.UnaryFunction? = nil, aliases: [String] = [], _ summary: String,
        formula: String = "", source: String = "", arguments: [Argument] = [], selector: JSONObject = JSONObject(), domain: ClosedRange<Double> = -2.0...2.0,
        isInternal: Bool = false, sampleAttributes: JSON = [:], integer: Integer? = nil, derivative: Derivative? = nil,
        gradient: Gradient? = nil, real: Real? = nil
    ) {
        self.name = name
        self.kernel = kernel
        self.aliases = aliases
        self.summary = summary
        self.formula = formula
        self.source = source
        self.arguments = arguments
        self.selector = selector
        self.domain = domain
        self.isInternal = isInternal
        self.sampleAttributes = sampleAttributes
        self.integer = integer
        self.derivative = derivative
        self.gradient = gradient
        self.real = real
    }

    private var extra: JSONObject {
        var extra = JSONObject([("inputs", ["x"])])
        if isInternal { extra["internal"] = true }
        return extra
    }

    func use(_ arguments: Arguments) -> UnaryOperation {
        let numbers = self.arguments.map { arguments.float($0.name) }
        return UnaryOperation(self, numbers.first ?? 0, numbers.count > 1 ? numbers[1] : 0)
    }

    var declaration: Declaration<any Operation> {
        Declaration(
            name, aliases: aliases, summary, formula: formula, source: source, shapes: "any shape; the same comes out",
            extra: extra, arguments: arguments, make: use)
    }

    var entry: OperationEntry { OperationEntry(declaration, samples: samples) }

    var samples: [OperationSample] {
        let differentiable = derivative != nil || gradient != nil
        return [
            OperationSample(.uniform([3, 4], domain), attributes: sampleAttributes, differentiable: differentiable),
            OperationSample(.uniform([37], domain), attributes: sampleAttributes, differentiable: differentiable),
        ]
    }
}

/// What a unary function's gradient is computed from.
struct UnaryGradient {
    let x: Value
    let y: Value
    let dy: Value
    let a: Double
    let b: Double
}

/// One use of an element-wise function.
struct UnaryOperation: Operation {
    let function: UnaryFunction
    let a: Double
    let b: Double

    init(_ function: UnaryFunction, _ a: Double = 0, _ b: Double = 0) {
        self.function = function
        self.a = a
        self.b = b
    }

    var name: String { function.name }

    var attributes: JSON {
        var object = function.selector
        for (argument, value) in zip(function.arguments, [a, b]) { object[argument.name] = .double(value) }
        return .object(object)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let x = inputs[0]
        if x.type.isFloatingPoint { return [x] }
        let whole = Promotion.arithmetic([x.type])
        return [TensorSpec(x.shape, keeps(whole) ? whole : .float32)]
    }

    /// Whether whole numbers stay what they are.
    private func keeps(_ type: ElementType) -> Bool {
        // A limit with a fraction is no whole number.
        if function === UnaryFunction.clip, a != a.rounded() || b != b.rounded() { return false }
        return function.integer != nil || function.kernel?.resultType(type) == type
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 1 else { return nil }
        let type = try outputs(for: [inputs[0].spec])[0].type
        return try Promotion.meet(inputs, type).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let count = inputs[0].shape.count
        let type = inputs[0].type
        let runtime = ThreadPool.shared.runtime
        // The kernel rounds to whole numbers only.
        let fits = function !== UnaryFunction.round || a == 0
        if fits, let function = function.kernel, let kernel = UnaryKernel(function, type, alpha: a, beta: b) {
            return Kernel("element-wise", inPlace: [(0, 0)]) {
                kernel(runtime, $0.inputs[0], $0.outputs[0], count: count)
            }
        }
        guard let f = function.real else { throw DLError(.internal, "[\(name)] there is no kernel for \(type.name)") }
        let (a, b) = (a, b)
        let real = { (x: Double) in f(x, a, b) }
        let integer = function.integer.map { f in { (x: Int64) in f(x, a, b) } }
        return Kernel("loop", inPlace: [(0, 0)]) { arguments in
            Loops.map(type, arguments.inputs[0], arguments.outputs[0], count, real, integer)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        if let derivative = function.derivative {
            let seen = derivative.usesOutput ? context.outputs[0] : context.inputs[0]
            return [try apply(UnaryGradientOperation(self), context.upstream, seen)]
        }
        guard let gradient = function.gradient else { return [nil] }
        return [
            try gradient(
                UnaryGradient(x: context.inputs[0], y: context.outputs[0], dy: context.upstream, a: a, b: b))
        ]
    }

    /// Losses compute from what went into a sigmoid, where the probabilities have lost their digits.
    func annotate(_ outputs: [Value], inputs: [Value]) {
        if function === UnaryFunction.sigmoid { outputs[0].logits = ("sigmoid", inputs[0]) }
    }
}

/// dx = dy f'(v) in one pass, v being the output or the input of the function.
struct UnaryGradientOperation: Operation {
    let forward: UnaryOperation

    init(_ forward: UnaryOperation) { self.forward = forward }

    var name: String { forward.name + "_gradient" }
    var attributes: JSON { forward.attributes }

    private var derivative: UnaryFunction.Derivative { forward.function.derivative! }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        guard inputs[0] == inputs[1] else {
            throw DLError(
                .shape, "[\(name)] both inputs must have one shape and dtype. "
                    + received(("dy", inputs[0]), (derivative.usesOutput ? "y" : "x", inputs[1])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let count = inputs[0].shape.count
        let type = inputs[0].type
        let operand: ActivationGradientKernel.Operand = derivative.usesOutput ? .output : .input
        if let function = forward.function.kernel,
            let kernel = ActivationGradientKernel(function, type, alpha: forward.a), kernel.operand == operand
        {
            let runtime = ThreadPool.shared.runtime
            return Kernel("element-wise", inPlace: [(0, 0), (0, 1)]) {
                kernel(runtime, dy: $0.inputs[0], v: $0.inputs[1], dx: $0.outputs[0], count: count)
            }
        }
        guard let first = derivative.first else { throw DLError(.internal, "[\(name)] there is no kernel for \(type.name)") }
        let (a, b) = (forward.a, forward.b)
        return Kernel("loop", inPlace: [(0, 0), (0, 1)]) { arguments in
            Loops.map2(type, arguments.inputs[0], arguments.inputs[1], arguments.outputs[0], count) { dy, v in
                let slope = first(v, a, b)
                return slope == 0 ? 0 : dy * slope
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let upstream = context.upstream
        var result: [Value?] = [nil, nil]
        if context.needs[0] { result[0] = try apply(self, upstream, context.inputs[1]) }
        if context.needs[1], let second = try derivative.second(context.inputs[1], forward.a, forward.b) {
            result[1] = try multiply(multiply(upstream, context.inputs[0]), second)
        }
        return result
    }

    /// The entry for a function's gradient operation.
    static func entry(_ function: UnaryFunction) -> OperationEntry {
        let seen = function.derivative!.usesOutput ? "y" : "x"
        let declaration = Declaration<any Operation>(
            function.name + "_gradient", "The gradient of \(function.name): dy times its slope.",
            formula: "dx = dy f'(\(seen))", shapes: "dy and \(seen) of one shape; the same comes out",
            extra: JSONObject([("inputs", ["dy", .string(seen)]), ("internal", true)]), arguments: function.arguments,
            make: { UnaryGradientOperation(function.use($0)) })
        let domain = function.derivative!.usesOutput ? function.outputDomain : function.domain
        return OperationEntry(
            declaration,
            samples: [
                OperationSample(
                    .uniform([3, 5]), .uniform([3, 5], domain), attributes: function.sampleAttributes)
            ])
    }
}

extension UnaryFunction {
    /// Where outputs of the sample domain lie, for functions that rise.
    var outputDomain: ClosedRange<Double> {
        guard let arguments = try? declaration.check(sampleAttributes),
            let x = try? Tensor([domain.lowerBound, domain.upperBound]),
            let y = try? evaluate(use(arguments), [x]).first
        else { return domain }
        return min(y.number(at: 0), y.number(at: 1))...max(y.number(at: 0), y.number(at: 1))
    }
}
