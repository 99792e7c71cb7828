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

/// The same vector several times.
package final class RepeatVector: Layer {
    static let declaration = layerDeclaration(
        "RepeatVector", "Repeats a vector n times, as time steps.", formula: "y[b, t] = x[b]", source: "Keras, keras.layers.RepeatVector",
        shapes: "input (batch, features), output (batch, n, features)",
        example: """
            local dl = require "dl"
            print(dl.layers.RepeatVector{ n = 3 }(dl.ones{ 2, 4 }).shape)
            """,
        arguments: [Argument("n", .int(Argument.positive), nil, "How many times.")]
    ) { RepeatVector($0) }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == 2 else {
            throw DLError(
                .shape, "[RepeatVector] layer '\(name)': the input must have 2 axes: (batch, features). "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0].shape
        return [try broadcastTo(expandDims(inputs[0], 1), Shape(checked: [x[0], arguments.int("n"), x[1]]))]
    }
}

/// Axes in another order.
package final class Permute: Layer {
    static let declaration = layerDeclaration(
        "Permute", "Puts the axes behind the batch in another order.", source: "Keras, keras.layers.Permute",
        shapes: "input (batch, ...), output (batch, the sizes in the new order)",
        example: """
            local dl = require "dl"
            print(dl.layers.Permute{ dims = { 2, 1 } }(dl.ones{ 2, 3, 5 }).shape)
            """,
        arguments: [
            Argument("dims", .list(.int(Argument.positive)), nil, "The axes in their new order, counted from 1 behind the batch.")
        ]
    ) { try Permute(checked: $0) }

    private let axes: [Int]

    init(checked arguments: Arguments) throws {
        axes = arguments.ints("dims")
        guard axes.sorted() == Array(1..<(axes.count + 1)) else {
            throw arguments.error("dims", "each of the numbers from 1 to their count once")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == axes.count + 1 else {
            throw DLError(
                .shape, "[Permute] layer '\(name)': dims \(arguments["dims"].canonicalText) need an input of \(axes.count + 1) axes. "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        [try transpose(inputs[0], [0] + axes)]
    }
}
