import DLBase
import DLTensor
import Synchronization

/// What a plan computes from variables alone, such as folded or packed weights: done once for each state of the variables
/// instead of in every run.
final class Prologue: Sendable {
    /// Results for one state of the variables.
    final class Results: Sendable {
        let tensors: [Tensor]
        fileprivate let versions: [Int]

        fileprivate init(tensors: [Tensor], versions: [Int]) {
            self.tensors = tensors
            self.versions = versions
        }
    }

    let plan: Plan
    private let latest = Mutex<Results?>(nil)

    init(_ plan: Plan) { self.plan = plan }

    /// Threads that come while the results are being computed wait for them.
    func results() throws -> Results {
        try latest.withLock { latest in
            if let known = latest, isCurrent(known) { return known }
            let versions = plan.variables.map(\.version)
            // The old results go first, so that both need not fit in memory.
            latest = nil
            let results = Results(tensors: try plan.run([]), versions: versions)
            plan.releaseMemory()
            latest = results
            return results
        }
    }

    func forget() { latest.withLock { $0 = nil } }

    private func isCurrent(_ results: Results) -> Bool {
        for (index, variable) in plan.variables.enumerated() where variable.version != results.versions[index] { return false }
        return true
    }
}

extension Graph {
    /// Moves the nodes that depend on variables and constants alone into a graph of their own, whose outputs become further
    /// inputs of this one; nil where there are none, or where variables change.
    func splitPrologue() -> Graph? {
        guard assignments.isEmpty else { return nil }
        var isFixed = values.map { info in
            switch info.source {
            case .constant, .variable: true
            case .input, .node: false
            }
        }
        var fixedNodes: [Bool] = []
        for node in nodes {
            let fixed = !node.inputs.isEmpty && node.inputs.allSatisfy { isFixed[$0] } && isWorthKeeping(node)
            fixedNodes.append(fixed)
            if fixed { for output in node.outputs { isFixed[output] = true } }
        }
        // A view costs nothing and stays where it is read.
        var needed = Set(outputs)
        var mainNodes: [Node] = []
        for (index, node) in nodes.enumerated().reversed() {
            guard !fixedNodes[index] || (node.operation.isView && needed.contains(node.outputs[0])) else { continue }
            needed.formUnion(node.inputs)
            mainNodes.append(node)
        }
        let crossing = nodes.indices.filter { fixedNodes[$0] && !nodes[$0].operation.isView }
            .flatMap { nodes[$0].outputs.filter(needed.contains) }
        guard !crossing.isEmpty else { return nil }

        let prologue = Graph()
        prologue.values = values
        prologue.constants = constants
        prologue.variables = variables
        prologue.outputs = crossing
        prologue.rewrite(nodes: nodes.indices.filter { fixedNodes[$0] }.map { nodes[$0] })
        DeadCodeElimination().run(on: prologue)
        prologue.dropUnusedVariables()

        rewrite(nodes: mainNodes.reversed())
        for value in crossing {
            values[value] = ValueInfo(spec: values[value].spec, source: .input(inputs.count))
            inputs.append(value)
        }
        return prologue
    }

    /// What is many times as large as what it is made of is cheaper to compute again than to keep.
    private func isWorthKeeping(_ node: Node) -> Bool {
        let from = node.inputs.reduce(0) { $0 &+ values[$1].spec.byteCount }
        let to = node.outputs.reduce(0) { $0 &+ values[$1].spec.byteCount }
        return to <= 6 &* from &+ 4096
    }

    private func dropUnusedVariables() {
        var used = Set<Int>()
        for node in nodes {
            for input in node.inputs {
                if case .variable(let index) = values[input].source { used.insert(index) }
            }
        }
        let kept = used.sorted()
        let position = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
        for (id, value) in values.enumerated() {
            if case .variable(let index) = value.source {
                values[id] = ValueInfo(spec: value.spec, source: .variable(position[index] ?? 0))
            }
        }
        variables = kept.map { variables[$0] }
    }
}
