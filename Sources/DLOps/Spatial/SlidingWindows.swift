import DLBase
import DLGraph
import DLTensor

/// Windows that slide over some axes of a tensor: where they begin, how many there are, and the elements of x at one place
/// in all of them.
struct SlidingWindows {
    let axes: [Int]
    let size: [Int]
    let strides: [Int]
    let dilation: [Int]
    private(set) var before: [Int] = []
    private(set) var after: [Int] = []
    private(set) var counts: [Int] = []

    /// Every element of a window is a part of its own, so there may not be many.
    static let largest = 4096

    enum Padding {
        case valid, same
        /// As many zeros on both sides of each axis.
        case zeros([Int])
    }

    init(
        _ shape: Shape, axes: [Int], size: [Int], strides: [Int], dilation: [Int], padding: Padding, _ operation: String
    ) throws {
        (self.axes, self.size, self.strides, self.dilation) = (axes, size, strides, dilation)
        let most = Int(Int32.max)
        guard (size + strides + dilation).allSatisfy({ (1...most).contains($0) }), SlidingWindows.places(size) <= SlidingWindows.largest
        else {
            throw DLError(
                .limit, "[\(operation)] a window has at most \(SlidingWindows.largest) elements. Received: size \(Shape(size))")
        }
        for place in axes.indices {
            let length = shape[axes[place]]
            guard length <= ImageAxes.largest else {
                throw DLError(.limit, "[\(operation)] axes have at most \(ImageAxes.largest) elements. Received: \(shape)")
            }
            let reach = (size[place] - 1) * dilation[place] + 1
            var (front, back) = (0, 0)
            switch padding {
            case .valid: break
            case .same:
                let windows = (length + strides[place] - 1) / strides[place]
                let total = Swift.max(0, (windows - 1) * strides[place] + reach - length)
                (front, back) = (total / 2, total - total / 2)
            case .zeros(let amounts): (front, back) = (amounts[place], amounts[place])
            }
            guard reach <= length + front + back, front <= ImageAxes.largest, back <= ImageAxes.largest else {
                throw DLError(
                    .shape, "[\(operation)] a window covers \(reach) elements, the axis has only \(length). "
                        + "Received: \(shape), size \(Shape(size))")
            }
            before.append(front)
            after.append(back)
            counts.append((length + front + back - reach) / strides[place] + 1)
        }
    }

    /// How many elements a window has; more than `largest` where that overflows.
    static func places(_ size: [Int]) -> Int {
        size.reduce(1) { product, next in
            let (value, overflow) = product.multipliedReportingOverflow(by: next)
            return overflow ? Int.max : value
        }
    }

    /// x with its border.
    func padded(_ x: Value) throws -> Value {
        guard before.contains(where: { $0 > 0 }) || after.contains(where: { $0 > 0 }) else { return x }
        var widths = [[Int]](repeating: [0, 0], count: x.shape.rank)
        for (place, axis) in axes.enumerated() { widths[axis] = [before[place], after[place]] }
        return try pad(x, widths)
    }

    /// For each place in a window, the last axis first, the elements of padded x that stand there.
    func parts(rank: Int) -> [[IndexEntry]] {
        (0..<SlidingWindows.places(size)).map { number in
            var entries = [IndexEntry](repeating: .all, count: rank)
            var rest = number
            for place in axes.indices.reversed() {
                let start = rest % size[place] * dilation[place]
                rest /= size[place]
                entries[axes[place]] = .range(
                    start: start, stop: start + (counts[place] - 1) * strides[place] + 1, step: strides[place])
            }
            return entries
        }
    }
}

/// Where the channels and the spatial axes of pictures or volumes are, with or without a batch.
private func spatialAxes(_ shape: Shape, _ count: Int, _ arguments: Arguments) throws -> (spatial: [Int], channels: Int) {
    guard shape.rank == count + 1 || shape.rank == count + 2 else {
        let names = count == 2 ? "images must have 3 axes, (height, width, channels), or 4"
            : "volumes must have 4 axes, (depth, height, width, channels), or 5"
        throw DLError(.shape, "[\(arguments.owner)] \(names) with the batch in front. Received: \(shape)")
    }
    let first = shape.rank - count - 1
    let isLast = DataFormat(arguments) == .channelsLast
    let start = isLast ? first : first + 1
    return (Array(start..<start + count), isLast ? first + count : first)
}

