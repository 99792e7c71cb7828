import DLBase
import DLGraph
import DLTensor

/// A pattern of rearrange: for each axis of a tensor the names that it is made of.
private struct AxisPattern {
    var axes: [[String]] = []

    var names: [String] { axes.flatMap { $0 } }

    init(_ text: Substring, _ whole: String) throws {
        func wrong(_ what: String) -> DLError {
            DLError(.argument, "[rearrange] 'pattern' \(what). Received: '\(whole)'")
        }
        var group: [String]?
        var word = ""
        func close() {
            guard !word.isEmpty else { return }
            if group != nil { group?.append(word) } else { axes.append([word]) }
            word = ""
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": word.unicodeScalars.append(scalar)
            case " ": close()
            case "(":
                close()
                guard group == nil else { throw wrong("has brackets within brackets") }
                group = []
            case ")":
                close()
                guard let names = group else { throw wrong("closes a bracket that is not open") }
                axes.append(names)
                group = nil
            default: throw wrong("has names of axes, spaces and brackets, but '\(scalar)' is none of them")
            }
        }
        close()
        guard group == nil else { throw wrong("leaves a bracket open") }
        guard Set(names).count == names.count else { throw wrong("names an axis twice on one side") }
    }
}

/// The sizes of all named axes.
private func axisLengths(
    _ pattern: AxisPattern, _ shape: Shape, _ given: JSON
) throws -> [String: Int] {
    var lengths: [String: Int] = [:]
    for (name, value) in (given.objectValue ?? JSONObject()).pairs {
        guard let length = value.intValue, length >= 1, length <= Int(Int32.max), pattern.names.contains(name) else {
            throw DLError(
                .argument, "[rearrange] 'axes_lengths' gives sizes of at least 1 to names of the pattern's left side. "
                    + "Received: \(name) = \(value.canonicalText)")
        }
        lengths[name] = length
    }
    guard pattern.axes.count == shape.rank else {
        throw DLError(
            .shape, "[rearrange] the pattern has \(pattern.axes.count) axes, the tensor \(shape.rank). Received: \(shape)")
    }
    for (axis, names) in pattern.axes.enumerated() {
        let unknown = names.filter { lengths[$0] == nil }
        guard unknown.count <= 1 else {
            throw DLError(
                .argument, "[rearrange] of \(unknown.joined(separator: ", ")) all but one need a length. Received: \(shape)")
        }
        let known = SlidingWindows.places(names.compactMap { lengths[$0] })
        let fits = unknown.isEmpty ? known == shape[axis] : shape[axis] % known == 0
        guard fits else {
            throw DLError(
                .shape, "[rearrange] an axis of \(shape[axis]) cannot be (\(names.joined(separator: " "))) with the lengths "
                    + "given. Received: \(shape), axes_lengths \(given.canonicalText)")
        }
        if let name = unknown.first { lengths[name] = shape[axis] / known }
    }
    return lengths
}

private func blocks(_ spec: TensorSpec, _ arguments: Arguments, back: Bool) throws -> (n: Int, c: Int, h: Int, w: Int) {
    let (shape, block) = (spec.shape, arguments.int("block_size"))
    guard shape.rank == 4 else {
        throw DLError(
            .shape, "[\(arguments.owner)] x must have 4 axes: batch, height, width and channels. " + received(("x", spec)))
    }
    let isLast = DataFormat(arguments) == .channelsLast
    let (c, h, w) = isLast ? (shape[3], shape[1], shape[2]) : (shape[1], shape[2], shape[3])
    // At most 2^31 - 1, so its square fits.
    guard back ? c % (block * block) == 0 : h % block == 0 && w % block == 0 else {
        let what = back ? "the number of channels must be a multiple of block_size squared, \(block * block)"
            : "height and width must be multiples of block_size, \(block)"
        throw DLError(.shape, "[\(arguments.owner)] \(what). " + received(("x", spec)))
    }
    return (shape[0], c, h, w)
}

private let blockArguments = [
    Argument("block_size", .int(2...Int(Int32.max)), nil, "rows and columns of a block"), ImageAxes.formatArgument,
]

