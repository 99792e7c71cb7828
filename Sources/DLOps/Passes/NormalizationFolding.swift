import DLBase
import DLGraph
import DLTensor

/// Folds a batch normalisation with given moments into the kernel and the bias of the convolution or product before it,
/// for inference.
///
///     gamma (x * w + b - mean) / s + beta = x * (w gamma / s) + ((b - mean) gamma / s + beta),  s = sqrt(variance + epsilon)
///
/// Where the weights depend on variables alone the scaled kernel is computed once for each state of them; else in every run, so
/// then this is done only where there are fewer weights than outputs.
package struct NormalizationFolding: GraphPass {
    package let name = "normalization folding"
    package init() {}

    package func run(on graph: Graph) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        let fixed = fixedValues(graph)
        var kept = graph.nodes.map { [$0] }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            guard let normalization = node.operation as? BatchNormalization, uses[node.inputs[0]] == 1,
                let producer = producers[node.inputs[0]]
            else { continue }
            let product = graph.nodes[producer]
            guard let operation = fusedOperation(product, graph) else { continue }
            let weights = graph.values[product.inputs[1]].spec.shape.count
            let isFixed = (product.inputs.dropFirst() + node.inputs.dropFirst()).allSatisfy { fixed[$0] }
            guard isFixed || weights < graph.values[product.outputs[0]].spec.shape.count else { continue }
            var nodes: [Graph.Node] = []
            func add(_ name: String, _ inputs: Int...) throws -> Int {
                let operation = try Operations.registry.declaration(name).make(config: .null)
                nodes.append(try graph.makeNode(operation, inputs: inputs, label: node.label))
                return nodes[nodes.count - 1].outputs[0]
            }
            let form = normalization.form
            let (mean, variance) = (node.inputs[1], node.inputs[2])
            let type = graph.values[variance].spec.type
            let epsilon = graph.addConstant(try Tensor(number: form.epsilon, type))
            var factor = try add("rsqrt", add("add", variance, epsilon))
            if form.scale { factor = try add("multiply", factor, node.inputs[3]) }
            let kernel = try add("multiply", product.inputs[1], factor)
            let centered =
                product.inputs.count == 3 ? try add("subtract", product.inputs[2], mean) : try add("negative", mean)
            var bias = try add("multiply", centered, factor)
            if form.center { bias = try add("add", bias, node.inputs[node.inputs.count - 1]) }
            let merged = try graph.makeNode(operation, inputs: [product.inputs[0], kernel, bias], label: product.label)
            replacement[node.outputs[0]] = merged.outputs[0]
            kept[producer] = []
            kept[index] = nodes + [merged]
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.flatMap { $0 }, replacement: replacement)
    }

    /// The operation with a bias that takes the place of the product, nil where a factor per output cannot be folded in.
    private func fusedOperation(_ product: Graph.Node, _ graph: Graph) -> (any Operation)? {
        if let convolution = product.operation as? Conv2DBias, convolution.activation == .none { return convolution }
        if let dense = product.operation as? DenseBias, dense.activation == .none { return dense }
        return BiasFusion.withBias(product, graph)
    }
}
