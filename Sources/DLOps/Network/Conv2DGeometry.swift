import DLBase
import DLGraph
import DLKernels

/// How the kernel of a two-dimensional convolution moves over the picture: the attributes that the convolution and
/// its gradients share.
package struct Conv2DGeometry: Hashable, Sendable {
    package var strides: [Int]
    package var padding: Padding
    package var dilation: [Int]
    package var groups: Int

    package init(strides: [Int] = [1, 1], padding: Padding = .valid, dilation: [Int] = [1, 1], groups: Int = 1) {
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
    }

    init(_ arguments: Arguments) throws {
        strides = try arguments.sizes("strides", 2)
        padding = try Padding(arguments)
        dilation = try arguments.sizes("dilation_rate", 2)
        groups = arguments.int("groups")
    }

    static let arguments = [
        Argument("strides", .size(minimum: 1), [1, 1], "rows and columns from one window to the next"),
        Padding.argument,
        Argument("dilation_rate", .size(minimum: 1), [1, 1], "rows and columns from one weight of the kernel to the next"),
        Argument(
            "groups", .int(Argument.positive), 1,
            "channels and filters are divided into this many groups; filters of a group see its channels only"),
    ]

    var pairs: [(String, JSON)] {
        [
            ("strides", sizesJSON(strides)), ("padding", padding.json), ("dilation_rate", sizesJSON(dilation)),
            ("groups", .int(Int64(groups))),
        ]
    }

    /// Attributes that differ from the defaults, and `more`.
    func attributes(_ more: (String, JSON)...) -> JSON {
        var object = JSONObject()
        for (argument, pair) in zip(Conv2DGeometry.arguments, pairs) where argument.defaultValue != pair.1 {
            object[pair.0] = pair.1
        }
        for (name, value) in more { object[name] = value }
        return .object(object)
    }

    /// The sizes of one convolution, checked. `input` is (N, H, W, C), `kernel` (H, W, C / groups, F).
    func problem(input: Shape, kernel: Shape, _ operation: String) throws -> Convolution2DProblem {
        func fail(_ text: String, _ code: DLError.Code = .shape) -> DLError {
            DLError(code, "[\(operation)] \(text). Received: input \(input), kernel \(kernel)")
        }
        guard input.rank == 4 else { throw fail("input must have 4 axes: (batch, height, width, channels)") }
        guard kernel.rank == 4 else {
            throw fail("kernel must have 4 axes: (height, width, channels / groups, filters)")
        }
        let channels = input[3]
        let depth = kernel[2]
        let filters = kernel[3]
        guard strides.count == 2, dilation.count == 2, groups >= 1, (strides + dilation).allSatisfy({ $0 >= 1 }) else {
            throw fail("strides and dilation_rate must be two numbers of at least 1, groups at least 1", .argument)
        }
        let limit = Int(Int32.max)
        for (name, size) in zip(
            ["input height", "input width", "channels", "kernel height", "kernel width", "kernel channels", "filters"],
            [input[1], input[2], channels, kernel[0], kernel[1], depth, filters])
        where size < 1 || size > limit {
            throw fail("\(name) must be from 1 to \(limit), not \(size)")
        }
        let (seen, overflow) = depth.multipliedReportingOverflow(by: groups)
        guard !overflow, seen == channels else {
            throw groups == 1
                ? fail("input has \(channels) channels, kernel was built for \(depth)")
                : fail("input has \(channels) channels, kernel was built for \(depth) in each of \(groups) groups")
        }
        guard filters % groups == 0 else { throw fail("\(groups) groups do not divide \(filters) filters") }
        let window = [kernel[0], kernel[1]]
        let amounts = padding.amounts(input: [input[1], input[2]], window: window, strides: strides, dilation: dilation)
        for axis in 0..<2 {
            let reach = dilation[axis] * (window[axis] - 1) + 1
            let padded = input[1 + axis] + amounts[2 * axis] + amounts[2 * axis + 1]
            guard reach <= padded else {
                throw fail(
                    "kernel covers \(reach) \(axis == 0 ? "rows" : "columns"), the padded input has only \(padded)")
            }
        }
        do {
            return try Convolution2DProblem(
                batch: input[0], inputHeight: input[1], inputWidth: input[2], channels: channels, filters: filters,
                kernelHeight: window[0], kernelWidth: window[1], strideHeight: strides[0], strideWidth: strides[1],
                dilationHeight: dilation[0], dilationWidth: dilation[1], groups: groups, paddingTop: amounts[0],
                paddingBottom: amounts[1], paddingLeft: amounts[2], paddingRight: amounts[3])
        } catch {
            throw fail("the sizes are too large", .limit)
        }
    }
}

extension Convolution2DProblem {
    var inputShape: Shape { [batch, inputHeight, inputWidth, channels] }
    var kernelShape: Shape { [kernelHeight, kernelWidth, channels / groups, filters] }
    var outputShape: Shape { [batch, outputHeight, outputWidth, filters] }
}
