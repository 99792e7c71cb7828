import CDL
import CDLShims
import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLTensor
import DLTraining

// Models section of dl.h: training, measuring, predicting.

private func trainingData(_ data: UnsafePointer<dl_data>?, _ argument: String) throws -> TrainingData {
    guard let given = data?.pointee else { throw DLError(.argument, "'\(argument)' must not be NULL") }
    guard given.version == 1 else {
        throw DLError(.argument, "'\(argument)->version' must be 1; begin with DL_DATA_INIT. Received: \(given.version)")
    }
    let weights = try (0..<count(given.weight_count, "weight_count")).map { index -> Tensor? in
        guard let handles = given.sample_weight else { throw DLError(.argument, "'sample_weight' must not be NULL") }
        guard let handle = handles[index] else { return nil }
        return try unwrap(handle, "sample_weight[\(index)]", as: Value.self).tensor("sample_weight")
    }
    return TrainingData(
        x: try tensors(given.x, given.x_count, "x"), y: try tensors(given.y, given.y_count, "y"), weights: weights)
}

private func classWeights(_ weights: UnsafePointer<Double>?, _ number: Int32) throws -> [Double]? {
    guard let weights, number > 0 else { return nil }
    let list = (0..<Int(number)).map { weights[$0] }
    guard list.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
        throw DLError(.argument, "[fit] class weights must be numbers of at least 0")
    }
    return list
}

/// Gives loss and metrics to the caller.
private func give(
    _ results: [Double], _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?
) throws {
    guard results.count <= Int(max(capacity, 0)) else {
        throw DLError(.argument, "'capacity' is too small: there are \(results.count) values. Received: \(capacity)")
    }
    let values = try required(values, "values")
    for (index, result) in results.enumerated() { values[index] = result }
    count?.pointee = Int32(results.count)
}

/// The step again that ran last, without allocation; false where the usual way has to be taken, which also tells what is wrong.
private func repeatStep(
    _ model: Model, training: Bool, _ data: UnsafePointer<dl_data>?, _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32,
    _ count: UnsafeMutablePointer<Int32>?
) throws -> Bool {
    guard let given = data?.pointee, given.version == 1, given.weight_count == 0, given.x_count > 0, given.y_count >= 0,
        let x = given.x, let y = given.y, let values, let names = model.compilation?.names.count, names <= Int(capacity)
    else { return false }
    let inputs = Int(given.x_count)
    func tensor(_ position: Int) -> Tensor? {
        let handle = position < inputs ? x[position] : y[position - inputs]
        guard let object = dl_handle_object(UnsafeRawPointer(handle), HandleKind.tensor.rawValue) else { return nil }
        return try? Unmanaged<Value>.fromOpaque(object).takeUnretainedValue().tensor()
    }
    let resultCount = try model.repeatStepOnBatch(
        training: training, inputs: inputs, targets: Int(given.y_count), tensor: tensor
    ) { values[$0] = $1 }
    guard let resultCount else { return false }
    count?.pointee = Int32(resultCount)
    return true
}

private func fitOptions(_ options: UnsafePointer<dl_fit_options>?) throws -> FitOptions {
    var result = FitOptions()
    guard let given = options?.pointee else { return result }
    guard given.version == 1 else {
        throw DLError(.argument, "'options->version' must be 1; begin with DL_FIT_OPTIONS_INIT. Received: \(given.version)")
    }
    result.epochs = given.epochs == 0 ? 1 : Int(given.epochs)
    result.batchSize = given.batch_size == 0 ? 32 : Int(given.batch_size)
    result.shuffle = given.no_shuffle == 0
    result.initialEpoch = Int(given.initial_epoch)
    result.validationFrequency = given.validation_freq == 0 ? 1 : Int(given.validation_freq)
    result.validationBatchSize = given.validation_batch_size == 0 ? nil : Int(given.validation_batch_size)
    result.stepsPerEpoch = given.steps_per_epoch == 0 ? nil : Int(given.steps_per_epoch)
    result.validationSteps = given.validation_steps == 0 ? nil : Int(given.validation_steps)
    result.validationSplit = given.validation_split
    if given.validation_data != nil { result.validationData = try trainingData(given.validation_data, "validation_data") }
    result.classWeights = try classWeights(given.class_weight, given.class_weight_count)
    let callbacks = try json(given.callbacks, "callbacks")
    if !callbacks.isNull {
        guard let list = callbacks.arrayValue else {
            throw DLError(.argument, "'callbacks' must be a JSON array. Received: \(callbacks.kind)")
        }
        result.callbacks = try list.map { try DLTraining.Callbacks.registry.make($0) }
    }
    return result
}

