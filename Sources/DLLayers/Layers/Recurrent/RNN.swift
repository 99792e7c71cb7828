import DLBase
import DLGraph
import DLOps
import DLTensor

/// A layer that goes through sequences step by step, with a cell.
package class RecurrentLayer: Layer {
    let cell: Layer
    private var carried: [Variable] = []
    /// Set by Bidirectional, whose merging wants zeros at masked steps.
    var zeroOutputForMask: Bool

    init(_ arguments: Arguments, cell: Layer) throws {
        self.cell = cell
        zeroOutputForMask = arguments.bool("zero_output_for_mask")
        super.init(arguments)
    }

    var returnSequences: Bool { arguments.bool("return_sequences") }
    var returnState: Bool { arguments.bool("return_state") }
    var goBackwards: Bool { arguments.bool("go_backwards") }
    var isStateful: Bool { arguments.bool("stateful") }

    override package var inputCount: Int? { nil }
    override package var sublayers: [Layer] { [cell] }
    override package var inputKeywords: [String] { ["initial_state"] }

    override package func keywordArguments(_ inputs: [JSON]) -> (positional: [JSON], keywords: JSONObject) {
        guard inputs.count > 1 else { return (inputs, JSONObject()) }
        return ([inputs[0]], JSONObject([("initial_state", .array(Array(inputs.dropFirst())))]))
    }

    override package func computeMask(_ inputs: [Value], outputs: [Value]) throws -> [Value?] {
        returnSequences ? [inputs[0].mask] : []
    }

    /// Axes of one step of the input, without the batch.
    var stepRank: Int { 1 }

    /// The shapes of the states, without the batch.
    func stateShapes(_ input: [Int?]) throws -> [[Int]] { try Cells.stateSizes(cell).map { [$0] } }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let x = inputShapes[0]
        guard x.count == stepRank + 2 else {
            throw DLError(
                .shape, "[\(className)] the input must have \(stepRank + 2) axes: (batch, steps, "
                    + "\(stepRank == 1 ? "features" : "height, width, channels")). Received: input \(Shape.text(x))")
        }
        try checkCount(inputShapes.count)
        let states = try stateShapes(x)
        try cell.buildIfNeeded([[x[0]] + x.dropFirst(2)] + states.map { [x[0]] + $0.map { $0 } })
        guard isStateful else { return }
        guard let batch = x[0] else {
            throw DLError(
                .shape, "[\(className)] a stateful layer needs a batch of known size; give the Input a batch_shape. "
                    + "Received: input \(Shape.text(x))")
        }
        carried = try states.map { shape in
            try addState(Tensor(number: 0, dtype, shape: Shape(checked: [batch] + shape)), "rnn_state")
        }
    }

    private func checkCount(_ count: Int) throws {
        let states = try Cells.stateSizes(cell).count
        guard count == 1 || count == states + 1 else {
            throw DLError(
                .argument, "[\(className)] layer '\(name)' takes a sequence, or a sequence and \(states) initial "
                    + "state\(states == 1 ? "" : "s"). Received: \(count) tensors")
        }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        try checkCount(shapes.count)
        let x = shapes[0]
        guard x.count == stepRank + 2 else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': the input must have \(stepRank + 2) axes. "
                    + "Received: input \(Shape.text(x))")
        }
        try cell.checkInput([[x[0]] + x.dropFirst(2)])
        if let batch = x[0], let state = carried.first, state.shape[0] != batch {
            throw DLError(
                .shape, "[\(className)] layer '\(name)' is stateful for batches of \(state.shape[0]). "
                    + "Received: input \(Shape.text(x))")
        }
    }

    override package func resetStates() throws {
        for variable in carried { try variable.assign(Value(Tensor(number: 0, variable.type, shape: variable.shape))) }
        try super.resetStates()
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        var x = inputs[0]
        if !x.type.isFloatingPoint { x = try cast(x, dtype) }
        let mask = try checkedMask(inputs[0], x)
        let shapes = try stateShapes(x.shape.sizes)
        var states = Array(inputs.dropFirst())
        if states.isEmpty, isStateful { states = carried.map(\.value) }
        if states.isEmpty {
            states = try shapes.map { Value(try Tensor(number: 0, x.type, shape: Shape(checked: [x.shape[0]] + $0))) }
        }
        for (state, shape) in zip(states, shapes) where state.shape != Shape([x.shape[0]] + shape) {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': an initial state must be \(Shape([x.shape[0]] + shape)). "
                    + "Received: \(state.shape)")
        }
        states = try states.map { $0.type == x.type ? $0 : try cast($0, x.type) }
        guard x.shape[1] > 0 else {
            throw DLError(.shape, "[\(className)] layer '\(name)': a sequence needs at least one step. Received: input \(x.shape)")
        }
        try Cells.each(cell) { cell in
            let sizes = try cell.dropoutShapes(x)
            try cell.beginSequence(
                batch: x.shape[0], features: sizes.input, stateShape: sizes.state, type: x.type, training: training)
        }
        defer { Cells.each(cell) { $0.endSequence() } }
        let (sequence, last, final) = try run(x, mask, states, training: training)
        if isStateful {
            for (variable, state) in zip(carried, final) {
                try variable.assign(state.type == variable.type ? state : cast(state, variable.type))
            }
        }
        let output = returnSequences ? try sequence() : last
        return returnState ? [output] + final : [output]
    }

    private func checkedMask(_ input: Value, _ x: Value) throws -> Value? {
        guard let mask = input.mask else { return nil }
        guard mask.shape.rank == 2, mask.shape.sizes == Array(x.shape.sizes.prefix(2)) else {
            throw DLError(
                .shape, "[\(className)] layer '\(name)': the mask must be (batch, steps). "
                    + "Received: input \(x.shape), mask \(mask.shape)")
        }
        return mask
    }

    private typealias Result = (sequence: () throws -> Value, last: Value, states: [Value])

    private func run(_ x: Value, _ mask: Value?, _ states: [Value], training: Bool) throws -> Result {
        if let gated = cell as? GatedCell, var options = gated.fused(), let weights = gated.sequenceWeights {
            options.goBackwards = goBackwards
            let dropped = try gated.inputFactors.map { try multiply(x, expandDims($0, 1)) } ?? x
            let result = try recurrentSequence(
                dropped, kernel: weights.kernel, recurrent: weights.recurrent, bias: weights.bias, states: states, mask: mask,
                dropout: gated.stateFactors, options)
            guard let mask, zeroOutputForMask else { return ({ result.sequence }, result.last[0], result.last) }
            let ordered = goBackwards ? try flip(mask, axes: [1]) : mask
            let kept = try multiply(result.sequence, cast(expandDims(ordered, 2), x.type))
            return ({ kept }, try lastStep(kept), result.last)
        }
        return try unrolled(x, mask, states, training: training)
    }

    private func lastStep(_ sequence: Value) throws -> Value {
        try index(sequence, [.range(start: nil, stop: nil, step: 1), .at(sequence.shape[1] - 1)])
    }

    /// Any cell, step by step.
    private func unrolled(_ x: Value, _ mask: Value?, _ initial: [Value], training: Bool) throws -> Result {
        let steps = x.shape[1]
        guard steps <= 1 << 14 else {
            throw DLError(
                .unsupported, "[\(className)] layer '\(name)' goes through its cell step by step, at most \(1 << 14) steps. "
                    + "Received: input \(x.shape)")
        }
        var inputs = try unstack(x, axis: 1)
        var masks = try mask.map { try unstack($0, axis: 1) }
        if goBackwards {
            inputs.reverse()
            masks?.reverse()
        }
        var states = initial
        var outputs: [Value] = []
        for (step, input) in inputs.enumerated() {
            let results = try Cells.step(cell, input, states, training: training)
            var output = results[0]
            var new = Array(results.dropFirst())
            if let counts = masks?[step] {
                func choose(_ a: Value, _ b: Value) throws -> Value {
                    try `where`(expandDims(counts, axes: Array(1..<a.shape.rank)), a, b)
                }
                // Before the first step that counts there is no output; the state stands for it where it fits.
                let before = try outputs.last ?? (states[0].shape == output.shape ? states[0] : zerosLike(output))
                output = try choose(output, zeroOutputForMask ? zerosLike(output) : before)
                new = try zip(new, states).map { try choose($0, $1) }
            }
            states = new
            outputs.append(output)
        }
        let all = outputs
        return ({ try stack(all, axis: 1) }, all[all.count - 1], states)
    }

    // MARK: Declaring

    static let sequenceArguments = [
        Argument("return_sequences", .bool, false, "Whether the outputs of all steps are returned, not the last one's."),
        Argument("return_state", .bool, false, "Whether the last states are returned too."),
        Argument("go_backwards", .bool, false, "Whether the last step comes first, in the result too."),
        Argument("stateful", .bool, false, "Whether a batch begins with the states in which the one before ended."),
        Argument("unroll", .bool, false, "Unused: kept for Keras's configurations."),
        Argument("zero_output_for_mask", .bool, false, "Whether masked steps give zeros instead of the output before."),
    ]
    static let fusedArguments = sequenceArguments + [
        Argument("activity_regularizer", .optional(.object(category: "regularizer")), .null, "Penalty on the output."),
    ]
    static let cudnn = Argument("use_cudnn", .any, "auto", "Unused: kept for Keras's configurations.")
    static let shapes = "input (batch, steps, features), initial states (batch, units) -> (batch, units), or (batch, steps, units) "
        + "with return_sequences; with return_state then the states"
}

