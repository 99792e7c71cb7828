import DLBase
import DLGraph
import DLOps
import DLTensor

/// An operation applied to symbolic tensors, as a layer of the model: `x + y`, `dl.ops.relu(x)`.
///
/// Operands that are numbers are kept with it.
package final class OperationLayer: Layer {
    static let declaration = layerDeclaration(
        "OperationLayer", "An operation on symbolic tensors; made by applying the operation to them.",
        shapes: "as the operation says",
        example: """
            local dl = require "dl"
            local x = dl.layers.Input{ shape = { 3 } }
            print(dl.Model{ inputs = x, outputs = x * 2 }:predict(dl.ones{ 1, 3 }))
            """,
        arguments: [
            Argument("operation", .string, nil, "The operation's name."),
            Argument("attributes", .any, .null, "Its attributes."),
        ]
    ) { arguments in
        if arguments.string("operation") == CustomGradient.operationName {
            throw DLError(
                .unsupported, "[OperationLayer] a function with a gradient of its own cannot be made from a file or JSON; build the "
                    + "model with the function, and load its weights. Received: '\(CustomGradient.operationName)'")
        }
        let operation = try Operations.registry.declaration(arguments.string("operation"))
            .make(config: arguments["attributes"])
        return OperationLayer(operation, arguments)
    }

    private let operation: any Operation

    private init(_ operation: any Operation, _ arguments: Arguments) {
        self.operation = operation
        super.init(arguments)
    }

    convenience init(_ operation: any Operation) {
        var values = JSONObject()
        values["name"] = .string(Naming.unique(operation.name))
        values["trainable"] = .bool(true)
        values["operation"] = .string(operation.name)
        values["attributes"] = operation.attributes
        self.init(operation, Arguments(owner: "OperationLayer", values: values))
    }

    /// In Keras an operation in a model is an object of a class of its own.
    override package func serialized() throws -> JSON {
        guard let form = KerasOperations.form(operation) else { return try super.serialized() }
        var config = form.attributes
        config["name"] = .string(name)
        return [
            "module": .string(form.module), "class_name": .string(form.className), "config": .object(config),
            "registered_name": .string(form.className),
        ]
    }

    /// Whether Keras calls it with one list of tensors.
    var takesList: Bool { ["concatenate", "stack", "vstack", "hstack", "dstack", "meshgrid"].contains(operation.name) }

    /// The layer for an operation in Keras's configuration of a model; nil where there is no such operation here.
    static func keras(_ className: String, _ config: JSON) throws -> OperationLayer? {
        let name = KerasOperations.name(className)
        guard let declaration = Operations.registry.find(name) else { return nil }
        var attributes = config.objectValue ?? JSONObject()
        let given = attributes["name"]?.stringValue
        attributes["name"] = nil
        let layer = OperationLayer(try declaration.make(config: .object(attributes)))
        if let given { layer.rename(given) }
        return layer
    }

    override package var inputCount: Int? { nil }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try DLGraph.apply(operation, to: inputs)
    }
}
