import DLBase
import DLGraph
import DLOps

/// Makes one axis of all but the batch.
package final class Flatten: Layer {
    static let declaration = layerDeclaration(
        "Flatten", "Makes one axis of all axes but the batch.", source: "Keras, keras.layers.Flatten",
        shapes: "input (batch, a, b, ...), output (batch, a * b * ...)",
        example: """
            local dl = require "dl"
            print(dl.layers.Flatten()(dl.zeros{ 2, 3, 4 }).shape)
            """,
        arguments: [dataFormatArgument]
    ) { Flatten($0) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var x = inputs[0]
        if arguments.optionalString("data_format") == "channels_first", x.shape.rank > 2 {
            x = try transpose(x, [0] + Array(2..<x.shape.rank) + [1])
        }
        let features = x.shape.sizes.dropFirst().reduce(1, &*)
        return [try reshape(x, [x.shape.sizes.first ?? 1, features])]
    }
}

/// Gives the axes after the batch other sizes.
package final class Reshape: Layer {
    static let declaration = layerDeclaration(
        "Reshape", "Gives the axes after the batch other sizes; the elements keep their order.",
        source: "Keras, keras.layers.Reshape", shapes: "input (batch, ...), output (batch,) + target_shape",
        example: """
            local dl = require "dl"
            print(dl.layers.Reshape{ target_shape = { 3, -1 } }(dl.zeros{ 2, 12 }).shape)
            """,
        arguments: [
            Argument("target_shape", .shape, nil, "The new sizes without the batch; one of them may be -1, which is worked out.")
        ]
    ) { try Reshape(checked: $0) }

    init(checked arguments: Arguments) throws {
        guard arguments.shape("target_shape").filter({ $0 == nil }).count <= 1 else {
            throw arguments.error("target_shape", "sizes, at most one of them -1")
        }
        super.init(arguments)
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let target = arguments.shape("target_shape")
        let features = x.shape.sizes.dropFirst().reduce(1, &*)
        let known = try Shape(checked: target.compactMap { $0 }).count
        let sizes = target.map { $0 ?? (known == 0 ? 0 : features / known) }
        guard try Shape(checked: sizes).count == features else {
            throw DLError(
                .shape, "[Reshape] \(features) elements of each sample do not fill \(Shape.text(target)). "
                    + "Received: input \(x.shape)")
        }
        return [try reshape(x, [x.shape.sizes.first ?? 1] + sizes)]
    }
}
