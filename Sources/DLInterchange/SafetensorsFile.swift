import DLBase
import DLData
import DLTensor

/// Named tensors and text about them, in the file format that the field exchanges weights in. Nothing in it is code.
package struct SafetensorsFile: Sendable {
    package typealias Named = (name: String, tensor: Tensor)

    /// The format's `__metadata__`: text by name.
    package var metadata: TextMap
    package var tensors: [Named]

    package init(metadata: TextMap = [:], tensors: [Named] = []) {
        self.metadata = metadata
        self.tensors = tensors
    }

    package subscript(name: String) -> Tensor? { tensors.first { $0.name == name }?.tensor }

    /// The names, types and shapes, without the elements. Throws `format` with the place and what is wrong there.
    package static func readHeader(_ path: String) throws -> SafetensorsHeader {
        try SafetensorsHeader(path: path, file: FileReader(path))
    }

    /// Reads the tensors for which `wanted` holds, in the header's order. Everything is checked against the file's
    /// length before memory is taken; F16 and BF16 become float32.
    package static func read(
        _ path: String, where wanted: (SafetensorsHeader.Entry) throws -> Bool = { _ in true }
    ) throws -> SafetensorsFile {
        let file = try FileReader(path)
        let header = try SafetensorsHeader(path: path, file: file)
        var result = SafetensorsFile(metadata: header.metadata)
        for entry in header.entries where try wanted(entry) {
            result.tensors.append((entry.name, try read(entry, header, file)))
        }
        return result
    }

    private static func read(
        _ entry: SafetensorsHeader.Entry, _ header: SafetensorsHeader, _ file: borrowing FileReader
    ) throws -> Tensor {
        let tensor = try Tensor(uninitialized: entry.shape, entry.type)
        var position = header.dataStart + entry.range.lowerBound
        try entry.element.load(into: tensor) { buffer in
            try file.read(at: position, into: buffer)
            position += buffer.count
        }
        return tensor
    }

    /// Writes the file whole or not at all. The header lists the tensors in their order; their elements lie sorted by
    /// size, from a multiple of 64 bytes on, so that each is aligned for whoever maps the file into memory.
    package func write(to path: String) throws {
        let order = tensors.indices.sorted {
            let (a, b) = (tensors[$0].tensor.type.byteCount, tensors[$1].tensor.type.byteCount)
            return a == b ? $0 < $1 : a > b
        }
        let header = try header(order)
        var writer = try FileWriter(path)
        try withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { try writer.write($0) }
        try writer.write(header)
        for index in order {
            let tensor = tensors[index].tensor
            try writer.write(UnsafeRawBufferPointer(start: tensor.pointer, count: tensor.byteCount))
        }
        try writer.commit()
    }

    private func header(_ order: [Int]) throws -> String {
        var starts = [Int](repeating: 0, count: tensors.count)
        var end = 0
        for index in order {
            starts[index] = end
            // Of tensors that share memory each is written, so the sum may be larger than memory is.
            let (sum, overflow) = end.addingReportingOverflow(tensors[index].tensor.byteCount)
            guard !overflow else { throw DLError(.limit, "[safetensors] the tensors are too large for one file") }
            end = sum
        }
        var object = JSONObject()
        if !metadata.isEmpty { object["__metadata__"] = metadata.json }
        for (index, (name, tensor)) in tensors.enumerated() {
            guard name != "__metadata__", object[name] == nil else {
                throw DLError(
                    .argument, "[safetensors] tensors need names of their own. Received: \"\(Files.printable(name))\""
                        + (name == "__metadata__" ? ", which the format keeps for itself" : " twice"))
            }
            object[name] = [
                "dtype": .string(tensor.type.safetensorsName),
                "shape": .array(tensor.shape.sizes.map { .int(Int64($0)) }),
                "data_offsets": [.int(Int64(starts[index])), .int(Int64(starts[index] + tensor.byteCount))],
            ]
        }
        var text = try JSON.object(object).serialized()
        text += String(repeating: " ", count: (64 - (8 + text.utf8.count) % 64) % 64)
        guard text.utf8.count <= SafetensorsHeader.maximumLength else {
            throw DLError(
                .limit, "[safetensors] names and metadata take \(text.utf8.count) bytes; the format allows "
                    + "\(SafetensorsHeader.maximumLength)")
        }
        return text
    }
}

extension ElementType {
    fileprivate var safetensorsName: String {
        switch self {
        case .float32: "F32"
        case .float64: "F64"
        case .int32: "I32"
        case .int64: "I64"
        case .uint8: "U8"
        case .bool: "BOOL"
        }
    }
}
