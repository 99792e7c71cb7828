import CDLShims
import DLBase
import DLTensor

/// What a plan does, step by step, for people and programs; with times where it was run to take them.
package struct PlanExplanation {
    package struct Step {
        package let operation: String
        /// What distinguishes this use of the operation; what was fused into it stands here.
        package let attributes: JSON
        package let layer: String
        package let implementation: String
        package let notes: KernelNotes
        package let outputs: [TensorSpec]
        package let byteCount: Int
        package let scratchBytes: Int
        /// Where the first result goes: `arena`, `in place`, `output`, `variable`.
        package let place: String
        /// Seconds of each run that was timed.
        package var times: [Double] = []

        package var seconds: Double? {
            times.isEmpty ? nil : times.sorted()[times.count / 2]
        }

        /// `conv2d_bias activation=relu strides=[2,2]`
        package var title: String {
            guard let attributes = attributes.objectValue else { return operation }
            return attributes.pairs.reduce(operation) { title, pair in
                title + " \(pair.0)=" + (pair.1.stringValue ?? pair.1.canonicalText)
            }
        }
    }

    package let mode: String
    package let inputs: [TensorSpec]
    package let outputs: [TensorSpec]
    package let arenaBytes: Int
    /// The most bytes of the arena that are in use at once; the arena cannot be smaller.
    package let peakBytes: Int
    package let variableBytes: Int
    package let constantBytes: Int
    /// What depends on weights alone and is done once for each state of them; times are of the other steps only.
    package let setup: [Step]
    /// Bytes of what the setup keeps.
    package let setupBytes: Int
    package var steps: [Step]
    /// When the timed runs began, one for each, in seconds.
    package var runs: [(start: Double, steps: [(start: Double, duration: Double)])] = []

    package var seconds: Double { steps.reduce(0) { $0 + ($1.seconds ?? 0) } }

    // MARK: Text

    package var heading: String {
        var text = "\(mode) \(inputs.map(\.description).joined(separator: ", "))\n"
        text += "  \(steps.count) steps; arena \(Memory.describe(bytes: arenaBytes)), of which "
            + "\(Memory.describe(bytes: peakBytes)) at once; variables \(Memory.describe(bytes: variableBytes)); "
            + "constants \(Memory.describe(bytes: constantBytes))"
        if !setup.isEmpty { text += "; made of weights \(Memory.describe(bytes: setupBytes))" }
        text += "\n"
        if !runs.isEmpty { text += "  \(Text.fixed(1000 * seconds, decimals: 3)) ms a run, medians of \(runs.count) runs\n" }
        return text
    }

    package var text: String {
        var text = heading
        if !setup.isEmpty {
            text += "  once for each state of the weights:\n"
            for step in setup { text += "  - " + line(step) }
            text += "  in each run:\n"
        }
        for (index, step) in steps.enumerated() {
            text += "  \(index + 1) "
            if !runs.isEmpty { text += timing(step) + " " }
            text += line(step)
        }
        return text
    }

    private func line(_ step: Step) -> String {
        var text = step.title
        if !step.implementation.isEmpty { text += " [\(step.implementation)]" }
        text += " -> \(step.outputs.map(\.description).joined(separator: ", ")), \(Memory.describe(bytes: step.byteCount))"
        if step.place != "arena" { text += " \(step.place)" }
        if step.scratchBytes > 0 { text += ", scratch \(Memory.describe(bytes: step.scratchBytes))" }
        if !step.layer.isEmpty { text += "  \(step.layer)" }
        text += "\n"
        guard !step.notes.problem.isEmpty else { return text }
        text += "      \(step.notes.problem)"
        for refusal in step.notes.refusals { text += "; not \(refusal.implementation): \(refusal.reason)" }
        return text + "\n"
    }

    private func timing(_ step: Step) -> String {
        guard let time = step.seconds else { return "" }
        let share = seconds > 0 ? 100 * time / seconds : 0
        var text = "\(Text.fixed(1000 * time, decimals: 3)) ms \(Text.fixed(share, decimals: 1)) %"
        if step.notes.flops > 0, time > 0 { text += " \(Text.fixed(step.notes.flops / time / 1e9, decimals: 1)) GFLOP/s" }
        return text
    }

    // MARK: JSON

    package var json: JSON {
        var object = JSONObject([
            ("mode", .string(mode)), ("inputs", .array(inputs.map(\.json))), ("outputs", .array(outputs.map(\.json))),
            ("arena_bytes", .int(Int64(arenaBytes))), ("peak_bytes", .int(Int64(peakBytes))),
            ("variable_bytes", .int(Int64(variableBytes))), ("constant_bytes", .int(Int64(constantBytes))),
            ("setup_bytes", .int(Int64(setupBytes))),
        ])
        if !runs.isEmpty {
            object["runs"] = .int(Int64(runs.count))
            object["seconds"] = .double(seconds)
        }
        object["setup"] = .array(setup.map(json))
        object["steps"] = .array(steps.map(json))
        return .object(object)
    }

    private func json(_ step: Step) -> JSON {
        var object = JSONObject([
            ("operation", .string(step.operation)), ("attributes", step.attributes), ("layer", .string(step.layer)),
            ("kernel", .string(step.implementation)), ("problem", .string(step.notes.problem)),
            (
                "refusals",
                .array(step.notes.refusals.map { ["kernel": .string($0.implementation), "reason": .string($0.reason)] })
            ),
            ("outputs", .array(step.outputs.map(\.json))), ("bytes", .int(Int64(step.byteCount))),
            ("scratch_bytes", .int(Int64(step.scratchBytes))), ("place", .string(step.place)),
        ])
        if step.notes.flops > 0 { object["flops"] = .double(step.notes.flops) }
        if let time = step.seconds {
            object["seconds"] = .double(time)
            if seconds > 0 { object["share"] = .double(time / seconds) }
            if step.notes.flops > 0, time > 0 { object["gflops"] = .double(step.notes.flops / time / 1e9) }
        }
        return .object(object)
    }

    /// Events of Chrome's trace format ("Trace Event Format", complete events), which chrome://tracing and Perfetto show.
    package func traceEvents(process: Int) -> [JSON] {
        guard let origin = runs.first?.start else { return [] }
        var events: [JSON] = [
            ["name": "process_name", "ph": "M", "pid": .int(Int64(process)), "tid": 1, "args": ["name": .string(mode)]]
        ]
        func event(_ name: String, _ category: String, _ start: Double, _ duration: Double, _ arguments: JSON) -> JSON {
            [
                "name": .string(name), "cat": .string(category), "ph": "X", "ts": .double(1e6 * (start - origin)),
                "dur": .double(1e6 * duration), "pid": .int(Int64(process)), "tid": 1, "args": arguments,
            ]
        }
        for (number, run) in runs.enumerated() {
            if let last = run.steps.last {
                events.append(event("run \(number + 1)", "run", run.start, last.start + last.duration - run.start, [:]))
            }
            for (step, time) in zip(steps, run.steps) {
                events.append(
                    event(
                        step.operation, "step", time.start, time.duration,
                        [
                            "layer": .string(step.layer), "kernel": .string(step.implementation),
                            "problem": .string(step.notes.problem), "bytes": .int(Int64(step.byteCount)),
                        ]))
            }
        }
        return events
    }
}

