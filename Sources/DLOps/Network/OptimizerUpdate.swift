import DLBase
import DLGraph
import DLTensor

/// What the update operations of optimizers share: a weight, its gradient, the optimizer's slots of the same shape, then
/// scalars. Outputs are the new weight and slots, which may take the place of the old ones.
enum OptimizerUpdate {
    static let weightDecay = Argument(
        "weight_decay", .float(Argument.notNegative), 0.0,
        "before the update the weight shrinks by learning_rate times this times itself")

    static func epsilon(_ value: Double) -> Argument {
        Argument("epsilon", .float(Argument.notNegative), .double(value), "keeps the divisor away from 0")
    }

    /// Checks `names.count` tensors of one shape and the scalars after them; returns the outputs' specs.
    static func outputs(
        _ inputs: [TensorSpec], slots: [String], scalars: [String], _ operation: String
    ) throws -> [TensorSpec] {
        let tensors = slots.count + 2
        try expectInputs(inputs, tensors + scalars.count, operation)
        try expectSameFloat(Array(inputs.prefix(tensors)), operation)
        for (name, spec) in zip(["gradient"] + slots, inputs[1..<tensors]) where spec.shape != inputs[0].shape {
            throw DLError(
                .shape, "[\(operation)] \(name) must have the weight's shape. "
                    + "Received: weight \(inputs[0].shape), \(name) \(spec.shape)")
        }
        for (name, spec) in zip(scalars, inputs[tensors...]) where spec.shape.count != 1 || spec.type == .bool {
            throw DLError(.shape, "[\(operation)] \(name) must be one number. Received: \(name) \(spec)")
        }
        return [TensorSpec](repeating: inputs[0], count: slots.count + 1)
    }

    /// The weight is output 0 and input 0; slot i is output i and input i + 1, for the gradient stands between.
    static func inPlace(slots: Int) -> [(output: Int, input: Int)] {
        [(output: 0, input: 0)] + (0..<slots).map { (output: $0 + 1, input: $0 + 2) }
    }

    /// Reads a scalar of any type.
    static func scalar(_ pointer: UnsafeRawPointer, _ type: ElementType) -> Double {
        switch type {
        case .float32: Double(pointer.loadUnaligned(as: Float.self))
        case .float64: pointer.loadUnaligned(as: Double.self)
        case .int32: Double(pointer.loadUnaligned(as: Int32.self))
        case .int64: Double(pointer.loadUnaligned(as: Int64.self))
        case .uint8, .bool: Double(pointer.loadUnaligned(as: UInt8.self))
        }
    }
}
