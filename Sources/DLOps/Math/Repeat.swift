import DLBase
import DLGraph
import DLTensor

/// The whole tensor side by side with itself.
struct TileOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "tile", "Repeats the whole tensor along its axes.", shapes: "any shape; each size times its number of repeats",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("repeats", .size(minimum: 0), nil, "How often, for each axis; aligned at the last axis.")
        ],
        make: { arguments in
            TileOperation(repeats: arguments.optionalInt("repeats").map { [$0] } ?? arguments.ints("repeats"))
        })

    static let samples = [
        OperationSample(.uniform([2, 3]), attributes: ["repeats": [2, 1]]),
        OperationSample(.uniform([3]), attributes: ["repeats": [2, 2]]),
        OperationSample(.uniform([2, 2]), attributes: ["repeats": 3]),
    ]

    let repeats: [Int]
    var attributes: JSON { ["repeats": .array(repeats.map { .int(Int64($0)) })] }

    /// Sizes and repeats with as many axes each.
    private func aligned(_ shape: Shape) -> (sizes: [Int], repeats: [Int]) {
        let rank = max(shape.rank, repeats.count)
        return (
            [Int](repeating: 1, count: rank - shape.rank) + shape.sizes,
            [Int](repeating: 1, count: rank - repeats.count) + repeats
        )
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let (sizes, times) = aligned(inputs[0].shape)
        return [TensorSpec(try Shape(checked: try zip(sizes, times).map(product)), inputs[0].type)]
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let (sizes, times) = aligned(inputs[0].shape)
        // Axes that are not repeated need no axis for their repeats.
        var (narrow, wide): ([Int], [Int]) = ([], [])
        for (size, repeats) in zip(sizes, times) {
            if repeats != 1 {
                narrow.append(1)
                wide.append(repeats)
            }
            narrow.append(size)
            wide.append(size)
        }
        let stretched = try broadcastTo(reshape(inputs[0], narrow), Shape(checked: wide))
        return [try reshape(stretched, try zip(sizes, times).map(product))]
    }
}

private func product(_ size: Int, _ repeats: Int) throws -> Int {
    let (product, overflow) = size.multipliedReportingOverflow(by: repeats)
    guard !overflow else { throw DLError(.shape, "the result is too large. Received: size \(size), repeats \(repeats)") }
    return product
}

package func tile(_ x: Value, _ repeats: [Int]) throws -> Value { try apply(TileOperation(repeats: repeats), x) }

/// Each element several times in a row.
struct RepeatOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "repeat", "Repeats each element along an axis.", shapes: "any shape; `axis` grows, null: one axis comes out",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("repeats", .size(minimum: 0), nil, "How often; a list has one number for each position of the axis."),
            Argument("axis", .optional(.axis), .null, "The axis; null for all elements in one row."),
        ],
        make: { arguments in
            RepeatOperation(
                repeats: arguments.optionalInt("repeats").map { [$0] } ?? arguments.ints("repeats"),
                axis: arguments.optionalInt("axis"))
        })

    static let samples = [
        OperationSample(.uniform([2, 3]), attributes: ["repeats": 2, "axis": 1]),
        OperationSample(.uniform([2, 3]), attributes: ["repeats": [1, 3], "axis": 0]),
        OperationSample(.uniform([2, 2]), attributes: ["repeats": 3]),
    ]

    let repeats: [Int]
    let axis: Int?
    var attributes: JSON {
        ["repeats": .array(repeats.map { .int(Int64($0)) }), "axis": axis.map { .int(Int64($0)) } ?? .null]
    }

    private func layout(_ x: Shape) throws -> (shape: Shape, axis: Int, counts: [Int]) {
        let shape = axis == nil ? Shape([x.count]) : x
        let position = try shape.axis(axis ?? 0, name)
        let counts = repeats.count == 1 ? [Int](repeating: repeats[0], count: shape[position]) : repeats
        guard counts.count == shape[position] else {
            throw DLError(
                .argument, "[repeat] 'repeats' must have one number for each of the \(shape[position]) positions. "
                    + "Received: \(Shape.text(repeats)) for \(x)")
        }
        return (shape, position, counts)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let (shape, position, counts) = try layout(inputs[0].shape)
        var sizes = shape.sizes
        sizes[position] = try counts.reduce(0) { sum, count in
            let (total, overflow) = sum.addingReportingOverflow(count)
            guard !overflow else { throw DLError(.shape, "[repeat] the result is too large. Received: \(shape)") }
            return total
        }
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let (shape, position, counts) = try layout(inputs[0].shape)
        let x = try axis == nil ? ravel(inputs[0]) : inputs[0]
        if repeats.count == 1 {
            var (narrow, wide) = (shape.sizes, shape.sizes)
            narrow.insert(1, at: position + 1)
            wide.insert(repeats[0], at: position + 1)
            let stretched = try broadcastTo(reshape(x, narrow), Shape(checked: wide))
            return [try reshape(stretched, outputs(for: inputs.map(\.spec))[0].shape.sizes)]
        }
        let total = counts.reduce(0, +)
        guard total < Int(Int32.max) else { throw DLError(.limit, "[repeat] the result is too large. Received: \(shape)") }
        var positions: [Int32] = []
        positions.reserveCapacity(total)
        for (index, count) in counts.enumerated() { for _ in 0..<count { positions.append(Int32(index)) } }
        return [try take(x, Value(Tensor(positions)), axis: position)]
    }
}

