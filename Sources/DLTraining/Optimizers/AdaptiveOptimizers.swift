import CDLKernels
import DLBase
import DLGraph
import DLOps
import DLTensor

/// What Adam and AdamW have in common.
package class Adam: Optimizer {
    fileprivate static let moments: [Argument] = [
        share("beta_1", 0.9, "Share of the old in the mean."), share("beta_2", 0.999, "Share of the old in the mean square."),
        epsilon(), Argument("amsgrad", .bool, false, "Whether the mean square may never shrink."),
    ]

    static let declaration = Optimizers.declare(
        "Adam", "adam", "Moving mean and mean square of the gradient, corrected for their start at 0.",
        formula: "m = m + (g - m)(1 - beta_1); v = v + (g^2 - v)(1 - beta_2); "
            + "w = w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)",
        source: "Kingma and Ba, Adam: a method for stochastic optimization, 2014; Keras", learningRate: 0.001, moments
    ) { try Adam($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "momentum"), Slot(name: "velocity")] + (arguments.bool("amsgrad") ? [Slot(name: "velocity_hat")] : [])
    }

    override func update(_ u: Update) throws -> [Value] {
        let result = try adamUpdate(
            u.value, u.gradient, momentum: u.states[0], velocity: u.states[1],
            velocityHat: u.states.count > 2 ? u.states[2] : nil, learningRate: u.rate, iterations: u.iterations,
            beta1: arguments.float("beta_1"), beta2: arguments.float("beta_2"), epsilon: arguments.float("epsilon"),
            weightDecay: u.decay)
        return [result.w, result.momentum, result.velocity] + [result.velocityHat].compactMap { $0 }
    }
}

package final class AdamW: Adam {
    static let adamWDeclaration = Optimizers.declare(
        "AdamW", "adamw", "Adam with weight decay apart from the gradient.",
        formula: "w = w - lr weight_decay w, then as Adam",
        source: "Loshchilov and Hutter, Decoupled weight decay regularization, 2017; Keras", learningRate: 0.001,
        weightDecay: 0.004, moments
    ) { try AdamW($0) }
}

package final class Adamax: Optimizer {
    static let declaration = Optimizers.declare(
        "Adamax", "adamax", "Adam with the largest gradient in the mean square's place.",
        formula: "m = m + (g - m)(1 - beta_1); u = max(beta_2 u, |g|); w = w - lr / (1 - beta_1^t) m / (u + epsilon)",
        source: "Kingma and Ba, Adam, 2014, section 7.1; Keras", learningRate: 0.001,
        [share("beta_1", 0.9, "Share of the old in the mean."), share("beta_2", 0.999, "Share of the old in the maximum."), epsilon()]
    ) { try Adamax($0) }

    override func slots(for variable: Variable) -> [Slot] { [Slot(name: "momentum"), Slot(name: "norm")] }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.adamax(
            u.value, u.gradient, u.states, [u.rate, u.iterations], config(["beta_1", "beta_2", "epsilon"], decay: u.decay))
    }
}

package final class Nadam: Optimizer {
    static let declaration = Optimizers.declare(
        "Nadam", "nadam", "Adam with Nesterov's momentum.",
        formula: "u(t) = beta_1 (1 - 0.96^t / 2); U = u(1) ... u(t); m, v as in Adam; "
            + "w = w - lr (u(t+1) m / (1 - U u(t+1)) + (1 - u(t)) g / (1 - U)) / (sqrt(v / (1 - beta_2^t)) + epsilon)",
        source: "Dozat, Incorporating Nesterov momentum into Adam, 2015; Keras", learningRate: 0.001,
        [share("beta_1", 0.9, "Share of the old in the mean."), share("beta_2", 0.999, "Share of the old in the mean square."), epsilon()]
    ) { try Nadam($0) }

    private let product: Variable

    override init(_ arguments: Arguments) throws {
        product = Variable(try Tensor(scalar: 1.0), name: "u_product", trainable: false)
        try super.init(arguments)
    }

    override package var scalars: [Variable] { [product] }

    override func prepare(iterations: Value) throws -> [Value] {
        let t = try add(cast(iterations, .float64), constant(1, .float64))
        let decayed = try power(constant(0.96, .float64), t)
        let share = try scale(decayed, -0.5 * arguments.float("beta_1"), arguments.float("beta_1"))
        return [try multiply(product.value, share)]
    }

    override func slots(for variable: Variable) -> [Slot] { [Slot(name: "momentum"), Slot(name: "velocity")] }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.nadam(
            u.value, u.gradient, u.states, [u.rate, u.iterations, product.value],
            config(["beta_1", "beta_2", "epsilon"], decay: u.decay))
    }
}

