import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Euclidean length of several tensors taken together.
struct GlobalNorm: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "global_norm", "Euclidean length of all elements of all inputs.",
        formula: "y = sqrt(sum of x^2 over all elements of all inputs)",
        shapes: "any number of tensors of one floating-point type -> ()",
        extra: JSONObject([("inputs", ["xs"]), ("variadic", true)])
    ) { _ in GlobalNorm() }

    static var samples: [OperationSample] { [OperationSample(.uniform([2, 3]), .uniform([4]))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard let first = inputs.first else {
            throw DLError(.argument, "[\(name)] takes at least 1 input. Received: 0")
        }
        try expectSameFloat(inputs, name)
        return [TensorSpec(.scalar, first.type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try ReductionKernels.globalNorm(inputs)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let scale = try divide(context.upstream, context.outputs[0])
        return try zip(context.inputs, context.needs).map { input, needed in
            needed ? try multiply(input, scale) : nil
        }
    }
}

/// Euclidean length of several tensors taken together.
package func globalNorm(_ values: [Value]) throws -> Value { try DLGraph.apply(GlobalNorm(), to: values)[0] }

/// Each value shrunk to a Euclidean length of at most `limit`, by Keras's formula.
package func clipByNorm(_ value: Value, _ limit: Double) throws -> Value {
    let norm = try globalNorm([value])
    let bound = Value(try Tensor(number: limit, value.type))
    return try divide(multiply(value, bound), maximum(norm, bound))
}

/// The values shrunk together to a Euclidean length of at most `limit`, by Keras's formula. A length that is not finite
/// makes all of them NaN, so that it does not go unnoticed.
package func clipByGlobalNorm(_ values: [Value], _ limit: Double) throws -> [Value] {
    guard let first = values.first else { return [] }
    let norm = try globalNorm(values)
    let one = Value(try Tensor(number: 1, first.type))
    let inverse = Value(try Tensor(number: 1 / limit, first.type))
    let bound = Value(try Tensor(number: limit, first.type))
    let finite = try multiply(bound, minimum(divide(one, norm), inverse))
    let scale = try add(finite, subtract(norm, norm))
    return try values.map { try multiply($0, scale) }
}
