import DLBase
import DLGraph
import DLOps
import DLTensor

// How far two sets of pixels are from being the same.

extension Losses {
    static let overlap: [Declaration<Loss>] = [dice, tversky]

    private static let axes = Argument("axis", .optional(.axes), .null, "The axes that make one sample; null: all of them.")
    private static let shapes = "targets and predictions alike, from 0 to 1; one loss for each entry of the other axes"

    private static func sums(_ x: Value, _ arguments: Arguments) throws -> Value {
        try sum(x, axes: arguments.optionalInts("axis"))
    }

    private static let dice = declare(
        "Dice", ["dice"], "1 minus twice the overlap of truth and prediction over their sizes.",
        "1 - 2 sum(t p) / (sum(t) + sum(p) + 1e-7)", source: "Milletari, Navab and Ahmadi, V-Net, 2016; Keras",
        shapes: shapes, [axes]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let sizes = try add(sums(t, arguments), sums(p, arguments))
        let share = try divide(scale(sums(multiply(t, p), arguments), 2), scale(sizes, 1, 1e-7))
        return try scale(share, -1, 1)
    }

    private static let tversky = declare(
        "Tversky", ["tversky"], "Dice's loss with weights for what is missing and what is too much.",
        "1 - sum(t p) / (sum(t p) + alpha sum(t (1 - p)) + beta sum((1 - t) p) + 1e-7)",
        source: "Salehi, Erdogmus and Gholipour, Tversky loss function for image segmentation, 2017; Keras", shapes: shapes,
        [
            Argument("alpha", .float(Argument.anyFloat), 0.5, "Weight of what is missing."),
            Argument("beta", .float(Argument.anyFloat), 0.5, "Weight of what is too much."), axes,
        ]
    ) { truth, prediction, arguments in
        let (t, p) = try aligned(truth, prediction, arguments.owner)
        let both = try sums(multiply(t, p), arguments)
        let missing = try sums(multiply(t, scale(p, -1, 1)), arguments)
        let extra = try sums(multiply(p, scale(t, -1, 1)), arguments)
        let all = try add(add(both, scale(missing, arguments.float("alpha"))), scale(extra, arguments.float("beta")))
        return try scale(divide(both, scale(all, 1, 1e-7)), -1, 1)
    }
}
