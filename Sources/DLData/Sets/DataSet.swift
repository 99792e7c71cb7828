import DLBase
import DLTensor

/// Samples to train with and samples to test with. Labels are int32 and count from 0.
package struct DataSet: Sendable {
    package var xTrain: Tensor
    package var yTrain: Tensor
    package var xTest: Tensor
    package var yTest: Tensor
    /// By label; empty where the classes have no names.
    package var classNames: [String]
    /// Where it is from: source and licence, the folder, or how it was made.
    package var origin: String

    /// x_train, y_train, x_test, y_test.
    package var tensors: [Tensor] { [xTrain, yTrain, xTest, yTest] }

    package var info: JSON {
        ["class_names": .array(classNames.map { .string($0) }), "origin": .string(origin)]
    }
}

/// The data sets that are there by name.
package enum DataSets {
    package static let registry = Registry<DataSet>("dataset", [fashionMNIST, mnist, cifar10, cifar100, shapes, blobs])

    static let path = Argument(
        "path", .optional(.string), .null, "the folder with the four IDX files, plain or gzip; null: the usual places")

    static let seed = Argument("seed", .int(0...Int.max), 0, "another seed gives another set; the same seed the same, bit for bit")
}
