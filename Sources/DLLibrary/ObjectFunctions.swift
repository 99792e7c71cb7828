import CDL
import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import DLTraining

// Classes of the caller's own that stand wherever the library's do, by name and config.

private typealias ObjectFunction = @convention(c) (UnsafePointer<dl_object_call>?, UnsafeMutableRawPointer?) -> Int32

/// A registered class: calls the caller's function with tensors and the config of one object.
private struct ObjectClass: Sendable {
    let name: String
    let function: ObjectFunction
    let owner: Payload

    func callAsFunction(_ what: String, _ inputs: [Value], _ config: JSON) throws -> [Value] {
        let box = StepResults()
        let results = try wrap(box)
        defer { release(results, as: StepResults.self) }
        var handles: [OpaquePointer?] = []
        defer { for handle in handles { release(handle, as: Value.self) } }
        for input in inputs { handles.append(try wrap(input)) }
        let text = try config.serialized()
        try handles.withUnsafeBufferPointer { handles in
            try what.withCString { what in
                try text.withCString { text in
                    var call = dl_object_call(
                        version: 1, input_count: Int32(handles.count), what: what, config: text, inputs: handles.baseAddress,
                        results: results)
                    try callback(name) { function(&call, owner.pointer) }
                }
            }
        }
        return box.results.outputs
    }

    /// The one tensor that a call gives.
    func single(_ inputs: [Value], _ config: JSON) throws -> Value {
        let outputs = try self("call", inputs, config)
        guard outputs.count == 1 else {
            throw DLError(.callback, "[\(name)] a call must give one tensor. Received: \(outputs.count)")
        }
        return outputs[0]
    }

    func alike(_ output: Value, _ input: Value) throws -> Value {
        guard output.shape == input.shape else {
            throw DLError(.shape, "[\(name)] must give a tensor of the shape that it is given. Received: \(output.shape) for \(input.shape)")
        }
        return try cast(output, input.type)
    }

    // MARK: One for each category

    func initializer(_ config: JSON) -> Initializer {
        Initializer { shape, type in
            let sizes = try Tensor(shape.sizes.map { Int64($0) })
            let output = try single([Value(sizes)], config)
            guard output.shape == shape else {
                throw DLError(.shape, "[\(name)] must give a tensor of the shape that is asked for. Received: \(output.shape) for \(shape)")
            }
            return try cast(output, type).tensor(name).copy()
        }
    }

    func regularizer(_ config: JSON) -> Regularizer {
        Regularizer { weight in
            let penalty = try single([weight], config)
            return try cast(penalty.shape.rank == 0 ? penalty : sum(penalty), weight.type)
        }
    }

    func constraint(_ config: JSON) -> Constraint { Constraint { try alike(single([$0], config), $0) } }

    func activation(_ config: JSON) -> ActivationFunction { ActivationFunction { try single([$0], config) } }

    func loss(_ config: JSON) throws -> Loss {
        var config = config.objectValue ?? JSONObject()
        let reduction = config["reduction"]?.stringValue ?? Loss.Reduction.sumOverBatchSize.rawValue
        guard let known = Loss.Reduction(rawValue: reduction) else {
            throw DLError(
                .argument, "[\(name)] 'reduction' must be one of \(Loss.Reduction.allCases.map(\.rawValue).joined(separator: ", ")). "
                    + "Received: \(reduction)")
        }
        config["reduction"] = .string(reduction)
        let label = config["name"]?.stringValue ?? name
        let json = JSON.object(config)
        return Loss(name: label, reduction: known, serialized: ["class_name": .string(name), "config": json]) {
            try single([$0, $1], json)
        }
    }

    func schedule(_ config: JSON) -> Schedule {
        Schedule(name: name, serialized: ["class_name": .string(name), "config": config]) { step in
            let context = ThreadContext.current
            return try context.recording(into: nil) {
                try single([Value(Tensor(scalar: Int64(exactly: step) ?? Int64.max))], config).tensor(name).item()
            }
        }
    }

