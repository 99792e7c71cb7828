import DLBase
import DLTensor
import DLTestSupport
import Glibc
import Testing

@testable import DLData

@Suite struct DataSetTests {
    /// The four files of a set of 3 + 2 pictures of 2 x 2 in a folder.
    private func files(
        _ folder: TemporaryFolder, mark: String = "-", trainLabels: [UInt8] = [0, 9, 3], testImages: [UInt32] = [2, 2, 2]
    ) throws {
        let pixels = (0..<UInt8(12)).map { $0 }
        _ = try folder.write(IDXTests.header(8, [3, 2, 2]) + pixels, "train-images\(mark)idx3-ubyte")
        _ = try folder.write(
            IDXTests.gzipped(IDXTests.header(8, [UInt32(trainLabels.count)]) + trainLabels), "train-labels\(mark)idx1-ubyte.gz")
        _ = try folder.write(
            IDXTests.header(8, testImages) + pixels[..<Int(testImages.reduce(1, *))], "t10k-images\(mark)idx3-ubyte")
        _ = try folder.write(IDXTests.header(8, [2]) + [1, 1], "t10k-labels\(mark)idx1-ubyte")
    }

    private func load(_ name: String, _ config: JSON = .null) throws -> DataSet {
        try DataSets.registry.declaration(name).make(config: config)
    }

    @Test(arguments: ["-", "."])
    func fourFiles(_ mark: String) throws {
        let folder = TemporaryFolder()
        try files(folder, mark: mark)
        for name in ["fashion_mnist", "mnist"] {
            let set = try load(name, ["path": .string(folder.path)])
            #expect(set.xTrain.shape == [3, 2, 2] && set.xTrain.type == .uint8 && set.xTrain.numbers.last == 11)
            #expect(set.yTrain.type == .int32 && set.yTrain.numbers == [0, 9, 3])
            #expect(set.xTest.shape == [2, 2, 2] && set.yTest.numbers == [1, 1])
            #expect(set.classNames.count == 10 && set.origin.contains(folder.path))
            #expect(set.info["class_names"]?.arrayValue?.count == 10)
            #expect(set.tensors.map(\.shape) == [[3, 2, 2], [3], [2, 2, 2], [2]])
        }
    }

    @Test func filesThatDoNotFitTogether() throws {
        func message(_ change: (TemporaryFolder) throws -> Void) throws -> String {
            let folder = TemporaryFolder()
            try files(folder)
            try change(folder)
            let error = failure { _ = try load("mnist", ["path": .string(folder.path)]) }
            #expect(error?.code == .format)
            return error?.message ?? "no error"
        }
        #expect(try message { try files($0, trainLabels: [1, 2]) }.contains("a label for each picture. Received: train-images (3, 2, 2)"))
        #expect(try message { try files($0, trainLabels: [1, 2, 10]) }.contains("label 10 in row 2 of train-labels"))
        #expect(try message { try files($0, testImages: [2, 2, 1]) }.contains("differ in size"))
        #expect(try message { _ = try $0.write(IDXTests.header(8, [2]) + [1, 2], "train-images-idx3-ubyte") }.contains("with 3 axes"))
        #expect(try message { _ = try $0.write(IDXTests.header(9, [2]) + [1, 2], "t10k-labels-idx1-ubyte") }.contains("int32 (2,)"))
        #expect(try message { _ = try $0.write(IDXTests.header(8, [0, 2, 2]), "t10k-images-idx3-ubyte") }.contains("(0, 2, 2)"))
        #expect(try message { _ = try $0.write("<html>", "t10k-images-idx3-ubyte") }.contains("not an IDX file"))
    }

