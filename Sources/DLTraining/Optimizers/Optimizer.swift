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
    /// Where the rate depends on the number of updates, instead of `learningRate`.
    package private(set) var schedule: Schedule?
    /// State for each variable: that of `slots(for:)`, then its moving average, then its gradients since the last update.
    package private(set) var slots: [(variable: Variable, states: [Variable])] = []
    private var slotPositions: [ObjectIdentifier: Int] = [:]

    /// One state of a variable, and what it begins with.
    struct Slot {
        let name: String
        var initial = 0.0
        /// nil: the variable's.
        var shape: Shape?
        /// What it begins with where that is not one number.
        var contents: Tensor?
    }

    /// What one variable's update is given.
    struct Update {
        let variable: Variable
        /// The contents before the update.
        let value: Value
        let gradient: Value
        let states: [Value]
        let rate: Value
        /// The number of updates before this one.
        let iterations: Value
        /// How much of the weight, times the rate, goes before the update.
        let decay: Double

        /// The weight after its decay, for updates that do not see to it themselves.
        func decayed() throws -> Value {
            guard decay != 0 else { return value }
            let factor = try multiply(cast(rate, value.type), constant(decay, value.type))
            return try subtract(value, multiply(value, factor))
        }
    }

    init(_ arguments: Arguments) throws {
        self.arguments = arguments
        self.className = arguments.owner
        iterations = Variable(try Tensor(scalar: Int64(0)), name: "iterations", trainable: false)
        let rate = arguments["learning_rate"]
        if rate.objectValue != nil { schedule = try Schedules.registry.make(rate) }
        let first = try schedule?.rate(0) ?? arguments.float("learning_rate")
        learningRate = Variable(try Tensor(scalar: Float(first)), name: "learning_rate", trainable: false)
        let clips = ["clipnorm", "clipvalue", "global_clipnorm"].filter(arguments.has)
        if clips.count > 1 {
            throw DLError(.argument, "[\(className)] only one of clipnorm, clipvalue and global_clipnorm may be set. "
                + "Received: \(clips.joined(separator: ", "))")
        }
    }

    // MARK: For subclasses

    /// The states of a variable, for these arguments.
    func slots(for variable: Variable) throws -> [Slot] { [] }

    /// The new contents of the variable and of its states.
    func update(_ update: Update) throws -> [Value] { [update.value] + update.states }

    /// States that do not belong to one variable.
    package var scalars: [Variable] { [] }

    /// Called before the variables of a step are updated: the new contents of `scalars`, which `update` may read from there on.
    func prepare(iterations: Value) throws -> [Value] { [] }

    /// How much of the variable decays, times the rate.
    func weightDecay(for variable: Variable) -> Double { arguments.float("weight_decay") }

    // MARK: Weight decay

    private var undecayed: Set<ObjectIdentifier> = []
    private var undecayedNames: [String] = []

    /// Variables, and those whose names contain one of the texts, keep their size. For new optimizers: plans made before do
    /// not know of it.
    package func excludeFromWeightDecay(_ variables: [Variable], _ names: [String]) throws {
        guard slots.isEmpty else {
            throw DLError(.state, "[\(className)] what is excluded from weight decay is said before the first update")
        }
        guard !names.contains(where: \.isEmpty) else {
            throw DLError(.argument, "[\(className)] an empty name would exclude every variable from weight decay")
        }
        excluded += variables
        undecayed.formUnion(variables.map { ObjectIdentifier($0) })
        undecayedNames += names
    }

    /// Keeps them alive: an identifier may be used again by another object.
    private var excluded: [Variable] = []

    private func decay(of variable: Variable) -> Double {
        if undecayed.contains(ObjectIdentifier(variable)) || undecayedNames.contains(where: variable.name.contains) { return 0 }
        return weightDecay(for: variable)
    }

    // MARK: Applying

    private var accumulationSteps: Int { arguments.int("gradient_accumulation_steps") }
    package var averages: Bool { arguments.bool("use_ema") }

    /// Creates the states for variables that have none yet.
    package func build(_ variables: [Variable]) throws {
        let context = ThreadContext.current
        try context.recording(into: nil) {
            for variable in variables where slotPositions[ObjectIdentifier(variable)] == nil {
                var wanted = try slots(for: variable)
                if averages { wanted.append(Slot(name: "average")) }
                if accumulationSteps > 0 { wanted.append(Slot(name: "gradient_accumulator")) }
                let states = try wanted.map { slot in
                    Variable(
                        try slot.contents ?? Tensor(number: slot.initial, variable.type, shape: slot.shape ?? variable.shape),
                        name: "\(variable.name)_\(slot.name)", trainable: false)
                }
                slotPositions[ObjectIdentifier(variable)] = slots.count
                slots.append((variable, states))
            }
        }
    }

    private func states(of variable: Variable) -> [Variable] { slots[slotPositions[ObjectIdentifier(variable)]!].states }

    /// The rate of the next update.
    func currentRate() throws -> Value {
        guard let schedule else { return learningRate.value }
        return try DLGraph.apply(ScheduledRate(schedule: schedule), iterations.value)
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
        var values = try pairs.map { try cast($0.gradient, $0.variable.type) }
        if let scale = arguments.optionalFloat("loss_scale_factor") {
            values = try values.map { try divide($0, constant(scale, like: $0)) }
        }

        var updates = iterations.value
        var isUpdate: Value?
        if accumulationSteps > 0 {
            let steps = Value(try Tensor(scalar: Int64(accumulationSteps)))
            let next = try add(iterations.value, Value(Tensor(scalar: Int64(1))))
            isUpdate = try equal(mod(next, steps), Value(Tensor(scalar: Int64(0))))
            updates = try floorDivide(iterations.value, steps)
            values = try accumulate(values, pairs.map(\.variable), isUpdate!)
        }
        let clipped = try clip(values)
        let rate = try currentRate()
        for (variable, value) in zip(scalars, try prepare(iterations: updates)) {
            try variable.assign(gated(isUpdate, value, variable.value))
        }
        for (pair, gradient) in zip(pairs, clipped) {
            let variable = pair.variable
            let states = states(of: variable)
            let own = states.dropLast((averages ? 1 : 0) + (accumulationSteps > 0 ? 1 : 0))
            let results = try update(
                Update(
                    variable: variable, value: variable.value, gradient: gradient, states: own.map(\.value), rate: rate,
                    iterations: updates, decay: decay(of: variable)))
            var new = try gated(isUpdate, results[0], variable.value)
            for (state, result) in zip(own, results.dropFirst()) { try state.assign(gated(isUpdate, result, state.value)) }
            if averages { new = try average(new, states[own.count], updates) }
            try variable.assign(constraint(variable)?.project(new) ?? new)
        }
        try iterations.assign(add(iterations.value, Value(Tensor(scalar: Int64(1)))))
    }

    /// The new value where this step updates, else the old one.
    private func gated(_ isUpdate: Value?, _ new: Value, _ old: Value) throws -> Value {
        guard let isUpdate else { return new }
        return try `where`(isUpdate, new, old)
    }

    /// Adds to the gradients so far; gives their means, which count in a step that updates.
    private func accumulate(_ values: [Value], _ variables: [Variable], _ isUpdate: Value) throws -> [Value] {
        let share = 1 / Double(accumulationSteps)
        return try zip(values, variables).map { value, variable in
            let accumulator = states(of: variable).last!
            let total = try add(accumulator.value, value)
            try accumulator.assign(`where`(isUpdate, constant(0, like: total), total))
            return try multiply(total, constant(share, like: total))
        }
    }

    /// Takes the weight into its moving average, which now and then takes its place.
    private func average(_ value: Value, _ average: Variable, _ updates: Value) throws -> Value {
        let next = try UpdateRules.average(
            average.value, value, [], [updates], JSONObject([("momentum", arguments["ema_momentum"])]))[0]
        try average.assign(next)
        guard let frequency = arguments.optionalInt("ema_overwrite_frequency") else { return value }
        let count = try add(updates, Value(Tensor(scalar: Int64(1))))
        let isDue = try equal(mod(count, Value(Tensor(scalar: Int64(frequency)))), Value(Tensor(scalar: Int64(0))))
        return try `where`(isDue, next, value)
    }

    /// Variables and their moving averages, where `use_ema` keeps them.
    package var movingAverages: [(variable: Variable, average: Variable)] {
        guard averages else { return [] }
        let place = accumulationSteps > 0 ? 2 : 1
        return slots.map { ($0.variable, $0.states[$0.states.count - place]) }
    }

    /// Exchanges weights and moving averages; twice is never.
    package func swapAverages() throws {
        for (variable, average) in movingAverages {
            let weights = variable.tensor
            variable.replace(average.tensor)
            average.replace(weights)
        }
    }

    /// What training ends with: the moving averages take the weights' place.
    package func finishTraining() throws {
        for (variable, average) in movingAverages { try variable.assign(average.tensor) }
    }

    /// The loss times the loss scale, by which gradients are divided again.
    package func scaled(_ loss: Value) throws -> Value {
        guard let scale = arguments.optionalFloat("loss_scale_factor") else { return loss }
        return try multiply(loss, constant(scale, like: loss))
    }

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
        config["learning_rate"] = schedule?.serialized ?? .double(learningRateShortest)
        return Optimizers.registry.form(className, .object(config))
    }

    /// The rate of the next update as a person wrote it: 0.001, not 0.0010000000474974513.
    package var learningRateShortest: Double {
        let number = schedule.flatMap { try? $0.rate(iterations.tensor.number(at: 0)) } ?? learningRate.tensor.number(at: 0)
        return Double(Text.shortest(Float(number))) ?? number
    }

    package func setLearningRate(_ rate: Double) throws {
        guard rate.isFinite, rate >= 0, rate <= Double(Float.greatestFiniteMagnitude) else {
            throw DLError(.argument, "[\(className)] the learning rate must be a number of at least 0. Received: \(Text.shortest(rate))")
        }
        guard schedule == nil else {
            throw DLError(
                .state, "[\(className)] the learning rate follows the schedule \(schedule?.name ?? ""); it cannot be set. "
                    + "Received: \(Text.shortest(rate))")
        }
        learningRate.replace(try Tensor(scalar: Float(rate)))
    }

    /// Lets the rate depend on the number of updates. Plans made before do not know of it, so it is for new optimizers.
    package func setSchedule(_ schedule: Schedule) throws {
        guard slots.isEmpty else {
            throw DLError(.state, "[\(className)] a schedule is set before the first update")
        }
        _ = try schedule.rate(0)
        self.schedule = schedule
    }
}
