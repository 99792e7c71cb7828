import DLBase
import DLGraph
import DLKernels
import DLTensor

/// The attributes that the forms of layer normalisation share.
struct RowNormalizationForm: Hashable, Sendable {
    /// Sorted, from the front or from the end as given.
    var axes = [-1]
    var epsilon = 1e-3
    var scale = true
    var center = true
    /// Whether the mean is taken off; without it this is the normalisation by the root mean square.
    var subtractsMean = true

    static func arguments(epsilon: Double, rms: Bool) -> [Argument] {
        [
            Argument("axis", .axes, -1, "the axes that are normalised together"),
            Argument("epsilon", .float(Argument.notNegative), .double(epsilon), "added to the variance"),
            Argument("scale", .bool, true, "there is an input gamma, one factor for each position along the axes"),
        ] + (rms ? [] : [Argument("center", .bool, true, "there is an input beta, one summand for each of these positions")])
    }

    init(axes: [Int] = [-1], epsilon: Double = 1e-3, scale: Bool = true, center: Bool = true, subtractsMean: Bool = true) {
        self.axes = axes
        self.epsilon = epsilon
        self.scale = scale
        self.center = center
        self.subtractsMean = subtractsMean
    }

    init(_ arguments: Arguments, subtractsMean: Bool) {
        axes = arguments.ints("axis")
        epsilon = arguments.float("epsilon")
        scale = arguments.bool("scale")
        center = subtractsMean && arguments.bool("center")
        self.subtractsMean = subtractsMean
    }

    func attributes(_ declaration: Declaration<any Operation>) -> JSON {
        let axis: JSON = axes.count == 1 ? .int(Int64(axes[0])) : .array(axes.map { .int(Int64($0)) })
        if subtractsMean {
            return nonDefault(
                declaration, ("axis", axis), ("epsilon", .double(epsilon)), ("scale", .bool(scale)), ("center", .bool(center)))
        }
        return nonDefault(declaration, ("axis", axis), ("epsilon", .double(epsilon)), ("scale", .bool(scale)))
    }

    var parameterNames: [String] { (scale ? ["gamma"] : []) + (center ? ["beta"] : []) }

    /// The axes from 0, in order; each once.
    func positions(_ shape: Shape, _ operation: String) throws -> [Int] {
        let positions = try axes.map { try shape.axis($0, operation) }.sorted()
        guard !positions.isEmpty, Set(positions).count == positions.count else {
            throw DLError(.argument, "[\(operation)] 'axis' must name each axis once. Received: \(axes)")
        }
        return positions
    }

    /// x, and a number for each position along the axes in each of `names`.
    func check(_ inputs: [TensorSpec], _ names: [String], _ operation: String) throws {
        try expectInputs(inputs, names.count + 1, operation)
        try expectSameFloat(inputs, operation)
        let x = inputs[0].shape
        let expected = Shape(try positions(x, operation).map { x[$0] })
        for (name, spec) in zip(names, inputs.dropFirst()) where spec.shape != expected {
            throw DLError(
                .shape, "[\(operation)] \(name) must have shape \(expected), the sizes of the axes that are normalised. "
                    + "Received: input \(x), \(name) \(spec.shape)")
        }
    }

    /// Whether the axes are the last one alone, which is what the kernels know.
    func isPlain(_ rank: Int) -> Bool { axes == [-1] || axes == [rank - 1] }

    func kernel(_ type: ElementType, _ operation: String) throws -> RowNormKernel {
        guard let kernel = RowNormKernel(type, epsilon: epsilon, center: subtractsMean) else { throw noKernel(operation, type) }
        return kernel
    }

    /// The same computation along one last axis; nil if it is that already.
    func alongLastAxis(_ inputs: [Value], _ operation: String, _ body: ([Value]) throws -> Value) throws -> Value? {
        let x = inputs[0].shape
        try check(inputs.map(\.spec), parameterNames, operation)
        if isPlain(x.rank) { return nil }
        let last = try positions(x, operation)
        let first = (0..<x.rank).filter { !last.contains($0) }
        let order = first + last
        let isInOrder = order == Array(0..<x.rank)
        let moved = isInOrder ? inputs[0] : try transpose(inputs[0], order)
        let count = last.reduce(1) { $0 &* x[$1] }
        let flat = try reshape(moved, first.map { x[$0] } + [count])
        let y = try reshape(body([flat] + inputs.dropFirst().map { try reshape($0, [count]) }), moved.shape.sizes)
        if isInOrder { return y }
        var back = [Int](repeating: 0, count: x.rank)
        for (place, axis) in order.enumerated() { back[axis] = place }
        return try transpose(y, back)
    }

