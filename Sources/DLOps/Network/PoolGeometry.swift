import DLBase
import DLGraph
import DLKernels

/// How a window moves over pictures: the attributes that pooling operations and their gradients share.
package struct PoolGeometry: Hashable, Sendable {
    package var size: [Int]
    package var strides: [Int]
    package var padding: Padding

    package init(size: [Int], strides: [Int]? = nil, padding: Padding = .valid) {
        self.size = size
        self.strides = strides ?? size
        self.padding = padding
    }

    init(_ arguments: Arguments) throws {
        size = try arguments.sizes("pool_size", 2)
        strides = arguments.has("strides") ? try arguments.sizes("strides", 2) : size
        padding = try Padding(arguments)
    }

    static let arguments = [
        Argument("pool_size", .size(minimum: 1), nil, "rows and columns of the window"),
        Argument(
            "strides", .optional(.size(minimum: 1)), .null,
            "rows and columns from one window to the next; null for windows side by side"),
        Padding.argument,
    ]

    func attributes(_ more: (String, JSON)...) -> JSON {
        var object = JSONObject([("pool_size", sizesJSON(size))])
        if strides != size { object["strides"] = sizesJSON(strides) }
        if padding != .valid { object["padding"] = padding.json }
        for (name, value) in more { object[name] = value }
        return .object(object)
    }

    /// Sizes of one pooling, checked. `input` is (N, H, W, C).
    func problem(_ input: Shape, _ operation: String) throws -> Pool2D {
        func fail(_ text: String, _ code: DLError.Code = .shape) -> DLError {
            DLError(
                code, "[\(operation)] \(text). Received: input \(input), pool_size \(Shape(size)), strides \(Shape(strides))")
        }
        guard size.count == 2, strides.count == 2, (size + strides).allSatisfy({ (1...Int(Int32.max)).contains($0) })
        else { throw fail("pool_size and strides must be two numbers of at least 1", .argument) }
        guard input.rank == 4 else { throw fail("input must have 4 axes: (batch, height, width, channels)") }
        for axis in 1...3 where input[axis] < 1 || input[axis] > Int(Int32.max) {
            throw fail("\(["height", "width", "channels"][axis - 1]) must be from 1 to \(Int32.max)")
        }
        let amounts = padding.amounts(input: [input[1], input[2]], window: size, strides: strides, dilation: [1, 1])
        for axis in 0..<2 {
            let (before, after) = (amounts[2 * axis], amounts[2 * axis + 1])
            // A window that sees nothing but padding has neither a maximum nor an average.
            guard before < size[axis], after < size[axis] else {
                throw fail("padding must be smaller than the window", .argument)
            }
            let padded = input[1 + axis] + before + after
            guard size[axis] <= padded else {
                throw fail("the window has \(size[axis]) \(axis == 0 ? "rows" : "columns"), the input only \(padded)")
            }
        }
        guard
            let problem = Pool2D(
                n: input[0], ih: input[1], iw: input[2], c: input[3], kh: size[0], kw: size[1], sh: strides[0],
                sw: strides[1], padTop: amounts[0], padBottom: amounts[1], padLeft: amounts[2], padRight: amounts[3])
        else { throw fail("a window lies outside the input, or the sizes are too large") }
        return problem
    }
}

extension Pool2D {
    var inputShape: Shape { [n, ih, iw, c] }
    var outputShape: Shape { [n, oh, ow, c] }
}
