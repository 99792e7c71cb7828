import DLBase
import DLGraph

let alexNet = applicationDeclaration(
    "AlexNet", "The network that won ImageNet in 2012: five convolutions and three dense layers.",
    source: "Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012; "
        + "torchvision: Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014",
    size: [227, 227, 3],
    arguments: [
        variantArgument(
            ["paper", "ungrouped", "torchvision"], "paper", "paper: two groups of channels, local response normalisation; ungrouped: "
                + "the same without groups; torchvision: fewer filters, no normalisation, pictures of 224x224."),
    ]
) { network in
    var network = network
    let torch = network.variant == "torchvision"
    if torch, !network.arguments.has("input_shape") { network = try Network(network.arguments, size: [224, 224, 3]) }
    network.initializer = torch ? Network.torchUniform : Network.normal(0.01)
    let groups = network.variant == "paper" ? 2 : 1
    let filters = torch ? [64, 192, 384, 256, 256] : [96, 256, 384, 384, 256]
    func conv(_ x: Value, _ number: Int, _ size: Int, groups: Int = 1, strides: Int = 1, padding: JSON = "same") throws -> Value {
        try network.conv(
            x, "conv\(number)", filters[number - 1], size, strides: strides, padding: padding, groups: groups, activation: "relu")
    }
    var x = try conv(network.input, 1, 11, strides: 4, padding: torch ? 2 : "valid")
    if !torch { x = try network.localResponse(x, "norm1") }
    x = try network.pool(x, "pool1", 3, strides: 2)
    x = try conv(x, 2, 5, groups: groups)
    if !torch { x = try network.localResponse(x, "norm2") }
    x = try network.pool(x, "pool2", 3, strides: 2)
    x = try conv(x, 3, 3)
    x = try conv(x, 4, 3, groups: groups)
    x = try conv(x, 5, 3, groups: groups)
    x = try network.pool(x, "pool5", 3, strides: 2)
    guard network.includesTop else { return try network.model(network.pooled(x), name: "alexnet") }
    let initializer = torch ? Network.torchUniform : Network.normal(0.005)
    if torch { x = try network.adaptivePool(x, "avgpool", 6) }
    x = try network.flatten(x)
    for number in 6...7 {
        if torch { x = try network.dropout(x, "drop\(number)", 0.5) }
        x = try network.dense(x, "fc\(number)", 4096, activation: "relu", initializer: initializer)
        if !torch { x = try network.dropout(x, "drop\(number)", 0.5) }
    }
    x = try network.classifier(x, "predictions", initializer: torch ? Network.torchUniform : Network.normal(0.01))
    return try network.model(x, name: "alexnet")
}
