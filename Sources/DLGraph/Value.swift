import DLBase
import DLTensor

/// What operations take and give: a tensor that is there, a variable, or a tensor that will be there when a graph runs.
package final class Value: @unchecked Sendable {
    package enum Kind {
        case concrete(Tensor)
        case variable(Variable)
        /// A value of a graph that is being recorded.
        case node(Graph, id: Int)
        /// A tensor with axes of unknown size that stands for the output of a layer in a model under construction.
        case deferred(any DeferredValue)
    }

    package let kind: Kind
    /// Axes of unknown size have a stand-in here; `partialShape` tells.
    package let spec: TensorSpec
    /// For probabilities that a softmax or a sigmoid made: what went in. Losses prefer it, being exact where
    /// probabilities have lost their digits.
    package var logits: (activation: String, value: Value)?
    /// Which time steps count, as bool (batch, steps); nil where all do. Layers pass it on beside the value, see Layer.
    package var mask: Value?
    /// The variable whose contents these are; to tapes the two are one.
    private let origin: Variable?

    package init(_ kind: Kind, _ spec: TensorSpec, origin: Variable? = nil) {
        self.kind = kind
        self.spec = spec
        self.origin = origin
    }

    package convenience init(_ tensor: Tensor) {
        self.init(.concrete(tensor), TensorSpec(tensor.shape, tensor.type))
    }

    package var shape: Shape { spec.shape }
    package var type: ElementType { spec.type }

    /// The sizes, nil where only running will tell.
    package var partialShape: [Int?] {
        if case .deferred(let value) = kind { return value.partialShape }
        return shape.sizes
    }

    /// The tensor behind the value, or an error if it has no contents yet.
    package func tensor(_ operation: String = "value") throws -> Tensor {
        switch kind {
        case .concrete(let tensor): return tensor
        case .variable(let variable): return variable.tensor
        case .node, .deferred:
            throw DLError(
                .state, "[\(operation)] a symbolic tensor has no contents: it stands for what a model will compute. "
                    + "Received: symbolic \(type.name) \(Shape.text(partialShape))")
        }
    }

    package var isSymbolic: Bool {
        switch kind {
        case .concrete, .variable: false
        case .node, .deferred: true
        }
    }

    /// What tapes know the value by: every read of a variable is the same value.
    package var key: ObjectIdentifier {
        if case .variable(let variable) = kind { return ObjectIdentifier(variable) }
        return origin.map { ObjectIdentifier($0) } ?? ObjectIdentifier(self)
    }

    /// The variable that this is or whose contents it is.
    package var sourceVariable: Variable? {
        if case .variable(let variable) = kind { return variable }
        return origin
    }

    /// The same contents as a value that tapes know nothing of.
    package func renamed() -> Value {
        let contents = snapshot
        let result = Value(contents.kind, contents.spec)
        result.mask = mask
        return result
    }

    /// What a variable holds at this moment; other values are that already. A gradient computed after the variable has
    /// changed needs the contents that the forward computation saw.
    var snapshot: Value {
        guard case .variable(let variable) = kind else { return self }
        if let graph = ThreadContext.current.recording, let id = try? graph.adopt(self) {
            return Value(.node(graph, id: id), spec, origin: variable)
        }
        return Value(.concrete(variable.tensor), spec, origin: variable)
    }
}

/// A value that answers operations by recording them itself, as the tensors of the functional API do.
package protocol DeferredValue: AnyObject {
    var partialShape: [Int?] { get }
    func apply(_ operation: any Operation, to inputs: [Value]) throws -> [Value]
}

/// A tensor that lasts and changes: a weight, an optimizer's moment, a metric's sum.
///
/// Thread-safety: that of the model it belongs to.
package final class Variable: @unchecked Sendable {
    package var name: String
    package var trainable: Bool
    /// Whether training may change it at all: false for moving averages, whatever `trainable` of its layer says.
    package var declaredTrainable: Bool
    package let spec: TensorSpec
    package private(set) var tensor: Tensor
    /// Grows with every change; caches of what was derived from the contents compare it.
    package private(set) var version = 0

    package init(_ tensor: Tensor, name: String, trainable: Bool = true) {
        self.tensor = tensor
        self.name = name
        self.trainable = trainable
        self.declaredTrainable = trainable
        self.spec = TensorSpec(tensor.shape, tensor.type)
    }

    package var shape: Shape { spec.shape }
    package var type: ElementType { spec.type }
    package var value: Value { standIn ?? Value(.variable(self), spec) }

    /// What is computed with in place of the contents for a while, by the layer that set it: a weight made from this one.
    package var standIn: Value?

    /// Gives the variable other contents. Within a recording the change happens when the graph runs, after everything
    /// has been computed. Outside, the old tensor stays as it was for those who hold it.
    package func assign(_ value: Value) throws {
        guard value.shape == shape, value.type == type else {
            throw DLError(
                value.type == type ? .shape : .dtype, "[assign] variable '\(name)' has another shape or dtype. "
                    + "Received: \(value.spec), expected: \(spec)")
        }
        if let graph = ThreadContext.current.recording {
            graph.assign(try graph.adopt(value), to: self)
            return
        }
        let tensor = try value.tensor("assign")
        // A variable never shares memory with a tensor somebody may write to.
        self.tensor = try tensor.copy()
        version &+= 1
    }

    package func assign(_ tensor: Tensor) throws { try assign(Value(tensor)) }

    /// Takes over a tensor that nobody else holds.
    package func replace(_ tensor: Tensor) {
        self.tensor = tensor
        version &+= 1
    }

    /// Called before a graph writes to the contents in place: whoever holds the tensor keeps the old contents.
    package func makeWritable() throws -> UnsafeMutableRawPointer {
        if !tensor.isUniquelyReferenced() { tensor = try tensor.copy() }
        version &+= 1
        return tensor.pointer
    }
}