    @Test func placesWithoutFiles() throws {
        let folder = TemporaryFolder()
        let error = failure { _ = try load("fashion_mnist", ["path": .string(folder.path)]) }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains("\"\(folder.path)\"; Debian's package dataset-fashion-mnist has them") == true)
        try files(folder)
        unlink(folder.file("t10k-labels-idx1-ubyte"))
        #expect(failure { _ = try load("fashion_mnist", ["path": .string(folder.path)]) }?.message.contains("no t10k-labels") == true)
        #expect(failure { _ = try load("fashion_mnist", ["paht": "x"]) }?.message.contains("did you mean 'path'?") == true)
        #expect(failure { _ = try load("fashion_mnst") }?.message.contains("did you mean 'fashion_mnist'?") == true)
    }

    @Test(.enabled(if: Files.kind("/usr/share/datasets/fashion-mnist") == .folder, "the package dataset-fashion-mnist is not installed"))
    func fashionMNIST() throws {
        let set = try load("fashion_mnist", ["path": "/usr/share/datasets/fashion-mnist"])
        #expect(set.xTrain.shape == [60_000, 28, 28] && set.xTest.shape == [10_000, 28, 28])
        for (labels, each) in [(set.yTrain, 6000), (set.yTest, 1000)] {
            var counts = [Int](repeating: 0, count: 10)
            for label in labels.elements(Int32.self) { counts[Int(label)] += 1 }
            #expect(counts == [Int](repeating: each, count: 10))
        }
        #expect(set.yTrain.numbers.prefix(5) == [9, 0, 0, 3, 0])
        let sum = set.xTrain.elements(UInt8.self).reduce(0) { $0 + Int($1) }
        // The mean that is given for the set everywhere: 0.2860.
        #expect((Double(sum) / 60_000 / 784 / 255 * 10_000).rounded() == 2860)
    }

    @Test func shapesAreTheSameWithAnyThreads() throws {
        let threads = ThreadPool.shared.threads
        defer { ThreadPool.shared.threads = threads }
        ThreadPool.shared.threads = 1
        let one = try load("shapes", ["n_train": 205, "n_test": 40, "seed": 3])
        ThreadPool.shared.threads = 3
        let three = try load("shapes", ["n_train": 205, "n_test": 40, "seed": 3])
        for (a, b) in zip(one.tensors, three.tensors) { #expect(same(a, b)) }
        #expect(one.xTrain.shape == [205, 28, 28] && one.xTest.shape == [40, 28, 28])
        #expect(one.yTrain.numbers.prefix(12) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
        // The test samples go on where the others end.
        let more = try load("shapes", ["n_train": 245, "n_test": 0, "seed": 3])
        #expect(same(try more.xTrain.rows(205..<245), one.xTest) && more.xTest.count == 0)
        #expect(!same(try load("shapes", ["n_train": 205, "n_test": 40, "seed": 4]).xTrain, one.xTrain))
    }

    /// Each picture is nearer to the mean of its own class than a guess would be, and shows something.
    @Test func shapesCanBeTold() throws {
        let set = try load("shapes", ["n_train": 4000, "n_test": 500])
        let train = set.xTrain.elements(UInt8.self)
        let test = set.xTest.elements(UInt8.self)
        var right = 0
        for row in 0..<500 {
            var best = (distance: Int.max, label: 0)
            for other in 0..<4000 {
                var distance = 0
                for pixel in 0..<784 {
                    let difference = Int(train[other * 784 + pixel]) - Int(test[row * 784 + pixel])
                    distance += difference * difference
                }
                if distance < best.distance { best = (distance, other % 10) }
            }
            if best.label == row % 10 { right += 1 }
            #expect((0..<784).contains { test[row * 784 + $0] > 90 })
        }
        // Nearest neighbours get some of them and by far not all: the set is neither noise nor trivial.
        #expect(right > 200 && right < 480, "\(right) of 500")
    }

    @Test func blobs() throws {
        let set = try load("make_blobs", [
            "samples": 3000, "features": 5, "classes": 4, "modes": 1, "spread": 0.5, "seed": 9, "test_samples": 7,
        ])
        #expect(set.xTrain.shape == [3000, 5] && set.xTrain.type == .float32 && set.xTest.shape == [7, 5])
        #expect(set.yTrain.numbers.prefix(6) == [0, 1, 2, 3, 0, 1] && set.yTest.numbers == [0, 1, 2, 3, 0, 1, 2])
        let x = set.xTrain.elements(Float.self)
        for label in 0..<4 {
            for feature in 0..<5 {
                let values = stride(from: label, to: 3000, by: 4).map { Double(x[$0 * 5 + feature]) }
                let mean = values.reduce(0, +) / 750
                let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 749
                #expect(abs(variance - 0.25) < 0.07, "\(variance)")
            }
        }
        let again = try load("make_blobs", ["samples": 3007, "features": 5, "classes": 4, "spread": 0.5, "seed": 9])
        #expect(same(try again.xTrain.rows(3000..<3007), set.xTest) && again.xTest.shape == [0, 5])
        #expect(failure { _ = try load("make_blobs", ["features": 2147483647, "classes": 2147483647, "modes": 2147483647]) }?.code == .shape)
        #expect(failure { _ = try load("make_blobs", ["samples": 0]) }?.code == .argument)
        #expect(failure { _ = try load("make_blobs", ["seed": -1]) }?.code == .argument)
    }

    @Test func normalNumbers() {
        var random = RandomStream(seed: 5)
        let values = (0..<200_000).map { _ in random.normal() }
        let mean = values.reduce(0, +) / 200_000
        let variance = values.reduce(0) { $0 + $1 * $1 } / 200_000
        let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / 200_000
        #expect(abs(mean) < 0.01 && abs(variance - 1) < 0.015 && abs(fourth - 3) < 0.1)
        for x in [1e-300, 1e-9, 0.1, 0.5, 0.70710678, 0.999999, 1, 1.000001, 1.414213562373095, 1.5, 2, 10, 1e300] {
            #expect(abs(logarithm(x) - log(x)) <= 2 * abs(log(x)).ulp, "\(x)")
        }
    }
}
