import DLBase
import DLGraph
import DLLayers
import DLTensor
import Testing

/// What configurations say wrongly, and what inputs do not fit, is refused in words that begin with the layer's name.
@Suite struct SpatialLayerTests {
    @Test(arguments: [
        ("MaxPooling1D", #"{"pool_size": 0}"#), ("MaxPooling3D", #"{"pool_size": [2, 2]}"#),
        ("AveragePooling1D", #"{"padding": "causal"}"#), ("AdaptiveMaxPooling2D", #"{"output_size": [1]}"#),
        ("AdaptiveAveragePooling3D", "{}"), ("GlobalMaxPooling1D", #"{"keepdims": 1}"#),
        ("Conv1DTranspose", #"{"filters": -1, "kernel_size": 2}"#), ("Conv1DTranspose", #"{"filters": 99999999999, "kernel_size": 2}"#),
        ("Conv3DTranspose", #"{"filters": 1, "kernel_size": 2, "output_padding": 1}"#),
        ("Conv2DTranspose", #"{"filters": 1, "kernel_size": 2, "strides": 2, "dilation_rate": 3}"#),
        ("SeparableConv1D", #"{"filters": 1, "kernel_size": 2, "depth_multiplier": 0}"#),
        ("DepthwiseConv1D", #"{"kernel_size": [2, 2]}"#), ("UpSampling2D", #"{"size": [2, -1]}"#),
        ("UpSampling2D", #"{"interpolation": "cubic"}"#), ("Cropping1D", #"{"cropping": [1, 2, 3]}"#),
        ("Cropping2D", #"{"cropping": [[1, 2]]}"#), ("Cropping3D", #"{"cropping": null}"#),
        ("ZeroPadding1D", #"{"padding": 9223372036854775807}"#), ("ZeroPadding3D", #"{"padding": [[1, 1], [1, 1], [1]]}"#),
        ("Resizing", #"{"height": 0, "width": 2}"#), ("CenterCrop", #"{"height": 2}"#),
        ("MaxUnpooling2D", #"{"strides": 0}"#), ("RandomFlip", #"{"mode": "diagonal"}"#),
        ("RandomRotation", #"{"factor": [0.1]}"#), ("RandomRotation", #"{"factor": 1e400}"#),
        ("RandomZoom", #"{"height_factor": [-1.5, 0]}"#), ("RandomTranslation", #"{"height_factor": 0.1, "width_factor": {}}"#),
        ("RandomShear", #"{"x_factor": -0.1}"#), ("RandomBrightness", #"{"factor": 0.1, "value_range": [1]}"#),
        ("RandomContrast", #"{"factor": 2}"#), ("RandomErasing", #"{"fill_value": "white"}"#), ("RandomErasing", #"{"scale": [0, 2]}"#),
        ("MixUp", #"{"alpha": 0}"#), ("CutMix", #"{"factor": [0, 1, 2]}"#), ("RandomCrop", #"{"height": -1, "width": 1}"#),
        ("Conv2D", #"{"filters": 1, "kernel_size": 1, "connection_table": [[2]]}"#),
        ("RBFOutput", #"{"units": 2, "centers": [[1], [1, 2]]}"#), ("ScaledSubsampling", #"{"pool_size": []}"#),
    ])
    func configuration(_ className: String, _ config: String) throws {
        let json = try? JSON(parsing: config)
        // A number that no double holds is refused while the text is read.
        guard let json else { return #expect(config.contains("1e400")) }
        let error = #expect(throws: DLError.self) { _ = try Layers.make(className, json) }
        #expect(error?.message.hasPrefix("[\(className)]") == true, "\(error?.message ?? "")")
    }

    @Test(arguments: [
        ("MaxPooling1D", "{}", [2, 3]), ("MaxPooling3D", "{}", [1, 4, 4, 4]), ("AveragePooling3D", "{}", [1, 1, 4, 4, 2]),
        ("MaxPooling1D", #"{"pool_size": 2147483647}"#, [1, 4, 1]), ("GlobalAveragePooling3D", "{}", [1, 2, 0, 2, 1]),
        ("GlobalMaxPooling1D", "{}", [1, 0, 1]), ("AdaptiveMaxPooling1D", #"{"output_size": 2147483647}"#, [1, 4, 1]),
        ("AdaptiveAveragePooling2D", #"{"output_size": 2}"#, [1, 0, 4, 1]),
        ("Conv1DTranspose", #"{"filters": 1, "kernel_size": 2147483647}"#, [1, 4, 1_000_000]),
        ("Conv1DTranspose", #"{"filters": 2, "kernel_size": 3, "strides": 2147483647}"#, [1, 4, 1]),
        ("Conv2DTranspose", #"{"filters": 1, "kernel_size": 2}"#, [1, 0, 4, 1]),
        ("Conv3DTranspose", #"{"filters": 1, "kernel_size": 2}"#, [1, 4, 4, 1]),
        ("SeparableConv2D", #"{"filters": 1, "kernel_size": 3}"#, [1, 2, 2, 1]), ("SeparableConv1D", #"{"filters": 1, "kernel_size": 3}"#, [1, 4, 0]),
        ("DepthwiseConv1D", #"{"kernel_size": 1, "depth_multiplier": 2147483647}"#, [1, 4, 4]),
        ("UpSampling1D", #"{"size": 2147483647}"#, [1, 2147483647, 0]), ("UpSampling3D", #"{"size": 2147483647}"#, [1, 2, 2, 2, 1]),
        ("UpSampling2D", "{}", [2, 2]), ("Cropping1D", #"{"cropping": 2147483647}"#, [1, 4, 1]), ("Cropping3D", "{}", [1, 2, 3, 3, 1]),
        ("ZeroPadding1D", #"{"padding": 2147483647}"#, [1, 4, 1 << 30]), ("ZeroPadding3D", "{}", [1, 4, 1]),
        ("Resizing", #"{"height": 2147483647, "width": 2}"#, [1, 4, 4, 1]), ("Resizing", #"{"height": 2, "width": 2}"#, [1, 0, 4, 1]),
        ("CenterCrop", #"{"height": 2, "width": 2}"#, [4, 4]), ("RandomCrop", #"{"height": 2147483647, "width": 2}"#, [1, 4, 4, 1]),
        ("RandomFlip", "{}", [4]), ("RandomHue", #"{"factor": 0.1}"#, [1, 4, 4, 2]), ("MixUp", "{}", [4, 4, 1]),
        ("ScaledSubsampling", "{}", [1, 1, 1, 1]), ("RBFOutput", #"{"units": 2}"#, [1, 2, 3]),
    ])
    func input(_ className: String, _ config: String, _ sizes: [Int]) throws {
        let layer = try Layers.make(className, JSON(parsing: config))
        // Symbolic where the input alone would fill the memory.
        let count = sizes.reduce(1.0) { $0 * Double($1) }
        let error = #expect(throws: DLError.self) {
            if count > 1e6 {
                _ = try layer.outputSpecs(for: [PartialSpec(sizes, .float32)], training: true)
            } else {
                _ = try layer.apply([Value(Tensor(zeros: Shape(checked: sizes), .float32))], training: true)
            }
        }
        let message = error?.message ?? ""
        #expect(message.contains("Received") || message.contains("out of memory"), "\(message)")
    }
}
