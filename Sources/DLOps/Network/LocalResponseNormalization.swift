import DLBase
import DLGraph
import DLKernels
import DLTensor

/// How far local response normalisation looks, and its constants.
package struct LocalResponseForm: Hashable, Sendable {
    package var size = 5
    package var alpha = 5e-4
    package var beta = 0.75
    package var k = 2.0

    package init(size: Int = 5, alpha: Double = 5e-4, beta: Double = 0.75, k: Double = 2) {
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k
    }

    package init(_ arguments: Arguments) {
        size = arguments.int("size")
        alpha = arguments.float("alpha")
        beta = arguments.float("beta")
        k = arguments.float("k")
    }

    package static let arguments = [
        Argument("size", .int(Argument.positive), 5, "Number of neighbouring channels that count, the channel itself among them."),
        Argument("alpha", .float(Argument.notNegative), 5e-4, "Weight of the mean of their squares."),
        Argument("beta", .float(-100...100), 0.75, "The exponent."),
        Argument("k", .float(0...1e30), 2, "What is added before the power is taken."),
    ]

    /// Even sizes look one channel further back than ahead.
    fileprivate var before: Int { size / 2 }
    fileprivate var after: Int { (size - 1) / 2 }
    fileprivate var scale: Double { alpha / Double(size) }

    fileprivate func kernel(_ type: ElementType, _ operation: String) throws -> LocalResponseKernel {
        guard let kernel = LocalResponseKernel(type, before: before, after: after, scale: scale, beta: beta, k: k) else {
            throw noKernel(operation, type)
        }
        return kernel
    }

    fileprivate func attributes(_ declaration: Declaration<any Operation>) -> JSON {
        nonDefault(
            declaration, ("size", .int(Int64(size))), ("alpha", .double(alpha)), ("beta", .double(beta)), ("k", .double(k)))
    }
}

/// Divides each element by a power of the squares around it, across channels.
struct LocalResponseNormalization: DeclaredOperation {
    var form = LocalResponseForm()

    static let declaration = Declaration<any Operation>(
        "local_response_normalization", "Divides each element by a power of the squares of its neighbours across channels.",
        formula: "y[c] = x[c] / (k + alpha / size * sum of x[j]^2)^beta, c - size / 2 <= j <= c + (size - 1) / 2",
        source: "A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet classification with deep convolutional neural networks, "
            + "2012, 3.3, whose alpha = 1e-4 is not divided by the size: it is 5e-4 here; with the division as in Caffe and torch",
        shapes: "x (..., channels) -> the same", extra: networkExtra("x"), arguments: LocalResponseForm.arguments
    ) { LocalResponseNormalization(form: LocalResponseForm($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 3, 7])),
            OperationSample(.uniform([3, 40]), attributes: ["size": 4, "alpha": 0.5, "beta": 0.6, "k": 1]),
            OperationSample(.uniform([2, 3]), attributes: ["size": 9, "alpha": 1.5, "k": 1]),
        ]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        guard inputs[0].shape.rank > 0 else {
            throw DLError(.shape, "[\(name)] the input needs an axis of channels. " + received(("x", inputs[0])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let kernel = try form.kernel(inputs[0].type, name)
        let (rows, c) = rowsOfLastAxis(inputs[0].shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(inputs[0].type)) { arguments in
            kernel.forward(runtime, arguments.inputs[0], arguments.outputs[0], rows: rows, c: c)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        [try DLGraph.apply(LocalResponseNormalizationGradient(form: form), context.inputs[0], context.upstream)]
    }
}

/// Gradient of local response normalisation, from what went in.
struct LocalResponseNormalizationGradient: DeclaredOperation {
    var form = LocalResponseForm()

    static let declaration = Declaration<any Operation>(
        "local_response_normalization_gradient", "Gradient of local_response_normalization.",
        formula: "dx[c] = dy[c] d[c]^-beta - 2 alpha beta / size x[c] * sum of dy[j] x[j] d[j]^(-beta - 1), "
            + "c - (size - 1) / 2 <= j <= c + size / 2, d what is raised to the power",
        shapes: "x (..., channels), dy (..., channels) -> the same", extra: networkExtra("x", "dy", internal: true),
        arguments: LocalResponseForm.arguments
    ) { LocalResponseNormalizationGradient(form: LocalResponseForm($0)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 3, 7]), .uniform([2, 3, 7])),
            OperationSample(
                .uniform([3, 20]), .uniform([3, 20]), attributes: ["size": 4, "alpha": 0.5, "beta": 0.6, "k": 1]),
        ]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        try expectSameFloat(inputs, name)
        guard inputs[0].shape == inputs[1].shape, inputs[0].shape.rank > 0 else {
            throw DLError(.shape, "[\(name)] x and dy must have one shape. " + received(("x", inputs[0]), ("dy", inputs[1])))
        }
        return [inputs[0]]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let kernel = try form.kernel(inputs[0].type, name)
        let (rows, c) = rowsOfLastAxis(inputs[0].shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(inputs[0].type), scratchBytes: kernel.scratchByteCount(rows: rows, c: c)) { arguments in
            kernel.gradient(
                runtime, arguments.inputs[0], dy: arguments.inputs[1], dx: arguments.outputs[0], rows: rows, c: c,
                scratch: arguments.scratch)
        }
    }

    /// The gradient written out in operations that have gradients of their own, differentiated as any other computation.
    func gradient(_ context: GradientContext) throws -> [Value?] {
        let x = context.inputs[0]
        // Were they one value, its gradient would be the sum of both.
        let dy = context.inputs[1].key == x.key ? try copy(x) : context.inputs[1]
        let tape = Tape(watchesVariables: false)
        tape.watch(x)
        tape.watch(dy)
        tape.start()
        let dx: Value
        do {
            defer { tape.stop() }
            let d = try scale(windowSum(square(x), before: form.before, after: form.after), form.scale, form.k)
            let direct = try multiply(dy, raised(d, -form.beta))
            let t = try multiply(multiply(dy, x), raised(d, -form.beta - 1))
            let indirect = try multiply(x, windowSum(t, before: form.after, after: form.before))
            dx = try add(direct, scale(indirect, -2 * form.scale * form.beta))
        }
        let sources = [x, dy]
        let results = try tape.gradient(
            of: dx, withRespectTo: sources, seed: context.upstream, algebra: .standard)
        return zip(results, context.needs).map { $1 ? $0 : nil }
    }

    private func raised(_ x: Value, _ exponent: Double) throws -> Value { try power(x, constant(exponent, like: x)) }

    /// Sum over the neighbours along the last axis, as an average over a row of pixels that is as wide as the window.
    private func windowSum(_ x: Value, before: Int, after: Int) throws -> Value {
        let (rows, c) = rowsOfLastAxis(x.shape)
        let (before, after) = (Swift.min(before, c), Swift.min(after, c))
        let row = try pad(reshape(x, [rows, 1, c, 1]), [[0, 0], [0, 0], [before, after], [0, 0]])
        let sums = try scale(averagePool(row, poolSize: [1, before + after + 1], strides: [1, 1]), Double(before + after + 1))
        return try reshape(sums, x.shape.sizes)
    }
}

/// Local response normalisation of x (..., channels).
package func localResponseNormalization(_ x: Value, _ form: LocalResponseForm = LocalResponseForm()) throws -> Value {
    try DLGraph.apply(LocalResponseNormalization(form: form), x)
}
