import CDL
import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor

// Layers section of dl.h.

func layer(_ handle: OpaquePointer?, _ argument: String = "layer") throws -> Layer {
    try unwrap(handle, argument, as: LayerBox.self).layer
}

private func create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?,
    around layers: [Layer]
) throws {
    let out = try required(out, "out")
    let name = try text(class_name, "class_name")
    let config = try json(config, "config")
    out.pointee = try wrap(LayerBox(Layers.lending(layers) {
        try CustomLayers.factory(name)?(config.isNull ? [:] : config) ?? Layers.make(name, config)
    }))
}

@implementation @_cdecl("dl_layer_create")
public func dl_layer_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform { try create(out, class_name, config, around: []) }
}

@implementation @_cdecl("dl_layer_create_around")
public func dl_layer_create_around(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?,
    _ layers: UnsafePointer<OpaquePointer?>?, _ count: Int32
) -> dl_status {
    clear(out)
    return perform {
        guard count >= 0, count == 0 || layers != nil else {
            throw DLError(.argument, "'layers' must be a list of 'count' layers. Received: count \(count)")
        }
        try create(out, class_name, config, around: (0..<Int(count)).map { try layer(layers?[$0], "layers[\($0)]") })
    }
}

@implementation @_cdecl("dl_layer_from_json")
public func dl_layer_from_json(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ text: UnsafePointer<CChar>?) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        guard text != nil else { throw DLError(.argument, "'json' must not be NULL") }
        let description = try json(text, "json")
        out.pointee = try wrap(LayerBox(Layers.lending([]) { try Layer.deserialize(description) }))
    }
}

@implementation @_cdecl("dl_layer_to_json")
public func dl_layer_to_json(_ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?) -> dl_status {
    out?.pointee = nil
    return perform { try give(layer(handle).serialized().serialized(), out, "text") }
}

@implementation @_cdecl("dl_layer_create_custom")
public func dl_layer_create_custom(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ class_name: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?,
    _ callbacks: UnsafePointer<dl_layer_callbacks>?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, callbacks?.pointee.destroy)
    return perform {
        let out = try required(out, "out")
        let (name, config, functions) = try customParts(class_name, config, callbacks, owner)
        let layer = try CustomLayer(className: name, config: config, functions: functions)
        layer.payload = owner
        out.pointee = try wrap(LayerBox(layer))
    }
}

/// What a class of the caller's own is made of, checked.
func customParts(
    _ className: UnsafePointer<CChar>?, _ config: UnsafePointer<CChar>?, _ callbacks: UnsafePointer<dl_layer_callbacks>?,
    _ owner: Payload
) throws -> (name: String, config: JSONObject, functions: CustomLayer.Functions) {
    guard let functions = callbacks?.pointee else { throw DLError(.argument, "'callbacks' must not be NULL") }
    guard functions.version == 1 else {
        throw DLError(.argument, "'callbacks->version' must be 1. Received: \(functions.version)")
    }
    guard let call = functions.call else { throw DLError(.argument, "'callbacks->call' must not be NULL") }
    let name = try text(className, "class_name")
    let given = try json(config, "config")
    guard given.isNull || given.objectValue != nil else {
        throw DLError(.argument, "'config' must be a JSON object. Received: \(given.kind)")
    }
    return (
        name, given.objectValue ?? JSONObject(),
        CustomLayer.Functions(
            build: functions.build.map { build in
                { layer, shapes in try callBuild(layer, shapes, build, owner) }
            },
            call: { layer, inputs, training in try callCall(layer, inputs, training, call, owner) })
    )
}

private typealias BuildFunction = @convention(c) (
    OpaquePointer?, Int32, UnsafePointer<Int32>?, UnsafePointer<UnsafePointer<Int64>?>?, UnsafeMutableRawPointer?
) -> Int32

private typealias CallFunction = @convention(c) (
    OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?, Int32, UnsafeMutablePointer<Int32>?,
    UnsafePointer<OpaquePointer?>?, Int32, Int32, UnsafeMutableRawPointer?
) -> Int32

private func callBuild(_ layer: Layer, _ shapes: [[Int?]], _ build: BuildFunction, _ owner: Payload) throws {
    let handle = try wrap(LayerBox(layer))
    defer { release(handle, as: LayerBox.self) }
    let ranks = shapes.map { Int32($0.count) }
    var flat: [Int64] = []
    for shape in shapes { flat += shape.map { size in size.map(Int64.init) ?? -1 } }
    // A shape without axes still has somewhere to point.
    flat.append(0)
    try flat.withUnsafeBufferPointer { flat in
        var pointers: [UnsafePointer<Int64>?] = []
        var offset = 0
        for shape in shapes {
            pointers.append(flat.baseAddress.map { $0 + offset })
            offset += shape.count
        }
        try callback(layer.className) { build(handle, Int32(shapes.count), ranks, pointers, owner.pointer) }
    }
}

