import DLBase
import DLGraph
import DLOps
import DLTensor

/// What the attention layers share: masks, and sums of values weighted by a softmax of scores.
enum AttentionParts {
    static let dropout = Argument("dropout", .float(Argument.fraction), 0, "The share of the weights that is set to zero while training.")
    static let seed = Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes the random numbers of the dropout.")

    /// (1, queries, keys), true where the key is no later than the query.
    static func causalMask(_ queries: Int, _ keys: Int) throws -> Value { try band(queries, keys) { query, key in key <= query } }

    /// (1, queries, keys), true where the two are less than `width` apart.
    static func slidingMask(_ queries: Int, _ keys: Int, _ width: Int) throws -> Value {
        try band(queries, keys) { query, key in Swift.abs(query - key) < width }
    }

    private static func band(_ queries: Int, _ keys: Int, _ isIn: (Int, Int) -> Bool) throws -> Value {
        let mask = try Tensor(zeros: Shape(checked: [1, queries, keys]), .bool)
        let elements = mask.elements(Bool.self)
        for query in 0..<queries {
            for key in 0..<keys { elements[query * keys + key] = isIn(query, key) }
        }
        return Value(mask)
    }

    static func bool(_ mask: Value) throws -> Value { mask.type == .bool ? mask : try cast(mask, .bool) }

    static func both(_ a: Value?, _ b: Value?) throws -> Value? {
        guard let a else { return b }
        return try b.map { try logicalAnd(a, $0) } ?? a
    }

    /// A mask of shape (batch, length) as it must be for `value` with an axis more at `axis` of the scores.
    static func expanded(_ mask: Value, _ axis: Int, _ name: String, _ layer: Layer) throws -> Value {
        guard mask.shape.rank == 2 else {
            throw DLError(
                .shape, "[\(layer.className)] '\(name)' must have shape (batch, length). Received: \(mask.shape)")
        }
        var sizes = mask.shape.sizes
        sizes.insert(1, at: axis)
        return try reshape(bool(mask), sizes)
    }

    /// The softmax along the last axis where the mask is true. Rows without any such place are uniform, or 0 with `zeroes`.
    static func maskedSoftmax(_ scores: Value, _ mask: Value?, zeroes: Bool) throws -> Value {
        guard let mask else { return try softmax(scores) }
        let low = try constant(-1e30, like: scores)
        let weights = try softmax(`where`(mask, scores, low))
        return zeroes ? try `where`(mask, weights, constant(0, like: scores)) : weights
    }

    /// The mask must spread over the scores.
    static func check(_ mask: Value, _ scores: Shape, _ layer: Layer) throws {
        let pairs = zip(mask.shape.sizes.reversed(), scores.sizes.reversed())
        guard mask.shape.rank <= scores.rank, pairs.allSatisfy({ $0 == 1 || $0 == $1 }) else {
            throw DLError(
                .shape, "[\(layer.className)] layer '\(layer.name)': the mask must spread over the scores. "
                    + "Received: mask \(mask.shape), scores \(scores)")
        }
    }
}

