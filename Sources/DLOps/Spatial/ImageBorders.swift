import DLBase
import DLGraph
import DLTensor

/// Rows or columns in front, taken or added, and how many there are afterwards; two of three numbers are given.
private func sides(
    _ arguments: Arguments, _ names: (before: String, after: String, target: String), _ size: Int, adding: Bool
) throws -> (before: Int, target: Int) {
    let before = arguments.optionalInt(names.before), after = arguments.optionalInt(names.after)
    let target = arguments.optionalInt(names.target)
    guard [before, after, target].compactMap({ $0 }).count == 2 else {
        throw DLError(
            .argument, "[\(arguments.owner)] exactly two of '\(names.before)', '\(names.after)' and '\(names.target)' must be given. "
                + "Received: \(arguments[names.before].canonicalText), \(arguments[names.after].canonicalText), "
                + arguments[names.target].canonicalText)
    }
    // Each is at most 2^31, so sums fit.
    let whole: Int
    if let target { whole = target } else { whole = adding ? size + before! + after! : size - before! - after! }
    let start = before ?? (adding ? whole - size : size - whole) - after!
    let rest = (adding ? whole - size : size - whole) - start
    guard start >= 0, rest >= 0, whole >= 1, whole <= ImageAxes.largest else {
        throw DLError(
            .shape, "[\(arguments.owner)] \(start) in front and \(rest) behind do not make \(whole) of \(size). Received: "
                + "\(names.before) \(start), \(names.after) \(rest), \(names.target) \(whole)")
    }
    return (start, whole)
}

private func borderArguments(_ verb: String, _ noun: String) -> [Argument] {
    let count = Argument.Kind.optional(.int(0...Int(Int32.max)))
    return ["top", "left", "bottom", "right"].map {
        Argument("\($0)_\(noun)", count, .null, "how much is \(verb) at the \($0)")
    } + [
        Argument("target_height", count, .null, "rows of the result"),
        Argument("target_width", count, .null, "columns of the result"), ImageAxes.formatArgument,
    ]
}

private func rowsAndColumns(
    _ spec: TensorSpec, _ arguments: Arguments, _ noun: String, adding: Bool
) throws -> (axes: ImageAxes, rows: (before: Int, target: Int), columns: (before: Int, target: Int)) {
    let axes = try ImageAxes(spec, arguments)
    let rows = try sides(
        arguments, ("top_\(noun)", "bottom_\(noun)", "target_height"), spec.shape[axes.height], adding: adding)
    let columns = try sides(
        arguments, ("left_\(noun)", "right_\(noun)", "target_width"), spec.shape[axes.width], adding: adding)
    return (axes, rows, columns)
}

/// Parts of pictures, and pictures with a border of zeros.
let imageBorderEntries = [
    FormulaOperation.entry(
        "crop_images", "A part of pictures; of two ends and the size, along each axis, two are given.",
        formula: "y[n, i, j, c] = x[n, i + top, j + left, c]",
        shapes: "images (N, H, W, C) or (H, W, C) -> the same with the new height and width", extra: imageInput,
        arguments: borderArguments("cut off", "cropping"),
        samples: [
            OperationSample(
                .uniform([1, 4, 5, 2]),
                attributes: ["top_cropping": 1, "left_cropping": 2, "bottom_cropping": 1, "target_width": 2])
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            let (axes, rows, columns) = try rowsAndColumns(inputs[0], arguments, "cropping", adding: false)
            return [TensorSpec(try axes.resized(inputs[0].shape, rows.target, columns.target), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let (axes, rows, columns) = try rowsAndColumns(inputs[0].spec, arguments, "cropping", adding: false)
            return [
                try cropped(
                    inputs[0], axes, top: rows.before, left: columns.before, height: rows.target, width: columns.target)
            ]
        }),
    FormulaOperation.entry(
        "pad_images", "Pictures with a border of zeros; of two sides and the size, along each axis, two are given.",
        formula: "y[n, i, j, c] = x[n, i - top, j - left, c], 0 outside",
        shapes: "images (N, H, W, C) or (H, W, C) -> the same with the new height and width", extra: imageInput,
        arguments: borderArguments("added", "padding"),
        samples: [
            OperationSample(
                .uniform([2, 3, 2, 1]),
                attributes: ["top_padding": 1, "left_padding": 2, "bottom_padding": 1, "target_width": 5])
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            let (axes, rows, columns) = try rowsAndColumns(inputs[0], arguments, "padding", adding: true)
            return [TensorSpec(try axes.resized(inputs[0].shape, rows.target, columns.target), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let x = inputs[0]
            let (axes, rows, columns) = try rowsAndColumns(x.spec, arguments, "padding", adding: true)
            return [
                try bordered(
                    x, axes, top: rows.before, bottom: rows.target - x.shape[axes.height] - rows.before,
                    left: columns.before, right: columns.target - x.shape[axes.width] - columns.before)
            ]
        }),
]

/// A part of pictures that lies inside.
package func cropImages(
    _ x: Value, top: Int, left: Int, height: Int, width: Int, _ format: DataFormat
) throws -> Value {
    let attributes: JSON = [
        "top_cropping": .int(Int64(top)), "left_cropping": .int(Int64(left)), "target_height": .int(Int64(height)),
        "target_width": .int(Int64(width)), "data_format": .string(format.rawValue),
    ]
    return try Operations.apply("crop_images", [x], attributes: attributes)[0]
}
