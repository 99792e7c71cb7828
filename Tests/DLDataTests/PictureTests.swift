import CZlib
import DLBase
import DLTensor
import DLTestSupport
import Testing

@testable import DLData

@Suite struct PictureTests {
    static let files = [
        "grey.png", "rgb.png", "rgba.png", "grey_alpha.png", "deep.png", "palette.png", "bits.png", "grey.jpg", "rgb.jpg",
        "progressive.jpg", "cmyk.jpg", "rgb.bmp", "palette.bmp", "grey.pgm", "rgb.ppm",
    ]

    static func bytes(_ name: String) throws -> [UInt8] { try Files.read(fixture("pictures/" + name)) }

    static func options(_ json: JSON) throws -> PictureOptions { try PictureOptions.declaration.make(config: json) }

    func write(_ pixels: Tensor, _ path: String, _ options: JSON = .null) throws {
        try PictureFile.write(pixels, to: path, PictureFile.declaration.make(config: options))
    }

    func pixels(_ shape: Shape, _ type: ElementType = .uint8) throws -> Tensor {
        let tensor = try Tensor(uninitialized: shape, type)
        for place in 0..<tensor.count { tensor.setNumber(Double(place * 37 % (type == .uint8 ? 256 : 65_536)), at: place) }
        return tensor
    }

    @Test func writtenAndReadAgain() throws {
        let folder = TemporaryFolder()
        for (channels, mode) in [(1, "grayscale"), (3, "rgb"), (4, "rgba")] {
            for level in [0, 9] {
                let picture = try pixels([7, 5, channels])
                try write(picture, folder.file("a.png"), ["compress_level": .int(Int64(level))])
                let back = try Picture.read(folder.file("a.png")).converted(Self.options(["color_mode": .string(mode)]))
                #expect(same(back, picture))
            }
        }
        let deep = try pixels([6, 9, 1], .int32)
        try write(deep, folder.file("a.png"))
        #expect(same(try Picture.read(folder.file("a.png")).converted(Self.options(["color_mode": "grayscale"])), deep))
        for (name, channels) in [("a.pgm", 1), ("a.ppm", 3)] {
            let picture = try pixels([4, 3, channels])
            try write(picture, folder.file(name))
            #expect(same(try Picture.read(folder.file(name)).pixels, picture))
        }
        // JPEG is near, the nearer the higher its quality.
        let smooth = try Tensor(uninitialized: [32, 32, 3], .uint8)
        for place in 0..<smooth.count { smooth.setNumber(Double(60 + place / 96 * 4 + place % 96 / 3), at: place) }
        var last = Double.infinity
        for quality in [10, 60, 100] {
            try write(smooth, folder.file("a.JPG"), ["quality": .int(Int64(quality))])
            let back = try Picture.read(folder.file("a.JPG")).pixels
            #expect(back.shape == smooth.shape)
            let error = zip(back.numbers, smooth.numbers).map { abs($0 - $1) }.max() ?? .infinity
            #expect(error <= last)
            last = error
        }
        #expect(last <= 3)
        // Alpha is left out where a format has none.
        try write(pixels([4, 4, 4]), folder.file("b.jpeg"))
        #expect(try Picture.read(folder.file("b.jpeg")).channels == 3)
        try write(pixels([4, 4]), folder.file("c"), ["file_format": "png"])
        #expect(try Picture.read(folder.file("c")).channels == 1)
    }

