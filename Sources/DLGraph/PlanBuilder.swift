import DLBase
import DLTensor

/// Decides, for a graph whose passes have run: the order of the kernels, which values share memory, and what has to be
/// copied where.
struct PlanBuilder {
    private let graph: Graph
    private(set) var steps: [Plan.Step] = []
    private(set) var firstUpdate = 0
    private(set) var copiesBeforeUpdates: [Plan.Copy] = []
    private(set) var copiesAtEnd: [Plan.Copy] = []
    private(set) var entries: [Plan.Location] = []
    private(set) var requests: [MemoryPlan.Request] = []

    /// Memory that one or more values share.
    private struct Buffer {
        var location: Plan.Location
        var byteCount: Int
        var values: [Int]
    }

    private var buffers: [Buffer] = []
    private var bufferOf: [Int: Int] = [:]
    private var lastUse: [Int: Int] = [:]
    /// Which variable a value is assigned to, and nothing else is done with it.
    private var onlyAssignedTo: [Int: Int] = [:]

    init(_ graph: Graph) { self.graph = graph }

    mutating func build() throws {
        findAssignmentTargets()
        let (order, updates) = schedule()
        let last = order.count
        for (step, index) in order.enumerated() {
            for input in graph.nodes[index].inputs { lastUse[input] = step }
        }
        for output in graph.outputs { lastUse[output] = last }
        for assignment in graph.assignments { lastUse[assignment.value] = last }

        var nodeOfStep: [(node: Graph.Node, kernel: Kernel?, position: Int, updates: Bool)] = []
        for (position, index) in order.enumerated() {
            let node = graph.nodes[index]
            let kernel = try place(node, at: position, updates: updates.contains(index), readers: order)
            nodeOfStep.append((node, kernel, position, updates.contains(index)))
        }
        bindOutputs(last)
        firstUpdate = nodeOfStep.filter { $0.kernel != nil && !$0.updates }.count
        for item in nodeOfStep {
            if let kernel = item.kernel { appendStep(item.node, kernel, at: item.position) }
        }
        planCopies(order, updates)
        finishLifetimes(last)
    }

    // MARK: Order

    private mutating func findAssignmentTargets() {
        let uses = graph.useCounts()
        for assignment in graph.assignments where uses[assignment.value] == 1 {
            onlyAssignedTo[assignment.value] = assignment.variable
        }
    }

    /// Nodes whose results go nowhere but into variables come last: what fails, fails before anything has changed.
    private func schedule() -> (order: [Int], updates: Set<Int>) {
        let updates = Set(
            graph.nodes.indices.filter { index in
                let node = graph.nodes[index]
                return !node.operation.isView && node.outputs.allSatisfy { onlyAssignedTo[$0] != nil }
            })
        let order = graph.nodes.indices.filter { !updates.contains($0) } + graph.nodes.indices.filter(updates.contains)
        return (order, updates)
    }

    // MARK: Memory

    private mutating func buffer(of value: Int) -> Int {
        if let known = bufferOf[value] { return known }
        let info = graph.values[value]
        let location: Plan.Location
        switch info.source {
        case .input(let index): location = .input(index)
        case .constant(let index): location = .constant(index)
        case .variable(let index): location = .variable(index)
        case .node: location = .arena(-1)
        }
        buffers.append(Buffer(location: location, byteCount: info.spec.byteCount, values: [value]))
        bufferOf[value] = buffers.count - 1
        return buffers.count - 1
    }

    private mutating func share(_ value: Int, _ buffer: Int) {
        buffers[buffer].values.append(value)
        bufferOf[value] = buffer
    }

    /// Finds memory for the outputs of a node; nil for a view, which needs no kernel.
    private mutating func place(
        _ node: Graph.Node, at step: Int, updates: Bool, readers order: [Int]
    ) throws -> Kernel? {
        for input in node.inputs { _ = buffer(of: input) }
        if node.operation.isView {
            share(node.outputs[0], bufferOf[node.inputs[0]]!)
            return nil
        }
        let kernel = try node.operation.kernel(
            inputs: node.inputs.map { graph.values[$0].spec }, outputs: node.outputs.map { graph.values[$0].spec })
        var taken: Set<Int> = []
        for pair in kernel.inPlace {
            let output = node.outputs[pair.output]
            let input = node.inputs[pair.input]
            let target = bufferOf[input]!
            guard bufferOf[output] == nil, !taken.contains(target),
                graph.values[output].spec.byteCount == buffers[target].byteCount,
                node.inputs.filter({ bufferOf[$0] == target }).count == 1
            else { continue }
            switch buffers[target].location {
            case .arena:
                guard buffers[target].values.allSatisfy({ lastUse[$0, default: -1] <= step }) else { continue }
            case .variable(let variable):
                guard updates, kernel.cannotFail, onlyAssignedTo[output] == variable,
                    isLastReader(of: target, step, order)
                else { continue }
            case .input, .constant, .output:
                continue
            }
            share(output, target)
            taken.insert(target)
        }
        for output in node.outputs where bufferOf[output] == nil { _ = buffer(of: output) }
        return kernel
    }

