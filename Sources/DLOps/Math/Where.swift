import DLBase
import DLGraph
import DLKernels
import DLTensor

/// condition ? x1 : x2, all three broadcast.
struct WhereOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "where", "Takes each element from one of two tensors.", formula: "condition ? x1 : x2",
        shapes: "condition, x1 and x2 are broadcast", extra: JSONObject([("inputs", ["condition", "x1", "x2"])]),
        make: { _ in WhereOperation() })

    static let samples = [
        OperationSample(.integers([3, 4], below: 2, .bool), .uniform([3, 4]), .uniform([3, 4])),
        OperationSample(.integers([4], below: 2, .bool), .uniform([3, 1]), .uniform([])),
    ]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        let shape = try inputs[0].shape.broadcast(with: inputs[1].shape, name).broadcast(with: inputs[2].shape, name)
        return [TensorSpec(shape, inputs[1].type.promoted(with: inputs[2].type))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 3 else { return nil }
        let type = inputs[1].type.promoted(with: inputs[2].type)
        if inputs[0].type == .bool, inputs[1].type == type, inputs[2].type == type { return nil }
        return try DLGraph.apply(self, to: [cast(inputs[0], .bool), cast(inputs[1], type), cast(inputs[2], type)])
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        guard let plan = BroadcastPlan(inputs.map(\.shape.sizes), to: outputs[0].shape.sizes),
            let kernel = SelectKernel(byteCount: outputs[0].type.byteCount)
        else { throw DLError(.internal, "[where] there is no kernel for \(outputs[0])") }
        return Kernel("element-wise", inPlace: Broadcasting.inPlace(inputs, outputs[0], [1, 2])) {
            kernel(plan, condition: $0.input(0), $0.inputs[1], $0.inputs[2], $0.outputs[0])
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (condition, upstream) = (context.inputs[0], context.upstream)
        let zero = try constant(0, like: upstream)
        return [
            nil,
            try context.needs[1]
                ? sumToShape(`where`(condition, upstream, zero), context.inputs[1].shape) : nil,
            try context.needs[2]
                ? sumToShape(`where`(condition, zero, upstream), context.inputs[2].shape) : nil,
        ]
    }
}

package func `where`(_ condition: Value, _ a: Value, _ b: Value) throws -> Value {
    try apply(WhereOperation(), condition, a, b)
}