    func forward(_ x: TensorSpec, _ operation: String) throws -> Kernel {
        let kernel = try kernel(x.type, operation)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(implementation(x.type), inPlace: [(0, 0)]) { arguments in
            let inputs = arguments.inputs
            kernel.forward(
                runtime, inputs[0], gamma: scale ? UnsafeRawPointer(inputs[1]) : nil,
                beta: center ? UnsafeRawPointer(inputs[scale ? 2 : 1]) : nil, arguments.outputs[0], rows: rows, n: n)
        }
    }

    func gradients(_ context: GradientContext, _ gradient: any Operation) throws -> [Value?] {
        let inputs = [context.upstream, context.inputs[0]] + (scale ? [context.inputs[1]] : [])
        let all = try DLGraph.apply(gradient, to: inputs)
        return [all[0]] + (scale ? [all[1]] : []) + (center ? [all[2]] : [])
    }

    // MARK: The gradient

    func gradientOutputs(_ inputs: [TensorSpec], _ operation: String) throws -> [TensorSpec] {
        try expectInputs(inputs, scale ? 3 : 2, operation)
        guard inputs[0] == inputs[1] else {
            throw DLError(
                .shape, "[\(operation)] dy must have the shape of x. " + received(("dy", inputs[0]), ("x", inputs[1])))
        }
        try check(Array(inputs.dropFirst()), scale ? ["gamma"] : [], operation)
        let row = TensorSpec([inputs[0].shape.last], inputs[0].type)
        return [inputs[0], row, row]
    }

    func backward(_ x: TensorSpec, _ operation: String) throws -> Kernel {
        let kernel = try kernel(x.type, operation)
        let (rows, n) = rowsOfLastAxis(x.shape)
        let runtime = ThreadPool.shared.runtime
        return Kernel(
            implementation(x.type), scratchBytes: kernel.scratchByteCount(rows: rows, n: n), inPlace: [(0, 0), (0, 1)]
        ) { arguments in
            let (inputs, outputs) = (arguments.inputs, arguments.outputs)
            kernel.gradient(
                runtime, dy: inputs[0], inputs[1], gamma: scale ? UnsafeRawPointer(inputs[2]) : nil, dx: outputs[0],
                dgamma: outputs[1], dbeta: outputs[2], rows: rows, n: n, scratch: arguments.scratch)
        }
    }

    /// The gradient written out in operations that have gradients of their own.
    func writtenOut(_ inputs: [Value]) throws -> [Value] {
        let (dy, x) = (inputs[0], inputs[1])
        let centered = subtractsMean ? try subtract(x, mean(x, axes: [-1], keepDims: true)) : x
        let spread = try scaled(mean(square(centered), axes: [-1], keepDims: true), epsilon)
        let inverse = try rsqrt(spread)
        let normal = try multiply(centered, inverse)
        let g = scale ? try multiply(dy, inputs[2]) : dy
        let slope = try mean(multiply(g, normal), axes: [-1], keepDims: true)
        var inner = try subtract(g, multiply(normal, slope))
        if subtractsMean { inner = try subtract(inner, mean(g, axes: [-1], keepDims: true)) }
        return [try multiply(inner, inverse), try sumOfRows(multiply(dy, normal)), try sumOfRows(dy)]
    }

    private func scaled(_ x: Value, _ offset: Double) throws -> Value { try DLOps.scale(x, 1, offset) }
}

