import DLBase
import DLGraph
import DLOps
import DLTensor

/// An optimizer whose update is written by the user of the library. Clipping, decay, averages, accumulation and schedules
/// are those of every optimizer.
package final class CustomOptimizer: Optimizer {
    package struct Functions {
        /// What the states of a variable begin with.
        package let slots: (_ value: Value, _ config: JSON) throws -> [Value]
        /// From value, gradient, rate, number of updates before, and states: the new value and states.
        package let update: (_ inputs: [Value], _ config: JSON) throws -> [Value]

        package init(
            slots: @escaping (Value, JSON) throws -> [Value], update: @escaping ([Value], JSON) throws -> [Value]
        ) {
            self.slots = slots
            self.update = update
        }
    }

    private let functions: Functions
    /// The arguments of the user's own.
    private let own: JSONObject

    package init(className: String, config: JSON, functions: Functions) throws {
        self.functions = functions
        let known = [Optimizers.rateArgument(0.001)] + Optimizers.commonArguments(className)
        let declaration = Declaration<Optimizer>(className, "", arguments: known) { _ in
            throw DLError(.internal, "not made in this way")
        }
        let names = Set(known.map(\.name))
        var (common, own) = (JSONObject(), JSONObject())
        for (key, value) in (config.objectValue ?? JSONObject()).pairs {
            if names.contains(key) { common[key] = value } else { own[key] = value }
        }
        self.own = own
        try super.init(declaration.check(.object(common)))
    }

    override func slots(for variable: Variable) throws -> [Slot] {
        try functions.slots(variable.value, .object(own)).enumerated().map { index, value in
            Slot(name: "state_\(index)", contents: try cast(value, variable.type).tensor("slots").copy())
        }
    }

    override func update(_ u: Update) throws -> [Value] {
        let given = [try u.decayed(), u.gradient, try cast(u.rate, u.value.type), u.iterations] + u.states
        let results = try functions.update(given, .object(own))
        let wanted = [u.value] + u.states
        guard results.count == wanted.count else {
            throw DLError(
                .callback, "[\(className)] an update gives the new value and \(u.states.count) states. Received: \(results.count) tensors")
        }
        return try zip(results, wanted).map { result, old in
            guard result.shape == old.shape else {
                throw DLError(
                    .shape, "[\(className)] an update of '\(u.variable.name)' must keep shapes. Received: \(result.shape) for \(old.shape)")
            }
            return try cast(result, old.type)
        }
    }

    override package func serialized() -> JSON {
        guard let object = super.serialized().objectValue, var config = object["config"]?.objectValue else { return .null }
        for (key, value) in own.pairs { config[key] = value }
        return ["class_name": .string(className), "config": .object(config)]
    }
}
