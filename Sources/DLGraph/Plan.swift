import CDLShims
import DLBase
import DLTensor
import Synchronization

/// A graph made ready to run many times: kernels chosen, every buffer placed, nothing left to allocate.
///
/// Running is safe from several threads at once as long as the graph assigns to no variable.
package final class Plan: @unchecked Sendable {
    /// One kernel call.
    package struct Step {
        package let name: String
        package let attributes: JSON
        package let label: String
        package let kernel: Kernel
        package let inputs: [TensorSpec]
        package let outputs: [TensorSpec]
        let table: Int
    }

    /// Where a buffer lives while the plan runs.
    enum Location: Equatable {
        case input(Int)
        case constant(Int)
        case variable(Int)
        case output(Int)
        case arena(Int)
    }

    struct Copy {
        let source: Int
        let target: Int
        let byteCount: Int
    }

    package let steps: [Step]
    /// Steps before this one leave every variable as it was, so a failure among them changes nothing.
    package let firstUpdate: Int
    package let arenaBytes: Int
    /// The most bytes of the arena whose contents matter at one step: no placement could do with less.
    package let peakBytes: Int
    package let outputSpecs: [TensorSpec]
    package let inputSpecs: [TensorSpec]

    let copiesBeforeUpdates: [Copy]
    let copiesAtEnd: [Copy]
    /// The table of pointers: what each entry points to.
    let entries: [Location]
    let constants: [Tensor]
    let variables: [Variable]
    let writtenVariables: [Bool]
    /// Its results are the inputs behind `inputSpecs`.
    let prologue: Prologue?
    private let idle = Mutex<[Execution]>([])

    package convenience init(_ graph: Graph, passes: [any GraphPass] = Plan.standardPasses) throws {
        for pass in passes { try pass.run(on: graph) }
        let inputCount = graph.inputs.count
        let prologue = try graph.splitPrologue().map { Prologue(try Plan($0, inputCount: 0, prologue: nil)) }
        try self.init(graph, inputCount: inputCount, prologue: prologue)
    }

    private init(_ graph: Graph, inputCount: Int, prologue: Prologue?) throws {
        self.prologue = prologue
        var builder = PlanBuilder(graph)
        try builder.build()
        let memory = try MemoryPlan(builder.requests)
        steps = builder.steps
        firstUpdate = builder.firstUpdate
        copiesBeforeUpdates = builder.copiesBeforeUpdates
        copiesAtEnd = builder.copiesAtEnd
        entries = builder.entries.map { location in
            if case .arena(let request) = location { return .arena(memory.offsets[request]) }
            return location
        }
        arenaBytes = memory.byteCount
        peakBytes = MemoryPlan.peak(of: builder.requests)
        constants = graph.constants
        variables = graph.variables
        var written = [Bool](repeating: false, count: graph.variables.count)
        for assignment in graph.assignments { written[assignment.variable] = true }
        writtenVariables = written
        outputSpecs = graph.outputs.map { graph.values[$0].spec }
        inputSpecs = graph.inputs.prefix(inputCount).map { graph.values[$0].spec }
    }

    package static var standardPasses: [any GraphPass] {
        [ConstantFolding(), CommonSubexpressions(), DeadCodeElimination()]
    }

    /// Runs the graph. Inputs and outputs are memory of the specs' sizes.
    ///
    /// `progress` sees each step's index and seconds; nil costs nothing.
    package func run(
        inputs: [UnsafeRawPointer], outputs: [UnsafeMutableRawPointer], profile: ((Int, Double) -> Void)? = nil
    ) throws {
        guard inputs.count == inputSpecs.count, outputs.count == outputSpecs.count else {
            throw DLError(.internal, "a plan was run with \(inputs.count) inputs and \(outputs.count) outputs")
        }
        let fixed = try prologue?.results()
        defer { withExtendedLifetime(fixed) {} }
        let execution = try idle.withLock { $0.popLast() } ?? Execution(self)
        defer { idle.withLock { $0.append(execution) } }
        let table = execution.table
        for patch in execution.patches {
            switch patch.location {
            case .input(let index):
                table[patch.entry] = UnsafeMutableRawPointer(
                    mutating: index < inputs.count ? inputs[index] : UnsafeRawPointer(fixed!.tensors[index - inputs.count].pointer))
            case .output(let index): table[patch.entry] = outputs[index]
            case .variable(let index): table[patch.entry] = try execution.pointer(ofVariable: index, of: self)
            case .constant, .arena: break
            }
        }
        execution.forgetVariables()
        for (index, step) in steps.enumerated() {
            if index == firstUpdate { copy(copiesBeforeUpdates, table) }
            let start = profile == nil ? 0 : dl_system_seconds()
            let base = UnsafePointer(table + step.table)
            try step.kernel.run(
                KernelArguments(
                    inputs: base, outputs: base + step.inputs.count,
                    scratch: table[step.table &+ step.inputs.count &+ step.outputs.count]))
            if let profile { profile(index, dl_system_seconds() - start) }
        }
        if firstUpdate >= steps.count { copy(copiesBeforeUpdates, table) }
        copy(copiesAtEnd, table)
    }

    /// The same on tensors, for callers that are not in a hurry.
    package func run(_ inputs: [Tensor]) throws -> [Tensor] {
        for (input, spec) in zip(inputs, inputSpecs) where input.shape != spec.shape || input.type != spec.type {
            throw DLError(.internal, "a plan for \(spec) was run with \(input.type.name) \(input.shape)")
        }
        let outputs = try outputSpecs.map { try Tensor(uninitialized: $0.shape, $0.type) }
        try run(inputs: inputs.map { UnsafeRawPointer($0.pointer) }, outputs: outputs.map(\.pointer))
        return outputs
    }

    private func copy(_ copies: [Copy], _ table: UnsafeMutablePointer<UnsafeMutableRawPointer>) {
        for copy in copies where table[copy.source] != table[copy.target] {
            table[copy.target].copyMemory(from: table[copy.source], byteCount: copy.byteCount)
        }
    }

    /// Gives back the memory of runs that have ended.
    package func releaseMemory() {
        idle.withLock { $0.removeAll() }
        prologue?.forget()
    }
}

