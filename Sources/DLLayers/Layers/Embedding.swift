import DLBase
import DLGraph
import DLOps
import DLTensor

/// A vector for each whole number.
package final class Embedding: Layer {
    static let declaration = layerDeclaration(
        "Embedding", "Looks up a vector for each id; ids are whole numbers from 0 to input_dim - 1, in every language.",
        formula: "y[...] = embeddings[x[...]]", source: "Bengio et al., A neural probabilistic language model, 2003",
        shapes: "input of any shape, embeddings (input_dim, output_dim), output (..., output_dim); with mask_zero a mask as x",
        example: """
            local dl = require "dl"
            local ids = dl.tensor({ { 4, 1, 0 }, { 2, 0, 0 } }, "int32")
            print(dl.layers.Embedding{ input_dim = 5, output_dim = 3, mask_zero = true }(ids).shape)
            """,
        arguments: [
            Argument("input_dim", .int(Argument.positive), nil, "How many ids there are."),
            Argument("output_dim", .int(Argument.positive), nil, "Size of the vectors."),
            initializerArgument("embeddings", "uniform"), regularizerArgument("embeddings"), regularizerArgument("activity"),
            constraintArgument("embeddings"),
            Argument("mask_zero", .bool, false, "Whether id 0 is padding, whose steps do not count."),
            Argument("weights", .any, .null, "First contents of the embeddings: a list of (input_dim, output_dim) numbers."),
            Argument("lora_rank", .any, .null, "Always null."), Argument("lora_alpha", .any, .null, "Always null."),
            Argument("quantization_config", .any, .null, "Always null."),
        ]
    ) { try Embedding(checked: $0) }

    private var embeddings: Variable!
    private let given: [Double]?
    private var ids: Int { arguments.int("input_dim") }
    private var size: Int { arguments.int("output_dim") }

    init(checked arguments: Arguments) throws {
        for name in ["lora_rank", "lora_alpha", "quantization_config"] where arguments.has(name) {
            throw DLError(.unsupported, "[Embedding] '\(name)' is not supported")
        }
        var rows = arguments["weights"].arrayValue
        // Keras takes a list of the layer's weights, of which there is one.
        if let inner = rows, inner.count == 1, inner[0].arrayValue?.first?.arrayValue != nil { rows = inner[0].arrayValue }
        if let rows {
            let (count, columns) = (arguments.int("input_dim"), arguments.int("output_dim"))
            let numbers = rows.map { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
            guard numbers.count == count, numbers.allSatisfy({ $0.count == columns }) else {
                throw DLError(
                    .argument, "[Embedding] 'weights' must be \(count) rows of \(columns) numbers. Received: \(rows.count) rows")
            }
            given = numbers.flatMap { $0 }
        } else {
            guard !arguments.has("weights") else { throw arguments.error("weights", "rows of numbers") }
            given = nil
        }
        super.init(arguments)
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        // They are saved as weights.
        values["weights"] = nil
        return values
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        embeddings = try addWeight("embeddings", Shape(checked: [ids, size]))
        guard let given else { return }
        embeddings.replace(try cast(Value(Tensor(given, [ids, size])), dtype).tensor())
    }

    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        guard arguments.bool("mask_zero") else { return [] }
        return [try notEqual(inputs[0], zerosLike(inputs[0]))]
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let ids = [.int32, .int64].contains(inputs[0].type) ? inputs[0] : try cast(inputs[0], .int32)
        return [try take(embeddings.value, ids, axis: 0, fromEnd: false)]
    }
}
