import DLBase
import DLGraph
import DLKernels
import DLTensor

/// What a random operation draws: its distribution, with numbers `a` and `b`.
enum Distribution: String, CaseIterable, Sendable {
    case uniform = "random_uniform"
    case normal = "random_normal"
    case truncatedNormal = "random_truncated_normal"
    case integers = "random_integers"
    case bernoulli = "random_bernoulli"

    var parameters: [Argument] {
        let number = Argument.Kind.float(Argument.anyFloat)
        switch self {
        case .uniform:
            return [
                Argument("minval", number, 0, "The least number."), Argument("maxval", number, 1, "The end, left out."),
            ]
        case .normal, .truncatedNormal:
            return [
                Argument("mean", number, 0, "The mean."),
                Argument("stddev", .float(Argument.notNegative), 1, "The standard deviation."),
            ]
        case .integers:
            let whole = Argument.Kind.int(Int(Int64.min / 2)...Int(Int64.max / 2))
            return [
                Argument("minval", whole, nil, "The least number."), Argument("maxval", whole, nil, "The end, left out."),
            ]
        case .bernoulli:
            return [Argument("p", .float(Argument.fraction), 0.5, "The probability of a 1.")]
        }
    }

    var summary: String {
        switch self {
        case .uniform: "Random numbers, equally likely anywhere in a range."
        case .normal: "Random numbers of the normal distribution."
        case .truncatedNormal: "Normal random numbers at most two standard deviations from the mean."
        case .integers: "Random whole numbers of a range."
        case .bernoulli: "Random zeros and ones."
        }
    }

    var types: [ElementType] {
        switch self {
        case .uniform, .normal, .truncatedNormal: floatingTypes
        case .integers: [.int32, .int64, .uint8]
        case .bernoulli: ElementType.allCases
        }
    }
}

/// A tensor of random numbers: a pure function of a seed and the number of the draw.
struct RandomOperation: Operation {
    let distribution: Distribution
    let shape: Shape
    let type: ElementType
    let parameters: [JSON]

    init(_ distribution: Distribution, _ shape: Shape, _ type: ElementType, _ parameters: [JSON]) {
        self.distribution = distribution
        self.shape = shape
        self.type = type
        self.parameters = parameters
    }

    var name: String { distribution.rawValue }

    var attributes: JSON {
        var object = JSONObject([("shape", .array(shape.sizes.map { .int(Int64($0)) })), ("dtype", .string(type.name))])
        for (argument, value) in zip(distribution.parameters, parameters) { object[argument.name] = value }
        return .object(object)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count <= 1 else {
            throw DLError(.argument, "[\(name)] takes at most 1 input, the seed. Received: \(inputs.count)")
        }
        if let seed = inputs.first { try RandomSeed.expect(seed, name) }
        guard distribution.types.contains(type) else {
            throw DLError(
                .dtype, "[\(name)] gives \(distribution.types.map(\.name).joined(separator: ", ")). Received: dtype \(type.name)")
        }
        return [TensorSpec(shape, type)]
    }

