import DLBase
import DLGraph
import DLTensor

/// The pictures' channels are three, red, green and blue.
private func expectColours(_ spec: TensorSpec, _ arguments: Arguments, orOne: Bool = false) throws -> ImageAxes {
    let axes = try ImageAxes(spec, arguments)
    try expectType(spec, floatingTypes, arguments.owner)
    let count = spec.shape[axes.channels]
    guard count == 3 || orOne && count == 1 else {
        throw DLError(
            .shape, "[\(arguments.owner)] images must have 3 channels\(orOne ? " or 1" : ""). Received: \(spec.shape)")
    }
    return axes
}

private func channelsOf(_ x: Value, _ axes: ImageAxes) throws -> [Value] { try split(x, sections: 3, axis: axes.channels) }

/// Blurring and changes of colours.
let imageFilterEntries: [OperationEntry] = [
    FormulaOperation.entry(
        "gaussian_blur", "Pictures blurred with a gaussian window; outside of them there are zeros.",
        formula: "y[i, j] = sum over u, v of g(u) g(v) x[i + u, j + v], g(u) = exp(-u^2 / (2 sigma^2)) scaled to the sum 1",
        shapes: "images (N, H, W, C) or (H, W, C) -> the same", extra: imageInput,
        arguments: [
            Argument("kernel_size", .size(minimum: 1), [3, 3], "columns and rows of the window, in this order"),
            Argument("sigma", .any, [1, 1], "standard deviations along columns and rows, or one number for both"),
            ImageAxes.formatArgument,
        ],
        samples: [
            OperationSample(.uniform([1, 4, 5, 2])),
            OperationSample(
                .uniform([2, 4, 3]), attributes: ["kernel_size": [4, 3], "sigma": [0.5, 2], "data_format": "channels_first"]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            try expectType(inputs[0], floatingTypes, arguments.owner)
            _ = try ImageAxes(inputs[0], arguments)
            _ = try gaussianWindow(arguments)
            return inputs
        },
        formula: { inputs, arguments in
            let axes = try ImageAxes(inputs[0].spec, arguments)
            let window = try gaussianWindow(arguments)
            var x = inputs[0]
            for (axis, (size, sigma)) in zip([axes.width, axes.height], window) where size > 1 {
                x = try resample(x, axis: axis, size: x.shape[axis], .gaussian(size: size, sigma: sigma))
            }
            return [x]
        }),
    FormulaOperation.entry(
        "rgb_to_grayscale", "Brightness of coloured pictures; grey ones stay.",
        formula: "y = 0.2989 red + 0.587 green + 0.114 blue",
        shapes: "images (N, H, W, 3) or (H, W, 3) -> (N, H, W, 1) or (H, W, 1)", extra: imageInput,
        arguments: [ImageAxes.formatArgument],
        samples: [
            OperationSample(.uniform([1, 2, 2, 3])),
            OperationSample(.uniform([3, 2, 2]), attributes: ["data_format": "channels_first"]),
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            var sizes = inputs[0].shape.sizes
            sizes[try expectColours(inputs[0], arguments, orOne: true).channels] = 1
            return [TensorSpec(Shape(sizes), inputs[0].type)]
        },
        formula: { inputs, arguments in
            let axes = try expectColours(inputs[0].spec, arguments, orOne: true)
            if inputs[0].shape[axes.channels] == 1 { return inputs }
            let parts = try channelsOf(inputs[0], axes)
            return [try add(add(scale(parts[0], 0.2989), scale(parts[1], 0.587)), scale(parts[2], 0.114))]
        }),
    FormulaOperation.entry(
        "rgb_to_hsv", "Hue, saturation and value of colours from 0 to 1.",
        formula: "value = max(r, g, b), saturation = (max - min) / max, hue the angle on the wheel of colours from 0 to 1",
        shapes: "images (N, H, W, 3) or (H, W, 3) -> the same", extra: imageInput, arguments: [ImageAxes.formatArgument],
        samples: [
            // Far from colours of which two parts are equal.
            OperationSample(
                .given([0.9, 0.5, 0.1, 0.2, 0.8, 0.4, 0.3, 0.05, 0.7, 0.6, 0.1, 0.4], [1, 2, 2, 3], .float32), differentiable: false)
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            _ = try expectColours(inputs[0], arguments)
            return inputs
        },
        formula: { inputs, arguments in
            let axes = try expectColours(inputs[0].spec, arguments)
            let parts = try channelsOf(inputs[0], axes)
            let (red, green, blue) = (parts[0], parts[1], parts[2])
            let one = try constant(1, like: red), zero = try constant(0, like: red)
            let value = try maximum(maximum(red, green), blue)
            let range = try subtract(value, minimum(minimum(red, green), blue))
            let isColoured = try greater(range, zero)
            let safe = try `where`(greater(value, zero), value, one)
            let saturation = try `where`(greater(value, zero), divide(range, safe), zero)
            let unit = try scale(`where`(isColoured, range, one), 6)
            let ofGreen = try scale(divide(subtract(blue, red), unit), 1, 1.0 / 3)
            let ofBlue = try scale(divide(subtract(red, green), unit), 1, 2.0 / 3)
            let ofRed = try divide(subtract(green, blue), unit)
            var hue = try `where`(equal(value, red), ofRed, `where`(equal(value, green), ofGreen, ofBlue))
            hue = try `where`(isColoured, hue, zero)
            hue = try `where`(less(hue, zero), add(hue, one), hue)
            return [try concatenate([hue, saturation, value], axis: axes.channels)]
        }),
    FormulaOperation.entry(
        "hsv_to_rgb", "Colours from hue, saturation and value, all from 0 to 1.",
        formula: "c = value (1 - saturation + saturation w), w = clip(|6 hue - 3| - 1) for red, clip(2 - |6 hue - 2|) for green, "
            + "clip(2 - |6 hue - 4|) for blue",
        shapes: "images (N, H, W, 3) or (H, W, 3) -> the same", extra: imageInput, arguments: [ImageAxes.formatArgument],
        samples: [
            OperationSample(
                .given([0.9, 0.5, 0.1, 0.2, 0.8, 0.4, 0.3, 0.05, 0.7, 0.6, 0.1, 0.4], [1, 2, 2, 3], .float32), differentiable: false)
        ],
        shape: { inputs, arguments in
            try expectInputs(inputs, 1, arguments.owner)
            _ = try expectColours(inputs[0], arguments)
            return inputs
        },
        formula: { inputs, arguments in
            let axes = try expectColours(inputs[0].spec, arguments)
            let parts = try channelsOf(inputs[0], axes)
            let (saturation, value) = (parts[1], parts[2])
            let hue = try scale(mod(parts[0], constant(1, like: parts[0])), 6)
            let rest = try scale(saturation, -1, 1)
            let weights = [
                try clip(scale(abs(scale(hue, 1, -3)), 1, -1), 0, 1), try clip(scale(abs(scale(hue, 1, -2)), -1, 2), 0, 1),
                try clip(scale(abs(scale(hue, 1, -4)), -1, 2), 0, 1),
            ]
            return [
                try concatenate(
                    weights.map { try multiply(value, add(rest, multiply(saturation, $0))) }, axis: axes.channels)
            ]
        }),
]

/// Sizes and standard deviations of the window along columns and rows.
private func gaussianWindow(_ arguments: Arguments) throws -> [(Int, Double)] {
    let sizes = try arguments.sizes("kernel_size", 2)
    let given = arguments["sigma"]
    let sigmas = given.doubleValue.map { [$0, $0] } ?? (given.arrayValue ?? []).compactMap(\.doubleValue)
    guard sigmas.count == 2, sigmas.allSatisfy({ $0 > 1e-6 && $0 < 1e6 }) else {
        throw arguments.error("sigma", "a number above 0 or two of them")
    }
    guard sizes.allSatisfy({ $0 <= 4096 }) else { throw arguments.error("kernel_size", "sizes of at most 4096") }
    return Array(zip(sizes, sigmas))
}
