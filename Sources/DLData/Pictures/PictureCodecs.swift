import CPictures
import DLBase
import DLTensor

/// PNG (RFC 2083), by libpng.
enum PNG {
    static func decode(_ source: PictureSource) throws -> Picture {
        try source.bytes.withUnsafeBufferPointer { bytes in
            var info = dl_picture_info(), failure = dl_picture_failure()
            var reader: OpaquePointer?
            guard dl_png_open(&reader, &info, bytes.baseAddress, bytes.count, Int64(Picture.maximumPixels), &failure) == 0 else {
                throw source.error("PNG", &failure)
            }
            defer { dl_png_close(reader) }
            let shape = try Shape(checked: [Int(info.height), Int(info.width), Int(info.channels)])
            guard info.depth == 16 else {
                let pixels = try Tensor(uninitialized: shape, .uint8)
                guard dl_png_decode(reader, pixels.elements(UInt8.self).baseAddress, &failure) == 0 else {
                    throw source.error("PNG", &failure)
                }
                return Picture(pixels: pixels)
            }
            // Sixteen bits have no type of their own: they are read into the first half and widened from the end.
            let pixels = try Tensor(uninitialized: shape, .int32)
            guard dl_png_decode(reader, pixels.pointer.assumingMemoryBound(to: UInt8.self), &failure) == 0 else {
                throw source.error("PNG", &failure)
            }
            for place in stride(from: pixels.count - 1, through: 0, by: -1) {
                let value = pixels.pointer.load(fromByteOffset: 2 * place, as: UInt16.self)
                pixels.pointer.storeBytes(of: Int32(value), toByteOffset: 4 * place, as: Int32.self)
            }
            return Picture(pixels: pixels)
        }
    }

    /// `pixels`: (height, width, channels), uint8 or, of one channel and 16 bits, int32.
    static func encode(_ pixels: Tensor, level: Int) throws -> EncodedPicture {
        if pixels.type == .uint8 {
            return try EncodedPicture("PNG", pixels, depth: 8) { dl_png_encode($0, $1, $2, $3, Int32(level), $4) }
        }
        let narrow = try Tensor(uninitialized: Shape(checked: pixels.shape.sizes + [2]), .uint8)
        for place in 0..<pixels.count {
            let value = UInt16(truncatingIfNeeded: pixels.elements(Int32.self)[place])
            narrow.pointer.storeBytes(of: value, toByteOffset: 2 * place, as: UInt16.self)
        }
        return try EncodedPicture("PNG", narrow, depth: 16) { dl_png_encode($0, $1, $2, $3, Int32(level), $4) }
    }
}

/// JPEG (ITU-T T.81), sequential and progressive, by libjpeg-turbo.
enum JPEG {
    static func decode(_ source: PictureSource) throws -> Picture {
        try source.bytes.withUnsafeBufferPointer { bytes in
            var info = dl_picture_info(), failure = dl_picture_failure()
            var reader: OpaquePointer?
            guard dl_jpeg_open(&reader, &info, bytes.baseAddress, bytes.count, Int64(Picture.maximumPixels), &failure) == 0 else {
                throw source.error("JPEG", &failure)
            }
            defer { dl_jpeg_close(reader) }
            let shape = try Shape(checked: [Int(info.height), Int(info.width), Int(info.channels)])
            let pixels = try Tensor(uninitialized: shape, .uint8)
            guard dl_jpeg_decode(reader, pixels.elements(UInt8.self).baseAddress, &failure) == 0 else {
                throw source.error("JPEG", &failure)
            }
            return Picture(pixels: pixels, inks: info.is_cmyk == 0 ? .none : info.is_cmyk == 1 ? .plain : .inverted)
        }
    }

    /// `pixels`: (height, width, 1 or 3) uint8.
    static func encode(_ pixels: Tensor, quality: Int) throws -> EncodedPicture {
        guard pixels.shape[0] <= 65_500, pixels.shape[1] <= 65_500 else {
            throw DLError(.range, "[save_img] JPEG has at most 65500 rows and columns. Received: \(pixels.shape)")
        }
        return try EncodedPicture("JPEG", pixels, depth: 8) { dl_jpeg_encode($0, $1, $2, $3, Int32(quality), $4) }
    }
}

/// A file's bytes, in memory of the libraries.
final class EncodedPicture {
    private let bytes: UnsafeRawBufferPointer

    typealias Encoder = (
        UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<Int>, UnsafePointer<dl_picture_info>,
        UnsafePointer<UInt8>?, UnsafeMutablePointer<dl_picture_failure>
    ) -> Int32

    init(_ format: String, _ pixels: Tensor, depth: Int32, _ encode: Encoder) throws {
        var info = dl_picture_info(
            width: Int64(pixels.shape[1]), height: Int64(pixels.shape[0]), channels: Int32(pixels.shape[2]), depth: depth,
            is_cmyk: 0)
        var failure = dl_picture_failure()
        var start: UnsafeMutablePointer<UInt8>?
        var count = 0
        guard encode(&start, &count, &info, UnsafePointer(pixels.elements(UInt8.self).baseAddress), &failure) == 0 else {
            throw DLError(
                failure.code == DL_PICTURE_NO_MEMORY ? .memory : .internal, "[save_img] \(format): \(failure.text)")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    func write(to path: String) throws { try withExtendedLifetime(self) { try Files.write(bytes, to: path) } }

    deinit { dl_picture_free(UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self))) }
}

extension dl_picture_failure {
    /// The libraries quote what they find; messages are one printable line.
    fileprivate var text: String {
        var copy = self
        return withUnsafeBytes(of: &copy.reason) { bytes in
            Files.printable(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
    }
}

extension PictureSource {
    fileprivate func error(_ format: String, _ failure: inout dl_picture_failure) -> DLError {
        let code: DLError.Code
        switch failure.code {
        case Int32(DL_PICTURE_NO_MEMORY): code = .memory
        case Int32(DL_PICTURE_TOO_LARGE): code = .limit
        default: code = .format
        }
        return error("\(format): \(failure.text)", Int(failure.offset), code)
    }
}
