import DLBase

/// Positions along an axis, int32 or int64, from 0.
package struct Indices: @unchecked Sendable {
    package let pointer: UnsafeRawPointer
    package let count: Int
    private let isWide: Bool

    /// nil for other types.
    package init?(_ pointer: UnsafeRawPointer, _ type: ElementType, count: Int) {
        guard type == .int32 || type == .int64 else { return nil }
        self.pointer = pointer
        self.count = count
        isWide = type == .int64
    }

    package subscript(i: Int) -> Int {
        isWide
            ? Int(pointer.loadUnaligned(fromByteOffset: i &* 8, as: Int64.self))
            : Int(pointer.loadUnaligned(fromByteOffset: i &* 4, as: Int32.self))
    }

    /// The first index outside `0 ..< n`.
    package func firstOutOfRange(_ n: Int) -> (position: Int, value: Int)? {
        for i in 0..<max(count, 0) {
            let value = self[i]
            if value < 0 || value >= n { return (i, value) }
        }
        return nil
    }
}

/// Elements chosen by index. Every function checks the indices first and, when one is out of range, returns its
/// position and value without having written anything.
package enum Gather {
    package typealias OutOfRange = (position: Int, value: Int)

    /// y [outer, indices, inner] = x [outer, n, inner] at the indices; elements of `byteCount` bytes.
    package static func take(
        _ runtime: Runtime?, _ axis: ReductionAxis, _ x: UnsafeRawPointer, _ indices: Indices,
        _ y: UnsafeMutableRawPointer, byteCount: Int
    ) -> OutOfRange? {
        if let bad = indices.firstOutOfRange(axis.n) { return bad }
        let bytes = axis.inner * byteCount, count = indices.count
        guard bytes > 0, count > 0 else { return nil }
        nonisolated(unsafe) let x = x, y = y
        forRanges(runtime, count: axis.outer * count, grain: max(1, 65536 / bytes)) { range in
            for i in range {
                let outer = i / count
                let from = (outer * axis.n + indices[i - outer * count]) * bytes
                (y + i * bytes).copyMemory(from: x + from, byteCount: bytes)
            }
        }
        return nil
    }

    /// y [outer, k, inner] = x [outer, n, inner] with an index of its own for every element of y.
    package static func takeAlongAxis(
        _ axis: ReductionAxis, k: Int, _ x: UnsafeRawPointer, _ indices: Indices, _ y: UnsafeMutableRawPointer,
        byteCount: Int
    ) -> OutOfRange? {
        if let bad = indices.firstOutOfRange(axis.n) { return bad }
        guard k > 0, axis.inner > 0 else { return nil }
        for i in 0..<indices.count {
            let inner = i % axis.inner, outer = i / (axis.inner * k)
            let from = ((outer * axis.n + indices[i]) * axis.inner + inner) * byteCount
            (y + i * byteCount).copyMemory(from: x + from, byteCount: byteCount)
        }
        return nil
    }

    /// y [outer, n, inner] += x [outer, indices, inner] at the indices, in the order of the indices.
    package static func scatterAdd(
        _ runtime: Runtime?, _ axis: ReductionAxis, _ x: UnsafeRawPointer, _ indices: Indices,
        _ y: UnsafeMutableRawPointer, type: ElementType
    ) -> OutOfRange? {
        if let bad = indices.firstOutOfRange(axis.n) { return bad }
        switch type {
        case .float32: scatter(runtime, axis, x.of(Float.self), indices, y.of(Float.self)) { $0 + $1 }
        case .float64: scatter(runtime, axis, x.of(Double.self), indices, y.of(Double.self)) { $0 + $1 }
        case .int32: scatter(runtime, axis, x.of(Int32.self), indices, y.of(Int32.self)) { $0 &+ $1 }
        case .int64: scatter(runtime, axis, x.of(Int64.self), indices, y.of(Int64.self)) { $0 &+ $1 }
        case .uint8: scatter(runtime, axis, x.of(UInt8.self), indices, y.of(UInt8.self)) { $0 &+ $1 }
        case .bool: scatter(runtime, axis, x.of(UInt8.self), indices, y.of(UInt8.self)) { $0 | $1 }
        }
        return nil
    }

    @inline(__always)
    private static func scatter<T>(
        _ runtime: Runtime?, _ axis: ReductionAxis, _ x: UnsafePointer<T>, _ indices: Indices,
        _ y: UnsafeMutablePointer<T>, _ add: (T, T) -> T
    ) {
        let inner = axis.inner, count = indices.count
        guard inner > 0, count > 0 else { return }
        // A piece owns a range of columns of all rows, so rows that are met twice are added in order.
        nonisolated(unsafe) let x = x, y = y
        let grain = max(16, 16384 / count)
        forRanges(runtime, count: inner, grain: grain) { columns in
            for outer in 0..<axis.outer {
                for i in 0..<count {
                    let to = y + (outer * axis.n + indices[i]) * inner, from = x + (outer * count + i) * inner
                    for c in columns { to[c] = add(to[c], from[c]) }
                }
            }
        }
    }

    /// y [outer, n, inner] += x [outer, k, inner] with an index of its own for every element of x: the gradient
    /// of `takeAlongAxis`.
    package static func scatterAddAlongAxis(
        _ axis: ReductionAxis, k: Int, _ x: UnsafeRawPointer, _ indices: Indices, _ y: UnsafeMutableRawPointer,
        type: ElementType
    ) -> OutOfRange? {
        if let bad = indices.firstOutOfRange(axis.n) { return bad }
        guard k > 0, axis.inner > 0 else { return nil }
        for i in 0..<indices.count {
            let inner = i % axis.inner, outer = i / (axis.inner * k)
            let to = (outer * axis.n + indices[i]) * axis.inner + inner
            switch type {
            case .float32: y.of(Float.self)[to] += x.of(Float.self)[i]
            case .float64: y.of(Double.self)[to] += x.of(Double.self)[i]
            case .int32: y.of(Int32.self)[to] &+= x.of(Int32.self)[i]
            case .int64: y.of(Int64.self)[to] &+= x.of(Int64.self)[i]
            case .uint8: y.of(UInt8.self)[to] &+= x.of(UInt8.self)[i]
            case .bool: y.of(UInt8.self)[to] |= x.of(UInt8.self)[i]
            }
        }
        return nil
    }

    /// y [indices, depth] = 1 at the index, else 0; an index outside `0 ..< depth` leaves its row zero.
    package static func oneHot(_ indices: Indices, depth: Int, _ y: UnsafeMutableRawPointer, type: ElementType) {
        guard depth > 0 else { return }
        let bytes = type.byteCount
        Fill.run(y, count: indices.count * depth, byteCount: bytes, element: 0)
        let one = Fill.bits(1, type)
        for i in 0..<indices.count {
            let index = indices[i]
            guard index >= 0, index < depth else { continue }
            Fill.run(y + (i * depth + index) * bytes, count: 1, byteCount: bytes, element: one)
        }
    }
}
