import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The same numbers in another element type.
struct CastOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "cast",
        "Converts to another dtype: fractions are cut off, numbers too large for a whole type saturate, NaN becomes 0 in it.",
        shapes: "any shape; the same comes out", extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("dtype", .dtype, nil, "The dtype wanted.")],
        make: { CastOperation($0.type("dtype") ?? .float32) })

    static let samples = [
        OperationSample(.uniform([3, 4]), attributes: ["dtype": "float64"]),
        OperationSample(.uniform([3, 4], -5...5), attributes: ["dtype": "int32"], differentiable: false),
        OperationSample(.integers([9], below: 200), attributes: ["dtype": "uint8"], differentiable: false),
    ]

    let type: ElementType
    init(_ type: ElementType) { self.type = type }

    var attributes: JSON { ["dtype": .string(type.name)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec(inputs[0].shape, type)]
    }

    /// Nothing to convert.
    func composed(_ inputs: [Value]) throws -> [Value]? {
        inputs.count == 1 && inputs[0].type == type ? inputs : nil
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let kernel = CastKernel(from: inputs[0].type, to: type)
        let count = inputs[0].shape.count
        let runtime = ThreadPool.shared.runtime
        return Kernel("element-wise") { kernel(runtime, $0.inputs[0], $0.outputs[0], count: count) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try cast(context.upstream, context.inputs[0].type)]
    }
}

package func cast(_ x: Value, _ type: ElementType) throws -> Value {
    x.type == type ? x : try apply(CastOperation(type), x)
}

/// The value itself, from which no gradient flows back.
struct StopGradientOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "stop_gradient", "Lets nothing flow back: for gradients the result is a constant.", formula: "x",
        shapes: "any shape; the same comes out", extra: JSONObject([("inputs", ["x"])]),
        make: { _ in StopGradientOperation() })

    static let samples = [OperationSample(.uniform([3, 4]), differentiable: false)]

    var passesGradients: Bool { false }
    var isView: Bool { true }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return inputs
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        Movement.copyAll(inputs[0].byteCount)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

package func stopGradient(_ x: Value) throws -> Value { try apply(StopGradientOperation(), x) }

/// A copy with memory of its own.
struct CopyOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "copy", "The same numbers in memory of their own.", formula: "x", shapes: "any shape; the same comes out",
        extra: JSONObject([("inputs", ["x"])]), make: { _ in CopyOperation() })

    static let samples = [OperationSample(.uniform([3, 4]))]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return inputs
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        Movement.copyAll(inputs[0].byteCount)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [context.upstream] }
}

package func copy(_ x: Value) throws -> Value { try apply(CopyOperation(), x) }
