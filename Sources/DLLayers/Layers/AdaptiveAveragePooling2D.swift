import DLBase
import DLGraph
import DLOps
import DLTensor

/// Averages over windows that are laid out so that a wanted number of them covers the picture.
package final class AdaptiveAveragePooling2D: Layer {
    static let declaration = layerDeclaration(
        "AdaptiveAveragePooling2D", "Means over windows whose number is given; they cover pictures of any size.",
        formula: "window i of n covers floor(i size / n) up to ceil((i + 1) size / n), counted from 0",
        source: "Keras, keras.layers.AdaptiveAveragePooling2D; torch.nn.AdaptiveAvgPool2d",
        shapes: "input (batch, height, width, channels), output (batch, output_size, channels)",
        example: """
            local dl = require "dl"
            print(dl.layers.AdaptiveAveragePooling2D{ output_size = { 2, 3 } }(dl.ones{ 1, 7, 7, 4 }).shape)
            """,
        arguments: [
            Argument("output_size", .size(minimum: 1), nil, "Rows and columns that come out."), dataFormatArgument,
        ]
    ) { try AdaptiveAveragePooling2D(checked: $0) }

    private let outputSize: [Int]

    init(checked arguments: Arguments) throws {
        outputSize = try arguments.sizes("output_size", 2)
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws { try expectPictures(shapes[0], className) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let first = arguments.optionalString("data_format") == "channels_first"
        var x = first ? try transpose(inputs[0], [0, 2, 3, 1]) : inputs[0]
        let (n, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        guard h > 0, w > 0 else {
            throw DLError(.shape, "[\(className)] the picture is empty. Received: input \(inputs[0].shape)")
        }
        let (rows, columns) = (outputSize[0], outputSize[1])
        if [h, w] != outputSize {
            if h % rows == 0, w % columns == 0 {
                x = try averagePool(x, poolSize: [h / rows, w / columns])
            } else {
                // Two products with matrices of weights, one for each axis.
                x = try matmul(windows(rows, h, like: x), reshape(x, [n, h, try product(w, c)]))
                x = try matmul(windows(columns, w, like: x), reshape(x, [try product(n, rows), w, c]))
                x = try reshape(x, [n, rows, columns, c])
            }
        }
        return [first ? try transpose(x, [0, 3, 1, 2]) : x]
    }

    private func product(_ a: Int, _ b: Int) throws -> Int { try Shape(checked: [a, b]).count }

    /// (count, size): 1 / length in the columns that a window covers.
    private func windows(_ count: Int, _ size: Int, like value: Value) throws -> Value {
        let tensor = try Tensor(number: 0, value.type, shape: Shape(checked: [count, size]))
        for window in 0..<count {
            let start = window * size / count
            let end = ((window + 1) * size + count - 1) / count
            for column in start..<end { tensor.setNumber(1 / Double(end - start), at: window * size + column) }
        }
        return Value(tensor)
    }
}