extension TensorSpec {
    fileprivate var json: JSON {
        ["dtype": .string(type.name), "shape": .array(shape.sizes.map { .int(Int64($0)) })]
    }
}

extension Plan {
    package func explanation(mode: String) -> PlanExplanation {
        PlanExplanation(
            mode: mode, inputs: inputSpecs, outputs: outputSpecs, arenaBytes: arenaBytes, peakBytes: peakBytes,
            variableBytes: allVariables.reduce(0) { $0 + $1.spec.byteCount },
            constantBytes: constants.reduce(0) { $0 + $1.byteCount },
            setup: prologue?.plan.explainedSteps ?? [],
            setupBytes: prologue?.plan.outputSpecs.reduce(0) { $0 + $1.byteCount } ?? 0, steps: explainedSteps)
    }

    private var explainedSteps: [PlanExplanation.Step] {
        steps.map { step in
            PlanExplanation.Step(
                operation: step.name, attributes: step.attributes, layer: step.label,
                implementation: step.kernel.implementation, notes: step.kernel.notes, outputs: step.outputs,
                byteCount: step.outputs.reduce(0) { $0 + $1.byteCount }, scratchBytes: step.kernel.scratchBytes,
                place: place(of: step))
        }
    }

    /// Those of the setup too, each once.
    private var allVariables: [Variable] {
        var seen: Set<ObjectIdentifier> = []
        return (variables + (prologue?.plan.variables ?? [])).filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    private func place(of step: Step) -> String {
        guard !step.outputs.isEmpty else { return "arena" }
        let result = entries[step.table + step.inputs.count]
        if entries[step.table..<step.table + step.inputs.count].contains(result) { return "in place" }
        switch result {
        case .output: return "output"
        case .variable: return "variable"
        default: return "arena"
        }
    }

    /// Runs the plan a few times on made-up inputs and takes the time of each step. Variables are afterwards what they were.
    package func profile(_ explanation: inout PlanExplanation, runs: Int, inputs: [Tensor]) throws {
        let results = try outputSpecs.map { try Tensor(uninitialized: $0.shape, $0.type) }
        let kept = zip(variables, writtenVariables).filter(\.1).map { ($0.0, $0.0.tensor) }
        defer {
            for (variable, tensor) in kept { variable.replace(tensor) }
            withExtendedLifetime((inputs, results)) {}
        }
        let pointers = (inputs.map { UnsafeRawPointer($0.pointer) }, results.map(\.pointer))
        // The first run finds cold memory, and makes the variables' contents its own.
        try run(inputs: pointers.0, outputs: pointers.1)
        for _ in 0..<runs {
            var times: [(start: Double, duration: Double)] = []
            times.reserveCapacity(steps.count)
            let start = dl_system_seconds()
            try run(inputs: pointers.0, outputs: pointers.1) { _, seconds in
                times.append((dl_system_seconds() - seconds, seconds))
            }
            for (index, time) in times.enumerated() { explanation.steps[index].times.append(time.duration) }
            explanation.runs.append((start, times))
        }
    }
}
