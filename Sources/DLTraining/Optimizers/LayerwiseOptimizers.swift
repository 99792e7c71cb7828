import DLBase
import DLGraph
import DLOps
import DLTensor

// Optimizers that look at a whole weight before they change any of it.

package final class Lamb: Optimizer {
    static let declaration = Optimizers.declare(
        "Lamb", "lamb", "Adam whose step is as long as the weight; for large batches.",
        formula: "u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) with m, v as in Adam; w = w - lr |w| / |u| u",
        source: "You et al., Large batch optimization for deep learning, 2019; Keras", learningRate: 0.001,
        [share("beta_1", 0.9, "Share of the old in the mean."), share("beta_2", 0.999, "Share of the old in the mean square."), epsilon()]
    ) { try Lamb($0) }

    override func slots(for variable: Variable) -> [Slot] { [Slot(name: "momentum"), Slot(name: "velocity")] }

    override func update(_ u: Update) throws -> [Value] {
        let w = try u.decayed()
        let results = try UpdateRules.lamb(
            w, u.gradient, u.states, [u.rate, u.iterations], config(["beta_1", "beta_2", "epsilon"], decay: 0))
        let (length, step) = (try sqrt(sum(square(w))), try sqrt(sum(square(results[0]))))
        let (zero, one) = (try constant(0, like: length), try constant(1, like: length))
        let isUsable = try logicalAnd(greater(length, zero), greater(step, zero))
        let ratio = try `where`(isUsable, divide(length, step), one)
        let factor = try multiply(ratio, cast(u.rate, w.type))
        return [try subtract(w, multiply(results[0], factor))] + results.dropFirst()
    }
}

package final class Adafactor: Optimizer {
    static let declaration = Optimizers.declare(
        "Adafactor", "adafactor", "Keeps mean squares of rows and columns only, in the place of one for each weight.",
        formula: "b = 1 - t^beta_2_decay; r = b r + (1 - b) mean of g^2 along rows, c likewise along columns; v = r c / mean(r); "
            + "u = g / sqrt(v) / max(1, rms(g / sqrt(v)) / clip_threshold); w = w - max(epsilon_2, rms(w)) min(lr, 1 / sqrt(t)) u",
        source: "Shazeer and Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018; Keras", learningRate: 0.001,
        [
            Argument("beta_2_decay", .float(-Double.greatestFiniteMagnitude...0), -0.8, "How fast the mean squares become slow."),
            Argument("epsilon_1", .float(Argument.notNegative), 1e-30, "Added to squares."),
            Argument("epsilon_2", .float(Argument.notNegative), 1e-3, "Smallest size that a weight counts with."),
            Argument("clip_threshold", .float(1e-30...1e30), 1.0, "Largest root mean square of an update."),
            Argument("relative_step", .bool, true, "Whether the rate is at most 1 / sqrt(t)."),
        ]
    ) { try Adafactor($0) }

    override func slots(for variable: Variable) -> [Slot] {
        let sizes = variable.shape.sizes
        guard sizes.count >= 2 else { return [Slot(name: "velocity")] }
        return [
            Slot(name: "row_velocity", shape: Shape(Array(sizes.dropLast()))),
            Slot(name: "column_velocity", shape: Shape(Array(sizes.dropLast(2)) + [sizes[sizes.count - 1]])),
        ]
    }

    private func rootMeanSquare(_ x: Value) throws -> Value { try sqrt(mean(square(x))) }

    override func update(_ u: Update) throws -> [Value] {
        let w = try u.decayed()
        let type = w.type
        let t = try add(cast(u.iterations, type), constant(1, type))
        let one = try constant(1, type)
        let rate = try minimum(cast(u.rate, type), rsqrt(t))
        let size = try multiply(maximum(constant(arguments.float("epsilon_2"), type), rootMeanSquare(w)), rate)
        let squares = try add(square(u.gradient), constant(arguments.float("epsilon_1"), type))
        let new = try power(t, constant(arguments.float("beta_2_decay"), type))
        let old = try subtract(one, new)
        func mixed(_ state: Value, _ value: Value) throws -> Value { try add(multiply(old, state), multiply(new, value)) }
        let states: [Value]
        let v: Value
        if w.shape.rank >= 2 {
            let r = try mixed(u.states[0], mean(squares, axes: [-1]))
            let c = try mixed(u.states[1], mean(squares, axes: [-2]))
            let share = try divide(r, mean(r, axes: [-1], keepDims: true))
            v = try multiply(expandDims(share, -1), expandDims(c, -2))
            states = [r, c]
        } else {
            v = try mixed(u.states[0], squares)
            states = [v]
        }
        let step = try divide(u.gradient, sqrt(v))
        let threshold = try constant(arguments.float("clip_threshold"), type)
        let shrink = try maximum(one, divide(rootMeanSquare(step), threshold))
        return [try subtract(w, multiply(size, divide(step, shrink)))] + states
    }
}

