import DLBase
import DLGraph
import DLOps
import DLTensor

/// What attention with several heads shares: projections of query, key and value, the attention itself, and a last projection.
package class HeadedAttention: Layer {
    fileprivate var queryDense: Layer!
    fileprivate var keyDense: Layer!
    fileprivate var gateDense: Layer?
    fileprivate var valueDense: Layer!
    fileprivate var outputDense: Layer!
    private var state: Variable?
    /// Axes of the projected query that attention goes along.
    fileprivate var attentionAxes: [Int] = []

    static let sharedArguments: [Argument] = [
        Argument("kernel_initializer", .object(category: "initializer"), "glorot_uniform", "First contents of the kernels."),
        Argument("bias_initializer", .object(category: "initializer"), "zeros", "First contents of the biases."),
        regularizerArgument("kernel"), regularizerArgument("bias"),
        Argument(
            "activity_regularizer", .optional(.object(category: "regularizer")), .null,
            "Penalty on the outputs of each of the projections, as part of the loss."),
        constraintArgument("kernel"), constraintArgument("bias"),
        Argument("use_gate", .bool, false, "Whether what comes out of each head is multiplied by a sigmoid of the query."),
        AttentionParts.seed,
    ]

    fileprivate static let callText = " A call takes query and value, and a key if wished; by name query_mask, value_mask, key_mask (batch, length), "
        + "attention_mask (batch, t, s), true where attention may go, use_causal_mask and return_attention_scores."

    override package var inputCount: Int? { nil }
    override package var inputNames: [String] { ["query", "value", "key"] }
    override package var callTensors: [String] { ["query_mask", "value_mask", "key_mask", "attention_mask"] }
    override package var callFlags: [String] { ["return_attention_scores", "use_causal_mask"] }
    override package var sublayers: [Layer] { [queryDense, keyDense, gateDense, valueDense, outputDense].compactMap { $0 } }

    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] { [inputs[0].mask] }

    /// The projections have it.
    override func setActivityRegularizer() throws {
        let given = arguments["activity_regularizer"]
        if !given.isNull { _ = try Regularizers.registry.make(given) }
        if arguments.bool("flash_attention"), arguments.float("dropout") > 0 {
            throw arguments.error("flash_attention", "left out where there is dropout")
        }
    }

    /// A projection, not built yet.
    fileprivate func projection(_ name: String, _ equation: String, _ output: [Int?], _ biasAxes: String, _ activation: String? = nil) throws -> Layer {
        var config = JSONObject()
        config["name"] = .string(name)
        config["dtype"] = .string(dtype.name)
        config["equation"] = .string(equation)
        config["output_shape"] = .array(output.map { $0.map { .int(Int64($0)) } ?? .null })
        if arguments.bool("use_bias") { config["bias_axes"] = .string(biasAxes) }
        if let activation { config["activation"] = .string(activation) }
        for key in ["kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
            "kernel_constraint", "bias_constraint"] where arguments.has(key)
        {
            config[key] = arguments[key]
        }
        let layer = try Layers.make("EinsumDense", .object(config))
        if !trainable { layer.trainable = false }
        return layer
    }

    fileprivate func addDropout() throws {
        if arguments.float("dropout") > 0 { state = try addSeedState(arguments.optionalInt("seed")) }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes.count == 2 || shapes.count == 3 else {
            throw DLError(.argument, "[\(className)] takes query and value, and a key if wished. Received: \(shapes.count) inputs")
        }
        let (query, value, key) = (shapes[0], shapes[1], shapes.last!)
        let text = "Received: query \(Shape.text(query)), value \(Shape.text(value)), key \(Shape.text(key))"
        guard query.count >= 3, value.count == query.count, key.count == query.count else {
            throw DLError(.shape, "[\(className)] inputs must have equally many axes, at least 3: (batch, length, features). " + text)
        }
        for (a, b) in zip(value.dropLast(), key.dropLast()) where a != nil && b != nil && a != b {
            throw DLError(.shape, "[\(className)] value and key must agree in all sizes but the last. " + text)
        }
        if built {
            try queryDense.checkInput([query])
            try keyDense.checkInput([key])
            try valueDense.checkInput([value])
        }
    }

    /// The masks of the inputs, the causal one and the one that is given, together: true where attention may go.
    fileprivate func mask(_ given: CallInputs, _ queries: Int, _ keys: Int) throws -> Value? {
        var mask: Value?
        let carried = given.inputs.map(\.mask)
        for (place, (name, axis)) in [("query_mask", 2), ("value_mask", 1), ("key_mask", 1)].enumerated() {
            guard let part = given.named[name] ?? (place < carried.count ? carried[place] : nil) else { continue }
            mask = try AttentionParts.both(mask, AttentionParts.expanded(part, axis, name, self))
        }
        if given.flag("use_causal_mask") { mask = try AttentionParts.both(mask, AttentionParts.causalMask(queries, keys)) }
        if let width = arguments.optionalInt("sliding_window") {
            mask = try AttentionParts.both(mask, AttentionParts.slidingMask(queries, keys, width))
        }
        return try AttentionParts.both(given.named["attention_mask"].map { try AttentionParts.bool($0) }, mask)
    }

    /// Query (.., queries, heads, d), key and value likewise; axes of `attentionAxes` are those of queries and keys.
    fileprivate func attend(_ query: Value, _ key: Value, _ value: Value, _ given: CallInputs, depth: Int) throws -> (Value, Value) {
        let rank = query.shape.rank
        let batch = (0..<rank - 1).filter { !attentionAxes.contains($0) }
        let order = batch + attentionAxes + [rank - 1]
        func lengths(_ x: Value) -> [Int] { attentionAxes.map { x.shape[$0] } }
        func matrices(_ x: Value) throws -> Value {
            let moved = try transpose(x, order)
            return try reshape(moved, batch.map { x.shape[$0] } + [lengths(x).reduce(1, &*), x.shape.last])
        }
        let q = try matrices(query), k = try matrices(key), v = try matrices(value)
        let factor = 1 / Double(depth).squareRoot()
        var scores = try matmul(scale(q, factor), k, transposeB: true)
        let full = batch.map { query.shape[$0] } + lengths(query) + lengths(key)
        var mask = try mask(given, query.shape[1], key.shape[1])
        let stays = given.flag("return_attention_scores") || arguments.float("dropout") > 0 || rank != 4
        if let found = mask {
            // Axes for what the mask does not tell apart, the heads above all, stand before those of queries and keys.
            var sizes = found.shape.sizes
            guard sizes.count <= full.count, sizes.count >= 2 * attentionAxes.count else {
                throw DLError(.shape, "[\(className)] layer '\(name)': the mask must spread over the scores. "
                    + "Received: mask \(found.shape), scores \(Shape.text(full))")
            }
            let place = sizes.count - 2 * attentionAxes.count
            sizes.insert(contentsOf: [Int](repeating: 1, count: full.count - sizes.count), at: place)
            let spread = try reshape(found, sizes)
            try AttentionParts.check(spread, Shape(full), self)
            if attentionAxes.count == 1 {
                mask = spread
            } else {
                mask = try reshape(broadcastTo(spread, Shape(checked: full)), scores.shape.sizes)
            }
        }
        scores = try AttentionParts.maskedSoftmax(scores, mask, zeroes: stays)
        var weights = scores
        if given.training, let state {
            weights = try dropout(weights, seed: state.value, rate: arguments.float("dropout"))
            try state.assign(add(state.value, Value(Tensor([Int64(0), 1]))))
        }
        let sums = try matmul(weights, v)
        let apart = try reshape(sums, batch.map { query.shape[$0] } + lengths(query) + [v.shape.last])
        var back = [Int](repeating: 0, count: rank)
        for (position, axis) in order.enumerated() { back[axis] = position }
        return (try transpose(apart, back), try reshape(scores, full))
    }

    fileprivate func spread(_ x: Value) throws -> Value { x }

    override package func call(_ given: CallInputs) throws -> [Value] {
        let (query, value, key) = (given.inputs[0], given.inputs[1], given.inputs[given.inputs.count - 1])
        let q = try queryDense.apply([query])[0]
        let k = try spread(keyDense.apply([key])[0])
        let v = try spread(valueDense.apply([value])[0])
        var (y, scores) = try attend(q, k, v, given, depth: q.shape.last)
        if let gateDense { y = try multiply(y, gateDense.apply([query])[0]) }
        y = try outputDense.apply([y])[0]
        return given.flag("return_attention_scores") ? [y, scores] : [y]
    }

    fileprivate func letters(_ range: Range<Int>) -> String {
        String(decoding: range.map { UInt8(97 + $0) }, as: UTF8.self)
    }
}

