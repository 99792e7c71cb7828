import DLBase
import DLGraph
import DLOps

private let poolingShapes =
    "input (batch, height, width, channels), output (batch, new height, new width, channels): "
    + "\"valid\" gives floor((h - pool) / s) + 1, \"same\" gives ceil(h / s)"

private func poolingExample(_ name: String) -> String {
    """
    local dl = require "dl"
    local x = dl.tensor{ 12, 20, 30, 0, 8, 12, 2, 0, 34, 70, 37, 4, 112, 100, 25, 12 }:reshape{ 1, 4, 4, 1 }
    print(dl.layers.\(name){ pool_size = 2 }(x):reshape{ 2, 2 })
    """
}

private let poolingArguments = [
    Argument("pool_size", .size(minimum: 1), [2, 2], "Height and width of the window."),
    Argument("strides", .optional(.size(minimum: 1)), .null, "Steps from one window to the next; the window's size where null."),
    Argument(
        "padding", .padding, "valid", "Whether windows may reach over the border; what lies outside does not count. Numbers say "
            + "how far, for all sides, [height, width] or [top, bottom, left, right]."),
    dataFormatArgument,
    Argument(
        "ceil_mode", .bool, false, "Whether what is left at the bottom and the right, less than a window, gets one of its own; "
            + "not with \"same\".", isKeras: false),
]

/// What maximum and average have in common.
package class Pooling2D: Layer {
    private let poolSize: [Int]
    private let strides: [Int]
    private let padding: Padding

    init(checked arguments: Arguments) throws {
        poolSize = try arguments.sizes("pool_size", 2)
        strides = arguments.has("strides") ? try arguments.sizes("strides", 2) : poolSize
        padding = try Padding(arguments)
        super.init(arguments)
    }

    func pool(_ x: Value, _ size: [Int], _ strides: [Int], _ padding: Padding) throws -> Value { x }

    /// The padding that makes room for a last window, which must still begin inside the picture or what was padded before it.
    private func roundedUp(_ shape: Shape) -> Padding {
        var sides: [Int]
        switch padding {
        case .same: return .same
        case .valid: sides = [0, 0, 0, 0]
        case .explicit(let top, let bottom, let left, let right): sides = [top, bottom, left, right]
        }
        for axis in 0..<2 {
            let (before, after, size) = (sides[2 * axis], sides[2 * axis + 1], shape[1 + axis])
            let rest = size + before + after - poolSize[axis]
            guard rest > -strides[axis], rest % strides[axis] != 0 else { continue }
            let start = rest < 0 ? 0 : (rest / strides[axis] + 1) * strides[axis]
            if start < size + before { sides[2 * axis + 1] = start + poolSize[axis] - size - before }
        }
        return .explicit(top: sides[0], bottom: sides[1], left: sides[2], right: sides[3])
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == 4 else {
            throw DLError(
                .shape, "[\(className)] the input must have four axes, (batch, height, width, channels). "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.optionalString("data_format") == "channels_first"
        let x = first ? try transpose(inputs[0], [0, 2, 3, 1]) : inputs[0]
        let y = try pool(x, poolSize, strides, arguments.bool("ceil_mode") ? roundedUp(x.shape) : padding)
        return [first ? try transpose(y, [0, 3, 1, 2]) : y]
    }
}

package final class MaxPooling2D: Pooling2D {
    static let declaration = layerDeclaration(
        "MaxPooling2D", aliases: ["MaxPool2D"], "The largest number of each window.", formula: "y = max over the window of x",
        source: "Keras, keras.layers.MaxPooling2D", shapes: poolingShapes, example: poolingExample("MaxPooling2D"),
        arguments: poolingArguments
    ) { try MaxPooling2D(checked: $0) }

    override func pool(_ x: Value, _ size: [Int], _ strides: [Int], _ padding: Padding) throws -> Value {
        try maxPool(x, poolSize: size, strides: strides, padding: padding)
    }
}

package final class AveragePooling2D: Pooling2D {
    static let declaration = layerDeclaration(
        "AveragePooling2D", aliases: ["AvgPool2D"], "The mean of each window.", formula: "y = mean over the window of x",
        source: "Keras, keras.layers.AveragePooling2D", shapes: poolingShapes, example: poolingExample("AveragePooling2D"),
        arguments: poolingArguments
    ) { try AveragePooling2D(checked: $0) }

    override func pool(_ x: Value, _ size: [Int], _ strides: [Int], _ padding: Padding) throws -> Value {
        try averagePool(x, poolSize: size, strides: strides, padding: padding)
    }
}
