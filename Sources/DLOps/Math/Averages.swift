import DLBase
import DLGraph
import DLTensor

/// x with the axes that are reduced as one last axis, and the shape of the result.
private func lines(_ x: Value, _ arguments: Arguments) throws -> (x: Value, kept: Shape) {
    let axes = try Axes.reduced(arguments.optionalInts("axis"), x.shape, arguments.owner)
    let others = (0..<x.shape.rank).filter { !axes.contains($0) }
    let count = axes.reduce(1) { $0 &* x.shape[$1] }
    let flat = try reshape(transpose(x, others + axes), others.map { x.shape[$0] } + [count])
    return (flat, Axes.result(x.shape, axes, arguments.bool("keepdims")))
}

/// Values between which a share of the elements lies, by NumPy's methods; NaN where there is one.
private func quantiles(_ given: Value, _ shares: [Double], _ arguments: Arguments, method: String) throws -> [Value] {
    let (x, kept) = try lines(real(given), arguments)
    let count = x.shape.last
    guard count > 0 else {
        throw DLError(.shape, "[\(arguments.owner)] there is no element to choose along an axis of size 0. Received: \(given.shape)")
    }
    let sorted = try sort(x)
    let front = [IndexEntry](repeating: .all, count: x.shape.rank - 1)
    func element(_ position: Double) throws -> Value { try getItem(sorted, front + [.at(Int(position))]) }
    let hasNaN = try any(isNaN(x), axes: [-1])
    return try shares.map { share in
        let position = share * Double(count - 1)
        let (below, above) = (position.rounded(.down), position.rounded(.up))
        var result: Value
        switch method {
        case "lower": result = try element(below)
        case "higher": result = try element(above)
        case "nearest": result = try element(position.rounded(.toNearestOrEven))
        case "midpoint" where below != above: result = try scale(add(element(below), element(above)), 0.5)
        case "linear" where below != above:
            let (low, high) = (try element(below), try element(above))
            result = try add(scale(low, above - position), scale(high, position - below))
        default: result = try element(below)
        }
        result = try `where`(hasNaN, constant(.nan, like: result), result)
        return try reshape(result, kept.sizes)
    }
}

private let method = Argument(
    "method", .choice(["linear", "lower", "higher", "midpoint", "nearest"]), "linear",
    "What lies between two elements: a share of each, one of them, their middle, the nearest.")

private func quantileEntry(_ name: String, _ summary: String, unit: Double) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, formula: "the element at position q\(unit == 1 ? "" : " / 100") (n - 1) of the n sorted ones, counted from 0",
        source: "R. J. Hyndman, Y. Fan, \"Sample quantiles in statistical packages\", 1996, definition 7",
        shapes: "any shape; without the axes, or with size 1; for a list q a first axis for its entries",
        arguments: [Argument("q", .any, nil, "A number from 0 to \(unit == 1 ? "1" : "100"), or a list of them.")]
            + [Reduction.arguments[0], method, Reduction.arguments[1]],
        samples: [
            OperationSample(.uniform([3, 5], gap: 0.01), attributes: ["q": .double(0.3 * unit), "axis": 1]),
            OperationSample(
                .uniform([2, 3, 2], gap: 0.01), attributes: ["q": [0, .double(0.25 * unit), .double(unit)], "axis": [0, 2]]),
            OperationSample(
                .uniform([7], gap: 0.01), attributes: ["q": .double(0.4 * unit), "method": "midpoint", "keepdims": true]),
        ]
    ) { inputs, arguments in
        let given = arguments["q"]
        let numbers = given.doubleValue.map { [$0] } ?? given.arrayValue?.compactMap(\.doubleValue) ?? []
        let isWhole = given.arrayValue.map { $0.count == numbers.count } ?? true
        guard isWhole, !numbers.isEmpty, numbers.count <= 10_000, numbers.allSatisfy({ $0 >= 0 && $0 <= unit }) else {
            throw arguments.error("q", "a number from 0 to \(Text.shortest(unit)), or a list of at most 10000 of them")
        }
        let found = try quantiles(inputs[0], numbers.map { $0 / unit }, arguments, method: arguments.string("method"))
        return given.arrayValue == nil ? found : [try stack(found)]
    }
}

