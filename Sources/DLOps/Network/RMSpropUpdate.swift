import DLBase
import DLGraph
import DLKernels
import DLTensor

/// One step of RMSprop.
struct RMSpropUpdate: DeclaredOperation {
    var rho = 0.9
    var momentum = 0.0
    var epsilon = 1e-7
    var centered = false
    var weightDecay = 0.0

    static let declaration = Declaration<any Operation>(
        "rmsprop_update", "One step of RMSprop.",
        formula: "v' = rho v + (1 - rho) g^2; a' = rho a + (1 - rho) g if centered; s = rate g / sqrt(v' - a'^2 + epsilon); "
            + "m' = momentum m + s if momentum > 0; w' = w - m', or w - s",
        source: "Keras 3, keras.optimizers.RMSprop; T. Tieleman, G. Hinton: Lecture 6.5, 2012",
        shapes: "w, g, v, a if centered, m if momentum > 0 (one shape), learning_rate () -> w', v', a', m'",
        extra: networkExtra("w", "g", "v", "a", "m", "learning_rate", internal: true),
        arguments: [
            Argument("rho", .float(Argument.fraction), 0.9, "share of the old mean square that is kept"),
            Argument("momentum", .float(Argument.fraction), 0.0, "share of the last step that is kept"),
            OptimizerUpdate.epsilon(1e-7),
            Argument("centered", .bool, false, "divides by the deviation instead of the mean square"),
            OptimizerUpdate.weightDecay,
        ]
    ) {
        RMSpropUpdate(
            rho: $0.float("rho"), momentum: $0.float("momentum"), epsilon: $0.float("epsilon"),
            centered: $0.bool("centered"), weightDecay: $0.float("weight_decay"))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([3, 5]), .uniform([3, 5]), .uniform([3, 5], 0.1...1), .given([0.1], .scalar, .float32),
                differentiable: false),
            OperationSample(
                .uniform([7]), .uniform([7]), .uniform([7], 1...2), .uniform([7], -0.5...0.5), .uniform([7]),
                .given([0.1], .scalar, .float32), attributes: ["centered": true, "momentum": 0.5],
                differentiable: false),
        ]
    }

    var attributes: JSON {
        nonDefault(
            RMSpropUpdate.declaration, ("rho", .double(rho)), ("momentum", .double(momentum)),
            ("epsilon", .double(epsilon)), ("centered", .bool(centered)), ("weight_decay", .double(weightDecay)))
    }

    private var slots: [String] {
        ["velocity"] + (centered ? ["average_gradient"] : []) + (momentum > 0 ? ["momentum"] : [])
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try OptimizerUpdate.outputs(inputs, slots: slots, scalars: ["learning_rate"], name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try OptimizerKernels.rmsprop(self, inputs)
    }
}

/// The new weight and slots after one step of RMSprop; `averageGradient` makes it centered, `momentum` takes part where
/// `momentumFactor` is above 0.
package func rmspropUpdate(
    _ w: Value, _ g: Value, velocity: Value, averageGradient: Value? = nil, momentum: Value? = nil, learningRate: Value,
    rho: Double = 0.9, momentumFactor: Double = 0, epsilon: Double = 1e-7, weightDecay: Double = 0
) throws -> (w: Value, velocity: Value, averageGradient: Value?, momentum: Value?) {
    let moves = momentum != nil && momentumFactor > 0
    let operation = RMSpropUpdate(
        rho: rho, momentum: moves ? momentumFactor : 0, epsilon: epsilon, centered: averageGradient != nil,
        weightDecay: weightDecay)
    var inputs = [w, g, velocity]
    if let averageGradient { inputs.append(averageGradient) }
    if moves, let momentum { inputs.append(momentum) }
    let outputs = try DLGraph.apply(operation, to: inputs + [learningRate])
    return (
        outputs[0], outputs[1], averageGradient == nil ? nil : outputs[2],
        moves ? outputs[outputs.count - 1] : nil
    )
}