/// The memory of one run at a time: the arena and the table of pointers into it.
final class Execution: @unchecked Sendable {
    struct Patch {
        let entry: Int
        let location: Plan.Location
    }

    let table: UnsafeMutablePointer<UnsafeMutableRawPointer>
    let patches: [Patch]
    private let arena: UnsafeMutableRawPointer
    private let arenaBytes: Int
    private let entryCount: Int
    /// One pointer per variable and run, for making one writable counts as one change.
    private let variablePointers: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let variableCount: Int

    init(_ plan: Plan) throws {
        arenaBytes = plan.arenaBytes
        arena = try Memory.allocate(bytes: plan.arenaBytes)
        entryCount = plan.entries.count
        variableCount = plan.variables.count
        table = .allocate(capacity: max(entryCount, 1))
        variablePointers = .allocate(capacity: max(variableCount, 1))
        variablePointers.initialize(repeating: nil, count: variableCount)
        var patches: [Patch] = []
        for (entry, location) in plan.entries.enumerated() {
            (table + entry).initialize(to: arena)
            switch location {
            case .arena(let offset): table[entry] = arena + offset
            case .constant(let index): table[entry] = plan.constants[index].pointer
            case .input, .output, .variable: patches.append(Patch(entry: entry, location: location))
            }
        }
        self.patches = patches
    }

    deinit {
        table.deallocate()
        variablePointers.deallocate()
        Memory.release(arena, bytes: arenaBytes)
    }

    func pointer(ofVariable index: Int, of plan: Plan) throws -> UnsafeMutableRawPointer {
        if let known = variablePointers[index] { return known }
        let variable = plan.variables[index]
        let pointer = plan.writtenVariables[index] ? try variable.makeWritable() : variable.tensor.pointer
        variablePointers[index] = pointer
        return pointer
    }

    func forgetVariables() { variablePointers.update(repeating: nil, count: variableCount) }
}
