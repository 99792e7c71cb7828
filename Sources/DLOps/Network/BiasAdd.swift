import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Adds one number per channel.
struct BiasAdd: DeclaredOperation {
    var dataFormat = DataFormat.channelsLast

    static let declaration = Declaration<any Operation>(
        "bias_add", "Adds a vector along the axis of the channels.",
        formula: "y[..., c] = x[..., c] + bias[c]",
        shapes: "x (..., C), bias (C,) -> (..., C)",
        extra: networkExtra("x", "bias"),
        arguments: [DataFormat.argument]
    ) { BiasAdd(dataFormat: DataFormat($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 3, 4]), .uniform([4])),
            OperationSample(.uniform([2, 3, 4, 2]), .uniform([3]), attributes: ["data_format": "channels_first"]),
        ]
    }

    var attributes: JSON { nonDefault(BiasAdd.declaration, ("data_format", .string(dataFormat.rawValue))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        let (x, bias) = (inputs[0].shape, inputs[1].shape)
        func fail(_ text: String) -> DLError { DLError(.shape, "[\(name)] \(text). Received: input \(x), bias \(bias)") }
        guard x.rank >= 2 else { throw fail("input must have at least 2 axes") }
        let channels = dataFormat == .channelsLast ? x.last : x[1]
        guard bias == [channels] else { throw fail("bias must have one number for each of \(channels) channels") }
        return [inputs[0]]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 2, dataFormat == .channelsFirst else { return nil }
        _ = try outputs(for: inputs.map(\.spec))
        var sizes = [Int](repeating: 1, count: inputs[0].shape.rank)
        sizes[1] = inputs[1].shape.count
        return [try add(inputs[0], reshaped(inputs[1], Shape(sizes)))]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let columns = inputs[1].shape.count
        let rows = columns == 0 ? 0 : inputs[0].shape.count / columns
        return try biasAddKernel(inputs[0].type, rows: rows, columns: columns)
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [context.upstream, context.needs[1] ? try sumOfRows(context.upstream) : nil]
    }
}

/// Adds bias (C,) along the last axis of x.
package func biasAdd(_ x: Value, _ bias: Value) throws -> Value { try DLGraph.apply(BiasAdd(), x, bias) }
