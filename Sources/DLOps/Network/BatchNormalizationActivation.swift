import DLBase
import DLGraph

/// Batch normalisation in training with what follows it in residual networks: the addition of a shortcut, and ReLU. Only
/// the passes make it.
struct BatchNormalizationActivation: DeclaredOperation {
    var form = NormalizationForm()
    var residual = false

    static let residualArgument = Argument("residual", .bool, false, "there is an input to add before the ReLU")

    static let declaration = Declaration<any Operation>(
        "batch_normalization_activation",
        "Normalises each channel by the mean and the variance of the batch, adds a residual and applies ReLU.",
        formula: "y = max(0, gamma (x - mean) / sqrt(variance + epsilon) + beta + residual)",
        source: "S. Ioffe, C. Szegedy: Batch normalization, 2015 (arXiv:1502.03167); K. He et al.: Deep residual learning, 2015",
        shapes: "x (..., C), gamma (C,) if scale, beta (C,) if center, residual (..., C) if residual -> "
            + "y (..., C), mean (C,), variance (C,)",
        extra: networkExtra("x", "gamma", "beta", "residual", internal: true),
        arguments: NormalizationForm.arguments + [residualArgument]
    ) { BatchNormalizationActivation(form: NormalizationForm($0), residual: $0.bool("residual")) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([5, 3]), .uniform([3]), .uniform([3]), differentiable: false),
            OperationSample(
                .uniform([2, 2, 3, 2]), .uniform([2]), .uniform([2]), .uniform([2, 2, 3, 2]),
                attributes: ["residual": true], differentiable: false),
            OperationSample(
                .uniform([4, 2]), .uniform([4, 2]), attributes: ["residual": true, "scale": false, "center": false],
                differentiable: false),
        ]
    }

    var attributes: JSON { withResidual(form.attributes(BatchNormalizationActivation.declaration), residual) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let own = 1 + form.parameterNames.count
        try expectInputs(inputs, own + (residual ? 1 : 0), name)
        let outputs = try BatchNormalizationTraining(form: form).outputs(for: Array(inputs.prefix(own)))
        if residual, inputs[own] != inputs[0] {
            throw DLError(
                .shape, "[\(name)] the residual must have the shape of x. "
                    + received(("x", inputs[0]), ("residual", inputs[own])))
        }
        return outputs
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try NormalizationKernels.training(form, inputs[0], residual: residual, relu: true)
    }
}

/// Gradient of `batch_normalization_activation`.
///
/// Without a residual the mask of the ReLU is computed anew from x, so that y need not be read. With one, y is the mask and the
/// masked gradient is a result, since the residual has the same.
struct BatchNormalizationActivationGradient: DeclaredOperation {
    var form = NormalizationForm()
    var residual = false
    /// The gradient of y comes as two summands; only with a residual.
    var twoUpstreams = false

    static let declaration = Declaration<any Operation>(
        "batch_normalization_activation_gradient",
        "Gradients of batch_normalization_activation for x, gamma, beta and the residual.",
        formula: "g = (dy + dy2) where y > 0, else 0; then as batch_normalization_gradient with g for dy; the residual's is g",
        source: "S. Ioffe, C. Szegedy: Batch normalization, 2015 (arXiv:1502.03167)",
        shapes: "dy (..., C), dy2 (..., C) if two_upstreams, x (..., C), mean (C,), variance (C,), gamma (C,) if scale, beta (C,) if "
            + "center, y (..., C) if residual -> dx (..., C), dgamma (C,), dbeta (C,), g (..., C) if residual",
        extra: networkExtra("dy", "dy2", "x", "mean", "variance", "gamma", "beta", "y", internal: true),
        arguments: NormalizationForm.arguments + [
            BatchNormalizationActivation.residualArgument,
            Argument("two_upstreams", .bool, false, "the gradient of y is the sum of two inputs"),
        ]
    ) {
        BatchNormalizationActivationGradient(
            form: NormalizationForm($0), residual: $0.bool("residual"), twoUpstreams: $0.bool("two_upstreams"))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([5, 3]), .uniform([5, 3], gap: 0.01), .uniform([3]), .uniform([3], 0.5...2), .uniform([3]),
                .uniform([3]), differentiable: false),
            OperationSample(
                .uniform([5, 3]), .uniform([5, 3]), .uniform([3]), .uniform([3], 0.5...2), .uniform([3]), .uniform([3]),
                .uniform([5, 3], gap: 0.01), attributes: ["residual": true], differentiable: false),
            OperationSample(
                .uniform([5, 3]), .uniform([5, 3]), .uniform([5, 3]), .uniform([3]), .uniform([3], 0.5...2),
                .uniform([5, 3], gap: 0.01),
                attributes: ["residual": true, "two_upstreams": true, "scale": false, "center": false],
                differentiable: false),
        ]
    }

    var attributes: JSON {
        var object = withResidual(form.attributes(BatchNormalizationActivationGradient.declaration), residual)
        if twoUpstreams, case .object(var pairs) = object {
            pairs["two_upstreams"] = true
            object = .object(pairs)
        }
        return object
    }

    /// Where x stands among the inputs; mean, variance and the parameters follow.
    private var xPosition: Int { twoUpstreams ? 2 : 1 }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let count = xPosition + 3 + form.parameterNames.count + (residual ? 1 : 0)
        try expectInputs(inputs, count, name)
        let x = inputs[xPosition]
        let pictures = Array(inputs.prefix(xPosition)) + (residual ? [inputs[count - 1]] : [])
        for spec in pictures where spec != x {
            throw DLError(
                .shape, "[\(name)] the gradients and y must have the shape of x. " + received(("x", x), ("other", spec)))
        }
        try form.check(Array(inputs[xPosition..<count - (residual ? 1 : 0)]), ["mean", "variance"] + form.parameterNames, name)
        let channels = TensorSpec([x.shape.last], x.type)
        return [x, channels, channels] + (residual ? [x] : [])
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try NormalizationKernels.activationGradient(form, inputs[0], residual: residual, twoUpstreams: twoUpstreams)
    }
}

private func withResidual(_ attributes: JSON, _ residual: Bool) -> JSON {
    guard residual, case .object(var object) = attributes else { return attributes }
    object["residual"] = true
    return .object(object)
}