    @Test func refusals() throws {
        let folder = TemporaryFolder()
        func message(_ picture: Tensor, _ name: String, _ options: JSON = .null) -> String {
            failure { try write(picture, folder.file(name), options) }?.message ?? ""
        }
        let picture = try pixels([4, 4, 3])
        #expect(message(picture, "a.gif").contains("must end in .png"))
        #expect(message(picture, "a").contains("must end in .png"))
        #expect(message(picture, "a.png", ["quality": 101]).contains("'quality' must be a whole number from 1 to 100"))
        #expect(message(picture, "a.png", ["file_format": "pnq"]).contains("did you mean 'png'"))
        #expect(message(try pixels([4, 4, 5]), "a.png").contains("1 to 4"))
        #expect(message(try pixels([0, 4, 3]), "a.png").contains("Received: (0, 4, 3)"))
        #expect(message(try pixels([4, 4, 1], .int32), "a.jpg").contains("only PNG has 16 bits"))
        #expect(message(try Tensor(number: -1, .int32, shape: [2, 2, 1]), "a.png").contains("0 to 65535"))
        #expect(message(try Tensor(zeros: [2, 2, 3]), "a.png").contains("Received: float32 (2, 2, 3)"))
        #expect(message(try Tensor(zeros: [1, 65_501, 1], .uint8), "a.jpg").contains("65500"))
        let wrong: [JSON] = [[0, 3], [3], [3, 3, 3], 5, "x", [-1, 3], [1_099_511_627_776, 9], [1_048_576, 1_048_576], [2.5, 3]]
        for sizes in wrong {
            #expect(failure { _ = try Self.options(["target_size": sizes]) }?.code == .argument, "\(sizes)")
        }
        #expect(failure { _ = try Self.options(["interpolation": "bilinar"]) }?.message.contains("did you mean 'bilinear'") == true)
        #expect(failure { _ = try Picture.read(folder.file("none.png")) }?.code == .notFound)
        #expect(failure { _ = try Picture.read(folder.path) }?.code == .io)
    }

