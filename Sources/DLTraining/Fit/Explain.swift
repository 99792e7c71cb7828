import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor

/// What `explain` is asked for.
package struct ExplainOptions: Sendable {
    package var format = "text"
    package var mode: String?
    /// How often each plan is run to take times; 0 for not at all.
    package var runs = 0
    package var trace: String?
    package var steps = true

    package static let declaration = Declaration<ExplainOptions>(
        "explain", "What the compiled steps of a model do.",
        arguments: [
            Argument("format", .choice(["text", "json"]), "text", "text for people, json for programs."),
            Argument("mode", .optional(.choice(["train", "test", "predict"])), .null, "Which steps; all where null."),
            Argument("profile", .int(0...100_000), 0, "How often each step is run to take times; 0 for not at all."),
            Argument("trace", .optional(.string), .null, "A file for Chrome's trace viewer; needs a profile."),
            Argument("steps", .bool, true, "Whether each operation is listed, not only the sums."),
        ]
    ) { arguments in
        var options = ExplainOptions()
        options.format = arguments.string("format")
        options.mode = arguments.optionalString("mode")
        options.runs = arguments.int("profile")
        options.trace = arguments.optionalString("trace")
        options.steps = arguments.bool("steps")
        if options.trace != nil, options.runs == 0 {
            throw DLError(.argument, "[explain] 'trace' needs 'profile', the number of runs to take times of")
        }
        return options
    }
}

extension Model {
    /// The plans made so far: what they do and, if asked for, how long it takes. Times come from runs on made-up data, after
    /// which the model is what it was.
    package func explanations(_ options: ExplainOptions = ExplainOptions()) throws -> [PlanExplanation] {
        let made = (compilation?.plans.withLock { $0.map { ($0.key, $0.value) } } ?? []) + predictionPlans.all
        let wanted = made.filter { options.mode == nil || options.mode == $0.0.mode.rawValue }
            .map { (key: $0.0, plan: $0.1, title: $0.0.specs.map(\.description).joined(separator: ", ")) }
            .sorted { ($0.key.mode.position, $0.title) < ($1.key.mode.position, $1.title) }
        let labelBase = Double(compilation?.options.labelBase ?? 0)
        return try wanted.map { key, plan, _ in
            var explanation = plan.explanation(mode: key.mode.rawValue)
            if options.runs > 0 {
                let inputs = try key.specs.enumerated().map { position, spec in
                    try standIn(spec, isInput: position < key.counts[0], isTarget: position < key.counts.reduce(0, +), labelBase)
                }
                try plan.profile(&explanation, runs: options.runs, inputs: inputs)
            }
            return explanation
        }
    }

    /// Numbers that are no trouble to any layer or loss: random pictures, small positions, the first class, the weight 1.
    private func standIn(_ spec: TensorSpec, isInput: Bool, isTarget: Bool, _ labelBase: Double) throws -> Tensor {
        if isInput, spec.type.isFloatingPoint {
            return try randomUniform(spec.shape, type: spec.type, seed: RandomSeed.value(1)).tensor()
        }
        return try Tensor(number: isInput || !isTarget ? 1 : labelBase, spec.type, shape: spec.shape)
    }

    /// The same as one text, JSON or for people, and the trace file written.
    package func explain(_ options: ExplainOptions = ExplainOptions()) throws -> String {
        let all = try explanations(options)
        if let path = options.trace {
            let events = all.enumerated().flatMap { $1.traceEvents(process: $0 + 1) }
            let trace: JSON = ["traceEvents": .array(events), "displayTimeUnit": "ms"]
            try Files.write(trace.serialized(), to: path)
        }
        if options.format == "json" {
            let plans = all.map { explanation -> JSON in
                guard !options.steps, var object = explanation.json.objectValue else { return explanation.json }
                object["steps"] = nil
                object["setup"] = nil
                return .object(object)
            }
            return try JSON.object(JSONObject([("plans", .array(plans))])).serialized()
        }
        if all.isEmpty { return "no plans yet: they are made by the first step\n" }
        return all.map { options.steps ? $0.text : $0.heading }.joined(separator: options.steps ? "\n" : "")
    }
}
