import DLBase
import DLGraph
import DLKernels
import DLTensor

/// One step of gradient descent.
struct SGDUpdate: DeclaredOperation {
    var weightDecay = 0.0

    static let declaration = Declaration<any Operation>(
        "sgd_update", "One step of gradient descent.",
        formula: "w' = w - weight_decay rate w - rate g",
        source: "Keras 3, keras.optimizers.SGD",
        shapes: "w, g (one shape), learning_rate () -> w'",
        extra: networkExtra("w", "g", "learning_rate"),
        arguments: [OptimizerUpdate.weightDecay]
    ) { SGDUpdate(weightDecay: $0.float("weight_decay")) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([3, 5]), .uniform([3, 5]), .given([0.1], .scalar, .float32), differentiable: false),
            OperationSample(
                .uniform([7]), .uniform([7]), .given([0.1], .scalar, .float64), attributes: ["weight_decay": 0.5],
                differentiable: false),
        ]
    }

    var attributes: JSON { nonDefault(SGDUpdate.declaration, ("weight_decay", .double(weightDecay))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try OptimizerUpdate.outputs(inputs, slots: [], scalars: ["learning_rate"], name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try OptimizerKernels.sgd(inputs, weightDecay: weightDecay)
    }
}

/// One step of gradient descent with momentum.
struct MomentumUpdate: DeclaredOperation {
    var momentum = 0.9
    var nesterov = false
    var weightDecay = 0.0

    static let declaration = Declaration<any Operation>(
        "momentum_update", "One step of gradient descent with momentum, plain or Nesterov's.",
        formula: "m' = momentum m - rate g; w' = w + m', or w + momentum m' - rate g with nesterov",
        source: "Keras 3, keras.optimizers.SGD; I. Sutskever et al.: On the importance of initialization and momentum, 2013",
        shapes: "w, g, m (one shape), learning_rate () -> w', m'",
        extra: networkExtra("w", "g", "m", "learning_rate"),
        arguments: [
            Argument("momentum", .float(Argument.fraction), 0.9, "share of the last step that is kept"),
            Argument("nesterov", .bool, false, "looks one step ahead"),
            OptimizerUpdate.weightDecay,
        ]
    ) {
        MomentumUpdate(
            momentum: $0.float("momentum"), nesterov: $0.bool("nesterov"), weightDecay: $0.float("weight_decay"))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([3, 5]), .uniform([3, 5]), .uniform([3, 5]), .given([0.1], .scalar, .float32),
                differentiable: false),
            OperationSample(
                .uniform([7]), .uniform([7]), .uniform([7]), .given([0.1], .scalar, .float32),
                attributes: ["nesterov": true, "momentum": 0.5], differentiable: false),
        ]
    }

    var attributes: JSON {
        nonDefault(
            MomentumUpdate.declaration, ("momentum", .double(momentum)), ("nesterov", .bool(nesterov)),
            ("weight_decay", .double(weightDecay)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try OptimizerUpdate.outputs(inputs, slots: ["momentum"], scalars: ["learning_rate"], name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try OptimizerKernels.momentum(inputs, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
    }
}

/// The new weight after one step of gradient descent.
package func sgdUpdate(_ w: Value, _ g: Value, learningRate: Value, weightDecay: Double = 0) throws -> Value {
    try DLGraph.apply(SGDUpdate(weightDecay: weightDecay), w, g, learningRate)
}

/// The new weight and momentum after one step of gradient descent with momentum.
package func momentumUpdate(
    _ w: Value, _ g: Value, momentum slot: Value, learningRate: Value, momentum: Double, nesterov: Bool = false,
    weightDecay: Double = 0
) throws -> (w: Value, momentum: Value) {
    let operation = MomentumUpdate(momentum: momentum, nesterov: nesterov, weightDecay: weightDecay)
    let outputs = try DLGraph.apply(operation, to: [w, g, slot, learningRate])
    return (outputs[0], outputs[1])
}
