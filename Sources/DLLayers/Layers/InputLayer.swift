import DLBase
import DLGraph

/// Where data enters a model.
package final class InputLayer: Layer {
    static let declaration = layerDeclaration(
        "InputLayer", aliases: ["Input"], "Where data enters a model: a symbolic tensor of known shape.",
        shapes: "output: (batch,) + shape",
        example: """
            local dl = require "dl"
            local x = dl.layers.Input{ shape = { 28, 28, 1 } }
            print(x.shape)
            """,
        arguments: [
            Argument("shape", .optional(.shape), .null, "Sizes of the axes after the batch; null where unknown."),
            Argument("batch_size", .optional(.int(Argument.positive)), .null, "The size of the batch axis, if it is fixed."),
            Argument("batch_shape", .optional(.shape), .null, "All sizes, batch first; instead of `shape`."),
            Argument("sparse", .bool, false, "Always false."),
            Argument("ragged", .bool, false, "Always false."),
            Argument("optional", .bool, false, "Always false."),
        ]
    ) { try InputLayer(checked: $0) }

    private let spec: PartialSpec

    /// The one use that an input has: nothing goes in.
    private var node: LayerNode?

    init(checked arguments: Arguments) throws {
        let shape: [Int?]
        if arguments.has("batch_shape") {
            shape = arguments.shape("batch_shape")
        } else if arguments.has("shape") {
            shape = [arguments.optionalInt("batch_size")] + arguments.shape("shape")
        } else {
            throw DLError(.argument, "[Input] argument 'shape' is missing; expected the sizes after the batch axis")
        }
        guard !shape.isEmpty, shape.count <= Shape.maximumRank else {
            throw DLError(.shape, "[Input] a batch axis and at most \(Shape.maximumRank - 1) others are allowed")
        }
        for flag in ["sparse", "ragged", "optional"] where arguments.bool(flag) {
            throw DLError(.unsupported, "[Input] '\(flag)' inputs are not supported")
        }
        _ = try Shape(checked: shape.map { $0 ?? 1 })
        spec = PartialSpec(shape, arguments.type("dtype") ?? .float32)
        super.init(arguments)
        markBuilt([shape])
    }

    override package var inputCount: Int? { 1 }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] { inputs }

    override package func config() throws -> JSONObject {
        var values = JSONObject()
        values["batch_shape"] = .array(spec.shape.map { $0.map { .int(Int64($0)) } ?? .null })
        values["dtype"] = .string(spec.type.name)
        values["sparse"] = .bool(false)
        values["ragged"] = .bool(false)
        values["name"] = .string(name)
        return values
    }

    /// The symbolic tensor.
    package func output() throws -> Value {
        if let node = nodes.first { return node.outputs[0] }
        return try LayerNode.input(self, spec).outputs[0]
    }

    package static func make(shape: [Int?], type: ElementType, name: String? = nil) throws -> Value {
        try make(partial: PartialSpec([nil] + shape, type), name: name)
    }

    package static func make(partial spec: PartialSpec, name: String? = nil) throws -> Value {
        var config = JSONObject()
        config["batch_shape"] = .array(spec.shape.map { $0.map { .int(Int64($0)) } ?? .null })
        config["dtype"] = .string(spec.type.name)
        if let name { config["name"] = .string(name) }
        let layer = try InputLayer(checked: declaration.check(.object(config)))
        return try layer.output()
    }
}
