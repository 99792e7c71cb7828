import DLBase
import DLGraph
import DLOps
import DLTensor

/// Stochastic gradient descent.
package final class SGD: Optimizer {
    static let declaration = Optimizers.declare(
        "SGD", "sgd", "Gradient descent, with momentum where wanted.",
        formula: "m = momentum m - lr g; w = w + m, or w = w + momentum m - lr g with nesterov",
        source: "Sutskever et al., On the importance of initialization and momentum in deep learning, 2013; Keras",
        learningRate: 0.01,
        [
            share("momentum", 0, "Share of the last update that goes on."),
            Argument("nesterov", .bool, false, "Whether the gradient is taken ahead."),
        ]
    ) { try SGD($0) }

    override func slots(for variable: Variable) -> [Slot] {
        arguments.float("momentum") > 0 ? [Slot(name: "momentum")] : []
    }

    override func update(_ u: Update) throws -> [Value] {
        guard let momentum = u.states.first else {
            return [try sgdUpdate(u.value, u.gradient, learningRate: u.rate, weightDecay: u.decay)]
        }
        let result = try momentumUpdate(
            u.value, u.gradient, momentum: momentum, learningRate: u.rate, momentum: arguments.float("momentum"),
            nesterov: arguments.bool("nesterov"), weightDecay: u.decay)
        return [result.w, result.momentum]
    }
}

package final class RMSprop: Optimizer {
    static let declaration = Optimizers.declare(
        "RMSprop", "rmsprop", "Divides the gradient by a moving root of its mean square.",
        formula: "v = rho v + (1 - rho) g^2; w = w - lr g / sqrt(v + epsilon)",
        source: "Tieleman and Hinton, Lecture 6.5, 2012; Keras", learningRate: 0.001,
        [
            share("rho", 0.9, "Share of the old in the mean square."),
            share("momentum", 0, "Share of the last update that goes on."), epsilon(),
            Argument("centered", .bool, false, "Whether the mean is taken off the mean square."),
        ]
    ) { try RMSprop($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "velocity")] + (arguments.float("momentum") > 0 ? [Slot(name: "momentum")] : [])
            + (arguments.bool("centered") ? [Slot(name: "average_gradient")] : [])
    }

    override func update(_ u: Update) throws -> [Value] {
        let moves = arguments.float("momentum") > 0
        let centered = arguments.bool("centered")
        let result = try rmspropUpdate(
            u.value, u.gradient, velocity: u.states[0], averageGradient: centered ? u.states[u.states.count - 1] : nil,
            momentum: moves ? u.states[1] : nil, learningRate: u.rate, rho: arguments.float("rho"),
            momentumFactor: arguments.float("momentum"), epsilon: arguments.float("epsilon"), weightDecay: u.decay)
        return [result.w, result.velocity] + [moves ? result.momentum : nil, centered ? result.averageGradient : nil].compactMap { $0 }
    }
}

/// Signs instead of gradients, with a step size for each weight; for whole data sets in one batch.
package final class Rprop: Optimizer {
    static let declaration = Optimizers.declare(
        "Rprop", "rprop", "Follows the gradient's sign, with a step size for each weight that grows while the sign stays; for full batches.",
        formula: "where g keeps its sign: s = min(eta_plus s, step_max); where it turns: s = max(eta_minus s, step_min) and g = 0; "
            + "w = w - sign(g) s; s begins as lr",
        source: "Riedmiller and Braun, A direct adaptive method for faster backpropagation learning, 1993; torch.optim.Rprop",
        learningRate: 0.01,
        [
            share("eta_minus", 0.5, "Factor of the step size where the gradient turned."),
            Argument("eta_plus", .float(1...1e6), 1.2, "Factor of the step size where it did not."),
            Argument("step_min", .float(Argument.notNegative), 1e-6, "Smallest step size."),
            Argument("step_max", .float(Argument.notNegative), 50.0, "Largest step size."),
        ]
    ) { try Rprop($0) }

    override func slots(for variable: Variable) -> [Slot] {
        [Slot(name: "gradient"), Slot(name: "step_size", initial: learningRateShortest)]
    }

    override func update(_ u: Update) throws -> [Value] {
        try UpdateRules.rprop(
            u.decayed(), u.gradient, u.states, [], config(["eta_minus", "eta_plus", "step_min", "step_max"], decay: 0))
    }
}
