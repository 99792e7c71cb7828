import DLBase
import DLGraph

let lenet5 = applicationDeclaration(
    "LeNet5", "Two convolutions with pooling and three dense layers, for small pictures.",
    source: "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998", size: [28, 28, 1],
    classes: 10,
    arguments: [
        Argument("style", .choice(["modern", "1998"]), "modern", "modern: relu and maximum pooling; 1998: tanh and averages.")
    ]
) { network in
    let old = network.arguments.string("style") == "1998"
    let activation: JSON = old ? "tanh" : "relu"
    func pool(_ x: Value, _ name: String) throws -> Value { try network.pool(x, name, 2, strides: 2, average: old) }
    var x = try pool(network.conv(network.input, "C1", 6, 5, activation: activation), "S2")
    x = try pool(network.conv(x, "C3", 16, 5, padding: "valid", activation: activation), "S4")
    guard network.includesTop else { return try network.model(network.pooled(x), name: "lenet5") }
    x = try network.flatten(x)
    x = try network.dense(x, "C5", 120, activation: activation)
    x = try network.dense(x, "F6", 84, activation: activation)
    return try network.model(network.classifier(x, "output"), name: "lenet5")
}