package final class Adagrad: Optimizer {
    static let declaration = Optimizers.declare(
        "Adagrad", "adagrad", "Divides the gradient by the root of all its squares so far.",
        formula: "a = a + g^2; w = w - lr g / sqrt(a + epsilon)",
        source: "Duchi, Hazan and Singer, Adaptive subgradient methods, 2011; Keras", learningRate: 0.001,
        [Argument("initial_accumulator_value", .float(Argument.notNegative), 0.1, "What the squares begin with."), epsilon()]
    ) { try Adagrad($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "accumulator", initial: arguments.float("initial_accumulator_value"))]
    }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.adagrad(u.value, u.gradient, u.states, [u.rate], config(["epsilon"], decay: u.decay))
    }
}

package final class Adadelta: Optimizer {
    static let declaration = Optimizers.declare(
        "Adadelta", "adadelta", "Divides the gradient by its moving root mean square, and multiplies it by that of the updates.",
        formula: "a = rho a + (1 - rho) g^2; s = g sqrt(d + epsilon) / sqrt(a + epsilon); d = rho d + (1 - rho) s^2; w = w - lr s",
        source: "Zeiler, Adadelta: an adaptive learning rate method, 2012; Keras", learningRate: 0.001,
        [share("rho", 0.95, "Share of the old in the mean squares."), epsilon()]
    ) { try Adadelta($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "accumulated_grad"), Slot(name: "accumulated_delta_var")]
    }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.adadelta(u.value, u.gradient, u.states, [u.rate], config(["rho", "epsilon"], decay: u.decay))
    }
}

package final class Ftrl: Optimizer {
    private static let strengths = [
        "learning_rate_power", "l1_regularization_strength", "l2_regularization_strength",
        "l2_shrinkage_regularization_strength", "beta",
    ]

    static let declaration = Optimizers.declare(
        "Ftrl", "ftrl", "Follows the regularized leader; l1 makes weights exactly 0.",
        formula: "n = a + g^2; l = l + g + 2 shrinkage w - (n^-p - a^-p) / lr w; a = n; "
            + "w = (clip(l, -l1, l1) - l) / (n^-p / lr + 2 l2 + beta / lr) with p = learning_rate_power",
        source: "McMahan et al., Ad click prediction: a view from the trenches, 2013; Keras", learningRate: 0.001,
        [
            Argument("learning_rate_power", .float(-Double.greatestFiniteMagnitude...0), -0.5, "How the rate falls as squares add up; at most 0."),
            Argument("initial_accumulator_value", .float(Argument.notNegative), 0.1, "What the squares begin with."),
            Argument("l1_regularization_strength", .float(Argument.notNegative), 0.0, "Penalty on magnitudes."),
            Argument("l2_regularization_strength", .float(Argument.notNegative), 0.0, "Penalty on squares."),
            Argument("l2_shrinkage_regularization_strength", .float(Argument.notNegative), 0.0, "Penalty on squares by the gradient."),
            Argument("beta", .float(Argument.anyFloat), 0.0, "Adds to the l2 penalty by the rate."),
        ]
    ) { try Ftrl($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "accumulator", initial: arguments.float("initial_accumulator_value")), Slot(name: "linear")]
    }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.ftrl(u.value, u.gradient, u.states, [u.rate], config(Ftrl.strengths, decay: u.decay))
    }
}

package final class Lion: Optimizer {
    static let declaration = Optimizers.declare(
        "Lion", "lion", "Follows the sign of a mean of gradients.",
        formula: "w = w - lr sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g",
        source: "Chen et al., Symbolic discovery of optimization algorithms, 2023; Keras", learningRate: 0.001,
        [
            Argument("beta_1", .float(1e-30...1), 0.9, "Share of the mean in the direction; above 0."),
            share("beta_2", 0.99, "Share of the old in the mean."),
        ]
    ) { try Lion($0) }

    override func slots(for variable: Variable) -> [Slot] { [Slot(name: "momentum")] }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.lion(u.value, u.gradient, u.states, [u.rate], config(["beta_1", "beta_2"], decay: u.decay))
    }
}