private func patchWindows(_ shape: Shape, _ count: Int, _ arguments: Arguments) throws -> (SlidingWindows, channels: Int) {
    let (axes, channels) = try spatialAxes(shape, count, arguments)
    let size = try arguments.sizes("size", count)
    let windows = try SlidingWindows(
        shape, axes: axes, size: size, strides: arguments.has("strides") ? try arguments.sizes("strides", count) : size,
        dilation: try arguments.sizes("dilation_rate", count), padding: arguments.string("padding") == "same" ? .same : .valid,
        arguments.owner)
    return (windows, channels)
}

private func patches(
    _ name: String, _ summary: String, formula: String, shapes: String, input: String, samples: [OperationSample],
    dimensions: @escaping @Sendable (Arguments) -> Int
) -> OperationEntry {
    FormulaOperation.entry(
        name, summary, formula: formula, shapes: shapes,
        extra: JSONObject([("inputs", .array([.string(input)])), ("group", "image")]),
        arguments: [
            Argument("size", .size(minimum: 1), nil, "sizes of a window"),
            Argument(
                "strides", .optional(.size(minimum: 1)), .null, "steps from one window to the next; null for windows side by side"),
            Argument("dilation_rate", .size(minimum: 1), 1, "steps from one element of a window to the next"),
            Argument("padding", .choice(["valid", "same"]), "valid", "'valid' for none, 'same' for ceil(size / stride) windows"),
            ImageAxes.formatArgument,
        ],
        samples: samples,
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            let (windows, channels) = try patchWindows(inputs[0].shape, dimensions(arguments), arguments)
            var sizes = inputs[0].shape.sizes
            for (axis, count) in zip(windows.axes, windows.counts) { sizes[axis] = count }
            sizes[channels] = try Shape(checked: windows.size + [sizes[channels]]).count
            return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let (windows, channels) = try patchWindows(inputs[0].shape, dimensions(arguments), arguments)
            let x = try windows.padded(inputs[0])
            let parts = try windows.parts(rank: x.shape.rank).map { try getItem(x, $0) }
            return [parts.count == 1 ? parts[0] : try concatenate(parts, axis: channels)]
        })
}

private let columnArguments = [
    Argument("kernel_size", .size(minimum: 1), nil, "rows and columns of a window"),
    Argument("dilation", .size(minimum: 1), 1, "steps from one element of a window to the next"),
    Argument("padding", .size(minimum: 0), 0, "rows and columns of zeros on each side"),
    Argument("stride", .size(minimum: 1), 1, "steps from one window to the next"),
]

private func columnWindows(_ shape: Shape, _ arguments: Arguments) throws -> SlidingWindows {
    try SlidingWindows(
        shape, axes: [2, 3], size: arguments.sizes("kernel_size", 2), strides: arguments.sizes("stride", 2),
        dilation: arguments.sizes("dilation", 2), padding: .zeros(arguments.sizes("padding", 2)), arguments.owner)
}

/// The windows of a whole for `fold`, and that whole.
private func foldPlan(_ spec: TensorSpec, _ arguments: Arguments) throws -> (windows: SlidingWindows, whole: Shape) {
    let size = try arguments.sizes("kernel_size", 2), output = try arguments.sizes("output_size", 2)
    let places = SlidingWindows.places(size)
    guard spec.shape.rank == 3, places <= SlidingWindows.largest, spec.shape[1] % places == 0 else {
        throw DLError(
            .shape, "[fold] x must have 3 axes, (batch, channels times \(Shape(size)), windows), and a window at most "
                + "\(SlidingWindows.largest) elements. " + received(("x", spec)))
    }
    let whole = try Shape(checked: [spec.shape[0], spec.shape[1] / places] + output)
    let windows = try columnWindows(whole, arguments)
    guard spec.shape[2] == windows.counts[0] * windows.counts[1] else {
        throw DLError(
            .shape, "[fold] an output of \(Shape(output)) has \(windows.counts[0]) by \(windows.counts[1]) windows. "
                + received(("x", spec)))
    }
    return (windows, whole)
}

