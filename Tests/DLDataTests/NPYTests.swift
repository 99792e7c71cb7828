import DLBase
import DLTensor
import DLTestSupport
import Testing

@testable import DLData

@Suite struct NPYTests {
    static func bytes(_ header: String, version: UInt8 = 1, data: [UInt8] = []) -> [UInt8] {
        let length = header.utf8.count
        let size = (0..<(version == 1 ? 2 : 4)).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        return NPY.magic + [version, 0] + size + Array(header.utf8) + data
    }

    @Test(arguments: [
        ("f4", ElementType.float32), ("f8", .float64), ("i4", .int32), ("i8", .int64), ("u1", .uint8), ("b1", .bool),
        ("f2", .float32), ("i1", .int32), ("i2", .int32), ("big_f4", .float32), ("big_f8", .float64), ("big_i2", .int32),
        ("big_i8", .int64), ("big_f2", .float32), ("version2", .float32), ("version3", .float32),
    ])
    func golden(_ name: String, _ type: ElementType) throws {
        let path = fixture("interchange/\(name).npy")
        #expect(same(try NPY.read(path), try sample(type, [2, 3, 2])))
        #expect(same(try loadTensor(path), try sample(type, [2, 3, 2])))
    }

    @Test func goldenOfOtherShapes() throws {
        #expect(same(try NPY.read(fixture("interchange/u2.npy")), try sample(.int32, [2, 3, 2], unsigned: true)))
        #expect(same(try NPY.read(fixture("interchange/u4.npy")), try sample(.int64, [2, 3, 2], unsigned: true)))
        #expect(same(try NPY.read(fixture("interchange/fortran_f4.npy")), try sample(.float32, [2, 3, 4])))
        #expect(same(try NPY.read(fixture("interchange/fortran_big_i2.npy")), try sample(.int32, [3, 2, 5])))
        #expect(same(try NPY.read(fixture("interchange/scalar.npy")), try Tensor(scalar: -0.75)))
        #expect(same(try NPY.read(fixture("interchange/vector.npy")), try sample(.float32, [5])))
        #expect(same(try NPY.read(fixture("interchange/empty.npy")), try Tensor(zeros: [0, 4])))
    }

    @Test func largeFortranOrder() throws {
        let folder = TemporaryFolder()
        let (rows, columns) = (300, 200)
        var data: [UInt8] = []
        for column in 0..<columns {
            for row in 0..<rows { withUnsafeBytes(of: Int32(row * columns + column)) { data.append(contentsOf: $0) } }
        }
        let header = "{'descr': '<i4', 'fortran_order': True, 'shape': (\(rows), \(columns)), }\n"
        let tensor = try NPY.read(folder.write(Self.bytes(header, data: data), "a"))
        #expect(tensor.array(Int32.self) == (0..<Int32(rows * columns)).map { $0 })
    }

    @Test func roundTrip() throws {
        let folder = TemporaryFolder()
        for type in ElementType.allCases {
            for shape: Shape in [[], [0], [7], [2, 0, 3], [3, 4], [1, 2, 3, 4, 5]] {
                let tensor = try sample(type, shape)
                try NPY.write(tensor, to: folder.file("a"))
                #expect(same(try NPY.read(folder.file("a")), tensor))
                let size = try Files.read(folder.file("a")).count
                #expect((size - tensor.byteCount) % 64 == 0)
            }
        }
        let special = try Tensor([Float.nan, .infinity, -.infinity, -0.0, .leastNonzeroMagnitude])
        try NPY.write(special, to: folder.file("a"))
        #expect(try NPY.read(folder.file("a")).array(Float.self).map(\.bitPattern) == special.array(Float.self).map(\.bitPattern))
        #expect(folder.entries == ["a"])
    }

    @Test func gzipIsExpanded() throws {
        let folder = TemporaryFolder()
        let path = try folder.write(IDXTests.gzipped(try Files.read(fixture("interchange/i8.npy"))), "a")
        #expect(same(try loadTensor(path), try sample(.int64, [2, 3, 2])))
        #expect(same(try loadTensor(fixture("interchange/f4.idx.gz")), try sample(.float32, [2, 3, 2])))
        #expect(same(try loadTensor(fixture("interchange/i2.idx")), try sample(.int32, [2, 3, 2])))
    }

