import DLBase
import DLGraph
import DLKernels
import DLTensor

private func readKey(_ json: JSON, _ operation: String) throws -> [IndexEntry] {
    guard let entries = json.arrayValue else { return [try IndexEntry(json, operation)] }
    return try entries.map { try IndexEntry($0, operation) }
}

private let keyArgument = Argument(
    "key", .any, nil,
    "For each axis, outermost first, a position or {\"start\", \"stop\", \"step\"}; axes left out are taken whole.")

/// Positions and ranges of the axes.
struct GetItemOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "get_item", "Part of a tensor: positions, whose axes go, and ranges.",
        shapes: "any shape; one axis for each range", extra: JSONObject([("inputs", ["x"])]), arguments: [keyArgument],
        make: { GetItemOperation(try readKey($0["key"], "get_item")) })

    static let samples = [
        OperationSample(.uniform([3, 4]), attributes: ["key": [["at": 1]]]),
        OperationSample(
            .uniform([3, 4, 2]), attributes: ["key": [["start": 0, "stop": 2], ["start": -1, "step": -2]]]),
        OperationSample(.uniform([3, 4]), attributes: ["key": [["start": 2, "stop": 1]]]),
    ]

    let entries: [IndexEntry]
    init(_ entries: [IndexEntry]) { self.entries = entries }

    var attributes: JSON { ["key": .array(entries.map(\.json))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec(try IndexPlan(entries, inputs[0].shape, name).shape, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let plan = try IndexPlan(entries, inputs[0].shape, name)
        return Movement.strided(
            StridedCopy(
                sizes: plan.sizes, source: plan.strides, target: plan.denseStrides, sourceOffset: plan.offset,
                type: inputs[0].type))
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try apply(GetItemGradientOperation(entries, context.inputs[0].shape), context.upstream)]
    }
}

/// Puts a part back into a tensor of zeros.
struct GetItemGradientOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "get_item_gradient", "Zeros of a shape, with a part of them set: what get_item's gradient is.",
        shapes: "the part; `shape` comes out", extra: JSONObject([("inputs", ["dy"]), ("internal", true)]),
        arguments: [keyArgument, Argument("shape", .shape, nil, "The shape of the whole.")],
        make: {
            GetItemGradientOperation(
                try readKey($0["key"], "get_item_gradient"), try Shape(checked: $0.shape("shape").map { $0 ?? -1 }))
        })

    static let samples = [
        OperationSample(.uniform([4]), attributes: ["key": [["at": 1]], "shape": [3, 4]]),
        OperationSample(
            .uniform([2, 2]), attributes: ["key": [["start": 1], ["step": -2]], "shape": [3, 4]]),
    ]

    let entries: [IndexEntry]
    let whole: Shape
    init(_ entries: [IndexEntry], _ whole: Shape) {
        self.entries = entries
        self.whole = whole
    }

    var attributes: JSON {
        ["key": .array(entries.map(\.json)), "shape": .array(whole.sizes.map { .int(Int64($0)) })]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let part = try IndexPlan(entries, whole, name).shape
        guard part == inputs[0].shape else {
            throw DLError(.shape, "[\(name)] the part has the shape \(part). " + received(("dy", inputs[0])))
        }
        return [TensorSpec(whole, inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let plan = try IndexPlan(entries, whole, name)
        let copy = StridedCopy(
            sizes: plan.sizes, source: plan.denseStrides, target: plan.strides, targetOffset: plan.offset,
            type: inputs[0].type)
        let bytes = outputs[0].byteCount
        return Kernel("strided") {
            $0.outputs[0].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            copy(ThreadPool.shared.runtime, $0.inputs[0], $0.outputs[0])
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [try getItem(context.upstream, entries)] }
}

package func getItem(_ x: Value, _ entries: [IndexEntry]) throws -> Value { try apply(GetItemOperation(entries), x) }

/// Part of a value as `dl_tensor_index` gives it: memory is shared where the part is one run of it and nobody records.
package func index(_ x: Value, _ entries: [IndexEntry]) throws -> Value {
    let context = ThreadContext.current
    if case .concrete(let tensor) = x.kind, !context.tapes.contains(where: { $0.tracks(x) }) {
        return Value(try tensor.part(entries))
    }
    return try getItem(x, entries)
}

/// Start positions and sizes, as Keras's ops.slice has them.
struct SliceOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "slice", "A block of a tensor.", shapes: "any shape; `shape` comes out", extra: JSONObject([("inputs", ["inputs"])]),
        arguments: [
            Argument("start_indices", .list(.index), nil, "Where the block begins along each axis."),
            Argument("shape", .shape, nil, "Its sizes; -1 up to the end."),
        ],
        make: { SliceOperation(start: $0.ints("start_indices"), sizes: $0.shape("shape").map { $0 ?? -1 }) })

    static let samples = [OperationSample(.uniform([3, 4]), attributes: ["start_indices": [1, 0], "shape": [2, -1]])]

    let start: [Int]
    let sizes: [Int]
    var attributes: JSON {
        [
            "start_indices": .array(start.map { .int(Int64($0)) }),
            "shape": .array(sizes.map { .int(Int64($0)) }),
        ]
    }

    private func entries(_ shape: Shape) throws -> [IndexEntry] {
        guard start.count == shape.rank, sizes.count == shape.rank else {
            throw DLError(
                .argument, "[slice] 'start_indices' and 'shape' must have one entry for each of the \(shape.rank) axes. "
                    + "Received: \(Shape.text(start)) and \(Shape.text(sizes))")
        }
        return try shape.sizes.indices.map { axis in
            let begin = start[axis]
            let size = sizes[axis] < 0 ? shape[axis] - min(max(begin, 0), shape[axis]) : sizes[axis]
            guard begin >= 0, begin <= shape[axis], size <= shape[axis] - begin else {
                throw DLError(
                    .range, "[slice] a block of \(size) from \(begin) exceeds axis \(axis). Received: \(shape)")
            }
            return .range(start: begin, stop: begin + size, step: 1)
        }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return try GetItemOperation(entries(inputs[0].shape)).outputs(for: inputs)
    }

    func compose(_ inputs: [Value]) throws -> [Value] { [try getItem(inputs[0], entries(inputs[0].shape))] }
}