    func optimizer(_ config: JSON) throws -> Optimizer {
        try CustomOptimizer(
            className: name, config: config,
            functions: CustomOptimizer.Functions(
                slots: { try self("slots", [$0], $1) }, update: { try self("call", $0, $1) }))
    }
}

@implementation @_cdecl("dl_object_register")
public func dl_object_register(
    _ category: UnsafePointer<CChar>?, _ class_name: UnsafePointer<CChar>?,
    _ call: (@convention(c) (UnsafePointer<dl_object_call>?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    let owner = Payload(payload, destroy)
    return perform {
        let category = try text(category, "category")
        let name = try text(class_name, "class_name")
        let known = call.map { ObjectClass(name: name, function: $0, owner: owner) }
        func register<Product>(_ registry: Registry<Product>, _ make: @escaping @Sendable (ObjectClass, JSON) throws -> Product) throws {
            guard !name.isEmpty, registry.find(name) == nil else {
                throw DLError(.argument, "[register] '\(name)' is a \(category) of the library's own; choose another name")
            }
            guard let known else { return registry.custom.register(name, nil) }
            registry.custom.register(name) { config in try make(known, config) }
        }
        switch category {
        case "initializer": try register(Initializers.registry) { $0.initializer($1) }
        case "regularizer": try register(Regularizers.registry) { $0.regularizer($1) }
        case "constraint": try register(Constraints.registry) { $0.constraint($1) }
        case "activation": try register(Activations.registry) { $0.activation($1) }
        case "loss": try register(Losses.registry) { try $0.loss($1) }
        case "schedule": try register(Schedules.registry) { $0.schedule($1) }
        case "optimizer": try register(Optimizers.registry) { try $0.optimizer($1) }
        default:
            throw DLError(
                .argument, "[register] 'category' must be initializer, regularizer, constraint, activation, loss, schedule or "
                    + "optimizer. Received: \(category)")
        }
    }
}

// MARK: Metrics with states

private typealias UpdateFunction = @convention(c) (
    OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?
) -> Int32

private func lent<Result>(_ values: [Value?], _ body: ([OpaquePointer?]) throws -> Result) throws -> Result {
    var handles: [OpaquePointer?] = []
    defer { for handle in handles { release(handle, as: Value.self) } }
    for value in values { handles.append(try value.map { try wrap($0) }) }
    return try body(handles)
}

@implementation @_cdecl("dl_metric_create_stateful")
public func dl_metric_create_stateful(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?,
    _ callbacks: UnsafePointer<dl_metric_callbacks>?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, callbacks?.pointee.destroy)
    return perform {
        let out = try required(out, "out")
        guard let functions = callbacks?.pointee else { throw DLError(.argument, "'callbacks' must not be NULL") }
        guard functions.version == 1 else {
            throw DLError(.argument, "'callbacks->version' must be 1. Received: \(functions.version)")
        }
        guard let update = functions.update, let result = functions.result else {
            throw DLError(.argument, "'callbacks->update' and 'callbacks->result' must not be NULL")
        }
        let name = try text(class_name, "class_name")
        let given = try json(config, "config")
        guard given.isNull || given.objectValue != nil else {
            throw DLError(.argument, "'config' must be a JSON object. Received: \(given.kind)")
        }
        let metric = CustomMetric(
            className: name, config: given.objectValue ?? JSONObject(),
            functions: CustomMetric.Functions(
                update: { metric, truth, prediction, weight in
                    let handle = try wrap(metric as Metric)
                    defer { release(handle, as: Metric.self) }
                    try lent([truth, prediction, weight]) { given in
                        try callback(name) { update(handle, given[0], given[1], given[2], owner.pointer) }
                    }
                },
                result: { metric in
                    let handle = try wrap(metric as Metric)
                    defer { release(handle, as: Metric.self) }
                    var value: OpaquePointer?
                    defer { release(value, as: Value.self) }
                    try callback(name) { result(&value, handle, owner.pointer) }
                    guard value != nil else { throw DLError(.callback, "[\(name)] the callback gave no tensor") }
                    return try unwrap(value, "out")
                }))
        out.pointee = try wrap(metric as Metric)
    }
}

@implementation @_cdecl("dl_metric_add_variable")
public func dl_metric_add_variable(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ metric: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: OpaquePointer?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        guard let metric = try unwrap(metric, "metric", as: Metric.self) as? CustomMetric else {
            throw DLError(.argument, "'metric' must be made by dl_metric_create_stateful")
        }
        let tensor = try unwrap(value, "value", as: Value.self).tensor("value").copy()
        out.pointee = try wrap(metric.addVariable(text(name, "name"), tensor).value)
    }
}

