import CDL
import DLBase
import DLGraph
import DLLayers
import DLTensor
import DLTraining

// Models section of dl.h: models and steps that the caller writes.

/// What a step of the caller's gives.
final class StepResults: Handled {
    static var handleKind: HandleKind { .step_results }
    var results = OwnSteps.Results()
}

/// Handles for the length of a callback.
private final class Lent {
    private(set) var handles: [OpaquePointer?] = []

    init(_ values: [Value?]) throws {
        for value in values { handles.append(try value.map { try wrap($0) }) }
    }

    deinit { for handle in handles { release(handle, as: Value.self) } }
}

private typealias StepFunction = @convention(c) (OpaquePointer?, UnsafePointer<dl_step>?, UnsafeMutableRawPointer?) -> Int32

private func runStep(
    _ model: Model, _ kind: OwnSteps.Kind, _ inputs: OwnSteps.Inputs, _ function: StepFunction, _ owner: Payload
) throws -> OwnSteps.Results {
    let handle = try wrap(ModelBox(model))
    defer { release(handle, as: ModelBox.self) }
    let box = StepResults()
    let results = try wrap(box)
    defer { release(results, as: StepResults.self) }
    let (x, y) = (try Lent(inputs.x), try Lent(inputs.y))
    let (weights, predictions) = (try Lent(inputs.weights), try Lent(inputs.predictions))
    try withExtendedLifetime((x, y, weights, predictions)) {
        try x.handles.withUnsafeBufferPointer { x in
            try y.handles.withUnsafeBufferPointer { y in
                try weights.handles.withUnsafeBufferPointer { weights in
                    try predictions.handles.withUnsafeBufferPointer { predictions in
                        var step = dl_step(
                            version: 1, kind: kind.rawValue, x_count: Int32(x.count), y_count: Int32(y.count),
                            weight_count: Int32(weights.count), prediction_count: Int32(predictions.count),
                            training: inputs.training ? 1 : 0, reserved: 0, x: x.baseAddress, y: y.baseAddress,
                            sample_weight: weights.baseAddress, predictions: predictions.baseAddress, results: results)
                        try callback("\(kind)_step") { function(handle, &step, owner.pointer) }
                    }
                }
            }
        }
    }
    return box.results
}

@implementation @_cdecl("dl_model_set_steps")
public func dl_model_set_steps(
    _ handle: OpaquePointer?, _ kinds: Int32,
    _ run: (@convention(c) (OpaquePointer?, UnsafePointer<dl_step>?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    let owner = Payload(payload, destroy)
    return perform {
        let model = try model(handle)
        let known = Set(OwnSteps.Kind.allCases.filter { kinds & (1 << $0.rawValue) != 0 })
        guard kinds >= 0, kinds & ~OwnSteps.Kind.allCases.reduce(0, { $0 | 1 << $1.rawValue }) == 0 else {
            throw DLError(.argument, "'kinds' must be made of 1 << DL_STEP_.... Received: \(kinds)")
        }
        guard !known.isEmpty else { return model.setOwnSteps(nil) }
        guard let run else { throw DLError(.argument, "'run' must not be NULL") }
        model.setOwnSteps(OwnSteps(known) { try runStep($0, $1, $2, run, owner) })
    }
}

@implementation @_cdecl("dl_step_log")
public func dl_step_log(_ results: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ value: Double) -> dl_status {
    perform {
        let name = try text(name, "name")
        guard !name.isEmpty else { throw DLError(.argument, "'name' must not be empty") }
        try unwrap(results, "results", as: StepResults.self).results.logs[name] = value
    }
}

@implementation @_cdecl("dl_step_output")
public func dl_step_output(_ results: OpaquePointer?, _ tensor: OpaquePointer?) -> dl_status {
    perform { try unwrap(results, "results", as: StepResults.self).results.outputs.append(unwrap(tensor, "tensor")) }
}

// MARK: Models of the caller's own

@implementation @_cdecl("dl_model_create_custom")
public func dl_model_create_custom(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?,
    _ callbacks: UnsafePointer<dl_layer_callbacks>?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, callbacks?.pointee.destroy)
    return perform {
        let out = try required(out, "out")
        let (name, config, functions) = try customParts(class_name, config, callbacks, owner)
        let model = try CustomModel(className: name, config: config, functions: functions)
        model.payload = owner
        out.pointee = try wrap(ModelBox(model))
    }
}

@implementation @_cdecl("dl_layer_set_sublayers")
public func dl_layer_set_sublayers(
    _ handle: OpaquePointer?, _ layers: UnsafePointer<OpaquePointer?>?, _ number: Int32
) -> dl_status {
    perform {
        let owner = try layer(handle)
        let number = try count(number, "count")
        guard number == 0 || layers != nil else { throw DLError(.argument, "'layers' must not be NULL") }
        try owner.track((0..<number).map { try layer(layers?[$0], "layers[\($0)]") })
    }
}

@implementation @_cdecl("dl_layer_is_model")
public func dl_layer_is_model(_ out: UnsafeMutablePointer<Int32>?, _ handle: OpaquePointer?) -> dl_status {
    out?.pointee = 0
    return perform { try required(out, "is_model").pointee = try layer(handle) is Model ? 1 : 0 }
}

@implementation @_cdecl("dl_layer_payload")
public func dl_layer_payload(
    _ payload: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ handle: OpaquePointer?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
) -> dl_status {
    payload?.pointee = nil
    return perform {
        let out = try required(payload, "payload")
        guard let owner = try layer(handle).payload as? Payload, owner.ends(with: destroy) else { return }
        out.pointee = owner.pointer
    }
}

// MARK: Parts of a step

@implementation @_cdecl("dl_model_compute_loss")
public func dl_model_compute_loss(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let model = try model(handle)
        let (predictions, y, weights) = try batchValues(data)
        out.pointee = try wrap(model.computeLoss(y, predictions, weights))
    }
}

