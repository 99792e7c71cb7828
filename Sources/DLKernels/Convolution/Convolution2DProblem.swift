import CDLKernels
import DLBase

/// The sizes of a two-dimensional convolution.
///
/// x [batch, inputHeight, inputWidth, channels], w [kernelHeight, kernelWidth, channels / groups, filters],
/// y [batch, outputHeight, outputWidth, filters], all contiguous.
///
///     outputHeight = (inputHeight + paddingTop + paddingBottom - dilationHeight * (kernelHeight - 1) - 1) / strideHeight + 1
///
/// rounded down, and the width likewise.
package struct Convolution2DProblem: Hashable, Sendable {
    package let batch: Int
    package let inputHeight: Int
    package let inputWidth: Int
    package let channels: Int
    package let filters: Int
    package let kernelHeight: Int
    package let kernelWidth: Int
    package let strideHeight: Int
    package let strideWidth: Int
    package let dilationHeight: Int
    package let dilationWidth: Int
    package let groups: Int
    package let paddingTop: Int
    package let paddingBottom: Int
    package let paddingLeft: Int
    package let paddingRight: Int
    package let outputHeight: Int
    package let outputWidth: Int

    /// Throws `shape` where a size is out of range (batch below 0, another below 1, paddings below 0), the groups do not
    /// divide channels and filters, the kernel is larger than the padded input, or a tensor would have more than 2^40
    /// elements.
    package init(
        batch: Int, inputHeight: Int, inputWidth: Int, channels: Int, filters: Int, kernelHeight: Int, kernelWidth: Int,
        strideHeight: Int = 1, strideWidth: Int = 1, dilationHeight: Int = 1, dilationWidth: Int = 1, groups: Int = 1,
        paddingTop: Int = 0, paddingBottom: Int = 0, paddingLeft: Int = 0, paddingRight: Int = 0
    ) throws(DLError) {
        self.batch = batch
        self.inputHeight = inputHeight
        self.inputWidth = inputWidth
        self.channels = channels
        self.filters = filters
        self.kernelHeight = kernelHeight
        self.kernelWidth = kernelWidth
        self.strideHeight = strideHeight
        self.strideWidth = strideWidth
        self.dilationHeight = dilationHeight
        self.dilationWidth = dilationWidth
        self.groups = groups
        self.paddingTop = paddingTop
        self.paddingBottom = paddingBottom
        self.paddingLeft = paddingLeft
        self.paddingRight = paddingRight
        let named = [
            ("input height", inputHeight), ("input width", inputWidth), ("channels", channels), ("filters", filters),
            ("kernel height", kernelHeight), ("kernel width", kernelWidth), ("stride height", strideHeight),
            ("stride width", strideWidth), ("dilation height", dilationHeight), ("dilation width", dilationWidth),
            ("groups", groups),
        ]
        for (name, size) in named where size < 1 || size > Self.sizeLimit {
            throw Self.error("\(name) must be from 1 to \(Self.sizeLimit). Received: \(size)")
        }
        let padding = [paddingTop, paddingBottom, paddingLeft, paddingRight]
        for size in padding + [batch] where size < 0 || size > Self.sizeLimit {
            throw Self.error("batch and padding must be from 0 to \(Self.sizeLimit). Received: batch \(batch), padding \(padding)")
        }
        if channels % groups != 0 || filters % groups != 0 {
            throw Self.error(
                "groups must divide channels and filters. Received: groups \(groups), channels \(channels), filters \(filters)")
        }
        // Each factor is below 2^31, so products of two and their sums fit.
        let reachY = dilationHeight * (kernelHeight - 1) + 1
        let reachX = dilationWidth * (kernelWidth - 1) + 1
        let paddedHeight = inputHeight + paddingTop + paddingBottom
        let paddedWidth = inputWidth + paddingLeft + paddingRight
        if reachY > paddedHeight || reachX > paddedWidth {
            throw Self.error(
                "the kernel covers \(reachY) by \(reachX), more than the padded input of \(paddedHeight) by \(paddedWidth)."
                    + " Received: input height \(inputHeight), width \(inputWidth), kernel \(kernelHeight) by \(kernelWidth),"
                    + " dilation \(dilationHeight) by \(dilationWidth), padding \(padding)")
        }
        outputHeight = (paddedHeight - reachY) / strideHeight + 1
        outputWidth = (paddedWidth - reachX) / strideWidth + 1
        let tensors = [
            ("padded input", [batch, paddedHeight, paddedWidth, channels]),
            ("kernel", [kernelHeight, kernelWidth, channels / groups, filters]),
            ("output", [batch, outputHeight, outputWidth, filters]),
        ]
        for (name, shape) in tensors {
            var count = 1
            for size in shape {
                let (product, overflow) = count.multipliedReportingOverflow(by: max(size, 1))
                if overflow || product > Self.elementLimit {
                    throw Self.error("the \(name) has too many elements. Received: shape \(shape)")
                }
                count = product
            }
        }
    }

    /// Padding before and after that gives ceil(input / stride) outputs: Keras's "same". The odd element goes after.
    /// Arguments are at least 1 and at most `sizeLimit`.
    package static func samePadding(input: Int, kernel: Int, stride: Int, dilation: Int) -> (before: Int, after: Int) {
        let outputs = (input - 1) / stride + 1
        let total = max(0, (outputs - 1) * stride + dilation * (kernel - 1) + 1 - input)
        return (total / 2, total - total / 2)
    }

    package static let sizeLimit = Int(Int32.max)
    private static let elementLimit = 1 << 40

    private static func error(_ text: String) -> DLError { DLError(.shape, "[conv2d] \(text)") }

    package var inputCount: Int { batch * inputHeight * inputWidth * channels }
    package var kernelCount: Int { kernelHeight * kernelWidth * (channels / groups) * filters }
    package var outputCount: Int { batch * outputHeight * outputWidth * filters }
    /// Multiplications of the direct algorithm, borders included, as one counts FLOPs: two for each multiply-add.
    package var flops: Double { 2 * Double(outputCount) * Double(kernelHeight * kernelWidth * (channels / groups)) }

    var cProblem: dl_convolution_problem {
        dl_convolution_problem(
            batch: Int64(batch), input_height: Int64(inputHeight), input_width: Int64(inputWidth),
            channels: Int64(channels), filters: Int64(filters), kernel_height: Int64(kernelHeight),
            kernel_width: Int64(kernelWidth), stride_y: Int64(strideHeight), stride_x: Int64(strideWidth),
            dilation_y: Int64(dilationHeight), dilation_x: Int64(dilationWidth), groups: Int64(groups),
            pad_top: Int64(paddingTop), pad_left: Int64(paddingLeft), output_height: Int64(outputHeight),
            output_width: Int64(outputWidth))
    }
}

