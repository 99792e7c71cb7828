import DLBase
import DLTensor

/// Plain loops for the element types and processors that have no tuned kernel. Formulas are given in Double and Int64;
/// float32 is computed in Double and rounded once.
enum Loops {
    /// Pieces of this many elements run in parallel; what one element becomes does not depend on the others.
    static let grain = 1 << 15

    @inline(__always)
    static func split(_ count: Int, _ body: (Int, Int) -> Void) {
        if count <= grain {
            body(0, count)
            return
        }
        ThreadPool.shared.forEach(pieces: (count &+ grain &- 1) / grain) { piece in
            body(piece &* grain, min(count, (piece &+ 1) &* grain))
        }
    }

    // MARK: Element-wise

    @inline(__always)
    private static func map<T: BinaryFloatingPoint>(
        _: T.Type, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int, _ f: (Double) -> Double
    ) {
        let source = x.assumingMemoryBound(to: T.self)
        let target = y.assumingMemoryBound(to: T.self)
        split(count) { start, end in
            for i in start..<end { target[i] = T(f(Double(source[i]))) }
        }
    }

    @inline(__always)
    private static func mapInteger<T: FixedWidthInteger>(
        _: T.Type, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int, _ f: (Int64) -> Int64
    ) {
        let source = x.assumingMemoryBound(to: T.self)
        let target = y.assumingMemoryBound(to: T.self)
        split(count) { start, end in
            for i in start..<end { target[i] = T(truncatingIfNeeded: f(Int64(truncatingIfNeeded: source[i]))) }
        }
    }

    /// y = f(x) in one type. Integers wrap.
    static func map(
        _ type: ElementType, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int,
        _ real: (Double) -> Double, _ integer: ((Int64) -> Int64)?
    ) {
        switch type {
        case .float32: map(Float.self, x, y, count, real)
        case .float64: map(Double.self, x, y, count, real)
        case .int32: if let integer { mapInteger(Int32.self, x, y, count, integer) }
        case .int64: if let integer { mapInteger(Int64.self, x, y, count, integer) }
        case .uint8, .bool: if let integer { mapInteger(UInt8.self, x, y, count, integer) }
        }
    }

    /// dx = f(dy, v), floating-point.
    static func map2(
        _ type: ElementType, _ dy: UnsafeRawPointer, _ v: UnsafeRawPointer, _ dx: UnsafeMutableRawPointer, _ count: Int,
        _ f: (Double, Double) -> Double
    ) {
        if type == .float32 {
            let a = dy.assumingMemoryBound(to: Float.self)
            let b = v.assumingMemoryBound(to: Float.self)
            let y = dx.assumingMemoryBound(to: Float.self)
            split(count) { start, end in
                for i in start..<end { y[i] = Float(f(Double(a[i]), Double(b[i]))) }
            }
        } else {
            let a = dy.assumingMemoryBound(to: Double.self)
            let b = v.assumingMemoryBound(to: Double.self)
            let y = dx.assumingMemoryBound(to: Double.self)
            split(count) { start, end in
                for i in start..<end { y[i] = f(a[i], b[i]) }
            }
        }
    }

    // MARK: Sums in place

    @inline(__always)
    private static func accumulate<T>(
        _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int, _: T.Type, _ f: (T, T) -> T
    ) {
        let source = x.assumingMemoryBound(to: T.self)
        let target = y.assumingMemoryBound(to: T.self)
        for i in 0..<count { target[i] = f(target[i], source[i]) }
    }

    /// y += x; integers wrap.
    static func accumulate(_ type: ElementType, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int) {
        switch type {
        case .float32: accumulate(x, y, count, Float.self) { $0 + $1 }
        case .float64: accumulate(x, y, count, Double.self) { $0 + $1 }
        case .int32: accumulate(x, y, count, Int32.self) { $0 &+ $1 }
        case .int64: accumulate(x, y, count, Int64.self) { $0 &+ $1 }
        case .uint8, .bool: accumulate(x, y, count, UInt8.self) { $0 &+ $1 }
        }
    }

    /// y *= x; integers wrap.
    static func multiply(_ type: ElementType, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int) {
        switch type {
        case .float32: accumulate(x, y, count, Float.self) { $0 * $1 }
        case .float64: accumulate(x, y, count, Double.self) { $0 * $1 }
        case .int32: accumulate(x, y, count, Int32.self) { $0 &* $1 }
        case .int64: accumulate(x, y, count, Int64.self) { $0 &* $1 }
        case .uint8, .bool: accumulate(x, y, count, UInt8.self) { $0 &* $1 }
        }
    }

    /// y = the larger or the smaller of y and x; NaN if either is.
    static func extreme(
        _ type: ElementType, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, _ count: Int, largest: Bool
    ) {
        switch type {
        case .float32: accumulate(x, y, count, Float.self) { $0.isNaN || !($1.isNaN || (largest ? $1 > $0 : $1 < $0)) ? $0 : $1 }
        case .float64: accumulate(x, y, count, Double.self) { $0.isNaN || !($1.isNaN || (largest ? $1 > $0 : $1 < $0)) ? $0 : $1 }
        case .int32: accumulate(x, y, count, Int32.self) { ($1 > $0) == largest ? $1 : $0 }
        case .int64: accumulate(x, y, count, Int64.self) { ($1 > $0) == largest ? $1 : $0 }
        case .uint8, .bool: accumulate(x, y, count, UInt8.self) { ($1 > $0) == largest ? $1 : $0 }
        }
    }
}
