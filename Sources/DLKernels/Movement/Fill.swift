import DLBase

/// Constant arrays.
package enum Fill {
    /// y = the bits of `element` (its low bytes), count times; element sizes other than 1, 4 and 8 do nothing.
    package static func run(_ y: UnsafeMutableRawPointer, count: Int, byteCount: Int, element: UInt64) {
        guard count > 0 else { return }
        switch byteCount {
        case 1: y.of(UInt8.self).update(repeating: UInt8(truncatingIfNeeded: element), count: count)
        case 4: y.of(UInt32.self).update(repeating: UInt32(truncatingIfNeeded: element), count: count)
        case 8: y.of(UInt64.self).update(repeating: element, count: count)
        default: break
        }
    }

    /// The bits of a number in an element type, saturated as by a cast.
    package static func bits(_ value: Double, _ type: ElementType) -> UInt64 {
        switch type {
        case .float32: UInt64(Float(value).bitPattern)
        case .float64: value.bitPattern
        case .int32: UInt64(UInt32(bitPattern: saturated(value, Int32.self)))
        case .int64: UInt64(bitPattern: saturated(value, Int64.self))
        case .uint8: UInt64(saturated(value, UInt8.self))
        case .bool: value != 0 ? 1 : 0
        }
    }

    /// y[i] = start + i step, in double precision or, for whole numbers, wrapping.
    package static func range(_ y: UnsafeMutableRawPointer, count: Int, type: ElementType, start: Double, step: Double) {
        for i in 0..<max(count, 0) {
            let bits = bits(start + Double(i) * step, type)
            switch type.byteCount {
            case 1: y.of(UInt8.self)[i] = UInt8(truncatingIfNeeded: bits)
            case 4: y.of(UInt32.self)[i] = UInt32(truncatingIfNeeded: bits)
            default: y.of(UInt64.self)[i] = bits
            }
        }
    }
}

/// y = x with a constant around it.
package struct PadKernel: Sendable {
    package let resultCount: Int
    private let copy: StridedCopy
    private let byteCount: Int

    /// before and after: elements added to each axis, not negative. nil when they do not fit the shape or overflow.
    package init?(_ shape: [Int], before: [Int], after: [Int], byteCount: Int) {
        guard before.count == shape.count, after.count == shape.count else { return nil }
        var result: [Int] = [], count = 1
        for k in shape.indices {
            guard before[k] >= 0, after[k] >= 0 else { return nil }
            let (first, a) = shape[k].addingReportingOverflow(before[k])
            let (size, b) = first.addingReportingOverflow(after[k])
            let (product, c) = count.multipliedReportingOverflow(by: size)
            guard !a, !b, !c else { return nil }
            result.append(size)
            count = product
        }
        let inner = StridedCopy.Slice(begin: before, step: shape.map { _ in 1 }, sizes: shape)
        guard let copy = StridedCopy.assign(result, inner, byteCount: byteCount) else { return nil }
        self.copy = copy
        self.byteCount = byteCount
        resultCount = count
    }

    /// y holds `resultCount` elements; element: the bits of the constant.
    package func callAsFunction(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, element: UInt64
    ) {
        if copy.count != resultCount { Fill.run(y, count: resultCount, byteCount: byteCount, element: element) }
        copy(runtime, x, y)
    }
}
