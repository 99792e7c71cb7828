import DLBase
import DLGraph
import DLTensor

/// A shape whose sizes may be unknown, and an element type.
package struct PartialSpec: Equatable, Sendable {
    package var shape: [Int?]
    package var type: ElementType

    package init(_ shape: [Int?], _ type: ElementType) {
        self.shape = shape
        self.type = type
    }

    /// The spec with `size` wherever a size is unknown.
    func spec(_ size: Int) throws -> TensorSpec { TensorSpec(try Shape(checked: shape.map { $0 ?? size }), type) }
}

/// Works out symbolic shapes by recording `body` for two different sizes in place of the unknown ones: what differs in
/// the results is unknown there too.
package func inferOutputs(_ inputs: [PartialSpec], _ body: ([Value]) throws -> [Value]) throws -> [PartialSpec] {
    let known = inputs.allSatisfy { !$0.shape.contains(nil) }
    func results(_ size: Int) throws -> [TensorSpec] {
        let graph = Graph()
        let context = ThreadContext.current
        let outer = context.infersShapes
        context.infersShapes = true
        defer { context.infersShapes = outer }
        return try context.recording(into: graph) {
            try context.withoutTapes {
                try body(inputs.map { graph.addInput(try $0.spec(size)) }).map(\.spec)
            }
        }
    }
    // Two sizes that no shape rule treats alike by chance: neither divides the other or a usual size.
    let first = try results(known ? 1 : 83)
    if known { return first.map { PartialSpec($0.shape.sizes, $0.type) } }
    let second = try results(89)
    return zip(first, second).map { a, b in
        PartialSpec(zip(a.shape.sizes, b.shape.sizes).map { $0 == $1 ? $0 : nil }, a.type)
    }
}

/// What a layer is called with beside its inputs by position: tensors by name (an attention mask, initial states), flags.
package struct CallOptions: Sendable {
    package var training: Bool?
    /// The names of the last inputs; those before them go by position.
    package var names: [String]
    /// What is neither a tensor nor `training`: `{"use_causal_mask": true}`.
    package var flags: JSONObject

    package init(training: Bool? = nil, names: [String] = [], flags: JSONObject = JSONObject()) {
        self.training = training
        self.names = names
        self.flags = flags
    }
}

/// One use of a layer in a model: which tensors went in, which came out.
package final class LayerNode {
    package let layer: Layer
    /// By position, then those that `options` names.
    package let inputs: [Value]
    package let options: CallOptions
    package let outputSpecs: [PartialSpec]

    package var training: Bool? { options.training }
    package var positional: ArraySlice<Value> { inputs.dropLast(options.names.count) }
    package var named: Zip2Sequence<[String], ArraySlice<Value>> {
        zip(options.names, inputs.suffix(options.names.count))
    }

    private init(_ layer: Layer, _ inputs: [Value], _ options: CallOptions, _ outputSpecs: [PartialSpec]) {
        self.layer = layer
        self.inputs = inputs
        self.options = options
        self.outputSpecs = outputSpecs
    }

    /// The node of an input: nothing goes in.
    static func input(_ layer: Layer, _ spec: PartialSpec) throws -> LayerNode {
        let node = LayerNode(layer, [], CallOptions(), [spec])
        layer.note(node)
        return node
    }

    static func record(_ layer: Layer, _ inputs: [Value], _ options: CallOptions) throws -> [Value] {
        try layer.buildIfNeeded(inputs.dropLast(options.names.count).map(\.partialShape))
        let specs = try inferOutputs(inputs.filter(\.isDeferred).map { PartialSpec($0.partialShape, $0.type) }) { standIns in
            var next = standIns.makeIterator()
            return try layer.apply(inputs.map { $0.isDeferred ? next.next()! : $0 }, options)
        }
        let node = LayerNode(layer, inputs, options, specs)
        layer.note(node)
        return node.outputs
    }

    /// Values for the outputs. They keep the node; the node does not keep them, nor does the layer keep its nodes.
    package var outputs: [Value] {
        outputSpecs.enumerated().map { index, spec in
            let tensor = KerasTensor(node: self, index: index, spec: spec)
            return Value(.deferred(tensor), TensorSpec(Shape(spec.shape.map { $0 ?? 1 }), spec.type))
        }
    }
}

/// The output of a layer in a model under construction: a shape, and where it comes from.
package final class KerasTensor: DeferredValue {
    package let node: LayerNode
    package let index: Int
    package let spec: PartialSpec

    init(node: LayerNode, index: Int, spec: PartialSpec) {
        self.node = node
        self.index = index
        self.spec = spec
    }

    package var partialShape: [Int?] { spec.shape }

    /// What tells it from other tensors; two of the same key are the same tensor.
    package struct Key: Hashable {
        let node: ObjectIdentifier
        let index: Int
    }

    package var key: Key { Key(node: ObjectIdentifier(node), index: index) }

    /// An operation on such tensors becomes a layer of the model.
    package func apply(_ operation: any Operation, to inputs: [Value]) throws -> [Value] {
        try OperationLayer(operation).apply(inputs)
    }
}

extension Value {
    package var kerasTensor: KerasTensor? {
        if case .deferred(let value) = kind { return value as? KerasTensor }
        return nil
    }
}
