import DLBase
import DLGraph
import DLOps
import DLTensor
import Synchronization

/// A graph of layers between symbolic tensors; itself a layer.
package class Model: Layer {
    package internal(set) var inputs: [Value] = []
    package internal(set) var outputs: [Value] = []
    /// What the outputs are called in losses, metrics and logs.
    package internal(set) var outputNames: [String] = []
    /// Layers in the order in which Keras lists them: inputs first, then as the graph is walked.
    package internal(set) var layers: [Layer] = []
    /// Uses of the layers in an order in which they can run.
    package internal(set) var graph: [LayerNode] = []
    /// Grows when the architecture changes; compiled plans compare it.
    package internal(set) var version = 0
    /// What training keeps with the model; its type is known further up.
    package var trainingState: AnyObject?
    /// Steps of the user's own, in the place of the model's.
    package var ownStepState: AnyObject?
    /// What the figures given out last are called, where that is not what compile says.
    package var latestNames: [String]?
    /// The same for prediction, which several threads may begin at once.
    package let predictionState = Mutex<(any Sendable)?>(nil)

    private var givenOutputNames: [String]?

    /// Whether the outputs are called otherwise than the layers they come from.
    var hasOwnOutputNames: Bool {
        guard let given = givenOutputNames, Set(given).count == given.count else { return false }
        return given != Model.unique(outputs.compactMap { $0.kerasTensor?.node.layer.name })
    }

    init(className: String, name: String?, trainable: Bool = true) {
        var values = JSONObject()
        values["name"] = name.map { .string($0) } ?? .null
        values["trainable"] = .bool(trainable)
        super.init(Arguments(owner: className, values: values))
    }

    init(arguments: Arguments) { super.init(arguments) }

    /// Whether the weights are there to be saved and loaded.
    package var hasWeights: Bool { built || !inputs.isEmpty }

    /// A functional model. `outputNames` nil: outputs go by the names of the layers they come from.
    package convenience init(
        inputs: [Value], outputs: [Value], name: String? = nil, outputNames: [String]? = nil
    ) throws {
        self.init(className: "Functional", name: name)
        givenOutputNames = outputNames
        if let outputNames, outputNames.count != outputs.count {
            throw DLError(
                .argument, "[Model] \(outputs.count) outputs need as many names. Received: \(outputNames.count) names")
        }
        try connect(inputs, outputs)
    }

    override package var inputCount: Int? { inputs.isEmpty ? nil : inputs.count }
    override package var sublayers: [Layer] { layers }

    // MARK: The graph

    /// Finds the layers between inputs and outputs. Nothing changes if there is no way.
    func connect(_ inputs: [Value], _ outputs: [Value]) throws {
        guard !inputs.isEmpty, !outputs.isEmpty else {
            throw DLError(.argument, "[Model] a model needs at least one input and one output")
        }
        for (kind, values) in [("input", inputs), ("output", outputs)] {
            for (index, value) in values.enumerated() where value.kerasTensor == nil {
                throw DLError(
                    .argument, "[Model] \(kind) \(index) must be a symbolic tensor that began with Input. "
                        + "Received: \(value.isSymbolic ? "a tensor of a recording" : "a tensor of numbers") \(value.spec)")
            }
        }
        let inputKeys = inputs.compactMap { $0.kerasTensor?.key }
        guard Set(inputKeys).count == inputKeys.count else {
            throw DLError(.argument, "[Model] the same tensor is given as input twice")
        }
        let order = try Model.order(from: Set(inputKeys), to: outputs)
        var layers: [Layer] = []
        var seen: Set<ObjectIdentifier> = []
        for value in inputs where value.kerasTensor?.node.layer is InputLayer {
            let layer = value.kerasTensor!.node.layer
            if seen.insert(ObjectIdentifier(layer)).inserted { layers.append(layer) }
        }
        for node in order where seen.insert(ObjectIdentifier(node.layer)).inserted { layers.append(node.layer) }
        try Model.checkNames(layers)
        self.inputs = inputs
        self.outputs = outputs
        self.layers = layers
        graph = order
        outputNames = givenOutputNames ?? Model.unique(outputs.map { $0.kerasTensor!.node.layer.name })
        version += 1
        markBuilt(inputs.map(\.partialShape))
    }

    private static func checkNames(_ layers: [Layer]) throws {
        var names: Set<String> = []
        for layer in layers where !names.insert(layer.name).inserted {
            throw DLError(.argument, "[Model] two layers are called '\(layer.name)'; names must differ within a model")
        }
    }

    /// Two outputs of one layer need two names.
    private static func unique(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        return names.map { name in
            let count = counts[name, default: 0]
            counts[name] = count + 1
            return count == 0 ? name : "\(name)_\(count)"
        }
    }

    /// The nodes that lead from the inputs to the outputs, each after those it needs. Depth is not bounded by the stack.
    private static func order(from inputs: Set<KerasTensor.Key>, to outputs: [Value]) throws -> [LayerNode] {
        enum Visit {
            case enter(Value)
            case leave(LayerNode)
        }
        var order: [LayerNode] = []
        var entered: Set<ObjectIdentifier> = []
        var stack: [Visit] = outputs.reversed().map { .enter($0) }
        while let visit = stack.popLast() {
            switch visit {
            case .leave(let node): order.append(node)
            case .enter(let value):
                guard let tensor = value.kerasTensor, !inputs.contains(tensor.key) else { continue }
                let node = tensor.node
                guard entered.insert(ObjectIdentifier(node)).inserted else { continue }
                guard !(node.layer is InputLayer) else {
                    throw DLError(
                        .argument, "[Model] the outputs depend on the input '\(node.layer.name)', "
                            + "which is not among the model's inputs")
                }
                stack.append(.leave(node))
                for input in node.inputs.reversed() { stack.append(.enter(input)) }
            }
        }
        return order
    }

    // MARK: Calling

    override package func checkInput(_ shapes: [[Int?]]) throws {
        for (index, (shape, input)) in zip(shapes, inputs).enumerated() {
            let expected = input.partialShape
            let fits = shape.count == expected.count
                && zip(shape, expected).allSatisfy { $0 == nil || $1 == nil || $0 == $1 }
            guard fits else {
                throw DLError(
                    .shape, "[Model] model '\(name)': input \(index) ('\(input.kerasTensor?.node.layer.name ?? "")') must have "
                        + "shape \(Shape.text(expected)). Received: \(Shape.text(shape))")
            }
        }
    }

    override package func call(_ values: [Value], training: Bool) throws -> [Value] {
        var results: [KerasTensor.Key: Value] = [:]
        for (input, value) in zip(inputs, values) {
            guard let tensor = input.kerasTensor else { continue }
            results[tensor.key] = value.type == tensor.spec.type ? value : try cast(value, tensor.spec.type)
        }
        for node in graph {
            let arguments = try node.inputs.map { input -> Value in
                guard let tensor = input.kerasTensor else { return input }
                guard let value = results[tensor.key] else {
                    throw DLError(.internal, "[Model] a tensor of the model '\(name)' was not computed")
                }
                return value
            }
            let values = try node.layer.apply(arguments, node.options)
            for (index, value) in values.enumerated() {
                results[KerasTensor.Key(node: ObjectIdentifier(node), index: index)] = value
            }
        }
        return try outputs.map { output in
            guard let tensor = output.kerasTensor, let value = results[tensor.key] else {
                throw DLError(.internal, "[Model] an output of the model '\(name)' was not computed")
            }
            return value
        }
    }

    override package func serialized() throws -> JSON {
        let isSequential = self is Sequential
        return [
            "module": .string(isSequential ? "keras" : "keras.src.models.functional"), "class_name": .string(className),
            "config": .object(try modelConfig()), "registered_name": isSequential ? .null : .string(className),
        ]
    }

    // MARK: Layers

    package func layer(named wanted: String) throws -> Layer {
        if let layer = layers.first(where: { $0.name == wanted }) { return layer }
        var message = "[get_layer] model '\(name)' has no layer '\(wanted)'"
        if let near = nearestName(to: wanted, in: layers.map(\.name)) { message += "; did you mean '\(near)'?" }
        throw DLError(.notFound, message)
    }

    package func layer(at index: Int) throws -> Layer {
        guard layers.indices.contains(index) else {
            throw DLError(
                .range, "[get_layer] model '\(name)' has \(layers.count) layers. Received: index \(index)")
        }
        return layers[index]
    }
}
