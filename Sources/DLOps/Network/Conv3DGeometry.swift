import DLBase
import DLGraph
import DLKernels

/// How the kernel of a three-dimensional convolution moves over the volume: the attributes that the convolution and its
/// gradients share.
package struct Conv3DGeometry: Hashable, Sendable {
    package var strides: [Int]
    package var isSame: Bool
    /// Zeros before and after, for each axis, in place of a rule.
    package var explicit: [Int]?
    package var dilation: [Int]
    package var groups: Int

    package init(
        strides: [Int] = [1, 1, 1], isSame: Bool = false, explicit: [Int]? = nil, dilation: [Int] = [1, 1, 1],
        groups: Int = 1
    ) {
        self.explicit = explicit
        self.strides = strides
        self.isSame = isSame
        self.dilation = dilation
        self.groups = groups
    }

    init(_ arguments: Arguments) throws {
        strides = try arguments.sizes("strides", 3)
        isSame = arguments.optionalString("padding") == "same"
        if !isSame, arguments.optionalString("padding") != "valid" {
            let amounts = arguments.ints("padding")
            guard amounts.count == 6, arguments["padding"].arrayValue?.count == 6,
                amounts.allSatisfy({ (0...Int(Int32.max)).contains($0) })
            else {
                throw arguments.error("padding", "'valid', 'same' or [front, back, top, bottom, left, right]")
            }
            explicit = amounts
        }
        dilation = try arguments.sizes("dilation_rate", 3)
        groups = arguments.int("groups")
    }

    static let arguments = [
        Argument("strides", .size(minimum: 1), [1, 1, 1], "planes, rows and columns from one window to the next"),
        Argument(
            "padding", .any, "valid",
            "'valid' for none, 'same' for ceil(size / stride) outputs, or [front, back, top, bottom, left, right]"),
        Argument(
            "dilation_rate", .size(minimum: 1), [1, 1, 1], "planes, rows and columns from one weight of the kernel to the next"),
        Argument(
            "groups", .int(Argument.positive), 1,
            "channels and filters are divided into this many groups; filters of a group see its channels only"),
    ]

    /// Attributes that differ from the defaults, and `more`.
    func attributes(_ more: (String, JSON)...) -> JSON {
        let pairs: [(String, JSON)] = [
            ("strides", sizesJSON(strides)), ("padding", explicit.map(sizesJSON) ?? (isSame ? "same" : "valid")),
            ("dilation_rate", sizesJSON(dilation)),
            ("groups", .int(Int64(groups))),
        ]
        var object = JSONObject()
        for (argument, pair) in zip(Conv3DGeometry.arguments, pairs) where argument.defaultValue != pair.1 {
            object[pair.0] = pair.1
        }
        for (name, value) in more { object[name] = value }
        return .object(object)
    }

    /// The sizes of one convolution, checked. `input` is (N, D, H, W, C), `kernel` (D, H, W, C / groups, F).
    func problem(input: Shape, kernel: Shape, _ operation: String) throws -> Convolution2DProblem {
        func fail(_ text: String, _ code: DLError.Code = .shape) -> DLError {
            DLError(code, "[\(operation)] \(text). Received: input \(input), kernel \(kernel)")
        }
        guard input.rank == 5 else { throw fail("input must have 5 axes: (batch, depth, height, width, channels)") }
        guard kernel.rank == 5 else {
            throw fail("kernel must have 5 axes: (depth, height, width, channels / groups, filters)")
        }
        guard strides.count == 3, dilation.count == 3, groups >= 1, explicit?.count ?? 6 == 6,
            (strides + dilation).allSatisfy({ $0 >= 1 })
        else {
            throw fail("strides and dilation_rate must be three numbers of at least 1, groups at least 1", .argument)
        }
        let limit = Int(Int32.max)
        for size in Array(input.sizes.dropFirst()) + kernel.sizes where size < 1 || size > limit {
            throw fail("sizes must be from 1 to \(limit), not \(size)")
        }
        let (seen, overflow) = kernel[3].multipliedReportingOverflow(by: groups)
        guard !overflow, seen == input[4] else {
            throw groups == 1
                ? fail("input has \(input[4]) channels, kernel was built for \(kernel[3])")
                : fail("input has \(input[4]) channels, kernel was built for \(kernel[3]) in each of \(groups) groups")
        }
        guard kernel[4] % groups == 0 else { throw fail("\(groups) groups do not divide \(kernel[4]) filters") }
        var amounts: [(before: Int, after: Int)] = []
        for axis in 0..<3 {
            let (size, window) = (input[1 + axis], kernel[axis])
            let amount = isSame
                ? Convolution2DProblem.samePadding(input: size, kernel: window, stride: strides[axis], dilation: dilation[axis])
                : explicit.map { (before: $0[2 * axis], after: $0[2 * axis + 1]) } ?? (before: 0, after: 0)
            let reach = dilation[axis] * (window - 1) + 1
            guard reach <= size + amount.before + amount.after else {
                throw fail("kernel covers \(reach) \(["planes", "rows", "columns"][axis]), the padded input has only \(size)")
            }
            amounts.append(amount)
        }
        do {
            return try Convolution2DProblem(
                batch: input[0], inputHeight: input[2], inputWidth: input[3], channels: input[4], filters: kernel[4],
                kernelHeight: kernel[1], kernelWidth: kernel[2], strideHeight: strides[1], strideWidth: strides[2],
                dilationHeight: dilation[1], dilationWidth: dilation[2], groups: groups, paddingTop: amounts[1].before,
                paddingBottom: amounts[1].after, paddingLeft: amounts[2].before, paddingRight: amounts[2].after,
                inputDepth: input[1], kernelDepth: kernel[0], strideDepth: strides[0], dilationDepth: dilation[0],
                paddingFront: amounts[0].before, paddingBack: amounts[0].after)
        } catch {
            throw fail("the sizes are too large", .limit)
        }
    }
}

extension Convolution2DProblem {
    var volumeInputShape: Shape { [batch, inputDepth, inputHeight, inputWidth, channels] }
    var volumeKernelShape: Shape { [kernelDepth, kernelHeight, kernelWidth, channels / groups, filters] }
    var volumeOutputShape: Shape { [batch, outputDepth, outputHeight, outputWidth, filters] }
}
