import CDL
import DLBase
import DLGraph
import DLLayers
import DLTensor
import DLTraining

// Losses, metrics and optimizers for loops of one's own.

/// {"class_name": name, "config": config}, or a bare name.
private func named(_ name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?) throws -> JSON {
    let name = try text(name, "name")
    let arguments = try json(config, "config")
    return arguments.isNull ? .string(name) : ["class_name": .string(name), "config": arguments]
}

private typealias ObjectiveFunction = @convention(c) (
    UnsafeMutablePointer<OpaquePointer?>?, OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?
) -> Int32

/// Lets a caller's function map targets and predictions to a tensor.
private func call(
    _ function: ObjectiveFunction, _ name: String, _ truth: Value, _ prediction: Value?, _ owner: Payload
) throws -> Value {
    let truthHandle = try wrap(truth)
    defer { release(truthHandle, as: Value.self) }
    let predictionHandle = try prediction.map { try wrap($0) }
    defer { release(predictionHandle, as: Value.self) }
    var out: OpaquePointer?
    defer { release(out, as: Value.self) }
    try callback(name) { function(&out, truthHandle, predictionHandle, owner.pointer) }
    guard out != nil else { throw DLError(.callback, "[\(name)] the callback gave no tensor") }
    return try unwrap(out, "out")
}

// MARK: Losses

@implementation @_cdecl("dl_loss_create")
public func dl_loss_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(Losses.make(named(name, config))) }
}

@implementation @_cdecl("dl_loss_create_custom")
public func dl_loss_create_custom(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?,
    _ function: (@convention(c) (UnsafeMutablePointer<OpaquePointer?>?, OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, destroy)
    return perform {
        let out = try required(out, "out")
        guard let function else { throw DLError(.argument, "'call' must not be NULL") }
        let name = optionalText(name) ?? "loss"
        out.pointee = try wrap(Loss(name: name) { try call(function, name, $0, $1, owner) })
    }
}

@implementation @_cdecl("dl_loss_call")
public func dl_loss_call(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ loss: OpaquePointer?, _ y_true: OpaquePointer?, _ y_pred: OpaquePointer?,
    _ sample_weight: OpaquePointer?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let weight: Value? = sample_weight == nil ? nil : try unwrap(sample_weight, "sample_weight")
        out.pointee = try wrap(
            unwrap(loss, "loss", as: Loss.self)(unwrap(y_true, "y_true"), unwrap(y_pred, "y_pred"), weight: weight))
    }
}

private func checked(_ labelBase: Int32) throws -> Int {
    guard labelBase == 0 || labelBase == 1 else { throw DLError(.argument, "'label_base' must be 0 or 1. Received: \(labelBase)") }
    return Int(labelBase)
}

@implementation @_cdecl("dl_loss_set_label_base")
public func dl_loss_set_label_base(_ loss: OpaquePointer?, _ label_base: Int32) -> dl_status {
    perform { try unwrap(loss, "loss", as: Loss.self).setLabelBase(checked(label_base)) }
}

@implementation @_cdecl("dl_metric_set_label_base")
public func dl_metric_set_label_base(_ metric: OpaquePointer?, _ label_base: Int32) -> dl_status {
    perform { try unwrap(metric, "metric", as: Metric.self).setLabelBase(checked(label_base)) }
}

@implementation @_cdecl("dl_loss_retain")
public func dl_loss_retain(_ loss: OpaquePointer?) -> dl_status { perform { try retain(loss, .loss, "loss") } }

@implementation @_cdecl("dl_loss_release")
public func dl_loss_release(_ loss: OpaquePointer?) { release(loss, as: Loss.self) }

// MARK: Metrics

@implementation @_cdecl("dl_metric_create")
public func dl_metric_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(Metrics.make(named(name, config))) }
}

