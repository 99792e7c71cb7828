import DLBase
import DLGraph
import DLOps
import DLTensor

/// How category numbers become numbers that networks work with.
private enum Encoding {
    static let mode: [String] = ["multi_hot", "one_hot", "count"]

    static func apply(_ ids: Value, _ mode: String, depth: Int, type: ElementType, weights: Value? = nil) throws -> Value {
        var ids = ids.type == .int32 || ids.type == .int64 ? ids : try cast(ids, .int32)
        if ids.shape.rank == 0 { ids = try reshape(ids, [1]) }
        if mode == "one_hot" {
            if ids.shape.rank > 1, ids.shape.last == 1 { ids = try reshape(ids, Array(ids.shape.sizes.dropLast())) }
            return try hot(ids, depth, type)
        }
        let rows = try hot(ids, depth, type)
        let axis = ids.shape.rank > 1 ? 1 : 0
        if mode == "multi_hot" { return try max(rows, axes: [axis]) }
        guard let weights else { return try sum(rows, axes: [axis]) }
        guard weights.shape == ids.shape else {
            throw DLError(
                .shape, "[CategoryEncoding] 'count_weights' must have the shape of the input. Received: \(weights.shape), \(ids.shape)")
        }
        return try sum(multiply(rows, reshape(cast(weights, type), ids.shape.sizes + [1])), axes: [axis])
    }

    /// Zeros for numbers that are no category.
    private static func hot(_ ids: Value, _ depth: Int, _ type: ElementType) throws -> Value {
        _ = try Shape(checked: ids.shape.sizes + [depth])
        let categories = try Tensor(zeros: [depth], ids.type)
        for index in 0..<depth { categories.setNumber(Double(index), at: index) }
        return try cast(equal(reshape(ids, ids.shape.sizes + [1]), Value(categories)), type)
    }
}

/// Category numbers as rows of zeros and ones, or of counts.
package final class CategoryEncoding: Layer {
    static let declaration = layerDeclaration(
        "CategoryEncoding", "Category numbers, from 0 to num_tokens - 1, as rows of zeros and ones, or as counts.",
        formula: "one_hot: a row for each number; multi_hot: 1 where a category is among the sample's; count: how often it is",
        source: "Keras, keras.layers.CategoryEncoding",
        shapes: "input (batch, n), output (batch, num_tokens); one_hot: input (...), output (..., num_tokens), a last axis of size 1 "
            + "taken off first",
        example: """
            local dl = require "dl"
            print(dl.layers.CategoryEncoding{ num_tokens = 4 }(dl.tensor({ { 0, 1 }, { 3, 3 } }, "i32")))
            """,
        arguments: [
            Argument("num_tokens", .int(1...(1 << 24)), nil, "Number of categories."),
            Argument("output_mode", .choice(Encoding.mode), "multi_hot", "What the rows say."),
            Argument("sparse", .bool, false, "Always false."),
        ]
    ) { try CategoryEncoding(checked: $0) }

    init(checked arguments: Arguments) throws {
        if arguments.bool("sparse") { throw DLError(.unsupported, "[CategoryEncoding] 'sparse' outputs are not supported") }
        super.init(arguments)
    }

    override package var callTensors: [String] { ["count_weights"] }

    override package func call(_ given: CallInputs) throws -> [Value] {
        let mode = arguments.string("output_mode")
        if given.named["count_weights"] != nil, mode != "count" {
            throw DLError(.argument, "[CategoryEncoding] 'count_weights' goes with output_mode 'count'. Received: output_mode '\(mode)'")
        }
        return [
            try Encoding.apply(
                given.inputs[0], mode, depth: arguments.int("num_tokens"), type: dtype, weights: given.named["count_weights"])
        ]
    }
}

