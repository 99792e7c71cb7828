import DLBase
import DLTensor

/// Writing pictures.
package enum PictureFile {
    package struct Options: Sendable {
        var format: String?
        var quality: Int
        var level: Int
    }

    package static let declaration = Declaration<Options>(
        "save_img", "Writes a picture as PNG, JPEG, PGM or PPM.", source: "Keras, keras.utils.save_img",
        shapes: "(height, width, 1 to 4) or (height, width) uint8; int32 from 0 to 65535 with one channel becomes PNG of 16 bits",
        arguments: [
            Argument(
                "file_format", .optional(.choice(["png", "jpeg", "jpg", "pgm", "ppm"])), .null,
                "null: what the file's name ends in"),
            Argument("quality", .int(1...100), 75, "of JPEG"),
            Argument("compress_level", .int(0...9), 6, "of PNG: 0 none, 9 the most"),
        ]
    ) { arguments in
        Options(
            format: arguments.optionalString("file_format"), quality: arguments.int("quality"), level: arguments.int("compress_level"))
    }

    /// The file appears whole or not at all.
    package static func write(_ picture: Tensor, to path: String, _ options: Options) throws {
        let format = try options.format ?? ending(path)
        let pixels = try checked(picture)
        let isDeep = pixels.type == .int32
        guard !isDeep || format == "png" else {
            throw DLError(.dtype, "[save_img] only PNG has 16 bits. Received: int32 for \"\(Files.printable(path))\"")
        }
        switch format {
        case "png": try PNG.encode(pixels, level: options.level).write(to: path)
        case "jpeg", "jpg": try JPEG.encode(opaque(pixels), quality: options.quality).write(to: path)
        case "pgm", "ppm": try PNM.encode(opaque(pixels)).withUnsafeBytes { try Files.write($0, to: path) }
        default:
            throw DLError(
                .argument, "[save_img] the file's name must end in .png, .jpg, .jpeg, .pgm or .ppm, unless file_format says "
                    + "what it is. Received: \"\(Files.printable(path))\"")
        }
    }

    private static func ending(_ path: String) throws -> String {
        let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let dot = name.lastIndex(of: ".") else { return "" }
        return name[name.index(after: dot)...].lowercased()
    }

    private static func checked(_ picture: Tensor) throws -> Tensor {
        let sizes = picture.shape.sizes.count == 2 ? picture.shape.sizes + [1] : picture.shape.sizes
        guard sizes.count == 3, (1...4).contains(sizes[2]), sizes[0] > 0, sizes[1] > 0,
            sizes[0] <= Picture.maximumPixels / sizes[1]
        else {
            throw DLError(
                .shape, "[save_img] a picture must be of shape (height, width) or (height, width, 1 to 4), of "
                    + "\(Picture.maximumPixels) pixels at most. Received: \(picture.shape)")
        }
        if picture.type == .uint8 { return try picture.reshaped(Shape(checked: sizes)) }
        guard picture.type == .int32, sizes[2] == 1, picture.elements(Int32.self).allSatisfy({ (0...65_535).contains($0) }) else {
            throw DLError(
                .dtype, "[save_img] a picture must be uint8, or int32 from 0 to 65535 with one channel. "
                    + "Received: \(picture.type.name) \(picture.shape)")
        }
        return try picture.reshaped(Shape(checked: sizes))
    }

    /// Without alpha, for formats that have none.
    private static func opaque(_ pixels: Tensor) throws -> Tensor {
        switch pixels.shape[2] {
        case 2: try Picture(pixels: pixels).inMode(.grayscale)
        case 4: try Picture(pixels: pixels).inMode(.rgb)
        default: pixels
        }
    }
}
