import DLBase
import DLGraph

/// A model whose computation is written by the user of the library: layers that it holds, and a function that applies them.
///
/// Layers make their weights when they are first called, so shapes are known after the first batch, or after `build`.
package final class CustomModel: Model {
    private let functions: CustomLayer.Functions
    /// What it was called with first; the batch is unknown there.
    private var seen: [PartialSpec] = []

    /// `config` is kept and given back; of it the model itself looks at `name`, `trainable` and `dtype`.
    package init(className: String, config: JSONObject, functions: CustomLayer.Functions) throws {
        self.functions = functions
        if let name = config["name"], name.stringValue == nil, !name.isNull {
            throw DLError(.argument, "[\(className)] 'name' must be text. Received: \(name.canonicalText)")
        }
        super.init(arguments: Arguments(owner: className, values: config))
    }

    override package var inputCount: Int? { nil }
    override package var hasWeights: Bool { !seen.isEmpty }

    override package func build(_ inputShapes: [[Int?]]) throws { try functions.build?(self, inputShapes) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let outputs = try functions.call(self, inputs, training)
        if seen.isEmpty {
            seen = inputs.map { PartialSpec([nil] + $0.partialShape.dropFirst(), $0.type) }
        }
        return outputs
    }

    /// Makes the weights of all layers by a call that computes nothing.
    override package func buildWhole(_ shapes: [[Int?]], types: [ElementType]? = nil) throws {
        guard seen.isEmpty else { return try checkInput(shapes) }
        _ = try outputSpecs(
            for: shapes.enumerated().map { index, shape in
                PartialSpec(shape, types.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? dtype)
            })
    }

    override package func serialized() throws -> JSON {
        var object = JSONObject([("class_name", .string(className)), ("config", .object(try config()))])
        if !seen.isEmpty {
            object["build_config"] = [
                "input_shapes": .array(seen.map { .array($0.shape.map { $0.map { .int(Int64($0)) } ?? .null }) }),
                "input_dtypes": .array(seen.map { .string($0.type.name) }),
            ]
        }
        return .object(object)
    }

    /// Builds what JSON says was built.
    func restoreBuild(_ json: JSON) throws {
        guard let shapes = json["input_shapes"]?.arrayValue, !shapes.isEmpty else { return }
        let types = json["input_dtypes"]?.arrayValue?.compactMap { $0.stringValue.flatMap(ElementType.init(name:)) }
        try buildWhole(
            shapes.map { shape in
                guard let sizes = Argument.Kind.shape.accept(shape)?.arrayValue else {
                    throw DLError(.format, "[from_json] model '\(name)': a shape is damaged. Received: \(shape.canonicalText)")
                }
                return sizes.map(\.intValue)
            }, types: types)
    }

    override package func track(_ layers: [Layer]) throws {
        try refuseItself(layers)
        guard layers.count != self.layers.count || zip(layers, self.layers).contains(where: { $0 !== $1 }) else { return }
        self.layers = layers
        version += 1
    }
}
