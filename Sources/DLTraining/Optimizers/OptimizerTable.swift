import DLBase
import DLGraph
import DLOps
import DLTensor

/// Every optimizer that has a name.
package enum Optimizers {
    package static let registry = Registry<Optimizer>(
        "optimizer", [SGD.declaration, RMSprop.declaration, Adam.declaration, AdamW.adamWDeclaration])

    fileprivate static func declare(
        _ name: String, _ alias: String, _ summary: String, formula: String, source: String, learningRate: Double,
        weightDecay: JSON = .null, _ arguments: [Argument], make: @escaping @Sendable (Arguments) throws -> Optimizer
    ) -> Declaration<Optimizer> {
        let limit = Argument.Kind.optional(.float(1e-30...1e30))
        let common: [Argument] = [
            Argument("weight_decay", .optional(.float(Argument.notNegative)), weightDecay, "Share of a weight, times the learning rate, that goes at each update."),
            Argument("clipnorm", limit, .null, "Longest gradient of a variable."),
            Argument("clipvalue", limit, .null, "Largest entry of a gradient."),
            Argument("global_clipnorm", limit, .null, "Longest gradient of all variables together."),
            Argument("use_ema", .bool, false, "Always false."), Argument("ema_momentum", .float(Argument.fraction), 0.99, "Unused without use_ema."),
            Argument("ema_overwrite_frequency", .any, .null, "Unused without use_ema."),
            Argument("loss_scale_factor", .any, .null, "Always null."), Argument("gradient_accumulation_steps", .any, .null, "Always null."),
            Argument("name", .optional(.string), .string(alias), "The name."),
        ]
        return Declaration(
            name, aliases: [alias], summary, formula: formula, source: source,
            shapes: "one state of the variable's shape for each moment",
            arguments: [Argument("learning_rate", .float(Argument.notNegative), .double(learningRate), "How far an update goes.")]
                + arguments + common, make: make)
    }
}

/// Stochastic gradient descent.
package final class SGD: Optimizer {
    static let declaration = Optimizers.declare(
        "SGD", "sgd", "Gradient descent, with momentum where wanted.",
        formula: "m = momentum m - lr g; w = w + m, or w = w + momentum m - lr g with nesterov",
        source: "Sutskever et al., On the importance of initialization and momentum in deep learning, 2013; Keras",
        learningRate: 0.01,
        [
            Argument("momentum", .float(Argument.fraction), 0, "Share of the last update that goes on."),
            Argument("nesterov", .bool, false, "Whether the gradient is taken ahead."),
        ]
    ) { try SGD($0) }

    override var slotNames: [String] { arguments.float("momentum") > 0 ? ["momentum"] : [] }

    override func update(_ variable: Value, _ gradient: Value, _ states: [Value]) throws -> [Value] {
        guard let momentum = states.first else {
            return [try sgdUpdate(variable, gradient, learningRate: learningRate.value)]
        }
        let result = try momentumUpdate(
            variable, gradient, momentum: momentum, learningRate: learningRate.value,
            momentum: arguments.float("momentum"), nesterov: arguments.bool("nesterov"))
        return [result.w, result.momentum]
    }
}

package final class RMSprop: Optimizer {
    static let declaration = Optimizers.declare(
        "RMSprop", "rmsprop", "Divides the gradient by a moving root of its mean square.",
        formula: "v = rho v + (1 - rho) g^2; w = w - lr g / sqrt(v + epsilon)",
        source: "Tieleman and Hinton, Lecture 6.5, 2012; Keras", learningRate: 0.001,
        [
            Argument("rho", .float(Argument.fraction), 0.9, "Share of the old in the mean square."),
            Argument("momentum", .float(Argument.fraction), 0, "Share of the last update that goes on."),
            Argument("epsilon", .float(Argument.notNegative), 1e-7, "Keeps the root away from 0."),
            Argument("centered", .bool, false, "Whether the mean is taken off the mean square."),
        ]
    ) { try RMSprop($0) }

    override var slotNames: [String] {
        ["velocity"] + (arguments.float("momentum") > 0 ? ["momentum"] : []) + (arguments.bool("centered") ? ["average_gradient"] : [])
    }

    override func update(_ variable: Value, _ gradient: Value, _ states: [Value]) throws -> [Value] {
        let moves = arguments.float("momentum") > 0
        let centered = arguments.bool("centered")
        let result = try rmspropUpdate(
            variable, gradient, velocity: states[0], averageGradient: centered ? states[states.count - 1] : nil,
            momentum: moves ? states[1] : nil, learningRate: learningRate.value, rho: arguments.float("rho"),
            momentumFactor: arguments.float("momentum"), epsilon: arguments.float("epsilon"))
        return [result.w, result.velocity] + [moves ? result.momentum : nil, centered ? result.averageGradient : nil].compactMap { $0 }
    }
}

/// What Adam and AdamW have in common.
package class Adam: Optimizer {
    fileprivate static let moments: [Argument] = [
        Argument("beta_1", .float(Argument.fraction), 0.9, "Share of the old in the mean."),
        Argument("beta_2", .float(Argument.fraction), 0.999, "Share of the old in the mean square."),
        Argument("epsilon", .float(Argument.notNegative), 1e-7, "Keeps the root away from 0."),
        Argument("amsgrad", .bool, false, "Whether the mean square may never shrink."),
    ]

    static let declaration = Optimizers.declare(
        "Adam", "adam", "Moving mean and mean square of the gradient, corrected for their start at 0.",
        formula: "m = m + (g - m)(1 - beta_1); v = v + (g^2 - v)(1 - beta_2); "
            + "w = w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)",
        source: "Kingma and Ba, Adam: a method for stochastic optimization, 2014; Keras", learningRate: 0.001, moments
    ) { try Adam($0) }

    override var slotNames: [String] { ["momentum", "velocity"] + (arguments.bool("amsgrad") ? ["velocity_hat"] : []) }

    override func update(_ variable: Value, _ gradient: Value, _ states: [Value]) throws -> [Value] {
        let result = try adamUpdate(
            variable, gradient, momentum: states[0], velocity: states[1], velocityHat: states.count > 2 ? states[2] : nil,
            learningRate: learningRate.value, iterations: iterations.value, beta1: arguments.float("beta_1"),
            beta2: arguments.float("beta_2"), epsilon: arguments.float("epsilon"))
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