/// The same elements in other shapes.
let rearrangementEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "rearrange", "Takes axes apart, changes their order and puts them together, all by their names.",
        formula: "\"b (h h1) w -> b h (w h1)\": an axis in brackets is made of several, the last one the fastest",
        source: "Rogozhnikov, Einops: clear and reliable tensor manipulations with Einstein-like notation, 2022",
        shapes: "as the pattern says; sizes of axes in brackets from 'axes_lengths', all but one of each bracket",
        example: """
            local dl = require "dl"
            local x = dl.ops.arange(24):reshape{ 2, 4, 3 }
            print(dl.ops.rearrange(x, "b (h h1) w -> b h (w h1)", { h1 = 2 }))
            """,
        inputs: ["tensor"],
        arguments: [
            Argument("pattern", .string, nil, "Names of axes, before and after '->'."),
            Argument("axes_lengths", .any, .null, "Sizes by name, for what is taken apart."),
        ],
        samples: [
            OperationSample(.uniform([2, 4, 3]), attributes: ["pattern": "b (h h1) w -> b h (w h1)", "axes_lengths": ["h1": 2]]),
            OperationSample(.uniform([2, 3, 2]), attributes: ["pattern": "a b c->(c a) b"]),
        ]
    ) { inputs, arguments in
        let text = arguments.string("pattern")
        guard let arrow = text.firstIndex(of: "-"), text[arrow...].hasPrefix("->") else {
            throw DLError(.argument, "[rearrange] 'pattern' must be two lists of axes with '->' between them. Received: '\(text)'")
        }
        let from = try AxisPattern(text[..<arrow], text)
        let to = try AxisPattern(text[text.index(arrow, offsetBy: 2)...], text)
        guard Set(from.names) == Set(to.names) else {
            throw DLError(.argument, "[rearrange] both sides of 'pattern' must name the same axes. Received: '\(text)'")
        }
        let x = inputs[0]
        let lengths = try axisLengths(from, x.shape, arguments["axes_lengths"])
        guard from.names.count <= Shape.maximumRank else {
            throw DLError(.shape, "[rearrange] a tensor has at most \(Shape.maximumRank) axes. Received: '\(text)'")
        }
        let apart = try reshape(x, from.names.map { lengths[$0] ?? 1 })
        let order = to.names.map { from.names.firstIndex(of: $0) ?? 0 }
        let moved = order == Array(order.indices) ? apart : try transpose(apart, order)
        return [try reshape(moved, to.axes.map { $0.reduce(1) { $0 &* (lengths[$1] ?? 1) } })]
    },
    FormulaOperation.derived(
        "depth_to_space", "Channels spread over blocks of rows and columns (pixel shuffle).",
        formula: "y[n, i b + u, j b + v, c] = x[n, i, j, (u b + v) C + c] (channels_last)",
        source: "Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional "
            + "neural network, 2016",
        shapes: "x (N, H, W, C b b) -> (N, H b, W b, C)", arguments: blockArguments,
        samples: [
            OperationSample(.uniform([1, 2, 3, 8]), attributes: ["block_size": 2]),
            OperationSample(.uniform([1, 9, 1, 2]), attributes: ["block_size": 3, "data_format": "channels_first"]),
        ]
    ) { inputs, arguments in
        let (n, c, h, w) = try blocks(inputs[0].spec, arguments, back: true)
        let b = arguments.int("block_size")
        if DataFormat(arguments) == .channelsLast {
            let apart = try reshape(inputs[0], [n, h, w, b, b, c / (b * b)])
            return [try reshape(transpose(apart, [0, 1, 3, 2, 4, 5]), [n, h * b, w * b, c / (b * b)])]
        }
        let apart = try reshape(inputs[0], [n, c / (b * b), b, b, h, w])
        return [try reshape(transpose(apart, [0, 1, 4, 2, 5, 3]), [n, c / (b * b), h * b, w * b])]
    },
    FormulaOperation.derived(
        "space_to_depth", "Blocks of rows and columns as channels (pixel unshuffle).",
        formula: "y[n, i, j, (u b + v) C + c] = x[n, i b + u, j b + v, c] (channels_last)",
        shapes: "x (N, H b, W b, C) -> (N, H, W, C b b)", arguments: blockArguments,
        samples: [
            OperationSample(.uniform([1, 4, 6, 2]), attributes: ["block_size": 2]),
            OperationSample(.uniform([1, 2, 3, 6]), attributes: ["block_size": 3, "data_format": "channels_first"]),
        ]
    ) { inputs, arguments in
        let (n, c, h, w) = try blocks(inputs[0].spec, arguments, back: false)
        let b = arguments.int("block_size")
        // Their product is no more than the number of elements, unless there are none.
        let depth = try Shape(checked: [c, b, b]).count
        if DataFormat(arguments) == .channelsLast {
            let apart = try reshape(inputs[0], [n, h / b, b, w / b, b, c])
            return [try reshape(transpose(apart, [0, 1, 3, 2, 4, 5]), [n, h / b, w / b, depth])]
        }
        let apart = try reshape(inputs[0], [n, c, h / b, b, w / b, b])
        return [try reshape(transpose(apart, [0, 1, 3, 5, 2, 4]), [n, depth, h / b, w / b])]
    },
    FormulaOperation.derived(
        "extract_sequences", "The windows of sequences: each as long as told, each so many steps after the one before.",
        formula: "y[..., i, j] = x[..., i sequence_stride + j]",
        shapes: "x (..., n) -> (..., (n - sequence_length) / sequence_stride + 1, sequence_length)",
        arguments: [
            Argument("sequence_length", .int(Argument.positive), nil, "Steps of a window."),
            Argument("sequence_stride", .int(Argument.positive), nil, "Steps from one window to the next."),
        ],
        samples: [
            OperationSample(.uniform([7]), attributes: ["sequence_length": 3, "sequence_stride": 2]),
            OperationSample(.uniform([2, 5]), attributes: ["sequence_length": 2, "sequence_stride": 1]),
        ]
    ) { inputs, arguments in
        let (x, length, stride) = (inputs[0], arguments.int("sequence_length"), arguments.int("sequence_stride"))
        guard x.shape.rank >= 1, x.shape.last >= length, x.shape.last <= Int(Int32.max) else {
            throw DLError(
                .shape, "[extract_sequences] the last axis must have at least sequence_length, \(length), steps, and at most \(Int32.max). "
                    + received(("x", x.spec)))
        }
        let count = (x.shape.last - length) / stride + 1
        guard try Shape(checked: x.shape.sizes.dropLast() + [count, length]).count <= Int(Int32.max) else {
            throw DLError(.limit, "[extract_sequences] the result would have more than \(Int32.max) elements. " + received(("x", x.spec)))
        }
        let places = try Tensor((0..<count * length).map { Int32($0 / length * stride + $0 % length) }, Shape([count, length]))
        return [try take(x, Value(places), axis: -1)]
    },
]
