import DLBase
import DLGraph

/// Lets plain gradient descent touch only the rows of a table that a batch has looked up, where nobody else reads the gradient.
///
/// Rules that keep moments, and weight decay, change rows without a gradient too; for them the gradient stays whole.
package struct RowsUpdateFusion: GraphPass {
    package let name = "rows update fusion"
    /// A smaller table is no trouble.
    package var smallestBytes = 1 << 16

    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        let assigned = Set(graph.assignments.map(\.value))
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            guard let update = node.operation as? SGDUpdate, update.weightDecay == 0 else { continue }
            let value = node.inputs[1]
            let spec = graph.values[value].spec
            guard spec.byteCount >= smallestBytes, spec.shape[0] <= Int(Int32.max), uses[value] == 1,
                let producer = producers[value], kept[producer] != nil,
                let gradient = graph.nodes[producer].operation as? TakeGradientOperation,
                gradient.axis == 0 || gradient.axis == -spec.shape.rank,
                node.outputs.allSatisfy({ assigned.contains($0) && uses[$0] == 1 })
            else { continue }
            let parts = graph.nodes[producer].inputs
            let count = graph.values[parts[1]].spec.shape.count
            guard count > 0, count <= spec.shape[0], graph.values[parts[0]].spec.type == graph.values[node.inputs[0]].spec.type
            else { continue }
            let fused = try graph.makeNode(
                RowsUpdate(update: update, gradient: gradient), inputs: [node.inputs[0]] + parts + [node.inputs[2]],
                label: node.label)
            for (old, new) in zip(node.outputs, fused.outputs) { replacement[old] = new }
            kept[producer] = nil
            kept[index] = fused
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
    }
}
