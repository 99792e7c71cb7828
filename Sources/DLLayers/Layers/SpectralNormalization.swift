import DLBase
import DLGraph
import DLOps
import DLTensor

/// Keeps the largest singular value of another layer's kernel at 1.
package final class SpectralNormalization: Layer {
    static let declaration = layerDeclaration(
        "SpectralNormalization",
        "Divides the kernel of the layer inside by its largest singular value in every training step, so that the layer "
            + "cannot enlarge differences.",
        formula: "v = u W' / |u W'|, u = v W / |v W|, power_iterations times; W := W / (v W u')",
        source: "Miyato et al., Spectral normalization for generative adversarial networks, 2018; Keras, "
            + "keras.layers.SpectralNormalization",
        shapes: "input and output as the layer inside has them; vector_u (1, last size of the kernel)",
        example: """
            local dl = require "dl"
            local layer = dl.layers.SpectralNormalization{ dl.layers.Dense{ 3 } }
            print(layer(dl.ones{ 2, 4 }, { training = true }).shape)
            """,
        arguments: [
            Argument("layer", .object(category: "layer"), nil, "The layer inside; it must have a kernel or embeddings."),
            Argument("power_iterations", .int(1...10000), 1, "How often the estimate of the singular vectors is improved in a step."),
        ]
    ) { try SpectralNormalization(checked: $0) }

    private let layer: Layer
    private var kernel: Variable!
    private var vector: Variable!

    init(checked arguments: Arguments) throws {
        layer = try Layer.nested(arguments["layer"], arguments.owner)
        super.init(arguments)
    }

    override package var inputCount: Int? { layer.inputCount }
    override package var sublayers: [Layer] { [layer] }

    /// Keras counts the kernel among the wrapper's own weights.
    override package func collectOrdered() -> [Variable] {
        (kernel.map { [$0] } ?? []) + super.collectOrdered()
    }

    override package func config() throws -> JSONObject {
        var values = try super.config()
        values["layer"] = try layer.serialized()
        return values
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try layer.buildIfNeeded(inputShapes)
        guard let found = layer.weights.map(\.variable).first(where: { ["kernel", "embeddings"].contains($0.name) }),
            found.shape.rank >= 2
        else {
            throw DLError(
                .argument, "[SpectralNormalization] the layer inside must have a weight 'kernel' or 'embeddings'. "
                    + "Received: \(layer.className)")
        }
        kernel = found
        vector = try addWeight(
            "vector_u", [1, found.shape.last],
            Initializers.registry.make(["class_name": "TruncatedNormal", "config": ["stddev": 0.02]]), trainable: false,
            type: found.type)
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try layer.checkInput(shapes) }

    /// The layer inside works with the scaled kernel, and gradients go through the scaling; what it works with is kept, so
    /// that inference sees it too.
    override package func call(_ given: CallInputs) throws -> [Value] {
        guard given.training else { return try layer.apply(given.inputs, training: false) }
        let scaled = try normalized()
        let outer = kernel.standIn
        kernel.standIn = scaled
        defer { kernel.standIn = outer }
        return try layer.apply(given.inputs, training: true)
    }

    private func normalized() throws -> Value {
        let context = ThreadContext.current
        let weights = try reshape(kernel.value, [-1, kernel.shape.last])
        let old = vector.value
        let (u, v) = try context.withoutTapes {
            let flipped = try transpose(weights, [1, 0])
            var (u, v) = (old, old)
            for _ in 0..<arguments.int("power_iterations") {
                v = try unit(matmul(u, flipped))
                u = try unit(matmul(v, weights))
            }
            return (u, v)
        }
        let sigma = try reshape(matmul(matmul(v, weights), transpose(u, [1, 0])), [])
        // A kernel of zeros has no direction and stays what it is.
        let empty = try context.withoutTapes { try equal(sum(abs(weights)), constant(0, like: weights)) }
        let scaled = try divide(kernel.value, `where`(empty, constant(1, like: sigma), sigma))
        try vector.assign(`where`(empty, old, u))
        try kernel.assign(scaled)
        return scaled
    }

    private func unit(_ x: Value) throws -> Value {
        try multiply(x, rsqrt(maximum(sum(square(x)), constant(1e-14, like: x))))
    }
}
