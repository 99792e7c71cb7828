import CDL
import DLBase
import DLGraph
import DLInterchange
import DLLayers
import DLOps
import DLTensor

// Tensors, operations and gradients sections of dl.h.

@implementation @_cdecl("dl_tensor_create")
public func dl_tensor_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ dtype: dl_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?,
    _ data: UnsafeRawPointer?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let type = try elementType(dtype)
        let shape = try Shape(checked: sizes(rank, shape, allowUnknown: false).compactMap { $0 })
        let tensor = data == nil ? try Tensor(zeros: shape, type) : try Tensor(uninitialized: shape, type)
        if let data { tensor.pointer.copyMemory(from: data, byteCount: tensor.byteCount) }
        if type == .bool, data != nil { normalizeBools(tensor) }
        out.pointee = try wrap(Value(tensor))
    }
}

/// A byte of a bool is 0 or 1, whatever the caller wrote.
private func normalizeBools(_ tensor: Tensor) {
    for index in tensor.elements(UInt8.self).indices where tensor.elements(UInt8.self)[index] > 1 {
        tensor.elements(UInt8.self)[index] = 1
    }
}

@implementation @_cdecl("dl_tensor_wrap")
public func dl_tensor_wrap(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ dtype: dl_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?,
    _ data: UnsafeMutableRawPointer?, _ destroy: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?,
    _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    // Once a storage owns the memory, it is the storage that calls destroy, exactly once.
    var owned = false
    let status = perform {
        let out = try required(out, "out")
        let type = try elementType(dtype)
        let shape = try Shape(checked: sizes(rank, shape, allowUnknown: false).compactMap { $0 })
        guard let data else { throw DLError(.argument, "'data' must not be NULL") }
        guard Int(bitPattern: data) % type.byteCount == 0 else {
            throw DLError(.argument, "'data' must be aligned to \(type.byteCount) bytes")
        }
        nonisolated(unsafe) let block = data
        nonisolated(unsafe) let context = payload
        let storage = Storage(foreign: data, byteCount: shape.count * type.byteCount) { destroy?(block, context) }
        owned = true
        out.pointee = try wrap(Value(Tensor(storage: storage, shape: shape, type: type)))
    }
    if !owned { destroy?(data, payload) }
    return status
}

@implementation @_cdecl("dl_tensor_initialize")
public func dl_tensor_initialize(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ initializer: UnsafePointer<CChar>?, _ dtype: dl_dtype, _ rank: Int32,
    _ shape: UnsafePointer<Int64>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let type = try elementType(dtype)
        let shape = try Shape(checked: sizes(rank, shape, allowUnknown: false).compactMap { $0 })
        guard initializer != nil else { throw DLError(.argument, "'initializer' must not be NULL") }
        let made = try Initializers.registry.make(nameOrJSON(initializer, "initializer"))
        out.pointee = try wrap(Value(made.make(shape, type)))
    }
}

@implementation @_cdecl("dl_tensor_retain")
public func dl_tensor_retain(_ tensor: OpaquePointer?) -> dl_status { perform { try retain(tensor, .tensor, "tensor") } }

@implementation @_cdecl("dl_tensor_release")
public func dl_tensor_release(_ tensor: OpaquePointer?) { release(tensor, as: Value.self) }

@implementation @_cdecl("dl_tensor_dtype")
public func dl_tensor_dtype(_ dtype: UnsafeMutablePointer<dl_dtype>?, _ tensor: OpaquePointer?) -> dl_status {
    dtype?.pointee = 0
    return perform { try required(dtype, "dtype").pointee = unwrap(tensor, "tensor", as: Value.self).type.rawValue }
}

@implementation @_cdecl("dl_tensor_shape")
public func dl_tensor_shape(
    _ rank: UnsafeMutablePointer<Int32>?, _ shape: UnsafeMutablePointer<Int64>?, _ tensor: OpaquePointer?
) -> dl_status {
    rank?.pointee = 0
    return perform {
        let rank = try required(rank, "rank")
        let partial = try unwrap(tensor, "tensor", as: Value.self).partialShape
        rank.pointee = Int32(partial.count)
        if let shape { for (axis, size) in partial.enumerated() { shape[axis] = Int64(size ?? -1) } }
    }
}

@implementation @_cdecl("dl_tensor_size")
public func dl_tensor_size(_ size: UnsafeMutablePointer<Int64>?, _ tensor: OpaquePointer?) -> dl_status {
    size?.pointee = 0
    return perform {
        let size = try required(size, "size")
        let value = try unwrap(tensor, "tensor", as: Value.self)
        guard !value.partialShape.contains(nil) else {
            throw DLError(.state, "[size] a symbolic tensor has sizes that are not known. Received: \(Shape.text(value.partialShape))")
        }
        size.pointee = Int64(value.shape.count)
    }
}

