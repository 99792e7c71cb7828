import DLBase
import DLGraph
import DLTensor

/// A learning rate that depends on the number of updates so far.
package final class Schedule: @unchecked Sendable {
    package let name: String
    /// {"class_name", "config"} to make it again; nil for a function of the user's own.
    package let serialized: JSON?
    private let function: (Double) throws -> Double

    package init(name: String, serialized: JSON? = nil, _ function: @escaping (Double) throws -> Double) {
        self.name = name
        self.serialized = serialized
        self.function = function
    }

    /// The rate for the update after `step` others.
    package func rate(_ step: Double) throws -> Double {
        let rate = try function(step)
        guard rate.isFinite, rate >= 0, rate <= Double(Float.greatestFiniteMagnitude) else {
            throw DLError(
                .range, "[\(name)] the learning rate at step \(Text.shortest(step)) must be a number of at least 0. "
                    + "Received: \(Text.shortest(rate))")
        }
        return rate
    }
}

/// A schedule as part of a step: steps so far in, rate out. A compiled step follows it without being compiled anew.
struct ScheduledRate: Operation {
    let schedule: Schedule

    var name: String { "learning_rate_schedule" }
    var attributes: JSON {
        schedule.serialized ?? ["function": .int(Int64(ObjectIdentifier(schedule).hashValue))]
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs == [TensorSpec(.scalar, .int64)] else {
            throw DLError(.shape, "[\(name)] takes the number of steps so far, an int64. Received: \(inputs)")
        }
        return [TensorSpec(.scalar, .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let schedule = schedule
        return Kernel("schedule", cannotFail: false) { arguments in
            arguments.output(0, Float.self)[0] = Float(try schedule.rate(Double(arguments.input(0, Int64.self)[0])))
        }
    }
}