/// Any cell over sequences.
package final class RNN: RecurrentLayer {
    static let declaration = layerDeclaration(
        "RNN", "Goes through sequences with a cell: a built-in one, several stacked, or one written in Lua.",
        formula: "y[t], s[t] = cell(x[t], s[t-1])", source: "Keras, keras.layers.RNN", shapes: shapes,
        example: """
            local dl = require "dl"
            local layer = dl.layers.RNN{ cell = dl.layers.GRUCell{ units = 4 }, return_sequences = true }
            print(layer(dl.ones{ 2, 5, 3 }).shape)
            """,
        arguments: [
            Argument("cell", .object(category: "layer"), nil, "What is done at each step; its state_size says the sizes of its states.")
        ] + sequenceArguments
    ) { try RNN($0, cell: Layer.nested($0["cell"], "RNN")) }

    override init(_ arguments: Arguments, cell: Layer) throws {
        _ = try Cells.stateSizes(cell)
        try super.init(arguments, cell: cell)
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["cell"] = try cell.serialized()
        return values
    }
}

package final class SimpleRNN: RecurrentLayer {
    static let declaration = layerDeclaration(
        "SimpleRNN", "A plain recurrent layer over sequences.", formula: "h[t] = activation(x[t] W + h[t-1] U + b)",
        source: "Elman, Finding structure in time, 1990", shapes: shapes,
        example: """
            local dl = require "dl"
            print(dl.layers.SimpleRNN{ units = 4 }(dl.ones{ 2, 5, 3 }).shape)
            """,
        arguments: GatedCell.arguments(recurrentActivation: false) + fusedArguments
    ) { try SimpleRNN($0, cell: GatedCell.owned(by: $0, "SimpleRNNCell", "simple_rnn_cell", SimpleRNNCell.init(checked:))) }
}