private func callCall(
    _ layer: Layer, _ inputs: [Value], _ training: Bool, _ call: CallFunction, _ owner: Payload
) throws -> [Value] {
    let handle = try wrap(LayerBox(layer))
    defer { release(handle, as: LayerBox.self) }
    var handles: [OpaquePointer?] = []
    defer { for handle in handles { release(handle, as: Value.self) } }
    for input in inputs { handles.append(try wrap(input)) }
    let capacity = 64
    var outputs = [OpaquePointer?](repeating: nil, count: capacity)
    var counted: Int32 = 0
    defer { for output in outputs { release(output, as: Value.self) } }
    try callback(layer.className) {
        call(handle, &outputs, Int32(capacity), &counted, handles, Int32(handles.count), training ? 1 : 0, owner.pointer)
    }
    guard counted >= 1, Int(counted) <= capacity else {
        throw DLError(.callback, "[\(layer.className)] the callback must give 1 to \(capacity) outputs. Received: \(counted)")
    }
    return try (0..<Int(counted)).map { try unwrap(outputs[$0], "outputs[\($0)]") }
}

@implementation @_cdecl("dl_layer_register")
public func dl_layer_register(
    _ class_name: UnsafePointer<CChar>?,
    _ create: (@convention(c) (UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<CChar>?, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    let owner = Payload(payload, destroy)
    return perform {
        let name = try text(class_name, "class_name")
        guard !name.isEmpty else { throw DLError(.argument, "'class_name' must not be empty") }
        if Layers.registry.find(name) != nil || ["Sequential", "Functional", "Model"].contains(name) {
            throw DLError(.argument, "[register] '\(name)' is a class of the library's own; choose another name")
        }
        guard let create else {
            CustomLayers.register(name, nil)
            return
        }
        CustomLayers.register(name) { config in
            let text = try config.serialized()
            var handle: OpaquePointer?
            defer { release(handle, as: LayerBox.self) }
            try callback(name) { create(&handle, text, owner.pointer) }
            return try layer(handle, "out")
        }
    }
}

@implementation @_cdecl("dl_layer_retain")
public func dl_layer_retain(_ handle: OpaquePointer?) -> dl_status { perform { try retain(handle, .layer, "layer") } }

@implementation @_cdecl("dl_layer_release")
public func dl_layer_release(_ handle: OpaquePointer?) { release(handle, as: LayerBox.self) }

@implementation @_cdecl("dl_layer_call")
public func dl_layer_call(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ inputs: UnsafePointer<OpaquePointer?>?, _ input_count: Int32, _ training: Int32
) -> dl_status {
    clear(outputs, capacity, count)
    return perform {
        let results = try layer(handle).apply(
            values(inputs, input_count, "inputs"), training: training < 0 ? nil : training != 0)
        try give(results, outputs, capacity, count, "outputs")
    }
}

@implementation @_cdecl("dl_layer_build")
public func dl_layer_build(_ handle: OpaquePointer?, _ rank: Int32, _ shape: UnsafePointer<Int64>?) -> dl_status {
    perform { try layer(handle).buildWhole([sizes(rank, shape, allowUnknown: true)]) }
}

@implementation @_cdecl("dl_layer_add_weight")
public func dl_layer_add_weight(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ name: UnsafePointer<CChar>?,
    _ dtype: dl_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?, _ initializer: UnsafePointer<CChar>?,
    _ regularizer: UnsafePointer<CChar>?, _ trainable: Int32
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let initial = try nameOrJSON(initializer, "initializer")
        let penalty = try nameOrJSON(regularizer, "regularizer")
        let variable = try layer(handle).addWeight(
            text(name, "name"), Shape(checked: sizes(rank, shape, allowUnknown: false).compactMap { $0 }),
            Initializers.registry.make(initial.isNull ? "glorot_uniform" : initial),
            regularizer: penalty.isNull ? nil : Regularizers.registry.make(penalty), trainable: trainable != 0,
            type: dtype == 0 ? nil : elementType(dtype))
        out.pointee = try wrap(variable.value)
    }
}

private func shapeJSON(_ shape: [Int?]) -> JSON { .array(shape.map { $0.map { .int(Int64($0)) } ?? .null }) }

@implementation @_cdecl("dl_layer_info")
public func dl_layer_info(_ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?) -> dl_status {
    out?.pointee = nil
    return perform {
        let layer = try layer(handle)
        func shapes(_ all: [[Int?]]) -> JSON {
            all.isEmpty ? .null : all.count == 1 ? shapeJSON(all[0]) : .array(all.map(shapeJSON))
        }
        let outputs = (layer as? Model)?.outputs.map(\.partialShape) ?? layer.nodes.first?.outputSpecs.map(\.shape) ?? []
        let weights = layer.orderedVariables.map { variable -> JSON in
            [
                "name": .string(variable.name), "shape": shapeJSON(variable.shape.sizes), "dtype": .string(variable.type.name),
                "trainable": .bool(variable.trainable),
            ]
        }
        var info = JSONObject([
            ("name", .string(layer.name)), ("class_name", .string(layer.className)), ("built", .bool(layer.built)),
            ("trainable", .bool(layer.trainable)), ("input_shape", shapes(layer.inputShapes)), ("output_shape", shapes(outputs)),
            ("params", .int(Int64(layer.parameterCount))), ("weights", .array(weights)),
        ])
        if let model = layer as? Model {
            info["input_names"] = .array(model.inputs.map { .string($0.kerasTensor?.node.layer.name ?? "") })
            info["output_names"] = .array(model.outputNames.map { .string($0) })
        }
        try give(JSON.object(info).serialized(), out, "text")
    }
}

@implementation @_cdecl("dl_layer_weights")
public func dl_layer_weights(
    _ weights: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ which: Int32
) -> dl_status {
    clear(weights, weights == nil ? 0 : capacity, count)
    return perform {
        let layer = try layer(handle)
        let variables: [Variable]
        switch Int(which) {
        case Int(DL_WEIGHTS_ALL): variables = layer.orderedVariables
        case Int(DL_WEIGHTS_TRAINABLE): variables = layer.trainableVariables
        case Int(DL_WEIGHTS_NON_TRAINABLE): variables = layer.nonTrainableVariables
        default: throw DLError(.argument, "'which' must be one of DL_WEIGHTS_.... Received: \(which)")
        }
        if weights == nil {
            try required(count, "count").pointee = Int32(variables.count)
        } else {
            try give(variables.map(\.value), weights, capacity, count, "weights")
        }
    }
}

@implementation @_cdecl("dl_layer_set_weights")
public func dl_layer_set_weights(_ handle: OpaquePointer?, _ weights: UnsafePointer<OpaquePointer?>?, _ count: Int32) -> dl_status {
    perform { try layer(handle).setWeights(tensors(weights, count, "weights")) }
}

@implementation @_cdecl("dl_layer_set_trainable")
public func dl_layer_set_trainable(_ handle: OpaquePointer?, _ trainable: Int32) -> dl_status {
    perform { try layer(handle).trainable = trainable != 0 }
}

private func end(_ values: [Value], _ layer: Layer, _ index: Int32, _ what: String) throws -> Value {
    guard !values.isEmpty else {
        throw DLError(.state, "[\(what)] layer '\(layer.name)' is not used in a model that still exists")
    }
    guard index >= 0, Int(index) < values.count else {
        throw DLError(.range, "[\(what)] layer '\(layer.name)' has \(values.count) \(what)s. Received: index \(index)")
    }
    return values[Int(index)]
}

@implementation @_cdecl("dl_layer_output")
public func dl_layer_output(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ index: Int32) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let layer = try layer(handle)
        var values = (layer as? Model)?.outputs ?? []
        if values.isEmpty { values = try (layer as? InputLayer).map { [try $0.output()] } ?? layer.nodes.first?.outputs ?? [] }
        out.pointee = try wrap(end(values, layer, index, "output"))
    }
}

