import DLBase
import DLTensor

/// Operations recorded for running many times: what a compiled training step is made of.
///
/// Values are numbered in the order in which they appear, so nodes stand in an order in which they can run.
package final class Graph {
    package enum Source: Equatable {
        case input(Int)
        case constant(Int)
        case variable(Int)
        case node(Int, output: Int)
    }

    package struct ValueInfo {
        package let spec: TensorSpec
        package let source: Source
    }

    package struct Node {
        package var operation: any Operation
        package var inputs: [Int]
        package var outputs: [Int]
        /// Where it comes from, for profiles and messages: the path of the layer.
        package var label: String
    }

    package struct Assignment {
        package let variable: Int
        package var value: Int
    }

    package internal(set) var values: [ValueInfo] = []
    package internal(set) var nodes: [Node] = []
    package internal(set) var inputs: [Int] = []
    package internal(set) var outputs: [Int] = []
    package internal(set) var constants: [Tensor] = []
    package internal(set) var variables: [Variable] = []
    package internal(set) var assignments: [Assignment] = []
    /// Set while recording, so that nodes know their layer.
    package var label = ""
    /// Where the parts of a step begin: their names and the number of nodes before them.
    package private(set) var parts: [(name: String, start: Int)] = []

    private var constantIds: [ObjectIdentifier: (value: Value, id: Int)] = [:]
    private var variableIds: [ObjectIdentifier: Int] = [:]
    /// What a variable will hold once the graph has run; reads after an assignment see it.
    private var assigned: [ObjectIdentifier: Int] = [:]

    package init() {}

    // MARK: Recording

    /// What is recorded from here on belongs to another part of the step.
    package func begin(part name: String) { parts.append((name, nodes.count)) }

    /// The part of the step that a recorded node belongs to.
    package func part(of node: Int) -> String { parts.last { $0.start <= node }?.name ?? "forward" }

    package func addInput(_ spec: TensorSpec) -> Value {
        let id = append(spec, .input(inputs.count))
        inputs.append(id)
        return Value(.node(self, id: id), spec)
    }

    package func markOutput(_ value: Value) throws { outputs.append(try adopt(value)) }

    /// The number of a value in this graph; tensors and variables are taken in.
    func adopt(_ value: Value) throws -> Int {
        switch value.kind {
        case .node(let graph, let id):
            guard graph === self else {
                throw DLError(
                    .state, "a symbolic tensor is used outside the recording it belongs to; "
                        + "it cannot be kept from one step to the next. Received: \(value.spec)")
            }
            return id
        case .concrete(let tensor):
            if let known = constantIds[value.key] { return known.id }
            let id = append(value.spec, .constant(constants.count))
            constants.append(tensor)
            constantIds[value.key] = (value, id)
            return id
        case .variable(let variable):
            let key = ObjectIdentifier(variable)
            return assigned[key] ?? read(variable, key)
        case .deferred:
            throw DLError(
                .state, "a symbolic tensor of a model under construction has no contents. Received: \(value.spec)")
        }
    }

    private func read(_ variable: Variable, _ key: ObjectIdentifier) -> Int {
        if let id = variableIds[key] { return id }
        let id = append(variable.spec, .variable(variables.count))
        variables.append(variable)
        variableIds[key] = id
        return id
    }

    func add(_ operation: any Operation, _ inputs: [Int]) throws -> [Value] {
        let specs = try operation.outputs(for: inputs.map { values[$0].spec })
        let node = nodes.count
        let outputs = specs.enumerated().map { append($1, .node(node, output: $0)) }
        nodes.append(Node(operation: operation, inputs: inputs, outputs: outputs, label: label))
        return zip(outputs, specs).map { Value(.node(self, id: $0), $1) }
    }

    func assign(_ value: Int, to variable: Variable) {
        let key = ObjectIdentifier(variable)
        _ = read(variable, key)
        assigned[key] = value
        guard case .variable(let index) = values[variableIds[key]!].source else { return }
        if let earlier = assignments.firstIndex(where: { $0.variable == index }) {
            assignments[earlier].value = value
        } else {
            assignments.append(Assignment(variable: index, value: value))
        }
    }

    private func append(_ spec: TensorSpec, _ source: Source) -> Int {
        values.append(ValueInfo(spec: spec, source: source))
        return values.count - 1
    }

    // MARK: Rewriting, for passes

    /// A value that a pass makes for itself.
    package func addConstant(_ tensor: Tensor) -> Int {
        let id = append(TensorSpec(tensor.shape, tensor.type), .constant(constants.count))
        constants.append(tensor)
        return id
    }

    /// Replaces the nodes and points every use of a value at what `replacement` says.
    package func rewrite(nodes: [Node], replacement: [Int: Int] = [:]) {
        func final(_ id: Int) -> Int {
            var id = id
            while let next = replacement[id] { id = next }
            return id
        }
        self.nodes = nodes.map { node in
            var node = node
            node.inputs = node.inputs.map(final)
            return node
        }
        outputs = outputs.map(final)
        assignments = assignments.map { Assignment(variable: $0.variable, value: final($0.value)) }
        for (index, node) in self.nodes.enumerated() {
            for (position, output) in node.outputs.enumerated() {
                values[output] = ValueInfo(spec: values[output].spec, source: .node(index, output: position))
            }
        }
    }

    /// Puts each node behind those that compute its inputs, after a rewriting that merged nodes from different places; nodes
    /// that are in order stay as they are.
    package func restoreOrder() {
        var producers: [Int: Int] = [:]
        for (index, node) in nodes.enumerated() {
            for output in node.outputs { producers[output] = index }
        }
        var order: [Int] = []
        order.reserveCapacity(nodes.count)
        var state = [UInt8](repeating: 0, count: nodes.count)
        for start in nodes.indices where state[start] == 0 {
            var stack = [start]
            while let index = stack.last {
                if state[index] == 0 {
                    state[index] = 1
                    for input in nodes[index].inputs.reversed() {
                        if let producer = producers[input], state[producer] == 0 { stack.append(producer) }
                    }
                } else {
                    stack.removeLast()
                    if state[index] == 1 {
                        state[index] = 2
                        order.append(index)
                    }
                }
            }
        }
        rewrite(nodes: order.map { nodes[$0] })
    }

    /// A node that makes new values, for a pass to put among the others.
    package func makeNode(_ operation: any Operation, inputs: [Int], label: String) throws -> Node {
        let specs = try operation.outputs(for: inputs.map { values[$0].spec })
        let outputs = specs.map { append($0, .node(-1, output: 0)) }
        return Node(operation: operation, inputs: inputs, outputs: outputs, label: label)
    }

    /// How often each value is used, by nodes, outputs and assignments.
    package func useCounts() -> [Int] {
        var counts = [Int](repeating: 0, count: values.count)
        for node in nodes { for input in node.inputs { counts[input] += 1 } }
        for output in outputs { counts[output] += 1 }
        for assignment in assignments { counts[assignment.value] += 1 }
        return counts
    }
}

extension Graph: CustomStringConvertible {
    /// One line per node, as tests of passes compare it: `%5 = relu(%4) : float32 (32, 10)`.
    package var description: String {
        var lines: [String] = []
        for (id, value) in values.enumerated() {
            switch value.source {
            case .input(let index): lines.append("%\(id) = input \(index) : \(value.spec)")
            default: break
            }
        }
        for node in nodes {
            let names = node.outputs.map { "%\($0)" }.joined(separator: ", ")
            let arguments = node.inputs.map { input -> String in
                switch values[input].source {
                case .constant(let index): "constant\(index)"
                case .variable(let index): variables[index].name
                default: "%\(input)"
                }
            }.joined(separator: ", ")
            let specs = node.outputs.map { values[$0].spec.description }.joined(separator: ", ")
            let attributes = node.operation.attributes == [:] ? "" : " \(node.operation.attributes.canonicalText)"
            lines.append("\(names) = \(node.operation.name)(\(arguments))\(attributes) : \(specs)")
        }
        for assignment in assignments {
            lines.append("\(variables[assignment.variable].name) := %\(assignment.value)")
        }
        lines.append("return " + outputs.map { "%\($0)" }.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }
}
