import DLBase
import DLGraph
import DLOps
import DLTensor

/// Several cells as one: each step's output of a cell is the input of the next.
package final class StackedRNNCells: Layer {
    static let declaration = layerDeclaration(
        "StackedRNNCells", "Several cells as one: the output of a cell is the input of the next, step by step.",
        source: "Keras, keras.layers.StackedRNNCells",
        shapes: "input (batch, features), the states of all cells in order -> output of the last cell, new states in order",
        example: """
            local dl = require "dl"
            local L = dl.layers
            local cells = L.StackedRNNCells{ cells = { L.GRUCell{ units = 3 }, L.LSTMCell{ units = 4 } } }
            print(L.RNN{ cell = cells }(dl.ones{ 2, 5, 3 }).shape)
            """,
        arguments: [Argument("cells", .list(.object(category: "layer")), nil, "The cells, the first one first.")]
    ) { try StackedRNNCells(checked: $0) }

    let cells: [Layer]

    init(checked arguments: Arguments) throws {
        let entries = arguments["cells"].arrayValue ?? []
        guard !entries.isEmpty else { throw arguments.error("cells", "a list of at least one cell") }
        cells = try entries.map { try Layer.nested($0, arguments.owner) }
        for cell in cells { _ = try Cells.stateSizes(cell) }
        super.init(arguments)
    }

    override package var inputCount: Int? { nil }
    override package var sublayers: [Layer] { cells }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["cells"] = .array(try cells.map { try $0.serialized() })
        return values
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        var shape = inputShapes[0]
        for cell in cells {
            let states = try Cells.stateSizes(cell)
            try cell.buildIfNeeded([shape] + states.map { [shape.first ?? nil, $0] })
            shape = [shape.first ?? nil, cell.arguments["output_size"].intValue ?? states[0]]
        }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try cells[0].checkInput([shapes[0]]) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let counts = try cells.map { try Cells.stateSizes($0).count }
        guard inputs.count == 1 + counts.reduce(0, +) else {
            throw DLError(
                .argument, "[StackedRNNCells] takes an input and \(counts.reduce(0, +)) states. Received: \(inputs.count) tensors")
        }
        var x = inputs[0]
        var next = 1
        var states: [Value] = []
        for (cell, count) in zip(cells, counts) {
            let results = try Cells.step(cell, x, Array(inputs[next..<next + count]), training: training)
            x = results[0]
            states += results.dropFirst()
            next += count
        }
        return [x] + states
    }
}

/// What recurrent layers know of cells, built in or written by users.
enum Cells {
    /// The size of each state of a cell.
    static func stateSizes(_ cell: Layer) throws -> [Int] {
        if let cell = cell as? RecurrentCell { return cell.stateSizes }
        if let stack = cell as? StackedRNNCells { return try stack.cells.flatMap { try stateSizes($0) } }
        let given = cell.arguments["state_size"]
        let sizes = given.intValue.map { [$0] } ?? (given.arrayValue ?? []).compactMap(\.intValue)
        guard !sizes.isEmpty, sizes.allSatisfy({ $0 >= 1 && $0 <= Int(Int32.max) }),
            given.intValue != nil || sizes.count == given.arrayValue?.count
        else {
            throw DLError(
                .argument, "[RNN] a cell says in 'state_size' how large its state is, a whole number of at least 1 or a list "
                    + "of them. Received: \(cell.className) with state_size \(given.canonicalText)")
        }
        return sizes
    }

    /// One step: output, then the new states.
    static func step(_ cell: Layer, _ x: Value, _ states: [Value], training: Bool) throws -> [Value] {
        let results = try cell.apply([x] + states, training: training)
        guard results.count == states.count + 1 else {
            throw DLError(
                .argument, "[RNN] cell '\(cell.name)' must give an output and \(states.count) new state"
                    + "\(states.count == 1 ? "" : "s"). Received: \(results.count) tensors")
        }
        for (index, state) in states.enumerated() where results[index + 1].shape != state.shape {
            throw DLError(
                .shape, "[RNN] cell '\(cell.name)' must give states of the shape it takes, \(state.shape). "
                    + "Received: \(results[index + 1].shape)")
        }
        return results
    }

    /// All built-in cells with dropout of their own, and the size of the state each begins with.
    static func each(_ cell: Layer, _ body: (RecurrentCell) throws -> Void) rethrows {
        if let cell = cell as? RecurrentCell { try body(cell) }
        if let stack = cell as? StackedRNNCells { for cell in stack.cells { try each(cell, body) } }
    }
}

extension Layer {
    /// A layer from an argument of a wrapper: one that was lent, or a new one.
    static func nested(_ json: JSON, _ owner: String) throws -> Layer {
        if json["class_name"] == "__layer__" {
            let lent = ThreadContext.current.lent
            guard let index = json["config"]?["index"]?.intValue, lent.indices.contains(index), let layer = lent[index] as? Layer else {
                throw DLError(.argument, "[\(owner)] the configuration refers to a layer that is not given with it. "
                    + "Received: \(json["config"]?.canonicalText ?? "null"), \(lent.count) layers")
            }
            return layer
        }
        do {
            return try Layer.deserialize(json.stringValue.map { ["class_name": .string($0), "config": [:]] } ?? json, depth: 1)
        } catch let error as DLError {
            throw error.within("[\(owner)]")
        }
    }
}
