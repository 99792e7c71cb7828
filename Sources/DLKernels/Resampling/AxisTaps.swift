import CDLKernels
import DLBase

/// A linear map along one axis in which every output is a weighted sum of few inputs: interpolation, repetition,
/// averages over windows, blurring. Its transpose, which gradients need, is of the same kind.
package struct AxisTaps: Sendable {
    package let inputSize: Int
    package let outputSize: Int
    /// The taps of output i are `starts[i] ..< starts[i + 1]`.
    private let starts: [Int]
    private let positions: [Int]
    private let weights: [Double]
    private let singleWeights: [Float]

    /// `taps` gives positions, each in `0 ..< inputSize`, and weights of an output.
    package init(inputSize: Int, outputSize: Int, taps: (Int) -> [(position: Int, weight: Double)]) {
        var (starts, positions, weights) = ([0], [Int](), [Double]())
        for output in 0..<outputSize {
            for tap in taps(output) {
                positions.append(tap.position)
                weights.append(tap.weight)
            }
            starts.append(positions.count)
        }
        self.init(inputSize, outputSize, starts, positions, weights)
    }

    private init(_ inputSize: Int, _ outputSize: Int, _ starts: [Int], _ positions: [Int], _ weights: [Double]) {
        self.inputSize = inputSize
        self.outputSize = outputSize
        self.starts = starts
        self.positions = positions
        self.weights = weights
        singleWeights = weights.map { Float($0) }
    }

    /// From the outputs back to the inputs; each sum in the order of the outputs.
    package var transposed: AxisTaps {
        var counts = [Int](repeating: 0, count: inputSize + 1)
        for position in positions { counts[position + 1] += 1 }
        for index in 0..<inputSize { counts[index + 1] += counts[index] }
        var next = counts
        var (from, factors) = ([Int](repeating: 0, count: positions.count), [Double](repeating: 0, count: positions.count))
        for output in 0..<outputSize {
            for tap in starts[output]..<starts[output + 1] {
                let place = next[positions[tap]]
                next[positions[tap]] += 1
                (from[place], factors[place]) = (output, weights[tap])
            }
        }
        return AxisTaps(outputSize, inputSize, counts, from, factors)
    }

    /// y [outer, outputSize, inner] from x [outer, inputSize, inner].
    package func callAsFunction(
        _ runtime: Runtime?, outer: Int, inner: Int, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer,
        type: ElementType
    ) {
        guard outer > 0, inner > 0, outputSize > 0 else { return }
        if type == .float64 {
            run(runtime, outer, inner, x.of(Double.self), y.of(Double.self), weights)
        } else {
            run(runtime, outer, inner, x.of(Float.self), y.of(Float.self), singleWeights)
        }
    }

    private func run<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ outer: Int, _ inner: Int, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>,
        _ weights: [T]
    ) {
        starts.withUnsafeBufferPointer { starts in
            positions.withUnsafeBufferPointer { positions in
                weights.withUnsafeBufferPointer { weights in
                    // Where no output has a tap there is nothing to point at.
                    guard let starts = starts.baseAddress, let positions = positions.baseAddress,
                        let weights = weights.baseAddress
                    else {
                        y.update(repeating: 0, count: outer &* outputSize &* inner)
                        return
                    }
                    nonisolated(unsafe) let table = Table(starts: starts, positions: positions, weights: weights)
                    nonisolated(unsafe) let source = x, target = y
                    let (n, m) = (inputSize, outputSize)
                    forRanges(runtime, count: outer &* m, grain: Swift.max(1, 16384 / inner)) { range in
                        var image = range.lowerBound / m
                        var output = range.lowerBound &- image &* m
                        var to = target + range.lowerBound &* inner
                        for _ in range {
                            row(table, output, source + image &* n &* inner, to, inner)
                            to += inner
                            output &+= 1
                            if output == m {
                                output = 0
                                image &+= 1
                            }
                        }
                    }
                }
            }
        }
    }
}

private struct Table<T> {
    let starts: UnsafePointer<Int>
    let positions: UnsafePointer<Int>
    let weights: UnsafePointer<T>
}

/// One row of the result: two taps at a time, as interpolation has them.
@inline(__always)
private func row<T: BinaryFloatingPoint>(
    _ table: Table<T>, _ output: Int, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ inner: Int
) {
    var tap = table.starts[output]
    let end = table.starts[output &+ 1]
    let count = end &- tap
    if count <= 0 {
        y.update(repeating: 0, count: inner)
        return
    }
    if count & 1 == 1 {
        let a = x + table.positions[tap] &* inner
        let v = table.weights[tap]
        if v == 1 {
            if inner <= 16 {
                for i in 0..<inner { y[i] = a[i] }
            } else {
                y.update(from: a, count: inner)
            }
        } else {
            for i in 0..<inner { y[i] = v * a[i] }
        }
        tap &+= 1
    } else {
        let a = x + table.positions[tap] &* inner, b = x + table.positions[tap &+ 1] &* inner
        let v = table.weights[tap], w = table.weights[tap &+ 1]
        for i in 0..<inner { y[i] = v * a[i] + w * b[i] }
        tap &+= 2
    }
    while tap < end {
        let a = x + table.positions[tap] &* inner, b = x + table.positions[tap &+ 1] &* inner
        let v = table.weights[tap], w = table.weights[tap &+ 1]
        for i in 0..<inner { y[i] += v * a[i] + w * b[i] }
        tap &+= 2
    }
}