/// A training run as a handle, with the texts that its last event lent out.
final class FitBox: Handled {
    static var handleKind: HandleKind { .fit }
    let session: FitSession
    private var names: [UnsafeMutablePointer<CChar>] = []
    private var namePointers: UnsafeMutablePointer<UnsafePointer<CChar>?>?
    private var values: UnsafeMutablePointer<Double>?
    private var known: [String] = []

    init(_ session: FitSession) { self.session = session }

    deinit { free() }

    private func free() {
        for name in names { name.deallocate() }
        names = []
        namePointers?.deallocate()
        values?.deallocate()
        namePointers = nil
        values = nil
    }

    /// The event for C. Names stay where they are while they are the same, as they are from step to step.
    func export(_ event: FitEvent) -> dl_event {
        let logs = event.logs
        if logs.names != known || values == nil {
            free()
            known = logs.names
            namePointers = .allocate(capacity: max(known.count, 1))
            values = .allocate(capacity: max(known.count, 1))
            for (index, name) in known.enumerated() {
                let bytes = Array(name.utf8CString)
                let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
                copy.initialize(from: bytes, count: bytes.count)
                names.append(copy)
                namePointers?[index] = UnsafePointer(copy)
            }
        }
        for (index, value) in logs.values.enumerated() { values?[index] = value }
        return dl_event(
            kind: event.kind.rawValue, epoch: Int32(clamping: event.epoch), epochs: Int32(clamping: event.epochs),
            log_count: Int32(known.count), step: Int64(event.step), steps: Int64(event.steps),
            log_names: namePointers.map { UnsafePointer($0) }, log_values: values.map { UnsafePointer($0) })
    }
}

/// How training reads and writes models.
var fitFiles: FitFiles {
    FitFiles(
        save: { model, path, weightsOnly in
            if weightsOnly {
                try ModelFile.saveWeights(model, to: path)
            } else {
                try ModelFile.save(model, to: path, includeOptimizer: true)
            }
        },
        saveState: { try ModelFile.saveState($0, to: $1, place: $2) },
        restoreState: { try ModelFile.restoreState($0, from: $1) })
}

private func session(
    _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?, _ options: UnsafePointer<dl_fit_options>?
) throws -> FitSession {
    try FitSession(model(handle), trainingData(data, "data"), fitOptions(options), files: fitFiles)
}

@implementation @_cdecl("dl_model_fit")
public func dl_model_fit(
    _ history: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?,
    _ data: UnsafePointer<dl_data>?, _ options: UnsafePointer<dl_fit_options>?
) -> dl_status {
    history?.pointee = nil
    return perform {
        let box = FitBox(try session(handle, data, options))
        let onEvent = options?.pointee.on_event
        let payload = options?.pointee.payload
        while let event = try box.session.next() {
            guard let onEvent else { continue }
            var exported = box.export(event)
            var stop = false
            try callback("fit") {
                let result = onEvent(&exported, payload)
                stop = result == DL_STOP
                return stop ? 0 : result
            }
            if stop { box.session.stop() }
        }
        if let history { try give(box.session.historyJSON.serialized(), history, "history") }
    }
}

@implementation @_cdecl("dl_fit_create")
public func dl_fit_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?,
    _ options: UnsafePointer<dl_fit_options>?
) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(FitBox(session(handle, data, options))) }
}

@implementation @_cdecl("dl_fit_next")
public func dl_fit_next(_ event: UnsafeMutablePointer<dl_event>?, _ fit: OpaquePointer?) -> dl_status {
    let none = dl_event(kind: 0, epoch: 0, epochs: 0, log_count: 0, step: 0, steps: 0, log_names: nil, log_values: nil)
    event?.pointee = none
    return perform {
        let event = try required(event, "event")
        let box = try unwrap(fit, "fit", as: FitBox.self)
        event.pointee = try box.session.next().map { box.export($0) } ?? none
    }
}

