import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor

/// Changes variables along their gradients.
///
/// Learning rate and number of updates are variables, so that a compiled step follows when they change.
package class Optimizer {
    package let arguments: Arguments
    package let className: String
    package let iterations: Variable
    package let learningRate: Variable
    /// State for each variable, in the order of `slotNames`.
    package private(set) var slots: [(variable: Variable, states: [Variable])] = []
    private var slotPositions: [ObjectIdentifier: Int] = [:]

    init(_ arguments: Arguments) throws {
        self.arguments = arguments
        self.className = arguments.owner
        iterations = Variable(try Tensor(scalar: Int64(0)), name: "iterations", trainable: false)
        learningRate = Variable(
            try Tensor(scalar: Float(arguments.float("learning_rate"))), name: "learning_rate", trainable: false)
        try Optimizer.refuseUnsupported(arguments)
    }

    // MARK: For subclasses

    /// Names of the states that each variable has, for these arguments.
    var slotNames: [String] { [] }

    /// The new contents of the variable and of its states.
    func update(_ variable: Value, _ gradient: Value, _ states: [Value]) throws -> [Value] { [variable] + states }

    // MARK: Applying

    /// Creates the states for variables that have none yet.
    package func build(_ variables: [Variable]) throws {
        let context = ThreadContext.current
        try context.recording(into: nil) {
            for variable in variables where slotPositions[ObjectIdentifier(variable)] == nil {
                let states = try slotNames.map { name in
                    Variable(try Tensor(zeros: variable.shape, variable.type), name: "\(variable.name)_\(name)", trainable: false)
                }
                slotPositions[ObjectIdentifier(variable)] = slots.count
                slots.append((variable, states))
            }
        }
    }

    /// One update. `constraint` gives the projection that follows the update of a variable, if it has one.
    package func apply(
        _ gradients: [(gradient: Value?, variable: Variable)], constraint: (Variable) -> Constraint? = { _ in nil }
    ) throws {
        let pairs = gradients.compactMap { pair in pair.gradient.map { (gradient: $0, variable: pair.variable) } }
        guard !pairs.isEmpty else {
            throw DLError(.argument, "[\(className)] no variable has a gradient: nothing that can be trained led to the loss")
        }
        for pair in pairs where pair.gradient.shape != pair.variable.shape {
            throw DLError(
                .shape, "[\(className)] the gradient for '\(pair.variable.name)' does not fit. "
                    + "Received: gradient \(pair.gradient.spec), variable \(pair.variable.spec)")
        }
        try build(pairs.map(\.variable))
        let clipped = try clip(pairs.map(\.gradient))
        for (pair, gradient) in zip(pairs, clipped) {
            let variable = pair.variable
            let states = slots[slotPositions[ObjectIdentifier(variable)]!].states
            let decayed = try decay(variable)
            let results = try update(decayed, gradient, states.map(\.value))
            let new = try constraint(variable)?.project(results[0]) ?? results[0]
            try variable.assign(new)
            for (state, result) in zip(states, results.dropFirst()) { try state.assign(result) }
        }
        try iterations.assign(add(iterations.value, Value(Tensor(scalar: Int64(1)))))
    }

    /// Weight decay as Keras does it for every optimizer: before the update, and apart from the gradient.
    private func decay(_ variable: Variable) throws -> Value {
        guard let rate = weightDecay, rate != 0 else { return variable.value }
        let factor = try multiply(cast(learningRate.value, variable.type), constant(rate, variable.type))
        return try subtract(variable.value, multiply(variable.value, factor))
    }

    var weightDecay: Double? { arguments.optionalFloat("weight_decay") }

    private func clip(_ gradients: [Value]) throws -> [Value] {
        if let limit = arguments.optionalFloat("clipnorm") {
            return try gradients.map { try scaled($0, toNorm: norm([$0]), limit) }
        }
        if let limit = arguments.optionalFloat("global_clipnorm") {
            let length = try norm(gradients)
            return try gradients.map { try scaled($0, toNorm: length, limit) }
        }
        if let limit = arguments.optionalFloat("clipvalue") { return try gradients.map { try DLOps.clip($0, -limit, limit) } }
        return gradients
    }

    private func norm(_ gradients: [Value]) throws -> Value {
        var total = try sum(square(gradients[0]))
        for gradient in gradients.dropFirst() { total = try add(total, cast(sum(square(gradient)), total.type)) }
        return try sqrt(total)
    }

    private func scaled(_ gradient: Value, toNorm norm: Value, _ limit: Double) throws -> Value {
        let bound = try constant(limit, like: norm)
        return try multiply(gradient, cast(divide(bound, maximum(norm, bound)), gradient.type))
    }

    // MARK: Configuration

    package func serialized() -> JSON {
        var config = arguments.values
        config["learning_rate"] = .double(learningRateShortest)
        return ["class_name": .string(className), "config": .object(config)]
    }

    /// The rate as a person wrote it: 0.001, not 0.0010000000474974513.
    package var learningRateShortest: Double {
        Double(Text.shortest(Float(learningRate.tensor.number(at: 0)))) ?? learningRate.tensor.number(at: 0)
    }

    package func setLearningRate(_ rate: Double) throws {
        guard rate.isFinite, rate >= 0 else {
            throw DLError(.argument, "[\(className)] the learning rate must be a number of at least 0. Received: \(Text.shortest(rate))")
        }
        learningRate.replace(try Tensor(scalar: Float(rate)))
    }

    private static func refuseUnsupported(_ arguments: Arguments) throws {
        if arguments.bool("use_ema") { throw DLError(.unsupported, "[\(arguments.owner)] 'use_ema' is not supported yet") }
        for name in ["loss_scale_factor", "gradient_accumulation_steps"] where arguments.has(name) {
            throw DLError(.unsupported, "[\(arguments.owner)] '\(name)' is not supported yet")
        }
        let clips = ["clipnorm", "clipvalue", "global_clipnorm"].filter(arguments.has)
        if clips.count > 1 {
            throw DLError(.argument, "[\(arguments.owner)] only one of clipnorm, clipvalue and global_clipnorm may be set. "
                + "Received: \(clips.joined(separator: ", "))")
        }
    }
}
