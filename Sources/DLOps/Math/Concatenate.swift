import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Tensors side by side along an axis.
struct ConcatenateOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "concatenate", "Puts tensors side by side along an axis.",
        shapes: "shapes that differ along `axis` only; there the sizes add up",
        extra: JSONObject([("inputs", ["xs"]), ("variadic", true)]),
        arguments: [Argument("axis", .axis, 0, "The axis along which they stand.")],
        make: { ConcatenateOperation(axis: $0.int("axis")) })

    static let samples = [
        OperationSample(.uniform([2, 3]), .uniform([1, 3])),
        OperationSample(.uniform([2, 3]), .uniform([2, 1]), .uniform([2, 2]), attributes: ["axis": -1]),
        OperationSample(.uniform([2, 2, 3]), .uniform([2, 1, 3]), attributes: ["axis": 1]),
    ]

    let axis: Int
    var attributes: JSON { ["axis": .int(Int64(axis))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard let first = inputs.first else {
            throw DLError(.argument, "[concatenate] takes at least one input. Received: 0")
        }
        let position = try first.shape.axis(axis, name)
        var sizes = first.shape.sizes
        for input in inputs.dropFirst() {
            let fits = input.shape.rank == first.shape.rank
                && sizes.indices.allSatisfy { $0 == position || input.shape[$0] == first.shape[$0] }
            guard fits else {
                throw DLError(
                    .shape, "[concatenate] shapes may differ along axis \(axis) only. Received: "
                        + inputs.map { "\($0.shape)" }.joined(separator: ", "))
            }
            // The sum may overflow before the shape is checked.
            let (sum, overflow) = sizes[position].addingReportingOverflow(input.shape[position])
            guard !overflow else { throw DLError(.shape, "[concatenate] the result is too large. Received: \(inputs.count) inputs") }
            sizes[position] = sum
        }
        return [TensorSpec(try Shape(checked: sizes), Promotion.common(inputs.map(\.type)))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        try Promotion.meet(inputs, Promotion.common(inputs.map(\.type))).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let target = outputs[0].shape
        let position = try target.axis(axis, name)
        let strides = target.strides
        var offset = 0
        let copies = inputs.map { input -> StridedCopy in
            let copy = StridedCopy(
                sizes: input.shape.sizes, source: input.shape.strides, target: strides, targetOffset: offset,
                type: input.type)
            offset &+= input.shape[position] &* strides[position]
            return copy
        }
        return Kernel("strided") { arguments in
            for (index, copy) in copies.enumerated() { copy(ThreadPool.shared.runtime, arguments.inputs[index], arguments.outputs[0]) }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let position = try context.inputs[0].shape.axis(axis, name)
        var start = 0
        return try context.inputs.enumerated().map { index, input in
            let from = start
            start += input.shape[position]
            guard context.needs[index] else { return nil }
            let before = [IndexEntry](repeating: .all, count: position)
            return try getItem(context.upstream, before + [.range(start: from, stop: start, step: 1)])
        }
    }
}

package func concatenate(_ values: [Value], axis: Int = 0) throws -> Value {
    try apply(ConcatenateOperation(axis: axis), to: values)[0]
}

/// Tensors of one shape along a new axis.
struct StackOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "stack", "Puts tensors of one shape side by side along a new axis.", shapes: "n of one shape; a new axis of size n",
        extra: JSONObject([("inputs", ["x"]), ("variadic", true)]),
        arguments: [Argument("axis", .axis, 0, "Where the new axis stands in the result.")],
        make: { StackOperation(axis: $0.int("axis")) })

    static let samples = [
        OperationSample(.uniform([2, 3]), .uniform([2, 3])),
        OperationSample(.uniform([2, 3]), .uniform([2, 3]), attributes: ["axis": -1]),
    ]

    let axis: Int
    var attributes: JSON { ["axis": .int(Int64(axis))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard let first = inputs.first else { throw DLError(.argument, "[stack] takes at least one input. Received: 0") }
        guard inputs.allSatisfy({ $0.shape == first.shape }) else {
            throw DLError(
                .shape, "[stack] shapes must be equal. Received: " + inputs.map { "\($0.shape)" }.joined(separator: ", "))
        }
        let rank = first.shape.rank + 1
        let position = axis < 0 ? axis &+ rank : axis
        guard position >= 0, position < rank else {
            throw DLError(
                .range, "[stack] axis \(axis) is out of range for a result with \(rank) axes. Received: \(first.shape)")
        }
        var sizes = first.shape.sizes
        sizes.insert(inputs.count, at: position)
        return [TensorSpec(try Shape(checked: sizes), Promotion.common(inputs.map(\.type)))]
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let rank = inputs[0].shape.rank + 1
        let position = axis < 0 ? axis + rank : axis
        return [try concatenate(inputs.map { try expandDims($0, position) }, axis: position)]
    }
}

package func stack(_ values: [Value], axis: Int = 0) throws -> Value {
    try apply(StackOperation(axis: axis), to: values)[0]
}

/// Parts of a tensor along an axis.
struct SplitOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "split", "Cuts a tensor into parts along an axis.", shapes: "any shape; parts that differ along `axis`",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("indices_or_sections", .any, nil, "A number of equal parts, or a list of the positions to cut at."),
            Argument("axis", .axis, 0, "The axis that is cut."),
        ],
        make: { arguments in
            let given = arguments["indices_or_sections"]
            if let sections = given.intValue, sections > 0 {
                return SplitOperation(.sections(sections), axis: arguments.int("axis"))
            }
            let cuts = given.arrayValue?.compactMap(\.intValue)
            guard let cuts, cuts.count == given.arrayValue?.count else {
                throw arguments.error("indices_or_sections", "a whole number of at least 1 or a list of positions")
            }
            return SplitOperation(.cuts(cuts), axis: arguments.int("axis"))
        })

    static let samples = [
        OperationSample(.uniform([4, 3]), attributes: ["indices_or_sections": 2]),
        OperationSample(.uniform([2, 5]), attributes: ["indices_or_sections": [1, 3], "axis": -1]),
    ]

    enum Parts: Equatable, Sendable {
        case sections(Int)
        case cuts([Int])
    }

    let parts: Parts
    let axis: Int

    init(_ parts: Parts, axis: Int) {
        self.parts = parts
        self.axis = axis
    }

    var attributes: JSON {
        switch parts {
        case .sections(let count): ["indices_or_sections": .int(Int64(count)), "axis": .int(Int64(axis))]
        case .cuts(let cuts):
            ["indices_or_sections": .array(cuts.map { .int(Int64($0)) }), "axis": .int(Int64(axis))]
        }
    }

    private func borders(_ size: Int, _ shape: Shape) throws -> [Int] {
        switch parts {
        case .sections(let count):
            guard size % count == 0 else {
                throw DLError(
                    .shape, "[split] axis \(axis) of size \(size) cannot be cut into \(count) equal parts. Received: \(shape)")
            }
            return (0...count).map { $0 * (size / count) }
        case .cuts(let cuts):
            let positions = [0] + cuts.map { min(max($0 < 0 ? $0 &+ size : $0, 0), size) } + [size]
            guard zip(positions, positions.dropFirst()).allSatisfy({ $0 <= $1 }) else {
                throw DLError(.argument, "[split] positions must not decrease. Received: \(Shape.text(cuts)) for \(shape)")
            }
            return positions
        }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        let position = try shape.axis(axis, name)
        if case .sections(let count) = parts, count > max(shape[position], 1) {
            throw DLError(
                .shape, "[split] axis \(axis) of size \(shape[position]) cannot be cut into \(count) equal parts. Received: \(shape)")
        }
        let borders = try borders(shape[position], shape)
        return zip(borders, borders.dropFirst()).map { from, to in
            var sizes = shape.sizes
            sizes[position] = to - from
            return TensorSpec(Shape(sizes), inputs[0].type)
        }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let source = inputs[0].shape
        let position = try source.axis(axis, name)
        let strides = source.strides
        var offset = 0
        let copies = outputs.map { output -> StridedCopy in
            let copy = StridedCopy(
                sizes: output.shape.sizes, source: strides, target: output.shape.strides, sourceOffset: offset,
                type: output.type)
            offset &+= output.shape[position] &* strides[position]
            return copy
        }
        return Kernel("strided") { arguments in
            for (index, copy) in copies.enumerated() { copy(ThreadPool.shared.runtime, arguments.inputs[0], arguments.outputs[index]) }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let parts = try zip(context.outputGradients, context.outputs).map { try $0 ?? zerosLike($1) }
        return [try concatenate(parts, axis: axis)]
    }
}