package func `repeat`(_ x: Value, _ repeats: Int, axis: Int? = nil) throws -> Value {
    try apply(RepeatOperation(repeats: [repeats], axis: axis), x)
}

/// Elements in the opposite order.
struct FlipOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "flip", "Reverses the order along axes.", shapes: "any shape; the same comes out",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("axis", .optional(.axes), .null, "The axes; null for all.")],
        make: { FlipOperation(axes: $0.optionalInts("axis")) })

    static let samples = [
        OperationSample(.uniform([2, 3])), OperationSample(.uniform([2, 3, 2]), attributes: ["axis": [1]]),
    ]

    let axes: [Int]?
    var attributes: JSON { ["axis": axes.map { .array($0.map { .int(Int64($0)) }) } ?? .null] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        _ = try Axes.reduced(axes, inputs[0].shape, name)
        return inputs
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let turned = try Axes.reduced(axes, inputs[0].shape, name)
        let entries = inputs[0].shape.sizes.indices.map {
            turned.contains($0) ? IndexEntry.range(start: nil, stop: nil, step: -1) : .all
        }
        return [try getItem(inputs[0], entries)]
    }
}

package func flip(_ x: Value, axes: [Int]? = nil) throws -> Value { try apply(FlipOperation(axes: axes), x) }

/// Elements moved along axes, those that leave coming in again at the other end.
struct RollOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "roll", "Moves elements along axes; what leaves at one end comes in at the other.",
        shapes: "any shape; the same comes out", extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("shift", .any, nil, "By how many positions; a list has one number for each axis."),
            Argument("axis", .optional(.axes), .null, "The axes; null treats all elements as one row."),
        ],
        make: { arguments in
            let given = arguments["shift"]
            let shifts = given.intValue.map { [$0] } ?? (given.arrayValue ?? []).compactMap(\.intValue)
            guard !shifts.isEmpty, shifts.count == given.arrayValue?.count ?? 1 else {
                throw arguments.error("shift", "a whole number or a list of them")
            }
            return RollOperation(shifts: shifts, axes: arguments.optionalInts("axis"))
        })

    static let samples = [
        OperationSample(.uniform([2, 3]), attributes: ["shift": 2]),
        OperationSample(.uniform([4, 3]), attributes: ["shift": [1, -1], "axis": [0, 1]]),
    ]

    let shifts: [Int]
    let axes: [Int]?
    var attributes: JSON {
        [
            "shift": .array(shifts.map { .int(Int64($0)) }),
            "axis": axes.map { .array($0.map { .int(Int64($0)) }) } ?? .null,
        ]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        for axis in axes ?? [] { _ = try inputs[0].shape.axis(axis, name) }
        guard shifts.count == 1 || shifts.count == axes?.count else {
            throw DLError(
                .argument, "[roll] 'shift' must be one number or one for each axis. "
                    + "Received: shift \(Shape.text(shifts)), axis \(axes.map { Shape.text($0) } ?? "null")")
        }
        return inputs
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        guard let axes else {
            let row = try RollOperation(shifts: shifts, axes: [0]).compose([ravel(inputs[0])])
            return [try reshape(row[0], inputs[0].shape.sizes)]
        }
        var x = inputs[0]
        for (index, given) in axes.enumerated() {
            let axis = try x.shape.axis(given, name)
            let size = x.shape[axis]
            guard size > 1 else { continue }
            let rest = shifts[shifts.count == 1 ? 0 : index] % size
            let shift = rest < 0 ? rest + size : rest
            guard shift != 0 else { continue }
            let parts = try split(x, at: [size - shift], axis: axis)
            x = try concatenate([parts[1], parts[0]], axis: axis)
        }
        return [x]
    }
}

package func roll(_ x: Value, _ shifts: [Int], axes: [Int]? = nil) throws -> Value {
    try apply(RollOperation(shifts: shifts, axes: axes), x)
}
