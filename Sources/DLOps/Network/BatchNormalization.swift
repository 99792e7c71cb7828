import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The attributes and shape rules that the forms of batch normalisation share. Channels are the last axis.
struct NormalizationForm: Hashable, Sendable {
    var epsilon = 1e-3
    var scale = true
    var center = true

    init(epsilon: Double = 1e-3, scale: Bool = true, center: Bool = true) {
        self.epsilon = epsilon
        self.scale = scale
        self.center = center
    }

    init(_ arguments: Arguments) {
        epsilon = arguments.float("epsilon")
        scale = arguments.bool("scale")
        center = arguments.bool("center")
    }

    static let arguments = [
        Argument("epsilon", .float(Argument.notNegative), 1e-3, "added to the variance"),
        Argument("scale", .bool, true, "there is an input gamma, one factor for each channel"),
        Argument("center", .bool, true, "there is an input beta, one summand for each channel"),
    ]

    func attributes(_ declaration: Declaration<any Operation>) -> JSON {
        nonDefault(
            declaration, ("epsilon", .double(epsilon)), ("scale", .bool(scale)), ("center", .bool(center)))
    }

    /// Checks x and vectors of one number for each channel, named in order.
    func check(_ inputs: [TensorSpec], _ names: [String], _ operation: String) throws {
        try expectInputs(inputs, names.count + 1, operation)
        try expectSameFloat(inputs, operation)
        guard inputs[0].shape.rank >= 2 else {
            throw DLError(
                .shape, "[\(operation)] input must have at least 2 axes. Received: input \(inputs[0].shape)")
        }
        let channels = inputs[0].shape.last
        for (name, spec) in zip(names, inputs.dropFirst()) where spec.shape != [channels] {
            throw DLError(
                .shape, "[\(operation)] \(name) must have one number for each of \(channels) channels. "
                    + "Received: input \(inputs[0].shape), \(name) \(spec.shape)")
        }
    }

    var parameterNames: [String] { (scale ? ["gamma"] : []) + (center ? ["beta"] : []) }
}

/// Batch normalisation in training: with the mean and the variance of the batch.
struct BatchNormalizationTraining: DeclaredOperation {
    var form = NormalizationForm()

    static let declaration = Declaration<any Operation>(
        "batch_normalization_training",
        "Normalises each channel by the mean and the variance of the batch, and gives these too.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta; the variance is the biased one",
        source: "S. Ioffe, C. Szegedy: Batch normalization, 2015 (arXiv:1502.03167)",
        shapes: "x (..., C), gamma (C,) if scale, beta (C,) if center -> y (..., C), mean (C,), variance (C,)",
        extra: networkExtra("x", "gamma", "beta"),
        arguments: NormalizationForm.arguments
    ) { BatchNormalizationTraining(form: NormalizationForm($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([5, 3]), .uniform([3]), .uniform([3])),
            OperationSample(.uniform([2, 2, 3, 2]), attributes: ["scale": false, "center": false, "epsilon": 0.1]),
        ]
    }