/// Windows of pictures, volumes and the columns that convolutions are made of.
let slidingWindowEntries: [OperationEntry] = [
    patches(
        "extract_patches", "The windows of pictures, or of volumes where the size has three numbers, each as the channels of one "
            + "element.",
        formula: "y[n, i, j, (u w + v) C + c] = x[n, i s + u d - p, j s + v d - p, c], w the columns of a window",
        shapes: "images (N, H, W, C) or (H, W, C) -> (N, H', W', h w C) or (H', W', h w C), H' as for a convolution; volumes likewise",
        input: "images",
        samples: [
            OperationSample(.uniform([1, 4, 5, 2]), attributes: ["size": [2, 3]]),
            OperationSample(.uniform([4, 3, 1]), attributes: ["size": 2, "strides": 1, "padding": "same"]),
            OperationSample(
                .uniform([1, 2, 5, 5]), attributes: ["size": 2, "strides": 2, "dilation_rate": 2, "data_format": "channels_first"]),
            OperationSample(.uniform([2, 3, 2, 1]), attributes: ["size": [1, 2, 2]]),
        ],
        dimensions: { $0["size"].arrayValue?.count == 3 ? 3 : 2 }),
    patches(
        "extract_patches_3d", "The windows of volumes, each as the channels of one element.",
        formula: "y[n, i, j, k, ((t h + u) w + v) C + c] = x[n, i s + t d - p, j s + u d - p, k s + v d - p, c]",
        shapes: "volumes (N, D, H, W, C) or (D, H, W, C) -> (N, D', H', W', d h w C) or (D', H', W', d h w C)",
        input: "volumes",
        samples: [
            OperationSample(.uniform([1, 2, 4, 3, 2]), attributes: ["size": [1, 2, 3]]),
            OperationSample(.uniform([1, 2, 3, 2, 3]), attributes: ["size": 2, "padding": "same", "data_format": "channels_first"]),
        ],
        dimensions: { _ in 3 }),
    FormulaOperation.entry(
        "unfold", "The windows of pictures as columns, which a convolution multiplies with its kernel (im2col).",
        formula: "y[n, (c h + u) w + v, i W' + j] = x[n, c, i s + u d - p, j s + v d - p]",
        source: "Chellapilla, Puri, Simard: High performance convolutional neural networks for document processing, 2006",
        shapes: "x (N, C, H, W) -> (N, C h w, H' W')", extra: networkExtra("x"), arguments: columnArguments,
        samples: [
            OperationSample(.uniform([1, 2, 4, 3]), attributes: ["kernel_size": 2]),
            OperationSample(
                .uniform([2, 1, 5, 4]), attributes: ["kernel_size": [2, 3], "dilation": [2, 1], "padding": 1, "stride": [1, 2]]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            let shape = inputs[0].shape
            guard shape.rank == 4 else {
                throw DLError(.shape, "[unfold] x must have 4 axes: (batch, channels, height, width). " + received(("x", inputs[0])))
            }
            let windows = try columnWindows(shape, arguments)
            let rows = try Shape(checked: windows.size + [shape[1]]).count
            return [TensorSpec(try Shape(checked: [shape[0], rows, windows.counts[0] * windows.counts[1]]), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let windows = try columnWindows(inputs[0].shape, arguments)
            let x = try windows.padded(inputs[0])
            let parts = try stack(windows.parts(rank: 4).map { try getItem(x, $0) }, axis: 2)
            let s = parts.shape
            return [try reshape(parts, [s[0], s[1] * s[2], s[3] * s[4]])]
        }),
    FormulaOperation.entry(
        "fold", "Windows as columns back to pictures, elements that several windows share added up (col2im).",
        formula: "y[n, c, i s + u d - p, j s + v d - p] = sum of x[n, (c h + u) w + v, i W' + j]",
        shapes: "x (N, C h w, H' W') -> (N, C, H, W), H and W of 'output_size'", extra: networkExtra("x"),
        arguments: [Argument("output_size", .size(minimum: 1), nil, "height and width of the result")] + columnArguments,
        samples: [
            OperationSample(.uniform([1, 8, 6]), attributes: ["output_size": [4, 3], "kernel_size": 2]),
            OperationSample(
                .uniform([2, 6, 10]),
                attributes: ["output_size": [5, 4], "kernel_size": [2, 3], "dilation": [2, 1], "padding": 1, "stride": [1, 2]]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            return [TensorSpec(try foldPlan(inputs[0], arguments).whole, inputs[0].type)]
        },
        formula: { inputs, arguments in
            let x = inputs[0]
            let (windows, whole) = try foldPlan(x.spec, arguments)
            let parts = windows.parts(rank: 4)
            let columns = try unstack(
                reshape(x, [whole[0], whole[1], parts.count, windows.counts[0], windows.counts[1]]), axis: 2)
            let bordered = try Shape(checked: [whole[0], whole[1]] + (0..<2).map { whole[2 + $0] + windows.before[$0] + windows.after[$0] })
            var total: Value?
            for (column, entries) in zip(columns, parts) {
                let part = try DLGraph.apply(GetItemGradientOperation(entries, bordered), column)
                total = try total.map { try add($0, part) } ?? part
            }
            let sums = total!
            guard bordered != whole else { return [sums] }
            let inner = (0..<2).map { IndexEntry.range(start: windows.before[$0], stop: windows.before[$0] + whole[2 + $0], step: 1) }
            return [try getItem(sums, [.all, .all] + inner)]
        }),
]
