import DLBase
import DLGraph
import DLKernels

/// Takes the packing of a convolution's weights out of the convolution where they depend on variables alone, for inference: the plan
/// packs once for each state of the variables.
package struct WeightPacking: GraphPass {
    package let name = "weight packing"
    package init() {}

    package func run(on graph: Graph) throws {
        guard graph.assignments.isEmpty else { return }
        var fixed = fixedValues(graph)
        var changed: [Graph.Node] = []
        var replacement: [Int: Int] = [:]
        for node in graph.nodes {
            guard let (geometry, activation) = convolution(node.operation), fixed[node.inputs[1]],
                !fixed[node.inputs[0]], graph.values[node.inputs[0]].spec.type == .float32
            else {
                changed.append(node)
                continue
            }
            let pack = PackConvolutionWeights(geometry: geometry, input: graph.values[node.inputs[0]].spec.shape)
            let kernel = graph.values[node.inputs[1]].spec.shape
            guard try pack.forward(kernel).packedBytes > 0 else {
                changed.append(node)
                continue
            }
            let packed = try graph.makeNode(pack, inputs: [node.inputs[1]], label: node.label)
            let fused = try graph.makeNode(
                PackedConvolution(geometry: geometry, kernelShape: kernel, activation: activation),
                inputs: [node.inputs[0], packed.outputs[0]] + node.inputs.dropFirst(2), label: node.label)
            fixed += [Bool](repeating: false, count: graph.values.count - fixed.count)
            replacement[node.outputs[0]] = fused.outputs[0]
            changed += [packed, fused]
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: changed, replacement: replacement)
    }

    private func convolution(_ operation: any Operation) -> (Conv2DGeometry, FusedActivation)? {
        if let plain = operation as? Conv2D, plain.dataFormat == .channelsLast { return (plain.geometry, .none) }
        if let withBias = operation as? Conv2DBias { return (withBias.geometry, withBias.activation) }
        return nil
    }
}

/// Whether a value depends on variables and constants alone.
func fixedValues(_ graph: Graph) -> [Bool] {
    var fixed = graph.values.map { info in
        switch info.source {
        case .constant, .variable: true
        case .input, .node: false
        }
    }
    for node in graph.nodes where !node.inputs.isEmpty && node.inputs.allSatisfy({ fixed[$0] }) {
        for output in node.outputs { fixed[output] = true }
    }
    return fixed
}
