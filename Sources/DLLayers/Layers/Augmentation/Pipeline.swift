import DLBase
import DLGraph

/// Layers one after the other, as one layer.
package final class Pipeline: Layer {
    static let declaration = layerDeclaration(
        "Pipeline", "Layers one after the other as one layer, for preparing data; what comes out of one goes into the next.",
        source: "Keras, keras.layers.Pipeline", shapes: "input of the first layer, output of the last",
        example: """
            local dl = require "dl"
            local L = dl.layers
            local prepare = L.Pipeline{ layers = { L.RandomFlip(), L.Rescaling{ 1 / 255 } } }
            print(prepare(dl.ones{ 2, 8, 8, 3 }, { training = true }).shape)
            """,
        arguments: [Argument("layers", .list(.object(category: "layer")), nil, "The layers, the first one first.")]
    ) { try Pipeline(checked: $0) }

    private let layers: [Layer]

    init(checked arguments: Arguments) throws {
        let entries = arguments["layers"].arrayValue ?? []
        guard !entries.isEmpty else { throw arguments.error("layers", "a list of at least one layer") }
        layers = try entries.map { try Layer.nested($0, arguments.owner) }
        super.init(arguments)
    }

    override package var inputCount: Int? { nil }
    override package var sublayers: [Layer] { layers }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["layers"] = .array(try layers.map { try $0.serialized() })
        // Keras's has nothing else.
        for name in ["trainable", "dtype"] { values[name] = nil }
        return values
    }

    override package func build(_ inputShapes: [[Int?]]) throws {}

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try layers.reduce(inputs) { try $1.apply($0, training: training) }
    }
}
