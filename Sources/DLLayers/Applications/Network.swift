import DLBase
import DLGraph
import DLTensor

/// Puts layers one after another while a network is described.
struct Network {
    let arguments: Arguments
    let input: Value
    /// How kernels of convolutions begin.
    var initializer: JSON = "glorot_uniform"

    init(_ arguments: Arguments, size: [Int]) throws {
        self.arguments = arguments
        let shape = arguments.has("input_shape") ? arguments.shape("input_shape") : size
        guard shape.count == 3, let channels = shape[2], channels > 0, shape.allSatisfy({ $0.map { $0 > 0 } ?? true }) else {
            throw arguments.error("input_shape", "three sizes of at least 1: height, width and channels")
        }
        input = try InputLayer.make(shape: shape, type: .float32)
    }

    var variant: String { arguments.string("variant") }
    var includesTop: Bool { arguments.bool("include_top") }

    // MARK: Layers

    func layer(_ className: String, _ name: String, _ config: JSONObject = JSONObject()) throws -> Layer {
        var config = config
        config["name"] = .string(name)
        return try Layers.make(className, .object(config))
    }

    func add(_ className: String, _ name: String, _ inputs: Value..., config: JSONObject = JSONObject()) throws -> Value {
        try layer(className, name, config).apply(inputs)[0]
    }

    func conv(
        _ x: Value, _ name: String, _ filters: Int, _ size: Int, strides: Int = 1, padding: JSON = "same", bias: Bool = true,
        groups: Int = 1, activation: JSON = .null
    ) throws -> Value {
        var config = JSONObject()
        config["filters"] = .int(Int64(filters))
        config["kernel_size"] = .int(Int64(size))
        config["strides"] = .int(Int64(strides))
        config["padding"] = padding
        config["use_bias"] = .bool(bias)
        config["groups"] = .int(Int64(groups))
        config["activation"] = activation
        config["kernel_initializer"] = initializer
        return try add("Conv2D", name, x, config: config)
    }

    func batchNorm(_ x: Value, _ name: String, momentum: Double, epsilon: Double) throws -> Value {
        var config = JSONObject()
        config["momentum"] = .double(momentum)
        config["epsilon"] = .double(epsilon)
        return try add("BatchNormalization", name, x, config: config)
    }

    func relu(_ x: Value, _ name: String) throws -> Value {
        try add("Activation", name, x, config: JSONObject([("activation", "relu")]))
    }

    func pool(
        _ x: Value, _ name: String, _ size: Int, strides: Int, padding: JSON = "valid", ceilMode: Bool = false,
        average: Bool = false
    ) throws -> Value {
        var config = JSONObject()
        config["pool_size"] = .int(Int64(size))
        config["strides"] = .int(Int64(strides))
        config["padding"] = padding
        config["ceil_mode"] = .bool(ceilMode)
        return try add(average ? "AveragePooling2D" : "MaxPooling2D", name, x, config: config)
    }

    func zeroPad(_ x: Value, _ name: String, _ amount: Int) throws -> Value {
        try add("ZeroPadding2D", name, x, config: JSONObject([("padding", .int(Int64(amount)))]))
    }

    /// Constants of the AlexNet paper, or those of Caffe's networks.
    func localResponse(_ x: Value, _ name: String, alpha: Double = 5e-4, k: Double = 2) throws -> Value {
        try add("LocalResponseNormalization", name, x, config: JSONObject([("alpha", .double(alpha)), ("k", .double(k))]))
    }

    func adaptivePool(_ x: Value, _ name: String, _ size: Int) throws -> Value {
        try add("AdaptiveAveragePooling2D", name, x, config: JSONObject([("output_size", .int(Int64(size)))]))
    }

    func dropout(_ x: Value, _ name: String, _ rate: Double) throws -> Value {
        try add("Dropout", name, x, config: JSONObject([("rate", .double(rate))]))
    }

    func dense(_ x: Value, _ name: String, _ units: Int, activation: JSON = .null, initializer: JSON = "glorot_uniform") throws -> Value {
        try add(
            "Dense", name, x,
            config: JSONObject([
                ("units", .int(Int64(units))), ("activation", activation), ("kernel_initializer", initializer),
            ]))
    }

    func flatten(_ x: Value, _ name: String = "flatten") throws -> Value { try add("Flatten", name, x) }

    // MARK: Ends

    /// The layer that gives the classes.
    func classifier(_ x: Value, _ name: String, initializer: JSON = "glorot_uniform") throws -> Value {
        try dense(
            x, name, arguments.int("classes"), activation: arguments["classifier_activation"], initializer: initializer)
    }

    /// What a network without a top ends with.
    func pooled(_ x: Value) throws -> Value {
        switch arguments.optionalString("pooling") {
        case "avg": try add("GlobalAveragePooling2D", "avg_pool", x)
        case "max": try add("GlobalMaxPooling2D", "max_pool", x)
        default: x
        }
    }

    func model(_ outputs: Value..., name: String) throws -> Model {
        try Model(inputs: [input], outputs: outputs, name: arguments.optionalString("name") ?? Naming.unique(name))
    }

    /// Normally distributed with variance 2 / fan_out, which keeps gradients from growing (He et al., 2015).
    static let heFanOut: JSON = [
        "class_name": "VarianceScaling",
        "config": ["scale": 2, "mode": "fan_out", "distribution": "untruncated_normal"],
    ]

    static func normal(_ deviation: Double) -> JSON {
        ["class_name": "RandomNormal", "config": ["stddev": .double(deviation)]]
    }

    /// Uniform in +-1 / sqrt(fan_in), what torch gives its layers.
    static let torchUniform: JSON = [
        "class_name": "VarianceScaling", "config": ["scale": .double(1.0 / 3), "mode": "fan_in", "distribution": "uniform"],
    ]
}
