import DLBase
import DLGraph
import DLTensor

private let twoInputs = ["x1", "x2"]

/// Rows of observations as rows of distances from their mean.
private func centred(_ x: Value) throws -> Value {
    try subtract(x, mean(x, axes: [-1], keepDims: true))
}

/// Products of vectors and matrices beyond matmul.
let productEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "inner", "Sums of products over the last axes.", formula: "y[..., i, ..., j] = sum over k of x1[..., i, k] x2[..., j, k]",
        shapes: "last axes of one size; the other axes of x1, then those of x2; a scalar is a factor", inputs: twoInputs,
        samples: [
            OperationSample(.uniform([2, 3]), .uniform([4, 3])), OperationSample(.uniform([3]), .uniform([3])),
            OperationSample(.uniform([]), .uniform([3])),
        ]
    ) { inputs, _ in
        if inputs.contains(where: { $0.shape.isScalar }) { return [try multiply(inputs[0], inputs[1])] }
        return try Operations.apply("tensordot", inputs, attributes: ["axes": [[-1], [-1]]])
    },
    FormulaOperation.derived(
        "kron", "The Kronecker product: a block of x2 for each element of x1.",
        formula: "y[i p + k, j q + l] = x1[i, j] x2[k, l]", shapes: "any two, the shorter shape filled with 1 in front; sizes multiply",
        inputs: twoInputs,
        samples: [
            OperationSample(.uniform([2, 3]), .uniform([2, 2])), OperationSample(.uniform([2]), .uniform([2, 2])),
        ]
    ) { inputs, _ in
        let rank = Swift.max(inputs[0].shape.rank, inputs[1].shape.rank)
        func filled(_ shape: Shape) -> [Int] { [Int](repeating: 1, count: rank - shape.rank) + shape.sizes }
        let (a, b) = (filled(inputs[0].shape), filled(inputs[1].shape))
        let left = try reshape(inputs[0], a.flatMap { [$0, 1] })
        let right = try reshape(inputs[1], b.flatMap { [1, $0] })
        let result = try Shape(checked: zip(a, b).map { $0.multipliedReportingOverflow(by: $1).partialValue })
        return [try reshape(multiply(left, right), result.sizes)]
    },
    FormulaOperation.derived(
        "cross", "The cross product of vectors of two or three components; a missing third one is 0.",
        formula: "(a2 b3 - a3 b2, a3 b1 - a1 b3, a1 b2 - a2 b1)",
        shapes: "axes of 2 or 3 components, the others broadcast; of two planar vectors only the third component comes out",
        inputs: twoInputs,
        arguments: [
            Argument("axisa", .axis, -1, "The axis of the components in x1."),
            Argument("axisb", .axis, -1, "The axis of the components in x2."),
            Argument("axisc", .axis, -1, "The axis of the components in the result."),
            Argument("axis", .optional(.axis), .null, "One axis for all three."),
        ],
        samples: [
            OperationSample(.uniform([2, 3]), .uniform([2, 3])), OperationSample(.uniform([2]), .uniform([2])),
            OperationSample(.uniform([3, 2]), .uniform([3, 2]), attributes: ["axis": 0]),
            OperationSample(.uniform([4, 3]), .uniform([2])),
        ]
    ) { inputs, arguments in
        func axis(_ name: String) -> Int { arguments.optionalInt("axis") ?? arguments.int(name) }
        let a = try moveaxis(inputs[0], [axis("axisa")], [-1])
        let b = try moveaxis(inputs[1], [axis("axisb")], [-1])
        guard [2, 3].contains(a.shape.last), [2, 3].contains(b.shape.last), a.shape.rank > 0, b.shape.rank > 0 else {
            throw DLError(
                .shape, "[cross] vectors have 2 or 3 components. " + received(("x1", inputs[0].spec), ("x2", inputs[1].spec)))
        }
        func part(_ x: Value, _ index: Int) throws -> Value? {
            guard index < x.shape.last else { return nil }
            return try getItem(x, [IndexEntry](repeating: .all, count: x.shape.rank - 1) + [.at(index)])
        }
        let shape = try Shape(Array(a.shape.sizes.dropLast())).broadcast(with: Shape(Array(b.shape.sizes.dropLast())), "cross")
        let nothing = try broadcastTo(constant(0, Promotion.arithmetic(inputs.map(\.type))), shape)
        func component(_ i: Int, _ j: Int) throws -> Value {
            let first = try part(a, i).flatMap { x in try part(b, j).map { try multiply(x, $0) } } ?? nothing
            guard let x = try part(a, j), let y = try part(b, i) else { return first }
            return try subtract(first, multiply(x, y))
        }
        if a.shape.last == 2, b.shape.last == 2 { return [try component(0, 1)] }
        let result = try stack([component(1, 2), component(2, 0), component(0, 1)], axis: -1)
        return [try moveaxis(result, [-1], [axis("axisc")])]
    },
    FormulaOperation.derived(
        "cdist", "Euclid's distance of each row of one matrix from each of another.",
        formula: "y[..., i, j] = sqrt of sum over k of (x[..., i, k] - y[..., j, k])^2",
        shapes: "(..., m, k) and (..., n, k); (..., m, n)", inputs: ["x", "y"],
        samples: [OperationSample(.uniform([3, 2]), .uniform([4, 2], 3...5)), OperationSample(.uniform([2, 2, 3]), .uniform([2, 1, 3], 3...5))]
    ) { inputs, _ in
        let both = try reals(inputs)
        guard both.allSatisfy({ $0.shape.rank >= 2 }), both[0].shape.last == both[1].shape.last else {
            throw DLError(
                .shape, "[cdist] takes rows of one length. " + received(("x", inputs[0].spec), ("y", inputs[1].spec)))
        }
        let squares = try sumOfSquares(subtract(expandDims(both[0], -2), expandDims(both[1], -3)), axes: [-1])
        // The gradient of the root at 0 is infinite; between equal rows it counts as 0.
        let isZero = try equal(squares, constant(0, like: squares))
        let safe = try `where`(isZero, constant(1, like: squares), squares)
        return [try `where`(isZero, constant(0, like: squares), sqrt(safe))]
    },
    FormulaOperation.derived(
        "corrcoef", "Pearson's correlation of each row with each.", formula: "c[i, j] / sqrt(c[i, i] c[j, j]), c the covariances",
        source: "K. Pearson, \"Note on regression and inheritance in the case of two parents\", 1895",
        shapes: "(m, n), m variables of n observations; (m, m)",
        samples: [OperationSample(.uniform([3, 5]))]
    ) { inputs, _ in
        var x = try real(inputs[0])
        guard x.shape.rank == 1 || x.shape.rank == 2 else {
            throw DLError(.shape, "[corrcoef] takes a row or a matrix. Received: \(inputs[0].spec)")
        }
        let isRow = x.shape.rank == 1
        if isRow { x = try expandDims(x, 0) }
        let rows = try centred(x)
        let unit = try divide(rows, sqrt(sumOfSquares(rows, axes: [-1], keepDims: true)))
        let result = try clip(matmul(unit, unit, transposeB: true), -1, 1)
        return [isRow ? try reshape(result, []) : result]
    },
    FormulaOperation.derived(
        "correlate", "The cross-correlation of two rows: sums of products at every shift.",
        formula: "y[k] = sum over n of x1[n + k] x2[n]", shapes: "(m,) and (n,); max - min + 1, max, or m + n - 1 elements for valid, same, full",
        inputs: twoInputs,
        arguments: [
            Argument("mode", .choice(["valid", "same", "full"]), "valid", "Which shifts: whole overlaps, as many as the longer row, all.")
        ],
        samples: [
            OperationSample(.uniform([5]), .uniform([3])), OperationSample(.uniform([3]), .uniform([5])),
            OperationSample(.uniform([5]), .uniform([2]), attributes: ["mode": "same"]),
            OperationSample(.uniform([4]), .uniform([3]), attributes: ["mode": "full"]),
        ]
    ) { inputs, arguments in
        let both = try reals(inputs)
        guard both.allSatisfy({ $0.shape.rank == 1 && $0.shape.count > 0 }) else {
            throw DLError(.shape, "[correlate] takes two rows that are not empty. " + received(("x1", inputs[0].spec), ("x2", inputs[1].spec)))
        }
        // The shorter one is the kernel; exchanging them turns the result round.
        let turns = both[1].shape.count > both[0].shape.count
        let (long, short) = turns ? (both[1], both[0]) : (both[0], both[1])
        let reach = short.shape.count - 1
        var (front, back) = (0, 0)
        switch arguments.string("mode") {
        case "full": (front, back) = (reach, reach)
        case "same": (front, back) = ((reach + 1) / 2, reach / 2)
        default: break
        }
        let padded = try Operations.apply(
            "pad", [long], attributes: ["pad_width": [[.int(Int64(front)), .int(Int64(back))]]])[0]
        let y = try Operations.apply("conv1d", [reshape(padded, [1, padded.shape.count, 1]), reshape(short, [short.shape.count, 1, 1])])[0]
        let row = try ravel(y)
        return [turns ? try flip(row) : row]
    },
    FormulaOperation.derived(
        "psnr", "The peak signal-to-noise ratio of two pictures, in decibels.", formula: "20 log10 max_val - 10 log10 mean of (x1 - x2)^2",
        shapes: "two of one shape; a scalar", inputs: twoInputs,
        arguments: [Argument("max_val", .float(Argument.notNegative), nil, "The largest value that an element may have.")],
        samples: [OperationSample(.uniform([3, 4]), .uniform([3, 4]), attributes: ["max_val": 2])]
    ) { inputs, arguments in
        let both = try reals(inputs)
        guard both[0].shape == both[1].shape else {
            throw DLError(.shape, "[psnr] takes two tensors of one shape. " + received(("x1", inputs[0].spec), ("x2", inputs[1].spec)))
        }
        let noise = try log10(mean(squaredDifference(both[0], both[1])))
        let peak = try multiply(log10(constant(arguments.float("max_val"), like: noise)), constant(20, like: noise))
        return [try subtract(peak, scale(noise, 10))]
    },
]
