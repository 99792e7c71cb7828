import DLBase
import DLGraph
import DLOps

let resNetCIFAR = applicationDeclaration(
    "ResNetCIFAR", "The residual networks for pictures of 32x32: three stages of 16, 32 and 64 filters, shortcuts without weights.",
    formula: "depth = 6 n + 2, n blocks of two 3x3 convolutions in each stage; where the picture shrinks, the shortcut takes every "
        + "second pixel and zeros for the new channels (option A)",
    source: "He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2015, 4.2", size: [32, 32, 3], classes: 10,
    arguments: [Argument("depth", .int(8...1208), 20, "Number of layers with weights: 6 n + 2, in the paper 20, 32, 44, 56 and 110.")]
) { network in
    let depth = network.arguments.int("depth")
    guard (depth - 2) % 6 == 0 else { throw network.arguments.error("depth", "6 n + 2, such as 20, 32, 44, 56 or 110") }
    var network = network
    network.initializer = "he_normal"
    func conv(_ x: Value, _ name: String, _ filters: Int, _ strides: Int = 1) throws -> Value {
        let y = try network.conv(
            x, "\(name)_conv", filters, 3, strides: strides, padding: strides == 1 ? "same" : 1, bias: false)
        return try network.batchNorm(y, "\(name)_bn", momentum: 0.9, epsilon: 1e-5)
    }
    var x = try network.relu(conv(network.input, "conv1", 16), "conv1_relu")
    for stage in 0..<3 {
        for block in 0..<(depth - 2) / 6 {
            let name = "conv\(stage + 2)_block\(block + 1)"
            let strides = stage > 0 && block == 0 ? 2 : 1
            var y = try network.relu(conv(x, "\(name)_1", 16 << stage, strides), "\(name)_1_relu")
            y = try conv(y, "\(name)_2", 16 << stage)
            if strides == 2 {
                let half = try network.pool(x, "\(name)_half", 1, strides: 2)
                x = try pad(half, [[0, 0], [0, 0], [0, 0], [8 << (stage - 1), 8 << (stage - 1)]])
            }
            x = try network.relu(network.add("Add", "\(name)_add", x, y), "\(name)_out")
        }
    }
    let name = "resnet\(depth)_cifar"
    guard network.includesTop else { return try network.model(network.pooled(x), name: name) }
    x = try network.add("GlobalAveragePooling2D", "avg_pool", x)
    return try network.model(network.classifier(x, "predictions"), name: name)
}
