import DLBase
import DLGraph
import DLTensor

/// Positions as kernels read them.
enum Positions {
    static let types: [ElementType] = [.int32, .int64, .uint8]

    static func expect(_ spec: TensorSpec, _ operation: String) throws {
        guard spec.type.isInteger else {
            throw DLError(.dtype, "[\(operation)] positions must be whole numbers. Received: \(spec)")
        }
    }

    @inline(__always)
    static func read(_ pointer: UnsafeRawPointer, _ type: ElementType, _ index: Int) -> Int {
        switch type {
        case .int64: Int(pointer.assumingMemoryBound(to: Int64.self)[index])
        case .int32: Int(pointer.assumingMemoryBound(to: Int32.self)[index])
        default: Int(pointer.assumingMemoryBound(to: UInt8.self)[index])
        }
    }

    /// A position given as -size ..< size as 0 ..< size.
    @inline(__always)
    static func resolve(_ position: Int, _ size: Int, _ operation: String) throws -> Int {
        let index = position < 0 ? position &+ size : position
        guard index >= 0, index < size else {
            throw DLError(
                .range, "[\(operation)] position \(position) is out of range for an axis of size \(size). "
                    + "Received: position \(position)")
        }
        return index
    }
}

/// y = x at given positions along an axis.
struct TakeOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "take", "Elements, or sub-tensors along an axis, at given positions; negative ones count from the end.",
        shapes: "x and indices of any shape; in x's shape `axis` is replaced by indices' shape",
        extra: JSONObject([("inputs", ["x", "indices"]), ("input_kinds", ["any", "index"])]),
        arguments: [
            Argument("axis", .optional(.axis), .null, "The axis; null treats all elements as one row."),
            Argument("from_end", .bool, true, "Whether negative positions count from the end; otherwise they are refused."),
        ],
        make: { TakeOperation(axis: $0.optionalInt("axis"), fromEnd: $0.bool("from_end")) })

    static let samples = [
        OperationSample(.uniform([4, 3]), .given([2, 0, 2], [3], .int32), attributes: ["axis": 0]),
        OperationSample(.uniform([2, 3, 2]), .given([0, -1, 1, 1], [2, 2], .int64), attributes: ["axis": 1]),
        OperationSample(.uniform([2, 3]), .given([5, 0], [2], .int32)),
        OperationSample(.uniform([2, 3]), .given([1], [], .int32), attributes: ["axis": -1]),
    ]

    let axis: Int?
    var fromEnd = true
    var attributes: JSON {
        let axis: JSON = axis.map { .int(Int64($0)) } ?? .null
        return fromEnd ? ["axis": axis] : ["axis": axis, "from_end": false]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try Positions.expect(inputs[1], name)
        let shape = axis == nil ? Shape([inputs[0].shape.count]) : inputs[0].shape
        let position = try shape.axis(axis ?? 0, name)
        var sizes = shape.sizes
        sizes.replaceSubrange(position...position, with: inputs[1].shape.sizes)
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard axis == nil, inputs.count == 2 else { return nil }
        return try DLGraph.apply(TakeOperation(axis: 0, fromEnd: fromEnd), to: [ravel(inputs[0]), inputs[1]])
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let x = inputs[0].shape
        let position = try x.axis(axis ?? 0, name)
        let outer = x.sizes[..<position].reduce(1, &*)
        let size = x[position]
        let rowBytes = x.sizes[(position + 1)...].reduce(inputs[0].type.byteCount, &*)
        let (count, type) = (inputs[1].shape.count, inputs[1].type)
        let fromEnd = fromEnd
        return Kernel("gather", cannotFail: false) { arguments in
            for i in 0..<count {
                let position = Positions.read(arguments.inputs[1], type, i)
                guard fromEnd || position >= 0 else {
                    throw DLError(.range, "[take] positions are from 0 to \(size - 1). Received: position \(position)")
                }
                let row = try Positions.resolve(position, size, "take")
                for o in 0..<outer {
                    (arguments.outputs[0] + (o &* count &+ i) &* rowBytes).copyMemory(
                        from: arguments.inputs[0] + (o &* size &+ row) &* rowBytes, byteCount: rowBytes)
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[0] else { return [nil, nil] }
        let shape = context.inputs[0].shape
        let position = try shape.axis(axis ?? 0, name)
        return [
            try apply(TakeGradientOperation(axis: position, size: shape[position]), context.upstream, context.inputs[1]), nil,
        ]
    }
}

/// x at `indices` along `axis`.
package func take(_ x: Value, _ indices: Value, axis: Int?, fromEnd: Bool = true) throws -> Value {
    try apply(TakeOperation(axis: axis, fromEnd: fromEnd), x, indices)
}

/// Sums sub-tensors into those of a tensor of zeros at given positions.
struct TakeGradientOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "take_gradient", "Zeros to which sub-tensors are added at given positions of an axis: what take's gradient is.",
        shapes: "dy with indices' shape in place of `axis`; there an axis of `size` comes out",
        extra: JSONObject([("inputs", ["dy", "indices"]), ("input_kinds", ["any", "index"]), ("internal", true)]),
        arguments: [
            Argument("axis", .axis, nil, "The axis, counted in the result."),
            Argument("size", .int(0...Argument.positive.upperBound), nil, "Its size."),
        ],
        make: { TakeGradientOperation(axis: $0.int("axis"), size: $0.int("size")) })

    static let samples = [
        OperationSample(.uniform([3, 2]), .given([2, 0, 2], [3], .int32), attributes: ["axis": 0, "size": 4]),
        OperationSample(.uniform([2, 2, 2]), .given([1, 1], [2], .int64), attributes: ["axis": 1, "size": 3]),
    ]

    let axis: Int
    let size: Int
    var attributes: JSON { ["axis": .int(Int64(axis)), "size": .int(Int64(size))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try Positions.expect(inputs[1], name)
        guard inputs[0].type != .bool else {
            throw DLError(.dtype, "[\(name)] takes numbers. Received: \(inputs[0])")
        }
        let (dy, indices) = (inputs[0].shape, inputs[1].shape)
        let rank = dy.rank - indices.rank + 1
        let position = axis < 0 ? axis &+ rank : axis
        guard position >= 0, position < rank, Array(dy.sizes[position..<(position + indices.rank)]) == indices.sizes else {
            throw DLError(
                .shape, "[\(name)] dy must have indices' shape in place of axis \(axis). "
                    + received(("dy", inputs[0]), ("indices", inputs[1])))
        }
        var sizes = dy.sizes
        sizes.replaceSubrange(position..<(position + indices.rank), with: [size])
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let y = outputs[0].shape
        let position = axis < 0 ? axis + y.rank : axis
        let outer = y.sizes[..<position].reduce(1, &*)
        let row = y.sizes[(position + 1)...].reduce(1, &*)
        let (count, type, size, element) = (inputs[1].shape.count, inputs[1].type, size, inputs[0].type)
        let bytes = outputs[0].byteCount
        return Kernel("scatter", cannotFail: false) { arguments in
            let target = arguments.outputs[0]
            target.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            for i in 0..<count {
                let to = try Positions.resolve(Positions.read(arguments.inputs[1], type, i), size, "take_gradient")
                for o in 0..<outer {
                    let at = (o &* size &+ to) &* row &* element.byteCount
                    let from = (o &* count &+ i) &* row &* element.byteCount
                    Loops.accumulate(element, arguments.inputs[0] + from, target + at, row)
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let position = axis < 0 ? axis + context.outputs[0].shape.rank : axis
        return [try context.needs[0] ? take(context.upstream, context.inputs[1], axis: position) : nil, nil]
    }
}

/// y[..., i, ...] = x[..., indices[..., i, ...], ...].
struct TakeAlongAxisOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "take_along_axis", "Elements at positions of their own along an axis.",
        shapes: "x and indices of as many axes, equal or 1 but for `axis`; indices' sizes come out",
        extra: JSONObject([("inputs", ["x", "indices"]), ("input_kinds", ["any", "index"])]),
        arguments: [Argument("axis", .optional(.axis), .null, "The axis; null treats x as one row.")],
        make: { TakeAlongAxisOperation(axis: $0.optionalInt("axis")) })

    static let samples = [
        OperationSample(.uniform([2, 3]), .given([0, 2, 2, -1], [2, 2], .int32), attributes: ["axis": 1]),
        OperationSample(.uniform([2, 3]), .given([0, 1, 0], [1, 3], .int64), attributes: ["axis": 0]),
        OperationSample(.uniform([2, 3]), .given([5, 1], [2], .int64)),
    ]

    let axis: Int?
    var attributes: JSON { ["axis": axis.map { .int(Int64($0)) } ?? .null] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try Positions.expect(inputs[1], name)
        let x = axis == nil ? Shape([inputs[0].shape.count]) : inputs[0].shape
        let indices = inputs[1].shape
        let position = try x.axis(axis ?? 0, name)
        let fits = x.rank == indices.rank
            && x.sizes.indices.allSatisfy { $0 == position || x[$0] == indices[$0] }
        guard fits else {
            throw DLError(
                .shape, "[take_along_axis] shapes may differ along the axis only. "
                    + received(("x", inputs[0]), ("indices", inputs[1])))
        }
        return [TensorSpec(indices, inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 2 else { return nil }
        guard let axis else {
            return try DLGraph.apply(TakeAlongAxisOperation(axis: 0), to: [ravel(inputs[0]), inputs[1]])
        }
        // Sizes of 1 stretch, as everywhere.
        let (x, indices) = (inputs[0].shape, inputs[1].shape)
        guard x.rank == indices.rank, let position = try? x.axis(axis, name) else { return nil }
        let rest = x.sizes.indices.filter { $0 != position }
        if rest.allSatisfy({ x[$0] == indices[$0] }) { return nil }
        guard rest.allSatisfy({ x[$0] == indices[$0] || x[$0] == 1 || indices[$0] == 1 }) else { return nil }
        var (wideX, wideIndices) = (x.sizes, indices.sizes)
        for other in rest {
            let size = x[other] == 1 ? indices[other] : x[other]
            wideX[other] = size
            wideIndices[other] = size
        }
        return try DLGraph.apply(
            self,
            to: [broadcastTo(inputs[0], Shape(checked: wideX)), broadcastTo(inputs[1], Shape(checked: wideIndices))])
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (x, indices) = (inputs[0].shape, inputs[1].shape)
        let position = try x.axis(axis ?? 0, name)
        let lines = AxisLines(x, position)
        let (size, count, bytes, type) = (x[position], indices[position], inputs[0].type.byteCount, inputs[1].type)
        return Kernel("gather", cannotFail: false) { arguments in
            for line in 0..<lines.count {
                let from = lines.start(line, size)
                let to = lines.start(line, count)
                for i in 0..<count {
                    let at = to &+ i &* lines.inner
                    let row = try Positions.resolve(Positions.read(arguments.inputs[1], type, at), size, "take_along_axis")
                    (arguments.outputs[0] + at &* bytes).copyMemory(
                        from: arguments.inputs[0] + (from &+ row &* lines.inner) &* bytes, byteCount: bytes)
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[0] else { return [nil, nil] }
        let shape = context.inputs[0].shape
        let position = try shape.axis(axis ?? 0, name)
        return [
            try apply(
                TakeAlongAxisGradientOperation(axis: position, size: shape[position]), context.upstream,
                context.inputs[1]), nil,
        ]
    }
}

package func takeAlongAxis(_ x: Value, _ indices: Value, axis: Int?) throws -> Value {
    try apply(TakeAlongAxisOperation(axis: axis), x, indices)
}

/// Adds elements to a tensor of zeros, each at a position of its own along an axis.
struct TakeAlongAxisGradientOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "take_along_axis_gradient", "Zeros to which elements are added at positions of their own along an axis.",
        shapes: "dy and indices of one shape; `axis` gets `size`",
        extra: JSONObject([("inputs", ["dy", "indices"]), ("input_kinds", ["any", "index"]), ("internal", true)]),
        arguments: [
            Argument("axis", .axis, nil, "The axis."),
            Argument("size", .int(0...Argument.positive.upperBound), nil, "Its size in the result."),
        ],
        make: { TakeAlongAxisGradientOperation(axis: $0.int("axis"), size: $0.int("size")) })

    static let samples = [
        OperationSample(.uniform([2, 2]), .given([0, 2, 2, 2], [2, 2], .int32), attributes: ["axis": 1, "size": 3])
    ]

    let axis: Int
    let size: Int
    var attributes: JSON { ["axis": .int(Int64(axis)), "size": .int(Int64(size))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try Positions.expect(inputs[1], name)
        guard inputs[0].shape == inputs[1].shape, inputs[0].type != .bool else {
            throw DLError(
                .shape, "[\(name)] takes numbers and positions of one shape. "
                    + received(("dy", inputs[0]), ("indices", inputs[1])))
        }
        var sizes = inputs[0].shape.sizes
        sizes[try inputs[0].shape.axis(axis, name)] = size
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let dy = inputs[0].shape
        let position = try dy.axis(axis, name)
        let lines = AxisLines(dy, position)
        let (count, size, element, type) = (dy[position], size, inputs[0].type, inputs[1].type)
        let (width, bytes) = (element.byteCount, outputs[0].byteCount)
        return Kernel("scatter", cannotFail: false) { arguments in
            arguments.outputs[0].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            for line in 0..<lines.count {
                let from = lines.start(line, count)
                let to = lines.start(line, size)
                for i in 0..<count {
                    let at = from &+ i &* lines.inner
                    let row = try Positions.resolve(
                        Positions.read(arguments.inputs[1], type, at), size, "take_along_axis_gradient")
                    Loops.accumulate(
                        element, arguments.inputs[0] + at &* width,
                        arguments.outputs[0] + (to &+ row &* lines.inner) &* width, 1)
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try context.needs[0] ? takeAlongAxis(context.upstream, context.inputs[1], axis: axis) : nil, nil]
    }
}

/// The lines of a tensor along one axis.
struct AxisLines: Sendable {
    let outer: Int
    let inner: Int

    init(_ shape: Shape, _ axis: Int) {
        outer = shape.sizes[..<axis].reduce(1, &*)
        inner = shape.sizes[(axis + 1)...].reduce(1, &*)
    }

    var count: Int { outer &* inner }

    /// Where a line begins if the axis has `size` elements; they lie `inner` apart.
    @inline(__always)
    func start(_ line: Int, _ size: Int) -> Int { line / inner &* size &* inner &+ line % inner }
}