@implementation @_cdecl("dl_metric_register")
public func dl_metric_register(
    _ class_name: UnsafePointer<CChar>?,
    _ create: (@convention(c) (UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<CChar>?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    let owner = Payload(payload, destroy)
    return perform {
        let name = try text(class_name, "class_name")
        guard !name.isEmpty, Metrics.registry.find(name) == nil else {
            throw DLError(.argument, "[register] '\(name)' is a metric of the library's own; choose another name")
        }
        guard let create else { return Metrics.registry.custom.register(name, nil) }
        Metrics.registry.custom.register(name) { config in
            let text = try config.serialized()
            var handle: OpaquePointer?
            defer { release(handle, as: Metric.self) }
            try callback(name) { create(&handle, text, owner.pointer) }
            return try unwrap(handle, "out")
        }
    }
}

// MARK: Objects by description

@implementation @_cdecl("dl_object_check")
public func dl_object_check(_ category: UnsafePointer<CChar>?, _ json: UnsafePointer<CChar>?) -> dl_status {
    perform {
        let given = try nameOrJSON(json, "json")
        switch try text(category, "category") {
        case "initializer": _ = try Initializers.registry.make(given)
        case "regularizer": _ = try Regularizers.registry.make(given)
        case "constraint": _ = try Constraints.registry.make(given)
        case "activation": _ = try Activations.registry.make(given)
        case "schedule": _ = try Schedules.registry.make(given)
        case "callback": _ = try DLTraining.Callbacks.registry.make(given)
        case let other: throw DLError(.argument, "[check] objects of the category '\(other)' are made, not checked")
        }
    }
}

@implementation @_cdecl("dl_object_apply")
public func dl_object_apply(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ category: UnsafePointer<CChar>?, _ json: UnsafePointer<CChar>?,
    _ tensor: OpaquePointer?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let given = try nameOrJSON(json, "json")
        let value: Value = try unwrap(tensor, "tensor")
        switch try text(category, "category") {
        case "regularizer": out.pointee = try wrap(Regularizers.registry.make(given).penalty(value))
        case "constraint": out.pointee = try wrap(Constraints.registry.make(given).project(value))
        case "activation": out.pointee = try wrap(Activations.registry.make(given).apply(value))
        case let other: throw DLError(.argument, "[apply] objects of the category '\(other)' take no tensor")
        }
    }
}

@implementation @_cdecl("dl_optimizer_exclude_from_weight_decay")
public func dl_optimizer_exclude_from_weight_decay(
    _ optimizer: OpaquePointer?, _ variables: UnsafePointer<OpaquePointer?>?, _ number: Int32, _ names: UnsafePointer<CChar>?
) -> dl_status {
    perform {
        let optimizer = try unwrap(optimizer, "optimizer", as: Optimizer.self)
        let targets = try values(variables, number, "variables").map { value -> Variable in
            guard case .variable(let variable) = value.kind else {
                throw DLError(.argument, "[\(optimizer.className)] what is excluded from weight decay must be variables. Received: a tensor")
            }
            return variable
        }
        let list = try json(names, "names")
        guard list.isNull || list.arrayValue?.allSatisfy({ $0.stringValue != nil }) == true else {
            throw DLError(.argument, "'names' must be a JSON array of texts. Received: \(list.canonicalText)")
        }
        try optimizer.excludeFromWeightDecay(targets, (list.arrayValue ?? []).compactMap(\.stringValue))
    }
}
