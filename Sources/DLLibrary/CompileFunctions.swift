import CDL
import DLBase
import DLLayers
import DLTraining

// dl_model_compile: what JSON and arrays of handles say, as options for the model.

@implementation @_cdecl("dl_model_compile")
public func dl_model_compile(_ handle: OpaquePointer?, _ options: UnsafePointer<dl_compile_options>?) -> dl_status {
    perform {
        let model = try model(handle)
        var result = CompileOptions()
        guard let given = options?.pointee else { return try model.compile(result) }
        guard given.version == 1 else {
            throw DLError(.argument, "'options->version' must be 1; begin with DL_COMPILE_OPTIONS_INIT. Received: \(given.version)")
        }
        guard given.label_base == 0 || given.label_base == 1 else {
            throw DLError(.argument, "[compile] 'label_base' must be 0 or 1. Received: \(given.label_base)")
        }
        result.labelBase = Int(given.label_base)
        result.runEagerly = given.run_eagerly != 0
        if given.optimizer_object != nil {
            result.optimizer = .made(try unwrap(given.optimizer_object, "optimizer_object"))
        } else {
            let optimizer = try nameOrJSON(given.optimizer, "optimizer")
            if !optimizer.isNull { result.optimizer = .described(optimizer) }
        }
        let outputs = Outputs(model)
        let losses = try (0..<count(given.loss_count, "loss_count")).map { index -> Loss in
            try unwrap(given.losses?[index], "losses[\(index)]")
        }
        let metrics = try (0..<count(given.metric_count, "metric_count")).map { index -> Metric in
            try unwrap(given.metric_objects?[index], "metric_objects[\(index)]")
        }
        result.losses = try outputs.losses(nameOrJSON(given.loss, "loss"), losses)
        result.metrics = try outputs.metrics(nameOrJSON(given.metrics, "metrics"), metrics, "metrics")
        result.weightedMetrics = try outputs.metrics(
            nameOrJSON(given.weighted_metrics, "weighted_metrics"), metrics, "weighted_metrics")
        result.lossWeights = try outputs.weights(json(given.loss_weights, "loss_weights"))
        try model.compile(result)
    }
}

/// Spreads what is said for all outputs, by position or by name, over the outputs.
private struct Outputs {
    private let names: [String]
    private var count: Int { max(names.count, 1) }

    init(_ model: Model) { names = model.outputNames }

    private func object<Product>(_ entry: JSON, _ objects: [Product], _ argument: String) throws -> CompileOptions.Choice<Product> {
        guard let index = entry["handle"]?.intValue else { return .described(entry) }
        guard objects.indices.contains(index) else {
            throw DLError(.range, "[compile] '\(argument)': there are \(objects.count) objects. Received: {\"handle\": \(index)}")
        }
        return .made(objects[index])
    }

    /// Is the object a loss or metric itself, not a table of them by output?
    private func isOne(_ json: JSON) -> Bool { json["class_name"] != nil || json["handle"] != nil }

    private func position(_ name: String, _ argument: String) throws -> Int {
        if let index = names.firstIndex(of: name) { return index }
        var message = "[compile] '\(argument)': there is no output '\(name)'; they are \(names.joined(separator: ", "))"
        if let near = nearestName(to: name, in: names) { message += "; did you mean '\(near)'?" }
        throw DLError(.argument, message)
    }

    func losses(_ json: JSON, _ objects: [Loss]) throws -> [CompileOptions.Choice<Loss>?] {
        switch json {
        case .null: return []
        case .array(let list): return try list.map { $0.isNull ? nil : try object($0, objects, "loss") }
        case .object(let table) where !isOne(json):
            var result = [CompileOptions.Choice<Loss>?](repeating: nil, count: count)
            for (name, entry) in table.pairs where !entry.isNull {
                result[try position(name, "loss")] = try object(entry, objects, "loss")
            }
            return result
        default:
            let loss = try object(json, objects, "loss")
            return [CompileOptions.Choice<Loss>?](repeating: loss, count: count)
        }
    }

    func metrics(_ json: JSON, _ objects: [Metric], _ argument: String) throws -> [[CompileOptions.Choice<Metric>]] {
        func list(_ entry: JSON) throws -> [CompileOptions.Choice<Metric>] {
            if entry.isNull { return [] }
            return try (entry.arrayValue ?? [entry]).map { try object($0, objects, argument) }
        }
        switch json {
        case .null: return []
        case .object(let table) where !isOne(json):
            var result = [[CompileOptions.Choice<Metric>]](repeating: [], count: count)
            for (name, entry) in table.pairs { result[try position(name, argument)] = try list(entry) }
            return result
        case .array(let entries) where entries.contains(where: { $0.arrayValue != nil || $0.isNull }):
            return try entries.map(list)
        default:
            // The same metrics for every output: made anew for each, unless they are objects.
            return try (0..<count).map { _ in try list(json) }
        }
    }

    func weights(_ json: JSON) throws -> [Double]? {
        func number(_ entry: JSON) throws -> Double {
            guard let value = entry.doubleValue, value.isFinite else {
                throw DLError(.argument, "[compile] 'loss_weights' must be numbers. Received: \(entry.canonicalText)")
            }
            return value
        }
        switch json {
        case .null: return nil
        case .array(let list): return try list.map(number)
        case .object(let table):
            var result = [Double](repeating: 1, count: count)
            for (name, entry) in table.pairs { result[try position(name, "loss_weights")] = try number(entry) }
            return result
        default: return [try number(json)]
        }
    }
}
