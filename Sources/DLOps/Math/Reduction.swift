import DLBase
import DLGraph
import DLKernels
import DLTensor

/// y = reduction of x over some axes.
final class Reduction: Sendable {
    let name: String
    let aliases: [String]
    let kind: ReductionFunction
    let summary: String
    let formula: String

    init(_ name: String, aliases: [String] = [], _ kind: ReductionFunction, _ summary: String, formula: String = "") {
        self.name = name
        self.aliases = aliases
        self.kind = kind
        self.summary = summary
        self.formula = formula
    }

    static let sum = Reduction("sum", .sum, "Sums along axes.", formula: "sum of x")
    static let mean = Reduction("mean", .mean, "Averages along axes; whole numbers as float32.", formula: "sum of x / n")
    static let max = Reduction(
        "max", aliases: ["amax"], .maximum, "The largest element along axes; of equal ones each takes its share of the gradient.")
    static let min = Reduction(
        "min", aliases: ["amin"], .minimum, "The smallest element along axes; of equal ones each takes its share of the gradient.")
    static let prod = Reduction("prod", .product, "Multiplies along axes.")
    static let all = Reduction("all", .all, "Whether every element along axes is true, that is not 0.")
    static let any = Reduction("any", .any, "Whether some element along axes is true, that is not 0.")
    static let sumOfSquares = Reduction(
        "sum_of_squares", .sumOfSquares, "Sums squares along axes.", formula: "sum of x^2")

    static let sumOfMagnitudes = Reduction(
        "sum_of_magnitudes", .sumOfMagnitudes, "Sums absolute values along axes.", formula: "sum of |x|")
    static let logSumExp = Reduction(
        "logsumexp", .logSumExp, "The logarithm of the sum of exponentials along axes, computed without overflow.",
        formula: "ln sum of e^x")

    static let list: [Reduction] = [sum, mean, max, min, prod, all, any, logSumExp, sumOfSquares, sumOfMagnitudes]

    static let arguments: [Argument] = [
        Argument("axis", .optional(.axes), .null, "The axes that are reduced; null for all."),
        Argument("keepdims", .bool, false, "Whether they stay, with size 1."),
    ]

    var entry: OperationEntry {
        var extra = JSONObject([("inputs", ["x"])])
        if kind == .sumOfSquares || kind == .sumOfMagnitudes { extra["internal"] = true }
        let isLogical = kind == .all || kind == .any
        func sample(_ shape: Shape, _ attributes: JSON) -> OperationSample {
            isLogical
                ? OperationSample(.integers(shape, below: 2, .bool), attributes: attributes, differentiable: false)
                : OperationSample(.uniform(shape, -2.0...2.0, gap: 0.01), attributes: attributes)
        }
        return OperationEntry(
            Declaration(
                name, aliases: aliases, summary, formula: formula, shapes: "any shape; without the axes, or with size 1",
                extra: extra, arguments: Reduction.arguments,
                make: { ReductionOperation(self, axes: $0.optionalInts("axis"), keepDims: $0.bool("keepdims")) }),
            samples: [
                sample([3, 4], [:]), sample([2, 3, 4], ["axis": 1]), sample([2, 3, 4], ["axis": [0, -1], "keepdims": true]),
                sample([5, 3], ["axis": 0]), sample([3, 5], ["axis": [-1]]), sample([], [:]), sample([3, 2], ["axis": []]),
            ])
    }
}

/// One use of a reduction.
struct ReductionOperation: Operation {
    let reduction: Reduction
    let axes: [Int]?
    let keepDims: Bool

    init(_ reduction: Reduction, axes: [Int]?, keepDims: Bool) {
        self.reduction = reduction
        self.axes = axes
        self.keepDims = keepDims
    }

    var name: String { reduction.name }
    var attributes: JSON {
        ["axis": axes.map { .array($0.map { .int(Int64($0)) }) } ?? .null, "keepdims": .bool(keepDims)]
    }

