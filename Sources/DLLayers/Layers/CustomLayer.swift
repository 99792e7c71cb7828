import DLBase
import DLGraph
import DLOps
import DLTensor
import Synchronization

/// A layer whose computation is written by the user of the library, in a script or in C.
package final class CustomLayer: Layer {
    package struct Functions {
        package let build: ((Layer, [[Int?]]) throws -> Void)?
        package let call: (Layer, [Value], Bool) throws -> [Value]

        package init(
            build: ((Layer, [[Int?]]) throws -> Void)?,
            call: @escaping (Layer, [Value], Bool) throws -> [Value]
        ) {
            self.build = build
            self.call = call
        }
    }

    private let functions: Functions
    private var inner: [Layer] = []

    /// `config` is kept and given back; of it the layer itself looks at `name`, `trainable` and `dtype`.
    package init(className: String, config: JSONObject, functions: Functions) throws {
        self.functions = functions
        if let name = config["name"], name.stringValue == nil, !name.isNull {
            throw DLError(.argument, "[\(className)] 'name' must be text. Received: \(name.canonicalText)")
        }
        super.init(Arguments(owner: className, values: config))
    }

    override package var inputCount: Int? { nil }
    override package var sublayers: [Layer] { inner }

    override package func track(_ layers: [Layer]) throws {
        try refuseItself(layers)
        inner = layers
    }

    override package var supportsMasking: Bool { arguments.bool("supports_masking") }

    override package func build(_ inputShapes: [[Int?]]) throws { try functions.build?(self, inputShapes) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        try functions.call(self, inputs, training)
    }
}

/// Classes of layers that users have registered, so that saved models find them.
package enum CustomLayers {
    package typealias Factory = @Sendable (JSON) throws -> Layer

    private static let factories = Mutex<[String: Factory]>([:])

    package static func register(_ className: String, _ factory: Factory?) {
        factories.withLock { $0[className] = factory }
    }

    package static func factory(_ className: String) -> Factory? { factories.withLock { $0[className] } }

    package static var names: [String] { factories.withLock { $0.keys.sorted() } }
}
