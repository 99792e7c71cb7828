import DLBase
import DLGraph

/// Filters of an inception module: 1x1; 3x3 and what reduces for it; 5x5 and what reduces for it; after the pooling.
private let modules: [(name: String, filters: [Int])] = [
    ("3a", [64, 96, 128, 16, 32, 32]), ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]), ("4b", [160, 112, 224, 24, 64, 64]), ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]), ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]), ("5b", [384, 192, 384, 48, 128, 128]),
]

let googLeNet = applicationDeclaration(
    "GoogLeNet", "Nine inception modules: convolutions of several sizes side by side.",
    source: "Szegedy et al., Going deeper with convolutions, 2014; with batch normalisation: Ioffe and Szegedy, 2015",
    size: [224, 224, 3],
    arguments: [
        variantArgument(
            ["paper", "torchvision"], "paper", "paper: 5x5 convolutions, biases, local response normalisation, as in Caffe; "
                + "torchvision: 3x3 in place of 5x5, batch normalisation, no biases."),
        Argument(
            "aux_logits", .bool, false, "Whether the two auxiliary classifiers, after 4a and 4d, are outputs two and three; the paper "
                + "weighs their losses with 0.3. They are left out with the top."),
    ]
) { network in
    let torch = network.variant == "torchvision"
    func conv(_ x: Value, _ name: String, _ filters: Int, _ size: Int, strides: Int = 1, padding: JSON = "same") throws -> Value {
        guard torch else {
            return try network.conv(x, name, filters, size, strides: strides, padding: padding, activation: "relu")
        }
        let y = try network.conv(x, name, filters, size, strides: strides, padding: padding, bias: false)
        return try network.relu(network.batchNorm(y, "\(name)_bn", momentum: 0.9, epsilon: 1e-3), "\(name)_relu")
    }
    func pool(_ x: Value, _ name: String, _ size: Int = 3) throws -> Value {
        try network.pool(x, name, size, strides: 2, ceilMode: true)
    }
    func norm(_ x: Value, _ name: String) throws -> Value {
        torch ? x : try network.localResponse(x, name, alpha: 1e-4, k: 1)
    }
    func inception(_ x: Value, _ name: String, _ filters: [Int]) throws -> Value {
        let name = "inception_\(name)"
        let one = try conv(x, "\(name)_1x1", filters[0], 1)
        let three = try conv(conv(x, "\(name)_3x3_reduce", filters[1], 1), "\(name)_3x3", filters[2], 3)
        let five = try conv(conv(x, "\(name)_5x5_reduce", filters[3], 1), "\(name)_5x5", filters[4], torch ? 3 : 5)
        let pooled = try network.pool(x, "\(name)_pool", 3, strides: 1, padding: "same")
        return try network.add("Concatenate", "\(name)_output", one, three, five, conv(pooled, "\(name)_pool_proj", filters[5], 1))
    }
    func auxiliary(_ x: Value, _ name: String) throws -> Value {
        // 5x5 windows at every third place of 14x14 make 4x4, which is what other sizes give too.
        let shape = x.partialShape
        let y = !torch && shape[1] == 14 && shape[2] == 14
            ? try network.pool(x, "\(name)_pool", 5, strides: 3, average: true)
            : try network.adaptivePool(x, "\(name)_pool", 4)
        let features = try network.flatten(conv(y, "\(name)_conv", 128, 1), "\(name)_flatten")
        let hidden = try network.dropout(
            network.dense(features, "\(name)_fc", 1024, activation: "relu"), "\(name)_dropout", 0.7)
        return try network.classifier(hidden, "\(name)_predictions")
    }

    var x = try conv(network.input, "conv1", 64, 7, strides: 2, padding: 3)
    x = try norm(pool(x, "pool1"), "norm1")
    x = try conv(conv(x, "conv2_reduce", 64, 1), "conv2", 192, 3)
    x = try pool(norm(x, "norm2"), "pool2")
    var heads: [Value] = []
    let withHeads = network.includesTop && network.arguments.bool("aux_logits")
    for (name, filters) in modules {
        x = try inception(x, name, filters)
        if withHeads, name == "4a" || name == "4d" { heads.append(try auxiliary(x, "aux\(heads.count + 1)")) }
        if name == "3b" { x = try pool(x, "pool3") }
        if name == "4e" { x = try pool(x, "pool4", torch ? 2 : 3) }
    }
    guard network.includesTop else { return try network.model(network.pooled(x), name: "googlenet") }
    x = try network.add("GlobalAveragePooling2D", "pool5", x)
    x = try network.classifier(network.dropout(x, "dropout", torch ? 0.2 : 0.4), "predictions")
    return heads.isEmpty
        ? try network.model(x, name: "googlenet") : try network.model(x, heads[0], heads[1], name: "googlenet")
}
