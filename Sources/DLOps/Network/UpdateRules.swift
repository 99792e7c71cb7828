import CDLKernels
import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The rules of optimizers that have no operation of their own.
package enum UpdateRules {
    private static func share(_ name: String, _ value: Double, _ doc: String) -> Argument {
        Argument(name, .float(Argument.fraction), .double(value), doc)
    }

    private static let beta1 = share("beta_1", 0.9, "share of the old mean that is kept")

    package static let adagrad = UpdateFamily(
        "adagrad_update", "One step of Adagrad.", formula: "a' = a + g^2; w' = w - rate g / sqrt(a' + epsilon)",
        source: "J. Duchi, E. Hazan, Y. Singer: Adaptive subgradient methods, 2011; Keras 3, keras.optimizers.Adagrad",
        slots: ["accumulator"], scalars: ["learning_rate"], [OptimizerUpdate.epsilon(1e-7)]
    ) { arguments in
        let epsilon = arguments.float("epsilon")
        return { .adagrad(rate: $0[0], epsilon: epsilon) }
    }

    package static let adadelta = UpdateFamily(
        "adadelta_update", "One step of Adadelta.",
        formula: "a' = rho a + (1 - rho) g^2; s = g sqrt(d + epsilon) / sqrt(a' + epsilon); d' = rho d + (1 - rho) s^2; "
            + "w' = w - rate s",
        source: "M. D. Zeiler: Adadelta: an adaptive learning rate method, 2012 (arXiv:1212.5701); Keras 3, keras.optimizers.Adadelta",
        slots: ["accumulated_grad", "accumulated_delta_var"], scalars: ["learning_rate"],
        [share("rho", 0.95, "share of the old mean squares that is kept"), OptimizerUpdate.epsilon(1e-7)]
    ) { arguments in
        let (rho, epsilon) = (arguments.float("rho"), arguments.float("epsilon"))
        return { .adadelta(rate: $0[0], rho: rho, epsilon: epsilon) }
    }

    package static let adamax = UpdateFamily(
        "adamax_update", "One step of Adamax.",
        formula: "t = iterations + 1; m' = m + (1 - beta_1)(g - m); u' = max(beta_2 u, |g|); "
            + "w' = w - rate / (1 - beta_1^t) m' / (u' + epsilon)",
        source: "D. P. Kingma, J. Ba: Adam, 2014 (arXiv:1412.6980), section 7.1; Keras 3, keras.optimizers.Adamax",
        slots: ["momentum", "norm"],
        [beta1, share("beta_2", 0.999, "share of the old largest gradient that is kept"), OptimizerUpdate.epsilon(1e-7)]
    ) { arguments in
        let (beta1, beta2) = (arguments.float("beta_1"), arguments.float("beta_2"))
        let epsilon = arguments.float("epsilon")
        return { .adamax(rate: $0[0] / (1 - power(beta1, $0[1] + 1)), beta1: beta1, beta2: beta2, epsilon: epsilon) }
    }

    package static let nadam = UpdateFamily(
        "nadam_update", "One step of Nadam, Adam with Nesterov's momentum.",
        formula: "t = iterations + 1; u(t) = beta_1 (1 - 0.96^t / 2); U = u(1) ... u(t); m' = m + (1 - beta_1)(g - m); "
            + "v' = v + (1 - beta_2)(g^2 - v); s = u(t+1) m' / (1 - U u(t+1)) + (1 - u(t)) g / (1 - U); "
            + "w' = w - rate s / (sqrt(v' / (1 - beta_2^t)) + epsilon)",
        source: "T. Dozat: Incorporating Nesterov momentum into Adam, 2015; Keras 3, keras.optimizers.Nadam",
        slots: ["momentum", "velocity"], scalars: ["learning_rate", "iterations", "u_product"],
        [beta1, share("beta_2", 0.999, "share of the old mean square that is kept"), OptimizerUpdate.epsilon(1e-7)]
    ) { arguments in
        let (beta1, beta2) = (arguments.float("beta_1"), arguments.float("beta_2"))
        let epsilon = arguments.float("epsilon")
        return { scalars in
            let t = scalars[1] + 1
            let (now, next) = (nadamShare(beta1, t), nadamShare(beta1, t + 1))
            return .nadam(
                rate: scalars[0], beta1: beta1, beta2: beta2, ofMean: next / (1 - scalars[2] * next),
                ofGradient: (1 - now) / (1 - scalars[2]), correction: 1 / (1 - power(beta2, t)), epsilon: epsilon)
        }
    }

    private static let strength = Argument.Kind.float(Argument.notNegative)

    package static let ftrl = UpdateFamily(
        "ftrl_update", "One step of Ftrl, which follows the regularized leader.",
        formula: "n' = n + g^2; l' = l + g + 2 shrinkage w - (n'^-p - n^-p) / rate w; "
            + "w' = (clip(l', -l1, l1) - l') / (n'^-p / rate + 2 l2 + beta / rate)",
        source: "H. B. McMahan et al.: Ad click prediction, 2013; Keras 3, keras.optimizers.Ftrl",
        slots: ["accumulator", "linear"], scalars: ["learning_rate"],
        [
            Argument("learning_rate_power", .float(-Double.greatestFiniteMagnitude...0), -0.5, "p: how the rate falls as gradients add up"),
            Argument("l1_regularization_strength", strength, 0.0, "l1"),
            Argument("l2_regularization_strength", strength, 0.0, "l2"),
            Argument("l2_shrinkage_regularization_strength", strength, 0.0, "shrinkage: a penalty on the gradient's side"),
            Argument("beta", .float(Argument.anyFloat), 0.0, "beta"),
        ]
    ) { arguments in
        let exponent = -arguments.float("learning_rate_power")
        let l1 = arguments.float("l1_regularization_strength")
        let l2 = 2 * arguments.float("l2_regularization_strength")
        let shrinkage = 2 * arguments.float("l2_shrinkage_regularization_strength")
        let beta = arguments.float("beta")
        return { .ftrl(rate: $0[0], power: exponent, l1: l1, l2: l2 + beta / $0[0], shrinkage: shrinkage) }
    }

    package static let lion = UpdateFamily(
        "lion_update", "One step of Lion.",
        formula: "w' = w - rate sign(beta_1 m + (1 - beta_1) g); m' = beta_2 m + (1 - beta_2) g",
        source: "X. Chen et al.: Symbolic discovery of optimization algorithms, 2023 (arXiv:2302.06675); Keras 3, keras.optimizers.Lion",
        slots: ["momentum"], scalars: ["learning_rate"],
        [share("beta_1", 0.9, "share of the mean in the direction"), share("beta_2", 0.99, "share of the old mean that is kept")]
    ) { arguments in
        let (beta1, beta2) = (arguments.float("beta_1"), arguments.float("beta_2"))
        return { .lion(rate: $0[0], beta1: beta1, beta2: beta2) }
    }

    package static let rprop = UpdateFamily(
        "rprop_update", "One step of Rprop: the sign of the gradient alone, with a step size for each weight.",
        formula: "where a g > 0: s' = min(eta_plus s, step_max); where a g < 0: s' = max(eta_minus s, step_min) and g = 0; "
            + "w' = w - sign(g) s'; a' = g",
        source: "M. Riedmiller, H. Braun: A direct adaptive method for faster backpropagation learning, 1993; torch.optim.Rprop",
        slots: ["gradient", "step_size"], scalars: [],
        [
            Argument("eta_minus", .float(Argument.fraction), 0.5, "factor of the step size where the gradient turned"),
            Argument("eta_plus", .float(1...1e6), 1.2, "factor of the step size where it did not"),
            Argument("step_min", .float(Argument.notNegative), 1e-6, "smallest step size"),
            Argument("step_max", .float(Argument.notNegative), 50.0, "largest step size"),
        ]
    ) { arguments in
        let rule = UpdateRule.rprop(
            up: arguments.float("eta_plus"), down: arguments.float("eta_minus"), smallest: arguments.float("step_min"),
            largest: arguments.float("step_max"))
        return { _ in rule }
    }

    package static let lamb = UpdateFamily(
        "lamb_direction", "The direction of one step of Lamb, and the new moments.",
        formula: "t = iterations + 1; m' = m + (1 - beta_1)(g - m); v' = v + (1 - beta_2)(g^2 - v); "
            + "w' = m' / (1 - beta_1^t) / (sqrt(v' / (1 - beta_2^t)) + epsilon)",
        source: "Y. You et al.: Large batch optimization for deep learning, 2019 (arXiv:1904.00962); Keras 3, keras.optimizers.Lamb",
        slots: ["momentum", "velocity"], isWeightUpdate: false,
        [beta1, share("beta_2", 0.999, "share of the old mean square that is kept"), OptimizerUpdate.epsilon(1e-7)]
    ) { arguments in
        let (beta1, beta2) = (arguments.float("beta_1"), arguments.float("beta_2"))
        let epsilon = arguments.float("epsilon")
        return {
            .lamb(
                beta1: beta1, beta2: beta2, first: 1 / (1 - power(beta1, $0[1] + 1)), second: 1 / (1 - power(beta2, $0[1] + 1)),
                epsilon: epsilon)
        }
    }

    package static let average = UpdateFamily(
        "average_update", "One step of a moving average that begins with what it averages.",
        formula: "w' = w + (1 - momentum)(g - w) once iterations > 0, before that g",
        source: "Keras 3, keras.optimizers.Optimizer, ema_momentum",
        slots: [], scalars: ["iterations"], isWeightUpdate: false,
        [share("momentum", 0.99, "share of the old average that is kept")]
    ) { arguments in
        let momentum = arguments.float("momentum")
        return { .average(keep: $0[0] > 0 ? momentum : 0) }
    }

    static let operations: [OperationEntry] = [
        adagrad.samples(["epsilon": 0.1, "weight_decay": 0.5]), adadelta.samples(["rho": 0.5]),
        adamax.samples(["beta_1": 0.5, "epsilon": 0.5]), nadam.samples(["weight_decay": 0.01]),
        ftrl.samples(["l1_regularization_strength": 0.1, "learning_rate_power": -0.6, "beta": 0.5]), lion.samples(["beta_2": 0.5]),
        rprop.samples(["eta_plus": 2]), lamb.samples(["beta_2": 0.9]), average.samples(["momentum": 0.5]),
    ]

    private static func power(_ base: Double, _ exponent: Double) -> Double { dl_pow_d(base, exponent) }

    /// Nadam's u(t).
    private static func nadamShare(_ beta1: Double, _ t: Double) -> Double { beta1 * (1 - 0.5 * dl_pow_d(0.96, t)) }
}
