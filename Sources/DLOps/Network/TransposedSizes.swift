import DLBase

/// The sizes of a transposed convolution by Keras's rules, along each spatial axis, and the padding of the convolution of
/// which it is the gradient.
struct TransposedSizes {
    var size: [Int] = []
    /// Before and after, for each axis.
    var padding: [Int] = []

    init(
        input: [Int], kernel: [Int], strides: [Int], dilation: [Int], outputPadding: [Int]?, isSame: Bool,
        _ fail: (String) -> DLError
    ) throws {
        let (limit, rank) = (Int(Int32.max), input.count)
        guard strides.count == rank, dilation.count == rank, outputPadding?.count ?? rank == rank,
            (input + kernel + strides + dilation).allSatisfy({ (1...limit).contains($0) }),
            outputPadding?.allSatisfy({ (0...limit).contains($0) }) ?? true
        else { throw fail("sizes of input and kernel, strides and dilation_rate must be from 1 to \(limit)") }
        for axis in 0..<rank {
            // Products of two numbers below 2^31, so sums of a few of them fit.
            let reach = (kernel[axis] - 1) * dilation[axis] + 1
            let spread = (input[axis] - 1) * strides[axis]
            let extra = outputPadding?[axis]
            let before: Int
            if isSame {
                let total = extra.map { reach + reach % 2 - 2 + $0 } ?? strides[axis] + reach - 2
                before = reach - 1 - Swift.min((total + 1) / 2, reach - 1)
                size.append(extra.map { spread + reach % 2 + $0 } ?? input[axis] * strides[axis])
            } else {
                before = 0
                size.append(spread + reach + (extra ?? Swift.max(0, strides[axis] - reach)))
            }
            if let extra, extra >= strides[axis] { throw fail("output_padding must be less than strides") }
            guard (1...limit).contains(size[axis]), before <= limit else { throw fail("the result's sizes are out of range") }
            padding += [before, Swift.max(0, spread + reach - size[axis] - before)]
        }
        guard padding.allSatisfy({ $0 <= limit }) else { throw fail("the result's sizes are out of range") }
    }
}