/// What is NaN, and x with another number in its place.
private func withoutNaN(_ x: Value, _ number: Double) throws -> (isNaN: Value, x: Value) {
    let missing = try isNaN(x)
    return (missing, try `where`(missing, constant(number, like: x), x))
}

/// How many elements along axes are numbers.
private func numberCount(_ missing: Value, _ like: Value, _ arguments: Arguments, keepDims: Bool) throws -> Value {
    try sum(cast(logicalNot(missing), like.type), axes: arguments.optionalInts("axis"), keepDims: keepDims)
}

private func nanVariance(_ given: Value, _ arguments: Arguments) throws -> Value {
    let x = try real(given)
    let axes = arguments.optionalInts("axis")
    let (missing, clean) = try withoutNaN(x, 0)
    let centre = try divide(
        sum(clean, axes: axes, keepDims: true), numberCount(missing, x, arguments, keepDims: true))
    let distance = try `where`(missing, constant(0, like: x), subtract(clean, centre))
    let keep = arguments.bool("keepdims")
    return try divide(sumOfSquares(distance, axes: axes, keepDims: keep), numberCount(missing, x, arguments, keepDims: keep))
}

private func nanEntry(
    _ name: String, _ summary: String, gap: Double = 0,
    _ formula: @escaping @Sendable (_ x: Value, _ arguments: Arguments) throws -> Value
) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, shapes: "any shape; without the axes, or with size 1", arguments: Reduction.arguments,
        samples: [
            OperationSample(.uniform([3, 4], gap: gap), attributes: ["axis": 1]),
            OperationSample(
                .given([1, .nan, 3, .nan, .nan, 5], [2, 3], .float32), attributes: ["axis": 1, "keepdims": true],
                differentiable: false),
        ]
    ) { inputs, arguments in [try formula(inputs[0], arguments)] }
}

/// The largest or smallest number; NaN where there is none.
private func nanExtreme(_ x: Value, _ arguments: Arguments, largest: Bool) throws -> Value {
    let (axes, keep) = (arguments.optionalInts("axis"), arguments.bool("keepdims"))
    guard x.type.isFloatingPoint else {
        return try largest ? max(x, axes: axes, keepDims: keep) : min(x, axes: axes, keepDims: keep)
    }
    let (missing, clean) = try withoutNaN(x, largest ? -.infinity : .infinity)
    let found = try largest ? max(clean, axes: axes, keepDims: keep) : min(clean, axes: axes, keepDims: keep)
    return try `where`(all(missing, axes: axes, keepDims: keep), constant(.nan, like: x), found)
}