    @Test func damagedHeads() throws {
        func message(_ bytes: [UInt8]) -> String { failure { _ = try Picture.decode(bytes, "x") }?.message ?? "" }
        #expect(message([]) == "x: neither PNG, JPEG, BMP, PGM nor PPM. Received: an empty file")
        #expect(message(Array("GIF89a".utf8)).contains("GIF is not read"))
        #expect(message([1, 2]) == "x: neither PNG, JPEG, BMP, PGM nor PPM. Received: first bytes 01 02")
        // A head that promises much, before a few bytes.
        var png = try Self.bytes("rgb.png")
        png.replaceSubrange(16..<24, with: [0, 0, 0x3F, 0xFF, 0, 0, 0x3F, 0xFF])
        #expect(message(Self.mended(png)).contains("16383 x 16383 pixels do not fit into a file of"))
        png.replaceSubrange(16..<24, with: [0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF])
        #expect(message(Self.mended(png)).contains("PNG: "))
        png.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        let large = failure { _ = try Picture.decode(Self.mended(png), "x") }
        #expect(large?.code == .limit)
        #expect(large?.message.contains("65535 x 65535 pixels; at most 268435456 are read, at byte ") == true)
        var jpeg = try Self.bytes("rgb.jpg")
        let frame = try #require((0..<jpeg.count - 1).first { jpeg[$0] == 0xFF && jpeg[$0 + 1] == 0xC0 })
        jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0x1F, 0xFF, 0x1F, 0xFF])
        #expect(message(jpeg).contains("8191 x 8191 pixels do not fit"))
        jpeg.replaceSubrange(frame + 5..<frame + 9, with: [0xFF, 0x00, 0xFF, 0x00])
        #expect(failure { _ = try Picture.decode(jpeg, "x") }?.code == .limit)
        #expect(message(Array("P5 2000000000 2000000000 255\n".utf8)).contains("must be from 1 to"))
        #expect(message(Array("P5 20000 20000 255\n".utf8)).contains("20000 x 20000 pixels; at most"))
        #expect(message(Array("P5 3 2 255\n12345".utf8)).contains("3 x 2 pixels do not fit into the 5 bytes"))
        #expect(message(Array("P2 2 1 7 5 8".utf8)) == "x: its value must be from 0 to 7, at byte 11")
        #expect(message(Array("P3 1 1 9 1 2 x".utf8)) == "x: its value is no number, at byte 13")
        #expect(message(Array("P5 2 1 7\n".utf8) + [5, 8]).contains("value 8 is above the largest, 7"))
        #expect(try Picture.decode(Array("P2 # grey\n2 1 # wide\n10\n0 5".utf8), "x").pixels.array(UInt8.self) == [0, 128])
        #expect(try Picture.decode(Array("P5 1 1 1000\n".utf8) + [3, 0xE8], "x").pixels.array(Int32.self) == [1000])
    }

    @Test func everyTruncationIsRefused() throws {
        for name in Self.files {
            let bytes = try Self.bytes(name)
            // A JPEG may lack the marker at its end, and the last byte of its data may hold nothing.
            let least = name.hasSuffix("jpg") ? bytes.count - 4 : bytes.count
            for length in 0..<least {
                let error = failure { _ = try Picture.decode(Array(bytes[..<length]), "x") }
                #expect(error?.code == .format || error?.code == .limit, "\(name) cut to \(length): \(String(describing: error))")
            }
        }
    }

    /// With the checksums of a PNG's chunks made right again, so that damage reaches what lies behind them.
    static func mended(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        var place = 8
        while place + 12 <= bytes.count {
            let length = bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - place - 12 else { break }
            let sum = bytes.withUnsafeBufferPointer { crc32(0, $0.baseAddress?.advanced(by: place + 4), UInt32(length + 4)) }
            for at in 0..<4 { bytes[place + 8 + length + at] = UInt8(truncatingIfNeeded: sum >> UInt(24 - 8 * at)) }
            place += length + 12
        }
        return bytes
    }

    @Test(arguments: files)
    func damageIsSurvived(_ name: String) throws {
        let bytes = try Self.bytes(name)
        var random = RandomStream(seed: 11)
        let rounds = Environment.variable("DL_TEST_ROUNDS").flatMap(Int.init) ?? 400
        var read = 0
        for round in 0..<rounds {
            var broken = damaged(bytes, &random)
            if name.hasSuffix("png"), round % 4 != 0 { broken = Self.mended(broken) }
            let options = try Self.options([
                "color_mode": .string(["grayscale", "rgb", "rgba"][round % 3]), "target_size": round % 5 == 0 ? [3, 4] : .null,
                "interpolation": round % 2 == 0 ? "bilinear" : "nearest", "keep_aspect_ratio": .bool(round % 7 < 3),
            ])
            let error = failure {
                let picture = try Picture.decode(broken, "x")
                // Nothing much larger than what the file can hold.
                #expect(picture.pixels.count <= 1032 * 4 * broken.count)
                _ = try picture.converted(options)
                read += 1
            }
            if let error {
                #expect(
                    error.code == .format || error.code == .limit || error.message.contains("in the proportions"),
                    "round \(round): \(error)")
                #expect(error.message.utf8.allSatisfy { $0 >= 32 && $0 != 127 }, "round \(round): \(error)")
            }
        }
        #expect(read > 0)
        #expect(read < rounds)
    }

    @Test func checksums() throws {
        let folder = TemporaryFolder()
        func sums(_ text: String) throws -> [String] {
            let path = try folder.write(text, "a")
            return try FileHash.allCases.map { try $0.digest(path) }
        }
        #expect(try sums("") == [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "d41d8cd98f00b204e9800998ecf8427e",
        ])
        #expect(try sums("abc") == [
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "900150983cd24fb0d6963f7d28e17f72",
        ])
        // One block less than full, full, one more, and more than the buffer.
        let expected = [
            55: "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318",
            56: "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a",
            64: "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb",
            1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
        ]
        for (count, sum) in expected { #expect(try sums(String(repeating: "a", count: count))[0] == sum, "\(count)") }
        #expect(try sums(String(repeating: "a", count: 64))[1] == "014842d480b571495a4a0363793f7367")
        #expect(failure { _ = try FileHash.md5.digest(folder.file("none")) }?.code == .notFound)
    }

    @Test func folders() throws {
        let folder = TemporaryFolder()
        for name in ["b", "a.txt", "ä", ".hidden"] { _ = try folder.write("x", name) }
        try Files.makeFolder(folder.file("Z"))
        let entries = try Files.folder(folder.path)
        #expect(entries.map(\.name) == [".hidden", "Z", "a.txt", "b", "ä"])
        #expect(entries.map(\.kind) == [.file, .folder, .file, .file, .file])
        #expect(entries.allSatisfy { !$0.isLink })
        #expect(failure { _ = try Files.folder(folder.file("none")) }?.code == .notFound)
        #expect(failure { _ = try Files.folder(folder.file("b")) }?.code == .io)
        #expect(failure { _ = try Files.folder("a\0b") }?.code == .argument)
    }
}
