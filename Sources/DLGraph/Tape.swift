import DLBase
import DLTensor

/// Remembers the operations applied to the values it watches, so that gradients can be walked back.
///
/// A tape listens on the thread that started it, from `start` to `stop`. Trainable variables are watched by themselves.
package final class Tape: @unchecked Sendable {
    package struct Record {
        let operation: any Operation
        let inputs: [Value]
        let outputs: [Value]
        /// Where in the model the operation was applied; its gradient belongs there too.
        let label: String
        /// The storages' versions when the operation ran: a tensor overwritten since would give wrong gradients.
        let versions: [Int]
    }

    private var records: [Record] = []
    private var tracked: Set<ObjectIdentifier> = []
    /// Watched values are kept alive, for an identifier may be used again by another object.
    private var watched: [Value] = []
    private let watchesVariables: Bool

    package init(watchesVariables: Bool = true) { self.watchesVariables = watchesVariables }

    package func start() { ThreadContext.current.tapes.append(self) }
    package func stop() { ThreadContext.current.tapes.removeAll { $0 === self } }

    package func watch(_ value: Value) {
        watched.append(value)
        tracked.insert(value.key)
    }

    /// Whether gradients may be asked for with respect to the value or something it was computed from.
    package func tracks(_ value: Value) -> Bool { isTracked(value) }

    private func isTracked(_ value: Value) -> Bool {
        if tracked.contains(value.key) { return true }
        guard watchesVariables, case .variable(let variable) = value.kind, variable.trainable else { return false }
        watch(value)
        return true
    }

    package func note(_ operation: any Operation, _ inputs: [Value], _ outputs: [Value]) {
        var matters = false
        for input in inputs where isTracked(input) { matters = true }
        guard matters else { return }
        let inputs = inputs.map(\.snapshot)
        records.append(
            Record(
                operation: operation, inputs: inputs, outputs: outputs, label: ThreadContext.current.recording?.label ?? "",
                versions: (inputs + outputs).map(Tape.version)))
        for output in outputs where output.type.isFloatingPoint { tracked.insert(output.key) }
    }

    /// How much the tape remembers, for asking later what has been added since.
    package var recordCount: Int { records.count }

    /// A value that outputs depend on through what was remembered since `start`, that is watched, and that is neither one of
    /// the arguments nor made of them; nil where there is none.
    package func captured(since start: Int, by outputs: [Value], arguments: [Value]) -> Value? {
        let given = Set(arguments.map(\.key))
        let range = records[Swift.min(start, records.count)...]
        let made = Set(range.flatMap { $0.outputs.map(\.key) })
        if let output = outputs.first(where: { !given.contains($0.key) && !made.contains($0.key) && isTracked($0) }) {
            return output
        }
        var wanted = Set(outputs.map(\.key))
        for record in range.reversed()
        where record.operation.passesGradients && record.outputs.contains(where: { wanted.contains($0.key) }) {
            for input in record.inputs where !given.contains(input.key) && isTracked(input) {
                guard made.contains(input.key) else { return input }
                wanted.insert(input.key)
            }
        }
        return nil
    }

    private static func version(_ value: Value) -> Int {
        if case .concrete(let tensor) = value.kind { return tensor.storage.version }
        return 0
    }

    /// Gradients of `target` for each source; nil where the target does not depend on the source, or nobody watched it.
    ///
    /// `seed` is the gradient of the target itself, ones where nil. `algebra` supplies the two operations that the walk
    /// itself needs. The walk is made of operations too, so an outer tape can differentiate it again.
    package func gradient(
        of target: Value, withRespectTo sources: [Value], seed: Value? = nil, algebra: GradientAlgebra
    ) throws -> [Value?] {
        let context = ThreadContext.current
        let outer = context.tapes
        context.tapes.removeAll { $0 === self }
        defer { context.tapes = outer }

        guard target.type.isFloatingPoint else {
            throw DLError(
                .dtype, "[gradient] only a floating-point tensor has gradients. Received: \(target.spec)")
        }
        var gradients: [ObjectIdentifier: Value] = [target.key: try seed ?? algebra.ones(target)]
        // Of what was not watched some uses are recorded and others are not: no gradient is better than part of one.
        let asked = Set(sources.map(\.key)).intersection(tracked)
        let wanted = needed(for: asked)
        let graph = context.recording
        let outerLabel = graph?.label
        defer { if let graph, let outerLabel { graph.label = outerLabel } }

        for record in records.reversed() {
            let upstream = record.outputs.map { gradients[$0.key] }
            guard upstream.contains(where: { $0 != nil }) else { continue }
            let needs = record.inputs.map { wanted.contains($0.key) && $0.type.isFloatingPoint }
            guard needs.contains(true) else { continue }
            try checkUnchanged(record)
            graph?.label = record.label
            let results = try record.operation.gradient(
                GradientContext(
                    inputs: record.inputs, outputs: record.outputs, outputGradients: upstream, needs: needs))
            for (index, input) in record.inputs.enumerated() where needs[index] {
                guard index < results.count, let gradient = results[index] else { continue }
                if let sum = gradients[input.key] {
                    gradients[input.key] = try algebra.add(sum, gradient)
                } else {
                    gradients[input.key] = gradient
                }
            }
            // What flowed through is done with, unless it was asked for.
            for output in record.outputs where !asked.contains(output.key) { gradients[output.key] = nil }
        }
        return sources.map { asked.contains($0.key) ? gradients[$0.key] : nil }
    }

    /// The values through which one of the sources is reached.
    private func needed(for sources: Set<ObjectIdentifier>) -> Set<ObjectIdentifier> {
        var keys = sources
        for record in records where record.inputs.contains(where: { keys.contains($0.key) }) {
            for output in record.outputs { keys.insert(output.key) }
        }
        return keys
    }

    private func checkUnchanged(_ record: Record) throws {
        let now = (record.inputs + record.outputs).map(Tape.version)
        guard now == record.versions else {
            throw DLError(
                .state, "[\(record.operation.name)] a tensor that the gradient needs was changed in place after it was used; "
                    + "change a copy instead")
        }
    }
}

/// The operations that walking back needs for itself.
package struct GradientAlgebra: Sendable {
    package var add: @Sendable (Value, Value) throws -> Value
    package var ones: @Sendable (Value) throws -> Value

    package init(
        add: @escaping @Sendable (Value, Value) throws -> Value, ones: @escaping @Sendable (Value) throws -> Value
    ) {
        self.add = add
        self.ones = ones
    }
}