    /// The element type the work is done in.
    private func type(_ type: ElementType) -> ElementType {
        switch reduction.kind {
        case .mean, .logSumExp: Promotion.floating([type])
        case .sum, .product, .sumOfSquares, .sumOfMagnitudes: type == .bool || type == .uint8 ? .int32 : type
        case .maximum, .minimum: type == .bool ? .uint8 : type
        case .all, .any: .bool
        }
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let x = inputs[0].shape
        let reduced = try Axes.reduced(axes, x, name)
        if reduction.kind == .maximum || reduction.kind == .minimum, x.count == 0, reduced.contains(where: { x[$0] == 0 }) {
            throw DLError(.shape, "[\(name)] there is no element to choose along an axis of size 0. Received: \(x)")
        }
        return [TensorSpec(Axes.result(x, reduced, keepDims), type(inputs[0].type))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 1 else { return nil }
        return try Promotion.meet(inputs, type(inputs[0].type)).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let x = inputs[0].shape
        let reduced = try Axes.reduced(axes, x, name)
        guard let kernel = ReductionKernel(reduction.kind, inputs[0].type, shape: x.sizes, axes: reduced) else {
            throw DLError(.internal, "[\(name)] there is no kernel for \(inputs[0].type.name)")
        }
        let runtime = ThreadPool.shared.runtime
        return Kernel("reduction", scratchBytes: kernel.scratchByteCount) {
            kernel(runtime, $0.inputs[0], $0.outputs[0], scratch: $0.scratch)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let (x, y, dy) = (context.inputs[0], context.outputs[0], context.upstream)
        let kept = Axes.result(x.shape, try Axes.reduced(axes, x.shape, name), true)
        func stretched(_ value: Value) throws -> Value { try reshape(value, kept.sizes) }
        switch reduction.kind {
        case .sum:
            return [try broadcastTo(stretched(dy), x.shape)]
        case .mean:
            let n = Double(x.shape.count / Swift.max(kept.count, 1))
            return [try broadcastTo(scale(stretched(dy), 1 / n), x.shape)]
        case .sumOfSquares:
            return [try multiply(stretched(scale(dy, 2)), x)]
        case .sumOfMagnitudes:
            return [try multiply(stretched(dy), sign(x))]
        case .logSumExp:
            // Where everything is -infinity the difference is NaN, and the gradient with it.
            return [try multiply(stretched(dy), exp(subtract(x, stretched(y))))]
        case .maximum, .minimum:
            let chosen = try cast(equal(x, stretched(y)), dy.type)
            let number = try DLOps.sum(chosen, axes: axes, keepDims: true)
            return [try multiply(divide(stretched(dy), number), chosen)]
        case .product:
            return [try productGradient(x, y: stretched(y), dy: stretched(dy))]
        case .all, .any:
            return [nil]
        }
    }

    /// The product of the others for each element, which is not y / x where there are zeros.
    private func productGradient(_ x: Value, y: Value, dy: Value) throws -> Value {
        let zero = try constant(0, like: x)
        let isZero = try equal(x, zero)
        let others = try `where`(isZero, constant(1, like: x), x)
        let zeros = try DLOps.sum(cast(isZero, x.type), axes: axes, keepDims: true)
        let product = try apply(ReductionOperation(.prod, axes: axes, keepDims: true), others)
        let atZero = try multiply(product, cast(equal(zeros, constant(1, like: zeros)), x.type))
        let elsewhere = try divide(y, others)
        return try multiply(dy, `where`(isZero, atZero, elsewhere))
    }
}

/// Axes as arguments of reductions.
enum Axes {
    /// The axes meant, in order; all for nil.
    static func reduced(_ axes: [Int]?, _ shape: Shape, _ operation: String) throws -> [Int] {
        guard let axes else { return Array(0..<shape.rank) }
        let positions = try axes.map { try shape.axis($0, operation) }
        guard Set(positions).count == positions.count else {
            throw DLError(.argument, "[\(operation)] an axis is given twice. Received: axis \(Shape.text(axes)) for \(shape)")
        }
        return positions.sorted()
    }

    static func result(_ shape: Shape, _ reduced: [Int], _ keepDims: Bool) -> Shape {
        keepDims
            ? Shape(shape.sizes.enumerated().map { reduced.contains($0.offset) ? 1 : $0.element })
            : shape.removing(axes: Set(reduced))
    }
}

// MARK: For Swift

/// `axes` nil for all.
package func sum(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.sum, axes: axes, keepDims: keepDims), x)
}
package func mean(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.mean, axes: axes, keepDims: keepDims), x)
}
package func max(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.max, axes: axes, keepDims: keepDims), x)
}
package func min(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.min, axes: axes, keepDims: keepDims), x)
}
package func prod(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.prod, axes: axes, keepDims: keepDims), x)
}
package func all(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.all, axes: axes, keepDims: keepDims), x)
}
package func any(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.any, axes: axes, keepDims: keepDims), x)
}
/// The sum of squares, without a tensor of squares.
package func sumOfSquares(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.sumOfSquares, axes: axes, keepDims: keepDims), x)
}
package func logSumExp(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.logSumExp, axes: axes, keepDims: keepDims), x)
}
/// The sum of absolute values, without a tensor of them.
package func sumOfMagnitudes(_ x: Value, axes: [Int]? = nil, keepDims: Bool = false) throws -> Value {
    try apply(ReductionOperation(.sumOfMagnitudes, axes: axes, keepDims: keepDims), x)
}
