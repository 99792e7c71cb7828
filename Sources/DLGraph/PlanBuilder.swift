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
        let kernels = try graph.nodes.map { node in
            node.operation.isView
                ? nil
                : try node.operation.kernel(
                    inputs: node.inputs.map { graph.values[$0].spec }, outputs: node.outputs.map { graph.values[$0].spec })
        }
        let (order, updates) = schedule(kernels)
        let last = order.count
        for (step, index) in order.enumerated() {
            for input in graph.nodes[index].inputs { lastUse[input] = step }
        }
        for output in graph.outputs { lastUse[output] = last }
        for assignment in graph.assignments { lastUse[assignment.value] = last }

        for (position, index) in order.enumerated() {
            place(graph.nodes[index], kernels[index], at: position, updates: updates.contains(index), readers: order)
        }
        bindOutputs(last)
        let boundary = order.firstIndex(where: updates.contains) ?? last
        firstUpdate = order[..<boundary].reduce(0) { $0 + (kernels[$1] == nil ? 0 : 1) }
        for (position, index) in order.enumerated() {
            if let kernel = kernels[index] { appendStep(graph.nodes[index], kernel, at: position) }
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

    /// Nodes whose results go nowhere but into variables are updates. What can fail comes before the first of them, so that
    /// a failure has changed nothing; then each comes as soon as what it replaces has been read for the last time, so
    /// that a gradient's memory is free again at once.
    private func schedule(_ kernels: [Kernel?]) -> (order: [Int], updates: Set<Int>) {
        let updates = Set(
            graph.nodes.indices.filter { index in
                let node = graph.nodes[index]
                return !node.operation.isView && node.outputs.allSatisfy { onlyAssignedTo[$0] != nil }
            })
        let others = fallibleFirst(graph.nodes.indices.filter { !updates.contains($0) }, kernels)
        guard !updates.isEmpty else { return (others, updates) }
        let fallible = others.lastIndex { kernels[$0]?.cannotFail == false } ?? -1

        // Nodes that have to run before an update: the producers of its inputs, and all readers of what it writes.
        let producers = nodesByValue()
        var waitsFor = [Int](repeating: 0, count: graph.nodes.count)
        var waiting = [[Int]](repeating: [], count: graph.nodes.count)
        let readers = variableReaders()
        for update in updates.sorted() {
            var before = Set(graph.nodes[update].inputs.compactMap { producers[$0] })
            for output in graph.nodes[update].outputs {
                guard let variable = onlyAssignedTo[output] else { continue }
                for reader in readers[variable, default: []] where !updates.contains(reader) || reader < update {
                    before.insert(reader)
                }
            }
            before.remove(update)
            waitsFor[update] = before.count
            for node in before { waiting[node].append(update) }
        }
        var order: [Int] = []
        order.reserveCapacity(graph.nodes.count)
        var ready: [Int] = updates.filter { waitsFor[$0] == 0 }.sorted()
        func emit(_ node: Int) {
            order.append(node)
            for update in waiting[node] {
                waitsFor[update] -= 1
                if waitsFor[update] == 0 { ready.append(update) }
            }
        }
        for (position, node) in others.enumerated() {
            emit(node)
            guard position >= fallible else { continue }
            while !ready.isEmpty { emit(ready.removeFirst()) }
        }
        while !ready.isEmpty { emit(ready.removeFirst()) }
        return (order, updates)
    }

    /// The same nodes with those that may fail, and what they need, in front; otherwise in the order given.
    private func fallibleFirst(_ nodes: [Int], _ kernels: [Kernel?]) -> [Int] {
        let producers = nodesByValue()
        var early = Set<Int>()
        for node in nodes.reversed() where early.contains(node) || kernels[node]?.cannotFail == false {
            early.insert(node)
            for input in graph.nodes[node].inputs {
                if let producer = producers[input] { early.insert(producer) }
            }
        }
        return nodes.filter(early.contains) + nodes.filter { !early.contains($0) }
    }

    private func nodesByValue() -> [Int: Int] {
        var producers: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            for output in node.outputs { producers[output] = index }
        }
        return producers
    }

    /// The nodes that read each variable, itself or through views of it.
    private func variableReaders() -> [Int: [Int]] {
        var readers: [Int: [Int]] = [:]
        var variableOf: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            for input in node.inputs {
                var variable = variableOf[input]
                if case .variable(let direct) = graph.values[input].source { variable = direct }
                guard let variable else { continue }
                readers[variable, default: []].append(index)
                if node.operation.isView { variableOf[node.outputs[0]] = variable }
            }
        }
        return readers
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

    /// Finds memory for the outputs of a node. A view has no kernel and shares its input's.
    private mutating func place(
        _ node: Graph.Node, _ kernel: Kernel?, at step: Int, updates: Bool, readers order: [Int]
    ) {
        for input in node.inputs { _ = buffer(of: input) }
        guard let kernel else {
            share(node.outputs[0], bufferOf[node.inputs[0]]!)
            return
        }
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
                name: node.operation.name, attributes: node.operation.attributes, label: node.label, kernel: kernel,
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
