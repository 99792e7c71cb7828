import DLBase
import DLGraph
import DLOps
import DLTensor

// Losses that compare predictions with each other.

extension Losses {
    static let embedding: [Declaration<Loss>] = [circle]
    static let moreEmbedding: [Declaration<Loss>] = [tripletMargin, cosineEmbedding, marginRanking]

    private static let circle = declare(
        "Circle", ["circle"], "Draws embeddings of one class together and others apart, the more the further they are from where they should be.",
        "softplus(logsumexp over the same class of -gamma max(m + d, 0)(m - d) + logsumexp over others of gamma max(1 + m - d, 0)(1 - m - d)), "
            + "d = max(1 - cosine, 0), m = margin",
        source: "Sun et al., Circle loss, 2020; Keras", shapes: "labels (batch,), predictions (batch, size) of length 1; one loss for each",
        example: "local dl = require \"dl\"\nprint(dl.losses.Circle()({ 1, 1, 2 }, { { 1, 0 }, { 0.8, 0.6 }, { 0, 1 } }))",
        [
            Argument("gamma", .float(Argument.notNegative), 80.0, "How sharp the border is."),
            Argument("margin", .float(Argument.anyFloat), 0.4, "How wide it is."),
            Argument("remove_diagonal", .bool, true, "Whether a sample is not compared with itself."),
        ]
    ) { truth, prediction, arguments in
        guard prediction.shape.rank == 2, truth.shape.count == prediction.shape[0] else {
            throw DLError(
                .shape, "[Circle] one label for each embedding (batch, size) is needed. "
                    + "Received: labels \(truth.shape), predictions \(prediction.shape)")
        }
        let n = prediction.shape[0]
        let type = prediction.type
        let labels = try cast(reshape(truth, [n, 1]), .float64)
        let distance = try relu(scale(matmul(prediction, prediction, transposeB: true), -1, 1))
        let isSame = try equal(labels, transpose(labels))
        var positive = isSame
        if arguments.bool("remove_diagonal") {
            let places = try constantRange(n)
            positive = try logicalAnd(isSame, notEqual(reshape(places, [n, 1]), reshape(places, [1, n])))
        }
        let (margin, gamma) = (arguments.float("margin"), arguments.float("gamma"))
        let pull = try multiply(scale(relu(scale(distance, 1, margin)), -gamma), scale(distance, -1, margin))
        let push = try multiply(scale(relu(scale(distance, -1, 1 + margin)), gamma), scale(distance, -1, 1 - margin))
        // exp(-1e30) is 0, and the difference of two such numbers is not NaN, as that of infinities is.
        let nothing = try constant(-1e30, type)
        let p = try logSumExp(`where`(positive, pull, nothing), axes: [1])
        let q = try logSumExp(`where`(logicalNot(isSame), push, nothing), axes: [1])
        let losses = try softplus(add(p, q))
        losses.mask = try greater(losses, constant(0, type))
        return losses
    }

    private static func constantRange(_ count: Int) throws -> Value {
        Value(try Tensor((0..<Int32(clamping: count)).map { $0 }))
    }

    /// Part `index` of the second axis of predictions (batch, parts, ...).
    private static func part(_ x: Value, _ index: Int) throws -> Value { try unstack(x, axis: 1)[index] }

    private static func expect(_ prediction: Value, _ rank: Int, _ parts: Int, _ what: String, _ owner: String) throws {
        guard prediction.shape.rank == rank, prediction.shape[1] == parts else {
            throw DLError(.shape, "[\(owner)] predictions must be (batch, \(parts)\(rank > 2 ? ", size" : "")): \(what). Received: predictions \(prediction.shape)")
        }
    }

    private static func signs(_ truth: Value, _ prediction: Value, _ owner: String) throws -> Value {
        guard truth.shape.count == prediction.shape[0] else {
            throw DLError(.shape, "[\(owner)] one target, 1 or -1, for each sample is needed. Received: targets \(truth.shape), predictions \(prediction.shape)")
        }
        return try cast(reshape(truth, [prediction.shape[0]]), prediction.type)
    }

    private static func length(_ x: Value) throws -> Value { try sqrt(maximum(sum(square(x), axes: [-1]), constant(1e-12, like: x))) }

    private static let tripletMargin = declare(
        "TripletMargin", ["triplet_margin"], "Asks an anchor to be nearer to a positive than to a negative example, by a margin.",
        "max(|a - p| - |a - n| + margin, 0)", source: "Schroff, Kalenichenko and Philbin, FaceNet, 2015",
        shapes: "predictions (batch, 3, size): anchor, positive, negative; targets are not looked at; one loss for each triplet",
        example: "local dl = require \"dl\"\nprint(dl.losses.TripletMargin()({ 0 }, { { { 0, 0 }, { 3, 4 }, { 0, 1 } } }))",
        [Argument("margin", .float(Argument.notNegative), 1.0, "How much nearer.")]
    ) { _, prediction, arguments in
        try expect(prediction, 3, 3, "anchor, positive, negative", arguments.owner)
        let parts = try unstack(prediction, axis: 1)
        let near = try length(subtract(parts[0], parts[1]))
        let far = try length(subtract(parts[0], parts[2]))
        return try relu(scale(subtract(near, far), 1, arguments.float("margin")))
    }

    private static let cosineEmbedding = declare(
        "CosineEmbedding", ["cosine_embedding"], "Asks pairs to point the same way where the target is 1, not to where it is -1.",
        "1 - cos where t = 1; max(cos - margin, 0) where t = -1", source: "torch.nn.CosineEmbeddingLoss",
        shapes: "targets (batch,) 1 or -1, predictions (batch, 2, size); one loss for each pair",
        example: "local dl = require \"dl\"\nprint(dl.losses.CosineEmbedding()({ -1 }, { { { 1, 0 }, { 0.8, 0.6 } } }))",
        [Argument("margin", .float(-1...1), 0.0, "The cosine that different ones may have.")]
    ) { truth, prediction, arguments in
        try expect(prediction, 3, 2, "the two of a pair", arguments.owner)
        let t = try signs(truth, prediction, arguments.owner)
        let parts = try unstack(prediction, axis: 1)
        let cosine = try divide(sum(multiply(parts[0], parts[1]), axes: [-1]), multiply(length(parts[0]), length(parts[1])))
        return try `where`(greater(t, constant(0, like: t)), scale(cosine, -1, 1), relu(scale(cosine, 1, -arguments.float("margin"))))
    }

    private static let marginRanking = declare(
        "MarginRanking", ["margin_ranking"], "Asks the first of two scores to be larger where the target is 1, smaller where it is -1.",
        "max(-t (x1 - x2) + margin, 0)", source: "torch.nn.MarginRankingLoss",
        shapes: "targets (batch,) 1 or -1, predictions (batch, 2); one loss for each pair",
        example: "local dl = require \"dl\"\nprint(dl.losses.MarginRanking()({ 1 }, { { 0.2, 0.7 } }))",
        [Argument("margin", .float(Argument.anyFloat), 0.0, "By how much.")]
    ) { truth, prediction, arguments in
        try expect(prediction, 2, 2, "the two scores", arguments.owner)
        let t = try signs(truth, prediction, arguments.owner)
        let parts = try unstack(prediction, axis: 1)
        return try relu(scale(multiply(t, subtract(parts[0], parts[1])), -1, arguments.float("margin")))
    }
}