    @Test func headersOtherProgramsWrite() throws {
        let folder = TemporaryFolder()
        func read(_ header: String) throws -> Tensor { try NPY.read(folder.write(Self.bytes(header, data: [1, 2]), "a")) }
        #expect(try read("{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"|u1\"}").numbers == [1, 2])
        #expect(try read("{'descr': 'u1', 'fortran_order': True, 'shape': (2L, 1L)}   \n").shape == [2, 1])
        #expect(try read("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }").numbers == [1, 1])
        #expect(try read("{'descr': '=i2', 'fortran_order': False, 'shape': (), }").item() == 513)
    }

    @Test(arguments: [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", "'}' expected"),
        ("{'descr': '<f4', 'fortran_order': False}", "'descr', 'fortran_order' and 'shape' expected"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "True or False expected in the header (byte 44)"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': 3}", "'(' expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "a size expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 3)}", "too large"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846975,)}", "too large"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}", "more than 16 axes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (288230376151711744,)}", "but there are 3"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': ()}", "dtype '<c8' is not supported"),
        ("{'descr': '<u8', 'fortran_order': False, 'shape': ()}", "dtype '<u8' is not supported"),
        ("{'descr': '', 'fortran_order': False, 'shape': ()}", "dtype '' is not supported"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': ()}", "Objects would be Python code"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}", "records are not supported"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", "there twice"),
        ("{'descr': '<f4', 'color': 3}", "'color' is unknown"),
        ("{'descr': '<f4", "the end of a text expected"),
        ("{'descr': '<f\\x34'}", "the end of a text expected"),
        ("{} {}", "nothing more expected"),
        ("{", "text in quotes expected"),
        ("", "'{' expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "but there are 3"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}", "but there are 3"),
    ])
    func badHeaders(_ header: String, _ expected: String) throws {
        let folder = TemporaryFolder()
        for version: UInt8 in 1...3 {
            let path = try folder.write(Self.bytes(header, version: version, data: [1, 2, 3]), "a")
            let error = failure { _ = try NPY.read(path) }
            #expect(error?.code == .format)
            if version == 1 { #expect(error?.message.contains(expected) == true, "\(error?.message ?? "no error")") }
        }
    }

    @Test func filesThatAreSomethingElse() throws {
        let folder = TemporaryFolder()
        func message(_ bytes: [UInt8]) throws -> String {
            let path = try folder.write(bytes, "a")
            let error = failure { _ = try loadTensor(path) }
            #expect(error?.code == .format)
            return error?.message ?? ""
        }
        #expect(try message([]).contains("Received: an empty file"))
        #expect(try message(Array("PK\u{3}\u{4}more".utf8)).contains("first bytes 50 4b 03 04 6d 6f"))
        #expect(try message(NPY.magic + [9, 0, 0, 0]).contains("version 9.0"))
        #expect(try message(NPY.magic + [2, 0, 255, 255, 255, 255]).contains("4294967295 bytes long"))
        #expect(failure { _ = try loadTensor(folder.file("missing")) }?.code == .notFound)
        for name in ["complex", "object", "record"] {
            #expect(failure { _ = try NPY.read(fixture("interchange/\(name).npy")) }?.code == .format)
        }
    }

    @Test func aFailedWriteLeavesTheOldFile() throws {
        let folder = TemporaryFolder()
        let tensor = try sample(.float32, [3])
        #expect(failure { try NPY.write(tensor, to: folder.file("no/folder")) }?.code == .notFound)
        #expect(failure { try NPY.write(tensor, to: folder.path) }?.code == .io)
        #expect(failure { try NPY.write(tensor, to: "/dev/full") }?.code == .io)
        #expect(folder.entries.isEmpty)
    }

    @Test func everyTruncationIsRefused() throws {
        let folder = TemporaryFolder()
        for name in ["f4", "version2", "fortran_f4", "b1"] {
            let bytes = try Files.read(fixture("interchange/\(name).npy"))
            for length in 0..<bytes.count {
                let path = try folder.write(Array(bytes[..<length]), "cut")
                #expect(failure { _ = try loadTensor(path) }?.code == .format, "\(name) cut to \(length)")
            }
        }
    }

    @Test(arguments: ["f4", "version3", "fortran_big_i2", "big_f2"])
    func damageIsSurvived(_ name: String) throws {
        let folder = TemporaryFolder()
        let bytes = try Files.read(fixture("interchange/\(name).npy"))
        var random = RandomStream(seed: 5)
        for round in 0..<2000 {
            let path = try folder.write(damaged(bytes, &random), "damaged")
            var size = 0
            let error = failure { size = try loadTensor(path).byteCount }
            #expect(size <= 8 * bytes.count)
            if let error {
                #expect(error.code == .format, "round \(round): \(error)")
            }
        }
    }
}
