import DLBase
import DLGraph
import DLOps
import DLTensor

/// A recurrent layer in both directions of time.
package final class Bidirectional: Layer {
    static let declaration = layerDeclaration(
        "Bidirectional", "Goes through sequences in both directions and merges what comes out.",
        formula: "y = merge(forward(x), reversed(backward(x)))",
        source: "Schuster and Paliwal, Bidirectional recurrent neural networks, 1997",
        shapes: "input (batch, steps, features), initial states of both directions -> the layer's output, twice as wide with "
            + "concat, two of them without merge_mode; with return_state then the states",
        example: """
            local dl = require "dl"
            local L = dl.layers
            print(L.Bidirectional{ layer = L.LSTM{ units = 4 } }(dl.ones{ 2, 5, 3 }).shape)
            """,
        arguments: [
            Argument(
                "layer", .object(category: "layer"), nil,
                "The layer for both directions; they are made like it, without its weights."),
            Argument(
                "merge_mode", .optional(.choice(["concat", "sum", "mul", "ave"])), "concat",
                "How the two outputs become one; they stay two where it is null."),
            Argument("weights", .any, .null, "Always null."),
            Argument(
                "backward_layer", .optional(.object(category: "layer")), .null,
                "Another layer for the backward direction, with go_backwards."),
        ]
    ) { try Bidirectional(checked: $0) }

    let forward: RecurrentLayer
    let backward: RecurrentLayer

    init(checked arguments: Arguments) throws {
        if arguments.has("weights") { throw DLError(.unsupported, "[Bidirectional] 'weights' is not supported; use set_weights") }
        var given = arguments["layer"]
        // As in Keras, both directions are new layers made like the one that is given.
        if given["class_name"] == "__layer__" { given = try Layer.nested(given, "Bidirectional").serialized() }
        forward = try Self.direction(given, "forward_", nil)
        if arguments.has("backward_layer") {
            backward = try Self.recurrent(Layer.nested(arguments["backward_layer"], "Bidirectional"))
        } else {
            backward = try Self.direction(given, "backward_", true)
        }
        guard forward.goBackwards != backward.goBackwards else {
            throw DLError(
                .argument, "[Bidirectional] one of the two layers must have go_backwards, the other not. "
                    + "Received: both \(forward.goBackwards)")
        }
        for (name, same) in [
            ("stateful", forward.isStateful == backward.isStateful),
            ("return_sequences", forward.returnSequences == backward.returnSequences),
            ("return_state", forward.returnState == backward.returnState),
        ] where !same {
            throw DLError(.argument, "[Bidirectional] both layers must have the same '\(name)'")
        }
        // Merged outputs must not carry one direction's last state into the other's padding.
        forward.zeroOutputForMask = forward.returnSequences
        backward.zeroOutputForMask = backward.returnSequences
        super.init(arguments)
    }

    private static func direction(_ json: JSON, _ prefix: String, _ backwards: Bool?) throws -> RecurrentLayer {
        var object = json.objectValue ?? JSONObject([("class_name", json)])
        var config = object["config"]?.objectValue ?? JSONObject()
        var name = config["name"]?.stringValue ?? Naming.unique(object["class_name"]?.stringValue ?? "rnn")
        if name.hasPrefix(prefix) { name.removeFirst(prefix.count) }
        config["name"] = .string(prefix + name)
        if let backwards { config["go_backwards"] = .bool(backwards) }
        object["config"] = .object(config)
        let layer = try Layer.nested(.object(object), "Bidirectional")
        return try recurrent(layer)
    }

    private static func recurrent(_ layer: Layer) throws -> RecurrentLayer {
        guard let layer = layer as? RecurrentLayer else {
            throw DLError(
                .argument, "[Bidirectional] the layer must be recurrent, such as LSTM, GRU, SimpleRNN or RNN. "
                    + "Received: \(layer.className)")
        }
        return layer
    }

    override package var inputCount: Int? { nil }
    override package var sublayers: [Layer] { [forward, backward] }
    override package var inputKeywords: [String] { forward.inputKeywords }

    override package func keywordArguments(_ inputs: [JSON]) -> (positional: [JSON], keywords: JSONObject) {
        forward.keywordArguments(inputs)
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["layer"] = try forward.serialized()
        values["backward_layer"] = try backward.serialized()
        return values
    }

    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        guard forward.returnSequences, let mask = inputs[0].mask else { return [] }
        return arguments.has("merge_mode") ? [mask] : [mask, mask]
    }

    private func halves<T>(_ inputs: [T]) throws -> (forward: [T], backward: [T]) {
        let states = inputs.dropFirst()
        guard states.count.isMultiple(of: 2) else {
            throw DLError(
                .argument, "[Bidirectional] layer '\(name)' takes the initial states of both directions. "
                    + "Received: \(states.count) states")
        }
        return ([inputs[0]] + states.prefix(states.count / 2), [inputs[0]] + states.suffix(states.count / 2))
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shapes = try halves(inputShapes)
        try forward.buildIfNeeded(shapes.forward)
        try backward.buildIfNeeded(shapes.backward)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let shapes = try halves(shapes)
        try forward.checkInput(shapes.forward)
        try backward.checkInput(shapes.backward)
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let parts = try halves(inputs)
        let ahead = try forward.apply(parts.forward, training: training)
        let back = try backward.apply(parts.backward, training: training)
        let y = ahead[0]
        // The one that went backwards gives its sequence in reverse.
        var reverse = back[0]
        if forward.returnSequences { reverse = try flip(reverse, axes: [1]) }
        let states = ahead.dropFirst() + back.dropFirst()
        let merged: [Value] = switch arguments.optionalString("merge_mode") {
        case "concat": [try concatenate([y, reverse], axis: -1)]
        case "sum": [try add(y, reverse)]
        case "mul": [try multiply(y, reverse)]
        case "ave": [try scale(add(y, reverse), 0.5)]
        default: [y, reverse]
        }
        return merged + states
    }
}
