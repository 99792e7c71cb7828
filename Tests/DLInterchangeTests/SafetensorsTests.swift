import DLBase
import DLData
import DLTensor
import DLTestSupport
import Glibc
import Testing

@testable import DLInterchange

@Suite struct SafetensorsTests {
    static func bytes(_ header: String, data: Int = 0) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
            + [UInt8](repeating: 1, count: data)
    }

    static func sampleFile() throws -> SafetensorsFile {
        SafetensorsFile(
            metadata: ["model": #"{"class_name": "Sequential"}"#, "note": "ä\n\u{7}"],
            tensors: [
                ("u8", try sample(.uint8, [5])), ("f64", try sample(.float64, [4])), ("bool", try sample(.bool, [7])),
                ("f32", try sample(.float32, [2, 3])), ("i32", try sample(.int32, [2, 2])), ("i64", try sample(.int64, [3])),
                ("scalar", try Tensor(scalar: Float(2.5))), ("empty", try Tensor(zeros: [0, 3])),
                ("Größe \"x\"\n", try sample(.float32, [1])),
            ])
    }

    @Test func whatPythonWrote() throws {
        let file = try SafetensorsFile.read(fixture("interchange/all.safetensors"))
        #expect(file.metadata["format"] == "np" && file.metadata["note"] == "two\nlines and \"quotes\"")
        #expect(file.tensors.count == 9)
        #expect(same(file["f32"], try sample(.float32, [2, 3])))
        #expect(same(file["f64"], try sample(.float64, [4])))
        #expect(same(file["i32"], try sample(.int32, [2, 2])))
        #expect(same(file["i64"], try sample(.int64, [3])))
        #expect(same(file["u8"], try sample(.uint8, [5])))
        #expect(same(file["bool"], try sample(.bool, [7])))
        #expect(same(file["scalar"], try Tensor(scalar: Float(2.5))))
        #expect(same(file["empty"], try Tensor(zeros: [0, 3])))
        #expect(same(file["Größe"], try sample(.float32, [1])))
        #expect(file["other"] == nil)
    }

    @Test func halvesAreWidened() throws {
        let file = try SafetensorsFile.read(fixture("interchange/half.safetensors"))
        #expect(same(file["f16"], try sample(.float32, [2, 3])))
        #expect(same(file["bf16"], try sample(.float32, [6])))
        let error = failure { _ = try SafetensorsFile.read(fixture("interchange/int16.safetensors")) }
        #expect(error?.code == .format && error?.message.contains("tensor \"short\" (byte 17): dtype I16 is not supported") == true)
    }

    @Test func everyHalf() {
        #expect(StoredElement.float(half: 0x3C00) == 1 && StoredElement.float(half: 0xC000) == -2)
        #expect(StoredElement.float(half: 0x0001) == 0x1p-24 && StoredElement.float(half: 0x03FF) == 0x3FFp-24)
        #expect(StoredElement.float(half: 0x7BFF) == 65504 && StoredElement.float(half: 0x8000).sign == .minus)
        #expect(StoredElement.float(half: 0x7C00) == .infinity && StoredElement.float(half: 0xFC00) == -.infinity)
        #expect(StoredElement.float(half: 0x7E01).isNaN && StoredElement.float(half: 0x7C01).isNaN)
        for bits in UInt16.min...UInt16.max where bits & 0x7C00 != 0x7C00 {
            let exponent = Int(bits >> 10 & 31)
            let fraction = Float(bits & 0x3FF) * 0x1p-10
            let scale = Float(sign: .plus, exponent: max(exponent, 1) - 15, significand: 1)
            let value = (exponent == 0 ? fraction : 1 + fraction) * scale
            #expect(StoredElement.float(half: bits) == (bits >> 15 == 0 ? value : -value))
        }
    }

    @Test func roundTrip() throws {
        let folder = TemporaryFolder()
        let file = try Self.sampleFile()
        try file.write(to: folder.file("a"))
        let back = try SafetensorsFile.read(folder.file("a"))
        #expect(back.metadata == file.metadata && back.metadata.names == file.metadata.names)
        #expect(back.tensors.map(\.name) == file.tensors.map(\.name))
        for (name, tensor) in file.tensors { #expect(same(back[name], tensor), "\(name)") }
        let header = try SafetensorsFile.readHeader(folder.file("a"))
        #expect(header.dataStart % 64 == 0)
        for entry in header.entries { #expect(entry.range.lowerBound % entry.element.byteCount == 0) }
        #expect(folder.entries == ["a"])
        // What is written does not depend on where it is written, or when.
        try back.write(to: folder.file("b"))
        #expect(try Files.read(folder.file("a")) == Files.read(folder.file("b")))
    }

    @Test func nothingAtAll() throws {
        let folder = TemporaryFolder()
        try SafetensorsFile().write(to: folder.file("a"))
        let back = try SafetensorsFile.read(folder.file("a"))
        #expect(back.tensors.isEmpty && back.metadata.isEmpty)
        #expect(try SafetensorsFile.read(folder.write(Self.bytes("{}"), "a")).tensors.isEmpty)
        #expect(try SafetensorsFile.read(folder.write(Self.bytes("{\"__metadata__\": {}} \n "), "a")).metadata.isEmpty)
    }

    @Test func onlySome() throws {
        let file = try SafetensorsFile.read(fixture("interchange/all.safetensors")) { $0.type == .bool }
        #expect(file.tensors.map(\.name) == ["bool"])
        #expect(failure { _ = try SafetensorsFile.read(fixture("interchange/all.safetensors")) { _ in throw DLError(.state, "no") } }?.code == .state)
    }

    @Test func viewsAreWrittenAsTheyAre() throws {
        let folder = TemporaryFolder()
        let whole = try sample(.float32, [4, 2])
        try SafetensorsFile(tensors: [("part", try whole.rows(1..<3)), ("row", try whole.row(2))]).write(to: folder.file("a"))
        let back = try SafetensorsFile.read(folder.file("a"))
        #expect(back["part"]?.numbers == [-0.25, 0, 0.25, 0.5] && back["row"]?.numbers == [0.25, 0.5])
    }

    /// Python's reader and NumPy's, where a Python that has them is named.
    @Test(.enabled(if: Environment.variable("DL_TEST_PYTHON") != nil))
    func pythonReadsWhatIsWritten() async throws {
        let folder = TemporaryFolder()
        try Self.sampleFile().write(to: folder.file("written.safetensors"))
        for type in ElementType.allCases {
            for shape: Shape in [[], [5], [2, 3, 2], [0, 4]] {
                let name = "\(type.name)_\(shape.rank)\(shape.count == 0 ? "_empty" : "").npy"
                try NPY.write(try sample(type, shape), to: folder.file(name))
            }
        }
        let python = Environment.variable("DL_TEST_PYTHON") ?? ""
        #expect(run([python, "-B", fixture("interchange/check.py"), folder.path]) == 0)
    }

    @Test func namesThatCannotBeWritten() throws {
        let folder = TemporaryFolder()
        let tensor = try Tensor(scalar: Float(1))
        let path = try folder.write("old", "a")
        #expect(failure { try SafetensorsFile(tensors: [("a", tensor), ("a", tensor)]).write(to: path) }?.code == .argument)
        #expect(failure { try SafetensorsFile(tensors: [("__metadata__", tensor)]).write(to: path) }?.code == .argument)
        #expect(try Files.read(path) == Array("old".utf8))
        #expect(folder.entries == ["a"])
    }

    @Test func aFailedWriteLeavesTheOldFile() throws {
        let folder = TemporaryFolder()
        let file = try Self.sampleFile()
        #expect(failure { try file.write(to: folder.file("no/such/folder")) }?.code == .notFound)
        #expect(failure { try file.write(to: folder.path) }?.code == .io)
        #expect(failure { try file.write(to: "/dev/full") }?.code == .io)
        #expect(folder.entries.isEmpty)
    }

    /// A full disk, played by the limit on the size of files.
    @Test func aFullDiskLeavesTheOldFile() async {
        await #expect(processExitsWith: .success) {
            let folder = TemporaryFolder()
            let path = folder.file("model")
            let tensor = try Tensor(zeros: [50_000])
            let small = SafetensorsFile(tensors: [("a", try tensor.rows(0..<10))])
            try small.write(to: path)
            let old = try Files.read(path)
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
            setrlimit(__rlimit_resource_t(1), &limit)
            let errors = [
                failure { try SafetensorsFile(tensors: [("a", tensor)]).write(to: path) },
                failure { try NPY.write(tensor, to: path) },
            ]
            guard errors.allSatisfy({ $0?.code == .io }), try Files.read(path) == old, folder.entries == ["model"] else { exit(1) }
            try small.write(to: path)
            guard try SafetensorsFile.read(path).tensors.count == 1 else { exit(2) }
        }
    }

    @Test(.enabled(if: getuid() != 0, "nothing is forbidden to root"))
    func forbiddenPlaces() throws {
        let folder = TemporaryFolder()
        let path = folder.file("a")
        try Self.sampleFile().write(to: path)
        let old = try Files.read(path)
        chmod(path, 0o400)
        #expect(failure { try SafetensorsFile().write(to: path) }?.code == .io)
        #expect(try Files.read(path) == old)
        chmod(path, 0)
        #expect(failure { _ = try SafetensorsFile.read(path) }?.code == .io)
        chmod(path, 0o600)
        chmod(folder.path, 0o500)
        #expect(failure { try SafetensorsFile().write(to: path) }?.code == .io)
        chmod(folder.path, 0o700)
        #expect(try Files.read(path) == old && folder.entries == ["a"])
    }

    @Test(arguments: [
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 8, "',' or '}' expected"),
        ("[]", 0, "not a JSON object"),
        (" {}", 0, "not a JSON object"),
        ("{} x", 0, "nothing more expected in the header (byte 11)"),
        ("{\"a\":}", 0, "'shape'|must be an object"),
        ("{\"a\":3}", 0, "tensor \"a\" must be an object"),
        ("{\"a\" 3}", 0, "':' expected in the header (byte 13)"),
        ("{a:3}", 0, "a name in double quotes"),
        ("{\"a\":{}}", 0, "'dtype' must be a name"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":3,\"data_offsets\":[0,8]}}", 8, "'shape' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", 8, "'shape' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "'shape' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "'data_offsets' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "'data_offsets' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "is 12 bytes, but its data_offsets 0 to 8 are 8"),
        ("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, "dtype F8_E4M3 is not supported"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "too large"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807,2],\"data_offsets\":[0,0]}}", 0, "too large"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "too many axes"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8, "'shape' must be"),
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 8, "truncated: tensor \"a\" ends at byte 16"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}", 8, "a hole"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 8, "4 bytes after the last tensor"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6,
         "tensor \"b\" begins at byte 2 of the data, where 4 was expected: it overlaps another"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
         "it overlaps another"),
        ("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}", 8,
         "\"a\" is there twice"),
        ("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "'dtype' is there twice"),
        ("{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ \"k\" must be text"),
        ("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "twice"),
        ("{\"__metadata__\":[]}", 0, "__metadata__ must be an object"),
        ("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "\"__metadata__\" is there twice"),
        ("{\"a\\ud800\":{}}", 0, "surrogate"),
        ("{\"a\\", 0, "escape"),
        ("{\"a\":{\"dtype\":\"F32\\", 0, "escape"),
        ("{", 0, "expected"),
    ])
    func badHeaders(_ header: String, _ data: Int, _ expected: String) throws {
        let folder = TemporaryFolder()
        let path = try folder.write(Self.bytes(header, data: data), "bad")
        let error = failure { _ = try SafetensorsFile.read(path) }
        #expect(error?.code == .format)
        #expect(expected.split(separator: "|").contains { error?.message.contains($0) == true }, "\(error?.message ?? "no error")")
        #expect(failure { _ = try SafetensorsFile.readHeader(path) } == error)
    }

    @Test func badLengths() throws {
        let folder = TemporaryFolder()
        func message(_ bytes: [UInt8]) throws -> String {
            let path = try folder.write(bytes, "bad")
            let error = failure { _ = try SafetensorsFile.read(path) }
            #expect(error?.code == .format)
            return error?.message ?? "no error"
        }
        #expect(try message([]).hasSuffix("a safetensors file has at least 8 bytes. Received: 0"))
        #expect(try message([3, 0, 0, 0, 0, 0, 0, 0, 123]).contains("3 bytes long (byte 0), but only 1 follow"))
        #expect(try message([UInt8](repeating: 255, count: 100)).contains("18446744073709551615 bytes long"))
        #expect(try message([0, 0, 0, 0, 0, 0, 0, 0]).contains("not a JSON object"))
        var invalid = Self.bytes("{\"ab\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}")
        invalid[11] = 0xC3
        #expect(try message(invalid).contains("not valid UTF-8"))
    }

    /// A list of a million numbers would be many times as large once parsed.
    @Test func headersThatWouldCostMuch() throws {
        let folder = TemporaryFolder()
        let ones = Array(repeating: "1", count: 1_000_000).joined(separator: ",")
        let path = try folder.write(Self.bytes("{\"a\":{\"dtype\":\"U8\",\"shape\":[\(ones)],\"data_offsets\":[0,1]}}", data: 1), "a")
        #expect(failure { _ = try SafetensorsFile.read(path) }?.message.contains("'shape' is too long") == true)
        let deep = String(repeating: "[", count: 4000)
        let nested = try folder.write(Self.bytes("{\"a\":{\"x\":\(deep)"), "a")
        #expect(failure { _ = try SafetensorsFile.read(nested) }?.code == .format)
    }

    @Test func manyTensors() throws {
        let folder = TemporaryFolder()
        let one = try sample(.int32, [3])
        let file = SafetensorsFile(tensors: (0..<5000).map { ("layer.\($0).weight", one) })
        try file.write(to: folder.file("a"))
        let back = try SafetensorsFile.read(folder.file("a"))
        #expect(back.tensors.count == 5000 && back.tensors.allSatisfy { same($0.tensor, one) })
    }

    @Test func outOfMemory() throws {
        defer { Memory.failAllocation(0) }
        // The header, then nine tensors.
        for n in 1...10 {
            Memory.failAllocation(n)
            #expect(failure { _ = try SafetensorsFile.read(fixture("interchange/all.safetensors")) }?.code == .memory)
        }
    }

    @Test func everyTruncationIsRefused() throws {
        let folder = TemporaryFolder()
        for name in ["all.safetensors", "half.safetensors"] {
            let bytes = try Files.read(fixture("interchange/" + name))
            for length in 0..<bytes.count {
                let path = try folder.write(Array(bytes[..<length]), "cut")
                #expect(failure { _ = try SafetensorsFile.read(path) }?.code == .format, "\(name) cut to \(length)")
            }
        }
    }

    @Test(arguments: ["all.safetensors", "half.safetensors"])
    func damageIsSurvived(_ name: String) throws {
        let folder = TemporaryFolder()
        let bytes = try Files.read(fixture("interchange/" + name))
        var random = RandomStream(seed: 11)
        for round in 0..<4000 {
            let path = try folder.write(damaged(bytes, &random), "damaged")
            let error = failure {
                let size = try SafetensorsFile.read(path).tensors.reduce(0) { $0 + $1.tensor.byteCount }
                #expect(size <= 2 * bytes.count + 64)
            }
            if let error { #expect(error.code == .format, "round \(round): \(error)") }
        }
    }

    @Test func placesThatAreNoFile() throws {
        let folder = TemporaryFolder()
        #expect(failure { _ = try SafetensorsFile.read(folder.file("missing")) }?.code == .notFound)
        #expect(failure { _ = try SafetensorsFile.read(folder.path) }?.code == .io)
        #expect(failure { _ = try SafetensorsFile.read("/dev/null") }?.code == .io)
    }
}