@implementation @_cdecl("dl_layer_input")
public func dl_layer_input(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ handle: OpaquePointer?, _ index: Int32) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let layer = try layer(handle)
        var values = (layer as? Model)?.inputs ?? []
        if values.isEmpty { values = try (layer as? InputLayer).map { [try $0.output()] } ?? layer.nodes.first?.inputs ?? [] }
        out.pointee = try wrap(end(values, layer, index, "input"))
    }
}

@implementation @_cdecl("dl_layer_add_loss")
public func dl_layer_add_loss(_ handle: OpaquePointer?, _ loss: OpaquePointer?) -> dl_status {
    perform { try layer(handle).addLoss(unwrap(loss, "loss")) }
}

@implementation @_cdecl("dl_layer_add_metric")
public func dl_layer_add_metric(_ handle: OpaquePointer?, _ value: OpaquePointer?, _ name: UnsafePointer<CChar>?) -> dl_status {
    perform { try layer(handle).addMetric(unwrap(value, "value"), name: text(name, "name")) }
}

@implementation @_cdecl("dl_layer_losses")
public func dl_layer_losses(
    _ losses: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?
) -> dl_status {
    clear(losses, losses == nil ? 0 : capacity, count)
    return perform {
        let values = try layer(handle).collectedLosses()
        if losses == nil {
            try required(count, "count").pointee = Int32(clamping: values.count)
        } else {
            try give(values, losses, capacity, count, "losses")
        }
    }
}

