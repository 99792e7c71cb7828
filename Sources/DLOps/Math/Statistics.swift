import DLBase
import DLGraph
import DLTensor

private let oneInput = JSONObject([("inputs", ["x"])])
private let twoInputs = JSONObject([("inputs", ["x1", "x2"])])

private func reductionShape(_ inputs: [TensorSpec], _ arguments: Arguments, _ type: ElementType? = nil) throws -> [TensorSpec] {
    try expectInputs(inputs, 1, arguments.owner)
    let shape = inputs[0].shape
    let reduced = try Axes.reduced(arguments.optionalInts("axis"), shape, arguments.owner)
    return [
        TensorSpec(
            Axes.result(shape, reduced, arguments.bool("keepdims")), type ?? Promotion.floating([inputs[0].type]))
    ]
}

private let reductionSamples = [
    OperationSample(.uniform([3, 4])), OperationSample(.uniform([2, 3, 2]), attributes: ["axis": [0, -1], "keepdims": true]),
]

/// The mean of the squared distances from the mean.
package func variance(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    let centre = try mean(x, axes: axes, keepDims: true)
    return try mean(square(subtract(x, centre)), axes: axes, keepDims: keepDims)
}

/// Whether numbers are as close as NumPy's isclose has it.
package func isClose(
    _ a: Value, _ b: Value, relative: Double = 1e-5, absolute: Double = 1e-8, equalNaN: Bool = false
) throws -> Value {
    let type = Promotion.floating([a.type, b.type])
    let (x, y) = (try cast(a, type), try cast(b, type))
    let near = try lessEqual(abs(subtract(x, y)), scale(abs(y), relative, absolute))
    // Infinities are close to themselves alone.
    let finite = try logicalAnd(isFinite(x), isFinite(y))
    var result = try logicalOr(equal(x, y), logicalAnd(near, finite))
    if equalNaN { result = try logicalOr(result, logicalAnd(isNaN(x), isNaN(y))) }
    return result
}

/// The length of vectors: `order` nil or 2 for Euclid's, 1, infinity and -infinity, 0 for the number of non-zeros, any other p.
package func norm(_ x: Value, order: Double = 2, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    let x = try x.type.isFloatingPoint ? x : cast(x, .float32)
    switch order {
    case 2: return try sqrt(sumOfSquares(x, axes: axes, keepDims: keepDims))
    case 1: return try sumOfMagnitudes(x, axes: axes, keepDims: keepDims)
    case .infinity: return try max(abs(x), axes: axes, keepDims: keepDims)
    case -.infinity: return try min(abs(x), axes: axes, keepDims: keepDims)
    case 0: return try sum(cast(notEqual(x, constant(0, like: x)), x.type), axes: axes, keepDims: keepDims)
    default:
        let total = try sum(power(abs(x), constant(order, like: x)), axes: axes, keepDims: keepDims)
        return try power(total, constant(1 / order, like: x))
    }
}

private let closeArguments = [
    Argument("rtol", .float(Argument.notNegative), 1e-5, "The distance allowed, as a share of x2."),
    Argument("atol", .float(Argument.notNegative), 1e-8, "The distance allowed besides."),
    Argument("equal_nan", .bool, false, "Whether NaN is close to NaN."),
]

private let closeSample = OperationSample(
    .given([1, 2, .nan, .infinity], [4], .float32), .given([1.000001, 2.1, .nan, .infinity], [4], .float32),
    attributes: ["equal_nan": true], differentiable: false)

private func close(_ inputs: [Value], _ arguments: Arguments) throws -> Value {
    try isClose(
        inputs[0], inputs[1], relative: arguments.float("rtol"), absolute: arguments.float("atol"),
        equalNaN: arguments.bool("equal_nan"))
}

private func readOrder(_ arguments: Arguments) throws -> Double {
    let given = arguments["ord"]
    if given.isNull { return 2 }
    if let number = given.doubleValue { return number }
    switch given.stringValue {
    case "inf": return .infinity
    case "-inf": return -.infinity
    case "euclidean": return 2
    default: throw arguments.error("ord", "a number, 'euclidean', 'inf' or '-inf'")
    }
}

