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
        // Away from zeros; an element of 0 gets the gradient 0 / 0, and says so as NaN.
        return [try divide(sumBack(multiply(dy, y)), x)]
    }

    static let entries: [OperationEntry] = [ScanKernel.Function.sum, .product].map { function in
        let isSum = function == .sum
        let domain = isSum ? -2.0...2.0 : 0.5...1.5
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