/// Gradients through an operation written out in others: `body` computes its outputs from the inputs, and the tape that
/// listens differentiates them as any other computation.
func differentiated(_ context: GradientContext, _ body: ([Value]) throws -> [Value]) throws -> [Value?] {
    // Were two inputs one value, its gradient would be the sum of both.
    var seen: Set<ObjectIdentifier> = []
    let inputs = try context.inputs.map { seen.insert($0.key).inserted ? $0 : try copy($0) }
    let tape = Tape(watchesVariables: false)
    for input in inputs where input.type.isFloatingPoint { tape.watch(input) }
    tape.start()
    let outputs: [Value]
    do {
        defer { tape.stop() }
        outputs = try body(inputs)
    }
    var totals = [Value?](repeating: nil, count: inputs.count)
    for (output, upstream) in zip(outputs, context.outputGradients) {
        guard let upstream, tape.tracks(output) else { continue }
        let parts = try tape.gradient(of: output, withRespectTo: inputs, seed: upstream, algebra: .standard)
        for (place, part) in parts.enumerated() {
            guard context.needs[place], let part else { continue }
            totals[place] = try totals[place].map { try add($0, part) } ?? part
        }
    }
    return totals
}

/// Normalises along axes by the mean and the variance found there.
struct LayerNormalization: DeclaredOperation {
    var form = RowNormalizationForm()

    static let declaration = Declaration<any Operation>(
        "layer_normalization", "Normalises along one or several axes by the mean and the variance found there.",
        formula: "y = gamma (x - mean) / sqrt(variance + epsilon) + beta; the variance is the biased one",
        source: "J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization, 2016 (arXiv:1607.06450)",
        shapes: "x (any shape), gamma (sizes of the axes) if scale, beta (the same) if center -> like x",
        extra: networkExtra("x", "gamma", "beta"), arguments: RowNormalizationForm.arguments(epsilon: 1e-3, rms: false)
    ) { LayerNormalization(form: RowNormalizationForm($0, subtractsMean: true)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 5]), .uniform([5]), .uniform([5])),
            OperationSample(.uniform([2, 3, 21]), .uniform([21]), attributes: ["center": false, "epsilon": 0.1]),
            OperationSample(
                .uniform([2, 3, 4]), .uniform([2, 4]), .uniform([2, 4]), attributes: ["axis": [-1, 0]]),
            OperationSample(.uniform([2, 7]), attributes: ["center": false, "scale": false]),
        ]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try form.check(inputs, form.parameterNames, name)
        return [inputs[0]]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        var plain = form
        plain.axes = [-1]
        return try form.alongLastAxis(inputs, name) { try DLGraph.apply(LayerNormalization(form: plain), to: $0)[0] }
            .map { [$0] }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { try form.forward(inputs[0], name) }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        var plain = form
        plain.axes = [-1]
        return try form.gradients(context, LayerNormalizationGradient(form: plain))
    }
}

/// Gradient of layer normalisation along the last axis.
struct LayerNormalizationGradient: DeclaredOperation {
    var form = RowNormalizationForm()

    static let declaration = Declaration<any Operation>(
        "layer_normalization_gradient", "Gradients of layer_normalization along the last axis for x, gamma and beta.",
        formula: "dx = s (g - mean(g) - h mean(g h)), g = gamma dy, h = s (x - mean), s = 1 / sqrt(variance + epsilon); "
            + "dgamma = sum of dy h; dbeta = sum of dy",
        source: "J. L. Ba, J. R. Kiros, G. E. Hinton: Layer normalization, 2016 (arXiv:1607.06450)",
        shapes: "dy (..., n), x (..., n), gamma (n,) if scale -> dx (..., n), dgamma (n,), dbeta (n,)",
        extra: networkExtra("dy", "x", "gamma", internal: true), arguments: RowNormalizationForm.arguments(epsilon: 1e-3, rms: false)
    ) { LayerNormalizationGradient(form: RowNormalizationForm($0, subtractsMean: true)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 5]), .uniform([3, 5]), .uniform([5])),
            OperationSample(.uniform([2, 2, 4]), .uniform([2, 2, 4]), attributes: ["scale": false, "epsilon": 0.1]),
        ]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.isEmpty || form.isPlain(inputs[0].shape.rank) else {
            throw DLError(.argument, "[\(name)] works along the last axis alone. Received: axis \(form.axes)")
        }
        return try form.gradientOutputs(inputs, name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { try form.backward(inputs[1], name) }

    func gradient(_ context: GradientContext) throws -> [Value?] { try differentiated(context) { try form.writtenOut($0) } }
}

