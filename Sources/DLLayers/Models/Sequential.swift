import DLBase
import DLGraph
import DLTensor

/// A stack of layers, each with one input and one output.
///
/// It is built as soon as the shape of its input is known: from an Input at the bottom, from `input_shape` of the first
/// layer, or from the first call.
package final class Sequential: Model {
    private var stack: [Layer] = []

    package init(name: String? = nil) { super.init(className: "Sequential", name: name) }

    override package var inputCount: Int? { 1 }

    /// Puts a layer on top. Nothing changes if it does not fit.
    package func add(_ layer: Layer) throws {
        guard layer !== self else { throw DLError(.argument, "[Sequential] a model cannot be added to itself") }
        guard !stack.contains(where: { $0 === layer || $0.name == layer.name }) else {
            throw DLError(
                .argument, "[Sequential] model '\(name)' has a layer called '\(layer.name)' already; names must differ")
        }
        guard !(layer is InputLayer && !stack.isEmpty) else {
            throw DLError(.argument, "[Sequential] an Input must be the first layer of model '\(name)'")
        }
        if stack.isEmpty {
            if let input = layer as? InputLayer {
                base = try input.output()
                stack = [layer]
                version += 1
                return
            }
            if let shape = layer.declaredInputShape {
                let input = try InputLayer.make(shape: shape, type: .float32)
                try chain([layer], from: input)
                stack = [layer]
                return
            }
            if let model = layer as? Model, model.inputs.count == 1 {
                let spec = PartialSpec(model.inputs[0].partialShape, model.inputs[0].type)
                try chain([layer], from: InputLayer.make(partial: spec))
                stack = [layer]
                return
            }
        } else if let top = outputs.first ?? base, let bottom = inputs.first ?? base {
            try connectOnTop(layer, top, bottom)
            stack.append(layer)
            return
        }
        stack.append(layer)
        layers = stack
        version += 1
    }

    /// The symbolic input while there is no layer above it.
    private var base: Value?

    private func connectOnTop(_ layer: Layer, _ top: Value, _ bottom: Value) throws {
        let results = try layer.apply([top])
        guard results.count == 1 else {
            throw DLError(
                .argument, "[Sequential] layer '\(layer.name)' has \(results.count) outputs; a stack takes layers with one. "
                    + "Use the functional API")
        }
        try connect([bottom], results)
    }

    private func chain(_ layers: [Layer], from input: Value) throws {
        var top = input
        for layer in layers {
            let results = try layer.apply([top])
            guard results.count == 1 else {
                throw DLError(
                    .argument, "[Sequential] layer '\(layer.name)' has \(results.count) outputs; a stack takes layers "
                        + "with one. Use the functional API")
            }
            top = results[0]
        }
        try connect([input], [top])
    }

    /// Takes the top layer off.
    package func pop() throws {
        guard !stack.isEmpty else { throw DLError(.state, "[Sequential] model '\(name)' has no layers") }
        let rest = Array(stack.dropLast())
        if let input = inputs.first, let bottom = rest.first {
            if rest.count == 1, bottom is InputLayer {
                clear()
                base = input
            } else {
                try chain(rest.filter { !($0 is InputLayer) }, from: input)
            }
        } else {
            clear()
        }
        stack = rest
        if inputs.isEmpty { layers = rest }
        version += 1
    }

    private func clear() {
        inputs = []
        outputs = []
        graph = []
        layers = []
        base = nil
    }

    override package func buildIfNeeded(_ shapes: [[Int?]]) throws {
        guard inputs.isEmpty else { return try super.buildIfNeeded(shapes) }
        guard !stack.isEmpty else { throw DLError(.state, "[Sequential] model '\(name)' has no layers") }
        guard let shape = shapes.first, !shape.isEmpty else {
            throw DLError(.shape, "[Sequential] model '\(name)' needs an input with a batch axis")
        }
        // The batch may have any size later.
        let input = try base ?? InputLayer.make(partial: PartialSpec([nil] + shape.dropFirst(), .float32))
        let context = ThreadContext.current
        try context.recording(into: nil) {
            try context.withoutTapes { try chain(stack.filter { !($0 is InputLayer) }, from: input) }
        }
        try checkInput(shapes)
    }

    /// The layers as they were added; an Input made from a shape is not one of them.
    package var stackedLayers: [Layer] { stack }

    override func connect(_ inputs: [Value], _ outputs: [Value]) throws {
        try super.connect(inputs, outputs)
        layers = layers.filter { !($0 is InputLayer) }
    }
}

extension Layer {
    /// From the arguments `input_shape` or `input_dim`, without the batch axis.
    var declaredInputShape: [Int?]? {
        // To an embedding the name means something else.
        if !(self is Embedding), let size = arguments.optionalInt("input_dim") { return [size] }
        return arguments.has("input_shape") ? arguments.shape("input_shape") : nil
    }
}
