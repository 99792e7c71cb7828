import DLBase
import DLGraph
import DLOps
import DLTensor

/// One step of a recurrent layer: (x, states...) to (output, states...).
package class RecurrentCell: Layer {
    /// The size of each state, without the batch.
    package var stateSizes: [Int] { [] }

    /// What the cell does over whole sequences at once; nil where only its steps are known.
    func fused() -> RecurrentOptions? { nil }

    /// The weights for `fused`.
    var sequenceWeights: (kernel: Value, recurrent: Value, bias: Value?)? { nil }

    /// Dropout's factors, drawn once for all steps of a sequence.
    private(set) var inputFactors: Value?
    private(set) var stateFactors: Value?
    private var inSequence = false
    private var seedState: Variable?

    override package var inputCount: Int? { stateSizes.count + 1 }

    /// The sizes of what dropout acts on, without the batch, for sequences x that the layer around goes through.
    func dropoutShapes(_ x: Value) throws -> (input: [Int], state: [Int]) {
        (Array(x.shape.sizes.dropFirst(2)), stateSizes)
    }

    func addDropoutState() throws {
        guard arguments.float("dropout") > 0 || arguments.float("recurrent_dropout") > 0 else { return }
        seedState = try addSeedState(arguments.optionalInt("seed"))
    }

    private func factors(_ shape: [Int], _ rate: Double, _ type: ElementType) throws -> Value? {
        guard rate > 0, let seedState else { return nil }
        if rate >= 1 { return Value(try Tensor(number: 0, type, shape: Shape(shape))) }
        let ones = Value(try Tensor(number: 1, type, shape: Shape(checked: shape)))
        // The seed is a variable, so that a recorded step draws anew each time it runs.
        let mask = try dropout(ones, seed: seedState.value, rate: rate)
        try seedState.assign(add(seedState.value, Value(Tensor([Int64(0), 1]))))
        return mask
    }

    /// Draws dropout's factors for the steps that follow, until `endSequence`.
    func beginSequence(batch: Int, features: [Int], stateShape: [Int], type: ElementType, training: Bool) throws {
        inSequence = true
        guard training else { return }
        inputFactors = try factors([batch] + features, arguments.float("dropout"), type)
        stateFactors = try factors([batch] + stateShape, arguments.float("recurrent_dropout"), type)
    }

    func endSequence() {
        inSequence = false
        inputFactors = nil
        stateFactors = nil
    }

    /// Draws for one step where the cell is called by itself.
    func withFactors<R>(_ x: Value, _ h: Value, training: Bool, _ body: (_ x: Value, _ h: Value) throws -> R) throws -> R {
        let alone = !inSequence
        if alone {
            try beginSequence(
                batch: x.shape[0], features: Array(x.shape.sizes.dropFirst()), stateShape: Array(h.shape.sizes.dropFirst()),
                type: x.type, training: training)
        }
        defer { if alone { endSequence() } }
        let dropped = try inputFactors.map { try multiply(x, $0) } ?? x
        return try body(dropped, stateFactors.map { try multiply(h, $0) } ?? h)
    }

    /// The bias of a long short-term memory whose forget gate begins with 1, open.
    func forgetBias(_ units: Int) throws -> Variable {
        let given = arguments["bias_initializer"]
        let rest = try Initializers.registry.make(given.isNull ? "zeros" : given)
        let initial = Initializer { _, type in
            let parts = [try rest.make([units], type), try Tensor(number: 1, type, shape: [units]), try rest.make([2 * units], type)]
            return try concatenate(parts.map { Value($0) }, axis: 0).tensor()
        }
        let (regularizer, constraint) = (arguments["bias_regularizer"], arguments["bias_constraint"])
        return try addWeight(
            "bias", Shape(checked: [4 * units]), initial,
            regularizer: regularizer.isNull ? nil : Regularizers.registry.make(regularizer),
            constraint: constraint.isNull ? nil : Constraints.registry.make(constraint))
    }

    func expectStates(_ inputs: [Value]) throws {
        let batch = inputs[0].shape
        for (index, size) in stateSizes.enumerated() {
            let state = inputs[index + 1].shape
            guard batch.rank == 2, state == Shape([batch[0], size]) else {
                throw DLError(
                    .shape, "[\(className)] takes an input (batch, features) and states (batch, \(size)). "
                        + "Received: input \(batch), state \(state)")
            }
        }
    }
}

