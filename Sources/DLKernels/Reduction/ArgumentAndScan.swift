import DLBase

/// The position of the first largest or smallest element along an axis, from 0. A NaN counts as the extreme.
package struct ArgumentKernel: Sendable {
    package enum Extreme: Sendable { case maximum, minimum }
    package let extreme: Extreme
    package let type: ElementType
    package let resultType: ElementType

    /// resultType: int32 or int64, else nil.
    package init?(_ extreme: Extreme, _ type: ElementType, resultType: ElementType = .int64) {
        guard resultType == .int64 || resultType == .int32 else { return nil }
        self.extreme = extreme
        self.type = type
        self.resultType = resultType
    }

    /// x [outer, n, inner] -> y [outer, inner]; n must not be 0.
    package func callAsFunction(
        _ runtime: Runtime?, _ axis: ReductionAxis, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer
    ) {
        switch type {
        case .float32: run(axis, x.of(Float.self), y) { $0 != $0 }
        case .float64: run(axis, x.of(Double.self), y) { $0 != $0 }
        case .int32: run(axis, x.of(Int32.self), y) { _ in false }
        case .int64: run(axis, x.of(Int64.self), y) { _ in false }
        case .uint8, .bool: run(axis, x.of(UInt8.self), y) { _ in false }
        }
    }

    @inline(__always)
    private func run<T: Comparable>(
        _ axis: ReductionAxis, _ x: UnsafePointer<T>, _ y: UnsafeMutableRawPointer, _ isNaN: (T) -> Bool
    ) {
        let wantsLargest = extreme == .maximum
        forLines(axis) { start, step, result in
            let x = x + start
            var best = 0
            if axis.n > 0 {
                var value = x[0]
                for i in 1..<max(1, axis.n) {
                    if isNaN(value) { break }
                    let v = x[i * step]
                    if isNaN(v) || (wantsLargest ? v > value : v < value) {
                        value = v
                        best = i
                    }
                }
            }
            if resultType == .int64 {
                y.of(Int64.self)[result] = Int64(best)
            } else {
                y.of(Int32.self)[result] = Int32(truncatingIfNeeded: best)
            }
        }
    }
}

/// Running sums or products along an axis.
package struct ScanKernel: Sendable {
    package enum Function: Sendable { case sum, product }
    package let function: Function
    package let type: ElementType
    package let exclusive: Bool
    package let reverse: Bool

    /// exclusive: y[i] leaves x[i] out. reverse: from the end. nil for bool.
    package init?(_ function: Function, _ type: ElementType, exclusive: Bool = false, reverse: Bool = false) {
        guard type != .bool else { return nil }
        self.function = function
        self.type = type
        self.exclusive = exclusive
        self.reverse = reverse
    }

    /// x and y [outer, n, inner]; y may be x.
    package func callAsFunction(
        _ runtime: Runtime?, _ axis: ReductionAxis, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer
    ) {
        let isSum = function == .sum
        switch type {
        case .float32: real(axis, x.of(Float.self), y.of(Float.self))
        case .float64: real(axis, x.of(Double.self), y.of(Double.self))
        case .int32: run(axis, x.of(Int32.self), y.of(Int32.self), isSum ? 0 : 1) { isSum ? $0 &+ $1 : $0 &* $1 }
        case .int64: run(axis, x.of(Int64.self), y.of(Int64.self), isSum ? 0 : 1) { isSum ? $0 &+ $1 : $0 &* $1 }
        case .uint8, .bool:
            run(axis, x.of(UInt8.self), y.of(UInt8.self), isSum ? 0 : 1) { isSum ? $0 &+ $1 : $0 &* $1 }
        }
    }

    /// float32 runs in double precision: a running sum has no other way to keep its error small.
    private func real<T: FloatElement>(_ axis: ReductionAxis, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) {
        forLines(axis) { start, step, _ in
            var total = function == .sum ? 0.0 : 1.0
            for k in 0..<axis.n {
                let i = start + (reverse ? axis.n - 1 - k : k) * step
                let next = function == .sum ? total + x[i].double : total * x[i].double
                y[i] = T(rounding: exclusive ? total : next)
                total = next
            }
        }
    }

    @inline(__always)
    private func run<T>(
        _ axis: ReductionAxis, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ start: T, _ f: (T, T) -> T
    ) {
        forLines(axis) { first, step, _ in
            var total = start
            for k in 0..<axis.n {
                let i = first + (reverse ? axis.n - 1 - k : k) * step
                let next = f(total, x[i])
                y[i] = exclusive ? total : next
                total = next
            }
        }
    }
}
