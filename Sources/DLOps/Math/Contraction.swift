import DLBase
import DLGraph
import DLTensor

/// Sums of products over pairs of axes, made of transpositions and one matrix product.
private func contract(_ a: Value, _ b: Value, _ axesA: [Int], _ axesB: [Int], _ operation: String) throws -> Value {
    let left = try axesA.map { try a.shape.axis($0, operation) }
    let right = try axesB.map { try b.shape.axis($0, operation) }
    let keptA = (0..<a.shape.rank).filter { !left.contains($0) }
    let keptB = (0..<b.shape.rank).filter { !right.contains($0) }
    let inner = left.reduce(1) { $0 * a.shape[$1] }
    let rows = try reshape(transpose(a, keptA + left), [keptA.reduce(1) { $0 * a.shape[$1] }, inner])
    let columns = try reshape(transpose(b, right + keptB), [inner, keptB.reduce(1) { $0 * b.shape[$1] }])
    return try reshape(matmul(rows, columns), keptA.map { a.shape[$0] } + keptB.map { b.shape[$0] })
}

private func contractionShape(
    _ a: TensorSpec, _ b: TensorSpec, _ axesA: [Int], _ axesB: [Int], _ operation: String
) throws -> [TensorSpec] {
    let left = try axesA.map { try a.shape.axis($0, operation) }
    let right = try axesB.map { try b.shape.axis($0, operation) }
    let fits = left.count == right.count && Set(left).count == left.count && Set(right).count == right.count
        && zip(left, right).allSatisfy { a.shape[$0] == b.shape[$1] }
    guard fits else {
        throw DLError(
            .shape, "[\(operation)] the axes that are summed over must come in pairs of one size: \(Shape.text(axesA)) and "
                + "\(Shape.text(axesB)). " + received(("x1", a), ("x2", b)))
    }
    let sizes = a.shape.removing(axes: Set(left)).sizes + b.shape.removing(axes: Set(right)).sizes
    return [TensorSpec(try Shape(checked: sizes), Promotion.floating([a.type, b.type]))]
}

private func inFloatingPoint(_ inputs: [Value]) throws -> [Value] {
    let type = Promotion.floating(inputs.map(\.type))
    return try inputs.map { try cast($0, type) }
}

private func tensordotAxes(_ arguments: Arguments, _ a: Shape) throws -> ([Int], [Int]) {
    let given = arguments["axes"]
    if let count = given.intValue, count >= 0, count <= a.rank {
        return (Array(a.rank - count..<a.rank), Array(0..<count))
    }
    func list(_ json: JSON) -> [Int]? {
        if let number = json.intValue { return [number] }
        let numbers = json.arrayValue?.compactMap(\.intValue)
        return numbers?.count == json.arrayValue?.count ? numbers : nil
    }
    guard let pair = given.arrayValue, pair.count == 2, let left = list(pair[0]), let right = list(pair[1]) else {
        throw arguments.error("axes", "a number of axes up to \(a.rank), or two lists of axes")
    }
    return (left, right)
}

private let twoInputs = JSONObject([("inputs", ["x1", "x2"])])

let contractionEntries: [OperationEntry] = [
    FormulaOperation.entry(
        "tensordot", "Sums of products over pairs of axes.", shapes: "any two; the axes that are not summed over",
        extra: twoInputs,
        arguments: [
            Argument(
                "axes", .any, 2, "The last so many of x1 and the first of x2, or [axes of x1, axes of x2], from 0.")
        ],
        samples: [
            OperationSample(.uniform([2, 3, 4]), .uniform([3, 4, 2])),
            OperationSample(.uniform([2, 3]), .uniform([2, 4]), attributes: ["axes": [[0], [0]]]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            let (left, right) = try tensordotAxes(arguments, inputs[0].shape)
            return try contractionShape(inputs[0], inputs[1], left, right, arguments.owner)
        }
    ) { given, arguments in
        let inputs = try inFloatingPoint(given)
        let (left, right) = try tensordotAxes(arguments, inputs[0].shape)
        return [try contract(inputs[0], inputs[1], left, right, arguments.owner)]
    },
    FormulaOperation.entry(
        "dot", "Sums of products over the last axis of x1 and the last but one of x2.",
        formula: "y[..., i, ..., j] = sum over k of x1[..., i, k] x2[..., k, j]",
        shapes: "any two; a scalar takes part as a factor", extra: twoInputs, arguments: [],
        samples: [
            OperationSample(.uniform([2, 3]), .uniform([3, 4])), OperationSample(.uniform([3]), .uniform([3])),
            OperationSample(.uniform([2, 3]), .uniform([3])), OperationSample(.uniform([]), .uniform([3])),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            if inputs.contains(where: { $0.shape.isScalar }) {
                let shape = try inputs[0].shape.broadcast(with: inputs[1].shape, arguments.owner)
                return [TensorSpec(shape, Promotion.floating(inputs.map(\.type)))]
            }
            return try contractionShape(
                inputs[0], inputs[1], [-1], [inputs[1].shape.rank == 1 ? 0 : -2], arguments.owner)
        }
    ) { given, arguments in
        let inputs = try inFloatingPoint(given)
        if inputs.contains(where: { $0.shape.isScalar }) { return [try multiply(inputs[0], inputs[1])] }
        return [
            try contract(inputs[0], inputs[1], [-1], [inputs[1].shape.rank == 1 ? 0 : -2], arguments.owner)
        ]
    },
]
