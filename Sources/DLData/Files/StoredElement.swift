import DLBase
import DLTensor

/// A type of element as files store it. Those that tensors do not have become the next larger one that they have.
package enum StoredElement: Sendable {
    case bool, uint8, int8, uint16, int16, uint32, int32, int64
    case float16, bfloat16, float32, float64

    package var byteCount: Int {
        switch self {
        case .bool, .uint8, .int8: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .uint32, .int32, .float32: 4
        case .int64, .float64: 8
        }
    }

    /// The type of the tensor that holds such elements.
    package var type: ElementType {
        switch self {
        case .bool: .bool
        case .uint8: .uint8
        case .int8, .int16, .uint16, .int32: .int32
        case .uint32, .int64: .int64
        case .float16, .bfloat16, .float32: .float32
        case .float64: .float64
        }
    }

    /// The number of bytes of a shape's elements in the file; nil where an `Int` does not hold it.
    package func byteCount(of shape: Shape) -> Int? {
        let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: byteCount)
        return overflow ? nil : bytes
    }

    /// Reads as many elements as the tensor has, in their order, through `fill`, which is asked for one stretch of
    /// bytes after the other. The tensor's type is `type`.
    package func load(
        into tensor: Tensor, bigEndian: Bool = false, fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws {
        if byteCount == tensor.type.byteCount {
            let whole = UnsafeMutableRawBufferPointer(start: tensor.pointer, count: tensor.byteCount)
            try fill(whole)
            if bigEndian || self == .bool { convert(UnsafeRawPointer(tensor.pointer), tensor.count, tensor.pointer, bigEndian) }
            return
        }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
        defer { chunk.deallocate() }
        guard let start = chunk.baseAddress else { return }
        let most = chunk.count / byteCount
        var done = 0
        while done < tensor.count {
            let count = min(most, tensor.count - done)
            try fill(UnsafeMutableRawBufferPointer(rebasing: chunk[..<(count * byteCount)]))
            convert(UnsafeRawPointer(start), count, tensor.pointer + done * tensor.type.byteCount, bigEndian)
            done += count
        }
    }

    /// Elements of the file at `source` as elements of a tensor at `target`, which may be the same where the sizes are.
    package func convert(
        _ source: UnsafeRawPointer, _ count: Int, _ target: UnsafeMutableRawPointer, _ bigEndian: Bool
    ) {
        switch self {
        case .bool: map(UInt8.self, source, count, target, bigEndian) { $0 == 0 ? 0 : 1 as UInt8 }
        case .uint8: map(UInt8.self, source, count, target, bigEndian) { $0 }
        case .int8: map(Int8.self, source, count, target, bigEndian) { Int32($0) }
        case .uint16: map(UInt16.self, source, count, target, bigEndian) { Int32($0) }
        case .int16: map(Int16.self, source, count, target, bigEndian) { Int32($0) }
        case .uint32: map(UInt32.self, source, count, target, bigEndian) { Int64($0) }
        case .int32, .float32: map(UInt32.self, source, count, target, bigEndian) { $0 }
        case .int64, .float64: map(UInt64.self, source, count, target, bigEndian) { $0 }
        case .float16: map(UInt16.self, source, count, target, bigEndian) { StoredElement.float(half: $0) }
        case .bfloat16: map(UInt16.self, source, count, target, bigEndian) { Float(bitPattern: UInt32($0) << 16) }
        }
    }

    @inline(__always)
    private func map<Raw: FixedWidthInteger, Result>(
        _: Raw.Type, _ source: UnsafeRawPointer, _ count: Int, _ target: UnsafeMutableRawPointer, _ bigEndian: Bool,
        _ transform: (Raw) -> Result
    ) {
        for at in 0..<count {
            let raw = source.loadUnaligned(fromByteOffset: at &* MemoryLayout<Raw>.size, as: Raw.self)
            target.storeBytes(
                of: transform(bigEndian ? raw.byteSwapped : raw), toByteOffset: at &* MemoryLayout<Result>.size,
                as: Result.self)
        }
    }

    /// IEEE 754 binary16. Its exponents, subnormal ones too, are moved by a multiplication; infinity and NaN apart.
    package static func float(half bits: UInt16) -> Float {
        let sign = UInt32(bits & 0x8000) << 16
        let rest = UInt32(bits & 0x7FFF) << 13
        if rest >= 0x0F80_0000 { return Float(bitPattern: sign | rest | 0x7F80_0000) }
        return Float(bitPattern: sign | (Float(bitPattern: rest) * 0x1p112).bitPattern)
    }
}
