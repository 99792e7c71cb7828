import DLBase
import DLTensor

/// A picture as its file has it, before colours and size are chosen.
package struct Picture {
    /// (height, width, channels) uint8; grey of 16 bits is int32. One channel is grey, two are grey and alpha, three are
    /// red, green and blue, four those and alpha.
    package var pixels: Tensor
    /// Four channels are cyan, magenta, yellow and black instead; `invertedInks` is how Adobe's programs store them.
    var inks: Inks = .none

    enum Inks { case none, plain, inverted }

    /// As many pixels as are read at most; a gigabyte with four channels.
    package static let maximumPixels = 1 << 28

    var height: Int { pixels.shape[0] }
    var width: Int { pixels.shape[1] }
    var channels: Int { pixels.shape[2] }
}

/// How a picture is wanted.
package struct PictureOptions: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        case grayscale
        case rgb
        case rgba

        var channels: Int { self == .grayscale ? 1 : self == .rgb ? 3 : 4 }
    }

    package var mode = Mode.rgb
    package var size: (height: Int, width: Int)?
    package var filter: PictureFilter = .nearest
    package var keepsAspectRatio = false

    package static let declaration = Declaration<PictureOptions>(
        "load_img", "Reads a picture: PNG, JPEG, BMP, PGM or PPM, told apart by their first bytes.",
        source: "Keras, keras.utils.load_img", shapes: "(height, width, channels) uint8; grey of 16 bits is int32",
        arguments: [
            Argument(
                "color_mode", .choice(Mode.allCases.map(\.rawValue)), "rgb",
                "The channels: 1, 3 or 4, whatever the file has; pictures without alpha are opaque."),
            Argument("target_size", .any, .null, "Height and width of the result; null: those of the file."),
            Argument(
                "interpolation", .choice(PictureFilter.allCases.map(\.rawValue)), "nearest",
                "How pixels of another size come about; all but nearest take the mean over what a pixel covers."),
            Argument(
                "keep_aspect_ratio", .bool, false,
                "Cuts to the proportions of target_size, in the middle, instead of stretching."),
        ]
    ) { arguments in
        var options = PictureOptions()
        options.mode = Mode(rawValue: arguments.string("color_mode")) ?? .rgb
        options.filter = PictureFilter(rawValue: arguments.string("interpolation")) ?? .nearest
        options.keepsAspectRatio = arguments.bool("keep_aspect_ratio")
        if arguments.has("target_size") {
            let sizes = (arguments["target_size"].arrayValue ?? []).compactMap(\.intValue)
            guard sizes.count == 2, arguments["target_size"].arrayValue?.count == 2, sizes.allSatisfy({ $0 > 0 }),
                sizes[0] <= Picture.maximumPixels / sizes[1]
            else {
                throw arguments.error(
                    "target_size", "height and width, both above 0, of \(Picture.maximumPixels) pixels at most")
            }
            options.size = (sizes[0], sizes[1])
        }
        return options
    }
}

extension Picture {
    /// Reads a file. Errors are `format`, with the byte where the damage shows, `limit` for pictures that are too large.
    package static func read(_ path: String) throws -> Picture {
        try decode(Files.read(path, limit: 1 << 30), "cannot read \"\(Files.printable(path))\"")
    }

    /// Reads the contents of a file; messages begin with `owner`.
    package static func decode(_ bytes: [UInt8], _ owner: String) throws -> Picture {
        func starts(_ with: [UInt8]) -> Bool { bytes.starts(with: with) }
        let source = PictureSource(bytes: bytes, owner: owner)
        if starts([0x89, 0x50, 0x4E, 0x47]) { return try PNG.decode(source) }
        if starts([0xFF, 0xD8, 0xFF]) { return try JPEG.decode(source) }
        if starts(Array("BM".utf8)) { return try BMP.decode(source) }
        if bytes.count > 2, bytes[0] == UInt8(ascii: "P"), [0x32, 0x33, 0x35, 0x36].contains(bytes[1]) { return try PNM.decode(source) }
        if starts(Array("GIF8".utf8)) { throw source.error("GIF is not read; PNG, JPEG, BMP, PGM and PPM are", 0) }
        let start = bytes.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        throw source.error(
            "neither PNG, JPEG, BMP, PGM nor PPM. Received: " + (bytes.isEmpty ? "an empty file" : "first bytes \(start)"), 0)
    }

    /// The pixels in the colours and the size asked for.
    package func converted(_ options: PictureOptions) throws -> Tensor {
        let coloured = try inMode(options.mode)
        guard let size = options.size else { return coloured }
        return try resized(coloured, to: size, options.filter, keepsAspectRatio: options.keepsAspectRatio)
    }
}

/// The contents of a file, and what its errors are called.
struct PictureSource {
    let bytes: [UInt8]
    let owner: String

    func error(_ problem: String, _ offset: Int, _ code: DLError.Code = .format) -> DLError {
        DLError(code, "\(owner): \(problem)\(offset > 0 ? ", at byte \(offset)" : "")")
    }

    /// Refuses sizes before anything is allocated.
    func check(_ width: Int, _ height: Int, _ offset: Int) throws {
        guard width > 0, height > 0 else { throw error("it has no pixels", offset) }
        guard width <= Picture.maximumPixels / height else {
            throw error("\(width) x \(height) pixels; at most \(Picture.maximumPixels) are read", offset, .limit)
        }
    }
}