/// Operations that are formulas of others: statistics, distances, tests of closeness.
let statisticsEntries: [OperationEntry] = [
    FormulaOperation.entry(
        "var", "The variance along axes.", formula: "mean of (x - mean of x)^2",
        shapes: "any shape; without the axes, or with size 1", extra: oneInput, arguments: Reduction.arguments,
        samples: reductionSamples, shape: { try reductionShape($0, $1) }
    ) { inputs, arguments in
        [try variance(inputs[0], axes: arguments.optionalInts("axis"), keepDims: arguments.bool("keepdims"))]
    },
    FormulaOperation.entry(
        "std", "The standard deviation along axes.", formula: "sqrt of the variance",
        shapes: "any shape; without the axes, or with size 1", extra: oneInput, arguments: Reduction.arguments,
        samples: reductionSamples, shape: { try reductionShape($0, $1) }
    ) { inputs, arguments in
        [try sqrt(variance(inputs[0], axes: arguments.optionalInts("axis"), keepDims: arguments.bool("keepdims")))]
    },
    FormulaOperation.entry(
        "norm", "The length of vectors, or of all elements as one vector.", formula: "(sum of |x|^ord)^(1/ord)",
        shapes: "any shape; without the axes, or with size 1", extra: oneInput,
        arguments: [Argument("ord", .any, .null, "The order: null or 2 for Euclid's length, 1, 0, 'inf', '-inf', any p.")]
            + Reduction.arguments,
        samples: [
            OperationSample(.uniform([3, 4])), OperationSample(.uniform([3, 4]), attributes: ["ord": 1, "axis": 1]),
            OperationSample(.uniform([3, 4], gap: 0.01), attributes: ["ord": "inf", "axis": 0, "keepdims": true]),
            OperationSample(.uniform([3, 4]), attributes: ["ord": 3, "axis": -1]),
        ],
        shape: { inputs, arguments in
            _ = try readOrder(arguments)
            return try reductionShape(inputs, arguments)
        }
    ) { inputs, arguments in
        [
            try norm(
                inputs[0], order: readOrder(arguments), axes: arguments.optionalInts("axis"),
                keepDims: arguments.bool("keepdims"))
        ]
    },
    FormulaOperation.entry(
        "ptp", "The distance from the smallest to the largest element along axes.", formula: "max x - min x",
        shapes: "any shape; without the axes, or with size 1", extra: oneInput, arguments: Reduction.arguments,
        samples: [OperationSample(.uniform([3, 4], gap: 0.01), attributes: ["axis": 1])],
        shape: { inputs, arguments in try reductionShape(inputs, arguments, inputs.first?.type) }
    ) { inputs, arguments in
        let (axes, keep) = (arguments.optionalInts("axis"), arguments.bool("keepdims"))
        return [
            try subtract(
                max(inputs[0], axes: axes, keepDims: keep), min(inputs[0], axes: axes, keepDims: keep))
        ]
    },
    FormulaOperation.entry(
        "count_nonzero", "How many elements along axes are not 0.", shapes: "any shape; without the axes; int32",
        extra: oneInput, arguments: [Reduction.arguments[0]],
        samples: [OperationSample(.integers([3, 4], below: 2), attributes: ["axis": 0], differentiable: false)],
        shape: { try reductionShape($0, $1, .int32) }
    ) { inputs, arguments in
        [try sum(cast(cast(inputs[0], .bool), .int32), axes: arguments.optionalInts("axis"))]
    },
    FormulaOperation.entry(
        "normalize", "Divides vectors by their length.", formula: "x / max(norm x, epsilon)",
        shapes: "any shape; the same comes out", extra: oneInput,
        arguments: [
            Argument("axis", .axis, -1, "The axis along which vectors lie."),
            Argument("order", .float(Argument.anyFloat), 2, "The order of the norm."),
            Argument("epsilon", .optional(.float(Argument.notNegative)), .null, "What is divided by at least; null for 1e-7."),
        ],
        samples: [OperationSample(.uniform([3, 4]))],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            _ = try inputs[0].shape.axis(arguments.int("axis"), arguments.owner)
            return [TensorSpec(inputs[0].shape, Promotion.floating([inputs[0].type]))]
        }
    ) { inputs, arguments in
        let length = try norm(
            inputs[0], order: arguments.float("order"), axes: [arguments.int("axis")], keepDims: true)
        let least = try constant(arguments.optionalFloat("epsilon") ?? 1e-7, like: length)
        return [try divide(inputs[0], maximum(length, least))]
    },
    FormulaOperation.entry(
        "isclose", "Whether numbers are close.", formula: "|x1 - x2| <= atol + rtol |x2|",
        shapes: "x1 and x2 are broadcast; bool comes out", extra: twoInputs, arguments: closeArguments,
        samples: [closeSample],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            return [TensorSpec(try inputs[0].shape.broadcast(with: inputs[1].shape, arguments.owner), .bool)]
        }
    ) { [try close($0, $1)] },
    FormulaOperation.entry(
        "allclose", "Whether all numbers are close.", formula: "all of |x1 - x2| <= atol + rtol |x2|",
        shapes: "x1 and x2 are broadcast; one bool comes out", extra: twoInputs, arguments: closeArguments,
        samples: [closeSample],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            _ = try inputs[0].shape.broadcast(with: inputs[1].shape, arguments.owner)
            return [TensorSpec(.scalar, .bool)]
        }
    ) { [try all(close($0, $1))] },
    FormulaOperation.entry(
        "glu", "One half of an axis, gated by the sigmoid of the other.", formula: "a sigmoid(b), x = [a, b]",
        shapes: "any shape whose `axis` is even; half of it comes out", extra: oneInput,
        arguments: [Argument("axis", .axis, -1, "The axis that is halved.")],
        samples: [OperationSample(.uniform([3, 4])), OperationSample(.uniform([2, 3]), attributes: ["axis": 0])],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            try expectType(inputs[0], floatingTypes, arguments.owner)
            let axis = try inputs[0].shape.axis(arguments.int("axis"), arguments.owner)
            var sizes = inputs[0].shape.sizes
            guard sizes[axis] % 2 == 0 else {
                throw DLError(.shape, "[glu] axis \(arguments.int("axis")) must be even. Received: \(inputs[0].shape)")
            }
            sizes[axis] /= 2
            return [TensorSpec(Shape(sizes), inputs[0].type)]
        }
    ) { inputs, arguments in
        let halves = try split(inputs[0], sections: 2, axis: arguments.int("axis"))
        return [try multiply(halves[0], sigmoid(halves[1]))]
    },
    FormulaOperation.entry(
        "nan_to_num", "Replaces NaN and infinities by numbers.", shapes: "any shape; the same comes out", extra: oneInput,
        arguments: [
            Argument("nan", .float(Argument.anyFloat), 0, "What stands for NaN."),
            Argument("posinf", .optional(.float(Argument.anyFloat)), .null, "For infinity; null for the largest float32."),
            Argument("neginf", .optional(.float(Argument.anyFloat)), .null, "For -infinity; null for the least float32."),
        ],
        samples: [
            OperationSample(.given([1, .nan, .infinity, -.infinity], [4], .float32), differentiable: false),
            OperationSample(.uniform([5])),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            return inputs
        }
    ) { inputs, arguments in
        let x = inputs[0]
        guard x.type.isFloatingPoint else { return [x] }
        let largest = Double(Float.greatestFiniteMagnitude)
        let high = try constant(arguments.optionalFloat("posinf") ?? largest, like: x)
        let low = try constant(arguments.optionalFloat("neginf") ?? -largest, like: x)
        let known = try `where`(isNaN(x), constant(arguments.float("nan"), like: x), x)
        let isHigh = try equal(known, constant(.infinity, like: x))
        let isLow = try equal(known, constant(-.infinity, like: x))
        return [try `where`(isHigh, high, `where`(isLow, low, known))]
    },
    FormulaOperation.entry(
        "isin", "Whether each element is among those of another tensor.", shapes: "any two shapes; x1's, as bool",
        extra: twoInputs, arguments: [Argument("invert", .bool, false, "Whether the answer is turned round.")],
        samples: [
            OperationSample(
                .integers([3, 4], below: 6), .given([1, 4], [2], .int32), differentiable: false)
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            return [TensorSpec(inputs[0].shape, .bool)]
        }
    ) { inputs, arguments in
        let pairs = try equal(expandDims(inputs[0], -1), ravel(inputs[1]))
        let found = try any(pairs, axes: [-1])
        return [arguments.bool("invert") ? try logicalNot(found) : found]
    },
    FormulaOperation.entry(
        "outer", "All products of an element of one tensor and one of another.", formula: "y[i, j] = x1[i] x2[j]",
        shapes: "m and n elements of any shape; (m, n)", extra: twoInputs, arguments: [],
        samples: [OperationSample(.uniform([3]), .uniform([2, 2]))],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            return [
                TensorSpec(
                    try Shape(checked: [inputs[0].shape.count, inputs[1].shape.count]),
                    Promotion.arithmetic(inputs.map(\.type)))
            ]
        }
    ) { inputs, _ in [try multiply(expandDims(ravel(inputs[0]), -1), ravel(inputs[1]))] },
    FormulaOperation.entry(
        "vdot", "The sum of the products of corresponding elements.", formula: "sum of x1 x2",
        shapes: "two of as many elements; a scalar", extra: twoInputs, arguments: [],
        samples: [OperationSample(.uniform([3, 2]), .uniform([6]))],
        shape: { inputs, arguments in
            try expectInputs(inputs, 2, arguments.owner)
            guard inputs[0].shape.count == inputs[1].shape.count else {
                throw DLError(
                    .shape, "[vdot] takes two tensors of as many elements. "
                        + received(("x1", inputs[0]), ("x2", inputs[1])))
            }
            return [TensorSpec(.scalar, Promotion.arithmetic(inputs.map(\.type)))]
        }
    ) { inputs, _ in [try sum(multiply(ravel(inputs[0]), ravel(inputs[1])))] },
]
