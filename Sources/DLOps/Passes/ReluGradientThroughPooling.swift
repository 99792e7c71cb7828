import DLBase
import DLGraph

/// Applies the mask of a ReLU before the gradient of the max pooling behind it instead of after, where there are fewer
/// elements by the size of the windows.
///
/// A window's gradient goes to its maximum, so that element is positive exactly if the maximum is: the result is the
/// same to the bit.
package struct ReluGradientThroughPooling: GraphPass {
    package let name = "relu gradient through pooling"
    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        var kept = graph.nodes.map { [$0] }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated()
        where node.operation.name == "relu_gradient" && node.inputs.count == 2 {
            let (dx, x) = (node.inputs[0], node.inputs[1])
            guard uses[dx] == 1, let producer = producers[dx] else { continue }
            let pooling = graph.nodes[producer]
            guard pooling.operation is MaxPoolGradient, pooling.inputs[0] == x else { continue }
            let mask = try graph.makeNode(
                node.operation, inputs: [pooling.inputs[2], pooling.inputs[1]], label: node.label)
            let gradient = try graph.makeNode(
                pooling.operation, inputs: [x, pooling.inputs[1], mask.outputs[0]], label: pooling.label)
            replacement[node.outputs[0]] = gradient.outputs[0]
            kept[producer] = []
            kept[index] = [mask, gradient]
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.flatMap { $0 }, replacement: replacement)
    }
}
