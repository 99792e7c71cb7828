import DLBase
import DLGraph
import DLOps

/// Puts maxima back to where they came from.
package final class MaxUnpooling2D: Layer {
    static let declaration = layerDeclaration(
        "MaxUnpooling2D", "Puts the elements of a pooled picture to where the windows of another one have their maxima.",
        formula: "z = sum of y over the windows whose first largest element of x is there, else 0",
        source: "Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014",
        shapes: "inputs y (batch, new height, new width, channels) and x (batch, height, width, channels), which a max pooling "
            + "with the same arguments makes as large as y; output like x",
        example: """
            local dl = require "dl"
            local x = dl.tensor{ 1, 5, 2, 3 }:reshape{ 1, 2, 2, 1 }
            print(dl.layers.MaxUnpooling2D()({ dl.ones{ 1, 1, 1, 1 }, x }):reshape{ 2, 2 })
            """,
        arguments: [
            Argument("pool_size", .size(minimum: 1), [2, 2], "Height and width of the window."),
            Argument(
                "strides", .optional(.size(minimum: 1)), .null, "Steps from one window to the next; the window's size where null."),
            Argument("padding", .choice(["valid", "same"]), "valid", "Whether windows reach over the border."),
            dataFormatArgument,
        ]
    ) { try MaxUnpooling2D(checked: $0) }

    private let poolSize: [Int]
    private let strides: [Int]

    init(checked arguments: Arguments) throws {
        poolSize = try arguments.sizes("pool_size", 2)
        strides = arguments.has("strides") ? try arguments.sizes("strides", 2) : poolSize
        super.init(arguments)
    }

    override package var inputCount: Int? { 2 }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { for shape in shapes { try expectPictures(shape, className) } }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.channelsFirst
        let (y, x) = first ? (try channelsToLast(inputs[0], 2), try channelsToLast(inputs[1], 2)) : (inputs[0], inputs[1])
        let z = try maxUnpool(
            y, x, poolSize: poolSize, strides: strides, padding: arguments.string("padding") == "same" ? .same : .valid)
        return [first ? try channelsToSecond(z, 2) : z]
    }
}