/// Normalises along axes by the root mean square found there.
struct RMSNormalization: DeclaredOperation {
    var form = RowNormalizationForm(epsilon: 1e-6, center: false, subtractsMean: false)

    static let declaration = Declaration<any Operation>(
        "rms_normalization", "Divides along one or several axes by the root mean square found there.",
        formula: "y = gamma x / sqrt(mean(x^2) + epsilon)",
        source: "B. Zhang, R. Sennrich: Root mean square layer normalization, 2019 (arXiv:1910.07467)",
        shapes: "x (any shape), gamma (sizes of the axes) if scale -> like x",
        extra: networkExtra("x", "gamma"), arguments: RowNormalizationForm.arguments(epsilon: 1e-6, rms: true)
    ) { RMSNormalization(form: RowNormalizationForm($0, subtractsMean: false)) }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([3, 5]), .uniform([5])),
            OperationSample(.uniform([2, 3, 4]), attributes: ["axis": 1, "scale": false, "epsilon": 0.1]),
        ]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try form.check(inputs, form.parameterNames, name)
        return [inputs[0]]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        var plain = form
        plain.axes = [-1]
        return try form.alongLastAxis(inputs, name) { try DLGraph.apply(RMSNormalization(form: plain), to: $0)[0] }
            .map { [$0] }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { try form.forward(inputs[0], name) }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        var plain = form
        plain.axes = [-1]
        return try form.gradients(context, RMSNormalizationGradient(form: plain))
    }
}

/// Gradient of the normalisation by the root mean square along the last axis.
struct RMSNormalizationGradient: DeclaredOperation {
    var form = RowNormalizationForm(epsilon: 1e-6, center: false, subtractsMean: false)

    static let declaration = Declaration<any Operation>(
        "rms_normalization_gradient", "Gradients of rms_normalization along the last axis for x and gamma.",
        formula: "dx = s (g - h mean(g h)), g = gamma dy, h = s x, s = 1 / sqrt(mean(x^2) + epsilon); dgamma = sum of dy h; "
            + "and the sum of dy",
        source: "B. Zhang, R. Sennrich: Root mean square layer normalization, 2019 (arXiv:1910.07467)",
        shapes: "dy (..., n), x (..., n), gamma (n,) if scale -> dx (..., n), dgamma (n,), sum (n,)",
        extra: networkExtra("dy", "x", "gamma", internal: true), arguments: RowNormalizationForm.arguments(epsilon: 1e-6, rms: true)
    ) { RMSNormalizationGradient(form: RowNormalizationForm($0, subtractsMean: false)) }

    static var samples: [OperationSample] {
        [OperationSample(.uniform([3, 5]), .uniform([3, 5]), .uniform([5]), attributes: ["epsilon": 0.1])]
    }

    var attributes: JSON { form.attributes(Self.declaration) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.isEmpty || form.isPlain(inputs[0].shape.rank) else {
            throw DLError(.argument, "[\(name)] works along the last axis alone. Received: axis \(form.axes)")
        }
        return try form.gradientOutputs(inputs, name)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel { try form.backward(inputs[1], name) }

    func gradient(_ context: GradientContext) throws -> [Value?] { try differentiated(context) { try form.writtenOut($0) } }
}

/// x normalised along `axes`; gamma and beta have the sizes of these axes.
package func layerNormalization(
    _ x: Value, gamma: Value? = nil, beta: Value? = nil, axes: [Int] = [-1], epsilon: Double = 1e-3
) throws -> Value {
    let form = RowNormalizationForm(axes: axes, epsilon: epsilon, scale: gamma != nil, center: beta != nil)
    return try DLGraph.apply(LayerNormalization(form: form), to: [x] + [gamma, beta].compactMap { $0 })[0]
}

/// x divided by its root mean square along `axes`; gamma has the sizes of these axes.
package func rmsNormalization(
    _ x: Value, gamma: Value? = nil, axes: [Int] = [-1], epsilon: Double = 1e-6
) throws -> Value {
    let form = RowNormalizationForm(axes: axes, epsilon: epsilon, scale: gamma != nil, center: false, subtractsMean: false)
    return try DLGraph.apply(RMSNormalization(form: form), to: [x] + [gamma].compactMap { $0 })[0]
}
