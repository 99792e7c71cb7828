import DLBase
import DLGraph
import DLTensor

/// Positions along several axes as positions in rows of memory.
struct FlatPositionsOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "flat_positions", "Positions along several axes, as positions among all elements of those axes.",
        formula: "y = sum over k of x[..., k] times the product of the sizes after k", shapes: "(..., k) for k sizes; (...) int64",
        extra: JSONObject([("inputs", ["x"]), ("input_kinds", ["index"]), ("internal", true)]),
        arguments: [Argument("shape", .shape, nil, "The sizes of the axes.")],
        make: { FlatPositionsOperation(sizes: try Shape(checked: $0.shape("shape").map { $0 ?? -1 })) })

    static let samples = [
        OperationSample(.given([0, 1, 1, -1, 1, 2], [3, 2], .int32), attributes: ["shape": [2, 3]], differentiable: false)
    ]

    let sizes: Shape
    var attributes: JSON { ["shape": .array(sizes.sizes.map { .int(Int64($0)) })] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try Positions.expect(inputs[0], name)
        guard inputs[0].shape.rank >= 1, inputs[0].shape.last == sizes.rank else {
            throw DLError(
                .shape, "[\(name)] the last axis of the positions must have \(sizes.rank) entries, one for each axis of "
                    + "\(sizes). Received: \(inputs[0])")
        }
        return [TensorSpec(Shape(Array(inputs[0].shape.sizes.dropLast())), .int64)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (count, type, sizes, strides) = (outputs[0].shape.count, inputs[0].type, sizes.sizes, sizes.strides)
        return Kernel("loop", cannotFail: false) { arguments in
            let target = arguments.output(0, Int64.self)
            for i in 0..<count {
                var flat = 0
                for axis in 0..<sizes.count {
                    let at = Positions.read(arguments.inputs[0], type, i &* sizes.count &+ axis)
                    flat &+= try Positions.resolve(at, sizes[axis], "flat_positions") &* strides[axis]
                }
                target[i] = Int64(flat)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

/// Rows of a tensor changed at given positions.
struct ScatterRowsOperation: DeclaredOperation {
    enum Change: String, CaseIterable {
        case assign, add, mul, max, min
    }

    static let declaration = Declaration<any Operation>(
        "scatter_rows", "Rows along the first axis, changed at given positions by rows of another tensor, in their order.",
        formula: "x[indices[i]] = updates[i], or += , *=, max, min",
        shapes: "x (n, ...), indices (m,), updates (m, ...); x's shape comes out",
        extra: JSONObject([
            ("inputs", ["x", "indices", "updates"]), ("input_kinds", ["any", "index", "any"]), ("internal", true),
        ]),
        arguments: [Argument("reduction", .choice(Change.allCases.map(\.rawValue)), "assign", "How they are changed.")],
        make: { ScatterRowsOperation(change: Change(rawValue: $0.string("reduction")) ?? .assign) })

    static let samples = Change.allCases.map { change in
        OperationSample(
            .uniform([4, 2], 0.5...1.5, gap: 0.01), .given([2, 0, 2], [3], .int64), .uniform([3, 2], 0.6...1.4, gap: 0.01),
            attributes: ["reduction": .string(change.rawValue)])
    }

    let change: Change
    var attributes: JSON { ["reduction": .string(change.rawValue)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 3, name)
        try Positions.expect(inputs[1], name)
        let (x, indices, updates) = (inputs[0].shape, inputs[1].shape, inputs[2].shape)
        guard x.rank >= 1, indices.rank == 1, updates.sizes == indices.sizes + x.sizes.dropFirst(),
            inputs[0].type == inputs[2].type, inputs[0].type != .bool
        else {
            throw DLError(
                .shape, "[\(name)] updates must be rows of x, one for each position. "
                    + received(("x", inputs[0]), ("indices", inputs[1]), ("updates", inputs[2])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (size, count, element, type) = (inputs[0].shape[0], inputs[1].shape[0], inputs[0].type, inputs[1].type)
        let (bytes, row, change) = (inputs[0].byteCount, inputs[0].shape.sizes.dropFirst().reduce(1, &*), change)
        let rowBytes = row &* element.byteCount
        return Kernel("scatter", cannotFail: false) { arguments in
            arguments.outputs[0].copyMemory(from: arguments.inputs[0], byteCount: bytes)
            for i in 0..<count {
                let at = try Positions.resolve(Positions.read(arguments.inputs[1], type, i), size, "scatter")
                let (source, target) = (arguments.inputs[2] + i &* rowBytes, arguments.outputs[0] + at &* rowBytes)
                switch change {
                case .assign: target.copyMemory(from: source, byteCount: rowBytes)
                case .add: Loops.accumulate(element, source, target, row)
                case .mul: Loops.multiply(element, source, target, row)
                case .max: Loops.extreme(element, source, target, row, largest: true)
                case .min: Loops.extreme(element, source, target, row, largest: false)
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, indices, updates, dy) = (context.inputs[0], context.inputs[1], context.inputs[2], context.upstream)
        let rows = updates.shape.sizes
        func sums(_ value: Value) throws -> Value {
            try apply(TakeGradientOperation(axis: 0, size: x.shape[0]), value, indices)
        }
        let number = try Value(Tensor(number: 1, x.type, shape: Shape(rows)))
        switch change {
        case .add:
            return [dy, nil, try take(dy, indices, axis: 0)]
        case .assign:
            let touched = try greater(sums(number), constant(0, like: x))
            // Of several for one row the last stays.
            let order = try Value(Tensor((0..<Int64(indices.shape.count)).map { $0 }))
            let last = try DLGraph.apply(
                ScatterRowsOperation(change: .assign), Value(Tensor(number: -1, .int64, shape: [x.shape[0]])), indices, order)
            let stays = try reshape(
                equal(take(last, indices, axis: 0), order), [rows[0]] + [Int](repeating: 1, count: rows.count - 1))
            return [
                try `where`(touched, constant(0, like: dy), dy), nil,
                try `where`(stays, take(dy, indices, axis: 0), constant(0, like: dy)),
            ]
        case .max, .min:
            // Of equal ones each takes its share.
            let y = context.outputs[0]
            let ownX = try cast(equal(x, y), dy.type)
            let ownU = try cast(equal(updates, take(y, indices, axis: 0)), dy.type)
            let share = try divide(dy, add(ownX, sums(ownU)))
            return [try multiply(share, ownX), nil, try multiply(take(share, indices, axis: 0), ownU)]
        case .mul:
            // The product of the others, also where there are zeros.
            let one = try constant(1, like: x)
            let isZero = try equal(updates, constant(0, like: updates))
            let others = try `where`(isZero, one, updates)
            let ones = try Value(Tensor(number: 1, x.type, shape: x.shape))
            let product = try apply(self, ones, indices, others)
            let zeros = try sums(cast(isZero, x.type))
            let all = try `where`(greater(zeros, constant(0, like: zeros)), constant(0, like: x), product)
            let dyx = try take(multiply(dy, x), indices, axis: 0)
            let count = try take(zeros, indices, axis: 0)
            let atZero = try cast(equal(count, one), x.type)
            let elsewhere = try cast(equal(count, constant(0, like: count)), x.type)
            let rest = try divide(take(product, indices, axis: 0), others)
            let du = try multiply(multiply(dyx, rest), `where`(isZero, atZero, elsewhere))
            return [try multiply(dy, all), nil, du]
        }
    }
}

/// x with rows along the first axis changed.
func scatterRows(_ x: Value, _ indices: Value, _ updates: Value, _ change: ScatterRowsOperation.Change) throws -> Value {
    try apply(ScatterRowsOperation(change: change), x, indices, updates)
}

/// x as (elements of the axes that positions name, the rest), positions flat, updates as (positions, the rest).
private func asRows(_ shape: Shape, _ indices: Value, _ updates: Value, _ name: String) throws -> (
    rows: [Int], indices: Value, updates: Value
) {
    try Positions.expect(indices.spec, name)
    let depth = indices.shape.rank >= 1 ? indices.shape.last : 0
    guard indices.shape.rank >= 1, depth >= 1, depth <= shape.rank,
        updates.shape.sizes == indices.shape.sizes.dropLast() + shape.sizes[depth...]
    else {
        throw DLError(
            .shape, "[\(name)] indices (..., k) name positions along the first k axes, and the values have the shape of "
                + "indices without its last axis, then the sizes of the other axes. "
                + received(("indices", indices.spec), ("values", updates.spec)) + ", shape \(shape)")
    }
    let count = indices.shape.sizes.dropLast().reduce(1, &*)
    let outer = shape.sizes[..<depth].reduce(1, &*)
    let inner = shape.sizes[depth...].reduce(1, &*)
    let flat = try apply(FlatPositionsOperation(sizes: Shape(Array(shape.sizes[..<depth]))), indices)
    return ([outer, inner], try reshape(flat, [count]), try reshape(updates, [count, inner]))
}

private func segmentEntry(_ change: ScatterRowsOperation.Change, _ summary: String, _ number: Double) -> OperationEntry {
    let name = "segment_\(change == .mul ? "prod" : change.rawValue)"
    return FormulaOperation.derived(
        name, summary, shapes: "data (n, ...), segment_ids (n,); (num_segments, ...)", inputs: ["data", "segment_ids"],
        extra: JSONObject([("input_kinds", ["any", "index"])]), arguments: segmentArguments,
        samples: [
            OperationSample(
                .uniform([4, 2], 0.5...1.5, gap: 0.01), .given([0, 2, 0, 1], [4], .int32), attributes: ["num_segments": 3])
        ]
    ) { inputs, arguments in
        let (data, ids) = (inputs[0], inputs[1])
        guard data.shape.rank >= 1, ids.shape == Shape([data.shape[0]]) else {
            throw DLError(
                .shape, "[\(name)] takes rows and as many segment numbers. "
                    + received(("data", data.spec), ("segment_ids", ids.spec)))
        }
        let count = try segmentCount(arguments, ids)
        let spec = TensorSpec(try Shape(checked: [count] + data.shape.sizes.dropFirst()), data.type)
        // Segments without a row keep what nothing changes: the least number for max.
        return [try scatterRows(Value(Tensor(number: number, spec.type, shape: spec.shape)), ids, data, change)]
    }
}

let segmentArguments = [
    Argument(
        "num_segments", .optional(.int(Argument.positive)), .null,
        "How many segments there are; null for one more than the largest number, which compiled functions cannot know."),
    Argument("sorted", .bool, false, "Whether the numbers rise; it makes no difference here."),
]

/// How many segments there are, by argument or by the numbers.
func segmentCount(_ arguments: Arguments, _ ids: Value) throws -> Int {
    if let count = arguments.optionalInt("num_segments") { return count }
    try Positions.expect(ids.spec, arguments.owner)
    guard !ids.isSymbolic else {
        throw DLError(
            .unsupported, "[\(arguments.owner)] the size of the result depends on the numbers; give 'num_segments' where they "
                + "are not known yet. Received: symbolic \(ids.shape)")
    }
    let numbers = try ids.tensor(arguments.owner).numbers
    let largest = numbers.max() ?? 0
    guard largest >= 0, largest < Double(Int32.max) else {
        throw DLError(.range, "[\(arguments.owner)] segment numbers must be from 0 to 2147483646. Received: \(Text.shortest(largest))")
    }
    return Int(largest) + 1
}

/// Values put where positions say.
let scatterEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "scatter", "Zeros to which values are added at given positions.", formula: "y[indices[i]] += values[i]",
        shapes: "indices (..., k) name positions along the first k axes, values (..., the other axes); `shape` comes out",
        inputs: ["indices", "values"], extra: JSONObject([("input_kinds", ["index", "any"])]),
        arguments: [Argument("shape", .shape, nil, "The sizes of the result.")],
        samples: [
            OperationSample(
                .given([0, 1, 1, 2, 0, 1], [3, 2], .int32), .uniform([3]), attributes: ["shape": [2, 3]]),
            OperationSample(.given([2, 0], [2, 1], .int32), .uniform([2, 3]), attributes: ["shape": [4, 3]]),
        ]
    ) { inputs, arguments in
        let shape = try Shape(checked: arguments.shape("shape").map { $0 ?? -1 })
        let (rows, indices, values) = try asRows(shape, inputs[0], inputs[1], "scatter")
        return [try reshape(apply(TakeGradientOperation(axis: 0, size: rows[0]), values, indices), shape.sizes)]
    },
    FormulaOperation.derived(
        "scatter_update", "A tensor changed at given positions: the values take the place of what is there, or are combined with it.",
        formula: "x[indices[i]] = updates[i]; or +=, *=, max, min",
        shapes: "indices (..., k) name positions along the first k axes, updates (..., the other axes); the shape of inputs comes out",
        inputs: ["inputs", "indices", "updates"], extra: JSONObject([("input_kinds", ["any", "index", "any"])]),
        arguments: [
            Argument(
                "reduction", .optional(.choice(["add", "max", "min", "mul"])), .null,
                "How values and what is there are combined; null replaces it, the last of several values for one position stays.")
        ],
        samples: [
            OperationSample(.uniform([2, 3]), .given([0, 1, 1, 2], [2, 2], .int32), .uniform([2])),
            OperationSample(
                .uniform([4, 2]), .given([2, 0, 2], [3, 1], .int64), .uniform([3, 2]), attributes: ["reduction": "add"]),
            OperationSample(
                .uniform([4, 2], gap: 0.01), .given([2, 0, 2], [3, 1], .int64), .uniform([3, 2], -1.9...1.9, gap: 0.01), attributes: ["reduction": "max"]),
        ]
    ) { inputs, arguments in
        let type = Promotion.arithmetic([inputs[0].type])
        let x = try cast(inputs[0], type)
        let (rows, indices, updates) = try asRows(x.shape, inputs[1], cast(inputs[2], type), "scatter_update")
        let change = arguments.optionalString("reduction").flatMap { ScatterRowsOperation.Change(rawValue: $0) } ?? .assign
        return [try reshape(scatterRows(reshape(x, rows), indices, updates, change), x.shape.sizes)]
    },
    segmentEntry(.max, "The largest of the rows that belong to one segment, element by element.", -.infinity),
    segmentEntry(.min, "The smallest of the rows that belong to one segment, element by element.", .infinity),
    segmentEntry(.mul, "The product of the rows that belong to one segment, element by element.", 1),
]