extension Convolution2DProblem: CustomStringConvertible {
    /// The problem string, for example `conv2d n4 ih56 iw56 ic64 oc64 kh3 kw3 s1 p1`. Dilation and groups stand only where
    /// they are not 1; unequal strides are `sh sw`, unequal dilations `dh dw`, unequal paddings `pt pb pl pr`.
    package var description: String {
        var text = "conv2d n\(batch) ih\(inputHeight) iw\(inputWidth) ic\(channels) oc\(filters) kh\(kernelHeight) kw\(kernelWidth)"
        text += strideHeight == strideWidth ? " s\(strideHeight)" : " sh\(strideHeight) sw\(strideWidth)"
        if dilationHeight != dilationWidth {
            text += " dh\(dilationHeight) dw\(dilationWidth)"
        } else if dilationHeight != 1 {
            text += " d\(dilationHeight)"
        }
        if paddingTop == paddingBottom && paddingTop == paddingLeft && paddingTop == paddingRight {
            text += " p\(paddingTop)"
        } else {
            text += " pt\(paddingTop) pb\(paddingBottom) pl\(paddingLeft) pr\(paddingRight)"
        }
        return groups == 1 ? text : text + " g\(groups)"
    }

    /// Reads a problem string; throws `format` where it is none, and as the other initializer where its sizes are wrong.
    package init(_ text: String) throws(DLError) {
        let words = text.split(separator: " ")
        guard words.first == "conv2d" else {
            throw DLError(.format, "[conv2d] a problem string begins with conv2d. Received: \(text)")
        }
        let known = [
            "n", "ih", "iw", "ic", "oc", "kh", "kw", "s", "sh", "sw", "d", "dh", "dw", "p", "pt", "pb", "pl", "pr", "g",
        ]
        var values: [String: Int] = [:]
        for word in words.dropFirst() {
            let name = String(word.prefix { !$0.isNumber && $0 != "-" })
            guard known.contains(name), let value = Int(word.dropFirst(name.count)), values[name] == nil else {
                throw DLError(.format, "[conv2d] problem string has an unknown or repeated part \"\(word)\". Received: \(text)")
            }
            values[name] = value
        }
        for name in known.prefix(7) where values[name] == nil {
            throw DLError(.format, "[conv2d] problem string lacks \(name). Received: \(text)")
        }
        func value(_ name: String, _ common: String, _ standard: Int) -> Int { values[name] ?? values[common] ?? standard }
        try self.init(
            batch: value("n", "", 0), inputHeight: value("ih", "", 0), inputWidth: value("iw", "", 0),
            channels: value("ic", "", 0), filters: value("oc", "", 0), kernelHeight: value("kh", "", 0),
            kernelWidth: value("kw", "", 0), strideHeight: value("sh", "s", 1), strideWidth: value("sw", "s", 1),
            dilationHeight: value("dh", "d", 1), dilationWidth: value("dw", "d", 1), groups: value("g", "", 1),
            paddingTop: value("pt", "p", 0), paddingBottom: value("pb", "p", 0), paddingLeft: value("pl", "p", 0),
            paddingRight: value("pr", "p", 0))
    }
}
