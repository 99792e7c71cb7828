import DLBase
import DLGraph
import DLKernels
import DLTensor

/// A recurrent layer over whole sequences: `simple_rnn`, `lstm` and `gru`.
struct RecurrentSequence: Operation {
    let options: RecurrentOptions
    private let declaration: Declaration<any Operation>

    init(_ options: RecurrentOptions) {
        self.options = options
        declaration = Self.declaration(options.family)
    }

    var name: String { options.family.rawValue }
    var attributes: JSON { options.attributes(declaration) }

    static let entries = RecurrentOptions.Family.allCases.map { OperationEntry(declaration($0), samples: samples($0)) }

    private static func declaration(_ family: RecurrentOptions.Family) -> Declaration<any Operation> {
        let (summary, formula, source) = switch family {
        case .simple:
            (
                "A plain recurrent layer over whole sequences.", "h[t] = activation(x[t] W + h[t-1] U + b)",
                "Elman, Finding structure in time, 1990"
            )
        case .lstm:
            (
                "A long short-term memory over whole sequences.",
                "i, f, o = recurrent_activation(x[t] W + h[t-1] U + b), g = activation(same); "
                    + "c[t] = f c[t-1] + i g; h[t] = o activation(c[t])",
                "Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers et al., 2000"
            )
        case .gru:
            (
                "A gated recurrent unit over whole sequences.",
                "z, r = recurrent_activation(x[t] W + h[t-1] U + b); g = activation(x[t] W + r (h[t-1] U + b)), or "
                    + "activation(x[t] W + (r h[t-1]) U + b) without reset_after; h[t] = z h[t-1] + (1 - z) g",
                "Cho et al., Learning phrase representations using RNN encoder-decoder, 2014"
            )
        }
        let cell = family == .lstm
        return Declaration<any Operation>(
            family.rawValue, summary, formula: formula, source: source,
            shapes: "x (batch, steps, features), kernel (features, n), recurrent_kernel (units, n), h0 (batch, units)"
                + (cell ? ", c0 (batch, units)" : "") + ", bias, mask (batch, steps), dropout (batch, units) -> "
                + "sequence (batch, steps, units), last state (batch, units)" + (cell ? ", last cell (batch, units)" : "")
                + ", gates (batch, steps, n)" + (family == .simple ? "" : ", what else the gradient needs (batch, steps, units)"),
            extra: networkExtra("x", "kernel", "recurrent_kernel", "h0", internal: true),
            arguments: RecurrentOptions.arguments(family)
        ) { RecurrentSequence(RecurrentOptions(family, $0)) }
    }

