import CDLShims
import DLBase

/// A dense, row-major, contiguous block of elements. Copies of the value share the storage, as do reshapes and slices
/// of leading axes; a write in place is seen by all of them.
///
/// May be read from any thread; changed only while no other thread uses it.
package struct Tensor: @unchecked Sendable {
    package private(set) var storage: Storage
    package let byteOffset: Int
    package let shape: Shape
    package let type: ElementType

    package init(storage: Storage, byteOffset: Int = 0, shape: Shape, type: ElementType) {
        self.storage = storage
        self.byteOffset = byteOffset
        self.shape = shape
        self.type = type
    }

    /// New memory with undefined contents.
    package init(uninitialized shape: Shape, _ type: ElementType) throws {
        self.init(storage: try Storage(byteCount: shape.count &* type.byteCount), shape: shape, type: type)
    }

    package init(zeros shape: Shape, _ type: ElementType = .float32) throws {
        try self.init(uninitialized: shape, type)
        pointer.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    /// Elements in row-major order; their number must be the shape's.
    package init<T: Element>(_ elements: [T], _ shape: Shape) throws {
        guard elements.count == shape.count else {
            throw DLError(.shape, "\(elements.count) elements do not fill a tensor of shape \(shape)")
        }
        try self.init(uninitialized: shape, T.elementType)
        elements.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { pointer.copyMemory(from: base, byteCount: byteCount) }
        }
    }

    package init<T: Element>(_ elements: [T]) throws { try self.init(elements, [elements.count]) }
    package init<T: Element>(scalar: T) throws { try self.init([scalar], .scalar) }

    /// A scalar of any type from a number; integers saturate.
    package init(number: Double, _ type: ElementType, shape: Shape = .scalar) throws {
        try self.init(uninitialized: shape, type)
        fill(number)
    }

    package var count: Int { shape.count }
    package var byteCount: Int { shape.count &* type.byteCount }
    package var pointer: UnsafeMutableRawPointer { storage.pointer + byteOffset }

    package func elements<T: Element>(_: T.Type = T.self) -> UnsafeMutableBufferPointer<T> {
        UnsafeMutableBufferPointer(start: pointer.assumingMemoryBound(to: T.self), count: count)
    }

    /// The elements as a Swift array; the caller knows the type.
    package func array<T: Element>(_: T.Type = T.self) -> [T] { Array(elements(T.self)) }

    /// The same elements in another shape; shares the storage.
    package func reshaped(_ shape: Shape) throws -> Tensor {
        guard shape.count == count else {
            throw DLError(
                .shape, "[reshape] cannot reshape \(count) elements into \(shape.count). Received: \(self.shape) and \(shape)")
        }
        return Tensor(storage: storage, byteOffset: byteOffset, shape: shape, type: type)
    }

    /// Rows `range` of the first axis; shares the storage.
    package func rows(_ range: Range<Int>) throws -> Tensor {
        guard let rows = shape.sizes.first, range.lowerBound >= 0, range.upperBound <= rows else {
            throw DLError(
                .range, "[slice] rows \(range.lowerBound) to \(range.upperBound) are out of range. Received: \(shape)")
        }
        let rowBytes = shape.sizes.dropFirst().reduce(type.byteCount, &*)
        return Tensor(
            storage: storage, byteOffset: byteOffset &+ range.lowerBound &* rowBytes,
            shape: Shape([range.count] + shape.sizes.dropFirst()), type: type)
    }

    /// The sub-tensor at one index of the first axis; shares the storage.
    package func row(_ index: Int) throws -> Tensor {
        // The position after the largest Int does not exist.
        let part = try rows(index..<max(index, index &+ 1))
        return Tensor(
            storage: storage, byteOffset: part.byteOffset, shape: Shape(Array(shape.sizes.dropFirst())), type: type)
    }

    package func copy() throws -> Tensor {
        let copy = try Tensor(uninitialized: shape, type)
        copy.pointer.copyMemory(from: pointer, byteCount: byteCount)
        return copy
    }

    /// Overwrites the elements in place; shape and type must agree.
    package func assign(_ source: Tensor) throws {
        guard source.shape == shape, source.type == type else {
            throw DLError(
                .shape, "[assign] shape and dtype must agree. Received: \(source.shape) \(source.type.name) "
                    + "into \(shape) \(type.name)")
        }
        // Views of one storage may overlap.
        pointer.withMemoryRebound(to: UInt8.self, capacity: byteCount) { target in
            source.pointer.withMemoryRebound(to: UInt8.self, capacity: byteCount) { origin in
                target.update(from: origin, count: byteCount)
            }
        }
        storage.noteChange()
    }

    /// Sets every element to one number; integers saturate, and NaN becomes 0 in them.
    package func fill(_ number: Double) {
        switch type {
        case .float32: elements(Float.self).update(repeating: Float(number))
        case .float64: elements(Double.self).update(repeating: number)
        case .int32: elements(Int32.self).update(repeating: saturated(number))
        case .int64: elements(Int64.self).update(repeating: saturated(number))
        case .uint8: elements(UInt8.self).update(repeating: saturated(number))
        case .bool: elements(UInt8.self).update(repeating: number == 0 ? 0 : 1)
        }
        storage.noteChange()
    }

    /// One element, in row-major order, as a number; int64 beyond 2^53 is rounded.
    package func number(at index: Int) -> Double {
        switch type {
        case .float32: Double(elements(Float.self)[index])
        case .float64: elements(Double.self)[index]
        case .int32: Double(elements(Int32.self)[index])
        case .int64: Double(elements(Int64.self)[index])
        case .uint8: Double(elements(UInt8.self)[index])
        case .bool: elements(UInt8.self)[index] == 0 ? 0 : 1
        }
    }

    package func setNumber(_ number: Double, at index: Int) {
        switch type {
        case .float32: elements(Float.self)[index] = Float(number)
        case .float64: elements(Double.self)[index] = number
        case .int32: elements(Int32.self)[index] = saturated(number)
        case .int64: elements(Int64.self)[index] = saturated(number)
        case .uint8: elements(UInt8.self)[index] = saturated(number)
        case .bool: elements(UInt8.self)[index] = number == 0 ? 0 : 1
        }
        storage.noteChange()
    }

    /// The single element of a tensor of one element.
    package func item() throws -> Double {
        guard count == 1 else {
            throw DLError(.shape, "[item] only a tensor of one element is a number. Received: \(shape)")
        }
        return number(at: 0)
    }

    package var numbers: [Double] { (0..<count).map { number(at: $0) } }
}

/// The nearest value of an integer type; NaN becomes 0.
package func saturated<I: FixedWidthInteger>(_ number: Double) -> I {
    if number.isNaN { return 0 }
    if number <= Double(I.min) { return I.min }
    if number >= Double(I.max) { return I.max }
    return I(number)
}

extension Tensor {
    /// True if no other tensor shares the storage.
    package mutating func isUniquelyReferenced() -> Bool { isKnownUniquelyReferenced(&storage) }
}
