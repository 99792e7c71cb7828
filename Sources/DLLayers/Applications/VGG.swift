import DLBase
import DLGraph

/// Filters of each block of 3x3 convolutions; C ends its last three blocks with 1x1.
private func blocks(_ configuration: String) -> [[(filters: Int, size: Int)]] {
    func same(_ counts: [Int]) -> [[(filters: Int, size: Int)]] {
        zip([64, 128, 256, 512, 512], counts).map { filters, count in Array(repeating: (filters, 3), count: count) }
    }
    switch configuration {
    case "A", "A-LRN": return same([1, 1, 2, 2, 2])
    case "B": return same([2, 2, 2, 2, 2])
    case "C": return same([2, 2, 2, 2, 2]).enumerated().map { $0 < 2 ? $1 : $1 + [($1[0].filters, 1)] }
    case "D": return same([2, 2, 3, 3, 3])
    default: return same([2, 2, 4, 4, 4])
    }
}

func vgg(_ name: String, _ aliases: [String], _ configuration: String, _ what: String) -> Declaration<Model> {
    applicationDeclaration(
        name, aliases: aliases, "Stacks of small convolutions: \(what).",
        source: "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, 2014, table 1",
        size: [224, 224, 3],
        arguments: [
            variantArgument(
                ["keras", "torchvision"], "keras", "Names and parts as there: torchvision averages to 7x7 before the dense layers, "
                    + "drops half of their results while training, and begins with wider random weights."),
            Argument("batch_normalization", .bool, false, "Whether each convolution is normalised."),
        ]
    ) { network in
        var network = network
        let torch = network.variant == "torchvision"
        let normalizes = network.arguments.bool("batch_normalization")
        if torch { network.initializer = Network.heFanOut }
        var x = network.input
        for (index, block) in blocks(configuration).enumerated() {
            let prefix = "block\(index + 1)"
            for (place, part) in block.enumerated() {
                let name = "\(prefix)_conv\(place + 1)"
                x = try network.conv(x, name, part.filters, part.size, activation: normalizes ? .null : "relu")
                if normalizes {
                    x = try network.batchNorm(x, "\(prefix)_bn\(place + 1)", momentum: torch ? 0.9 : 0.99, epsilon: torch ? 1e-5 : 1e-3)
                    x = try network.relu(x, "\(prefix)_relu\(place + 1)")
                }
                if configuration == "A-LRN", index == 0 { x = try network.localResponse(x, "\(prefix)_lrn") }
            }
            x = try network.pool(x, "\(prefix)_pool", 2, strides: 2)
        }
        let modelName = name.lowercased() + (normalizes ? "_bn" : "")
        guard network.includesTop else { return try network.model(network.pooled(x), name: modelName) }
        let initializer: JSON = torch ? Network.normal(0.01) : "glorot_uniform"
        if torch { x = try network.adaptivePool(x, "avgpool", 7) }
        x = try network.flatten(x)
        for place in 1...2 {
            x = try network.dense(x, "fc\(place)", 4096, activation: "relu", initializer: initializer)
            if torch { x = try network.dropout(x, "dropout\(place)", 0.5) }
        }
        return try network.model(network.classifier(x, "predictions", initializer: initializer), name: modelName)
    }
}
