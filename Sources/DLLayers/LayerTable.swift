import DLBase
import DLGraph

/// Every layer that has a name. Constructors, JSON, documents and tests iterate this list.
package enum Layers {
    package static let registry = Registry<Layer>(
        "layer",
        [
            core, convolution, pooling, geometry, augmentation, activation, regularization, normalization, merging, recurrent,
            attention, encoding, products,
        ].flatMap { $0 }, beyondKeras: beyondKeras)

    private static let beyondKeras: [Declaration<Layer>] = [
        RBFOutput.declaration, OperationLayer.declaration, ScaledSubsampling.declaration, MaxUnpooling2D.declaration,
        DenseTied.declaration, Conv2DTied.declaration, Perceptron.declaration, LocalResponseNormalization.declaration,
    ]

    private static let core: [Declaration<Layer>] = [
        InputLayer.declaration, Dense.declaration, Identity.declaration,
    ]
    private static let convolution: [Declaration<Layer>] = [
        Conv1D.declaration, Conv2D.declaration, Conv3D.declaration,
    ] + ConvolutionTranspose.declarations + DepthwiseConvolution.declarations + SeparableConvolution.declarations
    private static let pooling: [Declaration<Layer>] = [
        MaxPooling2D.declaration, AveragePooling2D.declaration,
    ] + SpatialPooling.maximumDeclarations + SpatialPooling.averageDeclarations + GlobalAveragePooling.declarations
        + GlobalMaxPooling.declarations + AdaptivePooling.declarations
    private static let geometry: [Declaration<Layer>] = [
        ZeroPadding2D.declaration, Flatten.declaration, Reshape.declaration, Rescaling.declaration,
        Resizing.declaration, CenterCrop.declaration,
    ] + ZeroPadding.declarations + UpSampling.declarations + Cropping.declarations
    private static let augmentation: [Declaration<Layer>] = [
        RandomFlip.declaration, RandomRotation.declaration, RandomTranslation.declaration, RandomZoom.declaration,
        RandomShear.declaration, RandomCrop.declaration, RandomBrightness.declaration, RandomContrast.declaration,
        RandomHue.declaration, RandomSaturation.declaration, RandomGrayscale.declaration, RandomErasing.declaration,
        CutMix.declaration, MixUp.declaration, AutoContrast.declaration, Equalization.declaration, Solarization.declaration,
        RandomPosterization.declaration, RandomGaussianBlur.declaration, RandomSharpness.declaration,
        RandomColorDegeneration.declaration, RandomInvert.declaration, RandomColorJitter.declaration, RandAugment.declaration,
        Pipeline.declaration,
    ]
    private static let activation: [Declaration<Layer>] = [
        Activation.declaration, ReLU.declaration, Softmax.declaration, LeakyReLU.declaration, ELU.declaration,
        PReLU.declaration,
    ]
    private static let regularization: [Declaration<Layer>] = [
        Dropout.declaration, GaussianDropout.declaration, GaussianNoise.declaration, AlphaDropout.declaration,
        ActivityRegularization.declaration,
    ] + SpatialDropout.declarations
    private static let attention: [Declaration<Layer>] = [
        Attention.declaration, AdditiveAttention.additiveDeclaration, MultiHeadAttention.declaration,
        GroupQueryAttention.declaration,
    ]
    private static let products: [Declaration<Layer>] = [EinsumDense.declaration]
    private static let encoding: [Declaration<Layer>] = [CategoryEncoding.declaration, Discretization.declaration]
    private static let normalization: [Declaration<Layer>] = [
        BatchNormalization.declaration, LayerNormalization.declaration,
        RMSNormalization.declaration, GroupNormalization.declaration, UnitNormalization.declaration,
        SpectralNormalization.declaration, Normalization.declaration,
    ]
    private static let merging: [Declaration<Layer>] = [
        Add.declaration, Subtract.declaration, Multiply.declaration, Average.declaration, Maximum.declaration,
        Minimum.declaration, Concatenate.declaration, Dot.declaration,
    ]

    private static let recurrent: [Declaration<Layer>] = [
        SimpleRNN.declaration, LSTM.declaration, GRU.declaration, ConvLSTM2D.declaration, RNN.declaration,
        SimpleRNNCell.declaration,
        LSTMCell.declaration, GRUCell.declaration, StackedRNNCells.declaration, Bidirectional.declaration,
        Wrapper.declaration, TimeDistributed.timeDeclaration, Masking.declaration, Embedding.declaration,
        RepeatVector.declaration, Permute.declaration,
    ]

    package static func make(_ className: String, _ config: JSON = .null) throws -> Layer {
        try registry.declaration(className).make(config: config)
    }

    /// Runs `body`, which makes a layer around others: {"class_name": "__layer__", "config": {"index": 0}} in a
    /// configuration stands for the first of them, itself and not a copy.
    package static func lending<R>(_ layers: [Layer], _ body: () throws -> R) rethrows -> R {
        let context = ThreadContext.current
        let outer = context.lent
        context.lent = layers
        defer { context.lent = outer }
        return try body()
    }

    /// A configuration in which whatever has a class is in Keras's form.
    static func form(_ className: String, _ config: JSONObject) -> JSONObject {
        guard let declaration = registry.find(className) else { return config }
        var config = config
        for argument in declaration.arguments {
            guard let category = argument.kind.category, let given = config[argument.name],
                let inner = given["class_name"]?.stringValue, given["module"] == nil
            else { continue }
            let values = given["config"] ?? [:]
            config[argument.name] = switch category {
            case "initializer": Initializers.registry.form(inner, values)
            case "regularizer": Regularizers.registry.form(inner, values)
            case "constraint": Constraints.registry.form(inner, values)
            default: given
            }
        }
        return config
    }
}