package final class Muon: Optimizer {
    static let declaration = Optimizers.declare(
        "Muon", "muon", "Makes the updates of matrices orthogonal by Newton and Schulz's iteration; other weights follow Adam.",
        formula: "m = momentum m + g; x = g + momentum m with nesterov, else m; x = x / |x|; ns_steps times: a = x x^T, "
            + "x = muon_a x + (muon_b a + muon_c a a) x; w = w - lr rms_rate sqrt(max(rows, columns)) x",
        source: "Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Keras", learningRate: 0.001,
        weightDecay: 0.004,
        [
            share("adam_beta_1", 0.9, "Adam's share of the old in the mean."),
            share("adam_beta_2", 0.999, "Adam's share of the old in the mean square."),
            Argument("adam_weight_decay", .optional(.float(Argument.notNegative)), 0.004, "The weight decay of weights that follow Adam."),
            epsilon(),
            Argument("exclude_layers", .optional(.list(.string)), .null, "Parts of names of weights that follow Adam."),
            Argument("exclude_embeddings", .bool, true, "Whether embeddings follow Adam."),
            Argument("muon_a", .float(Argument.anyFloat), 3.4445, "Factor of x."),
            Argument("muon_b", .float(Argument.anyFloat), -4.7750, "Factor of x x^T x."),
            Argument("muon_c", .float(Argument.anyFloat), 2.0315, "Factor of x x^T x x^T x."),
            Argument("adam_lr_ratio", .float(Argument.notNegative), 1.0, "Adam's learning rate as a share of the other."),
            share("momentum", 0.95, "Share of the last update that goes on."),
            Argument("ns_steps", .int(0...100), 5, "Iterations."),
            Argument("nesterov", .bool, true, "Whether the gradient is taken ahead."),
            Argument("rms_rate", .optional(.float(Argument.notNegative)), 0.2, "Scales updates to the size of Adam's; null: not at all."),
        ]
    ) { try Muon($0) }

    private func followsAdam(_ variable: Variable) -> Bool {
        if variable.shape.rank != 2 { return true }
        if arguments.bool("exclude_embeddings"), variable.name.lowercased().contains("embedding") { return true }
        let names = (arguments["exclude_layers"].arrayValue ?? []).compactMap(\.stringValue)
        return names.contains { !$0.isEmpty && variable.name.contains($0) }
    }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "momentum")] + (followsAdam(variable) ? [Slot(name: "velocity")] : [])
    }

    override func weightDecay(for variable: Variable) -> Double {
        arguments.float(followsAdam(variable) ? "adam_weight_decay" : "weight_decay")
    }

    override func update(_ u: Update) throws -> [Value] {
        let w = try u.decayed()
        if u.states.count > 1 {
            let rate = try multiply(u.rate, constant(arguments.float("adam_lr_ratio"), like: u.rate))
            let result = try adamUpdate(
                w, u.gradient, momentum: u.states[0], velocity: u.states[1], learningRate: rate, iterations: u.iterations,
                beta1: arguments.float("adam_beta_1"), beta2: arguments.float("adam_beta_2"), epsilon: arguments.float("epsilon"))
            return [result.w, result.momentum, result.velocity]
        }
        let momentum = try constant(arguments.float("momentum"), w.type)
        let m = try add(multiply(u.states[0], momentum), u.gradient)
        var x = arguments.bool("nesterov") ? try add(u.gradient, multiply(m, momentum)) : m
        let (rows, columns) = (w.shape[0], w.shape[1])
        if rows > columns { x = try transpose(x) }
        x = try divide(x, add(sqrt(sum(square(x))), constant(1e-7, w.type)))
        let (a, b, c) = (arguments.float("muon_a"), arguments.float("muon_b"), arguments.float("muon_c"))
        for _ in 0..<arguments.int("ns_steps") {
            let square = try matmul(x, transpose(x))
            let polynomial = try add(scale(square, b), scale(matmul(square, square), c))
            x = try add(scale(x, a), matmul(polynomial, x))
        }
        if rows > columns { x = try transpose(x) }
        if let size = arguments.optionalFloat("rms_rate") { x = try scale(x, Double(Swift.max(rows, columns)).squareRoot() * size) }
        return [try subtract(w, multiply(x, cast(u.rate, w.type))), m]
    }
}