@implementation @_cdecl("dl_fit_feed")
public func dl_fit_feed(_ fit: OpaquePointer?, _ data: UnsafePointer<dl_data>?) -> dl_status {
    perform { try unwrap(fit, "fit", as: FitBox.self).session.feed(trainingData(data, "data")) }
}

@implementation @_cdecl("dl_fit_stop")
public func dl_fit_stop(_ fit: OpaquePointer?) -> dl_status { perform { try unwrap(fit, "fit", as: FitBox.self).session.stop() } }

@implementation @_cdecl("dl_fit_history")
public func dl_fit_history(
    _ history: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ fit: OpaquePointer?
) -> dl_status {
    history?.pointee = nil
    return perform { try give(unwrap(fit, "fit", as: FitBox.self).session.historyJSON.serialized(), history, "history") }
}

@implementation @_cdecl("dl_fit_release")
public func dl_fit_release(_ fit: OpaquePointer?) { release(fit, as: FitBox.self) }

@implementation @_cdecl("dl_model_metrics_names")
public func dl_model_metrics_names(
    _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?
) -> dl_status {
    out?.pointee = nil
    return perform {
        let model = try model(handle)
        if let names = model.latestNames {
            return try give(JSON.array(names.map { .string($0) }).serialized(), out, "names")
        }
        guard let compilation = model.compilation else {
            throw DLError(.state, "[metrics_names] model '\(model.name)' has not been compiled; call compile first")
        }
        try give(JSON.array(compilation.names.map { .string($0) }).serialized(), out, "names")
    }
}

@implementation @_cdecl("dl_model_evaluate")
public func dl_model_evaluate(
    _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?, _ batch_size: Int32
) -> dl_status {
    count?.pointee = 0
    return perform {
        let results = try model(handle).evaluate(trainingData(data, "data"), batchSize: batch_size == 0 ? 32 : Int(batch_size))
        try give(results, values, capacity, count)
    }
}

@implementation @_cdecl("dl_model_evaluate_batch")
public func dl_model_evaluate_batch(
    _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?, _ is_first: Int32
) -> dl_status {
    count?.pointee = 0
    return perform {
        let results = try model(handle).evaluate(further: trainingData(data, "data"), isFirst: is_first != 0)
        try give(results.values, values, capacity, count)
    }
}

@implementation @_cdecl("dl_model_train_on_batch")
public func dl_model_train_on_batch(
    _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?, _ class_weight: UnsafePointer<Double>?,
    _ class_weight_count: Int32
) -> dl_status {
    count?.pointee = 0
    return perform {
        let model = try model(handle)
        if class_weight == nil, try repeatStep(model, training: true, data, values, capacity, count) { return }
        let results = try model.trainOnBatch(
            trainingData(data, "data"), classWeights: classWeights(class_weight, class_weight_count))
        try give(results, values, capacity, count)
    }
}

@implementation @_cdecl("dl_model_test_on_batch")
public func dl_model_test_on_batch(
    _ values: UnsafeMutablePointer<Double>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ data: UnsafePointer<dl_data>?
) -> dl_status {
    count?.pointee = 0
    return perform {
        let model = try model(handle)
        if try repeatStep(model, training: false, data, values, capacity, count) { return }
        try give(model.testOnBatch(trainingData(data, "data")), values, capacity, count)
    }
}

@implementation @_cdecl("dl_model_predict")
public func dl_model_predict(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ x: UnsafePointer<OpaquePointer?>?, _ x_count: Int32, _ batch_size: Int32
) -> dl_status {
    clear(outputs, capacity, count)
    return perform {
        let results = try model(handle).predict(tensors(x, x_count, "x"), batchSize: batch_size == 0 ? 32 : Int(batch_size))
        try give(results.map { Value($0) }, outputs, capacity, count, "outputs")
    }
}

@implementation @_cdecl("dl_model_optimizer")
public func dl_model_optimizer(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let model = try model(handle)
        guard let compilation = model.compilation else {
            throw DLError(.state, "[optimizer] model '\(model.name)' has not been compiled; call compile first")
        }
        out.pointee = try wrap(compilation.optimizer)
    }
}
