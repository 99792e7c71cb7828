import DLBase
import DLGraph
import DLTensor

/// Scripts that show an operation at work, made of the samples that tests run.
enum Examples {
    /// The declaration with a script, where it has none of its own. Operations that only the library calls need none.
    static func added(to declaration: Declaration<any Operation>, _ samples: [OperationSample]) -> Declaration<any Operation> {
        let needed = (declaration.extra["inputs"]?.arrayValue?.count ?? 0) - (declaration.extra["optional_inputs"]?.intValue ?? 0)
        guard declaration.example.isEmpty, declaration.extra["internal"] == nil,
            let sample = samples.first(where: { $0.inputs.count >= needed }) ?? samples.first
        else { return declaration }
        return Declaration(
            declaration.name, aliases: declaration.aliases, declaration.summary, formula: declaration.formula,
            source: declaration.source, shapes: declaration.shapes, example: script(declaration, sample),
            extra: declaration.extra, arguments: declaration.arguments, make: declaration.make)
    }

    private static func script(_ declaration: Declaration<any Operation>, _ sample: OperationSample) -> String {
        let kinds = declaration.extra["input_kinds"]?.arrayValue?.map { $0.stringValue ?? "any" } ?? []
        var lines = ["local dl = require \"dl\""]
        var names: [String] = []
        for (index, input) in sample.inputs.enumerated() {
            let isPosition = index < kinds.count && kinds[index] == "index"
            names.append(sample.inputs.count == 1 ? "x" : "x\(index + 1)")
            lines.append("local \(names[index]) = \(tensor(input, isPosition: isPosition))")
        }
        var options: [String] = []
        for argument in declaration.arguments {
            guard let given = sample.attributes[argument.name], !given.isNull else { continue }
            options.append("\(argument.name) = \(literal(given, argument.kind))")
        }
        // A list of conditions and a list of choices.
        if declaration.extra["lists"] != nil {
            let half = names.count / 2
            names = [names[..<half], names[half...]].map { "{ " + $0.joined(separator: ", ") + " }" }
        }
        if !options.isEmpty { names.append("{ " + options.joined(separator: ", ") + " }") }
        // repeat, and, or, not, end: words that Lua keeps for itself are fields all the same.
        let call = declaration.name == "repeat" ? "repeat_" : declaration.name
        lines.append("print(dl.ops.\(call)(\(names.joined(separator: ", "))))")
        return lines.joined(separator: "\n")
    }

    private static func tensor(_ input: OperationSample.Input, isPosition: Bool) -> String {
        switch input {
        case .uniform(let shape, let range, _):
            let (low, high) = (Text.shortest(range.lowerBound), Text.shortest(range.upperBound))
            if shape.isScalar { return "dl.tensor(\(high))" }
            let sizes = shape.sizes.map(String.init).joined(separator: ", ")
            return "dl.uniform({ \(sizes) }, { minval = \(low), maxval = \(high) })"
        case .integers(let shape, let bound, let type):
            let numbers = (0..<shape.count).map { Double(($0 * 7 + 3) % bound) }
            return given(numbers, shape, type, isPosition: isPosition)
        case .given(let numbers, let shape, let type): return given(numbers, shape, type, isPosition: isPosition)
        }
    }

    private static func given(_ numbers: [Double], _ shape: Shape, _ type: ElementType, isPosition: Bool) -> String {
        let words = numbers.map { number -> String in
            if number.isNaN { return "0/0" }
            if number.isInfinite { return number > 0 ? "math.huge" : "-math.huge" }
            if type == .bool { return number == 0 ? "false" : "true" }
            return Text.shortest(isPosition && number >= 0 ? number + 1 : number)
        }
        if shape.isScalar { return "dl.tensor(\(words[0]), \"\(type.name)\")" }
        let list = "dl.tensor({ \(words.joined(separator: ", ")) }, \"\(type.name)\")"
        return shape.rank == 1 ? list : list + ":reshape{ \(shape.sizes.map(String.init).joined(separator: ", ")) }"
    }

    private static func literal(_ value: JSON, _ kind: Argument.Kind) -> String {
        var kind = kind
        if case .optional(let inner) = kind { kind = inner }
        if case .list(let inner) = kind { kind = inner }
        switch value {
        case .int(let number):
            switch kind {
            case .axis, .axes, .index: return "\(number >= 0 ? number + 1 : number)"
            default: return "\(number)"
            }
        case .double(let number): return Text.shortest(number)
        case .bool(let flag): return "\(flag)"
        case .string(let text): return "\"\(text)\""
        case .array(let entries): return "{ " + entries.map { literal($0, kind) }.joined(separator: ", ") + " }"
        case .object(let object):
            return "{ " + object.pairs.map { "\($0) = \(literal($1, kind))" }.joined(separator: ", ") + " }"
        case .null: return "nil"
        }
    }
}
