import CZlib
import DLBase
import DLTensor
import DLTestSupport
import Testing

@testable import DLData

@Suite struct IDXTests {
    static func header(_ type: UInt8, _ sizes: [UInt32]) -> [UInt8] {
        [0, 0, type, UInt8(sizes.count)] + sizes.flatMap { size in (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } }
    }

    static func gzipped(_ bytes: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        return withUnsafeMutablePointer(to: &stream) { stream in
            deflateInit2_(stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
            var input = bytes
            var output = [UInt8](repeating: 0, count: Int(deflateBound(stream, UInt(bytes.count))))
            let count = input.withUnsafeMutableBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    stream.pointee.next_in = input.baseAddress
                    stream.pointee.avail_in = UInt32(input.count)
                    stream.pointee.next_out = output.baseAddress
                    stream.pointee.avail_out = UInt32(output.count)
                    deflate(stream, Z_FINISH)
                    return output.count - Int(stream.pointee.avail_out)
                }
            }
            deflateEnd(stream)
            return Array(output[..<count])
        }
    }

    @Test(arguments: [
        ("u1.idx", ElementType.uint8), ("u1.idx.gz", .uint8), ("i1.idx", .int32), ("i2.idx", .int32), ("i4.idx", .int32),
        ("f4.idx", .float32), ("f4.idx.gz", .float32), ("f8.idx", .float64),
    ])
    func golden(_ name: String, _ type: ElementType) throws {
        #expect(same(try IDX.read(fixture("interchange/" + name)), try sample(type, [2, 3, 2])))
    }

    @Test func scalarsAndEmptyOnes() throws {
        let folder = TemporaryFolder()
        #expect(try IDX.read(folder.write([0, 0, 8, 0, 7], "a")).item() == 7)
        #expect(try IDX.read(folder.write(Self.header(8, [0, 28, 28]), "a")).shape == [0, 28, 28])
        #expect(try IDX.read(folder.write(Self.header(0x0E, [3, 0]), "a")).shape == [3, 0])
        #expect(try IDX.read(folder.write(Self.gzipped(Self.header(8, [0])), "a")).shape == [0])
    }

    @Test func largerThanOneBuffer() throws {
        let folder = TemporaryFolder()
        let values = (0..<200_001).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
        let plain = Self.header(9, [200_001]) + values
        for bytes in [plain, Self.gzipped(plain), Self.gzipped(Array(plain[..<70_000])) + Self.gzipped(Array(plain[70_000...]))] {
            let tensor = try IDX.read(folder.write(bytes, "a"))
            #expect(tensor.array(Int32.self) == values.map { Int32(Int8(bitPattern: $0)) })
        }
    }

    @Test func messages() throws {
        let folder = TemporaryFolder()
        func message(_ bytes: [UInt8]) throws -> String {
            let path = try folder.write(bytes, "bad")
            let error = failure { _ = try IDX.read(path) }
            #expect(error?.code == .format)
            #expect(error?.message.hasPrefix("cannot read \"\(path)\": ") == true)
            return error?.message.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? ""
        }
        #expect(try message([]) == "it ends at byte 0, 4 bytes too early")
        #expect(try message([0, 0, 8, 3, 0]) == "it ends at byte 5, 3 bytes too early")
        #expect(try message([1, 0, 8, 1]).contains("must begin with two zero bytes. Received: 1, 0"))
        #expect(try message([0, 0, 10, 1]).contains("no element type 10"))
        #expect(try message([0, 0, 8, 200]).contains("200 axes"))
        #expect(try message(Self.header(8, [2, 2]) + [1, 2, 3]) ==
            "its header says shape (2, 2), 4 bytes from byte 12 on, but there are 3")
        #expect(try message(Self.header(8, [2]) + [1, 2, 3]).contains("but there are 3"))
        #expect(try message(Self.header(14, [.max, .max, .max])).contains("too large"))
        #expect(try message(Self.header(14, [.max, .max])).contains("too large"))
        #expect(try message(Self.header(14, [1 << 15, 1 << 15, 1 << 15, 1 << 14])).contains("too large"))
        #expect(try message(Self.header(14, [1 << 30, 1 << 28])).contains("but there are 0"))
        #expect(try message(Self.gzipped(Self.header(8, [2, 2]) + [1, 2, 3])).contains("ends at byte 15, 1 bytes too early"))
        #expect(try message(Self.gzipped(Self.header(8, [2]) + [1, 2, 3])).contains("more data than its header says"))
        let good = Self.gzipped(Self.header(8, [4]) + [1, 2, 3, 4])
        var bad = good
        bad[bad.count - 6] ^= 1
        #expect(try message(bad).contains("the gzip data are damaged near byte"))
        #expect(try message(bad).contains("incorrect data check"))
        #expect(try message(good + [1, 2, 3, 4]).contains("incorrect header check"))
        #expect(try message(Array(good.dropLast(3))).contains("gzip data end too early"))
    }

    /// A small file that promises much, and a small file that expands to much.
    @Test func memoryIsBoundedByTheFile() throws {
        let folder = TemporaryFolder()
        let promise = try folder.write(Self.gzipped(Self.header(8, [1 << 30, 1 << 10]) + [1, 2, 3]), "promise")
        let zeros = [UInt8](repeating: 0, count: 100 << 20)
        let bomb = try folder.write(Self.gzipped(Self.header(8, [4]) + zeros), "bomb")
        let short = try folder.write(Self.gzipped(Self.header(8, [(100 << 20) + 1]) + zeros), "short")
        let whole = try folder.write(Self.gzipped(Self.header(8, [100 << 20]) + zeros), "whole")
        Memory.failAllocation(1)
        #expect(failure { _ = try IDX.read(promise) }?.message.contains("but there are at most") == true)
        #expect(failure { _ = try IDX.read(short) }?.message.contains("but there are 104857600") == true)
        // None of the two has asked for memory yet.
        #expect(failure { _ = try IDX.read(bomb) }?.code == .memory)
        #expect(failure { _ = try IDX.read(bomb) }?.message.contains("more data than its header says") == true)
        #expect(try IDX.read(whole).count == 100 << 20)
    }

    @Test func placesThatAreNoFile() throws {
        let folder = TemporaryFolder()
        #expect(failure { _ = try IDX.read(folder.file("missing")) }?.code == .notFound)
        #expect(failure { _ = try IDX.read(folder.path) }?.code == .io)
        #expect(failure { _ = try IDX.read("/dev/zero") }?.code == .io)
    }

    @Test func outOfMemory() throws {
        Memory.failAllocation(1)
        defer { Memory.failAllocation(0) }
        #expect(failure { _ = try IDX.read(fixture("interchange/u1.idx")) }?.code == .memory)
    }

    @Test func everyTruncationIsRefused() throws {
        let folder = TemporaryFolder()
        for name in ["u1.idx", "i2.idx", "f8.idx", "u1.idx.gz", "f4.idx.gz"] {
            let bytes = try Files.read(fixture("interchange/" + name))
            for length in 0..<bytes.count {
                let path = try folder.write(Array(bytes[..<length]), "cut")
                #expect(failure { _ = try IDX.read(path) }?.code == .format, "\(name) cut to \(length)")
            }
        }
    }

    @Test(arguments: ["u1.idx", "i2.idx", "u1.idx.gz", "f4.idx.gz"])
    func damageIsSurvived(_ name: String) throws {
        let folder = TemporaryFolder()
        let bytes = try Files.read(fixture("interchange/" + name))
        var random = RandomStream(seed: 7)
        for round in 0..<1500 {
            let path = try folder.write(damaged(bytes, &random), "damaged")
            var size = 0
            let error = failure { size = try IDX.read(path).byteCount }
            #expect(size <= 2048 * bytes.count)
            if let error {
                #expect(error.code == .format, "round \(round): \(error)")
            }
        }
    }
}