    /// No later step and no copy at the end reads the variable's old contents.
    private func isLastReader(of buffer: Int, _ step: Int, _ order: [Int]) -> Bool {
        for later in order[(step + 1)...] {
            for input in graph.nodes[later].inputs where bufferOf[input] == buffer || aliases(input, buffer) { return false }
        }
        return true
    }

    /// Values that have no memory yet may be reads of the variable that come later.
    private func aliases(_ value: Int, _ buffer: Int) -> Bool {
        guard bufferOf[value] == nil, case .variable(let a) = graph.values[value].source,
            case .variable(let b) = buffers[buffer].location
        else { return false }
        return a == b
    }

    /// Results that the arena would hold are computed where the caller wants them.
    private mutating func bindOutputs(_ last: Int) {
        for (index, output) in graph.outputs.enumerated() {
            let target = buffer(of: output)
            if case .arena = buffers[target].location { buffers[target].location = .output(index) }
        }
    }

    // MARK: Tables

    private mutating func entry(_ buffer: Int) -> Int {
        entries.append(buffers[buffer].location)
        if case .arena = buffers[buffer].location { entries[entries.count - 1] = .arena(request(buffer)) }
        return entries.count - 1
    }

    private var requestOf: [Int: Int] = [:]

    private mutating func request(_ buffer: Int) -> Int {
        if let known = requestOf[buffer] { return known }
        requests.append(MemoryPlan.Request(byteCount: buffers[buffer].byteCount, firstStep: Int.max, lastStep: -1))
        requestOf[buffer] = requests.count - 1
        return requests.count - 1
    }

    private mutating func touch(_ buffer: Int, _ step: Int) {
        guard case .arena = buffers[buffer].location else { return }
        let index = request(buffer)
        requests[index].firstStep = min(requests[index].firstStep, step)
        requests[index].lastStep = max(requests[index].lastStep, step)
    }

    private mutating func appendStep(_ node: Graph.Node, _ kernel: Kernel, at position: Int) {
        let table = entries.count
        for value in node.inputs + node.outputs {
            _ = entry(bufferOf[value]!)
            touch(bufferOf[value]!, position)
        }
        if kernel.scratchBytes > 0 {
            requests.append(
                MemoryPlan.Request(byteCount: kernel.scratchBytes, firstStep: position, lastStep: position))
            entries.append(.arena(requests.count - 1))
        } else if let first = entries.indices.dropFirst(table).first {
            // Never touched; it only has to be a pointer.
            entries.append(entries[first])
        } else {
            requests.append(MemoryPlan.Request(byteCount: 0, firstStep: position, lastStep: position))
            entries.append(.arena(requests.count - 1))
        }
        steps.append(
            Plan.Step(
                name: node.operation.name, label: node.label, kernel: kernel,
                inputs: node.inputs.map { graph.values[$0].spec }, outputs: node.outputs.map { graph.values[$0].spec },
                table: table))
    }

    // MARK: Copies

    /// Outputs and assignments whose value was not computed in place. What shows a variable as it was before the step is
    /// read before any variable changes.
    private mutating func planCopies(_ order: [Int], _ updates: Set<Int>) {
        let updated = Set(updates.flatMap { graph.nodes[$0].outputs })
        let last = order.count
        let boundary = order.firstIndex(where: updates.contains) ?? last
        for (index, output) in graph.outputs.enumerated() {
            let source = bufferOf[output]!
            if buffers[source].location == .output(index) { continue }
            let copy = Plan.Copy(
                source: entry(source), target: appendEntry(.output(index)), byteCount: buffers[source].byteCount)
            touch(source, last)
            if isVariable(source), !updated.contains(output) {
                copiesBeforeUpdates.append(copy)
            } else {
                copiesAtEnd.append(copy)
            }
        }
        for assignment in graph.assignments {
            let source = bufferOf[assignment.value] ?? buffer(of: assignment.value)
            if buffers[source].location == .variable(assignment.variable) { continue }
            let target = appendEntry(.variable(assignment.variable))
            let bytes = buffers[source].byteCount
            if isVariable(source), !updated.contains(assignment.value) {
                let staging = requests.count
                requests.append(MemoryPlan.Request(byteCount: bytes, firstStep: boundary, lastStep: last))
                copiesBeforeUpdates.append(
                    Plan.Copy(source: entry(source), target: appendEntry(.arena(staging)), byteCount: bytes))
                copiesAtEnd.append(Plan.Copy(source: appendEntry(.arena(staging)), target: target, byteCount: bytes))
            } else {
                touch(source, last)
                copiesAtEnd.append(Plan.Copy(source: entry(source), target: target, byteCount: bytes))
            }
        }
    }

    private func isVariable(_ buffer: Int) -> Bool {
        if case .variable = buffers[buffer].location { return true }
        return false
    }

    private mutating func appendEntry(_ location: Plan.Location) -> Int {
        entries.append(location)
        return entries.count - 1
    }

    private mutating func finishLifetimes(_ last: Int) {
        for index in requests.indices where requests[index].firstStep > requests[index].lastStep {
            requests[index].firstStep = 0
            requests[index].lastStep = last
        }
    }
}