package final class LSTM: RecurrentLayer {
    static let declaration = layerDeclaration(
        "LSTM", "A long short-term memory over sequences.",
        formula: "i, f, o = recurrent_activation(x[t] W + h[t-1] U + b), g = activation(same); c[t] = f c[t-1] + i g; "
            + "h[t] = o activation(c[t])",
        source: "Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000", shapes: shapes,
        example: """
            local dl = require "dl"
            local y, h, c = dl.layers.LSTM{ units = 4, return_state = true }(dl.ones{ 2, 5, 3 })
            print(y.shape, h.shape, c.shape)
            """,
        arguments: GatedCell.arguments(recurrentActivation: true, forget: true) + fusedArguments + [cudnn]
    ) { try LSTM($0, cell: GatedCell.owned(by: $0, "LSTMCell", "lstm_cell", LSTMCell.init(checked:))) }
}

package final class GRU: RecurrentLayer {
    static let declaration = layerDeclaration(
        "GRU", "A gated recurrent unit over sequences.",
        formula: "z, r = recurrent_activation(x[t] W + h[t-1] U + b); g = activation(x[t] W + r (h[t-1] U + b)), or "
            + "activation(x[t] W + (r h[t-1]) U + b) without reset_after; h[t] = z h[t-1] + (1 - z) g",
        source: "Cho et al., Learning phrase representations using RNN encoder-decoder, 2014", shapes: shapes,
        example: """
            local dl = require "dl"
            print(dl.layers.GRU{ units = 4, return_sequences = true }(dl.ones{ 2, 5, 3 }).shape)
            """,
        arguments: GatedCell.arguments(recurrentActivation: true, reset: true) + fusedArguments + [cudnn]
    ) { try GRU($0, cell: GatedCell.owned(by: $0, "GRUCell", "gru_cell", GRUCell.init(checked:))) }
}
