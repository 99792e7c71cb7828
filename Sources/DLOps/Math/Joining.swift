import DLBase
import DLGraph
import DLTensor

private func joined(
    _ name: String, _ summary: String, shapes: String, samples: [OperationSample], least: Int, axis: Int
) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, shapes: shapes, inputs: ["xs"], variadic: true, samples: samples
    ) { inputs, _ in
        // Axes are added in front; for the third one, NumPy adds it behind.
        let wide = try inputs.map { x -> Value in
            switch (least, x.shape.rank) {
            case (1, 0): try reshape(x, [1])
            case (2, 0): try reshape(x, [1, 1])
            case (2, 1): try expandDims(x, 0)
            case (3, 0): try reshape(x, [1, 1, 1])
            case (3, 1): try reshape(x, [1, x.shape[0], 1])
            case (3, 2): try expandDims(x, -1)
            default: x
            }
        }
        return [try concatenate(wide, axis: least == 1 && wide[0].shape.rank == 1 ? 0 : axis)]
    }
}

private func flipped(_ name: String, _ summary: String, axis: Int) -> OperationEntry {
    FormulaOperation.derived(
        name, summary, shapes: "at least \(axis + 1) ax\(axis == 0 ? "is" : "es"); the same comes out",
        samples: [OperationSample(.uniform([2, 3]))]
    ) { inputs, _ in [try flip(inputs[0], axes: [axis])] }
}

