import CDL
import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLTensor
import DLTraining

// Models section of dl.h: making, looking at and saving them.

func model(_ handle: OpaquePointer?, _ argument: String = "model") throws -> Model {
    try unwrap(handle, argument, as: ModelBox.self).model
}

@implementation @_cdecl("dl_input")
public func dl_input(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ rank: Int32, _ shape: UnsafePointer<Int64>?, _ dtype: dl_dtype,
    _ name: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        out.pointee = try wrap(
            InputLayer.make(
                shape: sizes(rank, shape, allowUnknown: true), type: dtype == 0 ? .float32 : elementType(dtype),
                name: optionalText(name)))
    }
}

@implementation @_cdecl("dl_sequential_create")
public func dl_sequential_create(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(ModelBox(Sequential(name: optionalText(name)))) }
}

private func sequential(_ handle: OpaquePointer?) throws -> Sequential {
    guard let sequential = try model(handle) as? Sequential else {
        throw DLError(.argument, "'model' must be a Sequential model. Received: a functional one")
    }
    return sequential
}

@implementation @_cdecl("dl_sequential_add")
public func dl_sequential_add(_ handle: OpaquePointer?, _ layer_handle: OpaquePointer?) -> dl_status {
    perform { try sequential(handle).add(layer(layer_handle)) }
}

@implementation @_cdecl("dl_sequential_pop")
public func dl_sequential_pop(_ handle: OpaquePointer?) -> dl_status { perform { try sequential(handle).pop() } }

@implementation @_cdecl("dl_model_create")
public func dl_model_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ inputs: UnsafePointer<OpaquePointer?>?,
    _ input_count: Int32, _ outputs: UnsafePointer<OpaquePointer?>?, _ output_count: Int32,
    _ output_names: UnsafePointer<UnsafePointer<CChar>?>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let ends = try values(outputs, output_count, "outputs")
        let names = try output_names.map { names in try ends.indices.map { try text(names[$0], "output_names[\($0)]") } }
        out.pointee = try wrap(
            ModelBox(
                Model(
                    inputs: values(inputs, input_count, "inputs"), outputs: ends, name: optionalText(name), outputNames: names)))
    }
}

@implementation @_cdecl("dl_model_to_json")
public func dl_model_to_json(_ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?) -> dl_status {
    out?.pointee = nil
    return perform { try give(model(handle).serialized().serialized(), out, "text") }
}

@implementation @_cdecl("dl_model_from_json")
public func dl_model_from_json(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ text: UnsafePointer<CChar>?) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        guard text != nil else { throw DLError(.argument, "'json' must not be NULL") }
        guard let model = try Layer.deserialize(json(text, "json")) as? Model else {
            throw DLError(.argument, "[from_json] the JSON describes a layer, not a model")
        }
        out.pointee = try wrap(ModelBox(model))
    }
}

@implementation @_cdecl("dl_model_retain")
public func dl_model_retain(_ handle: OpaquePointer?) -> dl_status { perform { try retain(handle, .model, "model") } }

@implementation @_cdecl("dl_model_release")
public func dl_model_release(_ handle: OpaquePointer?) { release(handle, as: ModelBox.self) }

@implementation @_cdecl("dl_model_as_layer")
public func dl_model_as_layer(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(LayerBox(model(handle))) }
}

@implementation @_cdecl("dl_layer_as_model")
public func dl_layer_as_model(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let layer = try layer(handle)
        guard let model = layer as? Model else {
            throw DLError(.handle, "'layer' must be a model. Received: a layer of class \(layer.className)")
        }
        out.pointee = try wrap(ModelBox(model))
    }
}

@implementation @_cdecl("dl_model_layer")
public func dl_model_layer(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ index: Int32
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let model = try model(handle)
        let found = try optionalText(name).map { try model.layer(named: $0) } ?? model.layer(at: Int(index))
        out.pointee = try wrap(LayerBox(found))
    }
}

@implementation @_cdecl("dl_model_layer_count")
public func dl_model_layer_count(_ count: UnsafeMutablePointer<Int32>?, _ handle: OpaquePointer?) -> dl_status {
    count?.pointee = 0
    return perform { try required(count, "count").pointee = Int32(model(handle).layers.count) }
}

@implementation @_cdecl("dl_model_summary")
public func dl_model_summary(
    _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?, _ width: Int32
) -> dl_status {
    out?.pointee = nil
    return perform {
        guard width >= 0, width <= 1000 else { throw DLError(.argument, "'width' must be 0 to 1000. Received: \(width)") }
        try give(model(handle).summary(width: width == 0 ? 80 : Int(width)), out, "text")
    }
}

@implementation @_cdecl("dl_model_explain")
public func dl_model_explain(
    _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?, _ options: UnsafePointer<CChar>?
) -> dl_status {
    out?.pointee = nil
    return perform {
        let model = try model(handle)
        let options = try ExplainOptions.declaration.make(config: json(options, "options"))
        try give(model.explain(options), out, "text")
    }
}

@implementation @_cdecl("dl_application_create")
public func dl_application_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let options = try json(options, "options")
        let model = try Applications.make(text(name, "name"), options)
        if let path = options["weights"]?.stringValue { try ModelFile.loadWeights(model, from: path) }
        out.pointee = try wrap(ModelBox(model))
    }
}

// MARK: Files

@implementation @_cdecl("dl_model_save")
public func dl_model_save(_ handle: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ include_optimizer: Int32) -> dl_status {
    perform { try ModelFile.save(model(handle), to: text(path, "path"), includeOptimizer: include_optimizer != 0) }
}

@implementation @_cdecl("dl_model_load")
public func dl_model_load(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ path: UnsafePointer<CChar>?) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(ModelBox(ModelFile.load(text(path, "path")))) }
}

@implementation @_cdecl("dl_model_save_weights")
public func dl_model_save_weights(_ handle: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> dl_status {
    perform { try ModelFile.saveWeights(model(handle), to: text(path, "path")) }
}

@implementation @_cdecl("dl_model_load_weights")
public func dl_model_load_weights(_ handle: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> dl_status {
    perform { try ModelFile.loadWeights(model(handle), from: text(path, "path")) }
}
