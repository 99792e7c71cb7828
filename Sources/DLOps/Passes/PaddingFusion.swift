import DLBase
import DLGraph

/// Lets a convolution and its gradients see the zeros around a picture instead of copying the picture into a larger one.
///
/// Networks that came from elsewhere pad by a layer of their own before a convolution with strides. The copy goes when
/// nobody else reads it.
package struct PaddingFusion: GraphPass {
    package let name = "padding fusion"
    package init() {}

    private struct Padded {
        /// The picture without its border.
        let source: Int
        /// Rows and columns before and behind.
        let amounts: [Int]
    }

    package func run(on graph: Graph) throws {
        var padded: [Int: Padded] = [:]
        for node in graph.nodes {
            guard let pad = node.operation as? PadOperation, pad.mode == "constant", pad.number == 0,
                graph.values[node.inputs[0]].spec.shape.rank == 4, let pairs = pad.widths(4), pairs[0] == [0, 0],
                pairs[3] == [0, 0]
            else { continue }
            padded[node.outputs[0]] = Padded(source: node.inputs[0], amounts: pairs[1] + pairs[2])
        }
        guard !padded.isEmpty else { return }
        let uses = graph.useCounts()
        let producers = nodesByOutput(graph)
        var kept = graph.nodes.map { Optional($0) }
        var replacement: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            if let slice = node.operation as? GetItemOperation {
                guard uses[node.inputs[0]] == 1, let producer = producers[node.inputs[0]], kept[producer] != nil,
                    let amounts = border(slice, of: graph.values[node.inputs[0]].spec.shape),
                    let gradient = graph.nodes[producer].operation as? Conv2DBackwardData
                else { continue }
                var inner = gradient
                let size = graph.values[node.outputs[0]].spec.shape
                inner.inputSize = [size[1], size[2]]
                inner.geometry = widened(gradient.geometry, amounts, input: graph.values[node.inputs[0]].spec.shape,
                    kernel: graph.values[graph.nodes[producer].inputs[1]].spec.shape)
                let fused = try graph.makeNode(inner, inputs: graph.nodes[producer].inputs, label: graph.nodes[producer].label)
                replacement[node.outputs[0]] = fused.outputs[0]
                kept[producer] = nil
                kept[index] = fused
                continue
            }
            guard let first = node.inputs.first, let border = padded[first] else { continue }
            let input = graph.values[first].spec.shape
            let operation: any Operation
            if var convolution = node.operation as? Conv2D, convolution.dataFormat == .channelsLast {
                convolution.geometry = widened(
                    convolution.geometry, border.amounts, input: input, kernel: graph.values[node.inputs[1]].spec.shape)
                operation = convolution
            } else if var convolution = node.operation as? Conv2DBias {
                convolution.geometry = widened(
                    convolution.geometry, border.amounts, input: input, kernel: graph.values[node.inputs[1]].spec.shape)
                operation = convolution
            } else if var gradient = node.operation as? Conv2DBackwardWeights {
                gradient.geometry = widened(
                    gradient.geometry, border.amounts, input: input, kernel: graph.values[node.outputs[0]].spec.shape)
                operation = gradient
            } else {
                continue
            }
            let fused = try graph.makeNode(operation, inputs: [border.source] + node.inputs.dropFirst(), label: node.label)
            replacement[node.outputs[0]] = fused.outputs[0]
            kept[index] = fused
        }
        guard !replacement.isEmpty else { return }
        graph.rewrite(nodes: kept.compactMap { $0 }, replacement: replacement)
        DeadCodeElimination().run(on: graph)
    }

    /// The geometry whose padding counts from inside the border.
    private func widened(_ geometry: Conv2DGeometry, _ border: [Int], input: Shape, kernel: Shape) -> Conv2DGeometry {
        let own = geometry.padding.amounts(
            input: [input[1], input[2]], window: [kernel[0], kernel[1]], strides: geometry.strides,
            dilation: geometry.dilation)
        var geometry = geometry
        geometry.padding = .explicit(
            top: own[0] + border[0], bottom: own[1] + border[1], left: own[2] + border[2], right: own[3] + border[3])
        return geometry
    }

    /// Rows and columns that a slice leaves out around a picture, nil where it does something else.
    private func border(_ slice: GetItemOperation, of shape: Shape) -> [Int]? {
        guard shape.rank == 4, slice.entries.count == 4 else { return nil }
        var amounts: [Int] = []
        for axis in 0..<4 {
            guard let part = try? slice.entries[axis].part(axis, shape, "get_item"), part.keepsAxis, part.step == 1,
                part.count > 0
            else { return nil }
            let before = part.start
            let behind = shape[axis] - part.start - part.count
            if axis == 0 || axis == 3 {
                guard before == 0, behind == 0 else { return nil }
            } else {
                amounts += [before, behind]
            }
        }
        return amounts
    }
}
