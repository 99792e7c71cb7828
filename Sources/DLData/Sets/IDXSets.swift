import DLBase
import DLTensor

extension DataSets {
    static let fashionMNIST = Declaration<DataSet>(
        "fashion_mnist", "Pictures of clothing, 60,000 to train with and 10,000 to test with.",
        source: "Xiao, Rasul, Vollgraf, \"Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms\", "
            + "arXiv:1708.07747, 2017; MIT licence",
        shapes: "x (n, 28, 28) uint8, 0 to 255; y (n,) int32, 0 to 9", arguments: [path]
    ) { arguments in
        try IDXSet(
            name: arguments.owner, variable: "FASHION_MNIST",
            folders: ["/usr/share/datasets/fashion-mnist", "~/.keras/datasets/fashion-mnist", "data/FashionMNIST/raw"],
            cure: "Debian's package dataset-fashion-mnist has them",
            classNames: [
                "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
            ],
            origin: "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, MIT licence)"
        ).load(path: arguments.optionalString("path"))
    }

    static let mnist = Declaration<DataSet>(
        "mnist", "Handwritten digits, 60,000 to train with and 10,000 to test with.",
        source: "LeCun, Bottou, Bengio, Haffner, \"Gradient-based learning applied to document recognition\", "
            + "Proceedings of the IEEE 86(11), 1998; CC BY-SA 3.0",
        shapes: "x (n, 28, 28) uint8, 0 to 255; y (n,) int32, 0 to 9", arguments: [path]
    ) { arguments in
        try IDXSet(
            name: arguments.owner, variable: "MNIST",
            folders: ["/usr/share/datasets/mnist", "~/.keras/datasets/mnist", "data/MNIST/raw", "data/mnist"],
            cure: "the files are on the pages of LeCun, Cortes and Burges and on many mirrors",
            classNames: (0...9).map(String.init), origin: "MNIST (LeCun, Cortes, Burges 1998, CC BY-SA 3.0)"
        ).load(path: arguments.optionalString("path"))
    }
}

/// A set of pictures in MNIST's four files.
struct IDXSet {
    let name: String
    /// The environment variable that names a folder.
    let variable: String
    /// Where to look besides; `~/` is the user's folder.
    let folders: [String]
    /// Where the files can be had.
    let cure: String
    let classNames: [String]
    let origin: String

    func load(path: String?) throws -> DataSet {
        let places = path.map { [$0] } ?? usualPlaces
        guard let folder = places.first(where: { file("train-images", 3, in: $0) != nil }) else {
            throw DLError(
                .notFound, "[\(name)] no train-images-idx3-ubyte, plain or .gz, in "
                    + places.map { "\"\(Files.printable($0))\"" }.joined(separator: ", ")
                    + "; \(cure), and the argument 'path' or the variable \(variable) may name another folder")
        }
        let (xTrain, yTrain) = try pair("train", folder)
        let (xTest, yTest) = try pair("t10k", folder)
        guard xTrain.shape.sizes.dropFirst() == xTest.shape.sizes.dropFirst() else {
            throw DLError(
                .format, "[\(name)] pictures to train with and to test with differ in size. "
                    + "Received: \(xTrain.shape) and \(xTest.shape) in \"\(Files.printable(folder))\"")
        }
        return DataSet(
            xTrain: xTrain, yTrain: yTrain, xTest: xTest, yTest: yTest, classNames: classNames,
            origin: "\(origin), from \(Files.printable(folder))")
    }

    private var usualPlaces: [String] {
        var places: [String] = []
        if let folder = Environment.variable(variable), !folder.isEmpty { places.append(folder) }
        for folder in folders {
            if !folder.hasPrefix("~/") {
                places.append(folder)
            } else if let home = Environment.variable("HOME"), !home.isEmpty {
                places.append(home + folder.dropFirst())
            }
        }
        return places
    }

    /// Some copies have a dot in their names where others have a hyphen.
    private func file(_ part: String, _ rank: Int, in folder: String) -> String? {
        for mark in ["-", "."] {
            for ending in ["", ".gz"] {
                let path = "\(folder)/\(part)\(mark)idx\(rank)-ubyte\(ending)"
                if Files.kind(path) == .file { return path }
            }
        }
        return nil
    }

    private func pair(_ part: String, _ folder: String) throws -> (Tensor, Tensor) {
        func read(_ part: String, _ rank: Int) throws -> Tensor {
            guard let path = file(part, rank, in: folder) else {
                throw DLError(
                    .notFound, "[\(name)] no \(part)-idx\(rank)-ubyte, plain or .gz, in \"\(Files.printable(folder))\"")
            }
            let tensor = try IDX.read(path)
            guard tensor.shape.rank == rank, tensor.type == .uint8, tensor.count > 0 else {
                throw DLError(
                    .format, "[\(name)] \"\(Files.printable(path))\" must hold uint8 with \(rank) axes. "
                        + "Received: \(tensor.type.name) \(tensor.shape)")
            }
            return tensor
        }
        let images = try read(part + "-images", 3)
        let bytes = try read(part + "-labels", 1)
        guard images.shape[0] == bytes.count else {
            throw DLError(
                .format, "[\(name)] there must be a label for each picture. Received: \(part)-images \(images.shape), "
                    + "\(part)-labels \(bytes.shape) in \"\(Files.printable(folder))\"")
        }
        let labels = try Tensor(uninitialized: bytes.shape, .int32)
        let target = labels.elements(Int32.self)
        for (row, label) in bytes.elements(UInt8.self).enumerated() {
            guard Int(label) < classNames.count else {
                throw DLError(
                    .format, "[\(name)] label \(label) in row \(row) of \(part)-labels in \"\(Files.printable(folder))\"; "
                        + "there are \(classNames.count) classes")
            }
            target[row] = Int32(label)
        }
        return (images, labels)
    }
}