/// The arguments that all layers have.
private let commonArguments: [Argument] = [
    Argument("name", .optional(.string), .null, "The layer's name; made from the class's where none is given."),
    Argument("trainable", .bool, true, "Whether training changes the weights."),
    Argument("dtype", .optional(.dtype), .null, "Element type of weights and results; float32 where none is given."),
    Argument("input_shape", .optional(.shape), .null, "For the first layer of a Sequential: sizes of the input without the batch."),
    Argument("input_dim", .optional(.int(Argument.positive)), .null, "The same for inputs with one axis."),
    regularizerArgument("activity"),
]

/// A layer's declaration: its own arguments, then the common ones.
func layerDeclaration(
    _ name: String, aliases: [String] = [], _ summary: String, formula: String = "", source: String = "",
    shapes: String, example: String, arguments: [Argument] = [], make: @escaping @Sendable (Arguments) throws -> Layer
) -> Declaration<Layer> {
    Declaration(
        name, aliases: aliases, summary, formula: formula, source: source, shapes: shapes, example: example,
        arguments: arguments + commonArguments.filter { common in !arguments.contains { $0.name == common.name } }
    ) { arguments in
        let layer = try make(arguments)
        try layer.setActivityRegularizer()
        return layer
    }
}

func initializerArgument(_ weight: String, _ defaultName: String) -> Argument {
    Argument("\(weight)_initializer", .object(category: "initializer"), .string(defaultName), "First contents of the \(weight).")
}

func regularizerArgument(_ weight: String) -> Argument {
    Argument(
        "\(weight)_regularizer", .optional(.object(category: "regularizer")), .null,
        weight == "activity" ? "Penalty on the output, as part of the loss." : "Penalty on the \(weight).")
}

func constraintArgument(_ weight: String) -> Argument {
    Argument("\(weight)_constraint", .optional(.object(category: "constraint")), .null, "Projection of the \(weight) after updates.")
}

let activationArgument = Argument(
    "activation", .optional(.object(category: "activation")), .null, "Function applied to the result; none where null.")

let dataFormatArgument = Argument(
    "data_format", .optional(.choice(["channels_last", "channels_first"])), .null,
    "Whether channels are the last axis, the default, or the second.")
