import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Distributions whose parameters are tensors: one random number for each.
enum ShapedDistribution: String, CaseIterable, Sendable {
    case gamma = "random_gamma"
    case beta = "random_beta"
    case binomial = "random_binomial"

    var parameters: [String] {
        switch self {
        case .gamma: ["alpha"]
        case .beta: ["alpha", "beta"]
        case .binomial: ["counts", "probabilities"]
        }
    }

    var summary: String {
        switch self {
        case .gamma: "Random numbers of the gamma distribution with scale 1; NaN where alpha is not above 0."
        case .beta: "Random numbers of the beta distribution; NaN where alpha or beta is not above 0."
        case .binomial: "How many of several tries succeed; NaN for probabilities that are none and for fewer than 0 tries."
        }
    }

    var formula: String {
        switch self {
        case .gamma: "p(x) proportional to x^(alpha - 1) e^-x"
        case .beta: "p(x) proportional to x^(alpha - 1) (1 - x)^(beta - 1)"
        case .binomial: "p(k) = (counts over k) probabilities^k (1 - probabilities)^(counts - k)"
        }
    }

    var source: String {
        switch self {
        case .gamma, .beta: "G. Marsaglia, W. W. Tsang: A simple method for generating gamma variables, 2000"
        case .binomial: "L. Devroye: Non-uniform random variate generation, 1986"
        }
    }

    var sample: [OperationSample.Input] {
        switch self {
        case .gamma: [.given([0.5, 2, 30], [3], .float32)]
        case .beta: [.given([0.5, 2, 30], [3], .float32), .given([1, 3, 4], [3], .float32)]
        case .binomial: [.given([3, 100, 1000], [3], .int32), .given([0.25, 0.5, 0.75], [3], .float32)]
        }
    }
}

/// A tensor of random numbers from tensors of parameters and a seed.
struct ShapedRandomOperation: Operation {
    let distribution: ShapedDistribution
    /// nil: the shape that the parameters have together.
    let shape: Shape?
    let type: ElementType

    var name: String { distribution.rawValue }
    var attributes: JSON {
        ["shape": shape.map { sizesJSON($0.sizes) } ?? .null, "dtype": .string(type.name)]
    }

    private var count: Int { distribution.parameters.count }

    /// The shape of the result.
    private func result(_ parameters: [TensorSpec]) throws -> Shape {
        var whole = shape ?? parameters[0].shape
        for parameter in parameters { whole = try whole.broadcast(with: parameter.shape, name) }
        guard shape == nil || shape == whole else {
            throw DLError(
                .shape, "[\(name)] \(distribution.parameters.joined(separator: " and ")) must spread over 'shape'. Received: "
                    + parameters.map { "\($0.shape)" }.joined(separator: " and ") + ", shape \(shape ?? whole)")
        }
        return whole
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count == count || inputs.count == count + 1 else {
            throw DLError(
                .argument, "[\(name)] takes \(distribution.parameters.joined(separator: ", ")) and perhaps a seed. "
                    + "Received: \(inputs.count) inputs")
        }
        if inputs.count > count { try RandomSeed.expect(inputs[count], name) }
        guard floatingTypes.contains(type) else {
            throw DLError(.dtype, "[\(name)] gives float32 or float64. Received: dtype \(type.name)")
        }
        return [TensorSpec(try result(Array(inputs[..<count])), type)]
    }

