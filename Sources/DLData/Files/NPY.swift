import DLBase
import DLTensor

/// NumPy's file of one array (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a magic string,
/// the version, the length of a header, the header as a Python dictionary, the elements.
package enum NPY {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// NumPy's own headers have a few hundred bytes; only types that are refused here need long ones.
    private static let longestHeader = 1 << 20

    /// Reads versions 1 to 3, in C or Fortran order, of either byte order, plain or gzip. int8, int16 and uint16 become
    /// int32, uint32 becomes int64, float16 becomes float32.
    package static func read(_ path: String) throws -> Tensor { try read(from: ByteSource(path)) }

    static func read(from source: ByteSource) throws -> Tensor {
        let head = try source.bytes(8)
        guard Array(head[..<6]) == magic else { throw source.error("not an NPY file; it does not begin with \"\\x93NUMPY\"") }
        guard (1...3).contains(head[6]) else {
            throw source.error("NPY version \(head[6]).\(head[7]) (byte 6) is not known; 1 to 3 are")
        }
        let length = try source.bytes(head[6] == 1 ? 2 : 4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= longestHeader, source.isCompressed || length <= source.fileSize else {
            throw source.error("its header is \(length) bytes long (byte 8)")
        }
        let start = source.position
        var parser = NPYHeaderParser(bytes: try source.bytes(length), source: source, start: start)
        let header = try parser.parse()
        guard let bytes = header.element.byteCount(of: header.shape) else {
            throw source.error("its shape is too large: \(header.shape)")
        }
        try source.expect(bytes, "shape \(header.shape)")
        let tensor = try Tensor(uninitialized: header.shape, header.element.type)
        if header.isFortran, header.shape.sizes.filter({ $0 > 1 }).count > 1 {
            try readFortran(header, into: tensor, from: source)
        } else {
            try header.element.load(into: tensor, bigEndian: header.isBigEndian) { try source.read(into: $0) }
        }
        try source.expectEnd()
        return tensor
    }

    /// In Fortran order the first axis runs fastest: the elements of one pass over it go to places a stride apart.
    private static func readFortran(_ header: NPYHeader, into tensor: Tensor, from source: ByteSource) throws {
        let element = header.element
        let sizes = header.shape.sizes
        let strides = header.shape.strides
        let width = tensor.type.byteCount
        let most = max(1, (1 << 16) / 8)
        let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: most * element.byteCount, alignment: 64)
        let converted = UnsafeMutableRawBufferPointer.allocate(byteCount: most * width, alignment: 64)
        defer {
            raw.deallocate()
            converted.deallocate()
        }
        guard let rawStart = raw.baseAddress, let convertedStart = converted.baseAddress else { return }
        var index = [Int](repeating: 0, count: sizes.count)
        var offset = 0
        var done = 0
        while done < tensor.count {
            let count = min(most, tensor.count - done)
            try source.read(into: UnsafeMutableRawBufferPointer(rebasing: raw[..<(count * element.byteCount)]))
            element.convert(UnsafeRawPointer(rawStart), count, convertedStart, header.isBigEndian)
            for at in 0..<count {
                (tensor.pointer + offset * width).copyMemory(from: convertedStart + at * width, byteCount: width)
                for axis in sizes.indices {
                    index[axis] += 1
                    offset += strides[axis]
                    if index[axis] < sizes[axis] { break }
                    offset -= sizes[axis] * strides[axis]
                    index[axis] = 0
                }
            }
            done += count
        }
    }

    /// Writes version 1.0, in C order, little-endian; the file appears whole or not at all.
    package static func write(_ tensor: Tensor, to path: String) throws {
        // The elements begin at a multiple of 64 bytes; the header ends with a line feed.
        var header = "{'descr': '\(tensor.type.npyName)', 'fortran_order': False, 'shape': \(tensor.shape), }"
        header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
        let length = header.utf8.count
        let head = magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF)] + Array(header.utf8)
        var writer = try FileWriter(path)
        try head.withUnsafeBytes { try writer.write($0) }
        try writer.write(UnsafeRawBufferPointer(start: tensor.pointer, count: tensor.byteCount))
        try writer.commit()
    }
}

extension ElementType {
    fileprivate var npyName: String {
        switch self {
        case .float32: "<f4"
        case .float64: "<f8"
        case .int32: "<i4"
        case .int64: "<i8"
        case .uint8: "|u1"
        case .bool: "|b1"
        }
    }
}
