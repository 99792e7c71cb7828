import DLBase

/// y = x in another element type. Real to whole numbers: towards zero, saturating, NaN gives 0. Between whole
/// numbers the low bits are kept. To bool: not zero.
package struct CastKernel: Sendable {
    package let from: ElementType
    package let to: ElementType

    package init(from: ElementType, to: ElementType) {
        self.from = from
        self.to = to
    }

    /// x and y hold `count` elements and do not overlap.
    package func callAsFunction(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, count: Int) {
        if count <= 0 { return }
        if from == to && from != .bool {
            y.copyMemory(from: x, byteCount: count * from.byteCount)
            return
        }
        nonisolated(unsafe) let x = x, y = y
        forRanges(runtime, count: count, grain: 32768) { range in
            let source = x + range.lowerBound * from.byteCount, target = y + range.lowerBound * to.byteCount
            switch from {
            case .float32: cast(source.of(Float.self), target, range.count)
            case .float64: cast(source.of(Double.self), target, range.count)
            case .int32: cast(source.of(Int32.self), target, range.count)
            case .int64: cast(source.of(Int64.self), target, range.count)
            case .uint8: cast(source.of(UInt8.self), target, range.count)
            case .bool: cast(source.of(Truth.self), target, range.count)
            }
        }
    }

    private func cast<S: CastElement>(_ x: UnsafePointer<S>, _ y: UnsafeMutableRawPointer, _ n: Int) {
        switch to {
        case .float32: loop(x, y.of(Float.self), n)
        case .float64: loop(x, y.of(Double.self), n)
        case .int32: loop(x, y.of(Int32.self), n)
        case .int64: loop(x, y.of(Int64.self), n)
        case .uint8: loop(x, y.of(UInt8.self), n)
        case .bool: loop(x, y.of(Truth.self), n)
        }
    }

    @inline(__always)
    private func loop<S: CastElement, D: CastElement>(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<D>, _ n: Int) {
        for i in 0..<n { y[i] = x[i].converted(to: D.self) }
    }
}

private protocol CastElement {
    init(cast value: Float)
    init(cast value: Double)
    init(cast value: Int64)
    func converted<D: CastElement>(to type: D.Type) -> D
}

/// A byte that is zero or not.
private struct Truth: CastElement {
    var byte: UInt8
    @inline(__always) init(cast value: Float) { byte = value != 0 ? 1 : 0 }
    @inline(__always) init(cast value: Double) { byte = value != 0 ? 1 : 0 }
    @inline(__always) init(cast value: Int64) { byte = value != 0 ? 1 : 0 }
    @inline(__always) func converted<D: CastElement>(to type: D.Type) -> D { D(cast: Int64(byte != 0 ? 1 : 0)) }
}

extension Float: CastElement {
    @inline(__always) fileprivate init(cast value: Float) { self = value }
    @inline(__always) fileprivate init(cast value: Double) { self = Float(value) }
    @inline(__always) fileprivate init(cast value: Int64) { self = Float(value) }
    @inline(__always) fileprivate func converted<D: CastElement>(to type: D.Type) -> D { D(cast: self) }
}

extension Double: CastElement {
    @inline(__always) fileprivate init(cast value: Float) { self = Double(value) }
    @inline(__always) fileprivate init(cast value: Double) { self = value }
    @inline(__always) fileprivate init(cast value: Int64) { self = Double(value) }
    @inline(__always) fileprivate func converted<D: CastElement>(to type: D.Type) -> D { D(cast: self) }
}

extension CastElement where Self: FixedWidthInteger {
    @inline(__always) fileprivate init(cast value: Float) { self = saturated(Double(value), Self.self) }
    @inline(__always) fileprivate init(cast value: Double) { self = saturated(value, Self.self) }
    @inline(__always) fileprivate init(cast value: Int64) { self = Self(truncatingIfNeeded: value) }
    @inline(__always) fileprivate func converted<D: CastElement>(to type: D.Type) -> D {
        D(cast: Int64(truncatingIfNeeded: self))
    }
}

extension Int32: CastElement {}
extension Int64: CastElement {}
extension UInt8: CastElement {}
