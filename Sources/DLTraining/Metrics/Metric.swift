import DLBase
import DLGraph
import DLOps
import DLTensor

/// A figure gathered over batches.
///
/// Its state lies in variables, so that a compiled step updates it without leaving the graph.
package class Metric {
    package let name: String
    /// {"class_name", "config"} to make it again; nil for a function of the user's own.
    package let serialized: JSON?
    package private(set) var variables: [Variable] = []

    init(name: String, serialized: JSON?) {
        self.name = name
        self.serialized = serialized
    }

    func addState(_ name: String, shape: Shape = .scalar) throws -> Variable {
        // Sums of many small numbers want the digits.
        try addState(name, Tensor(zeros: shape, .float64))
    }

    func addState(_ name: String, _ tensor: Tensor) throws -> Variable {
        let variable = Variable(tensor, name: "\(self.name)/\(name)", trainable: false)
        variables.append(variable)
        return variable
    }

    /// `prediction` is nil for metrics of plain values.
    package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {}

    /// What has been gathered, as a value; a scalar for most.
    package func result() throws -> Value {
        let all = try numbers()
        if let resultShape { return Value(try Tensor(all.map { Float($0) }, resultShape)) }
        return Value(all.count == 1 ? try Tensor(scalar: Float(all[0])) : try Tensor(all.map { Float($0) }))
    }

    /// The sizes of the result where it is not a number or a list of them.
    var resultShape: Shape?

    /// The same as numbers, without an operation.
    package func numbers() throws -> [Double] { [try number()] }

    /// What stands for it in logs: the number, or the mean of several.
    package func number() throws -> Double {
        let all = try numbers()
        return all.reduce(0, +) / Double(Swift.max(all.count, 1))
    }

    /// Lets labels count from another number than the metric was made for.
    package func setLabelBase(_ base: Int) {}

    package func reset() throws {
        for variable in variables {
            try variable.makeWritable().initializeMemory(as: UInt8.self, repeating: 0, count: variable.spec.byteCount)
        }
    }

    func add(_ amount: Value, to variable: Variable) throws {
        try variable.assign(DLOps.add(variable.value, cast(amount, .float64)))
    }
}

/// The mean, over samples, of what a function gives for each.
package final class MeanMetric: Metric {
    package typealias Function = (Value, Value?) throws -> Value

    private var function: Function
    private let rebase: ((Int) -> Function)?
    private let finish: (@Sendable (Double) -> Double)?
    private var total: Variable!
    private var count: Variable!

    package init(
        name: String, serialized: JSON? = nil, finish: (@Sendable (Double) -> Double)? = nil,
        rebase: ((Int) -> Function)? = nil, function: @escaping Function
    ) throws {
        self.function = function
        self.rebase = rebase
        self.finish = finish
        super.init(name: name, serialized: serialized)
        total = try addState("total")
        count = try addState("count")
    }

    override package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {
        let raw = try function(truth, prediction)
        let values = raw.type.isFloatingPoint ? raw : try cast(raw, .float32)
        let mask = try joined(prediction?.mask, raw.mask)
        guard let weight = try maskedWeight(weight, mask, values.type, scaled: false) else {
            try add(sum(values), to: total)
            try add(constant(Double(values.shape.count), .float64), to: count)
            return
        }
        let fitted = try fit(weight, to: values, name)
        try add(sum(multiply(values, fitted)), to: total)
        try add(sum(broadcastTo(fitted, values.shape)), to: count)
    }

    override package func setLabelBase(_ base: Int) { if let rebase { function = rebase(base) } }

    override package func number() -> Double {
        let n = count.tensor.number(at: 0)
        let mean = n == 0 ? 0 : total.tensor.number(at: 0) / n
        return finish?(mean) ?? mean
    }
}

/// The sum of plain values.
package final class SumMetric: Metric {
    private var total: Variable!

    init(sum name: String, serialized: JSON?) throws {
        super.init(name: name, serialized: serialized)
        total = try addState("total")
    }

    override package func update(_ truth: Value, _ prediction: Value?, weight: Value?) throws {
        let values = try cast(truth, truth.type.isFloatingPoint ? truth.type : .float32)
        let weighted = try weight.map { try multiply(values, fit($0, to: values, name)) } ?? values
        try add(sum(weighted), to: total)
    }

    override package func number() -> Double { total.tensor.number(at: 0) }
}