/// Means with weights, quantiles, and statistics that pass over NaN.
let averageEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "average", "The mean along axes, each element counted with a weight.", formula: "sum of w x / sum of w",
        shapes: "x of any shape, weights of the same or as many as the one axis has; without the axes, or with size 1",
        inputs: ["x", "weights"], optional: 1, arguments: Reduction.arguments,
        samples: [
            OperationSample(.uniform([3, 4])),
            OperationSample(.uniform([3, 4]), .uniform([4], 0.5...2), attributes: ["axis": -1]),
            OperationSample(.uniform([3, 4]), .uniform([3, 4], 0.5...2), attributes: ["axis": 0, "keepdims": true]),
        ]
    ) { inputs, arguments in
        let (axes, keep) = (arguments.optionalInts("axis"), arguments.bool("keepdims"))
        guard inputs.count == 2 else { return [try mean(real(inputs[0]), axes: axes, keepDims: keep)] }
        let both = try reals(inputs)
        var weights = both[1]
        let shape = both[0].shape
        if weights.shape != shape {
            guard let axes, axes.count == 1, weights.shape.rank == 1 else {
                throw DLError(
                    .shape, "[average] weights must have x's shape, or be a row for one axis. "
                        + received(("x", inputs[0].spec), ("weights", inputs[1].spec)))
            }
            let axis = try shape.axis(axes[0], "average")
            guard weights.shape[0] == shape[axis] else {
                throw DLError(
                    .shape, "[average] there must be as many weights as the axis has elements. "
                        + received(("x", inputs[0].spec), ("weights", inputs[1].spec)))
            }
            var sizes = [Int](repeating: 1, count: shape.rank)
            sizes[axis] = shape[axis]
            weights = try broadcastTo(reshape(weights, sizes), shape)
        }
        return [
            try divide(
                sum(multiply(both[0], weights), axes: axes, keepDims: keep), sum(weights, axes: axes, keepDims: keep))
        ]
    },
    FormulaOperation.derived(
        "moments", "The mean and the variance along axes.", formula: "mean of x, mean of (x - mean of x)^2",
        shapes: "any shape; twice without the axes, or with size 1",
        arguments: [
            Argument("axes", .axes, nil, "The axes."), Reduction.arguments[1],
            Argument("synchronized", .bool, false, "There is one machine; accepted for Keras's sake."),
        ],
        samples: [
            OperationSample(.uniform([3, 4]), attributes: ["axes": [0]]),
            OperationSample(.uniform([2, 3, 2]), attributes: ["axes": [0, -1], "keepdims": true]),
        ]
    ) { inputs, arguments in
        let x = try real(inputs[0])
        let (axes, keep) = (arguments.ints("axes"), arguments.bool("keepdims"))
        return [try mean(x, axes: axes, keepDims: keep), try variance(x, axes: axes, keepDims: keep)]
    },
    FormulaOperation.derived(
        "median", "The middle one of the sorted elements along axes, or the mean of the middle two.",
        shapes: "any shape; without the axes, or with size 1", arguments: Reduction.arguments,
        samples: [
            OperationSample(.uniform([3, 5], gap: 0.01)), OperationSample(.uniform([3, 4], gap: 0.01), attributes: ["axis": 1]),
        ]
    ) { inputs, arguments in try quantiles(inputs[0], [0.5], arguments, method: "linear") },
    quantileEntry("quantile", "The value below which a share of the elements along axes lies.", unit: 1),
    quantileEntry("percentile", "The value below which so many percent of the elements along axes lie.", unit: 100),
    nanEntry("nansum", "The sum along axes, NaN left out.") { x, arguments in
        let clean = try x.type.isFloatingPoint ? withoutNaN(x, 0).x : x
        return try sum(clean, axes: arguments.optionalInts("axis"), keepDims: arguments.bool("keepdims"))
    },
    nanEntry("nanprod", "The product along axes, NaN left out.") { x, arguments in
        let clean = try x.type.isFloatingPoint ? withoutNaN(x, 1).x : x
        return try prod(clean, axes: arguments.optionalInts("axis"), keepDims: arguments.bool("keepdims"))
    },
    nanEntry("nanmean", "The mean along axes, NaN left out; NaN where there is nothing else.") { given, arguments in
        let x = try real(given)
        let (missing, clean) = try withoutNaN(x, 0)
        let keep = arguments.bool("keepdims")
        return try divide(
            sum(clean, axes: arguments.optionalInts("axis"), keepDims: keep),
            numberCount(missing, x, arguments, keepDims: keep))
    },
    nanEntry("nanvar", "The variance along axes, NaN left out; NaN where there is nothing else.") { try nanVariance($0, $1) },
    nanEntry("nanstd", "The standard deviation along axes, NaN left out; NaN where there is nothing else.") {
        try sqrt(nanVariance($0, $1))
    },
    nanEntry("nanmax", "The largest element along axes, NaN left out.", gap: 0.01) {
        try nanExtreme($0, $1, largest: true)
    },
    nanEntry("nanmin", "The smallest element along axes, NaN left out.", gap: 0.01) {
        try nanExtreme($0, $1, largest: false)
    },
]