@implementation @_cdecl("dl_tensor_kind")
public func dl_tensor_kind(_ kind: UnsafeMutablePointer<Int32>?, _ tensor: OpaquePointer?) -> dl_status {
    kind?.pointee = 0
    return perform {
        let kind = try required(kind, "kind")
        switch try unwrap(tensor, "tensor", as: Value.self).kind {
        case .concrete: kind.pointee = Int32(DL_KIND_TENSOR)
        case .variable: kind.pointee = Int32(DL_KIND_VARIABLE)
        case .node, .deferred: kind.pointee = Int32(DL_KIND_SYMBOLIC)
        }
    }
}

@implementation @_cdecl("dl_tensor_data")
public func dl_tensor_data(_ data: UnsafeMutablePointer<UnsafeRawPointer?>?, _ tensor: OpaquePointer?) -> dl_status {
    data?.pointee = nil
    return perform {
        try required(data, "data").pointee = UnsafeRawPointer(unwrap(tensor, "tensor", as: Value.self).tensor("data").pointer)
    }
}

@implementation @_cdecl("dl_tensor_mutable_data")
public func dl_tensor_mutable_data(
    _ data: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ tensor: OpaquePointer?
) -> dl_status {
    data?.pointee = nil
    return perform {
        let data = try required(data, "data")
        let value = try unwrap(tensor, "tensor", as: Value.self)
        if case .variable = value.kind {
            throw DLError(.state, "[mutable_data] a variable is changed by dl_variable_assign")
        }
        let numbers = try value.tensor("mutable_data")
        numbers.storage.noteChange()
        data.pointee = numbers.pointer
    }
}

@implementation @_cdecl("dl_tensor_read")
public func dl_tensor_read(_ data: UnsafeMutableRawPointer?, _ bytes: Int64, _ tensor: OpaquePointer?) -> dl_status {
    perform {
        let numbers = try unwrap(tensor, "tensor", as: Value.self).tensor("read")
        guard bytes == Int64(numbers.byteCount) else {
            throw DLError(.argument, "[read] the tensor has \(numbers.byteCount) bytes. Received: room for \(bytes)")
        }
        guard bytes > 0 else { return }
        guard let data else { throw DLError(.argument, "'data' must not be NULL") }
        data.copyMemory(from: numbers.pointer, byteCount: numbers.byteCount)
    }
}

@implementation @_cdecl("dl_tensor_item")
public func dl_tensor_item(_ number: UnsafeMutablePointer<Double>?, _ tensor: OpaquePointer?) -> dl_status {
    number?.pointee = 0
    return perform { try required(number, "number").pointee = unwrap(tensor, "tensor", as: Value.self).tensor("item").item() }
}

@implementation @_cdecl("dl_tensor_text")
public func dl_tensor_text(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ tensor: OpaquePointer?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let value = try unwrap(tensor, "tensor", as: Value.self)
        if value.isSymbolic {
            try give("symbolic tensor \(value.type.name) \(Shape.text(value.partialShape))", text, "text")
        } else {
            try give(value.tensor("text").text, text, "text")
        }
    }
}

// MARK: Parts

private func entries(_ items: UnsafePointer<dl_index>?, _ number: Int32) throws -> [IndexEntry] {
    let number = try count(number, "count")
    guard number > 0 else { return [] }
    guard let items else { throw DLError(.argument, "'index' must not be NULL") }
    return try (0..<number).map { position in
        let item = items[position]
        switch Int(item.kind) {
        case Int(DL_INDEX_AT): return .at(Int(item.start))
        case Int(DL_INDEX_RANGE):
            return .range(
                start: item.flags & Int32(DL_INDEX_NO_START) != 0 ? nil : Int(item.start),
                stop: item.flags & Int32(DL_INDEX_NO_STOP) != 0 ? nil : Int(item.stop), step: item.step == 0 ? 1 : Int(item.step))
        default: throw DLError(.argument, "'index[\(position)].kind' must be DL_INDEX_AT or DL_INDEX_RANGE. Received: \(item.kind)")
        }
    }
}

@implementation @_cdecl("dl_tensor_index")
public func dl_tensor_index(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ tensor: OpaquePointer?, _ items: UnsafePointer<dl_index>?, _ count: Int32
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        out.pointee = try wrap(index(unwrap(tensor, "tensor"), entries(items, count)))
    }
}