    var attributes: JSON { form.attributes(BatchNormalizationTraining.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try form.check(inputs, form.parameterNames, name)
        let x = inputs[0]
        guard x.shape.count > 0 else {
            throw DLError(.shape, "[\(name)] an empty batch has no mean. Received: input \(x.shape)")
        }
        let channels = TensorSpec([x.shape.last], x.type)
        return [x, channels, channels]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try NormalizationKernels.training(form, inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let x = context.inputs[0]
        var gradients = [Value?](repeating: nil, count: context.inputs.count)
        if let upstream = context.outputGradients[0] {
            var inputs = [upstream, x, context.outputs[1], context.outputs[2]]
            if form.scale { inputs.append(context.inputs[1]) }
            let all = try DLGraph.apply(BatchNormalizationGradient(form: form), to: inputs)
            gradients = [all[0]] + (form.scale ? [all[1]] : []) + (form.center ? [all[2]] : [])
        }
        guard context.needs[0] else { return gradients }
        // dmean / dx = 1 / rows, dvariance / dx = 2 (x - mean) / rows.
        let rows = Double(x.shape.count / max(x.shape.last, 1))
        for (output, factor) in [(1, 1 / rows), (2, 2 / rows)] {
            guard let upstream = context.outputGradients[output] else { continue }
            let share = try multiply(upstream, Value(Tensor(number: factor, x.type)))
            let slope =
                output == 1
                ? try broadcastTo(share, x.shape)
                : try multiply(subtract(x, context.outputs[1]), share)
            gradients[0] = try gradients[0].map { try add($0, slope) } ?? slope
        }
        return gradients
    }
}

/// Gradient of batch normalisation in training.
struct BatchNormalizationGradient: DeclaredOperation {
    var form = NormalizationForm()

    static let declaration = Declaration<any Operation>(
        "batch_normalization_gradient",
        "Gradients of batch_normalization_training for x, gamma and beta.",
        formula: "dx = gamma / sqrt(variance + epsilon) (dy - mean(dy) - h mean(dy h)), h = (x - mean) / sqrt(variance + epsilon); "
            + "dgamma = sum of dy h; dbeta = sum of dy",
        source: "S. Ioffe, C. Szegedy: Batch normalization, 2015 (arXiv:1502.03167)",
        shapes: "dy (..., C), x (..., C), mean (C,), variance (C,), gamma (C,) if scale -> dx (..., C), dgamma (C,), dbeta (C,)",
        extra: networkExtra("dy", "x", "mean", "variance", "gamma", internal: true),
        arguments: NormalizationForm.arguments
    ) { BatchNormalizationGradient(form: NormalizationForm($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([5, 3]), .uniform([5, 3]), .uniform([3]), .uniform([3], 0.5...2), .uniform([3]))
        ]
    }

    var attributes: JSON { form.attributes(BatchNormalizationGradient.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count >= 2 else { throw expectedCount(inputs) }
        guard inputs[0] == inputs[1] else {
            throw DLError(
                .shape, "[\(name)] dy must have the shape of x. " + received(("dy", inputs[0]), ("x", inputs[1])))
        }
        try form.check(
            Array(inputs.dropFirst()), ["mean", "variance"] + (form.scale ? ["gamma"] : []), name)
        let channels = TensorSpec([inputs[0].shape.last], inputs[0].type)
        return [inputs[0], channels, channels]
    }

    private func expectedCount(_ inputs: [TensorSpec]) -> DLError {
        DLError(.argument, "[\(name)] takes \(form.scale ? 5 : 4) inputs. Received: \(inputs.count)")
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try NormalizationKernels.gradient(form, inputs[1])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        try differentiated(context) { try writtenOut($0) }
    }

    /// The same in operations that have gradients of their own. Mean and variance are inputs like any other here; what the
    /// gradient owes them goes back to x through the operation that made them.
    private func writtenOut(_ inputs: [Value]) throws -> [Value] {
        let (dy, x, mean, variance) = (inputs[0], inputs[1], inputs[2], inputs[3])
        let inverse = try rsqrt(DLOps.scale(variance, 1, form.epsilon))
        let normal = try multiply(subtract(x, mean), inverse)
        let share = 1 / Double(max(x.shape.count / max(x.shape.last, 1), 1))
        let (slope, base) = (try sumOfRows(multiply(dy, normal)), try sumOfRows(dy))
        let inner = try subtract(
            subtract(dy, DLOps.scale(base, share)), multiply(normal, DLOps.scale(slope, share)))
        let factor = form.scale ? try multiply(inverse, inputs[4]) : inverse
        return [try multiply(inner, factor), slope, base]
    }
}

/// Batch normalisation with a given mean and variance, as in inference.
struct BatchNormalization: DeclaredOperation {
    var form = NormalizationForm()

    static let declaration = Declaration<any Operation>(
        "batch_normalization", "Normalises each channel by a given mean and variance.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta",
        source: "S. Ioffe, C. Szegedy: Batch normalization, 2015 (arXiv:1502.03167)",
        shapes: "x (..., C), mean (C,), variance (C,), gamma (C,) if scale, beta (C,) if center -> (..., C)",
        extra: networkExtra("x", "mean", "variance", "gamma", "beta"),
        arguments: NormalizationForm.arguments
    ) { BatchNormalization(form: NormalizationForm($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(
                .uniform([4, 3]), .uniform([3]), .uniform([3], 0.5...2), .uniform([3]), .uniform([3])),
            OperationSample(
                .uniform([2, 2, 3]), .uniform([3]), .uniform([3], 0.5...2), .uniform([3]),
                attributes: ["center": false]),
        ]
    }

    var attributes: JSON { form.attributes(BatchNormalization.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try form.check(inputs, ["mean", "variance"] + form.parameterNames, name)
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        try NormalizationKernels.inference(form, inputs[0])
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, mean, variance, g) = (context.inputs[0], context.inputs[1], context.inputs[2], context.upstream)
        let sum = try add(variance, Value(Tensor(number: form.epsilon, variance.type)))
        let inverse = try rsqrt(sum)
        let factor = form.scale ? try multiply(context.inputs[3], inverse) : inverse
        var gradients = [Value?](repeating: nil, count: context.inputs.count)
        if context.needs[0] { gradients[0] = try multiply(g, factor) }
        let total = try sumOfRows(g)
        if context.needs[1] { gradients[1] = try negative(multiply(total, factor)) }
        let deviations = try sumOfRows(multiply(g, subtract(x, mean)))
        if context.needs[2] {
            let slope = try multiply(factor, multiply(inverse, inverse))
            gradients[2] = try multiply(
                multiply(deviations, slope), Value(Tensor(number: -0.5, variance.type)))
        }
        if form.scale, context.needs[3] { gradients[3] = try multiply(deviations, inverse) }
        let last = gradients.count - 1
        if form.center, context.needs[last] { gradients[last] = total }
        return gradients
    }
}

/// y, mean and variance of the batch; channels are the last axis of x.
package func batchNormalizationTraining(
    _ x: Value, gamma: Value?, beta: Value?, epsilon: Double = 1e-3
) throws -> (y: Value, mean: Value, variance: Value) {
    let form = NormalizationForm(epsilon: epsilon, scale: gamma != nil, center: beta != nil)
    let outputs = try DLGraph.apply(
        BatchNormalizationTraining(form: form), to: [x] + [gamma, beta].compactMap { $0 })
    return (outputs[0], outputs[1], outputs[2])
}

/// x normalised by a given mean and variance; channels are the last axis of x.
package func batchNormalization(
    _ x: Value, mean: Value, variance: Value, gamma: Value? = nil, beta: Value? = nil, epsilon: Double = 1e-3
) throws -> Value {
    let form = NormalizationForm(epsilon: epsilon, scale: gamma != nil, center: beta != nil)
    return try DLGraph.apply(
        BatchNormalization(form: form), to: [x, mean, variance] + [gamma, beta].compactMap { $0 })[0]
}
