import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Running sums and products along an axis.
struct CumulativeOperation: Operation {
    let function: ScanKernel.Function
    let axis: Int?
    let reverse: Bool

    var name: String { function == .sum ? "cumsum" : "cumprod" }
    var attributes: JSON { ["axis": axis.map { .int(Int64($0)) } ?? .null, "reverse": .bool(reverse)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        if let axis { _ = try inputs[0].shape.axis(axis, name) }
        let shape = axis == nil ? Shape([inputs[0].shape.count]) : inputs[0].shape
        return [TensorSpec(shape, Promotion.arithmetic([inputs[0].type]))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        let spec = try outputs(for: inputs.map(\.spec))[0]
        if axis != nil, inputs[0].type == spec.type { return nil }
        let x = try cast(axis == nil ? ravel(inputs[0]) : inputs[0], spec.type)
        return [try apply(CumulativeOperation(function: function, axis: axis ?? 0, reverse: reverse), x)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let shape = inputs[0].shape
        guard let kernel = ScanKernel(function, inputs[0].type, reverse: reverse),
            let line = ReductionAxis(shape.sizes, axis: try shape.axis(axis ?? 0, name))
        else { throw DLError(.internal, "[\(name)] there is no kernel for \(inputs[0])") }
        let runtime = ThreadPool.shared.runtime
        return Kernel("scan", inPlace: [(0, 0)]) { kernel(runtime, line, $0.inputs[0], $0.outputs[0]) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, y, dy) = (context.inputs[0], context.outputs[0], context.upstream)
        func sumBack(_ value: Value) throws -> Value {
            try apply(CumulativeOperation(function: .sum, axis: axis, reverse: !reverse), value)
        }
        if function == .sum { return [try sumBack(dy)] }
        // The product before an element, times what the elements behind it make of the gradients: no division, so zeros
        // are elements like others.
        let along = try x.shape.axis(axis ?? 0, name)
        let before = try neighbours(y, along, from: reverse ? 1 : -1, filler: 1)
        let factors = try neighbours(x, along, from: reverse ? -1 : 1, filler: 0)
        let behind = try apply(RecurrenceOperation(axis: along, reverse: !reverse), factors, dy)
        return [try multiply(before, behind)]
    }

    static let entries: [OperationEntry] = [ScanKernel.Function.sum, .product].map { function in
        let isSum = function == .sum
        let domain = -2.0...2.0
        return OperationEntry(
            Declaration(
                isSum ? "cumsum" : "cumprod", "Running \(isSum ? "sums" : "products") along an axis.",
                shapes: "any shape; the same, or one axis where `axis` is null",
                extra: JSONObject([("inputs", ["x"])]),
                arguments: [
                    Argument("axis", .optional(.axis), .null, "The axis; null treats all elements as one row."),
                    Argument("reverse", .bool, false, "Whether it runs from the end."),
                    Argument("dtype", .optional(.dtype), .null, "What x is cast to first; null for what it is."),
                ],
                make: { arguments in
                    let operation = CumulativeOperation(
                        function: function, axis: arguments.optionalInt("axis"), reverse: arguments.bool("reverse"))
                    return arguments.type("dtype").map { CastFirst($0, operation) } ?? operation
                }),
            samples: [
                OperationSample(.uniform([3, 4], domain)),
                OperationSample(.uniform([2, 3, 2], domain), attributes: ["axis": 1]),
                OperationSample(.uniform([3, 4], domain), attributes: ["axis": -1, "reverse": true]),
            ])
    }
}

/// Each element's neighbour along an axis: the next for `from` 1, the one before for -1; at the end a number.
private func neighbours(_ x: Value, _ axis: Int, from: Int, filler: Double) throws -> Value {
    if x.shape[axis] == 0 { return x }
    var sizes = x.shape.sizes
    sizes[axis] = 1
    let border = try Value(Tensor(number: filler, x.type, shape: Shape(sizes)))
    let front = [IndexEntry](repeating: .all, count: axis)
    let rest = try getItem(
        x, front + [from > 0 ? .range(start: 1, stop: nil, step: 1) : .range(start: 0, stop: x.shape[axis] - 1, step: 1)])
    return try concatenate(from > 0 ? [rest, border] : [border, rest], axis: axis)
}

/// Running sums in which what is there so far is scaled at every step.
struct RecurrenceOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "recurrence", "Running sums along an axis in which the sum so far is scaled at every step.",
        formula: "y[i] = a[i] y[i - 1] + b[i], y before the first element 0", shapes: "a and b of one shape; the same comes out",
        extra: JSONObject([("inputs", ["a", "b"]), ("internal", true)]),
        arguments: [
            Argument("axis", .axis, nil, "The axis."), Argument("reverse", .bool, false, "Whether it runs from the end."),
        ],
        make: { RecurrenceOperation(axis: $0.int("axis"), reverse: $0.bool("reverse")) })

    static let samples = [
        OperationSample(.uniform([3, 4]), .uniform([3, 4]), attributes: ["axis": 1]),
        OperationSample(.uniform([4, 2]), .uniform([4, 2]), attributes: ["axis": 0, "reverse": true]),
    ]

    let axis: Int
    let reverse: Bool
    var attributes: JSON { ["axis": .int(Int64(axis)), "reverse": .bool(reverse)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectType(inputs[0], floatingTypes, name)
        _ = try inputs[0].shape.axis(axis, name)
        guard inputs[0] == inputs[1] else {
            throw DLError(.shape, "[\(name)] takes two tensors of one shape and dtype. " + received(("a", inputs[0]), ("b", inputs[1])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let position = try inputs[0].shape.axis(axis, name)
        let (lines, count, reverse) = (AxisLines(inputs[0].shape, position), inputs[0].shape[position], reverse)
        func run<T: BinaryFloatingPoint>(_: T.Type, _ arguments: KernelArguments) {
            let (a, b, y) = (arguments.input(0, T.self), arguments.input(1, T.self), arguments.output(0, T.self))
            for line in 0..<lines.count {
                let start = lines.start(line, count)
                var total: T = 0
                for i in 0..<count {
                    let at = start &+ (reverse ? count &- 1 &- i : i) &* lines.inner
                    total = a[at] * total + b[at]
                    y[at] = total
                }
            }
        }
        let isFloat = inputs[0].type == .float32
        return Kernel("scan") { isFloat ? run(Float.self, $0) : run(Double.self, $0) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (a, y) = (context.inputs[0], context.outputs[0])
        let along = try a.shape.axis(axis, name)
        // Gradients run the other way, scaled by the next element's factor.
        let factors = try neighbours(a, along, from: reverse ? -1 : 1, filler: 0)
        let db = try apply(RecurrenceOperation(axis: along, reverse: !reverse), factors, context.upstream)
        let before = try context.needs[0] ? neighbours(y, along, from: reverse ? 1 : -1, filler: 0) : nil
        return [try before.map { try multiply(db, $0) }, db]
    }
}

/// Another operation on inputs cast to a type.
struct CastFirst: Operation {
    let type: ElementType
    let inner: any Operation

    init(_ type: ElementType, _ inner: any Operation) {
        self.type = type
        self.inner = inner
    }

    var name: String { inner.name }
    var attributes: JSON {
        guard case .object(var object) = inner.attributes else { return inner.attributes }
        object["dtype"] = .string(type.name)
        return .object(object)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try inner.outputs(for: inputs.map { TensorSpec($0.shape, type) })
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        try DLGraph.apply(inner, to: inputs.map { try cast($0, type) })
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try inner.kernel(inputs: inputs, outputs: outputs)
    }
}

/// `axis` nil treats all elements as one row.
package func cumsum(_ x: Value, axis: Int?, reverse: Bool = false) throws -> Value {
    try apply(CumulativeOperation(function: .sum, axis: axis, reverse: reverse), x)
}
package func cumprod(_ x: Value, axis: Int?, reverse: Bool = false) throws -> Value {
    try apply(CumulativeOperation(function: .product, axis: axis, reverse: reverse), x)
}