/// Attention of queries to keys by their product, or by tanh of their sum.
package class Attention: Layer {
    static let declaration = layerDeclaration(
        "Attention", "Sums of values, weighted by how well their keys fit each query: Luong's attention.",
        formula: "y = softmax(scores) value; scores = scale query key' (dot), or w sum(tanh(scale (query + key))) (concat)",
        source: "Luong et al., Effective approaches to attention-based neural machine translation, 2015; Keras, "
            + "keras.layers.Attention",
        shapes: "query (batch, t, d), value (batch, s, e), key (batch, s, d), the value where none is given; output (batch, t, e), "
            + "with return_attention_scores also (batch, t, s)",
        example: """
            local dl = require "dl"
            local query, value = dl.randn{ 2, 4, 8 }, dl.randn{ 2, 6, 8 }
            print(dl.layers.Attention(){ query, value }.shape)
            print(dl.layers.Attention()({ query, query }, { use_causal_mask = true }).shape)
            """,
        arguments: [
            Argument("use_scale", .bool, false, "Whether the scores are multiplied by a number that is learnt."),
            Argument("score_mode", .choice(["dot", "concat"]), "dot", "How a score is made of query and key."),
            AttentionParts.dropout, AttentionParts.seed,
        ]
    ) { Attention($0) }

    fileprivate var scale: Variable?
    private var weight: Variable?
    private var state: Variable?

    override package var inputCount: Int? { nil }
    override package var callTensors: [String] { ["query_mask", "value_mask"] }
    override package var callFlags: [String] { ["return_attention_scores", "use_causal_mask"] }

    /// Keras gives the masks of a call as a list.
    override package var masksGoAsList: Bool { true }

    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] { [inputs[0].mask] }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        try addScoreWeights(inputShapes[0])
        if arguments.float("dropout") > 0 { state = try addSeedState(arguments.optionalInt("seed")) }
    }

    fileprivate func addScoreWeights(_ query: [Int?]) throws {
        if arguments.bool("use_scale") { scale = try addWeight("scale", [], Initializers.registry.make("ones")) }
        if arguments.string("score_mode") == "concat" {
            weight = try addWeight("concat_score_weight", [], Initializers.registry.make("ones"))
        }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes.count == 2 || shapes.count == 3 else {
            throw DLError(.argument, "[\(className)] takes a list of query and value, and a key if wished. Received: \(shapes.count) inputs")
        }
        let (query, value, key) = (shapes[0], shapes[1], shapes.last!)
        let text = "Received: query \(Shape.text(query)), value \(Shape.text(value)), key \(Shape.text(key))"
        guard shapes.allSatisfy({ $0.count == 3 }) else {
            throw DLError(.shape, "[\(className)] inputs must have 3 axes: (batch, length, features). " + text)
        }
        func differ(_ a: Int?, _ b: Int?) -> Bool { a != nil && b != nil && a != b }
        guard !differ(query[2], key[2]) else { throw DLError(.shape, "[\(className)] query and key must have equally many features. " + text) }
        guard !differ(value[1], key[1]) else { throw DLError(.shape, "[\(className)] value and key must have one length. " + text) }
        guard !differ(query[0], value[0]), !differ(query[0], key[0]) else {
            throw DLError(.shape, "[\(className)] inputs must have one batch size. " + text)
        }
    }

    fileprivate func scores(_ query: Value, _ key: Value) throws -> Value {
        if arguments.string("score_mode") == "dot" {
            let scores = try matmul(query, key, transposeB: true)
            return try scale.map { try multiply(scores, $0.value) } ?? scores
        }
        let sums = try sumsOfPairs(query, key)
        let inner = try scale.map { try multiply(sums, $0.value) } ?? sums
        let total = try sum(tanh(inner), axes: [-1])
        return try weight.map { try multiply(total, $0.value) } ?? total
    }

    /// (batch, t, s, d): each query with each key.
    fileprivate func sumsOfPairs(_ query: Value, _ key: Value) throws -> Value {
        let (q, k) = (query.shape, key.shape)
        return try add(reshape(query, [q[0], q[1], 1, q[2]]), reshape(key, [k[0], 1, k[1], k[2]]))
    }

    override package func call(_ given: CallInputs) throws -> [Value] {
        let (query, value, key) = (given.inputs[0], given.inputs[1], given.inputs[given.inputs.count - 1])
        let scores = try scores(query, key)
        var mask = try (given.named["value_mask"] ?? value.mask).map { try AttentionParts.expanded($0, 1, "value_mask", self) }
        if given.flag("use_causal_mask") {
            mask = try AttentionParts.both(mask, AttentionParts.causalMask(query.shape[1], key.shape[1]))
        }
        if let mask { try AttentionParts.check(mask, scores.shape, self) }
        // Where nothing is to be seen, the differences of the scores still count, as in Keras.
        let masked = try mask.map { try `where`($0, scores, subtract(scores, constant(1e9, like: scores))) } ?? scores
        var weights = try softmax(masked)
        if given.training, let state {
            weights = try dropout(weights, seed: state.value, rate: arguments.float("dropout"))
            try state.assign(add(state.value, Value(Tensor([Int64(0), 1]))))
        }
        var y = try matmul(weights, value)
        if let queryMask = given.named["query_mask"] ?? query.mask {
            let seen = try AttentionParts.expanded(queryMask, 2, "query_mask", self)
            try AttentionParts.check(seen, y.shape, self)
            y = try `where`(seen, y, constant(0, like: y))
        }
        return given.flag("return_attention_scores") ? [y, weights] : [y]
    }
}

/// Attention by a weighted sum of tanh of query and key.
package final class AdditiveAttention: Attention {
    static let additiveDeclaration = layerDeclaration(
        "AdditiveAttention", "Sums of values, weighted by how well their keys fit each query: Bahdanau's attention.",
        formula: "y = softmax(scores) value; scores = sum over features of scale tanh(query + key)",
        source: "Bahdanau et al., Neural machine translation by jointly learning to align and translate, 2015; Keras, "
            + "keras.layers.AdditiveAttention",
        shapes: "query (batch, t, d), value (batch, s, e), key (batch, s, d), the value where none is given; scale (d,); "
            + "output (batch, t, e), with return_attention_scores also (batch, t, s)",
        example: """
            local dl = require "dl"
            print(dl.layers.AdditiveAttention(){ dl.randn{ 2, 4, 8 }, dl.randn{ 2, 6, 8 } }.shape)
            """,
        arguments: [
            Argument("use_scale", .bool, true, "Whether the features have weights that are learnt."), AttentionParts.dropout,
            AttentionParts.seed,
        ]
    ) { AdditiveAttention($0) }

    override fileprivate func addScoreWeights(_ query: [Int?]) throws {
        guard arguments.bool("use_scale") else { return }
        guard let features = query[2] else {
            throw DLError(.shape, "[AdditiveAttention] the number of features must be known. Received: query \(Shape.text(query))")
        }
        scale = try addWeight("scale", [features], Initializers.registry.make("glorot_uniform"))
    }

    override fileprivate func scores(_ query: Value, _ key: Value) throws -> Value {
        let inner = try tanh(sumsOfPairs(query, key))
        return try sum(scale.map { try multiply(inner, $0.value) } ?? inner, axes: [-1])
    }
}