    static func samples(_ family: RecurrentOptions.Family) -> [OperationSample] {
        typealias Input = OperationSample.Input
        let gates = family == .simple ? 1 : family == .lstm ? 4 : 3
        func sample(_ batch: Int, _ steps: Int, _ units: Int, _ attributes: JSON = [:]) -> OperationSample {
            let made = (try? declaration(family).make(config: attributes)) as? RecurrentSequence
            let options = made?.options ?? RecurrentOptions(family)
            let n = gates * units
            var inputs: [Input] = [
                .uniform([batch, steps, 2], -1...1), .uniform([2, n], -1...1), .uniform([units, n], -1...1),
                .uniform([batch, units], -1...1),
            ]
            if options.hasCell { inputs.append(.uniform([batch, units], -1...1)) }
            if options.useBias {
                inputs.append(.uniform(family == .gru && options.resetAfter ? [2, n] : [n], -1...1))
            }
            if options.hasMask {
                let bits = (0..<batch * steps).map { $0 % 3 == 1 || $0 == 0 ? 0.0 : 1 }
                inputs.append(.given(bits, [batch, steps], .bool))
            }
            return OperationSample(
                list: inputs, attributes: attributes, twiceDifferentiable: false, outputs: options.hasCell ? 3 : 2)
        }
        var list = [
            sample(2, 3, 2), sample(3, 2, 3, ["go_backwards": true, "use_bias": false]),
            sample(2, 4, 2, ["has_mask": true]), sample(2, 3, 2, ["go_backwards": true, "has_mask": true]),
            sample(1, 2, 2, ["activation": "softsign"]),
        ]
        if family != .simple {
            list.append(sample(2, 2, 2, ["activation": "elu", "recurrent_activation": "softplus"]))
        }
        if family == .gru {
            list += [
                sample(2, 3, 2, ["reset_after": false]),
                sample(2, 3, 2, ["reset_after": false, "has_mask": true, "go_backwards": true]),
            ]
        }
        return list
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let places = options.places(withBias: true)
        try expectInputs(inputs, places.count, name)
        let problem = try options.problem(inputs, places, name)
        let type = inputs[0].type
        let (batch, steps, units) = (problem.batch, problem.steps, problem.units)
        var outputs = [try Shape(checked: [batch, steps, units]), [batch, units]]
        if options.hasCell { outputs.append([batch, units]) }
        outputs.append(try Shape(checked: [batch, steps, problem.columns]))
        if options.hasExtra { outputs.append([batch, steps, units]) }
        return outputs.map { TensorSpec($0, type) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let places = options.places(withBias: true)
        let problem = try options.problem(inputs, places, name)
        guard let kernel = try RecurrentKernel(problem, inputs[0].type) else { throw noKernel(name, inputs[0].type) }
        let (hasCell, hasExtra) = (options.hasCell, options.hasExtra)
        let runtime = ThreadPool.shared.runtime
        return Kernel(kernel.choice, flops: problem.flops, scratchBytes: kernel.forwardScratchBytes) { arguments in
            let (from, to) = (arguments.inputs, arguments.outputs)
            var buffers = RecurrentBuffers(
                x: from[0], kernel: from[1], recurrent: from[2], h0: from[3], sequence: to[0], gates: to[hasCell ? 3 : 2])
            if places.cell >= 0 { buffers.c0 = UnsafeRawPointer(from[places.cell]) }
            if places.bias >= 0 { buffers.bias = UnsafeRawPointer(from[places.bias]) }
            if places.mask >= 0 { buffers.mask = UnsafeRawPointer(from[places.mask]) }
            if places.dropout >= 0 { buffers.dropout = UnsafeRawPointer(from[places.dropout]) }
            buffers.last = to[1]
            if hasCell { buffers.lastCell = to[2] }
            if hasExtra { buffers.extra = to[hasCell ? 4 : 3] }
            kernel.forward(buffers, scratch: arguments.scratch, runtime: runtime)
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let states = options.hasCell ? 3 : 2
        guard context.outputGradients.dropFirst(states).allSatisfy({ $0 == nil }) else {
            throw DLError(.unsupported, "[\(name)] the gates have no gradient; only the sequence and the last states do")
        }
        let places = options.places(withBias: true)
        let backward = RecurrentBackward(
            options, given: context.outputGradients.prefix(states).map { $0 != nil }, needsInput: context.needs[0])
        var inputs = Array(context.inputs[0..<4])
        for place in [places.cell, places.mask, places.dropout] where place >= 0 { inputs.append(context.inputs[place]) }
        inputs.append(context.outputs[0])
        inputs += context.outputs[states...]
        inputs += context.outputGradients.prefix(states).compactMap { $0 }
        let results = try DLGraph.apply(backward, to: inputs)
        var gradients = [Value?](repeating: nil, count: context.inputs.count)
        gradients[1] = results[0]
        gradients[2] = results[1]
        gradients[3] = results[2]
        var next = 3
        func take(_ place: Int) {
            guard place >= 0 else { return }
            gradients[place] = results[next]
            next += 1
        }
        take(places.cell)
        take(places.bias)
        take(context.needs[0] ? 0 : -1)
        return gradients
    }
}

/// The gradients of a recurrent sequence, back through time.
struct RecurrentBackward: Operation {
    let options: RecurrentOptions
    /// Which of the gradients of sequence, last state and last cell come in.
    let given: [Bool]
    let needsInput: Bool
    private let declaration: Declaration<any Operation>

    init(_ options: RecurrentOptions, given: [Bool], needsInput: Bool) {
        self.options = options
        self.given = given
        self.needsInput = needsInput
        declaration = Self.declaration(options.family)
    }

    var name: String { options.family.rawValue + "_backward" }
    var attributes: JSON {
        options.attributes(
            declaration, ("given", .array(given.map { .bool($0) })), ("needs_input", .bool(needsInput)))
    }

    static let entries = RecurrentOptions.Family.allCases.map { OperationEntry(declaration($0), samples: samples($0)) }

    private static func declaration(_ family: RecurrentOptions.Family) -> Declaration<any Operation> {
        let count = family == .lstm ? 3 : 2
        return Declaration<any Operation>(
            family.rawValue + "_backward", "Gradients of \(family.rawValue), back through time.",
            formula: "the chain rule, from the last step to the first", source: "Werbos, Backpropagation through time, 1990",
            shapes: "the inputs without the bias, then sequence, gates and what else is kept, then the gradients given -> "
                + "gradients of kernel, recurrent_kernel, h0" + (family == .lstm ? ", c0" : "") + ", bias and x",
            extra: networkExtra("x", "kernel", "recurrent_kernel", "h0", internal: true),
            arguments: RecurrentOptions.arguments(family) + [
                Argument(
                    "given", .list(.bool), .array([JSON](repeating: true, count: count)),
                    "Which gradients come in: of the sequence, of the last state" + (family == .lstm ? ", of the last cell." : ".")),
                Argument("needs_input", .bool, true, "Whether the gradient of x is wanted."),
            ]
        ) { arguments in
            let given = (arguments["given"].arrayValue ?? []).compactMap(\.boolValue)
            guard given.count == count else { throw arguments.error("given", "\(count) times true or false") }
            return RecurrentBackward(
                RecurrentOptions(family, arguments), given: given, needsInput: arguments.bool("needs_input"))
        }
    }

    private static func samples(_ family: RecurrentOptions.Family) -> [OperationSample] {
        let gates = family == .simple ? 1 : family == .lstm ? 4 : 3
        let n = gates * 2
        var inputs: [OperationSample.Input] = [
            .uniform([2, 3, 2]), .uniform([2, n]), .uniform([2, n]), .uniform([2, 2]),
        ]
        if family == .lstm { inputs.append(.uniform([2, 2])) }
        inputs += [.uniform([2, 3, 2]), .uniform([2, 3, n])]
        if family != .simple { inputs.append(.uniform([2, 3, 2])) }
        inputs += [.uniform([2, 3, 2]), .uniform([2, 2])]
        if family == .lstm { inputs.append(.uniform([2, 2])) }
        return [OperationSample(list: inputs, differentiable: false)]
    }

    private struct Parts {
        var problem: RecurrentProblem
        var places: RecurrentOptions.Places
        var sequence: Int
        var gradients: [Int]
        var count: Int
    }

    private func parts(_ inputs: [TensorSpec]) throws -> Parts {
        let places = options.places(withBias: false)
        let sequence = places.count
        var next = sequence + (options.hasExtra ? 3 : 2)
        let gradients = given.map { isGiven -> Int in
            guard isGiven else { return -1 }
            defer { next += 1 }
            return next
        }
        try expectInputs(inputs, next, name)
        let problem = try options.problem(Array(inputs[..<sequence]), places, name)
        let (batch, steps, units) = (problem.batch, problem.steps, problem.units)
        let long: Shape = [batch, steps, units]
        let short: Shape = [batch, units]
        var expected: [(Int, Shape)] = [(sequence, long), (sequence + 1, [batch, steps, problem.columns])]
        if options.hasExtra { expected.append((sequence + 2, long)) }
        for (index, place) in gradients.enumerated() where place >= 0 { expected.append((place, index == 0 ? long : short)) }
        for (place, shape) in expected where inputs[place] != TensorSpec(shape, inputs[0].type) {
            throw DLError(
                .shape, "[\(name)] input \(place) must be \(inputs[0].type.name) \(shape). Received: \(inputs[place])")
        }
        return Parts(problem: problem, places: places, sequence: sequence, gradients: gradients, count: next)
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let p = try parts(inputs).problem
        var outputs = [inputs[1].shape, inputs[2].shape, inputs[3].shape]
        if options.hasCell { outputs.append(inputs[3].shape) }
        if options.useBias { outputs.append(p.kind == .gru ? [2, p.columns] : [p.columns]) }
        if needsInput { outputs.append(inputs[0].shape) }
        return outputs.map { TensorSpec($0, inputs[0].type) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let parts = try parts(inputs)
        guard let kernel = try RecurrentKernel(parts.problem, inputs[0].type) else { throw noKernel(name, inputs[0].type) }
        let options = options
        let needsInput = needsInput
        let runtime = ThreadPool.shared.runtime
        let flops = parts.problem.flops * 2
        return Kernel(kernel.choice, flops: flops, scratchBytes: kernel.backwardScratchBytes) { arguments in
            let (from, to) = (arguments.inputs, arguments.outputs)
            let places = parts.places
            var buffers = RecurrentBuffers(
                x: from[0], kernel: from[1], recurrent: from[2], h0: from[3], sequence: from[parts.sequence],
                gates: from[parts.sequence + 1])
            if places.cell >= 0 { buffers.c0 = UnsafeRawPointer(from[places.cell]) }
            if places.mask >= 0 { buffers.mask = UnsafeRawPointer(from[places.mask]) }
            if places.dropout >= 0 { buffers.dropout = UnsafeRawPointer(from[places.dropout]) }
            if options.hasExtra { buffers.extra = from[parts.sequence + 2] }
            func gradient(_ index: Int) -> UnsafeRawPointer? {
                guard index < parts.gradients.count, parts.gradients[index] >= 0 else { return nil }
                return UnsafeRawPointer(from[parts.gradients[index]])
            }
            buffers.dsequence = gradient(0)
            buffers.dlast = gradient(1)
            buffers.dlastCell = gradient(2)
            buffers.dkernel = to[0]
            buffers.drecurrent = to[1]
            buffers.dh0 = to[2]
            var next = 3
            if options.hasCell {
                buffers.dc0 = to[next]
                next += 1
            }
            if options.useBias {
                buffers.dbias = to[next]
                next += 1
            }
            if needsInput { buffers.dx = to[next] }
            kernel.backward(buffers, scratch: arguments.scratch, runtime: runtime)
        }
    }
}

/// What a recurrent sequence gives: all states, and the last state, for an LSTM with the last cell.
package func recurrentSequence(
    _ x: Value, kernel: Value, recurrent: Value, bias: Value?, states: [Value], mask: Value? = nil, dropout: Value? = nil,
    _ options: RecurrentOptions
) throws -> (sequence: Value, last: [Value]) {
    var options = options
    options.useBias = bias != nil
    options.hasMask = mask != nil
    options.hasDropout = dropout != nil
    let inputs = [x, kernel, recurrent] + states + [bias, mask, dropout].compactMap { $0 }
    let outputs = try DLGraph.apply(RecurrentSequence(options), to: inputs)
    return (outputs[0], Array(outputs[1..<(options.hasCell ? 3 : 2)]))
}