    /// Without a seed it draws one.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        inputs.isEmpty ? try DLGraph.apply(self, to: [RandomSeed.fresh()]) : nil
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (count, type) = (shape.count, type)
        let a = parameters.first?.doubleValue ?? 0
        let b = parameters.dropFirst().first?.doubleValue ?? 0
        let low = parameters.first?.intValue ?? 0
        let high = parameters.dropFirst().first?.intValue ?? 0
        let runtime = ThreadPool.shared.runtime
        let distribution = distribution
        let bytesNeeded = distribution == .bernoulli && type.byteCount > 1 ? count : 0
        let spread = CastKernel(from: .bool, to: type)
        return Kernel("philox", scratchBytes: bytesNeeded) { arguments in
            let state = arguments.input(0, Int64.self)
            let random = RandomKernel(
                seed: UInt64(bitPattern: state[0]), offset: UInt64(bitPattern: state[1]))
            switch (distribution, type) {
            case (.uniform, .float32):
                random.uniform(runtime, arguments.output(0, Float.self), count: count, low: Float(a), high: Float(b))
            case (.uniform, _):
                random.uniform(runtime, arguments.output(0, Double.self), count: count, low: a, high: b)
            case (.normal, .float32):
                random.normal(
                    runtime, arguments.output(0, Float.self), count: count, mean: Float(a), deviation: Float(b))
            case (.normal, _):
                random.normal(runtime, arguments.output(0, Double.self), count: count, mean: a, deviation: b)
            case (.truncatedNormal, .float32):
                random.truncatedNormal(runtime, arguments.output(0, Float.self), count: count, mean: a, deviation: b)
            case (.truncatedNormal, _):
                random.truncatedNormal(runtime, arguments.output(0, Double.self), count: count, mean: a, deviation: b)
            case (.integers, .int32):
                random.integers(
                    runtime, arguments.output(0, Int32.self), count: count, low: Int32(clamping: low),
                    high: Int32(clamping: high))
            case (.integers, .uint8):
                random.integers(
                    runtime, arguments.output(0, UInt8.self), count: count, low: UInt8(clamping: low),
                    high: UInt8(clamping: high))
            case (.integers, _):
                random.integers(
                    runtime, arguments.output(0, Int64.self), count: count, low: Int64(low), high: Int64(high))
            case (.bernoulli, _):
                let bytes = bytesNeeded > 0 ? arguments.scratch : arguments.outputs[0]
                random.bernoulli(
                    runtime, bytes.assumingMemoryBound(to: UInt8.self), count: count, probability: a)
                if bytesNeeded > 0 { spread(runtime, bytes, arguments.outputs[0], count: count) }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }

    static let entries: [OperationEntry] = Distribution.allCases.map { distribution in
        let type = distribution == .integers ? "int32" : "float32"
        let arguments =
            [Argument("shape", .shape, nil, "The sizes of the axes.")] + distribution.parameters
            + [Argument("dtype", .dtype, .string(type), "The dtype of the elements.")]
        var attributes = JSONObject([("shape", [3, 5])])
        if distribution == .integers {
            attributes["minval"] = -3
            attributes["maxval"] = 10
        }
        return OperationEntry(
            Declaration(
                distribution.rawValue, distribution.summary,
                source: "Philox4x32-10: Salmon, Moraes, Dror, Shaw, \"Parallel random numbers: as easy as 1, 2, 3\", 2011",
                shapes: "seed (2,) int64: the seed and the number of the draw; `shape` comes out",
                extra: JSONObject([("inputs", ["seed"]), ("optional_inputs", 1)]), arguments: arguments,
                make: { given in
                    RandomOperation(
                        distribution, try Shape(checked: given.shape("shape").map { $0 ?? -1 }),
                        given.type("dtype") ?? .float32, distribution.parameters.map { given[$0.name] })
                }),
            samples: [
                OperationSample(
                    .given([5, 2], [2], .int64), attributes: .object(attributes), differentiable: false)
            ])
    }
}

/// Seeds of random operations: int64 tensors of a seed and the number of a draw.
package enum RandomSeed {
    static func expect(_ spec: TensorSpec, _ operation: String) throws {
        guard spec == TensorSpec([2], .int64) else {
            throw DLError(.dtype, "[\(operation)] a seed is two int64 numbers. " + received(("seed", spec)))
        }
    }

    /// A seed and a draw as a value.
    package static func value(_ seed: UInt64, draw: UInt64 = 0) throws -> Value {
        Value(try Tensor([Int64(bitPattern: seed), Int64(bitPattern: draw)]))
    }

    /// A seed that nobody else gets. In a recording it is a variable that each run moves on, so that every run draws anew.
    package static func fresh() throws -> Value {
        let first = try value(GlobalRandom.nextSeed())
        guard ThreadContext.current.recording != nil else { return first }
        return try RandomState(Variable(first.tensor("random"), name: "random", trainable: false)).next()
    }
}

/// A variable that counts draws; layers that draw random numbers own one.
package struct RandomState: Sendable {
    package let variable: Variable

    package init(_ variable: Variable) { self.variable = variable }

    /// Begins with a seed; nil takes the process's next one.
    package init(seed: UInt64? = nil, name: String = "seed") throws {
        let tensor = try Tensor([Int64(bitPattern: seed ?? GlobalRandom.nextSeed()), 0])
        self.init(Variable(tensor, name: name, trainable: false))
    }

    /// The seed of the next draw. What it was is kept as a value of its own, for a gradient computed later has to draw the
    /// same numbers again.
    package func next() throws -> Value {
        try ThreadContext.current.withoutTapes {
            let current = try copy(variable.value)
            try variable.assign(add(variable.value, Value(Tensor([Int64(0), 1]))))
            return current
        }
    }
}

/// The numbers 0 ..< n in random order.
struct RandomPermutationOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "random_permutation", "The numbers below n in random order.", shapes: "seed (2,) int64; (n,) comes out",
        extra: JSONObject([("inputs", ["seed"]), ("optional_inputs", 1), ("result_kinds", ["index"])]),
        arguments: [
            Argument("n", .int(0...Int(Int32.max)), nil, "How many numbers."),
            Argument("dtype", .dtype, "int32", "int32 or int64."),
        ],
        make: { RandomPermutationOperation(count: $0.int("n"), type: $0.type("dtype") ?? .int32) })

    static let samples = [
        OperationSample(.given([5, 2], [2], .int64), attributes: ["n": 9], differentiable: false)
    ]

    let count: Int
    let type: ElementType
    var attributes: JSON { ["n": .int(Int64(count)), "dtype": .string(type.name)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count <= 1 else {
            throw DLError(.argument, "[\(name)] takes at most 1 input, the seed. Received: \(inputs.count)")
        }
        if let seed = inputs.first { try RandomSeed.expect(seed, name) }
        guard type == .int32 || type == .int64 else {
            throw DLError(.dtype, "[\(name)] gives int32 or int64. Received: dtype \(type.name)")
        }
        return [TensorSpec(Shape([count]), type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        inputs.isEmpty ? try DLGraph.apply(self, to: [RandomSeed.fresh()]) : nil
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (count, type) = (count, type)
        return Kernel("philox") { arguments in
            let state = arguments.input(0, Int64.self)
            let random = RandomKernel(seed: UInt64(bitPattern: state[0]), offset: UInt64(bitPattern: state[1]))
            if type == .int32 {
                random.permutation(arguments.output(0, Int32.self), count: count)
            } else {
                random.permutation(arguments.output(0, Int64.self), count: count)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

// MARK: For Swift. `seed` nil draws from the process's generator.

private func draw(
    _ distribution: Distribution, _ shape: Shape, _ type: ElementType, _ parameters: [JSON], _ seed: Value?
) throws -> Value {
    try apply(RandomOperation(distribution, shape, type, parameters), to: seed.map { [$0] } ?? [])[0]
}

package func randomUniform(
    _ shape: Shape, low: Double = 0, high: Double = 1, type: ElementType = .float32, seed: Value? = nil
) throws -> Value {
    try draw(.uniform, shape, type, [.double(low), .double(high)], seed)
}
package func randomNormal(
    _ shape: Shape, mean: Double = 0, deviation: Double = 1, type: ElementType = .float32, seed: Value? = nil
) throws -> Value {
    try draw(.normal, shape, type, [.double(mean), .double(deviation)], seed)
}
package func randomTruncatedNormal(
    _ shape: Shape, mean: Double = 0, deviation: Double = 1, type: ElementType = .float32, seed: Value? = nil
) throws -> Value {
    try draw(.truncatedNormal, shape, type, [.double(mean), .double(deviation)], seed)
}
package func randomIntegers(
    _ shape: Shape, low: Int, high: Int, type: ElementType = .int32, seed: Value? = nil
) throws -> Value {
    try draw(.integers, shape, type, [.int(Int64(low)), .int(Int64(high))], seed)
}
package func randomBernoulli(
    _ shape: Shape, probability: Double, type: ElementType = .float32, seed: Value? = nil
) throws -> Value {
    try draw(.bernoulli, shape, type, [.double(probability)], seed)
}
package func randomPermutation(_ count: Int, seed: Value? = nil) throws -> Value {
    guard (0...Int(Int32.max)).contains(count) else {
        throw DLError(.argument, "[random_permutation] n must be from 0 to \(Int32.max). Received: \(count)")
    }
    return try apply(RandomPermutationOperation(count: count, type: .int32), to: seed.map { [$0] } ?? [])[0]
}
