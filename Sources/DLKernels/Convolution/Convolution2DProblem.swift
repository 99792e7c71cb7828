import CDLKernels
import DLBase

/// The sizes of a convolution of pictures, or of volumes, whose depths are the outermost dimension.
///
/// x [batch, inputDepth, inputHeight, inputWidth, channels], w [kernelDepth, kernelHeight, kernelWidth, channels / groups,
/// filters], y [batch, outputDepth, outputHeight, outputWidth, filters], all contiguous. The depths of pictures are 1.
///
///     outputHeight = (inputHeight + paddingTop + paddingBottom - dilationHeight * (kernelHeight - 1) - 1) / strideHeight + 1
///
/// rounded down, and width and depth likewise.
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
    package let inputDepth: Int
    package let kernelDepth: Int
    package let strideDepth: Int
    package let dilationDepth: Int
    package let paddingFront: Int
    package let paddingBack: Int
    package let outputDepth: Int

    /// Throws `shape` where a size is out of range (batch below 0, another below 1, paddings below 0), the groups do not
    /// divide channels and filters, the kernel is larger than the padded input, or a tensor would have more than 2^40
    /// elements.
    package init(
        batch: Int, inputHeight: Int, inputWidth: Int, channels: Int, filters: Int, kernelHeight: Int, kernelWidth: Int,
        strideHeight: Int = 1, strideWidth: Int = 1, dilationHeight: Int = 1, dilationWidth: Int = 1, groups: Int = 1,
        paddingTop: Int = 0, paddingBottom: Int = 0, paddingLeft: Int = 0, paddingRight: Int = 0, inputDepth: Int = 1,
        kernelDepth: Int = 1, strideDepth: Int = 1, dilationDepth: Int = 1, paddingFront: Int = 0, paddingBack: Int = 0
    ) throws(DLError) {
        self.inputDepth = inputDepth
        self.kernelDepth = kernelDepth
        self.strideDepth = strideDepth
        self.dilationDepth = dilationDepth
        self.paddingFront = paddingFront
        self.paddingBack = paddingBack
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
            ("groups", groups), ("input depth", inputDepth), ("kernel depth", kernelDepth), ("stride depth", strideDepth),
            ("dilation depth", dilationDepth),
        ]
        for (name, size) in named where size < 1 || size > Self.sizeLimit {
            throw Self.error("\(name) must be from 1 to \(Self.sizeLimit). Received: \(size)")
        }
        let padding = [paddingTop, paddingBottom, paddingLeft, paddingRight, paddingFront, paddingBack]
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
        let reachZ = dilationDepth * (kernelDepth - 1) + 1
        let paddedDepth = inputDepth + paddingFront + paddingBack
        if reachZ > paddedDepth {
            throw Self.error(
                "the kernel covers \(reachZ) planes, more than the padded input of \(paddedDepth)."
                    + " Received: input depth \(inputDepth), kernel \(kernelDepth), dilation \(dilationDepth), padding \(padding)")
        }
        outputDepth = (paddedDepth - reachZ) / strideDepth + 1
        outputHeight = (paddedHeight - reachY) / strideHeight + 1
        outputWidth = (paddedWidth - reachX) / strideWidth + 1
        let tensors = [
            ("padded input", [batch, paddedDepth, paddedHeight, paddedWidth, channels]),
            ("kernel", [kernelDepth, kernelHeight, kernelWidth, channels / groups, filters]),
            ("output", [batch, outputDepth, outputHeight, outputWidth, filters]),
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

    /// Whether the third dimension is more than one plane. Padding alone makes it so: the only output plane may look at
    /// nothing but padding.
    package var isVolume: Bool {
        inputDepth > 1 || kernelDepth > 1 || outputDepth > 1 || paddingFront > 0 || paddingBack > 0
    }
    package var inputCount: Int { batch * inputDepth * inputHeight * inputWidth * channels }
    package var kernelCount: Int { kernelDepth * kernelHeight * kernelWidth * (channels / groups) * filters }
    package var outputCount: Int { batch * outputDepth * outputHeight * outputWidth * filters }
    /// Multiplications of the direct algorithm, borders included, as one counts FLOPs: two for each multiply-add.
    package var flops: Double { 2 * Double(outputCount) * Double(kernelDepth * kernelHeight * kernelWidth * (channels / groups)) }

    var cProblem: dl_convolution_problem {
        dl_convolution_problem(
            batch: Int64(batch), input_height: Int64(inputHeight), input_width: Int64(inputWidth),
            channels: Int64(channels), filters: Int64(filters), kernel_height: Int64(kernelHeight),
            kernel_width: Int64(kernelWidth), stride_y: Int64(strideHeight), stride_x: Int64(strideWidth),
            dilation_y: Int64(dilationHeight), dilation_x: Int64(dilationWidth), groups: Int64(groups),
            pad_top: Int64(paddingTop), pad_left: Int64(paddingLeft), output_height: Int64(outputHeight),
            output_width: Int64(outputWidth), input_depth: Int64(inputDepth), kernel_depth: Int64(kernelDepth),
            stride_z: Int64(strideDepth), dilation_z: Int64(dilationDepth), pad_front: Int64(paddingFront),
            output_depth: Int64(outputDepth))
    }
}
