import DLBase
import DLGraph
import DLTensor

/// (batch, length, heads, features) as one matrix for each head.
private func heads(_ x: Value) throws -> Value { try transpose(x, [0, 2, 1, 3]) }

/// What is added to and left out of the scores must spread over them.
private func expectSpread(_ spec: TensorSpec, _ scores: Shape, _ what: String) throws {
    let pairs = zip(spec.shape.sizes.reversed(), scores.sizes.reversed())
    guard spec.shape.rank <= scores.rank, pairs.allSatisfy({ $0 == 1 || $0 == $1 }) else {
        throw DLError(
            .shape, "[dot_product_attention] the \(what) must spread over the scores, (batch, heads, queries, keys). "
                + received((what, spec)) + ", scores \(scores)")
    }
}

/// Attention of queries to keys, which several heads of queries may share.
let dotProductAttentionEntry = FormulaOperation.derived(
    "dot_product_attention", "Sums of values, weighted by how well their keys fit each query, head by head.",
    formula: "y = softmax(scale query key' + bias) value, over the keys that the mask allows",
    source: "Vaswani et al., Attention is all you need, 2017; Keras, keras.ops.dot_product_attention",
    shapes: "query (B, T, N, H), key (B, S, K, H), value (B, S, K, E), N a multiple of K; bias and mask spread over (B, N, T, S); a "
        + "fourth input that is bool is the mask; (B, T, N, E)",
    example: """
        local dl = require "dl"
        local query, key = dl.randn{ 2, 4, 2, 8 }, dl.randn{ 2, 6, 2, 8 }
        print(dl.ops.dot_product_attention(query, key, key, { is_causal = true }).shape)
        """,
    inputs: ["query", "key", "value", "bias", "mask"], optional: 2,
    arguments: [
        Argument("scale", .optional(.float(Argument.anyFloat)), .null, "What the products are multiplied by; null for 1 / sqrt(H)."),
        Argument("is_causal", .bool, false, "Whether queries see only keys that do not come after them."),
        Argument("flash_attention", .optional(.bool), .null, "A hint to Keras's back-ends; without effect."),
    ],
    samples: [
        OperationSample(.uniform([2, 3, 2, 2]), .uniform([2, 4, 2, 2]), .uniform([2, 4, 2, 3])),
        OperationSample(.uniform([1, 3, 4, 2]), .uniform([1, 3, 2, 2]), .uniform([1, 3, 2, 2]), attributes: ["is_causal": true, "scale": 0.5]),
        OperationSample(
            .uniform([1, 2, 1, 2]), .uniform([1, 3, 1, 2]), .uniform([1, 3, 1, 2]), .uniform([1, 2, 3]),
            .given([1, 1, 0], [3], .bool)),
    ]
) { inputs, arguments in
    let (q, k, v) = (inputs[0].shape, inputs[1].shape, inputs[2].shape)
    let text = received(("query", inputs[0].spec), ("key", inputs[1].spec), ("value", inputs[2].spec))
    guard q.rank == 4, k.rank == 4, v.rank == 4 else {
        throw DLError(.shape, "[dot_product_attention] inputs must have 4 axes: (batch, length, heads, features). " + text)
    }
    guard q[0] == k[0], q[0] == v[0], q[3] == k[3], k[1] == v[1], k[2] == v[2], k[2] > 0, q[2] % k[2] == 0 else {
        throw DLError(
            .shape, "[dot_product_attention] batches must agree, query and key in their features, key and value in length and heads, "
                + "and the query's heads must be a multiple of the key's. " + text)
    }
    let three = try reals(Array(inputs[..<3]))
    var key = three[1], value = three[2]
    if q[2] != k[2] {
        // Each head of keys and values serves as many heads of the query, one after the other.
        key = try `repeat`(key, q[2] / k[2], axis: 2)
        value = try `repeat`(value, q[2] / k[2], axis: 2)
    }
    let factor = arguments.optionalFloat("scale") ?? 1 / Double(Swift.max(q[3], 1)).squareRoot()
    var scores = try scale(matmul(heads(three[0]), heads(key), transposeB: true), factor)
    let more = Array(inputs[3...])
    let bias = more.first.flatMap { $0.type == .bool && more.count == 1 ? nil : $0 }
    var mask = more.count == 2 ? more[1] : bias == nil ? more.first : nil
    if let bias {
        try expectSpread(bias.spec, scores.shape, "bias")
        scores = try add(scores, cast(bias, scores.type))
    }
    if let given = mask {
        try expectSpread(given.spec, scores.shape, "mask")
        mask = given.type == .bool ? given : try cast(given, .bool)
    }
    if arguments.bool("is_causal") {
        let (rows, columns) = (q[1], k[1])
        let seen = try Tensor(zeros: Shape(checked: [rows, columns]), .bool)
        let elements = seen.elements(Bool.self)
        for row in 0..<rows {
            for column in 0..<Swift.min(row + 1, columns) { elements[row * columns + column] = true }
        }
        mask = try mask.map { try logicalAnd($0, Value(seen)) } ?? Value(seen)
    }
    // Where a query sees nothing, it sees all keys alike.
    if let mask { scores = try `where`(mask, scores, constant(-1e30, like: scores)) }
    return [try heads(matmul(softmax(scores), heads(value)))]
}
