import DLBase
import DLGraph
import DLTensor

/// The same elements, in the same order, in another shape.
struct ReshapeOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "reshape", "Gives the elements another shape; shares their memory.",
        shapes: "any shape; `newshape` comes out, with as many elements",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("newshape", .shape, nil, "The sizes wanted; -1 for at most one that follows from the others.")],
        make: { ReshapeOperation($0.shape("newshape").map { $0 ?? -1 }) })

    static let samples = [
        OperationSample(.uniform([3, 4]), attributes: ["newshape": [2, -1]]),
        OperationSample(.uniform([6]), attributes: ["newshape": [1, 2, 3]]),
        OperationSample(.uniform([1, 1]), attributes: ["newshape": []]),
    ]

    /// -1 where the size follows from the others.
    let sizes: [Int]
    init(_ sizes: [Int]) { self.sizes = sizes }

    var isView: Bool { true }
    var attributes: JSON { ["newshape": .array(sizes.map { .int(Int64($0)) })] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let x = inputs[0]
        func failure(_ what: String) -> DLError {
            DLError(.shape, "[reshape] \(what). Received: \(x.shape), new shape \(Shape.text(sizes.map { $0 < 0 ? nil : $0 }))")
        }
        var result = sizes
        let open = sizes.indices.filter { sizes[$0] < 0 }
        guard open.count <= 1 else { throw failure("at most one size may be left open") }
        if let axis = open.first {
            result[axis] = 1
            let known = try Shape(checked: result).count
            guard known > 0, x.shape.count % known == 0 else {
                throw failure("\(x.shape.count) elements cannot be divided into rows of \(known)")
            }
            result[axis] = x.shape.count / known
        }
        let shape = try Shape(checked: result)
        guard shape.count == x.shape.count else {
            throw failure("\(x.shape.count) elements do not fill \(shape.count)")
        }
        return [TensorSpec(shape, x.type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { Movement.copyAll(inputs[0].byteCount) }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try reshape(context.upstream, context.inputs[0].shape.sizes)]
    }
}

/// At most one size may be -1.
package func reshape(_ x: Value, _ sizes: [Int]) throws -> Value { try apply(ReshapeOperation(sizes), x) }

/// Adds axes of size 1.
struct ExpandDimsOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "expand_dims", "Adds axes of size 1; shares the memory.", shapes: "any shape; one axis more for each of `axis`",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("axis", .axes, nil, "Where the new axes stand in the result.")],
        make: { ExpandDimsOperation($0.ints("axis")) })

    static let samples = [
        OperationSample(.uniform([3, 4]), attributes: ["axis": -1]),
        OperationSample(.uniform([3, 4]), attributes: ["axis": [0, 2]]),
    ]

    let axes: [Int]
    init(_ axes: [Int]) { self.axes = axes }

    var isView: Bool { true }
    var attributes: JSON { ["axis": .array(axes.map { .int(Int64($0)) })] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let rank = inputs[0].shape.rank + axes.count
        var isNew = [Bool](repeating: false, count: rank)
        for axis in axes {
            let position = axis < 0 ? axis &+ rank : axis
            guard position >= 0, position < rank, !isNew[position] else {
                throw DLError(
                    .range, "[expand_dims] axis \(axis) is out of range or given twice for a result with \(rank) axes. "
                        + "Received: \(inputs[0].shape)")
            }
            isNew[position] = true
        }
        var old = inputs[0].shape.sizes.makeIterator()
        return [TensorSpec(try Shape(checked: isNew.map { $0 ? 1 : old.next() ?? 1 }), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { Movement.copyAll(inputs[0].byteCount) }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try reshape(context.upstream, context.inputs[0].shape.sizes)]
    }
}

package func expandDims(_ x: Value, _ axis: Int) throws -> Value { try apply(ExpandDimsOperation([axis]), x) }
package func expandDims(_ x: Value, axes: [Int]) throws -> Value { try apply(ExpandDimsOperation(axes), x) }

/// Removes axes of size 1.
struct SqueezeOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "squeeze", "Removes axes of size 1; shares the memory.", shapes: "any shape; without the axes named",
        extra: JSONObject([("inputs", ["x"])]),
        arguments: [Argument("axis", .optional(.axes), .null, "The axes that go; null for all of size 1.")],
        make: { SqueezeOperation($0.optionalInts("axis")) })

    static let samples = [
        OperationSample(.uniform([3, 1, 4, 1])),
        OperationSample(.uniform([3, 1, 4, 1]), attributes: ["axis": -1]),
    ]

    let axes: [Int]?
    init(_ axes: [Int]?) { self.axes = axes }

    var isView: Bool { true }
    var attributes: JSON { ["axis": axes.map { .array($0.map { .int(Int64($0)) }) } ?? .null] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        var removed: Set<Int> = []
        for axis in axes ?? [] {
            let position = try shape.axis(axis, name)
            guard shape[position] == 1 else {
                throw DLError(
                    .shape, "[squeeze] axis \(axis) has size \(shape[position]), only axes of size 1 can go. Received: \(shape)")
            }
            removed.insert(position)
        }
        if axes == nil { removed = Set(shape.sizes.indices.filter { shape[$0] == 1 }) }
        return [TensorSpec(shape.removing(axes: removed), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { Movement.copyAll(inputs[0].byteCount) }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try reshape(context.upstream, context.inputs[0].shape.sizes)]
    }
}

package func squeeze(_ x: Value, axes: [Int]? = nil) throws -> Value { try apply(SqueezeOperation(axes), x) }

/// All axes in one.
struct RavelOperation: ComposedOperation {
    static let declaration = Declaration<any Operation>(
        "ravel", "All elements along one axis; shares the memory.", shapes: "any shape; one axis comes out",
        extra: JSONObject([("inputs", ["x"])]), make: { _ in RavelOperation() })
    static let samples = [OperationSample(.uniform([3, 4]))]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec(Shape([inputs[0].shape.count]), inputs[0].type)]
    }

    func compose(_ inputs: [Value]) throws -> [Value] { [try reshape(inputs[0], [inputs[0].shape.count])] }
}

package func ravel(_ x: Value) throws -> Value { try apply(RavelOperation(), x) }