@implementation @_cdecl("dl_metric_create_custom")
public func dl_metric_create_custom(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?,
    _ function: (@convention(c) (UnsafeMutablePointer<OpaquePointer?>?, OpaquePointer?, OpaquePointer?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, destroy)
    return perform {
        let out = try required(out, "out")
        guard let function else { throw DLError(.argument, "'call' must not be NULL") }
        let name = optionalText(name) ?? "metric"
        out.pointee = try wrap(MeanMetric(name: name) { try call(function, name, $0, $1, owner) })
    }
}

@implementation @_cdecl("dl_metric_update")
public func dl_metric_update(
    _ metric: OpaquePointer?, _ y_true: OpaquePointer?, _ y_pred: OpaquePointer?, _ sample_weight: OpaquePointer?
) -> dl_status {
    perform {
        let prediction: Value? = y_pred == nil ? nil : try unwrap(y_pred, "y_pred")
        let weight: Value? = sample_weight == nil ? nil : try unwrap(sample_weight, "sample_weight")
        try unwrap(metric, "metric", as: Metric.self).update(unwrap(y_true, "y_true"), prediction, weight: weight)
    }
}

@implementation @_cdecl("dl_metric_result")
public func dl_metric_result(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ metric: OpaquePointer?) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(unwrap(metric, "metric", as: Metric.self).result()) }
}

@implementation @_cdecl("dl_metric_reset")
public func dl_metric_reset(_ metric: OpaquePointer?) -> dl_status {
    perform { try unwrap(metric, "metric", as: Metric.self).reset() }
}

@implementation @_cdecl("dl_metric_retain")
public func dl_metric_retain(_ metric: OpaquePointer?) -> dl_status { perform { try retain(metric, .metric, "metric") } }

@implementation @_cdecl("dl_metric_release")
public func dl_metric_release(_ metric: OpaquePointer?) { release(metric, as: Metric.self) }

// MARK: Optimizers

@implementation @_cdecl("dl_optimizer_create")
public func dl_optimizer_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(Optimizers.registry.make(named(name, config))) }
}

@implementation @_cdecl("dl_optimizer_apply")
public func dl_optimizer_apply(
    _ optimizer: OpaquePointer?, _ gradients: UnsafePointer<OpaquePointer?>?, _ variables: UnsafePointer<OpaquePointer?>?,
    _ number: Int32
) -> dl_status {
    perform {
        let targets = try values(variables, number, "variables").enumerated().map { index, value -> Variable in
            guard case .variable(let variable) = value.kind else {
                throw DLError(.argument, "'variables[\(index)]' must be a variable. Received: a tensor")
            }
            return variable
        }
        guard let gradients, !targets.isEmpty else { throw DLError(.argument, "there is nothing to update") }
        let pairs = try targets.enumerated().map { index, variable -> (gradient: Value?, variable: Variable) in
            guard let handle = gradients[index] else { return (nil, variable) }
            return (try unwrap(handle, "gradients[\(index)]"), variable)
        }
        try unwrap(optimizer, "optimizer", as: Optimizer.self).apply(pairs)
    }
}

@implementation @_cdecl("dl_optimizer_iterations")
public func dl_optimizer_iterations(_ iterations: UnsafeMutablePointer<Int64>?, _ optimizer: OpaquePointer?) -> dl_status {
    iterations?.pointee = 0
    return perform {
        let optimizer = try unwrap(optimizer, "optimizer", as: Optimizer.self)
        try required(iterations, "iterations").pointee = Int64(optimizer.iterations.tensor.number(at: 0))
    }
}

@implementation @_cdecl("dl_optimizer_learning_rate")
public func dl_optimizer_learning_rate(_ rate: UnsafeMutablePointer<Double>?, _ optimizer: OpaquePointer?) -> dl_status {
    rate?.pointee = 0
    return perform {
        try required(rate, "rate").pointee = unwrap(optimizer, "optimizer", as: Optimizer.self).learningRateShortest
    }
}

@implementation @_cdecl("dl_optimizer_set_learning_rate")
public func dl_optimizer_set_learning_rate(_ optimizer: OpaquePointer?, _ rate: Double) -> dl_status {
    perform { try unwrap(optimizer, "optimizer", as: Optimizer.self).setLearningRate(rate) }
}

