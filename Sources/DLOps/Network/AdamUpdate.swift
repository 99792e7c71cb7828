import DLBase
import DLGraph
import DLKernels
import DLTensor

/// One step of Adam, AMSGrad or AdamW.
struct AdamUpdate: DeclaredOperation {
    var beta1 = 0.9
    var beta2 = 0.999
    var epsilon = 1e-7
    var amsgrad = false
    var weightDecay = 0.0

    static let declaration = Declaration<any Operation>(
        "adam_update", "One step of Adam, of AdamW with weight_decay, of AMSGrad with amsgrad.",
        formula: "t = iterations + 1; rate = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t); m' = m + (1 - beta_1) (g - m); "
            + "v' = v + (1 - beta_2) (g^2 - v); h' = max(h, v') with amsgrad, else v'; w' = w - rate m' / (sqrt(h') + epsilon)",
        source: "Keras 3, keras.optimizers.Adam; D. P. Kingma, J. Ba: Adam, 2014 (arXiv:1412.6980), section 2; "
            + "S. Reddi et al.: On the convergence of Adam and beyond, 2018; I. Loshchilov, F. Hutter: Decoupled weight decay "
            + "regularization, 2017 (arXiv:1711.05101)",
        shapes: "w, g, m, v, h if amsgrad (one shape), learning_rate (), iterations () -> w', m', v', h'",
        extra: networkExtra("w", "g", "m", "v", "h", "learning_rate", "iterations", internal: true),
        arguments: [
            Argument("beta_1", .float(Argument.fraction), 0.9, "share of the old mean that is kept"),
            Argument("beta_2", .float(Argument.fraction), 0.999, "share of the old mean square that is kept"),
            OptimizerUpdate.epsilon(1e-7),
            Argument("amsgrad", .bool, false, "divides by the largest mean square so far"),
            OptimizerUpdate.weightDecay,
        ]
    ) {
        AdamUpdate(
            beta1: $0.float("beta_1"), beta2: $0.float("beta_2"), epsilon: $0.float("epsilon"),
            amsgrad: $0.bool("amsgrad"), weightDecay: $0.float("weight_decay"))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([3, 5]), .uniform([3, 5]), .uniform([3, 5]), .uniform([3, 5], 0...1),
                .given([0.1], .scalar, .float32), .given([0], .scalar, .int64), differentiable: false),
            OperationSample(
                .uniform([7]), .uniform([7]), .uniform([7]), .uniform([7], 0...1), .uniform([7], 0...2),
                .given([0.1], .scalar, .float32), .given([41], .scalar, .int64),
                attributes: ["amsgrad": true, "weight_decay": 0.01], differentiable: false),
        ]
    }

    var attributes: JSON {
        nonDefault(
            AdamUpdate.declaration, ("beta_1", .double(beta1)), ("beta_2", .double(beta2)),
            ("epsilon", .double(epsilon)), ("amsgrad", .bool(amsgrad)), ("weight_decay", .double(weightDecay)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try OptimizerUpdate.outputs(
            inputs, slots: ["momentum", "velocity"] + (amsgrad ? ["velocity_hat"] : []),
            scalars: ["learning_rate", "iterations"], name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try OptimizerKernels.adam(self, inputs)
    }
}

/// The new weight and moments after one step of Adam; `iterations` is the number of steps before this one.
package func adamUpdate(
    _ w: Value, _ g: Value, momentum: Value, velocity: Value, velocityHat: Value? = nil, learningRate: Value,
    iterations: Value, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-7, weightDecay: Double = 0
) throws -> (w: Value, momentum: Value, velocity: Value, velocityHat: Value?) {
    let operation = AdamUpdate(
        beta1: beta1, beta2: beta2, epsilon: epsilon, amsgrad: velocityHat != nil, weightDecay: weightDecay)
    let outputs = try DLGraph.apply(
        operation, to: [w, g, momentum, velocity] + (velocityHat.map { [$0] } ?? []) + [learningRate, iterations])
    return (outputs[0], outputs[1], outputs[2], velocityHat == nil ? nil : outputs[3])
}
