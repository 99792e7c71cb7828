import CDL
import DLBase
import DLGraph
import DLOps

// dl_custom_gradient: the caller's function and gradient as an operation.

/// More outputs than this nobody wants from one function.
private let mostOutputs = 1024

/// What `forward` left for `backward`; it lives as long as a tape remembers the call.
private final class Context: @unchecked Sendable {
    var pointer: UnsafeMutableRawPointer?
    private let destroy: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?
    private let owner: Payload

    init(_ destroy: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?, _ owner: Payload) {
        self.destroy = destroy
        self.owner = owner
    }

    deinit {
        if let pointer { destroy?(pointer, owner.pointer) }
    }
}

private struct Callbacks {
    typealias Forward = @convention(c) (
        UnsafeMutablePointer<OpaquePointer?>?, Int32, UnsafeMutablePointer<Int32>?,
        UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafePointer<OpaquePointer?>?, Int32, UnsafeMutableRawPointer?
    ) -> Int32
    typealias Backward = @convention(c) (
        UnsafeMutablePointer<OpaquePointer?>?, Int32, UnsafePointer<OpaquePointer?>?, Int32, UnsafeMutableRawPointer?,
        UnsafeMutableRawPointer?
    ) -> Int32

    let name: String
    let forward: Forward
    let backward: Backward
    let destroyContext: (@convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void)?
    let owner: Payload

    /// Handles that are the callee's for the time of a call.
    private func lending<R>(_ values: [Value], _ body: ([OpaquePointer?]) throws -> R) throws -> R {
        var handles: [OpaquePointer?] = []
        defer { for handle in handles { release(handle, as: Value.self) } }
        for value in values { handles.append(try wrap(value)) }
        return try body(handles)
    }

    func callForward(_ inputs: [Value]) throws -> (outputs: [Value], backward: CustomGradient.Backward) {
        try lending(inputs) { handles in
            var outputs = [OpaquePointer?](repeating: nil, count: mostOutputs)
            defer { for handle in outputs where handle != nil { release(handle, as: Value.self) } }
            var count: Int32 = 0
            let context = Context(destroyContext, owner)
            try callback(name) {
                forward(&outputs, Int32(mostOutputs), &count, &context.pointer, handles, Int32(handles.count), owner.pointer)
            }
            guard count >= 1, count <= mostOutputs else {
                throw DLError(.callback, "[\(name)] the callback must give 1 to \(mostOutputs) outputs. Received: \(count)")
            }
            let inputCount = inputs.count
            let values: [Value] = try (0..<Int(count)).map { try unwrap(outputs[$0], "outputs[\($0)]") }
            return (values, { try callBackward($0, context, inputCount) })
        }
    }

    private func callBackward(_ upstream: [Value], _ context: Context, _ inputCount: Int) throws -> [Value?] {
        try lending(upstream) { handles in
            // With room for one more, so that there is an address without inputs too.
            var gradients = [OpaquePointer?](repeating: nil, count: inputCount + 1)
            defer { for handle in gradients where handle != nil { release(handle, as: Value.self) } }
            try callback(name) {
                backward(&gradients, Int32(inputCount), handles, Int32(handles.count), context.pointer, owner.pointer)
            }
            return try (0..<inputCount).map { index -> Value? in
                guard let handle = gradients[index] else { return nil }
                return try unwrap(handle, "gradients[\(index)]") as Value
            }
        }
    }
}

@implementation @_cdecl("dl_custom_gradient")
public func dl_custom_gradient(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ capacity: Int32, _ count: UnsafeMutablePointer<Int32>?,
    _ name: UnsafePointer<CChar>?, _ inputs: UnsafePointer<OpaquePointer?>?, _ input_count: Int32,
    _ callbacks: UnsafePointer<dl_custom_gradient_callbacks>?, _ payload: UnsafeMutableRawPointer?
) -> dl_status {
    clear(outputs, capacity, count)
    let owner = Payload(payload, callbacks?.pointee.version == 1 ? callbacks?.pointee.destroy : nil)
    return perform {
        guard let given = callbacks?.pointee else { throw DLError(.argument, "'callbacks' must not be NULL") }
        guard given.version == 1 else {
            throw DLError(.argument, "'callbacks->version' must be 1. Received: \(given.version)")
        }
        guard let forward = given.forward, let backward = given.backward else {
            throw DLError(.argument, "'forward' and 'backward' must not be NULL")
        }
        let name = optionalText(name) ?? CustomGradient.operationName
        let values = try values(inputs, input_count, "inputs")
        guard !values.isEmpty else { throw DLError(.argument, "[\(name)] takes at least one tensor. Received: 0 inputs") }
        let functions = Callbacks(
            name: name, forward: forward, backward: backward, destroyContext: given.destroy_context, owner: owner)
        let operation = CustomGradient(name: name) { try functions.callForward($0) }
        try give(DLGraph.apply(operation, to: values), outputs, capacity, count, "outputs")
    }
}