/// Tensors side by side, taken apart, turned round.
let joiningEntries: [OperationEntry] = [
    joined(
        "vstack", "Puts tensors on top of each other, rows first.", shapes: "(m, ...) each, a row counts as (1, n); (sum of m, ...)",
        samples: [
            OperationSample(.uniform([3]), .uniform([3])), OperationSample(.uniform([2, 3]), .uniform([1, 3])),
        ], least: 2, axis: 0),
    joined(
        "hstack", "Puts tensors side by side, columns after columns; rows end to end.",
        shapes: "(m, n, ...) each, or (n,); the second axes add up, or the only ones",
        samples: [
            OperationSample(.uniform([3]), .uniform([2])), OperationSample(.uniform([2, 3]), .uniform([2, 1])),
        ], least: 1, axis: 1),
    joined(
        "dstack", "Puts tensors behind each other along the third axis.", shapes: "(m, n, k) each, (m, n) counts as (m, n, 1)",
        samples: [
            OperationSample(.uniform([3]), .uniform([3])), OperationSample(.uniform([2, 3]), .uniform([2, 3])),
        ], least: 3, axis: 2),
    FormulaOperation.derived(
        "append", "Puts one tensor after another.", shapes: "two that differ along `axis` only; without it, all elements in a row",
        inputs: ["x1", "x2"],
        arguments: [Argument("axis", .optional(.axis), .null, "The axis; null treats both as one row.")],
        samples: [
            OperationSample(.uniform([2, 2]), .uniform([3])),
            OperationSample(.uniform([2, 2]), .uniform([2, 1]), attributes: ["axis": 1]),
        ]
    ) { inputs, arguments in
        guard let axis = arguments.optionalInt("axis") else { return [try concatenate(inputs.map { try ravel($0) })] }
        return [try concatenate(inputs, axis: axis)]
    },
    FormulaOperation.derived(
        "array_split", "Takes a tensor apart into so many parts, the first ones longer by one where it does not come out even.",
        shapes: "any shape; `indices_or_sections` tensors, shorter along `axis`",
        arguments: [
            Argument("indices_or_sections", .int(1...100_000), nil, "How many parts."),
            Argument("axis", .axis, 0, "The axis that is divided."),
        ],
        samples: [OperationSample(.uniform([7, 2]), attributes: ["indices_or_sections": 3])]
    ) { inputs, arguments in
        let sections = arguments.int("indices_or_sections")
        let axis = try inputs[0].shape.axis(arguments.int("axis"), arguments.owner)
        let (least, more) = inputs[0].shape[axis].quotientAndRemainder(dividingBy: sections)
        var (cuts, end) = ([Int](), 0)
        for part in 0..<(sections - 1) {
            end += least + (part < more ? 1 : 0)
            cuts.append(end)
        }
        return try split(inputs[0], at: cuts, axis: axis)
    },
    flipped("flipud", "The rows in opposite order.", axis: 0),
    flipped("fliplr", "The columns in opposite order.", axis: 1),
    FormulaOperation.derived(
        "rot90", "Turns a plane of the tensor by quarter turns, from the first axis towards the second.",
        shapes: "at least two axes; their sizes change places for an odd number of turns", inputs: ["array"],
        arguments: [
            Argument("k", .int(Argument.anyInt), 1, "How many quarter turns."),
            Argument("axes", .axes, [0, 1], "The plane."),
        ],
        samples: [
            OperationSample(.uniform([2, 3])), OperationSample(.uniform([2, 3]), attributes: ["k": 2]),
            OperationSample(.uniform([2, 3, 2]), attributes: ["k": -1, "axes": [0, 2]]),
        ]
    ) { inputs, arguments in
        let x = inputs[0]
        let axes = try arguments.ints("axes").map { try x.shape.axis($0, arguments.owner) }
        guard axes.count == 2, axes[0] != axes[1] else {
            throw arguments.error("axes", "two different axes")
        }
        switch (arguments.int("k") % 4 + 4) % 4 {
        case 1: return [try swapaxes(flip(x, axes: [axes[1]]), axes[0], axes[1])]
        case 2: return [try flip(x, axes: axes)]
        case 3: return [try flip(swapaxes(x, axes[0], axes[1]), axes: [axes[1]])]
        default: return [x]
        }
    },
    FormulaOperation.derived(
        "meshgrid", "The coordinates of all points of a grid, from those along each axis.",
        formula: "'ij': y_k[i_1, ..., i_n] = x_k[i_k]; 'xy' exchanges the first two axes",
        shapes: "n rows; n tensors of n axes, as long as the rows", inputs: ["x"], variadic: true,
        arguments: [
            Argument("indexing", .choice(["xy", "ij"]), "xy", "'xy': the first row runs along columns; 'ij': along rows.")
        ],
        samples: [
            OperationSample(.uniform([3]), .uniform([2])),
            OperationSample(.uniform([3]), .uniform([2]), .uniform([2]), attributes: ["indexing": "ij"]),
            OperationSample(.uniform([3])),
        ]
    ) { inputs, arguments in
        guard inputs.allSatisfy({ $0.shape.rank <= 1 }) else {
            throw DLError(
                .shape, "[meshgrid] takes tensors of one axis. Received: " + inputs.map { "\($0.shape)" }.joined(separator: ", "))
        }
        var sizes = inputs.map(\.shape.count)
        let exchanges = arguments.string("indexing") == "xy" && sizes.count > 1
        if exchanges { sizes.swapAt(0, 1) }
        let shape = try Shape(checked: sizes)
        return try inputs.enumerated().map { index, x in
            let axis = exchanges && index < 2 ? 1 - index : index
            var own = [Int](repeating: 1, count: sizes.count)
            own[axis] = x.shape.count
            // A copy, for the grid of a single row is that row.
            return sizes.count == 1 ? try copy(reshape(x, own)) : try broadcastTo(reshape(x, own), shape)
        }
    },
    FormulaOperation.derived(
        "diagflat", "A matrix with all elements of a tensor on a diagonal.", shapes: "n elements of any shape; (n + |k|, n + |k|)",
        arguments: [Argument("k", .int(-1_000_000...1_000_000), 0, "The diagonal: 0 the main one, above it positive.")],
        samples: [OperationSample(.uniform([2, 2])), OperationSample(.uniform([3]), attributes: ["k": -1])]
    ) { inputs, arguments in [try apply(DiagOperation(k: arguments.int("k")), ravel(inputs[0]))] },
    FormulaOperation.derived(
        "diff", "Differences of neighbours along an axis, n times.", formula: "y[i] = x[i + 1] - x[i]",
        shapes: "any shape; shorter by n along `axis`", inputs: ["a"],
        arguments: [
            Argument("n", .int(0...1000), 1, "How often."), Argument("axis", .axis, -1, "The axis."),
        ],
        samples: [
            OperationSample(.uniform([3, 4])), OperationSample(.uniform([4, 2]), attributes: ["n": 2, "axis": 0]),
        ]
    ) { inputs, arguments in
        var x = inputs[0]
        let axis = try x.shape.axis(arguments.int("axis"), arguments.owner)
        guard arguments.int("n") <= x.shape[axis] else {
            throw DLError(
                .shape, "[diff] there are fewer elements than 'n'. Received: n \(arguments.int("n")) for \(x.shape)")
        }
        let front = [IndexEntry](repeating: .all, count: axis)
        for _ in 0..<arguments.int("n") {
            x = try subtract(
                getItem(x, front + [.range(start: 1, stop: nil, step: 1)]),
                getItem(x, front + [.range(start: nil, stop: x.shape[axis] - 1, step: 1)]))
        }
        return [x]
    },
    FormulaOperation.derived(
        "select", "Takes each element from the first of several tensors whose condition holds.",
        formula: "conditions[k] ? choices[k] for the first such k, else default",
        shapes: "as many conditions as choices, all broadcast", inputs: ["condlist", "choicelist"], variadic: true,
        extra: JSONObject([("lists", true)]),
        arguments: [Argument("default", .float(Argument.anyFloat), 0, "Where no condition holds.")],
        samples: [
            OperationSample(
                .integers([3, 4], below: 2, .bool), .integers([4], below: 2, .bool), .uniform([3, 4]), .uniform([3, 1]),
                attributes: ["default": -1])
        ]
    ) { inputs, arguments in
        guard inputs.count % 2 == 0 else {
            throw DLError(
                .argument, "[select] takes as many choices as conditions, conditions first. Received: \(inputs.count) tensors")
        }
        let half = inputs.count / 2
        let type = Promotion.common(inputs[half...].map(\.type))
        var result = try constant(arguments.float("default"), type)
        for index in (0..<half).reversed() { result = try `where`(inputs[index], inputs[half + index], result) }
        return [result]
    },
    FormulaOperation.derived(
        "multi_hot", "A 1 at each position that a row names, zeros elsewhere; positions outside give nothing.",
        shapes: "(..., k) positions; the axis of positions gives way to one of size num_classes",
        inputs: ["inputs"], extra: JSONObject([("input_kinds", ["index"])]),
        arguments: [
            Argument("num_classes", .int(Argument.positive), nil, "The number of positions."),
            Argument("axis", .axis, -1, "Where the new axis stands in the result."),
            Argument("dtype", .dtype, "float32", "The dtype of the result."),
        ],
        samples: [
            OperationSample(
                .given([0, 2, 1, 1, 3, -1], [3, 2], .int32), attributes: ["num_classes": 4], differentiable: false),
            OperationSample(.given([0, 2], [2], .int32), attributes: ["num_classes": 3, "dtype": "int32"], differentiable: false),
        ]
    ) { inputs, arguments in
        guard inputs[0].shape.rank >= 1 else {
            throw DLError(.shape, "[multi_hot] takes rows of positions. Received: \(inputs[0].spec)")
        }
        let hot = try oneHot(
            inputs[0], classes: arguments.int("num_classes"), axis: arguments.int("axis"),
            type: arguments.type("dtype") ?? .float32)
        return [try max(hot, axes: [inputs[0].shape.rank > 1 ? 1 : 0])]
    },
]
