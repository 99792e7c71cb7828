import DLBase

/// A rewriting of a graph that keeps its meaning.
package protocol GraphPass: Sendable {
    var name: String { get }
    func run(on graph: Graph) throws
}

/// Removes nodes whose results nobody uses.
package struct DeadCodeElimination: GraphPass {
    package let name = "dead code"
    package init() {}

    package func run(on graph: Graph) {
        var live = Set(graph.outputs)
        live.formUnion(graph.assignments.map(\.value))
        var kept: [Graph.Node] = []
        for node in graph.nodes.reversed() where node.outputs.contains(where: live.contains) {
            live.formUnion(node.inputs)
            kept.append(node)
        }
        graph.rewrite(nodes: kept.reversed())
    }
}

/// Computes now what depends on constants alone.
package struct ConstantFolding: GraphPass {
    package let name = "constant folding"
    /// Results larger than this are cheaper to compute than to keep.
    package var limitBytes = 1 << 20
    package init() {}

    package func run(on graph: Graph) throws {
        var kept: [Graph.Node] = []
        var replacement: [Int: Int] = [:]
        for var node in graph.nodes {
            node.inputs = node.inputs.map { replacement[$0] ?? $0 }
            let tensors = node.inputs.compactMap { input -> Int? in
                if case .constant(let index) = graph.values[input].source { return index }
                return nil
            }
            let bytes = node.outputs.reduce(0) { $0 &+ graph.values[$1].spec.byteCount }
            guard tensors.count == node.inputs.count, bytes <= limitBytes else {
                kept.append(node)
                continue
            }
            let results = try evaluate(node.operation, tensors.map { graph.constants[$0] })
            for (output, result) in zip(node.outputs, results) { replacement[output] = graph.addConstant(result) }
        }
        graph.rewrite(nodes: kept, replacement: replacement)
    }
}

/// Computes once what is asked for twice: same operation, same attributes, same inputs.
package struct CommonSubexpressions: GraphPass {
    package let name = "common subexpressions"
    package init() {}

    private struct Key: Hashable {
        let operation: String
        let attributes: String
        let inputs: [Int]
    }

    package func run(on graph: Graph) {
        var seen: [Key: [Int]] = [:]
        var kept: [Graph.Node] = []
        var replacement: [Int: Int] = [:]
        for var node in graph.nodes {
            node.inputs = node.inputs.map { replacement[$0] ?? $0 }
            let key = Key(
                operation: node.operation.name, attributes: node.operation.attributes.canonicalText, inputs: node.inputs)
            if let earlier = seen[key] {
                for (output, other) in zip(node.outputs, earlier) { replacement[output] = other }
            } else {
                seen[key] = node.outputs
                kept.append(node)
            }
        }
        graph.rewrite(nodes: kept, replacement: replacement)
    }
}
