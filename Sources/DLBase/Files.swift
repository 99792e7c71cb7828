import CDLShims

/// Reading and writing whole files. Errors are `io` (`notFound` where there is no such file) with path and reason.
package enum Files {
    /// The largest file that is read into memory where the caller names no limit: 4 GB.
    package static let defaultLimit = 4 << 30

    package static func read(_ path: String, limit: Int = defaultLimit) throws(DLError) -> [UInt8] {
        try checkPath(path)
        var bytes: UnsafeMutablePointer<CChar>?
        var length: Int64 = 0
        let error = dl_file_read(path, Int64(limit), &bytes, &length)
        defer { dl_file_free(bytes) }
        guard error == 0, let bytes else { throw failure("read", path, error, limit: limit) }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(length)))
    }

    package enum Kind: Int32, Sendable {
        case missing = 0
        case file = 1
        case folder = 2
        case other = 3
    }

    package static func kind(_ path: String) -> Kind {
        path.utf8.contains(0) ? .missing : Kind(rawValue: dl_file_kind(path)) ?? .missing
    }

    /// Makes the folder and the missing ones above it.
    package static func makeFolder(_ path: String) throws(DLError) {
        try checkPath(path)
        let error = dl_file_make_folder(path)
        if error != 0 { throw failure("make folder", path, error) }
    }

    /// Removes a file, if it is there.
    package static func remove(_ path: String) throws(DLError) {
        try checkPath(path)
        let error = dl_file_remove(path)
        if error != 0 { throw failure("remove", path, error) }
    }

    package struct Entry: Sendable {
        package let name: String
        package let kind: Kind
        package let isLink: Bool
    }

    /// What is in a folder, by name in the order of bytes; entries whose names are not UTF-8 could not be opened and are left
    /// out.
    package static func folder(_ path: String) throws(DLError) -> [Entry] {
        try checkPath(path)
        var bytes: UnsafeMutablePointer<CChar>?
        var length: Int64 = 0
        let error = dl_folder_read(path, 1 << 30, &bytes, &length)
        defer { dl_file_free(bytes) }
        guard error == 0 else { throw failure("list", path, error, limit: 1 << 30) }
        var entries: [Entry] = []
        for part in UnsafeRawBufferPointer(start: bytes, count: Int(length)).split(separator: 0) {
            guard let letter = part.first, let name = String(validating: part.dropFirst(), as: UTF8.self) else { continue }
            let kind: Kind =
                switch UInt8(letter | 0x20) {
                case UInt8(ascii: "f"): .file
                case UInt8(ascii: "d"): .folder
                default: .other
                }
            entries.append(Entry(name: name, kind: kind, isLink: letter & 0x20 == 0))
        }
        return entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    /// Replaces the file whole: a reader, a crash and a full disk leave the old contents or the new, never a part.
    package static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws(DLError) {
        var writer = try FileWriter(path)
        do {
            try writer.write(bytes)
        } catch {
            writer.abort()
            throw error
        }
        try writer.commit()
    }

    package static func write(_ text: String, to path: String) throws(DLError) {
        var text = text
        let result: Result<Void, DLError> = text.withUTF8 { utf8 in
            do throws(DLError) {
                return .success(try write(UnsafeRawBufferPointer(utf8), to: path))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// A C string ends at the first zero, and would name another file.
    static func checkPath(_ path: String) throws(DLError) {
        if path.utf8.contains(0) { throw DLError(.argument, "a path cannot contain a zero byte. Received: \"\(printable(path))\"") }
    }

    static func failure(_ verb: String, _ path: String, _ error: Int32, limit: Int? = nil) -> DLError {
        var reason = Environment.describe(errno: error)
        var code = DLError.Code.io
        switch dl_file_failure_of(error) {
        case DL_FILE_MISSING: code = .notFound
        case DL_FILE_NO_MEMORY: code = .memory
        case DL_FILE_TOO_LARGE:
            if let limit {
                code = .limit
                reason = "larger than the limit of \(Memory.describe(bytes: limit))"
            }
        default: break
        }
        return DLError(code, "cannot \(verb) \"\(printable(path))\": \(reason)")
    }

    /// Text from outside as part of a message, which is one line.
    package static func printable(_ path: String) -> String {
        String(String.UnicodeScalarView(path.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : $0 }))
    }
}

/// A file being written. Its contents take the place of the old file in `commit`; `abort`, or losing the writer, leaves
/// the old file as it was.
package struct FileWriter: ~Copyable {
    private let path: String
    private var handle: OpaquePointer?

    package init(_ path: String) throws(DLError) { try self.init(path, open: dl_writer_open) }

    /// Adds to the end of the file instead; what has been written reaches it in `flush`.
    package init(appendingTo path: String) throws(DLError) { try self.init(path, open: dl_writer_open_append) }

    private init(
        _ path: String, open: (UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<CChar>?) -> Int32
    ) throws(DLError) {
        try Files.checkPath(path)
        var handle: OpaquePointer?
        let error = open(&handle, path)
        if error != 0 { throw Files.failure("write", path, error) }
        self.path = path
        self.handle = handle
    }

    package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(DLError) {
        guard let handle else { throw ended() }
        let error = dl_writer_write(handle, bytes.baseAddress, bytes.count)
        if error != 0 { throw Files.failure("write", path, error) }
    }

    package mutating func write(_ text: String) throws(DLError) {
        guard let handle else { throw ended() }
        var text = text
        let error = text.withUTF8 { dl_writer_write(handle, $0.baseAddress, $0.count) }
        if error != 0 { throw Files.failure("write", path, error) }
    }

    package mutating func flush() throws(DLError) {
        guard let handle else { throw ended() }
        let error = dl_writer_flush(handle)
        if error != 0 { throw Files.failure("write", path, error) }
    }

    package mutating func commit() throws(DLError) {
        guard let handle else { throw ended() }
        self.handle = nil
        let error = dl_writer_commit(handle)
        if error != 0 { throw Files.failure("write", path, error) }
    }

    package mutating func abort() {
        dl_writer_abort(handle)
        handle = nil
    }

    private func ended() -> DLError { DLError(.state, "\"\(path)\" has been closed") }

    deinit { dl_writer_abort(handle) }
}

/// A file of which parts are read, for formats with a table of contents.
package struct FileReader: ~Copyable {
    private let path: String
    private let file: Int32
    /// Its length in bytes when it was opened.
    package let size: Int

    package init(_ path: String) throws(DLError) {
        try Files.checkPath(path)
        var file: Int32 = -1
        var size: Int64 = 0
        let error = dl_file_open(path, &file, &size)
        if error != 0 { throw Files.failure("read", path, error) }
        self.path = path
        self.file = file
        self.size = Int(size)
    }

    /// Fills the buffer from the position, counted in bytes from the start of the file.
    package func read(at position: Int, into buffer: UnsafeMutableRawBufferPointer) throws(DLError) {
        guard let start = buffer.baseAddress, buffer.count > 0 else { return }
        let error = dl_file_read_at(file, Int64(position), start, buffer.count)
        if dl_file_failure_of(error) == DL_FILE_TOO_SHORT {
            throw DLError(
                .format, "\"\(path)\" ends too early: \(buffer.count) bytes at \(position) asked for, the file has \(size)")
        }
        if error != 0 { throw Files.failure("read", path, error) }
    }

    deinit { dl_file_close(file) }
}
