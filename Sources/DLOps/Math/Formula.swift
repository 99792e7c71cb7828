import DLBase
import DLGraph
import DLTensor

/// A composed operation whose formula is all there is to it: inputs and arguments in, values out.
struct FormulaOperation: Operation {
    final class Definition: Sendable {
        /// nil: the shapes are those that the formula gives for symbolic inputs.
        let shape: (@Sendable (_ inputs: [TensorSpec], _ arguments: Arguments) throws -> [TensorSpec])?
        /// How many inputs there may be, where the shape rule does not say.
        let inputs: ClosedRange<Int>
        let formula: @Sendable (_ inputs: [Value], _ arguments: Arguments) throws -> [Value]

        init(
            shape: (@Sendable ([TensorSpec], Arguments) throws -> [TensorSpec])?, inputs: ClosedRange<Int> = 0...Int.max,
            formula: @escaping @Sendable ([Value], Arguments) throws -> [Value]
        ) {
            self.shape = shape
            self.inputs = inputs
            self.formula = formula
        }
    }

    let definition: Definition
    let arguments: Arguments

    var name: String { arguments.owner }
    var attributes: JSON { arguments.json }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        if let shape = definition.shape { return try shape(inputs, arguments) }
        let graph = Graph()
        let context = ThreadContext.current
        return try context.withoutTapes {
            try context.recording(into: graph) { try run(inputs.map { graph.addInput($0) }).map(\.spec) }
        }
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        if definition.shape == nil { return try run(inputs) }
        _ = try outputs(for: inputs.map(\.spec))
        return try definition.formula(inputs, arguments)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[\(name)] is made of other operations and has no kernel")
    }

    /// The formula under this operation's name: what its parts refuse is refused by it.
    private func run(_ inputs: [Value]) throws -> [Value] {
        guard definition.inputs.contains(inputs.count) else {
            let (least, most) = (definition.inputs.lowerBound, definition.inputs.upperBound)
            let words = least == most ? "\(least)" : most == Int.max ? "at least \(least)" : "\(least) to \(most)"
            throw DLError(.argument, "[\(name)] takes \(words) input\(words == "1" ? "" : "s"). Received: \(inputs.count)")
        }
        do {
            return try definition.formula(inputs, arguments)
        } catch var error as DLError {
            if error.message.hasPrefix("["), let end = error.message.firstIndex(of: "]") {
                error.message = "[\(name)]" + error.message[error.message.index(after: end)...]
            } else {
                error.message = "[\(name)] " + error.message
            }
            if !error.message.contains("Received") {
                error.message += ". Received: " + inputs.map { "\($0.shape)" }.joined(separator: ", ")
            }
            throw error
        }
    }

    /// The entry of an operation that is a formula with a shape rule of its own.
    static func entry(
        _ name: String, aliases: [String] = [], _ summary: String, formula text: String = "", source: String = "",
        shapes: String, example: String = "", extra: JSONObject, arguments: [Argument] = [], samples: [OperationSample],
        shape: @escaping @Sendable (_ inputs: [TensorSpec], _ arguments: Arguments) throws -> [TensorSpec],
        formula: @escaping @Sendable (_ inputs: [Value], _ arguments: Arguments) throws -> [Value]
    ) -> OperationEntry {
        let definition = Definition(shape: shape, formula: formula)
        return OperationEntry(
            Declaration(
                name, aliases: aliases, summary, formula: text, source: source, shapes: shapes, example: example, extra: extra,
                arguments: arguments, make: { FormulaOperation(definition: definition, arguments: $0) }),
            samples: samples)
    }

    /// The entry of an operation whose shapes follow from its formula. `extra` is what bindings have to know besides the
    /// names of the inputs; the last `optional` of these may be left out, `variadic` stands for any number of them.
    static func derived(
        _ name: String, aliases: [String] = [], _ summary: String, formula text: String = "", source: String = "",
        shapes: String, example: String = "", inputs: [String] = ["x"], optional: Int = 0, variadic: Bool = false,
        extra more: JSONObject = JSONObject(), arguments: [Argument] = [], samples: [OperationSample],
        formula: @escaping @Sendable (_ inputs: [Value], _ arguments: Arguments) throws -> [Value]
    ) -> OperationEntry {
        var extra = JSONObject([("inputs", .array(inputs.map { .string($0) }))])
        if optional > 0 { extra["optional_inputs"] = .int(Int64(optional)) }
        if variadic { extra["variadic"] = true }
        for (key, value) in more.pairs { extra[key] = value }
        let count = variadic ? 1...Int.max : inputs.count - optional...inputs.count
        let definition = Definition(shape: nil, inputs: count, formula: formula)
        return OperationEntry(
            Declaration(
                name, aliases: aliases, summary, formula: text, source: source, shapes: shapes, example: example, extra: extra,
                arguments: arguments, make: { FormulaOperation(definition: definition, arguments: $0) }),
            samples: samples)
    }
}

/// x in floating point: whole numbers become float32.
func real(_ x: Value) throws -> Value { try cast(x, Promotion.floating([x.type])) }

/// Operands in one floating-point type.
func reals(_ inputs: [Value]) throws -> [Value] {
    let type = Promotion.floating(inputs.map(\.type))
    return try inputs.map { try cast($0, type) }
}
