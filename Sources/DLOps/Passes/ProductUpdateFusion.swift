import DLBase
import DLGraph

/// Lets an optimizer's update compute the gradient of a dense kernel for itself, where nobody else reads it.
package struct ProductUpdateFusion: GraphPass {
    package let name = "product update fusion"
    /// A gradient that a core's own cache holds is read again for nothing.
    package var smallestBytes = 512 << 10
    /// With more rows than these the product is bound by arithmetic, and better made whole.
    package var mostRows = 128

    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        let assigned = Set(graph.assignments.map(\.value))
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() where isUpdate(node.operation) {
            let gradient = node.inputs[1]
            let spec = graph.values[gradient].spec
            guard spec.type == .float32, spec.byteCount >= smallestBytes, uses[gradient] == 1,
                let producer = producers[gradient], kept[producer] != nil,
                let product = graph.nodes[producer].operation as? MatMul, product.transposeA, !product.transposeB,
                node.outputs.allSatisfy({ assigned.contains($0) && uses[$0] == 1 })
            else { continue }
            let factors = graph.nodes[producer].inputs
            let (x, dy) = (graph.values[factors[0]].spec, graph.values[factors[1]].spec)
            guard x.shape.rank == 2, dy.shape.rank == 2, x.type == .float32, dy.type == .float32,
                x.shape[0] <= mostRows, x.shape[0] > 0
            else { continue }
            let fused = try graph.makeNode(
                ProductUpdate(update: node.operation, k: x.shape[0], m: x.shape[1], n: dy.shape[1]),
                inputs: [node.inputs[0]] + factors + node.inputs[2...], label: node.label)
            for (old, new) in zip(node.outputs, fused.outputs) { replacement[old] = new }
            kept[producer] = nil
            kept[index] = fused
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
    }

    private func isUpdate(_ operation: any Operation) -> Bool {
        operation is SGDUpdate || operation is MomentumUpdate || operation is RMSpropUpdate || operation is AdamUpdate
            || (operation as? RuleUpdate)?.isWeightUpdate == true
    }
}
