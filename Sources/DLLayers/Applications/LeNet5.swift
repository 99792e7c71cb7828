import DLBase
import DLGraph

let lenet5 = applicationDeclaration(
    "LeNet5", "Two convolutions with pooling and three dense layers, for small pictures.",
    source: "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998", size: [28, 28, 1],
    classes: 10,
    arguments: [
        Argument(
            "style", .choice(["modern", "1998", "paper"]), "modern",
            "modern: relu and maximum pooling; 1998: tanh and averages; paper: as printed in 1998, with trainable subsampling, "
                + "filters that see some of the channels, and distances from pictures of the digits, 60,000 numbers in all.")
    ]
) { network in
    let style = network.arguments.string("style")
    if style == "paper" { return try printedLeNet5(network) }
    let old = style == "1998"
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

/// Table I of the paper: channels of S2 by filters of C3.
private let connections: [String] = [
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
]

private func printedLeNet5(_ network: Network) throws -> Model {
    let squash: JSON = "scaled_tanh"
    // The paper's pictures have a border of two already.
    let isWide = network.input.partialShape[1].map { $0 >= 32 } ?? false
    var x = try network.conv(network.input, "C1", 6, 5, padding: isWide ? "valid" : "same", activation: squash)
    x = try network.add("ScaledSubsampling", "S2", x)
    let table = connections.map { row in JSON.array(row.map { .int($0 == "X" ? 1 : 0) }) }
    x = try network.add(
        "Conv2D", "C3", x,
        config: JSONObject([
            ("filters", 16), ("kernel_size", 5), ("activation", squash), ("connection_table", .array(table)),
        ]))
    x = try network.add("ScaledSubsampling", "S4", x)
    guard network.includesTop else { return try network.model(network.pooled(x), name: "lenet5") }
    x = try network.flatten(network.conv(x, "C5", 120, 5, padding: "valid", activation: squash))
    x = try network.dense(x, "F6", 84, activation: squash)
    let classes = network.arguments.int("classes")
    let centers = digitPictures.map { JSON.array($0.map { .int($0 == "#" ? 1 : -1) }) }
    let config = JSONObject([
        ("units", .int(Int64(classes))), ("centers", classes == centers.count ? .array(centers) : .null), ("seed", 1998),
        ("negated", true), ("activation", network.arguments["classifier_activation"]),
    ])
    return try network.model(network.add("RBFOutput", "output", x, config: config), name: "lenet5")
}

/// The digits in 7 by 12 dots, row by row: the centres of the output layer.
private let digitPictures: [String] = [
    ["  ###  ", " ## ## ", "##   ##", "##   ##", "##   ##", "##   ##", "##   ##", "##   ##", "##   ##", " ## ## ", "  ###  ", "       "],
    ["   ##  ", "  ###  ", " ####  ", "   ##  ", "   ##  ", "   ##  ", "   ##  ", "   ##  ", "   ##  ", "   ##  ", " ######", "       "],
    [" ##### ", "##   ##", "     ##", "     ##", "    ## ", "   ##  ", "  ##   ", " ##    ", "##     ", "##     ", "#######", "       "],
    [" ##### ", "##   ##", "     ##", "     ##", "     ##", "  #### ", "     ##", "     ##", "     ##", "##   ##", " ##### ", "       "],
    ["    ## ", "   ### ", "  #### ", " ## ## ", "##  ## ", "##  ## ", "#######", "    ## ", "    ## ", "    ## ", "    ## ", "       "],
    ["#######", "##     ", "##     ", "##     ", "###### ", "     ##", "     ##", "     ##", "     ##", "##   ##", " ##### ", "       "],
    ["  #### ", " ##    ", "##     ", "##     ", "###### ", "##   ##", "##   ##", "##   ##", "##   ##", "##   ##", " ##### ", "       "],
    ["#######", "     ##", "     ##", "    ## ", "    ## ", "   ##  ", "   ##  ", "  ##   ", "  ##   ", " ##    ", " ##    ", "       "],
    [" ##### ", "##   ##", "##   ##", "##   ##", "##   ##", " ##### ", "##   ##", "##   ##", "##   ##", "##   ##", " ##### ", "       "],
    [" ##### ", "##   ##", "##   ##", "##   ##", "##   ##", " ######", "     ##", "     ##", "     ##", "    ## ", " ####  ", "       "],
].map { $0.joined() }
