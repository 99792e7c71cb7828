import DLBase
import DLGraph

/// Puts the ReLU behind a batch normalisation, and the addition of a shortcut between them, into the normalisation's pass
/// over the pictures, and their gradients into the gradient's.
///
/// What normalisation gives, and the sum, must have no other use. The statistics may have.
package struct NormalizationActivationFusion: GraphPass {
    package let name = "normalization activation fusion"
    package init() {}

    /// A normalisation that gets its ReLU.
    private struct Fusion {
        let normalization: Int
        let residual: Bool
        /// What ReLU gives.
        let output: Int
        let fused: Graph.Node
    }

    package func run(on graph: Graph) throws {
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        let fusions = try fuseForward(graph, &kept, &replacement)
        guard !fusions.isEmpty else { return }
        try fuseGradients(graph, fusions, &kept, &replacement)
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
        graph.restoreOrder()
    }

    private func fuseForward(
        _ graph: Graph, _ kept: inout [Graph.Node?], _ replacement: inout [Int: Int]
    ) throws -> [Fusion] {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        func normalization(_ value: Int) -> Int? {
            guard uses[value] == 1, let index = producers[value], kept[index] != nil,
                graph.nodes[index].operation is BatchNormalizationTraining, graph.nodes[index].outputs[0] == value
            else { return nil }
            return index
        }
        var fusions: [Fusion] = []
        for (index, node) in graph.nodes.enumerated() where node.operation.name == "relu" && node.inputs.count == 1 {
            var sum: Int?
            var residual: Int?
            var found = normalization(node.inputs[0])
            if found == nil, uses[node.inputs[0]] == 1, let producer = producers[node.inputs[0]],
                graph.nodes[producer].operation.name == "add", graph.nodes[producer].inputs.count == 2
            {
                let (a, b) = (graph.nodes[producer].inputs[0], graph.nodes[producer].inputs[1])
                guard a != b, graph.values[a].spec == graph.values[b].spec else { continue }
                // Of two, the one that is computed last waits for nothing.
                found = [normalization(a), normalization(b)].compactMap { $0 }.max()
                guard let found else { continue }
                sum = producer
                residual = graph.nodes[found].outputs[0] == a ? b : a
            }
            guard let found, let operation = graph.nodes[found].operation as? BatchNormalizationTraining else { continue }
            let old = graph.nodes[found]
            let fused = try graph.makeNode(
                BatchNormalizationActivation(form: operation.form, residual: residual != nil),
                inputs: old.inputs + (residual.map { [$0] } ?? []), label: old.label)
            replacement[node.outputs[0]] = fused.outputs[0]
            for output in 1...2 { replacement[old.outputs[output]] = fused.outputs[output] }
            kept[found] = nil
            if let sum { kept[sum] = nil }
            kept[index] = fused
            fusions.append(
                Fusion(normalization: found, residual: residual != nil, output: node.outputs[0], fused: fused))
        }
        return fusions
    }

    private func fuseGradients(
        _ graph: Graph, _ fusions: [Fusion], _ kept: inout [Graph.Node?], _ replacement: inout [Int: Int]
    ) throws {
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        let byMean = Dictionary(uniqueKeysWithValues: fusions.map { (graph.nodes[$0.normalization].outputs[1], $0) })
        for (index, node) in graph.nodes.enumerated() {
            guard let gradient = node.operation as? BatchNormalizationGradient, let fusion = byMean[node.inputs[2]],
                graph.nodes[fusion.normalization].inputs[0] == node.inputs[1],
                let mask = producers[node.inputs[0]], kept[mask] != nil,
                graph.nodes[mask].operation.name == "relu_gradient", graph.nodes[mask].inputs.count == 2,
                graph.nodes[mask].inputs[1] == fusion.output, fusion.residual || uses[node.inputs[0]] == 1
            else { continue }
            let old = graph.nodes[fusion.normalization]
            var upstreams = [graph.nodes[mask].inputs[0]]
            if fusion.residual, uses[upstreams[0]] == 1, let sum = producers[upstreams[0]], kept[sum] != nil,
                graph.nodes[sum].operation.name == "add", graph.nodes[sum].inputs.count == 2,
                graph.nodes[sum].inputs.allSatisfy({ graph.values[$0].spec == graph.values[upstreams[0]].spec }),
                graph.nodes[sum].inputs[0] != graph.nodes[sum].inputs[1]
            {
                upstreams = graph.nodes[sum].inputs
                kept[sum] = nil
            }
            let operation = BatchNormalizationActivationGradient(
                form: gradient.form, residual: fusion.residual, twoUpstreams: upstreams.count == 2)
            // x, mean, variance, then gamma and beta as the normalisation has them.
            let inputs = upstreams + node.inputs[1...3] + old.inputs[1..<1 + gradient.form.parameterNames.count]
                + (fusion.residual ? [fusion.output] : [])
            let fused = try graph.makeNode(operation, inputs: inputs, label: node.label)
            for output in 0...2 { replacement[node.outputs[output]] = fused.outputs[output] }
            if fusion.residual { replacement[graph.nodes[mask].outputs[0]] = fused.outputs[3] }
            kept[mask] = nil
            kept[index] = fused
        }
    }
}