@implementation @_cdecl("dl_model_compute_metrics")
public func dl_model_compute_metrics(_ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?) -> dl_status {
    perform {
        let model = try model(handle)
        let (predictions, y, weights) = try batchValues(data)
        try model.updateMetrics(y, predictions, weights)
    }
}

private func batchValues(_ data: UnsafePointer<dl_data>?) throws -> ([Value], [Value], [Value?]) {
    guard let given = data?.pointee else { throw DLError(.argument, "'data' must not be NULL") }
    guard given.version == 1 else {
        throw DLError(.argument, "'data->version' must be 1; begin with DL_DATA_INIT. Received: \(given.version)")
    }
    let weights = try (0..<count(given.weight_count, "weight_count")).map { index -> Value? in
        guard let handles = given.sample_weight else { throw DLError(.argument, "'sample_weight' must not be NULL") }
        return try handles[index].map { try unwrap($0, "sample_weight[\(index)]") }
    }
    return (try values(given.x, given.x_count, "x"), try values(given.y, given.y_count, "y"), weights)
}

@implementation @_cdecl("dl_model_results")
public func dl_model_results(
    _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?, _ handle: OpaquePointer?
) -> dl_status {
    count?.pointee = 0
    return perform {
        let model = try model(handle)
        guard let compilation = model.compilation else {
            throw DLError(.state, "[results] model '\(model.name)' has not been compiled; call compile first")
        }
        model.latestNames = nil
        let results = try compilation.results()
        guard results.count <= Int(max(capacity, 0)) else {
            throw DLError(.argument, "'capacity' is too small: there are \(results.count) values. Received: \(capacity)")
        }
        let values = try required(values, "values")
        for (index, result) in results.enumerated() { values[index] = result }
        count?.pointee = Int32(results.count)
    }
}

@implementation @_cdecl("dl_model_reset_metrics")
public func dl_model_reset_metrics(_ handle: OpaquePointer?) -> dl_status { perform { try model(handle).resetMetrics() } }

@implementation @_cdecl("dl_model_metrics")
public func dl_model_metrics(
    _ metrics: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ counted: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?
) -> dl_status {
    clear(metrics, metrics == nil ? 0 : capacity, counted)
    return perform {
        let list = try model(handle).compilation?.allTrackers ?? []
        let counted = try required(counted, "count")
        if let metrics {
            guard list.count <= Int(max(capacity, 0)) else {
                throw DLError(.argument, "'capacity' is too small: there are \(list.count) metrics. Received: \(capacity)")
            }
            for (index, metric) in list.enumerated() { metrics[index] = try wrap(metric) }
        }
        counted.pointee = Int32(list.count)
    }
}
