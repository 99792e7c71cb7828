import DLBase
import DLGraph
import DLOps

/// The operations that Keras has as classes, so that a model with operations between its layers can be written in its form.
enum KerasOperations {
    private static let modules: [(module: String, names: String)] = [
        (
            "numpy",
            """
            abs add all any append arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort array_split average \
            bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_to cbrt ceil clip concatenate copy corrcoef correlate cos cosh \
            count_nonzero cross cumprod cumsum deg2rad diag diagflat diagonal diff digitize divide divide_no_nan dot dstack einsum \
            equal exp exp2 expand_dims expm1 flip fliplr flipud floor floor_divide fmax fmin fmod gcd greater greater_equal \
            heaviside hstack hypot inner isfinite isinf isnan isneginf isposinf kron lcm ldexp left_shift less less_equal log log10 \
            log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul max maximum mean median \
            meshgrid min minimum mod moveaxis multiply nan_to_num nanmax nanmean nanmin nanprod nanstd nansum nanvar negative \
            not_equal ones_like outer power prod ptp rad2deg ravel reciprocal repeat reshape right_shift roll rot90 round sign \
            sin sinc sinh sort split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot \
            tile trace transpose tril triu trunc var vdot vstack where zeros_like
            """
        ),
        (
            "nn",
            """
            adaptive_average_pool adaptive_max_pool average_pool binary_crossentropy categorical_crossentropy celu conv \
            conv_transpose depthwise_conv elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid \
            log_softmax max_pool moments multi_hot normalize one_hot relu relu6 selu separable_conv sigmoid silu soft_shrink \
            softmax softplus softsign squareplus tanh_shrink threshold
            """
        ),
        ("math", "erf erfc erfinv logsumexp rsqrt segment_max segment_min segment_prod segment_sum top_k"),
        ("core", "cast saturate_cast scatter scatter_update stop_gradient unstack"),
        ("image", "crop_images extract_patches gaussian_blur pad_images resize"),
        ("linalg", "norm"),
    ]

    private static let places: [String: String] = Dictionary(
        modules.flatMap { entry in entry.names.split(separator: " ").map { (String($0), "keras.src.ops.\(entry.module)") } },
        uniquingKeysWith: { first, _ in first })

    /// Attributes beyond Keras's.
    private static let own = [
        "matmul": ["transpose_a", "transpose_b"], "cumsum": ["reverse"], "cumprod": ["reverse"], "sort": ["descending"],
        "argsort": ["descending"], "take": ["from_end"], "average": ["keepdims"],
    ]

    /// Where Keras has the operation, its class and the attributes; nil where it has none that does the same.
    static func form(_ operation: any Operation) -> (module: String, className: String, attributes: JSONObject)? {
        guard let module = places[operation.name], let declaration = Operations.registry.find(operation.name) else { return nil }
        var attributes = operation.attributes.objectValue ?? JSONObject()
        for name in own[operation.name] ?? [] {
            let value = attributes[name] ?? .null
            let usual = declaration.arguments.first { $0.name == name }?.defaultValue ?? .null
            guard value.isNull || value == usual else { return nil }
            attributes[name] = nil
        }
        return (module, className(operation.name), attributes)
    }

    static func className(_ name: String) -> String {
        name.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }

    static func name(_ className: String) -> String {
        var name = ""
        for character in className {
            if character.isUppercase, !name.isEmpty { name.append("_") }
            name.append(contentsOf: character.lowercased())
        }
        return name
    }
}
