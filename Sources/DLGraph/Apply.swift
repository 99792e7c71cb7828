import DLBase
import DLTensor

/// Applies an operation: computes at once, or adds a node to the graph being recorded, and tells the tapes.
package func apply(_ operation: any Operation, to inputs: [Value]) throws -> [Value] {
    for input in inputs {
        if case .deferred(let value) = input.kind { return try value.apply(operation, to: inputs) }
    }
    if let outputs = try operation.composed(inputs) { return outputs }
    let context = ThreadContext.current
    let outputs: [Value]
    if let graph = context.recording, inputs.contains(where: { !$0.isConstant }) {
        outputs = try graph.add(operation, inputs.map { try graph.adopt($0) })
    } else {
        outputs = try compute(operation, inputs)
    }
    for tape in context.tapes { tape.note(operation, inputs, outputs) }
    operation.annotate(outputs, inputs: inputs)
    return outputs
}

/// The operation's single output.
package func apply(_ operation: any Operation, _ inputs: Value...) throws -> Value {
    try apply(operation, to: inputs)[0]
}

extension Value {
    /// Known while the graph is recorded, so computing with it now saves computing with it in every run.
    fileprivate var isConstant: Bool {
        if case .concrete = kind { return true }
        return false
    }
}

/// The eager path: one kernel, made ready and run.
private func compute(_ operation: any Operation, _ inputs: [Value]) throws -> [Value] {
    let tensors = try inputs.map { try $0.tensor(operation.name) }
    return try evaluate(operation, tensors).map { Value($0) }
}

/// Runs one operation on tensors.
package func evaluate(_ operation: any Operation, _ inputs: [Tensor]) throws -> [Tensor] {
    let inputSpecs = inputs.map { TensorSpec($0.shape, $0.type) }
    let outputSpecs = try operation.outputs(for: inputSpecs)
    if operation.isView, let input = inputs.first, let spec = outputSpecs.first {
        return [try input.reshaped(spec.shape)]
    }
    let kernel = try operation.kernel(inputs: inputSpecs, outputs: outputSpecs)
    let outputs = try outputSpecs.map { try Tensor(uninitialized: $0.shape, $0.type) }
    let scratch = try Memory.allocate(bytes: kernel.scratchBytes)
    defer { Memory.release(scratch, bytes: kernel.scratchBytes) }
    let pointers = inputs.map(\.pointer) + outputs.map(\.pointer)
    try pointers.withUnsafeBufferPointer { buffer in
        // With neither inputs nor outputs there is nothing to point at.
        guard let base = buffer.baseAddress else { return }
        try kernel.run(KernelArguments(inputs: base, outputs: base + inputs.count, scratch: scratch))
    }
    return outputs
}
