import DLBase
import DLGraph
import DLKernels
import DLTensor

/// y = p(x1, x2) as truth values: comparisons of numbers and the connectives of logic, to which everything but 0 is true.
final class Comparison: Sendable {
    let name: String
    let summary: String
    let formula: String
    let kernel: DLKernels.BinaryFunction

    init(_ name: String, _ kernel: DLKernels.BinaryFunction, _ summary: String, formula: String) {
        self.name = name
        self.kernel = kernel
        self.summary = summary
        self.formula = formula
    }

    static let equal = Comparison("equal", .equal, "Whether two numbers are the same.", formula: "x1 == x2")
    static let notEqual = Comparison("not_equal", .notEqual, "Whether two numbers differ.", formula: "x1 != x2")
    static let less = Comparison("less", .less, "Whether the first number is smaller.", formula: "x1 < x2")
    static let lessEqual = Comparison(
        "less_equal", .lessEqual, "Whether the first number is smaller or the same.", formula: "x1 <= x2")
    static let greater = Comparison("greater", .greater, "Whether the first number is larger.", formula: "x1 > x2")
    static let greaterEqual = Comparison(
        "greater_equal", .greaterEqual, "Whether the first number is larger or the same.", formula: "x1 >= x2")
    static let logicalAnd = Comparison(
        "logical_and", .logicalAnd, "Whether both are true.", formula: "x1 and x2")
    static let logicalOr = Comparison(
        "logical_or", .logicalOr, "Whether at least one is true.", formula: "x1 or x2")
    static let logicalXor = Comparison(
        "logical_xor", .logicalXor, "Whether exactly one is true.", formula: "x1 xor x2")

    var isLogical: Bool { self === Comparison.logicalAnd || self === Comparison.logicalOr || self === Comparison.logicalXor }

    static let all: [Comparison] = [
        equal, notEqual, less, lessEqual, greater, greaterEqual, logicalAnd, logicalOr, logicalXor,
    ]

    var entry: OperationEntry {
        OperationEntry(
            Declaration(
                name, summary, formula: formula, shapes: "x1 and x2 are broadcast; bool comes out",
                extra: JSONObject([("inputs", ["x1", "x2"])]), make: { _ in ComparisonOperation(self) }),
            samples: [
                OperationSample(.uniform([3, 4]), .uniform([3, 4]), differentiable: false),
                OperationSample(
                    .integers([2, 1, 3], below: 3), .integers([4, 1], below: 3), differentiable: false),
            ])
    }
}

/// One use of a comparison.
struct ComparisonOperation: Operation {
    let comparison: Comparison

    init(_ comparison: Comparison) { self.comparison = comparison }

    var name: String { comparison.name }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        return [TensorSpec(try inputs[0].shape.broadcast(with: inputs[1].shape, name), .bool)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        // Connectives see truth values only.
        let type = comparison.isLogical ? ElementType.bool : Promotion.common(inputs.map(\.type))
        return try Promotion.meet(inputs, type).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let type = inputs[0].type
        guard let plan = BroadcastPlan(inputs.map(\.shape.sizes), to: outputs[0].shape.sizes),
            let kernel = BinaryKernel(comparison.kernel, type)
        else { throw DLError(.internal, "[\(name)] there is no kernel for \(type.name)") }
        let runtime = ThreadPool.shared.runtime
        return Kernel("element-wise") { kernel(runtime, plan, $0.inputs[0], $0.inputs[1], $0.outputs[0]) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

/// y = p(x) as truth values.
final class Predicate: Sendable {
    let name: String
    let summary: String
    let kernel: DLKernels.UnaryFunction

    init(_ name: String, _ kernel: DLKernels.UnaryFunction, _ summary: String) {
        self.name = name
        self.kernel = kernel
        self.summary = summary
    }

    static let logicalNot = Predicate("logical_not", .logicalNot, "Whether a value is false, that is 0.")
    static let isNaN = Predicate("isnan", .isNaN, "Whether a value is not a number.")
    static let isInfinite = Predicate("isinf", .isInfinite, "Whether a value is infinite, of either sign.")
    static let isFinite = Predicate("isfinite", .isFinite, "Whether a value is neither infinite nor NaN.")

    static let all: [Predicate] = [logicalNot, isNaN, isInfinite, isFinite]

    var entry: OperationEntry {
        OperationEntry(
            Declaration(
                name, summary, shapes: "any shape; bool of the same comes out",
                extra: JSONObject([("inputs", ["x"])]), make: { _ in PredicateOperation(self) }),
            samples: [
                OperationSample(
                    .given([0, 1, .nan, .infinity, -.infinity, -0.0], [2, 3], .float32), differentiable: false),
                OperationSample(.integers([7], below: 2, .bool), differentiable: false),
            ])
    }
}

/// One use of a predicate.
struct PredicateOperation: Operation {
    let predicate: Predicate

    init(_ predicate: Predicate) { self.predicate = predicate }

    var name: String { predicate.name }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec(inputs[0].shape, .bool)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let count = inputs[0].shape.count
        let type = inputs[0].type
        guard let kernel = UnaryKernel(predicate.kernel, type) else {
            throw DLError(.internal, "[\(name)] there is no kernel for \(type.name)")
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel("element-wise") { kernel(runtime, $0.inputs[0], $0.outputs[0], count: count) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil] }
}

// MARK: For Swift

package func equal(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.equal), a, b) }
package func notEqual(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.notEqual), a, b) }
package func less(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.less), a, b) }
package func lessEqual(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.lessEqual), a, b) }
package func greater(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.greater), a, b) }
package func greaterEqual(_ a: Value, _ b: Value) throws -> Value {
    try apply(ComparisonOperation(.greaterEqual), a, b)
}
package func logicalAnd(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.logicalAnd), a, b) }
package func logicalOr(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.logicalOr), a, b) }
package func logicalXor(_ a: Value, _ b: Value) throws -> Value { try apply(ComparisonOperation(.logicalXor), a, b) }
package func logicalNot(_ x: Value) throws -> Value { try apply(PredicateOperation(.logicalNot), x) }
package func isNaN(_ x: Value) throws -> Value { try apply(PredicateOperation(.isNaN), x) }
package func isInfinite(_ x: Value) throws -> Value { try apply(PredicateOperation(.isInfinite), x) }
package func isFinite(_ x: Value) throws -> Value { try apply(PredicateOperation(.isFinite), x) }