@implementation @_cdecl("dl_layer_compute_output_shape")
public func dl_layer_compute_output_shape(
    _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ handle: OpaquePointer?, _ shapes: UnsafePointer<CChar>?
) -> dl_status {
    out?.pointee = nil
    return perform {
        let layer = try layer(handle)
        let given = try json(shapes, "shapes")
        guard let list = given.arrayValue, !list.isEmpty else {
            throw DLError(.argument, "'shapes' must be a list of lists of sizes. Received: \(given.canonicalText)")
        }
        let specs = try list.map { entry -> PartialSpec in
            guard let sizes = Argument.Kind.shape.accept(entry)?.arrayValue, entry.arrayValue != nil else {
                throw DLError(.argument, "'shapes' must be a list of lists of sizes. Received: \(given.canonicalText)")
            }
            return PartialSpec(sizes.map(\.intValue), layer.dtype.isFloatingPoint ? layer.dtype : .float32)
        }
        let found = try layer.outputSpecs(for: specs)
        try give(JSON.array(found.map { shapeJSON($0.shape) }).serialized(), out, "text")
    }
}

@implementation @_cdecl("dl_layer_adapt")
public func dl_layer_adapt(_ handle: OpaquePointer?, _ batches: UnsafePointer<OpaquePointer?>?, _ count: Int32) -> dl_status {
    perform {
        let layer = try layer(handle)
        let data = try tensors(batches, count, "batches")
        let context = ThreadContext.current
        try context.recording(into: nil) { try context.withoutTapes { try layer.adapt(data) } }
    }
}

@implementation @_cdecl("dl_layer_call_with")
public func dl_layer_call_with(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ handle: OpaquePointer?, _ inputs: UnsafePointer<OpaquePointer?>?, _ input_count: Int32,
    _ names: UnsafePointer<UnsafePointer<CChar>?>?, _ name_count: Int32, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(outputs, capacity, count)
    return perform {
        let layer = try layer(handle)
        guard name_count >= 0, name_count <= input_count, name_count == 0 || names != nil else {
            throw DLError(.argument, "'name_count' must be from 0 to the number of inputs. Received: \(name_count)")
        }
        var call = CallOptions()
        for index in 0..<Int(name_count) { call.names.append(try text(names?[index], "names[\(index)]")) }
        let given = try json(options, "options")
        guard given.isNull || given.objectValue != nil else {
            throw DLError(.argument, "'options' must be a JSON object. Received: \(given.canonicalText)")
        }
        for (name, value) in (given.objectValue ?? JSONObject()).pairs where !value.isNull {
            if name != "training" {
                call.flags[name] = value
            } else if let mode = value.boolValue {
                call.training = mode
            } else {
                throw DLError(.argument, "'training' must be true or false. Received: \(value.canonicalText)")
            }
        }
        let results = try layer.apply(values(inputs, input_count, "inputs"), call)
        try give(results, outputs, capacity, count, "outputs")
    }
}

@implementation @_cdecl("dl_layer_reset_states")
public func dl_layer_reset_states(_ handle: OpaquePointer?) -> dl_status { perform { try layer(handle).resetStates() } }

@implementation @_cdecl("dl_tensor_mask")
public func dl_tensor_mask(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ tensor: OpaquePointer?) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        out.pointee = try unwrap(tensor, "tensor", as: Value.self).mask.map { try wrap($0) }
    }
}

@implementation @_cdecl("dl_layer_tie")
public func dl_layer_tie(_ handle: OpaquePointer?, _ other: OpaquePointer?) -> dl_status {
    perform {
        let layer = try layer(handle)
        guard let tied = layer as? TiedLayer else {
            throw DLError(.argument, "[tie] layer '\(layer.name)' is no DenseTied or Conv2DTied. Received: \(layer.className)")
        }
        try tied.tie(to: DLLibrary.layer(other, "other"))
    }
}
