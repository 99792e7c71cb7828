import CDLShims
import Glibc
import Testing

@testable import DLBase

/// A folder that goes away with its contents.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/dl-test-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? ""
        }
    }

    var entries: [String] {
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
        for entry in entries { unlink("\(path)/\(entry)"); rmdir("\(path)/\(entry)") }
        rmdir(path)
    }
}

@Suite struct FilesTests {
    private func text(_ path: String) throws -> String { String(decoding: try Files.read(path), as: UTF8.self) }

    @Test func writingAndReading() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/a"
        for size in [0, 1, 65_535, 65_536, 65_537, 300_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try bytes.withUnsafeBytes { try Files.write($0, to: path) }
            #expect(try Files.read(path) == bytes)
            #expect(folder.entries == ["a"])
        }
        #expect(Files.kind(path) == .file && Files.kind(folder.path) == .folder && Files.kind(path + "x") == .missing)
        #expect(Files.kind("/dev/null") == .other)
    }

    @Test func theOldFileStaysUntilTheCommit() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/model"
        try Files.write("old", to: path)
        chmod(path, 0o640)
        do {
            var writer = try FileWriter(path)
            try writer.write("new contents")
            try writer.flush()
            #expect(try text(path) == "old")
            #expect(folder.entries.count == 2)
            writer.abort()
            #expect(throws: DLError.self) { try writer.write("more") }
        }
        #expect(try text(path) == "old" && folder.entries == ["model"])
        do {
            var writer = try FileWriter(path)
            try writer.write("lost")
        }
        #expect(try text(path) == "old" && folder.entries == ["model"])
        var writer = try FileWriter(path)
        try writer.write("new")
        try writer.commit()
        #expect(throws: DLError.self) { try writer.commit() }
        #expect(try text(path) == "new" && folder.entries == ["model"])
        var facts = stat()
        #expect(stat(path, &facts) == 0 && facts.st_mode & 0o777 == 0o640)
    }

    /// A full disk, played by the limit on the size of files.
    @Test func aFailedWriteLeavesTheOldFile() async {
        await #expect(processExitsWith: .success) {
            let folder = TemporaryFolder()
            let path = folder.path + "/model"
            try Files.write("old", to: path)
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
            setrlimit(__rlimit_resource_t(1), &limit)
            let bytes = [UInt8](repeating: 7, count: 150_000)
            do {
                try bytes.withUnsafeBytes { try Files.write($0, to: path) }
                expectInProcess(false, "no error")
            } catch {
                expectInProcess((error as? DLError)?.code == .io, "\(error)")
            }
            // The same when only the last buffer, flushed by the commit, does not fit.
            do {
                var writer = try FileWriter(path)
                for _ in 0..<3 { try bytes[..<49_000].withUnsafeBytes { try writer.write($0) } }
                try writer.commit()
                expectInProcess(false, "no error")
            } catch {
                expectInProcess((error as? DLError)?.code == .io, "\(error)")
            }
            expectInProcess(String(decoding: try Files.read(path), as: UTF8.self) == "old", "old contents")
            expectInProcess(folder.entries == ["model"], "\(folder.entries)")
        }
    }

    @Test func linksAreFollowed() throws {
        let folder = TemporaryFolder()
        let link = folder.path + "/link"
        symlink("target", link)
        try Files.write("one", to: link)
        #expect(try text(folder.path + "/target") == "one")
        try Files.write("two", to: link)
        #expect(try text(folder.path + "/target") == "two")
        #expect(folder.entries == ["link", "target"])
        var facts = stat()
        #expect(lstat(link, &facts) == 0 && facts.st_mode & S_IFMT == S_IFLNK)
    }

    @Test func appending() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/log"
        for line in ["a\n", "b\n"] {
            var writer = try FileWriter(appendingTo: path)
            try writer.write(line)
            try writer.flush()
            try writer.commit()
        }
        #expect(try text(path) == "a\nb\n")
    }

    @Test func devicesAreWrittenDirectly() throws {
        try Files.write("x", to: "/dev/null")
        #expect(Files.kind("/dev/null") == .other)
        let error = #expect(throws: DLError.self) { try Files.write("x", to: "/dev/full") }
        #expect(error?.code == .io)
    }

    @Test func errors() {
        let folder = TemporaryFolder()
        func code(_ body: () throws -> Void) -> DLError.Code? {
            do { try body(); return nil } catch { return (error as? DLError)?.code }
        }
        #expect(code { _ = try Files.read(folder.path + "/missing") } == .notFound)
        #expect(code { _ = try Files.read(folder.path) } == .io)
        #expect(code { _ = try Files.read("") } == .notFound)
        #expect(code { _ = try Files.read("/etc/passwd\0x") } == .argument)
        #expect(code { try Files.write("", to: folder.path) } == .io)
        #expect(code { try Files.write("", to: folder.path + "/new/") } == .io)
        #expect(code { try Files.write("", to: "") } == .notFound)
        #expect(code { try Files.write("", to: folder.path + "/no/such/folder") } == .notFound)
        #expect(code { try Files.write("", to: folder.path + "/" + String(repeating: "n", count: 300)) } == .io)
        #expect(code { _ = try Files.read("/proc/self/mem") } == .io)
        #expect(code { _ = try Files.read("/dev/zero", limit: 10_000) } == .limit)
        #expect(code { _ = try Files.read("/etc/passwd", limit: 3) } == .limit)
        #expect(code { _ = try Files.read("/etc/passwd", limit: -1) } == .limit)
        let error = #expect(throws: DLError.self) { _ = try Files.read("/no\nsuch") }
        #expect(error?.message == "cannot read \"/no?such\": No such file or directory")
        let longest = folder.path + "/" + String(repeating: "n", count: 255)
        #expect(code { try Files.write("", to: longest) } == nil)
    }

    @Test func filesWithoutALengthAreReadToTheirEnd() throws {
        let status = try Files.read("/proc/self/status")
        #expect(String(decoding: status, as: UTF8.self).contains("VmPeak"))
    }

    @Test func exactLimits() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/a"
        try Files.write("12345", to: path)
        #expect(try Files.read(path, limit: 5).count == 5)
        #expect(throws: DLError.self) { _ = try Files.read(path, limit: 4) }
    }

    @Test func readingParts() throws {
        let folder = TemporaryFolder()
        try Files.write("0123456789", to: folder.path + "/a")
        let reader = try FileReader(folder.path + "/a")
        #expect(reader.size == 10)
        var part = [UInt8](repeating: 0, count: 4)
        try part.withUnsafeMutableBytes { try reader.read(at: 6, into: $0) }
        #expect(String(decoding: part, as: UTF8.self) == "6789")
        for position in [7, 100, -1, Int.max, Int.min] {
            #expect(throws: DLError.self) { try part.withUnsafeMutableBytes { try reader.read(at: position, into: $0) } }
        }
        #expect(throws: DLError.self) { _ = try FileReader("/dev/null") }
        #expect(throws: DLError.self) { _ = try FileReader(folder.path) }
    }

    @Test func folders() throws {
        let folder = TemporaryFolder()
        try Files.makeFolder(folder.path + "/a")
        try Files.makeFolder(folder.path + "/a//")
        #expect(Files.kind(folder.path + "/a") == .folder)
        try Files.write("", to: folder.path + "/f")
        #expect(throws: DLError.self) { try Files.makeFolder(folder.path + "/f/b") }
        #expect(throws: DLError.self) { try Files.makeFolder(folder.path + "/f") }
        #expect(throws: DLError.self) { try Files.makeFolder("") }
    }
}
