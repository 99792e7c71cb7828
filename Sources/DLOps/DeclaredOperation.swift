import DLBase
import DLGraph
import DLTensor

/// An operation that stands in the operation table, so that C and scripts reach it by name, documents show it and tests
/// check its gradient.
package protocol DeclaredOperation: Operation {
    static var declaration: Declaration<any Operation> { get }

    /// Uses of the operation that tests run: forward in every type it takes, and gradients against finite differences.
    static var samples: [OperationSample] { get }
}

extension DeclaredOperation {
    package var name: String { Self.declaration.name }
}

/// One line of the operation table. Families of operations that differ in a formula only share one Swift type and have
/// several entries.
package struct OperationEntry: Sendable {
    package let declaration: Declaration<any Operation>
    package let samples: [OperationSample]

    package init(_ declaration: Declaration<any Operation>, samples: [OperationSample]) {
        self.declaration = Examples.added(to: declaration, samples)
        self.samples = samples
    }

    package init(_ type: any DeclaredOperation.Type) { self.init(type.declaration, samples: type.samples) }
}

/// Inputs and attributes for one test of an operation.
package struct OperationSample: Sendable {
    /// How an input is filled.
    package enum Input: Sendable {
        /// Uniform random numbers, kept away from each other by `gap` so that a maximum stays the maximum.
        case uniform(Shape, ClosedRange<Double> = -2.0...2.0, gap: Double = 0)
        /// Uniform random whole numbers `0 ..< bound`; has no gradient.
        case integers(Shape, below: Int, ElementType = .int32)
        /// Given numbers; has no gradient.
        case given([Double], Shape, ElementType)
    }

    package let attributes: JSON
    package let inputs: [Input]
    /// False for an operation whose derivative is zero or undefined everywhere.
    package let differentiable: Bool
    /// Whether the gradient is itself checked against finite differences.
    package let twiceDifferentiable: Bool
    /// The outputs that have gradients are so many, the first ones.
    package let differentiableOutputs: Int

    package init(
        _ inputs: Input..., attributes: JSON = [:], differentiable: Bool = true, twiceDifferentiable: Bool = true
    ) {
        self.init(
            list: inputs, attributes: attributes, differentiable: differentiable, twiceDifferentiable: twiceDifferentiable)
    }

    package init(
        list inputs: [Input], attributes: JSON = [:], differentiable: Bool = true, twiceDifferentiable: Bool = true,
        outputs: Int = Int.max
    ) {
        differentiableOutputs = outputs
        self.inputs = inputs
        self.attributes = attributes
        self.differentiable = differentiable
        self.twiceDifferentiable = differentiable && twiceDifferentiable
    }
}

/// Every operation by name, for C, scripts and documents.
package enum Operations {
    package static let registry = Registry<any Operation>("operation", operationTable.map { $0.declaration })

    /// Applies an operation by name. Attributes are a JSON object, or null for the defaults.
    package static func apply(_ name: String, _ inputs: [Value], attributes: JSON = .null) throws -> [Value] {
        let operation = try registry.declaration(name).make(config: attributes)
        return try DLGraph.apply(operation, to: inputs)
    }
}

/// Checks that the number of inputs is right before a shape rule looks at them.
package func expectInputs(_ inputs: [TensorSpec], _ count: Int, _ operation: String) throws {
    guard inputs.count == count else {
        throw DLError(
            .argument, "[\(operation)] takes \(count) input\(count == 1 ? "" : "s"). Received: \(inputs.count)")
    }
}

/// Refuses element types that the operation has no kernel for.
package func expectType(_ spec: TensorSpec, _ types: [ElementType], _ operation: String) throws {
    guard types.contains(spec.type) else {
        throw DLError(
            .dtype, "[\(operation)] takes \(types.map(\.name).joined(separator: " or ")). Received: \(spec)")
    }
}

package let floatingTypes: [ElementType] = [.float32, .float64]

/// "input (32, 14, 14, 3), kernel (5, 5, 6, 16)", for the end of a message.
package func received(_ parts: (String, TensorSpec)...) -> String {
    "Received: " + parts.map { "\($0.0) \($0.1.shape) \($0.1.type.name)" }.joined(separator: ", ")
}

/// Applies a declared operation that has one output, by name.
func apply(_ name: String, _ inputs: Value...) throws -> Value { try Operations.apply(name, inputs)[0] }