/// Numbers as the ranges that they lie in.
package final class Discretization: Layer {
    static let declaration = layerDeclaration(
        "Discretization", "Numbers as the ranges they lie in, which are given, or found in data by `adapt` before training.",
        formula: "y = number of boundaries b with b <= x: from 0 to the number of boundaries",
        source: "Keras, keras.layers.Discretization; `adapt` takes quantiles of all data, where Keras estimates them",
        shapes: "input any, output the same for int; otherwise as CategoryEncoding has it",
        example: """
            local dl = require "dl"
            print(dl.layers.Discretization{ bin_boundaries = { 0, 1 } }(dl.tensor{ -1, 0.5, 3 }))
            """,
        arguments: [
            Argument("bin_boundaries", .optional(.list(.float(Argument.anyFloat))), .null, "The borders between ranges, from low to high."),
            Argument("num_bins", .optional(.int(1...65536)), .null, "The number of ranges that `adapt` makes."),
            Argument("epsilon", .float(Argument.fraction), 0.01, "Unused: quantiles are exact."),
            Argument("output_mode", .choice(["int"] + Encoding.mode), "int", "What comes out: the range's number, or rows."),
            Argument("sparse", .bool, false, "Always false."),
        ]
    ) { try Discretization(checked: $0) }

    private var boundaries: [Double]?

    init(checked arguments: Arguments) throws {
        if arguments.bool("sparse") { throw DLError(.unsupported, "[Discretization] 'sparse' outputs are not supported") }
        super.init(arguments)
        guard arguments.has("bin_boundaries") || arguments.has("num_bins") else {
            throw DLError(.argument, "[Discretization] 'bin_boundaries' or 'num_bins' must be given")
        }
        if arguments.has("bin_boundaries") {
            let given = (arguments["bin_boundaries"].arrayValue ?? []).compactMap(\.doubleValue)
            guard zip(given, given.dropFirst()).allSatisfy({ $0 <= $1 }), given.count <= 65536 else {
                throw arguments.error("bin_boundaries", "numbers from low to high, at most 65536")
            }
            boundaries = given
        }
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["bin_boundaries"] = boundaries.map { .array($0.map { .double($0) }) } ?? .null
        // Keras's has no 'trainable'.
        values["trainable"] = nil
        return values
    }

    override package func adapt(_ batches: [Tensor]) throws {
        guard let bins = arguments.optionalInt("num_bins") else {
            throw DLError(.state, "[adapt] layer '\(name)' was given its boundaries; give 'num_bins' to find them")
        }
        var numbers: [Double] = []
        for batch in batches { for index in 0..<batch.count { numbers.append(batch.number(at: index)) } }
        guard !numbers.isEmpty, numbers.allSatisfy(\.isFinite) else {
            throw DLError(.argument, "[adapt] layer '\(name)' needs finite numbers. Received: \(numbers.count) numbers")
        }
        numbers.sort()
        boundaries = (1..<Swift.max(bins, 1)).map { bin in
            let place = Double(bin) / Double(bins) * Double(numbers.count - 1)
            let low = Int(place)
            let high = Swift.min(low + 1, numbers.count - 1)
            return numbers[low] + (place - Double(low)) * (numbers[high] - numbers[low])
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        guard let boundaries else {
            throw DLError(.state, "[Discretization] layer '\(name)' has no boundaries yet; call adapt with data first")
        }
        let x = inputs[0].type.isFloatingPoint ? inputs[0] : try cast(inputs[0], .float32)
        let borders = try Tensor(zeros: [boundaries.count], x.type)
        for (index, border) in boundaries.enumerated() { borders.setNumber(border, at: index) }
        _ = try Shape(checked: x.shape.sizes + [boundaries.count])
        let passed = try cast(greaterEqual(reshape(x, x.shape.sizes + [1]), Value(borders)), .int32)
        let bins = boundaries.isEmpty ? try cast(multiply(x, constant(0, like: x)), .int32) : try sum(passed, axes: [-1])
        let mode = arguments.string("output_mode")
        if mode == "int" { return [bins.type == .int32 ? bins : try cast(bins, .int32)] }
        return [try Encoding.apply(bins, mode, depth: boundaries.count + 1, type: dtype)]
    }
}
