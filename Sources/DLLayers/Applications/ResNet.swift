import DLBase
import DLGraph

private let source = "He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, table 1"

private let variantText =
    "keras: biases in the convolutions, epsilon 1.001e-5, the stride of a block in its first convolution, zeros around pictures as "
    + "layers of their own; torchvision: no biases, epsilon 1e-5, the stride in the 3x3 convolution."

/// Blocks in each of the four stages.
private let stages: [Int: [Int]] = [
    18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3],
]

func resNet(_ name: String, _ depth: Int) -> Declaration<Model> {
    applicationDeclaration(
        name, "A residual network of \(depth) layers with weights.", source: source, size: [224, 224, 3],
        arguments: [variantArgument(["keras", "torchvision"], depth < 50 ? "torchvision" : "keras", variantText)]
    ) { try residual($0, depth) }
}

let resNet = applicationDeclaration(
    "ResNet", "A residual network of a depth of your choice.", source: source, size: [224, 224, 3],
    arguments: [
        Argument("depth", .int(18...152), 50, "Number of layers with weights: 18, 34, 50, 101 or 152."),
        variantArgument(["keras", "torchvision"], nil, variantText + " Null: torchvision below 50 layers, else keras."),
    ]
) { try residual($0, $0.arguments.int("depth")) }

/// What the two conventions do differently.
private struct Convention {
    let network: Network
    let keras: Bool

    func conv(_ x: Value, _ name: String, _ filters: Int, _ size: Int, strides: Int = 1) throws -> Value {
        // At stride 1 "same" surrounds the picture evenly; at stride 2 it would not.
        let amount = size / 2
        guard strides > 1, amount > 0 else {
            return try network.conv(x, "\(name)_conv", filters, size, strides: strides, padding: size == 1 ? "valid" : "same", bias: keras)
        }
        guard keras else {
            return try network.conv(
                x, "\(name)_conv", filters, size, strides: strides, padding: .int(Int64(amount)), bias: false)
        }
        let padded = try network.zeroPad(x, "\(name)_pad", amount)
        return try network.conv(padded, "\(name)_conv", filters, size, strides: strides, padding: "valid")
    }

    func norm(_ x: Value, _ name: String) throws -> Value {
        try network.batchNorm(x, "\(name)_bn", momentum: keras ? 0.99 : 0.9, epsilon: keras ? 1.001e-5 : 1e-5)
    }
}

private func residual(_ network: Network, _ depth: Int) throws -> Model {
    guard let counts = stages[depth] else { throw network.arguments.error("depth", "18, 34, 50, 101 or 152") }
    var network = network
    let keras = (network.arguments.optionalString("variant") ?? (depth < 50 ? "torchvision" : "keras")) == "keras"
    if !keras { network.initializer = Network.heFanOut }
    let convention = Convention(network: network, keras: keras)
    let bottleneck = depth >= 50

    var x = try convention.norm(convention.conv(network.input, "conv1", 64, 7, strides: 2), "conv1")
    x = try network.relu(x, "conv1_relu")
    if keras {
        x = try network.pool(network.zeroPad(x, "pool1_pad", 1), "pool1_pool", 3, strides: 2)
    } else {
        x = try network.pool(x, "pool1_pool", 3, strides: 2, padding: 1)
    }
    for (stage, count) in counts.enumerated() {
        let filters = 64 << stage
        for block in 0..<count {
            let name = "conv\(stage + 2)_block\(block + 1)"
            let strides = stage > 0 && block == 0 ? 2 : 1
            let widens = block == 0 && (bottleneck || stage > 0)
            x = try bottleneck
                ? deepBlock(convention, x, name, filters, strides, widens) : basicBlock(convention, x, name, filters, strides, widens)
        }
    }
    let modelName = "resnet\(depth)"
    guard network.includesTop else { return try network.model(network.pooled(x), name: modelName) }
    x = try network.add("GlobalAveragePooling2D", "avg_pool", x)
    return try network.model(
        network.classifier(x, "predictions", initializer: keras ? "glorot_uniform" : Network.torchUniform), name: modelName)
}

private func shortcut(
    _ convention: Convention, _ x: Value, _ name: String, _ filters: Int, _ strides: Int, _ widens: Bool
) throws -> Value {
    guard widens else { return x }
    return try convention.norm(convention.conv(x, "\(name)_0", filters, 1, strides: strides), "\(name)_0")
}

private func joined(_ convention: Convention, _ a: Value, _ b: Value, _ name: String) throws -> Value {
    try convention.network.relu(convention.network.add("Add", "\(name)_add", a, b), "\(name)_out")
}

/// Two 3x3 convolutions.
private func basicBlock(
    _ convention: Convention, _ x: Value, _ name: String, _ filters: Int, _ strides: Int, _ widens: Bool
) throws -> Value {
    let direct = try shortcut(convention, x, name, filters, strides, widens)
    var y = try convention.norm(convention.conv(x, "\(name)_1", filters, 3, strides: strides), "\(name)_1")
    y = try convention.network.relu(y, "\(name)_1_relu")
    y = try convention.norm(convention.conv(y, "\(name)_2", filters, 3), "\(name)_2")
    return try joined(convention, direct, y, name)
}

/// 1x1 to few channels, 3x3, 1x1 to four times as many.
private func deepBlock(
    _ convention: Convention, _ x: Value, _ name: String, _ filters: Int, _ strides: Int, _ widens: Bool
) throws -> Value {
    let first = convention.keras ? strides : 1
    let direct = try shortcut(convention, x, name, 4 * filters, strides, widens)
    var y = try convention.norm(convention.conv(x, "\(name)_1", filters, 1, strides: first), "\(name)_1")
    y = try convention.network.relu(y, "\(name)_1_relu")
    y = try convention.norm(convention.conv(y, "\(name)_2", filters, 3, strides: strides / first), "\(name)_2")
    y = try convention.network.relu(y, "\(name)_2_relu")
    y = try convention.norm(convention.conv(y, "\(name)_3", 4 * filters, 1), "\(name)_3")
    return try joined(convention, direct, y, name)
}
