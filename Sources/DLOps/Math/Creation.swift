import CDLKernels
import DLBase
import DLGraph
import DLTensor

/// A tensor of one number, in the shape of another.
struct FullLikeOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "full_like", "A tensor of one number, in the shape of another.", shapes: "any shape; the same comes out",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("fill_value", .float(Argument.anyFloat), nil, "The number."),
            Argument("dtype", .optional(.dtype), .null, "null for that of x."),
        ],
        make: { FullLikeOperation($0.float("fill_value"), $0.type("dtype")) })

    static let samples = [
        OperationSample(.uniform([3, 4]), attributes: ["fill_value": 2.5], differentiable: false),
        OperationSample(.uniform([2]), attributes: ["fill_value": 7, "dtype": "int64"], differentiable: false),
    ]

    let number: Double
    let type: ElementType?
    init(_ number: Double, _ type: ElementType?) {
        self.number = number
        self.type = type
    }

    var attributes: JSON { ["fill_value": .double(number), "dtype": type.map { .string($0.name) } ?? .null] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec(inputs[0].shape, type ?? inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (number, type, count) = (number, outputs[0].type, outputs[0].shape.count)
        return Kernel("fill") { Movement.fill(number, type, $0.outputs[0], count) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

private func alike(_ name: String, _ summary: String, _ number: Double) -> OperationEntry {
    OperationEntry(
        Declaration(
            name, summary, shapes: "any shape; the same comes out", extra: JSONObject([("inputs", ["x"])]),
            arguments: [Argument("dtype", .optional(.dtype), .null, "null for that of x.")],
            make: { NamedOperation(name, FullLikeOperation(number, $0.type("dtype"))) }),
        samples: [OperationSample(.uniform([3, 4]), differentiable: false)])
}

/// Another operation under a name of its own, which its errors begin with.
struct NamedOperation: Operation {
    let name: String
    let inner: any Operation

    init(_ name: String, _ inner: any Operation) {
        self.name = name
        self.inner = inner
    }

    var attributes: JSON { inner.attributes }
    var isView: Bool { inner.isView }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        do {
            return try inner.outputs(for: inputs)
        } catch var error as DLError {
            if error.message.hasPrefix("[\(inner.name)]") {
                error.message = "[\(name)]" + error.message.dropFirst(inner.name.count + 2)
            }
            throw error
        }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try inner.kernel(inputs: inputs, outputs: outputs)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { try inner.gradient(context) }
}

let likeEntries: [OperationEntry] = [
    OperationEntry(FullLikeOperation.self), alike("zeros_like", "Zeros in the shape of another tensor.", 0),
    alike("ones_like", "Ones in the shape of another tensor.", 1),
]

package func fullLike(_ x: Value, _ number: Double, _ type: ElementType? = nil) throws -> Value {
    try apply(FullLikeOperation(number, type), x)
}
package func zerosLike(_ x: Value) throws -> Value { try fullLike(x, 0) }
package func onesLike(_ x: Value) throws -> Value { try fullLike(x, 1) }

/// A tensor that is made of numbers alone: element i of an operation without inputs.
struct CreationOperation: Operation {
    let name: String
    let attributes: JSON
    let spec: TensorSpec
    let fill: @Sendable (_ target: UnsafeMutableRawPointer) -> Void

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.isEmpty else {
            throw DLError(.argument, "[\(name)] takes no inputs. Received: \(inputs.count)")
        }
        return [spec]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let fill = fill
        return Kernel("fill") { fill($0.outputs[0]) }
    }

    /// One number everywhere.
    static func constant(_ name: String, _ number: Double, _ arguments: Arguments) throws -> CreationOperation {
        let shape = try Shape(checked: arguments.shape("shape").map { $0 ?? -1 })
        let type = arguments.type("dtype") ?? .float32
        return CreationOperation(
            name: name, attributes: arguments.json, spec: TensorSpec(shape, type),
            fill: { Movement.fill(number, type, $0, shape.count) })
    }

    /// Element i from its position.
    static func sequence(
        _ name: String, _ attributes: JSON, _ shape: Shape, _ type: ElementType, _ f: @escaping @Sendable (Int) -> Double
    ) -> CreationOperation {
        CreationOperation(
            name: name, attributes: attributes, spec: TensorSpec(shape, type),
            fill: { target in
                switch type {
                case .float32:
                    let y = target.assumingMemoryBound(to: Float.self)
                    for i in 0..<shape.count { y[i] = Float(f(i)) }
                case .float64:
                    let y = target.assumingMemoryBound(to: Double.self)
                    for i in 0..<shape.count { y[i] = f(i) }
                case .int32:
                    let y = target.assumingMemoryBound(to: Int32.self)
                    for i in 0..<shape.count { y[i] = saturated(f(i)) }
                case .int64:
                    let y = target.assumingMemoryBound(to: Int64.self)
                    for i in 0..<shape.count { y[i] = saturated(f(i)) }
                case .uint8:
                    let y = target.assumingMemoryBound(to: UInt8.self)
                    for i in 0..<shape.count { y[i] = saturated(f(i)) }
                case .bool:
                    let y = target.assumingMemoryBound(to: UInt8.self)
                    for i in 0..<shape.count { y[i] = f(i) == 0 ? 0 : 1 }
                }
            })
    }

    private static let noInputs = JSONObject([("inputs", .array([]))])
    private static let dtype = Argument("dtype", .dtype, "float32", "The dtype of the elements.")
    private static let shape = Argument("shape", .shape, nil, "The sizes of the axes.")
    private static let number = Argument.Kind.float(Argument.anyFloat)

    private static func entry(
        _ name: String, _ summary: String, _ arguments: [Argument], _ samples: [JSON],
        _ make: @escaping @Sendable (Arguments) throws -> CreationOperation
    ) -> OperationEntry {
        OperationEntry(
            Declaration(name, summary, shapes: "none; a new tensor", extra: noInputs, arguments: arguments, make: make),
            samples: samples.map { OperationSample(attributes: $0, differentiable: false) })
    }

    static let entries: [OperationEntry] = [
        entry("zeros", "Zeros.", [shape, dtype], [["shape": [2, 3]]]) { try constant("zeros", 0, $0) },
        entry("ones", "Ones.", [shape, dtype], [["shape": [2], "dtype": "int32"]]) { try constant("ones", 1, $0) },
        entry(
            "full", "A tensor of one number.",
            [shape, Argument("fill_value", number, nil, "The number."), dtype], [["shape": [2, 2], "fill_value": 1.5]]
        ) { try constant("full", $0.float("fill_value"), $0) },
        entry(
            "arange", "Numbers at equal distances, the end left out.",
            [
                Argument("start", number, nil, "The first number; with no `stop` the end, and 0 is the first."),
                Argument("stop", .optional(number), .null, "The end."), Argument("step", number, 1, "The distance."),
                Argument("dtype", .optional(.dtype), .null, "null: int32 if all three are whole, else float32."),
            ], [["start": 5], ["start": 2, "stop": 3, "step": 0.25], ["start": 5, "stop": 0, "step": -2]], arange),
        entry(
            "linspace", "Numbers at equal distances between two.",
            [
                Argument("start", number, nil, "The first."), Argument("stop", number, nil, "The last."),
                Argument("num", .int(0...Int(Int32.max)), 50, "How many."),
                Argument("endpoint", .bool, true, "Whether the last is among them."), dtype,
            ], [["start": 0, "stop": 1, "num": 5], ["start": 0, "stop": 1, "num": 4, "endpoint": false]], linspace),
        entry(
            "logspace", "Powers of a base, their exponents at equal distances between two.",
            [
                Argument("start", number, nil, "The first exponent."), Argument("stop", number, nil, "The last exponent."),
                Argument("num", .int(0...Int(Int32.max)), 50, "How many."),
                Argument("endpoint", .bool, true, "Whether the last is among them."),
                Argument("base", number, 10, "The base."), dtype,
            ], [["start": 0, "stop": 3, "num": 4], ["start": -1, "stop": 1, "num": 4, "endpoint": false, "base": 2]], logspace),
        entry(
            "geomspace", "Numbers at equal ratios between two.",
            [
                Argument("start", number, nil, "The first, not 0."),
                Argument("stop", number, nil, "The last, of the same sign."),
                Argument("num", .int(0...Int(Int32.max)), 50, "How many."),
                Argument("endpoint", .bool, true, "Whether the last is among them."), dtype,
            ], [["start": 1, "stop": 8, "num": 4], ["start": -100, "stop": -1, "num": 2, "endpoint": false]], geomspace),
        entry(
            "eye", "Ones on a diagonal, zeros elsewhere.", triangleArguments, [["N": 3], ["N": 2, "M": 4, "k": 1]],
            { try triangle("eye", $0) { row, column, k in column - row == k } }),
        entry(
            "tri", "Ones on and below a diagonal, zeros above.", triangleArguments, [["N": 3], ["N": 2, "M": 4, "k": -1]],
            { try triangle("tri", $0) { row, column, k in column - row <= k } }),
    ]

    private static let triangleArguments = [
        Argument("N", .int(0...Int(Int32.max)), nil, "Rows."),
        Argument("M", .optional(.int(0...Int(Int32.max))), .null, "Columns; null for as many as rows."),
        Argument("k", .int(Int(Int32.min)...Int(Int32.max)), 0, "The diagonal: 0 the main one, above it positive."), dtype,
    ]

    private static func triangle(
        _ name: String, _ arguments: Arguments, _ isSet: @escaping @Sendable (Int, Int, Int) -> Bool
    ) throws -> CreationOperation {
        let rows = arguments.int("N")
        let columns = arguments.optionalInt("M") ?? rows
        let k = arguments.int("k")
        return sequence(
            name, arguments.json, try Shape(checked: [rows, columns]), arguments.type("dtype") ?? .float32
        ) { isSet($0 / columns, $0 % columns, k) ? 1 : 0 }
    }

    @Sendable
    private static func arange(_ arguments: Arguments) throws -> CreationOperation {
        let stop = arguments.optionalFloat("stop") ?? arguments.float("start")
        let start = arguments.has("stop") ? arguments.float("start") : 0
        let step = arguments.float("step")
        guard step != 0 else { throw arguments.error("step", "a number other than 0") }
        let length = ((stop - start) / step).rounded(.up)
        guard length < Double(Int32.max) else {
            throw DLError(.limit, "[arange] more than 2147483646 numbers. Received: \(Text.shortest(length))")
        }
        let isWhole = [start, stop, step].allSatisfy { $0 == $0.rounded() && $0.magnitude < 2_147_483_648 }
        let type = arguments.type("dtype") ?? (isWhole ? .int32 : .float32)
        return sequence("arange", arguments.json, Shape([length > 0 ? Int(length) : 0]), type) { start + Double($0) * step }
    }

    /// What linspace, logspace and geomspace share: number i of `number` from start to stop.
    private static func step(_ start: Double, _ stop: Double, _ number: Int, _ hasEnd: Bool) -> @Sendable (Int) -> Double {
        let parts = hasEnd ? number - 1 : number
        let step = parts > 0 ? (stop - start) / Double(parts) : 0
        return { hasEnd && $0 > 0 && $0 == number - 1 ? stop : start + Double($0) * step }
    }

    @Sendable
    private static func logspace(_ arguments: Arguments) throws -> CreationOperation {
        let (number, base) = (arguments.int("num"), arguments.float("base"))
        let exponent = step(arguments.float("start"), arguments.float("stop"), number, arguments.bool("endpoint"))
        return sequence("logspace", arguments.json, Shape([number]), arguments.type("dtype") ?? .float32) {
            dl_pow_d(base, exponent($0))
        }
    }

    @Sendable
    private static func geomspace(_ arguments: Arguments) throws -> CreationOperation {
        let (start, stop) = (arguments.float("start"), arguments.float("stop"))
        guard start != 0, start.signum == stop.signum else {
            throw DLError(
                .argument, "[geomspace] 'start' and 'stop' must not be 0 and of one sign. Received: \(Text.shortest(start)) and "
                    + Text.shortest(stop))
        }
        let (number, hasEnd) = (arguments.int("num"), arguments.bool("endpoint"))
        let exponent = step(dl_log_d(start.magnitude), dl_log_d(stop.magnitude), number, hasEnd)
        return sequence("geomspace", arguments.json, Shape([number]), arguments.type("dtype") ?? .float32) {
            // Both ends are what was given, whatever the rounding between.
            if $0 == 0 { return start }
            return hasEnd && $0 == number - 1 ? stop : start.signum * dl_exp_d(exponent($0))
        }
    }

    @Sendable
    private static func linspace(_ arguments: Arguments) throws -> CreationOperation {
        let (start, stop) = (arguments.float("start"), arguments.float("stop"))
        let number = arguments.int("num")
        return sequence(
            "linspace", arguments.json, Shape([number]), arguments.type("dtype") ?? .float32,
            step(start, stop, number, arguments.bool("endpoint")))
    }
}

extension Double {
    /// -1, 0 or 1.
    fileprivate var signum: Double { self > 0 ? 1 : self < 0 ? -1 : 0 }
}
