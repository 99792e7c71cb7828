import DLBase
import DLGraph
import DLOps
import DLTensor

// Cross-entropies that weigh samples by how sure the prediction is.

extension Losses {
    static let focal: [Declaration<Loss>] = [binaryFocal, categoricalFocal, generalized]

    private static let gamma = Argument("gamma", .float(Argument.notNegative), 2.0, "How little sure predictions count.")

    private static let binaryFocal = declare(
        "BinaryFocalCrossentropy", ["binary_focal_crossentropy"], "The cross-entropy of yes-or-no targets, less for what is sure already.",
        "mean((1 - q)^gamma (-(t log(p) + (1 - t) log(1 - p)))) with q = t p + (1 - t)(1 - p)",
        source: "Lin et al., Focal loss for dense object detection, 2017; Keras",
        shapes: "targets and predictions (batch, ...) alike; one loss for each sample",
        [
            Argument("apply_class_balancing", .bool, false, "Whether classes 0 and 1 weigh 1 - alpha and alpha."),
            Argument("alpha", .float(Argument.fraction), 0.25, "The weight of class 1."), gamma, fromLogits, smoothing, axis,
        ]
    ) { truth, prediction, arguments in
        var (t, p) = try aligned(truth, prediction, arguments.owner)
        if arguments.bool("from_logits") { p = try sigmoid(p) }
        let one = try constant(1, like: p)
        let smooth = arguments.float("label_smoothing")
        if smooth > 0 { t = try scale(t, 1 - smooth, 0.5 * smooth) }
        let losses = try DLOps.binaryCrossentropy(t, p, fromLogits: false)
        let right = try add(multiply(t, p), multiply(subtract(one, t), subtract(one, p)))
        var focal = try multiply(power(subtract(one, right), constant(arguments.float("gamma"), like: p)), losses)
        if arguments.bool("apply_class_balancing") {
            let alpha = arguments.float("alpha")
            focal = try multiply(scale(t, 2 * alpha - 1, 1 - alpha), focal)
        }
        return focal.shape.rank == 0 ? focal : try mean(focal, axes: [arguments.int("axis")])
    }

    private static let categoricalFocal = declare(
        "CategoricalFocalCrossentropy", ["categorical_focal_crossentropy"],
        "The cross-entropy of distributions over classes, less for what is sure already.",
        "sum(alpha (1 - p)^gamma (-t log(p)))", source: "Lin et al., Focal loss for dense object detection, 2017; Keras",
        shapes: "targets and predictions (batch, ..., classes); one loss for each distribution",
        [Argument("alpha", .float(Argument.anyFloat), 0.25, "Factor of the loss."), gamma, fromLogits, smoothing, axis]
    ) { truth, prediction, arguments in
        var (t, p) = try aligned(truth, prediction, arguments.owner)
        let axis = try prediction.shape.axis(arguments.int("axis"), arguments.owner)
        let smooth = arguments.float("label_smoothing")
        if smooth > 0 { t = try scale(t, 1 - smooth, smooth / Double(Swift.max(t.shape.last, 1))) }
        if arguments.bool("from_logits") { p = try softmax(p, axis: axis) }
        p = try clip(divide(p, sum(p, axes: [axis], keepDims: true)), 1e-7, 1 - 1e-7)
        let factor = try scale(power(scale(p, -1, 1), constant(arguments.float("gamma"), like: p)), -arguments.float("alpha"))
        return try sum(multiply(factor, multiply(t, log(p))), axes: [axis])
    }

    private static let generalized = declare(
        "CategoricalGeneralizedCrossEntropy", ["categorical_generalized_cross_entropy"],
        "Between the cross-entropy (q near 0) and the absolute error (q near 1); for labels that are partly wrong.",
        "(1 - p[label]^q) / q", source: "Zhang and Sabuncu, Generalized cross entropy loss, 2018; Keras",
        shapes: "labels (batch, ...), predictions (batch, ..., classes); one loss for each label",
        [
            Argument("q", .float(1e-6...0.999999), 0.5, "Above 0 and below 1: how little wrong labels count."),
            Argument("label_base", .int(0...1), 0, "What labels count from.", isKeras: false),
        ]
    ) { truth, prediction, arguments in
        var labels = try cast(labelsFor(truth, prediction, arguments.owner), .int32)
        let base = arguments.int("label_base")
        if base != 0 { labels = try subtract(labels, constant(Double(base), .int32)) }
        let hot = try oneHot(labels, classes: prediction.shape.last, type: prediction.type)
        let right = try sum(multiply(prediction, hot), axes: [-1])
        let q = arguments.float("q")
        return try scale(power(right, constant(q, like: right)), -1 / q, 1 / q)
    }
}
