import DLBase
import DLGraph
import DLTensor

/// y[..., k, ...] = x[...] == k.
struct OneHotOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "one_hot", "A 1 at the position that each element names, zeros elsewhere; positions outside give zeros alone.",
        shapes: "any shape; a new axis of size num_classes",
        extra: JSONObject([("inputs", ["x"]), ("input_kinds", ["index"])]),
        arguments: [
            Argument("num_classes", .int(1...Argument.positive.upperBound), nil, "The number of positions."),
            Argument("axis", .axis, -1, "Where the new axis stands in the result."),
            Argument("dtype", .dtype, "float32", "The dtype of the result."),
        ],
        make: {
            OneHotOperation(
                classes: $0.int("num_classes"), axis: $0.int("axis"), type: $0.type("dtype") ?? .float32)
        })

    static let samples = [
        OperationSample(.given([0, 2, -1, 3], [4], .int32), attributes: ["num_classes": 3], differentiable: false),
        OperationSample(
            .given([0, 1, 1, 0], [2, 2], .int64), attributes: ["num_classes": 2, "axis": 0, "dtype": "bool"],
            differentiable: false),
    ]

    let classes: Int
    let axis: Int
    let type: ElementType

    var attributes: JSON {
        ["num_classes": .int(Int64(classes)), "axis": .int(Int64(axis)), "dtype": .string(type.name)]
    }

    private func position(_ shape: Shape) throws -> Int {
        let rank = shape.rank + 1
        let position = axis < 0 ? axis &+ rank : axis
        guard position >= 0, position < rank else {
            throw DLError(.range, "[one_hot] axis \(axis) is out of range for a result with \(rank) axes. Received: \(shape)")
        }
        return position
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try Positions.expect(inputs[0], name)
        var sizes = inputs[0].shape.sizes
        sizes.insert(classes, at: try position(inputs[0].shape))
        return [TensorSpec(try Shape(checked: sizes), type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let x = inputs[0].shape
        let at = try position(x)
        let inner = x.sizes[at...].reduce(1, &*)
        let (count, classes, index, type) = (x.count, classes, inputs[0].type, type)
        let (bytes, width) = (outputs[0].byteCount, type.byteCount)
        return Kernel("scatter") { arguments in
            arguments.outputs[0].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            for i in 0..<count {
                let k = Positions.read(arguments.inputs[0], index, i)
                guard k >= 0, k < classes else { continue }
                let element = (i / inner &* classes &+ k) &* inner &+ i % inner
                Movement.fill(1, type, arguments.outputs[0] + element &* width, 1)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

package func oneHot(_ x: Value, classes: Int, axis: Int = -1, type: ElementType = .float32) throws -> Value {
    try apply(OneHotOperation(classes: classes, axis: axis, type: type), x)
}
