import DLBase
import DLGraph
import DLKernels
import DLTensor

/// What distinguishes one use of `simple_rnn`, `lstm` or `gru` from another.
package struct RecurrentOptions: Hashable, Sendable {
    package enum Family: String, CaseIterable, Sendable {
        case simple = "simple_rnn"
        case lstm, gru
    }

    package var family: Family
    package var activation = GateFunction.tanh
    package var recurrentActivation = GateFunction.sigmoid
    package var goBackwards = false
    package var useBias = true
    package var hasMask = false
    package var hasDropout = false
    package var resetAfter = true

    package init(_ family: Family) { self.family = family }

    /// nil where a function's derivative does not follow from its result: then there is no fused operation.
    package init?(_ family: Family, activation: String, recurrentActivation: String = "sigmoid") {
        guard let inner = GateFunction(rawValue: activation), let outer = GateFunction(rawValue: recurrentActivation)
        else { return nil }
        self.family = family
        self.activation = inner
        self.recurrentActivation = outer
    }

    init(_ family: Family, _ arguments: Arguments) {
        self.family = family
        activation = GateFunction(rawValue: arguments.string("activation")) ?? .tanh
        recurrentActivation = GateFunction(rawValue: arguments.string("recurrent_activation")) ?? .sigmoid
        goBackwards = arguments.bool("go_backwards")
        useBias = arguments.bool("use_bias")
        hasMask = arguments.bool("has_mask")
        hasDropout = arguments.bool("has_dropout")
        resetAfter = arguments["reset_after"].boolValue ?? true
    }

    var gates: Int { family == .simple ? 1 : family == .lstm ? 4 : 3 }
    var hasCell: Bool { family == .lstm }
    /// Whether the gradient needs more of each step than gates and state.
    var hasExtra: Bool { family == .lstm || family == .gru && resetAfter }

    static func arguments(_ family: Family) -> [Argument] {
        let functions = GateFunction.allCases.map(\.rawValue)
        var list = [
            Argument("activation", .choice(functions), "tanh", "The function of the new state.")
        ]
        if family != .simple {
            list.append(Argument("recurrent_activation", .choice(functions), "sigmoid", "The function of the gates."))
        }
        list += [
            Argument("go_backwards", .bool, false, "Whether the last step comes first, in the result too."),
            Argument("use_bias", .bool, true, "Whether a bias is among the inputs."),
            Argument("has_mask", .bool, false, "Whether a mask is among the inputs: at masked steps the state stays."),
            Argument("has_dropout", .bool, false, "Whether factors of the state before the product are among the inputs."),
        ]
        if family == .gru {
            list.append(Argument("reset_after", .bool, true, "Whether the reset gate acts after the product, not before."))
        }
        return list
    }

    func attributes(_ declaration: Declaration<any Operation>, _ more: (String, JSON)...) -> JSON {
        var object = JSONObject()
        let pairs: [(String, JSON)] = [
            ("activation", .string(activation.rawValue)), ("recurrent_activation", .string(recurrentActivation.rawValue)),
            ("go_backwards", .bool(goBackwards)), ("use_bias", .bool(useBias)), ("has_mask", .bool(hasMask)),
            ("has_dropout", .bool(hasDropout)), ("reset_after", .bool(resetAfter)),
        ]
        for (name, value) in pairs + more {
            guard let argument = declaration.arguments.first(where: { $0.name == name }) else { continue }
            if argument.defaultValue != value { object[name] = value }
        }
        return .object(object)
    }

    /// Where each input stands, -1 where there is none: x, kernel, recurrent_kernel, h0, [c0], [bias], [mask], [dropout].
    struct Places {
        var cell = -1, bias = -1, mask = -1, dropout = -1, count = 4
    }

    func places(withBias: Bool) -> Places {
        var places = Places()
        func next(_ present: Bool) -> Int {
            guard present else { return -1 }
            defer { places.count += 1 }
            return places.count
        }
        places.cell = next(hasCell)
        places.bias = next(withBias && useBias)
        places.mask = next(hasMask)
        places.dropout = next(hasDropout)
        return places
    }

    /// Checks the inputs that forward and backward have in common.
    func problem(_ inputs: [TensorSpec], _ places: Places, _ name: String) throws -> RecurrentProblem {
        func bad(_ what: String) -> DLError {
            let names = ["x", "kernel", "recurrent_kernel", "initial state"]
            let parts = zip(names, inputs).map { "\($0) \($1.shape)" }.joined(separator: ", ")
            return DLError(.shape, "[\(name)] \(what). Received: \(parts)")
        }
        let x = inputs[0].shape
        guard x.rank == 3 else { throw bad("the input must have 3 axes: (batch, steps, features)") }
        let recurrent = inputs[2].shape
        guard recurrent.rank == 2, recurrent[0] >= 1 else { throw bad("the recurrent kernel must be (units, gates * units)") }
        let units = recurrent[0]
        let (columns, overflow) = units.multipliedReportingOverflow(by: gates)
        guard !overflow, recurrent[1] == columns else {
            throw bad("the recurrent kernel must be (units, \(gates == 1 ? "units" : "\(gates) * units"))")
        }
        guard inputs[1].shape == Shape([x[2], columns]) else {
            throw bad("the kernel must be (\(x[2]), \(columns)): features by columns of the recurrent kernel")
        }
        let state = Shape([x[0], units])
        guard inputs[3].shape == state else { throw bad("an initial state must be \(state): (batch, units)") }
        if places.cell >= 0, inputs[places.cell].shape != state {
            throw bad("the initial cell must be \(state). Received: cell \(inputs[places.cell].shape)")
        }
        if places.bias >= 0 {
            let expected: Shape = family == .gru && resetAfter ? [2, columns] : [columns]
            guard inputs[places.bias].shape == expected else {
                throw bad("the bias must be \(expected), but is \(inputs[places.bias].shape)")
            }
        }
        if places.mask >= 0 {
            let mask = inputs[places.mask]
            guard mask.shape == Shape([x[0], x[1]]), mask.type == .bool else {
                throw bad("the mask must be bool \(Shape([x[0], x[1]])): (batch, steps), but is \(mask)")
            }
        }
        if places.dropout >= 0, inputs[places.dropout].shape != state {
            throw bad("the dropout factors must be \(state), but are \(inputs[places.dropout].shape)")
        }
        try expectSameFloat(inputs.enumerated().filter { $0.offset != places.mask }.map(\.element), name)
        let kind: RecurrentProblem.Kind = switch family {
        case .simple: .simple
        case .lstm: .lstm
        case .gru: resetAfter ? .gru : .gruBefore
        }
        return try RecurrentProblem(
            kind: kind, batch: x[0], steps: x[1], features: x[2], units: units, activation: activation,
            recurrentActivation: recurrentActivation, backwards: goBackwards)
    }
}
