import DLBase
import DLGraph
import DLTensor

/// Where height, width and channels of a picture, or a batch of pictures, are.
struct ImageAxes {
    let height: Int
    let width: Int
    let channels: Int

    /// More rows or columns than this are refused.
    static let largest = Resample.largest

    init(_ shape: Shape, _ format: DataFormat, _ operation: String) throws {
        guard shape.rank == 3 || shape.rank == 4 else {
            throw DLError(
                .shape, "[\(operation)] images must have 3 axes, (height, width, channels), or 4 with the batch in front. "
                    + "Received: \(shape)")
        }
        let first = shape.rank - 3
        let isLast = format == .channelsLast
        (height, width, channels) = isLast ? (first, first + 1, first + 2) : (first + 1, first + 2, first)
        guard (1...ImageAxes.largest).contains(shape[height]), (1...ImageAxes.largest).contains(shape[width]) else {
            throw DLError(
                .shape, "[\(operation)] height and width must be from 1 to \(ImageAxes.largest). Received: \(shape)")
        }
    }

    init(_ spec: TensorSpec, _ arguments: Arguments) throws {
        try self.init(spec.shape, DataFormat(arguments), arguments.owner)
    }

    static let formatArgument = Argument(
        "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
        "where the channels are: the last axis, or the one in front of height and width")

    /// The shape with another height and width.
    func resized(_ shape: Shape, _ height: Int, _ width: Int) throws -> Shape {
        var sizes = shape.sizes
        (sizes[self.height], sizes[self.width]) = (height, width)
        return try Shape(checked: sizes)
    }
}

/// What bindings know of operations with one picture.
let imageInput = JSONObject([("inputs", ["images"]), ("group", "image")])

/// `x[top ..< top + height, left ..< left + width]` of pictures.
func cropped(_ x: Value, _ axes: ImageAxes, top: Int, left: Int, height: Int, width: Int) throws -> Value {
    if top == 0, left == 0, x.shape[axes.height] == height, x.shape[axes.width] == width { return x }
    var entries = [IndexEntry](repeating: .all, count: x.shape.rank)
    entries[axes.height] = .range(start: top, stop: top + height, step: 1)
    entries[axes.width] = .range(start: left, stop: left + width, step: 1)
    return try getItem(x, entries)
}

/// Pictures with a border.
func bordered(
    _ x: Value, _ axes: ImageAxes, top: Int, bottom: Int, left: Int, right: Int, value: Double = 0
) throws -> Value {
    if top == 0, bottom == 0, left == 0, right == 0 { return x }
    var widths = [[Int]](repeating: [0, 0], count: x.shape.rank)
    (widths[axes.height], widths[axes.width]) = ([top, bottom], [left, right])
    return try pad(x, widths, value: value)
}
