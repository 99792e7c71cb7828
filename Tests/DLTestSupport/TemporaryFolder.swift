import DLBase
import Glibc

/// A folder that goes away with its contents.
package final class TemporaryFolder {
    package let path: String

    package init() {
        var template = Array("/tmp/dl-test-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? ""
        }
    }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file of this folder and returns its path. Nothing waits for the disk: tests write thousands of files, and
    /// some file systems wait when a file that is there is cut to nothing.
    package func write(_ bytes: [UInt8], _ name: String) throws -> String {
        unlink(file(name))
        guard let stream = fopen(file(name), "w") else { throw DLError(.io, "cannot open \(file(name))") }
        let written = fwrite(bytes, 1, bytes.count, stream)
        guard fclose(stream) == 0, written == bytes.count else { throw DLError(.io, "cannot write \(file(name))") }
        return file(name)
    }

    package func write(_ text: String, _ name: String) throws -> String { try write(Array(text.utf8), name) }

    package var entries: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    deinit {
        for entry in entries { unlink(file(entry)); rmdir(file(entry)) }
        rmdir(path)
    }
}

/// A file below Tests/fixtures.
package func fixture(_ name: String, file: String = #filePath) -> String {
    let folders = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return folders.joined(separator: "/") + "/fixtures/" + name
}

/// The error of something that must fail with one of the library's own; nil if it does not fail.
package func failure(_ body: () throws -> Void) -> DLError? {
    do { try body(); return nil } catch { return error as? DLError ?? DLError(.internal, "not a DLError: \(error)") }
}
