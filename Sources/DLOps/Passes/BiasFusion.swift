import DLBase
import DLGraph

/// Puts the addition of a bias into the write-back of the convolution or the product before it.
///
/// Both `bias_add` and `add` with a vector as long as the last axis count, so scripts that say `x @ w + b` gain too. The
/// sums before the bias must have no other use.
package struct BiasFusion: GraphPass {
    package let name = "bias fusion"
    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() where node.inputs.count == 2 {
            guard let (sums, bias) = operands(node, graph), uses[sums] == 1, let producer = producers[sums] else { continue }
            let product = graph.nodes[producer]
            guard let fused = BiasFusion.withBias(product, graph) else { continue }
            let merged = try graph.makeNode(fused, inputs: product.inputs + [bias], label: product.label)
            replacement[node.outputs[0]] = merged.outputs[0]
            kept[producer] = nil
            kept[index] = merged
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
    }

    /// What is added to, and the vector that is added along the last axis.
    private func operands(_ node: Graph.Node, _ graph: Graph) -> (sums: Int, bias: Int)? {
        func isBias(_ bias: Int, of sums: Int) -> Bool {
            let (vector, matrix) = (graph.values[bias].spec, graph.values[sums].spec)
            return matrix.shape.rank >= 2 && vector.shape == [matrix.shape.last] && vector.type == matrix.type
        }
        let (a, b) = (node.inputs[0], node.inputs[1])
        switch node.operation.name {
        case "bias_add": return isBias(b, of: a) ? (a, b) : nil
        case "add": return isBias(b, of: a) ? (a, b) : isBias(a, of: b) ? (b, a) : nil
        default: return nil
        }
    }

    /// The form with a bias of a convolution or a product without one.
    static func withBias(_ product: Graph.Node, _ graph: Graph) -> (any Operation)? {
        if let convolution = product.operation as? Conv2D { return Conv2DBias(geometry: convolution.geometry) }
        if let matmul = product.operation as? MatMul, !matmul.transposeA, !matmul.transposeB,
            graph.values[product.inputs[1]].spec.shape.rank == 2
        {
            return DenseBias()
        }
        return nil
    }
}

/// Which node computes a value.
func nodesByOutput(_ graph: Graph) -> [Int: Int] {
    var producers: [Int: Int] = [:]
    for (index, node) in graph.nodes.enumerated() {
        for output in node.outputs { producers[output] = index }
    }
    return producers
}
