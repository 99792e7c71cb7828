import DLBase
import DLGraph
import DLOps
import DLTensor

/// Combines several inputs element by element.
package class Merging: Layer {
    override package var inputCount: Int? { nil }

    func combine(_ a: Value, _ b: Value) throws -> Value { a }
    func finish(_ result: Value, _ count: Int) throws -> Value { result }
    var exactCount: Int? { nil }

    override package func build(_ inputShapes: [[Int?]]) throws { try checkInput(inputShapes) }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes.count >= 2, exactCount == nil || shapes.count == exactCount else {
            throw DLError(
                .argument, "[\(className)] takes \(exactCount.map { "exactly \($0)" } ?? "at least 2") inputs. "
                    + "Received: \(shapes.count)")
        }
    }

    /// A step counts where it counts in any input; all count where one input has no mask.
    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        let masks = inputs.compactMap(\.mask)
        guard var mask = masks.first, masks.count == inputs.count else { return [] }
        for other in masks.dropFirst() where other !== mask { mask = try logicalOr(mask, other) }
        return [mask]
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var result = inputs[0]
        for input in inputs.dropFirst() { result = try combine(result, input) }
        return [try finish(result, inputs.count)]
    }

    /// The input's mask with an axis of size 1 for each axis that it lacks.
    fileprivate func spread(_ input: Value) throws -> Value? {
        guard let mask = input.mask, mask.shape.rank <= input.shape.rank else { return input.mask }
        return try expandDims(mask, axes: Array(mask.shape.rank..<input.shape.rank))
    }

    /// What is masked in one input does not count against the others; where it is masked in all, anything may stand.
    fileprivate func callUnmasked(_ inputs: [Value]) throws -> [Value] {
        var result = inputs[0]
        var mask = try spread(inputs[0])
        for input in inputs.dropFirst() {
            let other = try spread(input)
            let right = try other.map { try `where`($0, input, result) } ?? input
            let left = try mask.map { try `where`($0, result, right) } ?? result
            if let before = mask { mask = try other.map { try logicalOr(before, $0) } }
            result = try combine(left, right)
        }
        return [result]
    }

    fileprivate static func declare(
        _ name: String, _ summary: String, _ formula: String, make: @escaping @Sendable (Arguments) -> Layer
    ) -> Declaration<Layer> {
        layerDeclaration(
            name, summary, formula: formula, source: "Keras, keras.layers.\(name)",
            shapes: "inputs that broadcast together, output their common shape",
            example: """
                local dl = require "dl"
                print(dl.layers.\(name)(){ dl.tensor{ 1, 2 }, dl.tensor{ 3, 5 } })
                """, make: make)
    }
}

package final class Add: Merging {
    static let declaration = declare("Add", "The sum of its inputs.", "a + b + ...") { Add($0) }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try add(a, b) }
}

package final class Subtract: Merging {
    static let declaration = declare("Subtract", "The difference of two inputs.", "a - b") { Subtract($0) }
    override var exactCount: Int? { 2 }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try subtract(a, b) }
}

package final class Multiply: Merging {
    static let declaration = declare("Multiply", "The product of its inputs.", "a b ...") { Multiply($0) }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try multiply(a, b) }

    /// A masked factor is 1, and a product without factors 0, as in Keras.
    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let masks = try inputs.map { try spread($0) }
        let factors = try zip(inputs, masks).map { x, mask in try mask.map { try `where`($0, x, constant(1, like: x)) } ?? x }
        let product = try super.call(factors, training: training)[0]
        let known = masks.compactMap { $0 }
        guard known.count == inputs.count else { return [product] }
        let any = try known.dropFirst().reduce(known[0]) { try logicalOr($0, $1) }
        return [try `where`(any, product, constant(0, like: product))]
    }
}

package final class Average: Merging {
    static let declaration = declare("Average", "The mean of its inputs.", "(a + b + ...) / n") { Average($0) }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try add(a, b) }
    override func finish(_ result: Value, _ count: Int) throws -> Value {
        try divide(result, constant(Double(count), like: result))
    }
}

package final class Maximum: Merging {
    static let declaration = declare("Maximum", "The largest of its inputs.", "max(a, b, ...)") { Maximum($0) }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try maximum(a, b) }
    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] { try callUnmasked(inputs) }
}

package final class Minimum: Merging {
    static let declaration = declare("Minimum", "The smallest of its inputs.", "min(a, b, ...)") { Minimum($0) }
    override func combine(_ a: Value, _ b: Value) throws -> Value { try minimum(a, b) }
    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] { try callUnmasked(inputs) }
}

package final class Concatenate: Layer {
    static let declaration = layerDeclaration(
        "Concatenate", "Puts its inputs one after another along an axis.", source: "Keras, keras.layers.Concatenate",
        shapes: "inputs equal but for one axis, output with the sum of their sizes there",
        example: """
            local dl = require "dl"
            print(dl.layers.Concatenate(){ dl.zeros{ 2, 3 }, dl.ones{ 2, 1 } }.shape)
            """,
        arguments: [Argument("axis", .axis, -1, "The axis.")]
    ) { Concatenate($0) }

    override package var inputCount: Int? { nil }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try Operations.apply("concatenate", inputs, attributes: ["axis": arguments["axis"]])
    }

    /// Along the last axis a step counts where it counts in any input; along time the masks are put one after another.
    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        guard inputs.contains(where: { $0.mask != nil }), let rank = outputs.first?.shape.rank, rank >= 2 else { return [] }
        let given = arguments.int("axis")
        let axis = given < 0 ? given + rank : given
        let masks = try inputs.map { input in
            try input.mask ?? broadcastTo(Value(Tensor(number: 1, .bool, shape: [])), Shape(Array(input.shape.sizes.prefix(2))))
        }
        if axis < 2 { return [try concatenate(masks, axis: axis)] }
        return [try masks.dropFirst().reduce(masks[0]) { $0 === $1 ? $0 : try logicalOr($0, $1) }]
    }
}