/// Attention with several heads, each with projections of its own.
package final class MultiHeadAttention: HeadedAttention {
    static let declaration = layerDeclaration(
        "MultiHeadAttention", "Attention with several heads, each looking at projections of its own." + callText,
        formula: "head = softmax(Q K' / sqrt(key_dim)) V, with Q, K, V = query Wq + bq, key Wk + bk, value Wv + bv; "
            + "y = sum over heads of head Wo + bo",
        source: "Vaswani et al., Attention is all you need, 2017; Keras, keras.layers.MultiHeadAttention",
        shapes: "query (batch, t, d), value (batch, s, e), key (batch, s, f), the value where none is given; kernels (d, heads, key_dim), "
            + "(f, heads, key_dim), (e, heads, value_dim), (heads, value_dim, o); output (batch, t, o), with "
            + "return_attention_scores also (batch, heads, t, s); more axes between batch and features, of which attention_axes are attended to",
        example: """
            local dl = require "dl"
            local x = dl.randn{ 2, 5, 8 }
            local attention = dl.layers.MultiHeadAttention{ num_heads = 2, key_dim = 4 }
            print(attention({ x, x }, { use_causal_mask = true }).shape)
            """,
        arguments: [
            Argument("num_heads", .int(1...65536), nil, "Number of heads."),
            Argument("key_dim", .int(Argument.positive), nil, "Size of each head's queries and keys."),
            Argument("value_dim", .optional(.int(Argument.positive)), .null, "Size of each head's values; key_dim where none is given."),
            AttentionParts.dropout,
            Argument("use_bias", .bool, true, "Whether the projections have biases."),
            Argument("output_shape", .optional(.shape), .null, "Sizes of the output's last axes; the query's last where none is given."),
            Argument("attention_axes", .optional(.axes), .null, "Axes attention goes along; all but batch and features where none is given."),
            Argument("sliding_window", .optional(.int(Argument.positive)), .null, "Attention goes to places less than this far away only."),
            Argument("flash_attention", .optional(.bool), .null, "A hint to Keras's back-ends; without effect."),
        ] + sharedArguments
    ) { try MultiHeadAttention(checked: $0) }

    init(checked arguments: Arguments) throws {
        if arguments.has("output_shape"), arguments.shape("output_shape").contains(where: { ($0 ?? 0) <= 0 }) {
            throw arguments.error("output_shape", "sizes of at least 1")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        let (query, value, key) = (inputShapes[0], inputShapes[1], inputShapes.last!)
        guard let features = query.last ?? nil else {
            throw DLError(.shape, "[MultiHeadAttention] the number of features must be known. Received: query \(Shape.text(query))")
        }
        let (heads, depth) = (arguments.int("num_heads"), arguments.int("key_dim"))
        let width = arguments.optionalInt("value_dim") ?? depth
        let free = query.count - 1
        guard free + 4 <= Shape.maximumRank else {
            throw DLError(.shape, "[MultiHeadAttention] the query has too many axes. Received: query \(Shape.text(query))")
        }
        let equation = letters(0..<free + 1) + "," + letters(free..<free + 3) + "->" + letters(0..<free) + letters(free + 1..<free + 3)
        let bias = letters(free + 1..<free + 3)
        let unknown = [Int?](repeating: nil, count: free - 1)
        let rank = query.count
        if arguments.has("attention_axes") {
            attentionAxes = try arguments.ints("attention_axes").map { given in
                let axis = given < 0 ? given &+ rank : given
                guard axis >= 1, axis < rank - 1 else {
                    throw DLError(
                        .shape, "[MultiHeadAttention] 'attention_axes' must name axes between batch and features. "
                            + "Received: axis \(given), query \(Shape.text(query))")
                }
                return axis
            }
            guard !attentionAxes.isEmpty, Set(attentionAxes).count == attentionAxes.count else {
                throw DLError(.argument, "[MultiHeadAttention] 'attention_axes' must name each axis once. Received: \(arguments.ints("attention_axes"))")
            }
        } else {
            attentionAxes = Array(1..<rank - 1)
        }
        for (a, b) in zip(query.indices, query) where a < rank - 1 && !attentionAxes.contains(a) {
            if let size = b, let other = value[a], size != other {
                throw DLError(
                    .shape, "[MultiHeadAttention] query and value must agree in the axes that are not attended to. "
                        + "Received: query \(Shape.text(query)), value \(Shape.text(value))")
            }
        }
        let made = arguments.has("output_shape") ? arguments.shape("output_shape") : [features]
        guard free + 2 + made.count <= Shape.maximumRank else {
            throw arguments.error("output_shape", "fewer sizes")
        }
        let last = letters(0..<free + 2) + "," + letters(free..<free + 2 + made.count) + "->" + letters(0..<free)
            + letters(free + 2..<free + 2 + made.count)
        let gate = arguments.bool("use_gate") ? try projection("gate", equation, unknown + [heads, width], bias, "sigmoid") : nil
        queryDense = try projection("query", equation, unknown + [heads, depth], bias)
        keyDense = try projection("key", equation, unknown + [heads, depth], bias)
        valueDense = try projection("value", equation, unknown + [heads, width], bias)
        gateDense = gate
        outputDense = try projection("attention_output", last, unknown + made, letters(free + 2..<free + 2 + made.count))
        try queryDense.buildIfNeeded([query])
        try keyDense.buildIfNeeded([key])
        try gateDense?.buildIfNeeded([query])
        try valueDense.buildIfNeeded([value])
        try outputDense.buildIfNeeded([query.dropLast() + [heads, width]])
        try addDropout()
    }
}

/// Attention in which several query heads share one head of keys and values.
package final class GroupQueryAttention: HeadedAttention {
    static let declaration = layerDeclaration(
        "GroupQueryAttention", aliases: ["GroupedQueryAttention"],
        "Attention with several heads, of which several share keys and values." + callText,
        formula: "as MultiHeadAttention, each head of keys and values serving num_query_heads / num_key_value_heads of the query",
        source: "Ainslie et al., GQA: training generalized multi-query transformer models from multi-head checkpoints, 2023; Keras, "
            + "keras.layers.GroupQueryAttention",
        shapes: "query (batch, t, d), value (batch, s, d), key (batch, s, d), the value where none is given; output (batch, t, d)",
        example: """
            local dl = require "dl"
            local x = dl.randn{ 2, 5, 8 }
            local layer = dl.layers.GroupQueryAttention{ head_dim = 4, num_query_heads = 4, num_key_value_heads = 2 }
            print(layer({ x, x }).shape)
            """,
        arguments: [
            Argument("head_dim", .int(Argument.positive), nil, "Size of each head."),
            Argument("num_query_heads", .int(1...65536), nil, "Number of heads of the query."),
            Argument("num_key_value_heads", .int(1...65536), nil, "Number of heads of keys and values; the query's must be a multiple."),
            AttentionParts.dropout,
            Argument("use_bias", .bool, true, "Whether the projections have biases."),
            Argument("sliding_window", .optional(.int(Argument.positive)), .null, "Attention goes to places less than this far away only."),
            Argument("flash_attention", .optional(.bool), .null, "A hint to Keras's back-ends; without effect."),
        ] + sharedArguments
    ) { try GroupQueryAttention(checked: $0) }

    init(checked arguments: Arguments) throws {
        guard arguments.int("num_query_heads") % arguments.int("num_key_value_heads") == 0 else {
            throw arguments.error("num_query_heads", "a multiple of 'num_key_value_heads'")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        let (query, value, key) = (inputShapes[0], inputShapes[1], inputShapes.last!)
        guard query.count == 3, let features = query.last ?? nil else {
            throw DLError(
                .shape, "[GroupQueryAttention] inputs must have 3 axes with a known number of features. "
                    + "Received: query \(Shape.text(query))")
        }
        let depth = arguments.int("head_dim")
        let (heads, shared) = (arguments.int("num_query_heads"), arguments.int("num_key_value_heads"))
        attentionAxes = [1]
        let gate = arguments.bool("use_gate") ? try projection("gate", "bqm,muh->bquh", [nil, heads, depth], "uh", "sigmoid") : nil
        queryDense = try projection("query", "bqm,muh->bquh", [nil, heads, depth], "uh")
        keyDense = try projection("key", "bkm,mvh->bkvh", [nil, shared, depth], "vh")
        valueDense = try projection("value", "bkm,mvh->bkvh", [nil, shared, depth], "vh")
        gateDense = gate
        outputDense = try projection("attention_output", "bquh,uhm->bqm", [nil, features], "m")
        try queryDense.buildIfNeeded([query])
        try keyDense.buildIfNeeded([key])
        try gateDense?.buildIfNeeded([query])
        try valueDense.buildIfNeeded([value])
        try outputDense.buildIfNeeded([query.dropLast() + [heads, depth]])
        try addDropout()
    }

    override fileprivate func spread(_ x: Value) throws -> Value {
        let repeats = arguments.int("num_query_heads") / arguments.int("num_key_value_heads")
        let s = x.shape
        guard repeats > 1 else { return x }
        let wide = try broadcastTo(reshape(x, [s[0], s[1], s[2], 1, s[3]]), Shape(checked: [s[0], s[1], s[2], repeats, s[3]]))
        return try reshape(wide, [s[0], s[1], s[2] * repeats, s[3]])
    }
}
