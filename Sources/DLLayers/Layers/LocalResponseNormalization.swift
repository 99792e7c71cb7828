import DLBase
import DLGraph
import DLOps

/// Lets strong channels damp their neighbours.
package final class LocalResponseNormalization: Layer {
    static let declaration = layerDeclaration(
        "LocalResponseNormalization", "Divides each number by a power of the squares of its neighbours across channels.",
        formula: "y[c] = x[c] / (k + alpha / size * sum of x[j]^2)^beta, c - size / 2 <= j <= c + (size - 1) / 2",
        source: "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012; the "
            + "paper does not divide alpha, 1e-4, by the size, so the default here is 5e-4. Caffe and torch divide; torch's k is 1",
        shapes: "input (..., channels), output the same",
        example: """
            local dl = require "dl"
            print(dl.layers.LocalResponseNormalization{ size = 3, alpha = 3, beta = 1, k = 1 }(dl.ones{ 1, 4 }))
            """,
        arguments: LocalResponseForm.arguments + [dataFormatArgument]
    ) { LocalResponseNormalization($0) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        let form = LocalResponseForm(arguments)
        guard arguments.optionalString("data_format") == "channels_first", x.shape.rank > 2 else {
            return [try localResponseNormalization(x, form)]
        }
        let last = x.shape.rank - 1
        return [try moveaxis(localResponseNormalization(moveaxis(x, [1], [last]), form), [last], [1])]
    }
}
