import DLBase
import DLGraph
import DLOps
import DLTensor
import Synchronization

/// A weight of a layer: a variable and what training does to it besides following the gradient.
package struct Weight {
    package let variable: Variable
    package let regularizer: Regularizer?
    package let constraint: Constraint?
}

/// What one call of a layer works on.
package struct CallInputs {
    package let inputs: [Value]
    package let training: Bool
    package let named: [String: Value]
    package let flags: JSONObject

    package func flag(_ name: String) -> Bool { flags[name]?.boolValue ?? false }
}

/// An operation with state and declared arguments.
///
/// A layer creates its weights when it first learns the shape of its input (`build`) and then maps values to values
/// (`call`), whether they are numbers, nodes of a graph or tensors of a model under construction.
///
/// Masks: a value may carry in `mask` which of its time steps count, as bool (batch, steps). A layer that treats each time
/// step by itself says `supportsMasking` and its outputs carry the mask of its first masked input. One that makes,
/// changes or ends masks overrides `computeMask`. One that has to leave masked steps out reads `inputs[0].mask` in
/// `call`. Any other layer drops the mask, as in Keras. Losses and metrics read the mask of the prediction.
///
/// Belongs to one thread at a time, but for calls that change no weight.
package class Layer {
    package let className: String
    package let arguments: Arguments
    package private(set) var name: String
    package let dtype: ElementType
    package private(set) var built = false
    /// Shapes of the inputs of the first call; nil where unknown.
    package private(set) var inputShapes: [[Int?]] = []
    package private(set) var weights: [Weight] = []
    /// Variables that are no weights: states of random generators.
    package private(set) var states: [Variable] = []
    private var nodeReferences: [WeakNode] = []

    private var isTrainable = true
    private var activityRegularizer: Regularizer?
    /// What the latest outermost call added, and which call that was. Several threads may predict at once.
    private let kept = Mutex<(number: Int, additions: CallAdditions)>((0, CallAdditions()))

    /// For layers made from a declaration; `arguments` hold the common ones too.
    package init(_ arguments: Arguments) {
        self.className = arguments.owner
        self.arguments = arguments
        self.name = arguments.optionalString("name") ?? Naming.unique(arguments.owner)
        self.dtype = arguments.type("dtype") ?? .float32
        self.isTrainable = arguments["trainable"].boolValue ?? true
    }

    // MARK: For subclasses

    /// Creates the weights.
    package func build(_ inputShapes: [[Int?]]) throws {}

    package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        throw DLError(.unsupported, "[\(className)] has no computation")
    }

    /// Whether the outputs carry on the mask of the inputs.
    package var supportsMasking: Bool { false }

    /// The mask of each output, from the masks that the inputs carry. What is nil leaves an output without one, unless
    /// it carries one already.
    package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        guard supportsMasking, let mask = inputs.first(where: { $0.mask != nil })?.mask else { return [] }
        return outputs.map { _ in mask }
    }

    /// Tensors that Keras passes to the call by name, in the order in which they follow the first input here.
    package var inputKeywords: [String] { [] }

    /// Puts the inputs from the second on under their names, for Keras's JSON.
    package func keywordArguments(_ inputs: [JSON]) -> (positional: [JSON], keywords: JSONObject) { (inputs, JSONObject()) }

    /// Learns from data before training what is not learnt by gradients: means, borders, vocabularies.
    package func adapt(_ batches: [Tensor]) throws {
        throw DLError(.unsupported, "[adapt] a \(className) learns nothing from data before training")
    }

    /// For layers that are called with more than inputs and the mode.
    package func call(_ given: CallInputs) throws -> [Value] { try call(given.inputs, training: given.training) }

    /// Names of the tensors and of the flags that a call takes beside its inputs.
    package var callTensors: [String] { [] }
    package var callFlags: [String] { [] }

    /// Whether Keras is given the tensors by name, which are masks, as a list `mask`.
    package var masksGoAsList: Bool { false }

    /// Whether Keras calls it with its inputs one after another, not with a list of them, and what it calls them then.
    package var takesInputsOneByOne: Bool { !inputNames.isEmpty }
    package var inputNames: [String] { [] }

    /// How many inputs it takes by position; nil for any number.
    package var inputCount: Int? { 1 }

    /// Layers inside this one, in order.
    package var sublayers: [Layer] { [] }

    /// Says which layers are inside one that the user has written.
    package func track(_ layers: [Layer]) throws {
        throw DLError(.unsupported, "[\(className)] the layers inside '\(name)' are its own affair; only a class of one's own is told of them")
    }

    /// Walking through layers must end.
    func refuseItself(_ layers: [Layer]) throws {
        func contains(_ layer: Layer, _ depth: Int) -> Bool {
            layer === self || depth > 64 || layer.sublayers.contains { contains($0, depth + 1) }
        }
        if let layer = layers.first(where: { contains($0, 0) }) {
            throw DLError(.argument, "[\(className)] layer '\(name)' cannot be inside itself. Received: '\(layer.name)'")
        }
    }

    /// What the user's own functions were registered with, for bindings that find their object again.
    package var payload: AnyObject?

    /// Creates all weights for inputs of these shapes, those of layers inside included.
    package func buildWhole(_ shapes: [[Int?]], types: [ElementType]? = nil) throws { try buildIfNeeded(shapes) }

    /// The arguments to make an equal layer from.
    package func config() throws -> JSONObject {
        var values = arguments.values
        values["name"] = .string(name)
        values["trainable"] = .bool(isTrainable)
        values["dtype"] = .string(dtype.name)
        for key in ["input_shape", "input_dim"] + (declaresActivityRegularizer ? [] : ["activity_regularizer"])
        where values[key]?.isNull ?? true { values[key] = nil }
        return Layers.form(className, values)
    }

    @discardableResult
    package func addWeight(
        _ name: String, _ shape: Shape, _ initializer: Initializer, regularizer: Regularizer? = nil,
        constraint: Constraint? = nil, trainable: Bool = true, type: ElementType? = nil
    ) throws -> Variable {
        let tensor = try initializer.make(shape, type ?? dtype)
        let variable = Variable(tensor, name: name, trainable: trainable && isTrainable)
        variable.declaredTrainable = trainable
        weights.append(Weight(variable: variable, regularizer: regularizer, constraint: constraint))
        return variable
    }

    /// By the names or objects in the arguments: `kernel_initializer` and so on for the prefix `kernel`, which is also the
    /// weight's name unless another is given.
    @discardableResult
    package func addWeight(
        _ prefix: String, _ shape: Shape, trainable: Bool = true, named: String? = nil,
        adapting adapt: (Initializer) -> Initializer = { $0 }
    ) throws -> Variable {
        func part<P>(_ suffix: String, _ registry: Registry<P>) throws -> P? {
            let given = arguments["\(prefix)_\(suffix)"]
            do {
                return given.isNull ? nil : try registry.make(given)
            } catch let error as DLError {
                throw error.within("'\(prefix)_\(suffix)'")
            }
        }
        return try addWeight(
            named ?? prefix, shape,
            adapt(part("initializer", Initializers.registry) ?? Initializers.registry.make("zeros")),
            regularizer: part("regularizer", Regularizers.registry), constraint: part("constraint", Constraints.registry),
            trainable: trainable)
    }

    /// A variable that counts draws of random numbers: (seed, counter).
    package func addSeedState(_ seed: Int?) throws -> Variable {
        let start = seed.map(Int64.init) ?? Int64(bitPattern: GlobalRandom.nextSeed())
        let variable = Variable(try Tensor([start, 0]), name: "seed_generator_state", trainable: false)
        states.append(variable)
        return variable
    }

    /// A variable that is no weight and lasts from call to call, as the states of stateful layers do.
    func addState(_ tensor: Tensor, _ name: String) throws -> Variable {
        let variable = Variable(tensor, name: name, trainable: false)
        states.append(variable)
        return variable
    }

    /// Sets what stateful layers carry from batch to batch to zero.
    package func resetStates() throws {
        for layer in sublayers { try layer.resetStates() }
    }

    // MARK: Calling

    /// Applies the layer. `training` nil asks the surroundings; outside of any, it is false.
    package func apply(_ inputs: [Value], training: Bool? = nil) throws -> [Value] {
        try apply(inputs, CallOptions(training: training))
    }

    /// The last inputs are those that `options` names.
    package func apply(_ inputs: [Value], _ options: CallOptions) throws -> [Value] {
        if let place = options.names.firstIndex(of: "mask"), !callTensors.contains("mask"), options.names.count < inputs.count {
            // The mask travels with the first input.
            var (rest, others) = (inputs, options)
            let mask = rest.remove(at: inputs.count - options.names.count + place)
            others.names.remove(at: place)
            rest[0] = try withMask(rest[0], mask)
            return try apply(rest, others)
        }
        let positional = inputs.count - options.names.count
        if let expected = inputCount, positional != expected {
            throw DLError(
                .argument, "[\(className)] layer '\(name)' takes \(expected) input\(expected == 1 ? "" : "s"). "
                    + "Received: \(positional)")
        }
        guard positional > 0 else {
            throw DLError(.argument, "[\(className)] layer '\(name)' was called without inputs")
        }
        try checkOptions(options)
        if inputs.contains(where: \.isDeferred) { return try LayerNode.record(self, inputs, options) }
        try buildIfNeeded(inputs.prefix(positional).map(\.partialShape))
        let context = ThreadContext.current
        let outerTraining = context.training
        let mode = options.training ?? outerTraining ?? false
        context.training = mode
        context.path.append(name)
        let graph = context.recording
        let outerLabel = graph?.label
        graph?.label = context.path.joined(separator: "/")
        defer {
            context.training = outerTraining
            context.path.removeLast()
            if let graph, let outerLabel { graph.label = outerLabel }
        }
        if context.additions.isEmpty { context.callNumber &+= 1 }
        context.additions.append(CallAdditions())
        defer { keepAdditions(context) }
        do {
            let given = CallInputs(
                inputs: Array(inputs.prefix(positional)), training: mode,
                named: Dictionary(uniqueKeysWithValues: zip(options.names, inputs.suffix(options.names.count))),
                flags: options.flags)
            let outputs = try activityRegularizer.map { try regularized(given, $0) } ?? call(given)
            for (output, mask) in zip(outputs, try computeMask(given.inputs, outputs: outputs)) where output.mask == nil {
                output.mask = mask
            }
            return outputs
        } catch let error as DLError {
            throw context.path.count == 1 || self is Model ? locate(error) : error.within("layer '\(name)'")
        }
    }

    private func checkOptions(_ options: CallOptions) throws {
        guard Set(options.names).count == options.names.count else {
            throw DLError(.argument, "[\(className)] layer '\(name)' is given an argument twice. Received: \(options.names)")
        }
        let tensors = callTensors, flags = callFlags
        let wrong = options.names.first { !tensors.contains($0) } ?? options.flags.keys.first { !flags.contains($0) }
        guard let wrong else {
            for (name, value) in options.flags.pairs where value.boolValue == nil {
                throw DLError(
                    .argument, "[\(className)] '\(name)' of a call must be true or false. Received: \(value.canonicalText)")
            }
            return
        }
        var message = "[\(className)] layer '\(name)' is called with an unknown option '\(wrong)'"
        let known = ["training"] + tensors + flags
        if let near = nearestName(to: wrong, in: known) { message += "; did you mean '\(near)'?" } else {
            message += "; known: \(known.joined(separator: ", "))"
        }
        throw DLError(.argument, message)
    }

    private func locate(_ error: DLError) -> DLError {
        self is Model ? error.within("model '\(name)'") : error.within("layer '\(name)'")
    }

    package func buildIfNeeded(_ shapes: [[Int?]]) throws {
        guard !built else {
            try checkInput(shapes)
            return
        }
        // Weights exist before and after a recording, so they are not part of it.
        let context = ThreadContext.current
        let (oldWeights, oldStates) = (weights, states)
        do {
            try context.recording(into: nil) { try context.withoutTapes { try build(shapes) } }
        } catch let error as DLError {
            (weights, states) = (oldWeights, oldStates)
            throw error.within("layer '\(name)'")
        }
        inputShapes = shapes
        built = true
    }

    /// What a built layer refuses beyond what its operations would.
    package func checkInput(_ shapes: [[Int?]]) throws {}

    /// Marks a layer as built that was built by other means, as models are.
    package func markBuilt(_ shapes: [[Int?]]) {
        inputShapes = shapes
        built = true
    }

    // MARK: Variables

    package var trainable: Bool {
        get { isTrainable }
        set {
            isTrainable = newValue
            for weight in weights { weight.variable.trainable = newValue && weight.variable.declaredTrainable }
            for layer in sublayers { layer.trainable = newValue }
        }
    }

    /// Its own weights and those of the layers inside it, each once, in the order of layers.
    package var allWeights: [Weight] {
        var seen: Set<ObjectIdentifier> = []
        return collectWeights().filter { seen.insert(ObjectIdentifier($0.variable)).inserted }
    }

    package func collectWeights() -> [Weight] { weights + sublayers.flatMap { $0.collectWeights() } }

    package var allStates: [Variable] { states + sublayers.flatMap(\.allStates) }

    package var trainableVariables: [Variable] { allWeights.map(\.variable).filter(\.trainable) }
    package var nonTrainableVariables: [Variable] { allWeights.map(\.variable).filter { !$0.trainable } }

    /// Keras's order for `get_weights`: those declared trainable first within each layer.
    package var orderedVariables: [Variable] {
        var seen: Set<ObjectIdentifier> = []
        return collectOrdered().filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    package func collectOrdered() -> [Variable] {
        let own = weights.map(\.variable)
        return own.filter(\.declaredTrainable) + own.filter { !$0.declaredTrainable } + sublayers.flatMap { $0.collectOrdered() }
    }

    package var parameterCount: Int { allWeights.reduce(0) { $0 &+ $1.variable.shape.count } }

    // MARK: Losses and metrics of a call

    /// Adds a number to what training minimises; its sum if it is no scalar. Only within the layer's call.
    package func addLoss(_ value: Value) throws {
        guard value.type.isFloatingPoint else {
            throw DLError(.dtype, "[add_loss] layer '\(name)': a loss must be floating-point. Received: \(value.spec)")
        }
        try add("add_loss") { $0.losses.append(value.shape.rank == 0 ? value : try sum(value)) }
    }

    /// Adds a number to follow in logs, by its mean over the batches. Only within the layer's call.
    package func addMetric(_ value: Value, name metric: String) throws {
        guard !metric.isEmpty else { throw DLError(.argument, "[add_metric] layer '\(name)': a metric needs a name") }
        let number = try cast(value, .float64)
        try add("add_metric") { $0.metrics.append((metric, number.shape.rank == 0 ? number : try mean(number))) }
    }

    private func add(_ operation: String, _ body: (inout CallAdditions) throws -> Void) throws {
        let context = ThreadContext.current
        guard let last = context.additions.indices.last else {
            throw DLError(.state, "[\(operation)] layer '\(name)' is not being called; add within the function 'call' of a layer")
        }
        try body(&context.additions[last])
    }

    /// Hands on to the layer around what this call has added, and remembers it where somebody may ask.
    private func keepAdditions(_ context: ThreadContext) {
        let made = context.additions.removeLast()
        if let last = context.additions.indices.last { context.additions[last] += made }
        // Inner layers would keep a recording alive that nobody needs any more.
        guard !context.infersShapes, context.additions.isEmpty || context.recording == nil else { return }
        let number = context.callNumber
        kept.withLock { kept in
            if kept.number == number { kept.additions += made } else { kept = (number, made) }
        }
    }

    /// What its latest call added, or its part in the latest call of the model around it.
    package var callAdditions: CallAdditions { kept.withLock { $0.additions } }

    /// The same, for the last time: a training step keeps no recording alive.
    package func takeCallAdditions() -> CallAdditions {
        kept.withLock { kept in
            defer { kept.additions = CallAdditions() }
            return kept.additions
        }
    }

    /// Everything beside the loss of the outputs that training minimises: what the latest call added, then the penalties
    /// of regularized weights.
    package func collectedLosses() throws -> [Value] { try callAdditions.losses + regularizationLosses() }

    func setActivityRegularizer() throws {
        let given = arguments["activity_regularizer"]
        guard !given.isNull else { return }
        do {
            activityRegularizer = try Regularizers.registry.make(given)
        } catch var error as DLError {
            error.message = "[\(className)] 'activity_regularizer': \(error.message)"
            throw error
        }
    }

    private var declaresActivityRegularizer: Bool {
        Layers.registry.find(className)?.arguments.first { $0.name == "activity_regularizer" || $0.name == "name" }?.name
            != "name"
    }

    private func regularized(_ given: CallInputs, _ regularizer: Regularizer) throws -> [Value] {
        let outputs: [Value]
        if let weight = regularizer.contraction {
            let (results, slopes) = try contracted(given)
            outputs = results
            try addLoss(multiply(slopes, constant(weight, like: slopes)))
        } else {
            outputs = try call(given)
        }
        guard regularizer.contraction == nil else { return outputs }
        for output in outputs where output.type.isFloatingPoint {
            let penalty = try regularizer.penalty(output)
            let samples = output.shape.sizes.first ?? 1
            // Keras's penalties are sums over the batch; training wants the share of one sample.
            let whole = regularizer.isPerBatch || samples <= 1
            try addLoss(whole ? penalty : divide(penalty, constant(Double(samples), like: penalty)))
        }
        return outputs
    }

    /// The outputs, and the mean over samples of the sum of squares of all derivatives of outputs by inputs.
    func contracted(_ given: CallInputs) throws -> ([Value], Value) {
        let tape = Tape(watchesVariables: false)
        // Copies: an input that is a weight's own value would have other uses.
        let watched = try given.inputs.map { $0.type.isFloatingPoint ? try copy($0) : $0 }
        for input in watched where input.type.isFloatingPoint { tape.watch(input) }
        tape.start()
        let outputs: [Value]
        do {
            defer { tape.stop() }
            outputs = try call(
                CallInputs(inputs: watched, training: given.training, named: given.named, flags: given.flags))
        }
        guard outputs.count == 1, let output = outputs.first, output.shape.rank >= 2 else {
            throw DLError(
                .unsupported, "[Contractive] layer '\(name)' must have one output with a batch axis and others. "
                    + "Received: \(outputs.map { "\($0.shape)" }.joined(separator: ", "))")
        }
        let samples = output.shape[0]
        let features = output.shape.sizes.dropFirst().reduce(1, &*)
        guard features <= 4096 else {
            throw DLError(
                .unsupported, "[Contractive] layer '\(name)' has \(features) outputs for each sample; one walk back for each is "
                    + "needed, and at most 4096 are made")
        }
        var total = try constant(0, output.type)
        for feature in 0..<features {
            let row = try Tensor(zeros: [1, features], output.type)
            row.setNumber(1, at: feature)
            let seed = try reshape(broadcastTo(Value(row), [samples, features]), output.shape.sizes)
            let gradients = try tape.gradients(of: output, withRespectTo: watched, seed: seed)
            for gradient in gradients { if let gradient { total = try DLOps.add(total, sum(square(gradient))) } }
        }
        return (outputs, try divide(total, constant(Double(max(samples, 1)), like: total)))
    }

    /// Penalties of all regularized weights.
    package func regularizationLosses() throws -> [Value] {
        try allWeights.compactMap { weight in
            guard let regularizer = weight.regularizer, weight.variable.trainable else { return nil }
            return try regularizer.penalty(weight.variable.value)
        }
    }

    /// Sets all weights in Keras's order; nothing changes unless all fit.
    package func setWeights(_ tensors: [Tensor]) throws {
        let variables = orderedVariables
        guard tensors.count == variables.count else {
            throw DLError(
                .argument, "[set_weights] layer '\(name)' has \(variables.count) weights. Received: \(tensors.count)")
        }
        for (index, (variable, tensor)) in zip(variables, tensors).enumerated() where variable.shape != tensor.shape {
            throw DLError(
                .shape, "[set_weights] weight \(index) of layer '\(name)', '\(variable.name)', has shape \(variable.shape). "
                    + "Received: \(tensor.shape)")
        }
        let converted = try zip(variables, tensors).map { variable, tensor in
            tensor.type == variable.type ? try tensor.copy() : try cast(Value(tensor), variable.type).tensor()
        }
        for (variable, tensor) in zip(variables, converted) { variable.replace(tensor) }
    }

    /// Where the layer is used in models that still exist, first use first.
    package var nodes: [LayerNode] { nodeReferences.compactMap(\.node) }

    func note(_ node: LayerNode) {
        nodeReferences.removeAll { $0.node == nil }
        nodeReferences.append(WeakNode(node: node))
    }

    package func rename(_ name: String) { self.name = name }

    /// {"module": ..., "class_name": ..., "config": {...}}, Keras's serialised form.
    package func serialized() throws -> JSON { Layers.registry.form(className, .object(try config())) }

    /// Symbolic shapes of the outputs for inputs of these shapes.
    package func outputSpecs(for inputs: [PartialSpec], training: Bool? = nil) throws -> [PartialSpec] {
        try buildIfNeeded(inputs.map(\.shape))
        return try inferOutputs(inputs) { try self.apply($0, training: training) }
    }
}

private struct WeakNode {
    weak var node: LayerNode?
}

extension Value {
    package var isDeferred: Bool {
        if case .deferred = kind { return true }
        return false
    }
}