/// A copy of a tensor with a block of it replaced.
struct SliceUpdateOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "slice_update", "A copy of a tensor with a block of it replaced.", shapes: "inputs and a smaller block; inputs' shape",
        extra: JSONObject([("inputs", ["inputs", "updates"])]),
        arguments: [Argument("start_indices", .list(.index), nil, "Where the block begins along each axis.")],
        make: { SliceUpdateOperation(start: $0.ints("start_indices")) })

    static let samples = [
        OperationSample(.uniform([3, 4]), .uniform([2, 2]), attributes: ["start_indices": [1, 0]])
    ]

    let start: [Int]
    var attributes: JSON { ["start_indices": .array(start.map { .int(Int64($0)) })] }

    private func entries(_ whole: TensorSpec, _ block: TensorSpec) throws -> [IndexEntry] {
        guard whole.type == block.type, start.count == whole.shape.rank, block.shape.rank == whole.shape.rank else {
            throw DLError(
                .argument, "[slice_update] inputs, updates and 'start_indices' must have as many axes, and one dtype. "
                    + received(("inputs", whole), ("updates", block)) + ", start \(Shape.text(start))")
        }
        return try start.indices.map { axis in
            guard start[axis] >= 0, start[axis] <= whole.shape[axis],
                block.shape[axis] <= whole.shape[axis] - start[axis]
            else {
                throw DLError(
                    .range, "[slice_update] the block from \(Shape.text(start)) exceeds axis \(axis). "
                        + received(("inputs", whole), ("updates", block)))
            }
            return .range(start: start[axis], stop: start[axis] + block.shape[axis], step: 1)
        }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        _ = try entries(inputs[0], inputs[1])
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let plan = try IndexPlan(entries(inputs[0], inputs[1]), inputs[0].shape, name)
        let copy = StridedCopy(
            sizes: plan.sizes, source: plan.denseStrides, target: plan.strides, targetOffset: plan.offset,
            type: inputs[0].type)
        let bytes = inputs[0].byteCount
        return Kernel("strided", inPlace: [(0, 0)]) {
            if $0.outputs[0] != $0.inputs[0] { $0.outputs[0].copyMemory(from: $0.inputs[0], byteCount: bytes) }
            copy(ThreadPool.shared.runtime, $0.inputs[1], $0.outputs[0])
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let part = try entries(context.inputs[0].spec, context.inputs[1].spec)
        let upstream = context.upstream
        return [
            try context.needs[0] ? apply(self, upstream, zerosLike(context.inputs[1])) : nil,
            try context.needs[1] ? getItem(upstream, part) : nil,
        ]
    }
}
