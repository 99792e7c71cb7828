import DLBase
import DLGraph
import DLTensor

/// Pictures of another size: one axis after the other.
let imageResizeEntry = FormulaOperation.entry(
    "resize", "Pictures of another size.",
    formula: "interpolation along the rows, then along the columns; the centre of the first element is at 1/2",
    shapes: "images (N, H, W, C) or (H, W, C) -> the same with height and width of 'size'", extra: imageInput,
    arguments: [
        Argument("size", .size(minimum: 1), nil, "height and width of the result"),
        Argument("interpolation", .choice(Interpolation.names), "bilinear", "how elements between others come about"),
        Argument("antialias", .bool, false, "whether a smaller picture is made of all elements of the larger one"),
        Argument("crop_to_aspect_ratio", .bool, false, "whether borders are cut off so that nothing is distorted"),
        Argument("pad_to_aspect_ratio", .bool, false, "whether borders are added so that nothing is distorted"),
        Argument("fill_mode", .choice(["constant"]), "constant", "what added borders are made of"),
        Argument("fill_value", .float(Argument.anyFloat), 0, "the number in added borders"),
        ImageAxes.formatArgument,
    ],
    samples: [
        OperationSample(.uniform([1, 3, 4, 2]), attributes: ["size": [5, 3]]),
        OperationSample(.uniform([4, 2, 1]), attributes: ["size": [2, 2], "pad_to_aspect_ratio": true]),
        OperationSample(
            .uniform([2, 1, 3, 5]), attributes: ["size": 4, "interpolation": "bicubic", "data_format": "channels_first"]),
        OperationSample(.uniform([1, 6, 3, 1]), attributes: ["size": [2, 3], "crop_to_aspect_ratio": true, "antialias": true]),
    ],
    shape: { inputs, arguments in
        try expectInputs(inputs, 1, arguments.owner)
        try expectType(inputs[0], floatingTypes, arguments.owner)
        let size = try arguments.sizes("size", 2)
        guard size.allSatisfy({ $0 <= ImageAxes.largest }) else {
            throw arguments.error("size", "height and width of at most \(ImageAxes.largest)")
        }
        if arguments.bool("crop_to_aspect_ratio"), arguments.bool("pad_to_aspect_ratio") {
            throw DLError(
                .argument, "[\(arguments.owner)] 'crop_to_aspect_ratio' and 'pad_to_aspect_ratio' exclude each other. "
                    + "Received: true for both")
        }
        return [
            TensorSpec(try ImageAxes(inputs[0], arguments).resized(inputs[0].shape, size[0], size[1]), inputs[0].type)
        ]
    },
    formula: { inputs, arguments in
        var x = inputs[0]
        let axes = try ImageAxes(x.spec, arguments)
        let size = try arguments.sizes("size", 2)
        let (height, width) = (x.shape[axes.height], x.shape[axes.width])
        // Sizes are below 2^24, so these products fit.
        let (wantedHeight, wantedWidth) = (width * size[0] / size[1], height * size[1] / size[0])
        if arguments.bool("crop_to_aspect_ratio") {
            let rows = Swift.max(Swift.min(height, wantedHeight), 1), columns = Swift.max(Swift.min(width, wantedWidth), 1)
            x = try cropped(x, axes, top: (height - rows) / 2, left: (width - columns) / 2, height: rows, width: columns)
        } else if arguments.bool("pad_to_aspect_ratio") {
            let rows = (Swift.max(height, wantedHeight) - height) / 2
            let columns = rows > 0 ? 0 : (Swift.max(width, wantedWidth) - width) / 2
            guard Swift.max(height + rows, width + columns) <= ImageAxes.largest / 2 else {
                throw DLError(
                    .limit, "[\(arguments.owner)] the border would be too wide. Received: \(x.shape), size \(Shape(size))")
            }
            x = try bordered(
                x, axes, top: rows, bottom: rows, left: columns, right: columns, value: arguments.float("fill_value"))
        }
        let interpolation = Interpolation(arguments.string("interpolation")) ?? .bilinear
        for (axis, size) in zip([axes.width, axes.height], size.reversed()) where x.shape[axis] != size {
            x = try resample(x, axis: axis, size: size, interpolation, antialias: arguments.bool("antialias"))
        }
        return [x]
    })

/// Pictures of another size; rank 3 or 4.
package func resizeImages(
    _ x: Value, _ height: Int, _ width: Int, options: JSONObject = JSONObject(), dataFormat: DataFormat = .channelsLast
) throws -> Value {
    var attributes = options
    attributes["size"] = sizesJSON([height, width])
    attributes["data_format"] = .string(dataFormat.rawValue)
    return try Operations.apply("resize", [x], attributes: .object(attributes))[0]
}
