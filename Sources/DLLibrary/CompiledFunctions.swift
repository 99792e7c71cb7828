import CDL
import DLBase
import DLGraph
import DLTraining

// Functions of the caller's that run as plans.

private typealias Call = @convention(c) (
    UnsafeMutablePointer<OpaquePointer?>?, Int32, UnsafeMutablePointer<Int32>?, UnsafePointer<OpaquePointer?>?, Int32,
    UnsafeMutableRawPointer?
) -> Int32

/// More outputs than this nobody wants from one function.
private let mostOutputs = 1024

private func call(_ function: Call, _ name: String, _ inputs: [Value], _ owner: Payload) throws -> [Value] {
    var handles: [OpaquePointer?] = []
    defer { for handle in handles { release(handle, as: Value.self) } }
    for input in inputs { handles.append(try wrap(input)) }
    var outputs = [OpaquePointer?](repeating: nil, count: mostOutputs)
    defer { for handle in outputs where handle != nil { release(handle, as: Value.self) } }
    var count: Int32 = 0
    try callback(name) {
        function(&outputs, Int32(mostOutputs), &count, handles, Int32(handles.count), owner.pointer)
    }
    guard count >= 0, count <= mostOutputs else {
        throw DLError(.callback, "[\(name)] the function says it gave \(count) tensors; there is room for \(mostOutputs)")
    }
    return try outputs.prefix(Int(count)).map { try unwrap($0, "outputs") }
}

@implementation @_cdecl("dl_function_create")
public func dl_function_create(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ name: UnsafePointer<CChar>?,
    _ function: (@convention(c) (UnsafeMutablePointer<OpaquePointer?>?, Int32, UnsafeMutablePointer<Int32>?, UnsafePointer<OpaquePointer?>?, Int32, UnsafeMutableRawPointer?) -> Int32)?,
    _ destroy: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(out)
    let owner = Payload(payload, destroy)
    return perform {
        let out = try required(out, "out")
        guard let function else { throw DLError(.argument, "'call' must not be NULL") }
        let name = optionalText(name) ?? "function"
        out.pointee = try wrap(CompiledFunction(name: name) { try call(function, name, $0, owner) })
    }
}

@implementation @_cdecl("dl_function_call")
public func dl_function_call(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ function: OpaquePointer?, _ inputs: UnsafePointer<OpaquePointer?>?, _ input_count: Int32
) -> dl_status {
    clear(outputs, capacity, count)
    return perform {
        let function = try unwrap(function, "function", as: CompiledFunction.self)
        try give(function(values(inputs, input_count, "inputs")), outputs, capacity, count, "outputs")
    }
}

@implementation @_cdecl("dl_function_retain")
public func dl_function_retain(_ function: OpaquePointer?) -> dl_status { perform { try retain(function, .function, "function") } }

@implementation @_cdecl("dl_function_release")
public func dl_function_release(_ function: OpaquePointer?) { release(function, as: CompiledFunction.self) }

@implementation @_cdecl("dl_optimizer_swap_averages")
public func dl_optimizer_swap_averages(_ optimizer: OpaquePointer?) -> dl_status {
    perform { try unwrap(optimizer, "optimizer", as: Optimizer.self).swapAverages() }
}