    /// Parameters as large as the result, of its type, and a seed.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        let spec = try outputs(for: inputs.map(\.spec))[0]
        let isReady = inputs.count == count + 1 && inputs[..<count].allSatisfy { $0.spec == spec }
        guard !isReady else { return nil }
        var all = try inputs[..<count].map { try broadcastTo(cast($0, type), spec.shape) }
        all.append(inputs.count > count ? inputs[count] : try RandomSeed.fresh())
        return try DLGraph.apply(self, to: all)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (elements, distribution, last, isDouble) = (outputs[0].shape.count, distribution, count, type == .float64)
        let runtime = ThreadPool.shared.runtime
        func run<T: BinaryFloatingPoint>(_: T.Type, _ arguments: KernelArguments) {
            let state = arguments.input(last, Int64.self)
            let random = RandomKernel(seed: UInt64(bitPattern: state[0]), offset: UInt64(bitPattern: state[1]))
            let (a, y) = (arguments.input(0, T.self), arguments.output(0, T.self))
            switch distribution {
            case .gamma: random.gamma(runtime, a, y, count: elements)
            case .beta: random.beta(runtime, a, arguments.input(1, T.self), y, count: elements)
            case .binomial: random.binomial(runtime, a, arguments.input(1, T.self), y, count: elements)
            }
        }
        return Kernel("philox") { if isDouble { run(Double.self, $0) } else { run(Float.self, $0) } }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        throw DLError(.unsupported, "[\(name)] there is no gradient for the parameters of a distribution. Received: a wish for it")
    }

    private static func entry(_ distribution: ShapedDistribution) -> OperationEntry {
        let seed = OperationSample.Input.given([5, 2], [2], .int64)
        return OperationEntry(
            Declaration(
                distribution.rawValue, distribution.summary, formula: distribution.formula, source: distribution.source,
                shapes: "\(distribution.parameters.joined(separator: ", ")): broadcast to `shape`, which comes out; seed (2,) int64",
                extra: JSONObject([
                    ("inputs", .array((distribution.parameters + ["seed"]).map { .string($0) })), ("optional_inputs", 1),
                ]),
                arguments: [
                    Argument("shape", .optional(.shape), .null, "The sizes of the axes; null for those of the parameters."),
                    Argument("dtype", .dtype, "float32", "The dtype of the elements, float32 or float64."),
                ],
                make: { given in
                    ShapedRandomOperation(
                        distribution: distribution,
                        shape: given.has("shape") ? try Shape(checked: given.shape("shape").map { $0 ?? -1 }) : nil,
                        type: given.type("dtype") ?? .float32)
                }),
            samples: [
                OperationSample(list: distribution.sample + [seed], differentiable: false),
                OperationSample(
                    list: distribution.sample + [seed], attributes: ["shape": [2, 3], "dtype": "float64"], differentiable: false),
            ])
    }

    static let entries: [OperationEntry] = ShapedDistribution.allCases.map(entry) + [categorical]

    /// The largest of the logits, each with a number of Gumbel's distribution added, is distributed as the softmax says.
    private static let categorical = FormulaOperation.derived(
        "random_categorical", "Classes drawn with the probabilities that the softmax of each row of logits gives.",
        formula: "y[i, j] = argmax over k of logits[i, k] + g[i, j, k], g of Gumbel's distribution",
        shapes: "logits (batch, classes), seed (2,) int64; (batch, num_samples)", inputs: ["logits", "seed"], optional: 1,
        extra: JSONObject([("result_kinds", ["index"])]),
        arguments: [
            Argument("num_samples", .int(Argument.positive), nil, "How many are drawn for each row."),
            Argument("dtype", .dtype, "int32", "The dtype of the classes."),
        ],
        samples: [
            OperationSample(
                .given([0, 5, 0, 1, 1, 1], [2, 3], .float32), .given([5, 2], [2], .int64), attributes: ["num_samples": 4],
                differentiable: false)
        ]
    ) { inputs, arguments in
        let (shape, count) = (inputs[0].shape, arguments.int("num_samples"))
        guard shape.rank == 2, shape[1] > 0 else {
            throw DLError(.shape, "[random_categorical] logits must have 2 axes: (batch, classes). " + received(("logits", inputs[0].spec)))
        }
        let logits = try real(inputs[0])
        let u = try randomUniform(
            Shape(checked: [shape[0], count, shape[1]]), low: 1e-38, seed: inputs.count == 2 ? inputs[1] : nil)
        let gumbel = try cast(negative(log(negative(log(u)))), logits.type)
        return [try cast(argmax(add(expandDims(logits, 1), gumbel), axis: -1), arguments.type("dtype") ?? .int32)]
    }
}
