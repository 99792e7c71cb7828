import DLBase
import DLGraph

/// Puts a ReLU into the write-back of the convolution or the product with bias before it.
///
/// The gradient of ReLU looks at its output, so training may fuse too. What ReLU is applied to must have no other use.
package struct ActivationFusion: GraphPass {
    package let name = "activation fusion"
    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() where node.operation.name == "relu" && node.inputs.count == 1 {
            guard uses[node.inputs[0]] == 1, let producer = producers[node.inputs[0]] else { continue }
            let product = graph.nodes[producer]
            let fused: any Operation
            if var convolution = product.operation as? Conv2DBias, convolution.activation == .none {
                convolution.activation = .relu
                fused = convolution
            } else if var dense = product.operation as? DenseBias, dense.activation == .none {
                dense.activation = .relu
                fused = dense
            } else {
                continue
            }
            let merged = try graph.makeNode(fused, inputs: product.inputs, label: product.label)
            replacement[node.outputs[0]] = merged.outputs[0]
            kept[producer] = nil
            kept[index] = merged
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
    }
}
