import DLBase
import DLTensor

/// Reads a tensor from a file in NPY or IDX format, plain or gzip; which one it is, its first bytes say, not its name.
package func loadTensor(_ path: String) throws -> Tensor {
    let source = try ByteSource(path)
    var head = [UInt8](repeating: 0, count: 6)
    let got = try head.withUnsafeMutableBytes { try source.readSome(into: $0) }
    if got == 6, head == NPY.magic { return try NPY.read(path) }
    if got >= 4, head[0] == 0, head[1] == 0 { return try IDX.read(path) }
    let start = head[..<got].map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }
    throw source.error(
        "neither an NPY nor an IDX file. Received: "
            + (got == 0 ? "an empty file" : "first bytes \(start.joined(separator: " "))"))
}
