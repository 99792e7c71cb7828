import DLBase
import DLGraph
import DLLayers
import DLTensor
import DLTraining

/// Models as files: one safetensors file with the weights, and the architecture and compile settings as JSON in its
/// metadata. Labels, positions and shapes in it are as in C, counted from 0.
package enum ModelFile {
    private static let formatVersion = "1"

    // MARK: Names

    /// Every variable of a model with the path it has in a file: `conv2d/kernel`.
    static func named(_ model: Model) -> [(name: String, variable: Variable)] {
        var seen: Set<ObjectIdentifier> = []
        var taken: Set<String> = []
        var result: [(name: String, variable: Variable)] = []
        func visit(_ layer: Layer, _ path: String) {
            let own = layer.weights.map(\.variable) + layer.states
            for variable in own where seen.insert(ObjectIdentifier(variable)).inserted {
                var name = path.isEmpty ? variable.name : "\(path)/\(variable.name)"
                var count = 0
                while !taken.insert(name).inserted {
                    count += 1
                    name = "\(path)/\(variable.name)_\(count)"
                }
                result.append((name, variable))
            }
            for inner in layer.sublayers { visit(inner, path.isEmpty ? inner.name : "\(path)/\(inner.name)") }
        }
        visit(model, "")
        return result
    }

    // MARK: Writing

    /// Weights, architecture and compile settings; the optimizer's state too, if it is wanted.
    package static func save(_ model: Model, to path: String, includeOptimizer: Bool) throws {
        guard model.hasWeights else {
            throw DLError(.state, "[save] model '\(model.name)' has no weights yet: its input shape is not known")
        }
        var file = SafetensorsFile()
        file.metadata["format"] = "libdl"
        file.metadata["format_version"] = formatVersion
        file.metadata["model"] = try model.serialized().serialized()
        file.metadata["weights"] = try JSON.array(named(model).map { .string($0.name) }).serialized()
        file.tensors = named(model).map { ($0.name, $0.variable.tensor) }
        if let compilation = model.compilation {
            file.metadata["compile"] = try settings(compilation, model).serialized()
            if includeOptimizer { file.tensors += optimizerTensors(compilation.optimizer, model) }
        }
        try file.write(to: path)
    }

    package static func saveWeights(_ model: Model, to path: String) throws {
        guard model.hasWeights else {
            throw DLError(.state, "[save_weights] model '\(model.name)' has no weights yet: its input shape is not known")
        }
        var file = SafetensorsFile()
        file.metadata["format"] = "libdl"
        file.metadata["format_version"] = formatVersion
        file.metadata["weights"] = try JSON.array(named(model).map { .string($0.name) }).serialized()
        file.tensors = named(model).map { ($0.name, $0.variable.tensor) }
        try file.write(to: path)
    }

    // MARK: The state of a run

    /// All that a run needs to go on later: weights, the optimizer's state, what metrics have gathered, and `place`.
    package static func saveState(_ model: Model, to path: String, place: JSON) throws {
        var file = SafetensorsFile()
        file.metadata["format"] = "libdl"
        file.metadata["format_version"] = formatVersion
        file.metadata["weights"] = try JSON.array(named(model).map { .string($0.name) }).serialized()
        file.metadata["place"] = try place.serialized()
        file.tensors = named(model).map { ($0.name, $0.variable.tensor) }
        if let compilation = model.compilation {
            file.tensors += optimizerTensors(compilation.optimizer, model)
            file.tensors.append(("optimizer/learning_rate", compilation.optimizer.learningRate.tensor))
            for (index, variable) in metricVariables(compilation).enumerated() {
                file.tensors.append(("optimizer/metrics/\(index)", variable.tensor))
            }
        }
        try file.write(to: path)
    }

    /// Sets all of that from such a file, and gives the place.
    package static func restoreState(_ model: Model, from path: String) throws -> JSON {
        let file = try SafetensorsFile.read(path)
        guard let place = file.metadata["place"].flatMap({ try? JSON(parsing: $0) }) else {
            throw DLError(.format, "[BackupAndRestore] '\(path)' is no backup of a run")
        }
        let variables = named(model)
        let tensors = try match(variables, file, path, model)
        if let compilation = model.compilation {
            try restoreOptimizer(compilation.optimizer, model, file)
            if let rate = file["optimizer/learning_rate"], compilation.optimizer.learningRate.spec == TensorSpec(rate.shape, rate.type) {
                compilation.optimizer.learningRate.replace(rate)
            }
            for (index, variable) in metricVariables(compilation).enumerated() {
                guard let tensor = file["optimizer/metrics/\(index)"], variable.spec == TensorSpec(tensor.shape, tensor.type) else { continue }
                variable.replace(tensor)
            }
        }
        for (variable, tensor) in zip(variables.map(\.variable), tensors) where tensor != nil { variable.replace(tensor!) }
        return place
    }

    private static func metricVariables(_ compilation: Compilation) -> [Variable] { compilation.allTrackers.flatMap(\.variables) }

    private static func optimizerTensors(_ optimizer: Optimizer, _ model: Model) -> [SafetensorsFile.Named] {
        let names = Dictionary(named(model).map { (ObjectIdentifier($0.variable), $0.name) }, uniquingKeysWith: { a, _ in a })
        var tensors: [SafetensorsFile.Named] = [("optimizer/iterations", optimizer.iterations.tensor)]
        tensors += optimizer.scalars.map { ("optimizer/\($0.name)", $0.tensor) }
        for slot in optimizer.slots {
            guard let name = names[ObjectIdentifier(slot.variable)] else { continue }
            for (index, state) in slot.states.enumerated() { tensors.append(("optimizer/\(name)/\(index)", state.tensor)) }
        }
        return tensors
    }

    /// What `compile` was given, as far as it can be written down; null stands for the caller's own functions.
    private static func settings(_ compilation: Compilation, _ model: Model) throws -> JSON {
        let options = compilation.options
        func metrics(_ lists: [[CompileOptions.Choice<Metric>]]) -> JSON {
            .array(
                lists.map { list in
                    .array(
                        list.map { choice in
                            switch choice {
                            case .described(let json): json
                            case .made(let metric): metric.serialized ?? .null
                            }
                        })
                })
        }
        return [
            "optimizer": compilation.optimizer.serialized(),
            "loss": .array(
                options.losses.enumerated().map { index, choice in
                    choice == nil ? ["none": true] : compilation.losses[index]?.serialized ?? .null
                }),
            "loss_weights": options.lossWeights.map { .array($0.map { .double($0) }) } ?? .null,
            "metrics": metrics(options.metrics), "weighted_metrics": metrics(options.weightedMetrics),
            "run_eagerly": .bool(options.runEagerly), "label_base": .int(Int64(options.labelBase)),
        ]
    }

    // MARK: Reading

    /// A model from a file; compiled as it was, unless a loss or metric was the caller's own.
    package static func load(_ path: String) throws -> Model {
        let header = try SafetensorsFile.readHeader(path)
        guard let text = header.metadata["model"] else {
            throw DLError(
                .format, "[load_model] '\(path)' holds tensors but no model: there is no \"model\" in its metadata")
        }
        let json: JSON
        do {
            json = try JSON(parsing: text)
        } catch {
            throw DLError(.format, "[load_model] '\(path)': the model's JSON is damaged: \(error.message)")
        }
        let layer: Layer
        do {
            layer = try Layer.deserialize(json)
        } catch var error as DLError {
            error.message = "[load_model] '\(path)': \(error.message)"
            throw error
        }
        guard let model = layer as? Model else {
            throw DLError(.format, "[load_model] '\(path)' holds a layer, not a model")
        }
        let variables = named(model)
        let file = try SafetensorsFile.read(path)
        let tensors = try match(variables, file, path, model)
        for (variable, tensor) in zip(variables.map(\.variable), tensors) where tensor != nil { variable.replace(tensor!) }
        if let text = header.metadata["compile"] { try restore(model, JSON(parsing: text), file, path) }
        return model
    }

    /// Sets the weights from a file; nothing changes unless all are there and fit.
    package static func loadWeights(_ model: Model, from path: String) throws {
        guard model.hasWeights else {
            throw DLError(.state, "[load_weights] model '\(model.name)' has no weights yet: its input shape is not known")
        }
        let variables = named(model)
        let tensors = try match(variables, SafetensorsFile.read(path), path, model)
        for (variable, tensor) in zip(variables.map(\.variable), tensors) where tensor != nil { variable.replace(tensor!) }
    }

    /// A tensor of the file for each variable: by name, or, where layers were numbered differently, by order.
    private static func match(
        _ variables: [(name: String, variable: Variable)], _ file: SafetensorsFile, _ path: String, _ model: Model
    ) throws -> [Tensor?] {
        let stored = file.tensors.filter { !$0.name.hasPrefix("optimizer/") }
        let byName = Dictionary(stored.map { ($0.name, $0.tensor) }, uniquingKeysWith: { a, _ in a })
        let isState = { (name: String) in name.hasSuffix("seed_generator_state") }
        let wanted = variables.filter { !isState($0.name) }
        func check(_ name: String, _ variable: Variable, _ tensor: Tensor) throws {
            guard tensor.shape == variable.shape, tensor.type == variable.type else {
                throw DLError(
                    .shape, "[load_weights] '\(path)': '\(name)' does not fit model '\(model.name)'. "
                        + "Received: \(tensor.type.name) \(tensor.shape), expected: \(variable.spec)")
            }
        }
        if wanted.allSatisfy({ byName[$0.name] != nil }) {
            for (name, variable) in wanted { try check(name, variable, byName[name]!) }
            return variables.map { name, variable in
                guard let tensor = byName[name], tensor.shape == variable.shape, tensor.type == variable.type else { return nil }
                return tensor
            }
        }
        let order = file.metadata["weights"].flatMap { try? JSON(parsing: $0) }?.arrayValue?.compactMap(\.stringValue)
        let ordered = (order ?? stored.map(\.name)).filter { !isState($0) }.compactMap { name in byName[name].map { (name, $0) } }
        guard ordered.count == wanted.count else {
            let missing = wanted.first { byName[$0.name] == nil }?.name ?? ""
            throw DLError(
                .format, "[load_weights] '\(path)' has \(ordered.count) weights, model '\(model.name)' has \(wanted.count); "
                    + "'\(missing)' is not among them")
        }
        for ((name, tensor), (_, variable)) in zip(ordered, wanted) { try check(name, variable, tensor) }
        var next = ordered.makeIterator()
        return variables.map { isState($0.name) ? nil : next.next()?.1 }
    }

    private static func restore(_ model: Model, _ json: JSON, _ file: SafetensorsFile, _ path: String) throws {
        var options = CompileOptions()
        if let optimizer = json["optimizer"] { options.optimizer = .described(optimizer) }
        for loss in json["loss"]?.arrayValue ?? [] {
            // The caller's own function cannot be restored, so the model is left to be compiled again.
            if loss.isNull { return }
            options.losses.append(loss["none"] == nil ? .described(loss) : nil)
        }
        func metrics(_ key: String) -> [[CompileOptions.Choice<Metric>]]? {
            var lists: [[CompileOptions.Choice<Metric>]] = []
            for list in json[key]?.arrayValue ?? [] {
                let entries = list.arrayValue ?? []
                if entries.contains(where: \.isNull) { return nil }
                lists.append(entries.map { .described($0) })
            }
            return lists
        }
        guard let plain = metrics("metrics"), let weighted = metrics("weighted_metrics") else { return }
        options.metrics = plain
        options.weightedMetrics = weighted
        options.lossWeights = json["loss_weights"]?.arrayValue?.compactMap(\.doubleValue)
        options.runEagerly = json["run_eagerly"]?.boolValue ?? false
        options.labelBase = json["label_base"]?.intValue ?? 0
        do {
            try model.compile(options)
        } catch let error as DLError {
            throw DLError(.format, "[load_model] '\(path)': compile settings: \(error.message)")
        }
        guard let optimizer = model.compilation?.optimizer else { return }
        try restoreOptimizer(optimizer, model, file)
    }

    private static func restoreOptimizer(_ optimizer: Optimizer, _ model: Model, _ file: SafetensorsFile) throws {
        let byName = Dictionary(file.tensors.map { ($0.name, $0.tensor) }, uniquingKeysWith: { a, _ in a })
        guard let iterations = byName["optimizer/iterations"], iterations.shape == .scalar, iterations.type == .int64 else {
            return
        }
        try optimizer.build(model.trainableVariables)
        let names = Dictionary(named(model).map { (ObjectIdentifier($0.variable), $0.name) }, uniquingKeysWith: { a, _ in a })
        optimizer.iterations.replace(iterations)
        for state in optimizer.scalars {
            guard let tensor = byName["optimizer/\(state.name)"], tensor.shape == state.shape, tensor.type == state.type else { continue }
            state.replace(tensor)
        }
        for slot in optimizer.slots {
            guard let name = names[ObjectIdentifier(slot.variable)] else { continue }
            for (index, state) in slot.states.enumerated() {
                guard let tensor = byName["optimizer/\(name)/\(index)"] else { continue }
                guard tensor.shape == state.shape, tensor.type == state.type else {
                    throw DLError(.format, "[load_model] the optimizer's state for '\(name)' does not fit. "
                        + "Received: \(tensor.type.name) \(tensor.shape), expected: \(state.spec)")
                }
                state.replace(tensor)
            }
        }
    }
}