/// Equal parts along an axis.
package func split(_ x: Value, sections: Int, axis: Int = 0) throws -> [Value] {
    guard sections > 0 else {
        throw DLError(.argument, "[split] 'indices_or_sections' must be at least 1. Received: \(sections)")
    }
    return try apply(SplitOperation(.sections(sections), axis: axis), to: [x])
}

/// Parts between the positions to cut at.
package func split(_ x: Value, at cuts: [Int], axis: Int = 0) throws -> [Value] {
    try apply(SplitOperation(.cuts(cuts), axis: axis), to: [x])
}

/// The sub-tensors along an axis.
struct UnstackOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "unstack", "The sub-tensors along an axis, which goes.", shapes: "any shape; as many without `axis` as its size",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument("num", .optional(.int(Argument.positive)), .null, "How many are expected; null for the size of the axis."),
            Argument("axis", .axis, 0, "The axis that goes."),
        ],
        make: { UnstackOperation(number: $0.optionalInt("num"), axis: $0.int("axis")) })

    static let samples = [OperationSample(.uniform([3, 2]), attributes: ["axis": 1])]

    let number: Int?
    let axis: Int
    var attributes: JSON { ["num": number.map { .int(Int64($0)) } ?? .null, "axis": .int(Int64(axis))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        let position = try shape.axis(axis, name)
        guard number == nil || number == shape[position] else {
            throw DLError(
                .shape, "[unstack] axis \(axis) has size \(shape[position]), not \(number ?? 0). Received: \(shape)")
        }
        guard shape[position] <= 1 << 20 else {
            throw DLError(.limit, "[unstack] more than a million parts. Received: \(shape)")
        }
        return [TensorSpec](
            repeating: TensorSpec(shape.removing(axes: [position]), inputs[0].type), count: shape[position])
    }

    func compose(_ inputs: [Value]) throws -> [Value] {
        let position = try inputs[0].shape.axis(axis, name)
        guard inputs[0].shape[position] > 0 else { return [] }
        return try split(inputs[0], sections: inputs[0].shape[position], axis: position).map {
            try squeeze($0, axes: [position])
        }
    }
}

package func unstack(_ x: Value, axis: Int = 0) throws -> [Value] {
    try apply(UnstackOperation(number: nil, axis: axis), to: [x])
}
