import CZlib
import DLBase

/// The bytes of a regular file from its start on; those of a gzip file (RFC 1952) come out expanded.
///
/// Memory use does not depend on the file. Errors are `format` and say at which byte of the (expanded) contents.
package final class ByteSource {
    package let path: String
    package let isCompressed: Bool
    /// Bytes handed out so far.
    package private(set) var position = 0

    private let file: FileReader
    private var filePosition = 0
    private let inflater: Inflater?

    package init(_ path: String) throws {
        self.path = path
        let file = try FileReader(path)
        var head: (UInt8, UInt8) = (0, 0)
        if file.size >= 2 { try withUnsafeMutableBytes(of: &head) { try file.read(at: 0, into: $0) } }
        self.isCompressed = head == (0x1F, 0x8B)
        self.inflater = isCompressed ? try Inflater() : nil
        self.file = file
    }

    /// The length of the file as it lies on the disk.
    package var fileSize: Int { file.size }

    /// Fills the buffer, or throws where the contents end before.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        let got = try readSome(into: buffer)
        guard got == buffer.count else {
            throw error("it ends at byte \(position), \(buffer.count - got) bytes too early")
        }
    }

    /// Fills the buffer as far as the contents reach; returns how many bytes that were.
    package func readSome(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var got = 0
        if inflater != nil {
            got = try expand(into: buffer)
        } else {
            got = min(buffer.count, max(0, file.size - filePosition))
            try file.read(at: filePosition, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<got]))
            filePosition += got
        }
        position += got
        return got
    }

    package func bytes(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try read(into: $0) }
        return bytes
    }

    /// Throws unless exactly so many bytes follow; to be asked before memory is taken for them.
    ///
    /// What a gzip file expands to is known only by expanding it. DEFLATE packs at most 1,032 bytes into one, so a file
    /// that promises more is refused at once; one that promises much for its size is first expanded without being kept.
    package func expect(_ count: Int, _ what: String) throws {
        guard isCompressed else {
            let rest = file.size - filePosition
            guard rest == count else { throw wrongLength(count, "\(rest)", what) }
            return
        }
        let (most, overflow) = file.size.multipliedReportingOverflow(by: 1_032)
        if !overflow, count > most { throw wrongLength(count, "at most \(most)", what) }
        if count > 64 << 20, count / 16 > file.size {
            let probe = try ByteSource(path)
            let rest = try probe.drain(upTo: position &+ count &+ 1) - position
            guard rest == count else {
                throw wrongLength(count, rest > count ? "more" : "\(rest)", what)
            }
        }
    }

    /// Throws if anything is left, and checks the checksum of a gzip file.
    package func expectEnd() throws {
        var byte: UInt8 = 0
        let more = try withUnsafeMutableBytes(of: &byte) { try readSome(into: $0) }
        guard more == 0 else { throw error("more data than its header says follow at byte \(position - 1)") }
    }

    package func error(_ problem: String) -> DLError {
        DLError(.format, "cannot read \"\(Files.printable(path))\": \(problem)")
    }

    private func wrongLength(_ count: Int, _ actual: String, _ what: String) -> DLError {
        error("its header says \(what), \(count) bytes from byte \(position) on, but there are \(actual)")
    }

    private func drain(upTo limit: Int) throws -> Int {
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
        defer { scratch.deallocate() }
        while position < limit {
            let got = try readSome(into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<min(scratch.count, limit - position)]))
            if got == 0 { break }
        }
        return position
    }

    private func expand(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let inflater else { return 0 }
        var got = 0
        while got < buffer.count {
            if inflater.isEmpty, filePosition < file.size {
                let count = min(Inflater.inputSize, file.size - filePosition)
                try file.read(at: filePosition, into: inflater.inputBuffer(count))
                filePosition += count
            }
            if inflater.isBetweenMembers {
                if inflater.isEmpty { break }
                inflater.beginMember()
            }
            let before = got
            switch inflater.expand(into: UnsafeMutableRawBufferPointer(rebasing: buffer[got...]), count: &got) {
            case Z_OK: break
            case Z_STREAM_END: break
            case Z_BUF_ERROR where got == before:
                if inflater.isEmpty, filePosition >= file.size {
                    throw error("the gzip data end too early, after \(position + got) bytes of contents")
                }
            case Z_MEM_ERROR: throw DLError(.memory, "cannot read \"\(Files.printable(path))\": out of memory")
            default:
                throw error("the gzip data are damaged near byte \(filePosition - inflater.left): \(inflater.message)")
            }
        }
        return got
    }
}

/// zlib's state. It keeps a pointer to its own stream, which therefore must not move.
private final class Inflater {
    static let inputSize = 1 << 16
    private let stream: UnsafeMutablePointer<z_stream>
    private let input: UnsafeMutableRawBufferPointer
    /// A gzip file is a sequence of members; after the first one the end of the file is a good end.
    private(set) var isBetweenMembers = false

    init() throws {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        input = .allocate(byteCount: Inflater.inputSize, alignment: 64)
        // 15: the largest window; 16: gzip, with its checksum.
        guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw DLError(.memory, "out of memory: zlib cannot start")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
        input.deallocate()
    }

    var left: Int { Int(stream.pointee.avail_in) }
    var isEmpty: Bool { left == 0 }
    var message: String { stream.pointee.msg.map { String(cString: $0) } ?? "not gzip" }

    /// Where the next `count` bytes of the file are to be put.
    func inputBuffer(_ count: Int) -> UnsafeMutableRawBufferPointer {
        stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(count)
        return UnsafeMutableRawBufferPointer(rebasing: input[..<count])
    }

    func beginMember() {
        inflateReset(stream)
        isBetweenMembers = false
    }

    /// Adds the number of bytes put out to `count`.
    func expand(into buffer: UnsafeMutableRawBufferPointer, count: inout Int) -> Int32 {
        let room = min(buffer.count, 1 << 30)
        stream.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room)
        let status = inflate(stream, Z_NO_FLUSH)
        count += room - Int(stream.pointee.avail_out)
        if status == Z_STREAM_END { isBetweenMembers = true }
        return status
    }
}
