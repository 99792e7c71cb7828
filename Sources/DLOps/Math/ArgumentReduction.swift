import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The position of the largest or the smallest element along an axis.
struct ArgumentOperation: Operation {
    let extreme: ArgumentKernel.Extreme
    let axis: Int?
    let keepDims: Bool

    var name: String { extreme == .maximum ? "argmax" : "argmin" }
    var attributes: JSON { ["axis": axis.map { .int(Int64($0)) } ?? .null, "keepdims": .bool(keepDims)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        let reduced = try axis.map { [try shape.axis($0, name)] } ?? Array(0..<shape.rank)
        guard reduced.allSatisfy({ shape[$0] > 0 }) else {
            throw DLError(.shape, "[\(name)] there is no element to choose along an axis of size 0. Received: \(shape)")
        }
        guard reduced.reduce(1, { $0 &* shape[$1] }) <= Int(Int32.max) else {
            throw DLError(.limit, "[\(name)] positions are int32, the axis is longer. Received: \(shape)")
        }
        return [TensorSpec(Axes.result(shape, reduced, keepDims), .int32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let shape = axis == nil ? Shape([inputs[0].shape.count]) : inputs[0].shape
        let position = try shape.axis(axis ?? 0, name)
        guard let kernel = ArgumentKernel(extreme, inputs[0].type, resultType: .int32),
            let line = ReductionAxis(shape.sizes, axis: position)
        else { throw DLError(.internal, "[\(name)] there is no kernel for \(inputs[0])") }
        let runtime = ThreadPool.shared.runtime
        return Kernel("scan") { kernel(runtime, line, $0.inputs[0], $0.outputs[0]) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }

    static let entries: [OperationEntry] = [ArgumentKernel.Extreme.maximum, .minimum].map { extreme in
        let word = extreme == .maximum ? "largest" : "smallest"
        return OperationEntry(
            Declaration(
                extreme == .maximum ? "argmax" : "argmin",
                "The position of the \(word) element along an axis, the first of equal ones.",
                shapes: "any shape; without the axis; int32",
                extra: JSONObject([("inputs", ["x"]), ("result_kinds", ["index"])]),
                arguments: [
                    Argument("axis", .optional(.axis), .null, "The axis; null for all elements in one row."),
                    Argument("keepdims", .bool, false, "Whether reduced axes stay, with size 1."),
                ],
                make: {
                    ArgumentOperation(extreme: extreme, axis: $0.optionalInt("axis"), keepDims: $0.bool("keepdims"))
                }),
            samples: [
                OperationSample(.uniform([3, 4]), differentiable: false),
                OperationSample(.uniform([3, 4, 2]), attributes: ["axis": 1], differentiable: false),
                OperationSample(
                    .integers([4, 3], below: 3), attributes: ["axis": -1, "keepdims": true], differentiable: false),
            ])
    }
}

/// `axis` nil for all elements in one row.
package func argmax(_ x: Value, axis: Int? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ArgumentOperation(extreme: .maximum, axis: axis, keepDims: keepDims), x)
}
package func argmin(_ x: Value, axis: Int? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ArgumentOperation(extreme: .minimum, axis: axis, keepDims: keepDims), x)
}