@implementation @_cdecl("dl_tensor_index_assign")
public func dl_tensor_index_assign(
    _ tensor: OpaquePointer?, _ items: UnsafePointer<dl_index>?, _ count: Int32, _ value: OpaquePointer?
) -> dl_status {
    perform {
        let target = try unwrap(tensor, "tensor", as: Value.self)
        if case .variable = target.kind {
            throw DLError(.state, "[index_assign] a variable is changed by dl_variable_assign")
        }
        try target.tensor("index_assign").assignPart(
            entries(items, count), unwrap(value, "value", as: Value.self).tensor("index_assign"))
    }
}

// MARK: Variables

@implementation @_cdecl("dl_variable_create")
public func dl_variable_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ initial: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ trainable: Int32
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let tensor = try unwrap(initial, "initial", as: Value.self).tensor("variable").copy()
        let variable = Variable(tensor, name: optionalText(name) ?? "variable", trainable: trainable != 0)
        out.pointee = try wrap(variable.value)
    }
}

private func variable(_ handle: OpaquePointer?) throws -> Variable {
    guard case .variable(let variable) = try unwrap(handle, "variable", as: Value.self).kind else {
        throw DLError(.argument, "'variable' must be a variable. Received: a tensor")
    }
    return variable
}

@implementation @_cdecl("dl_variable_assign")
public func dl_variable_assign(_ target: OpaquePointer?, _ value: OpaquePointer?) -> dl_status {
    perform { try variable(target).assign(unwrap(value, "value", as: Value.self)) }
}

@implementation @_cdecl("dl_variable_info")
public func dl_variable_info(
    _ name: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ trainable: UnsafeMutablePointer<Int32>?,
    _ target: OpaquePointer?
) -> dl_status {
    name?.pointee = nil
    trainable?.pointee = 0
    return perform {
        let variable = try variable(target)
        if let name { try give(variable.name, name, "name") }
        trainable?.pointee = variable.trainable ? 1 : 0
    }
}

// MARK: Operations

@implementation @_cdecl("dl_operation_apply")
public func dl_operation_apply(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ name: UnsafePointer<CChar>?, _ inputs: UnsafePointer<OpaquePointer?>?, _ input_count: Int32,
    _ attributes: UnsafePointer<CChar>?
) -> dl_status {
    clear(outputs, capacity, count)
    return perform {
        let results = try Operations.apply(
            text(name, "name"), values(inputs, input_count, "inputs"), attributes: json(attributes, "attributes"))
        try give(results, outputs, capacity, count, "outputs")
    }
}

// MARK: Gradients

@implementation @_cdecl("dl_tape_start")
public func dl_tape_start(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ watch_variables: Int32) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let tape = Tape(watchesVariables: watch_variables != 0)
        out.pointee = try wrap(tape)
        tape.start()
    }
}

@implementation @_cdecl("dl_tape_watch")
public func dl_tape_watch(_ tape: OpaquePointer?, _ tensor: OpaquePointer?) -> dl_status {
    perform { try unwrap(tape, "tape", as: Tape.self).watch(unwrap(tensor, "tensor")) }
}

@implementation @_cdecl("dl_tape_stop")
public func dl_tape_stop(_ tape: OpaquePointer?) -> dl_status { perform { try unwrap(tape, "tape", as: Tape.self).stop() } }

@implementation @_cdecl("dl_tape_gradient")
public func dl_tape_gradient(
    _ gradients: UnsafeMutablePointer<OpaquePointer?>?, _ tape: OpaquePointer?, _ target: OpaquePointer?,
    _ sources: UnsafePointer<OpaquePointer?>?, _ count: Int32
) -> dl_status {
    clear(gradients, count)
    return perform {
        let sources = try values(sources, count, "sources")
        let results = try unwrap(tape, "tape", as: Tape.self).gradients(of: unwrap(target, "target"), withRespectTo: sources)
        guard !results.isEmpty else { return }
        let out = try required(gradients, "gradients")
        var handles: [OpaquePointer?] = []
        do {
            for result in results { handles.append(try result.map { try wrap($0) }) }
        } catch {
            for handle in handles { release(handle, as: Value.self) }
            throw error
        }
        for (index, handle) in handles.enumerated() { out[index] = handle }
    }
}

@implementation @_cdecl("dl_tape_release")
public func dl_tape_release(_ tape: OpaquePointer?) {
    // The last reference stops it.
    if let object = try? unwrap(tape, "tape", as: Tape.self) { object.stop() }
    release(tape, as: Tape.self)
}
