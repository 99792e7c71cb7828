import CDLKernels

/// Calls body(first element, step between elements, result's position) for each line along the axis.
@inline(__always)
func forLines(_ axis: ReductionAxis, _ body: (_ start: Int, _ step: Int, _ result: Int) -> Void) {
    for o in 0..<max(axis.outer, 0) {
        for i in 0..<max(axis.inner, 0) { body(o * axis.n * axis.inner + i, axis.inner, o * axis.inner + i) }
    }
}

/// The sum of term(0), term(1), ... by halves, so that the error grows with the logarithm of their number.
func pairwiseSum(_ from: Int, _ to: Int, _ term: (Int) -> Double) -> Double {
    if to - from <= 64 {
        var sum = 0.0
        for i in from..<max(from, to) { sum += term(i) }
        return sum
    }
    let middle = from + (to - from) / 2
    return pairwiseSum(from, middle, term) + pairwiseSum(middle, to, term)
}

func reduceReal<T: FloatElement>(
    _ function: ReductionFunction, _ axis: ReductionAxis, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>
) {
    let n = axis.n
    forLines(axis) { start, step, result in
        let x = x + start
        @inline(__always) func element(_ i: Int) -> Double { x[i * step].double }
        let value: Double
        switch function {
        case .sum: value = pairwiseSum(0, n, element)
        case .mean: value = pairwiseSum(0, n, element) / Double(n)
        case .sumOfSquares: value = pairwiseSum(0, n) { element($0) * element($0) }
        case .sumOfMagnitudes: value = pairwiseSum(0, n) { abs(element($0)) }
        case .maximum, .logSumExp:
            var largest = -Double.infinity
            for i in 0..<n { largest = largest.isNaN || element(i) <= largest ? largest : element(i) }
            if function == .maximum || largest.isInfinite || largest.isNaN {
                value = largest
            } else {
                value = largest + dl_log_d(pairwiseSum(0, n) { dl_exp_d(element($0) - largest) })
            }
        case .minimum:
            var smallest = Double.infinity
            for i in 0..<n { smallest = smallest.isNaN || element(i) >= smallest ? smallest : element(i) }
            value = smallest
        case .product:
            var product = 1.0
            for i in 0..<n { product *= element(i) }
            value = product
        case .any, .all: value = 0
        }
        y[result] = T(rounding: value)
    }
}

func reduceWhole<T: FixedWidthInteger>(
    _ function: ReductionFunction, _ axis: ReductionAxis, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>
) {
    forLines(axis) { start, step, result in
        let x = x + start
        var value: T =
            switch function {
            case .maximum: T.min
            case .minimum: T.max
            case .product, .all: 1
            default: 0
            }
        for i in 0..<axis.n {
            let v = x[i * step]
            switch function {
            case .maximum: value = v > value ? v : value
            case .minimum: value = v < value ? v : value
            case .product: value = value &* v
            case .sumOfSquares: value = value &+ v &* v
            case .sumOfMagnitudes: value = value &+ (v < 0 ? 0 &- v : v)
            case .all: if v == 0 { value = 0 }
            case .any: if v != 0 { value = 1 }
            default: value = value &+ v
            }
        }
        y[result] = value
    }
}
