import DLBase
import DLTensor

extension DataSets {
    private static let cifarPath = Argument(
        "path", .optional(.string), .null, "the folder with the files of the binary version, plain or gzip; null: the usual places")

    private static let cifarSource = "Krizhevsky, \"Learning multiple layers of features from tiny images\", technical report, 2009"

    static let cifar10 = Declaration<DataSet>(
        "cifar10", "Small coloured pictures of ten kinds of things, 50,000 to train with and 10,000 to test with.",
        source: cifarSource, shapes: "x (n, 32, 32, 3) uint8, 0 to 255; y (n,) int32, 0 to 9", arguments: [cifarPath]
    ) { arguments in
        try CIFARSet(
            name: arguments.owner, variable: "CIFAR10", folder: "cifar-10-batches-bin",
            train: (1...5).map { "data_batch_\($0).bin" }, test: "test_batch.bin", labels: 1, label: 0, namesFile: "batches.meta.txt",
            classNames: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"], classes: 10
        ).load(path: arguments.optionalString("path"))
    }

    static let cifar100 = Declaration<DataSet>(
        "cifar100", "Small coloured pictures of a hundred kinds of things in twenty groups, 50,000 to train with and 10,000 to test "
            + "with.",
        source: cifarSource, shapes: "x (n, 32, 32, 3) uint8, 0 to 255; y (n,) int32, 0 to 99, or 0 to 19",
        arguments: [
            Argument("label_mode", .choice(["fine", "coarse"]), "fine", "whether y is the kind of thing or its group"), cifarPath,
        ]
    ) { arguments in
        let isFine = arguments.string("label_mode") == "fine"
        return try CIFARSet(
            name: arguments.owner, variable: "CIFAR100", folder: "cifar-100-binary", train: ["train.bin"], test: "test.bin", labels: 2,
            label: isFine ? 1 : 0, namesFile: isFine ? "fine_label_names.txt" : "coarse_label_names.txt", classNames: [],
            classes: isFine ? 100 : 20
        ).load(path: arguments.optionalString("path"))
    }
}

/// A set in the binary version of CIFAR: records of one or two labels and the red, the green and the blue plane of a picture
/// (https://www.cs.toronto.edu/~kriz/cifar.html).
struct CIFARSet {
    let name: String
    let variable: String
    let folder: String
    let train: [String]
    let test: String
    /// How many labels a record begins with, and which of them counts.
    let labels: Int
    let label: Int
    /// One name in a line.
    let namesFile: String
    /// Where that file is missing.
    let classNames: [String]
    let classes: Int

    private static let side = 32
    private static let plane = side * side

    func load(path: String?) throws -> DataSet {
        let places = path.map { [$0, "\($0)/\(folder)"] } ?? usualPlaces
        guard let place = places.first(where: { file(train[0], in: $0) != nil }) else {
            throw DLError(
                .notFound, "[\(name)] no \(train[0]), plain or .gz, in "
                    + places.map { "\"\(Files.printable($0))\"" }.joined(separator: ", ")
                    + "; the set's page has it as \"binary version (suitable for C programs)\", and the argument 'path' or the variable "
                    + "\(variable) may name another folder")
        }
        let (xTrain, yTrain) = try read(train, place)
        let (xTest, yTest) = try read([test], place)
        return DataSet(
            xTrain: xTrain, yTrain: yTrain, xTest: xTest, yTest: yTest, classNames: try names(place),
            origin: "CIFAR (Krizhevsky 2009), from \(Files.printable(place))")
    }

    private var usualPlaces: [String] {
        var places: [String] = []
        if let given = Environment.variable(variable), !given.isEmpty { places.append(given) }
        places.append("/usr/share/datasets/\(folder)")
        if let home = Environment.variable("HOME"), !home.isEmpty { places.append("\(home)/.keras/datasets/\(folder)") }
        return places + ["data/\(folder)"]
    }

    private func file(_ name: String, in folder: String) -> String? {
        ["", ".gz"].map { "\(folder)/\(name)\($0)" }.first { Files.kind($0) == .file }
    }

    private func names(_ place: String) throws -> [String] {
        guard let path = file(namesFile, in: place), !path.hasSuffix(".gz") else { return classNames }
        let text = String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
        let lines = text.split(whereSeparator: \.isNewline).map { Files.printable(String($0)) }.filter { !$0.isEmpty }
        guard lines.count == classes else {
            throw DLError(
                .format, "[\(name)] \"\(Files.printable(path))\" must have a name for each of \(classes) classes. Received: \(lines.count)")
        }
        return lines
    }

    private func read(_ parts: [String], _ place: String) throws -> (Tensor, Tensor) {
        let record = labels + 3 * Self.plane
        var contents: [[UInt8]] = []
        for part in parts {
            guard let path = file(part, in: place) else {
                throw DLError(.notFound, "[\(name)] no \(part), plain or .gz, in \"\(Files.printable(place))\"")
            }
            contents.append(try records(path, record))
        }
        let count = contents.reduce(0) { $0 + $1.count } / record
        let x = try Tensor(uninitialized: Shape(checked: [count, Self.side, Self.side, 3]), .uint8)
        let y = try Tensor(uninitialized: [count], .int32)
        let pixels = x.elements(UInt8.self), targets = y.elements(Int32.self)
        var row = 0
        for (part, bytes) in zip(parts, contents) {
            for start in stride(from: 0, to: bytes.count, by: record) {
                guard Int(bytes[start + label]) < classes else {
                    throw DLError(
                        .format, "[\(name)] label \(bytes[start + label]) at byte \(start + label) of \(part) in "
                            + "\"\(Files.printable(place))\"; there are \(classes) classes")
                }
                targets[row] = Int32(bytes[start + label])
                for at in 0..<Self.plane {
                    for channel in 0..<3 {
                        pixels[(row * Self.plane + at) * 3 + channel] = bytes[start + labels + channel * Self.plane + at]
                    }
                }
                row += 1
            }
        }
        return (x, y)
    }

    /// Whole records, at most as many as the set has in one file.
    private func records(_ path: String, _ record: Int) throws -> [UInt8] {
        let source = try ByteSource(path)
        let most = 50_000 * record
        var bytes = [UInt8](repeating: 0, count: Swift.min(most + 1, source.isCompressed ? most + 1 : source.fileSize))
        let got = try bytes.withUnsafeMutableBytes { try source.readSome(into: $0) }
        guard got > 0, got <= most, got % record == 0 else {
            throw DLError(
                .format, "[\(name)] \"\(Files.printable(path))\" must consist of records of \(record) bytes, 50000 at most. "
                    + "Received: \(got > most ? "more" : "\(got)") bytes")
        }
        try source.expectEnd()
        return Array(bytes[..<got])
    }
}