@implementation @_cdecl("dl_optimizer_to_json")
public func dl_optimizer_to_json(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ optimizer: OpaquePointer?
) -> dl_status {
    text?.pointee = nil
    return perform { try give(unwrap(optimizer, "optimizer", as: Optimizer.self).serialized().serialized(), text, "text") }
}

/// Keras's form of a loss or metric.
private func form<Product>(_ registry: Registry<Product>, _ json: JSON?, _ name: String) throws -> String {
    guard let json, let className = json["class_name"]?.stringValue else {
        throw DLError(.unsupported, "[to_json] '\(name)' is a function of your own; it has no configuration")
    }
    return try registry.form(className, json["config"] ?? [:]).serialized()
}

@implementation @_cdecl("dl_loss_to_json")
public func dl_loss_to_json(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ loss: OpaquePointer?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let loss = try unwrap(loss, "loss", as: Loss.self)
        try give(form(Losses.registry, loss.serialized, loss.name), text, "text")
    }
}

@implementation @_cdecl("dl_metric_to_json")
public func dl_metric_to_json(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ metric: OpaquePointer?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let metric = try unwrap(metric, "metric", as: Metric.self)
        try give(form(Metrics.registry, metric.serialized, metric.name), text, "text")
    }
}

@implementation @_cdecl("dl_description_to_json")
public func dl_description_to_json(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ category: UnsafePointer<CChar>?,
    _ description: UnsafePointer<CChar>?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let given = try nameOrJSON(description, "description")
        func described<Product>(_ registry: Registry<Product>) throws -> String {
            let name = given.stringValue ?? given["class_name"]?.stringValue ?? ""
            if registry.find(name) == nil, registry.custom.find(name) != nil {
                _ = try registry.make(given)
                return try registry.form(name, given["config"] ?? [:]).serialized()
            }
            let declaration = try registry.declaration(given.stringValue ?? given["class_name"]?.stringValue ?? "")
            let arguments = try declaration.check(given["config"] ?? .null)
            _ = try declaration.make(arguments)
            return try registry.form(declaration.name, arguments.json).serialized()
        }
        let category = try DLLibrary.text(category, "category")
        let form = switch category {
        case "initializer": try described(Initializers.registry)
        case "regularizer": try described(Regularizers.registry)
        case "constraint": try described(Constraints.registry)
        case "schedule": try described(Schedules.registry)
        default:
            throw DLError(
                .argument, "'category' must be \"initializer\", \"regularizer\", \"constraint\" or \"schedule\". Received: \"\(category)\"")
        }
        try give(form, text, "text")
    }
}

@implementation @_cdecl("dl_optimizer_set_schedule")
public func dl_optimizer_set_schedule(
    _ optimizer: OpaquePointer?, _ function: (@convention(c) (UnsafeMutablePointer<Double>?, Int64, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    let owner = Payload(payload, destroy)
    return perform {
        let optimizer = try unwrap(optimizer, "optimizer", as: Optimizer.self)
        guard let function else { throw DLError(.argument, "'call' must not be NULL") }
        try optimizer.setSchedule(
            Schedule(name: "learning_rate") { step in
                var rate = Double.nan
                try callback("learning_rate") { function(&rate, Int64(exactly: step) ?? Int64.max, owner.pointer) }
                return rate
            })
    }
}

@implementation @_cdecl("dl_schedule_rate")
public func dl_schedule_rate(_ rate: UnsafeMutablePointer<Double>?, _ schedule: UnsafePointer<CChar>?, _ step: Int64) -> dl_status {
    rate?.pointee = 0
    return perform {
        let rate = try required(rate, "rate")
        guard step >= 0 else { throw DLError(.argument, "'step' must not be negative. Received: \(step)") }
        rate.pointee = try Schedules.registry.make(nameOrJSON(schedule, "schedule")).rate(Double(step))
    }
}

@implementation @_cdecl("dl_optimizer_retain")
public func dl_optimizer_retain(_ optimizer: OpaquePointer?) -> dl_status {
    perform { try retain(optimizer, .optimizer, "optimizer") }
}

@implementation @_cdecl("dl_optimizer_release")
public func dl_optimizer_release(_ optimizer: OpaquePointer?) { release(optimizer, as: Optimizer.self) }
