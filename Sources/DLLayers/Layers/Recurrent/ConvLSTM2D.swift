import DLBase
import DLGraph
import DLOps
import DLTensor

/// One step of a long short-term memory whose products are convolutions.
package final class ConvLSTM2DCell: RecurrentCell {
    let filters: Int
    private let window: (size: [Int], strides: [Int], dilation: [Int])
    private let channelsFirst: Bool
    private let activation: ActivationFunction?
    private let recurrentActivation: ActivationFunction?
    private var kernel: Variable!
    private var recurrentKernel: Variable!
    private var bias: Variable?

    init(checked arguments: Arguments) throws {
        filters = arguments.int("filters")
        window = try (
            arguments.sizes("kernel_size", 2), arguments.sizes("strides", 2), arguments.sizes("dilation_rate", 2)
        )
        channelsFirst = arguments.optionalString("data_format") == "channels_first"
        activation = try Activations.make(arguments, "activation")
        recurrentActivation = try Activations.make(arguments, "recurrent_activation")
        guard window.strides.allSatisfy({ $0 == 1 }) || window.dilation.allSatisfy({ $0 == 1 }) else {
            throw DLError(.argument, "[ConvLSTM2D] 'strides' and 'dilation_rate' cannot both be larger than 1")
        }
        super.init(arguments)
    }

    override package var stateSizes: [Int] { [filters, filters] }

    private var channelAxis: Int { channelsFirst ? 1 : 3 }

    /// The shape of a state without the batch, for one step (batch, rows, columns, channels).
    func stateShape(_ step: [Int?]) throws -> [Int] {
        let spatial = channelsFirst ? step[2...3] : step[1...2]
        let sizes = try spatial.enumerated().map { axis, size -> Int in
            guard let size else {
                throw DLError(
                    .shape, "[ConvLSTM2D] height and width must be known. Received: step \(Shape.text(step))")
            }
            let stride = window.strides[axis]
            if arguments.string("padding") == "same" { return size == 0 ? 0 : (size - 1) / stride + 1 }
            let (reach, overflow) = (window.size[axis] - 1).multipliedReportingOverflow(by: window.dilation[axis])
            guard !overflow, reach < size else {
                throw DLError(
                    .shape, "[ConvLSTM2D] the kernel is larger than the picture. Received: step \(Shape.text(step)), "
                        + "kernel_size \(window.size)")
            }
            return (size - reach - 1) / stride + 1
        }
        return channelsFirst ? [filters] + sizes : sizes + [filters]
    }

    override func dropoutShapes(_ x: Value) throws -> (input: [Int], state: [Int]) {
        let step = Array(x.shape.sizes.dropFirst(2))
        return (step, try stateShape([x.shape[0]] + step))
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let step = inputShapes[0]
        guard step.count == 4, let channels = step[channelAxis] else {
            throw DLError(.shape, "[ConvLSTM2D] the channels must be known. Received: step \(Shape.text(step))")
        }
        let (columns, overflow) = filters.multipliedReportingOverflow(by: 4)
        guard !overflow else { throw DLError(.shape, "[ConvLSTM2D] 'filters' is too large. Received: \(filters)") }
        kernel = try addWeight("kernel", Shape(checked: window.size + [channels, columns]))
        recurrentKernel = try addWeight("recurrent", Shape(checked: window.size + [filters, columns]), named: "recurrent_kernel")
        if arguments.bool("use_bias") {
            bias = arguments.bool("unit_forget_bias") ? try forgetBias(filters) : try addWeight("bias", [columns])
        }
        try addDropoutState()
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let channels = kernel.shape[2]
        guard shapes[0].count == 4, shapes[0][channelAxis] == nil || shapes[0][channelAxis] == channels else {
            throw DLError(
                .shape, "[ConvLSTM2D] layer '\(name)' was built for \(channels) channels. "
                    + "Received: step \(Shape.text(shapes[0]))")
        }
    }

    private func convolved(_ x: Value, _ kernel: Value, _ padding: String, _ strides: [Int], _ dilation: [Int]) throws -> Value {
        func list(_ sizes: [Int]) -> JSON { .array(sizes.map { .int(Int64($0)) }) }
        return try Operations.apply(
            "conv2d", [x, kernel],
            attributes: [
                "padding": .string(padding), "strides": list(strides), "dilation_rate": list(dilation),
                "data_format": channelsFirst ? "channels_first" : "channels_last",
            ])[0]
    }

    private func activate(_ x: Value) throws -> Value { try activation?.apply(x) ?? x }
    private func gate(_ x: Value) throws -> Value { try recurrentActivation?.apply(x) ?? x }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try withFactors(inputs[0], inputs[1], training: training) { x, h in
            var z = try convolved(x, kernel.value, arguments.string("padding"), window.strides, window.dilation)
            if let bias {
                z = channelsFirst
                    ? try add(z, reshape(bias.value, [4 * filters, 1, 1])) : try biasAdd(z, bias.value)
            }
            z = try add(z, convolved(h, recurrentKernel.value, "same", [1, 1], [1, 1]))
            let parts = try split(z, sections: 4, axis: channelAxis)
            let cell = try add(multiply(gate(parts[1]), inputs[2]), multiply(gate(parts[0]), activate(parts[2])))
            let y = try multiply(gate(parts[3]), activate(cell))
            return [y, y, cell]
        }
    }
}

/// A long short-term memory over sequences of pictures.
package final class ConvLSTM2D: RecurrentLayer {
    static let declaration = layerDeclaration(
        "ConvLSTM2D", "A long short-term memory over sequences of pictures: its products are convolutions.",
        formula: "as LSTM, with x[t] * W for x[t] W and h[t-1] * U for h[t-1] U",
        source: "Shi et al., Convolutional LSTM network, 2015",
        shapes: "input (batch, steps, height, width, channels), initial states (batch, height', width', filters) -> "
            + "(batch, height', width', filters), or (batch, steps, ...) with return_sequences; with return_state then the states",
        example: """
            local dl = require "dl"
            print(dl.layers.ConvLSTM2D{ filters = 2, kernel_size = 3 }(dl.ones{ 1, 4, 8, 8, 3 }).shape)
            """,
        arguments: [
            Argument("filters", .int(Argument.positive), nil, "Channels of the state and of the output."),
            Argument("kernel_size", .size(minimum: 1), nil, "Rows and columns of the kernels."),
            Argument("strides", .size(minimum: 1), 1, "Rows and columns from one window of the input to the next."),
            Argument("padding", .choice(["valid", "same"]), "valid", "What happens at the input's borders; the state's are 'same'."),
            dataFormatArgument,
            Argument("dilation_rate", .size(minimum: 1), 1, "Rows and columns between the input kernel's weights."),
        ] + GatedCell.arguments(recurrentActivation: true, forget: true).filter { !["units", "implementation"].contains($0.name) } + fusedArguments
    ) { try ConvLSTM2D(checked: $0) }

    init(checked arguments: Arguments) throws {
        var values = arguments.values
        values["name"] = "conv_lstm2d_cell"
        try super.init(arguments, cell: ConvLSTM2DCell(checked: Arguments(owner: "ConvLSTM2DCell", values: values)))
    }

    override var stepRank: Int { 3 }

    override func stateShapes(_ input: [Int?]) throws -> [[Int]] {
        guard let cell = cell as? ConvLSTM2DCell else { return [] }
        let shape = try cell.stateShape([input[0]] + input.dropFirst(2))
        return [shape, shape]
    }
}
