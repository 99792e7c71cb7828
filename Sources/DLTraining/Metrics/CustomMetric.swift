import DLBase
import DLGraph
import DLLayers
import DLTensor

/// A metric written by the user of the library, with states of its own.
package final class CustomMetric: Metric {
    package struct Functions {
        package let update: (CustomMetric, _ truth: Value, _ prediction: Value?, _ weight: Value?) throws -> Void
        package let result: (CustomMetric) throws -> Value

        package init(
            update: @escaping (CustomMetric, Value, Value?, Value?) throws -> Void, result: @escaping (CustomMetric) throws -> Value
        ) {
            self.update = update
            self.result = result
        }
    }

    private let functions: Functions
    private var initial: [Tensor] = []
    /// What the functions were registered with, for bindings that find their object again.
    package var payload: AnyObject?

    package init(className: String, config: JSONObject, functions: Functions) {
        self.functions = functions
        var config = config
        let name = config["name"]?.stringValue ?? Metrics.snake(className)
        config["name"] = .string(name)
        super.init(name: name, serialized: ["class_name": .string(className), "config": .object(config)])
    }

    /// One more state, which `reset` sets to what it is now.
    package func addVariable(_ name: String, _ tensor: Tensor) throws -> Variable {
        initial.append(try tensor.copy())
        return try addState(name, tensor)
    }

    override package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {
        try functions.update(self, truth, prediction, weight)
    }

    override package func result() throws -> Value {
        let context = ThreadContext.current
        return try context.recording(into: nil) { try context.withoutTapes { try functions.result(self) } }
    }

    override package func numbers() throws -> [Double] { try result().tensor("result").numbers }

    override package func number() throws -> Double {
        let all = try numbers()
        return all.reduce(0, +) / Double(Swift.max(all.count, 1))
    }

    override package func reset() throws {
        for (variable, tensor) in zip(variables, initial) { variable.replace(try tensor.copy()) }
    }
}
