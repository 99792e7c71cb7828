import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLOps
import DLTensor
import DLTraining
import Testing

/// One file of numbers that Keras computed, and its list of cases.
struct KerasFixture {
    let file: SafetensorsFile
    let cases: [JSON]

    init(_ name: String) throws {
        file = try SafetensorsFile.read("\(KerasFixture.folder)/\(name).safetensors")
        cases = try JSON(parsing: #require(file.metadata["cases"])).arrayValue ?? []
    }

    /// The fixtures lie in the source tree, beside the tests.
    static var folder: String {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return parts.joined(separator: "/") + "/fixtures/keras"
    }

    func tensor(_ key: JSON?) throws -> Tensor {
        let name = try #require(key?.stringValue)
        return try #require(file[name], "no tensor \(name)")
    }

    func tensors(_ keys: JSON?) throws -> [Tensor] { try (keys?.arrayValue ?? []).map { try tensor($0) } }

    func optionalTensor(_ key: JSON?) throws -> Tensor? {
        key == nil || key == .null ? nil : try tensor(key)
    }
}

extension Tensor {
    func converted(_ type: ElementType) throws -> Tensor {
        self.type.isFloatingPoint ? try cast(Value(self), type).tensor() : self
    }
}

/// The largest difference, as a share of the largest magnitude expected (at least 1e-3, so that zeros count).
func distance(_ found: Tensor, _ expected: Tensor) -> Double {
    guard found.shape == expected.shape else { return .infinity }
    var error = 0.0
    var scale = 1e-3
    for index in 0..<expected.count {
        let (a, b) = (found.number(at: index), expected.number(at: index))
        if a.isNaN != b.isNaN { return .infinity }
        if a.isNaN || a == b { continue }
        error = max(error, Swift.abs(a - b))
        scale = max(scale, Swift.abs(b))
    }
    return error / scale
}

/// A configuration with another element type, also for a layer inside.
func withType(_ config: JSON, _ type: ElementType) -> JSON {
    guard var object = config.objectValue else { return config }
    object["dtype"] = .string(type.name)
    if var inner = object["layer"]?.objectValue, let innerConfig = inner["config"] {
        inner["config"] = withType(innerConfig, type)
        object["layer"] = .object(inner)
    }
    return .object(object)
}

/// Sets a model's weights to those of a case, which are in Keras's order.
func setWeights(_ layer: Layer, _ entry: JSON, _ fixture: KerasFixture, _ type: ElementType? = nil) throws {
    let tensors = try (entry["weights"]?.arrayValue ?? []).map { weight in
        let tensor = try fixture.tensor(weight["key"])
        return try type.map { try tensor.converted($0) } ?? tensor
    }
    try layer.setWeights(tensors)
}