/// What SimpleRNNCell, LSTMCell and GRUCell share: a kernel for the input, one for the state, a bias.
package class GatedCell: RecurrentCell {
    let units: Int
    let activation: ActivationFunction?
    let recurrentActivation: ActivationFunction?
    private(set) var kernel: Variable!
    private(set) var recurrentKernel: Variable!
    private(set) var bias: Variable?

    init(checked arguments: Arguments) throws {
        units = arguments.int("units")
        activation = try Activations.make(arguments, "activation")
        recurrentActivation = try Activations.make(arguments, "recurrent_activation")
        super.init(arguments)
    }

    var gates: Int { 1 }
    override package var stateSizes: [Int] { [units] }
    override var sequenceWeights: (kernel: Value, recurrent: Value, bias: Value?)? {
        (kernel.value, recurrentKernel.value, bias?.value)
    }

    var biasShape: Shape { [gates * units] }

    /// Adds the bias; LSTM begins with another one.
    func makeBias() throws -> Variable { try addWeight("bias", biasShape) }

    override package func build(_ inputShapes: [[Int?]]) throws {
        guard inputShapes[0].count == 2, let features = inputShapes[0][1] else {
            throw DLError(
                .shape, "[\(className)] the input of a step must be (batch, features), features known. "
                    + "Received: input \(Shape.text(inputShapes[0]))")
        }
        let (columns, overflow) = units.multipliedReportingOverflow(by: gates)
        guard !overflow else { throw DLError(.shape, "[\(className)] 'units' is too large. Received: \(units)") }
        kernel = try addWeight("kernel", Shape(checked: [features, columns]))
        recurrentKernel = try addWeight("recurrent", Shape(checked: [units, columns]), named: "recurrent_kernel")
        if arguments.bool("use_bias") { bias = try makeBias() }
        try addDropoutState()
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == 2, shapes[0][1] == nil || shapes[0][1] == kernel.shape[0] else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)' was built for \(kernel.shape[0]) features. "
                    + "Received: input of a step \(Shape.text(shapes[0]))")
        }
    }

    /// The fused operation, where both functions have their derivative in their result.
    func fused(_ family: RecurrentOptions.Family) -> RecurrentOptions? {
        func gate(_ name: String) -> String { arguments.has(name) ? arguments.string(name) : "linear" }
        return family == .simple
            ? RecurrentOptions(family, activation: gate("activation"))
            : RecurrentOptions(family, activation: gate("activation"), recurrentActivation: gate("recurrent_activation"))
    }

    override func dropoutShapes(_ x: Value) throws -> (input: [Int], state: [Int]) { ([kernel.shape[0]], [units]) }

    func activate(_ x: Value) throws -> Value { try activation?.apply(x) ?? x }
    func gate(_ x: Value) throws -> Value { try recurrentActivation?.apply(x) ?? x }

    // MARK: Declaring

    static func arguments(recurrentActivation: Bool, forget: Bool = false, reset: Bool = false) -> [Argument] {
        var list = [
            Argument("units", .int(Argument.positive), nil, "Size of the state and of the output."),
            Argument("activation", .optional(.object(category: "activation")), "tanh", "Function of the new state."),
        ]
        if recurrentActivation {
            list.append(
                Argument("recurrent_activation", .optional(.object(category: "activation")), "sigmoid", "Function of the gates."))
        }
        list += [
            Argument("use_bias", .bool, true, "Whether a bias is added."),
            initializerArgument("kernel", "glorot_uniform"), initializerArgument("recurrent", "orthogonal"),
            initializerArgument("bias", "zeros"),
        ]
        if forget {
            list.append(Argument("unit_forget_bias", .bool, true, "Whether the forget gate's bias begins with 1."))
        }
        list += [
            regularizerArgument("kernel"), regularizerArgument("recurrent"), regularizerArgument("bias"),
            constraintArgument("kernel"), constraintArgument("recurrent"), constraintArgument("bias"),
            Argument("dropout", .float(0...1), 0.0, "The share of the input set to zero while training, the same at all steps."),
            Argument("recurrent_dropout", .float(0...1), 0.0, "The same for the state before its product."),
        ]
        if reset {
            list.append(Argument("reset_after", .bool, true, "Whether the reset gate acts after the product, not before."))
        }
        list.append(Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes dropout's random numbers."))
        if recurrentActivation { list.append(Argument("implementation", .any, 2, "Unused: kept for Keras's configurations.")) }
        return list
    }

    /// A cell from the arguments of the layer that owns it.
    static func owned<C: GatedCell>(
        by arguments: Arguments, _ className: String, _ name: String, _ make: (Arguments) throws -> C
    ) throws -> C {
        let own: Set = [
            "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer",
            "bias_initializer", "unit_forget_bias", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
            "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "reset_after",
            "seed", "trainable", "dtype",
        ]
        var values = JSONObject()
        for key in arguments.values.keys where own.contains(key) { values[key] = arguments.values[key] }
        values["name"] = .string(name)
        return try make(Arguments(owner: className, values: values))
    }
}
