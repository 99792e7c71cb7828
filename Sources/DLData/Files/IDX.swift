import DLBase
import DLTensor

/// The format of MNIST's files (http://yann.lecun.com/exdb/mnist/): two zero bytes, the element type, the number of
/// axes, their sizes as big-endian 32-bit numbers, then the elements, big-endian too.
package enum IDX {
    /// Reads a tensor from a file, plain or gzip. int8 and int16 become int32.
    package static func read(_ path: String) throws -> Tensor { try read(from: ByteSource(path)) }

    static func read(from source: ByteSource) throws -> Tensor {
        let head = try source.bytes(4)
        guard head[0] == 0, head[1] == 0 else {
            throw source.error("not an IDX file; it must begin with two zero bytes. Received: \(head[0]), \(head[1])")
        }
        guard let element = StoredElement(idx: head[2]) else {
            throw source.error("IDX knows no element type \(head[2]) (byte 2); it has 8, 9, 11, 12, 13 and 14")
        }
        let rank = Int(head[3])
        guard rank <= Shape.maximumRank else {
            throw source.error("\(rank) axes (byte 3), at most \(Shape.maximumRank) are possible")
        }
        let sizes = try (0..<rank).map { _ in
            try source.bytes(4).reduce(0) { $0 << 8 | Int($1) }
        }
        let shape: Shape
        do { shape = try Shape(checked: sizes) } catch {
            throw source.error("its sizes are too large: \(Shape.text(sizes))")
        }
        guard let bytes = element.byteCount(of: shape) else {
            throw source.error("its sizes are too large: \(shape)")
        }
        try source.expect(bytes, "shape \(shape)")
        let tensor = try Tensor(uninitialized: shape, element.type)
        try element.load(into: tensor, bigEndian: true) { try source.read(into: $0) }
        try source.expectEnd()
        return tensor
    }
}

extension StoredElement {
    fileprivate init?(idx code: UInt8) {
        switch code {
        case 0x08: self = .uint8
        case 0x09: self = .int8
        case 0x0B: self = .int16
        case 0x0C: self = .int32
        case 0x0D: self = .float32
        case 0x0E: self = .float64
        default: return nil
        }
    }
}
