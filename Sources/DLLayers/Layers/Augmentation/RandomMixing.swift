import DLBase
import DLGraph
import DLOps
import DLTensor

/// Boxes at random places of a batch's pictures.
struct RandomBoxes {
    /// (batch, height, width, 1), or (batch, 1, height, width) with channels first: whether an element lies in the box.
    let inside: Value
    /// (batch,): the box's part of the picture's area.
    let area: Value

    /// `ratios`: the boxes' parts of width and height, each of shape (batch,).
    init(_ x: Value, _ ratios: (width: Value, height: Value), rows: Int, columns: Int, _ draws: Draws) throws {
        let n = x.shape[0]
        func span(_ axis: Int, _ ratio: Value) throws -> (inside: Value, length: Value) {
            let size = x.shape[axis]
            let length = try scale(ratio, Double(size))
            let start = try multiply(draws.uniform([n], 0...1, like: x), scale(length, -1, Double(size)))
            var shape = [1, 1, 1, 1]
            shape[axis] = size
            let places = try cast(Value(Tensor((0..<size).map { Int32($0) })), x.type)
            let line = try reshape(places, shape)
            let low = try reshape(start, [n, 1, 1, 1]), high = try reshape(add(start, length), [n, 1, 1, 1])
            return (try logicalAnd(greaterEqual(line, low), less(line, high)), length)
        }
        let across = try span(columns, ratios.width), along = try span(rows, ratios.height)
        inside = try logicalAnd(across.inside, along.inside)
        area = try scale(multiply(across.length, along.length), 1 / (Double(x.shape[rows]) * Double(x.shape[columns])))
    }
}

/// Erases boxes of pictures at random.
package final class RandomErasing: RandomPictures {
    static let declaration = layerDeclaration(
        "RandomErasing", "Fills a box at a random place of some pictures while training.",
        source: "Zhong et al., Random erasing data augmentation, 2017; Keras, keras.layers.RandomErasing", shapes: shapesText,
        example: example("RandomErasing", "factor = 1, scale = { 0.1, 0.3 }"),
        arguments: [
            Argument("factor", .any, 1, "The probability, from 0 to 1: one number, the largest, or two between which it lies."),
            Argument("scale", .any, [0.02, 0.33], "The box's part of the area: one number, the largest, or two."),
            Argument(
                "fill_value", .any, .null, "A number, one for each of three channels, or null for random numbers."),
            valueRangeArgument, seedArgument, dataFormatArgument,
        ]
    ) { try RandomErasing(checked: $0) }

    private let range: ClosedRange<Double>
    private let part: ClosedRange<Double>
    private let values: ClosedRange<Double>
    private let fill: [Double]?

    init(checked arguments: Arguments) throws {
        range = try arguments.range("factor", within: 0...1)
        part = try arguments.range("scale", within: 0...1)
        values = try arguments.valueRange()
        let given = arguments["fill_value"]
        fill = given.isNull ? nil : given.doubleValue.map { [$0] } ?? (given.arrayValue ?? []).compactMap(\.doubleValue)
        if let fill, fill.count != 1 && fill.count != 3 || fill.contains(where: { !$0.isFinite }) {
            throw arguments.error("fill_value", "a number, three of them, or null")
        }
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        let n = x.shape[0]
        let ratios = (try sqrt(draws.uniform([n], part, like: x)), try sqrt(draws.uniform([n], part, like: x)))
        let boxes = try RandomBoxes(x, ratios, rows: rows, columns: columns, draws)
        let coin = try less(draws.uniform([n], 0...1, like: x), draws.uniform([n], range, like: x))
        var filling: Value
        if let fill {
            guard fill.count == 1 || x.shape[channels] == fill.count else {
                throw DLError(.shape, "[\(className)] 'fill_value' has 3 numbers for other channels. Received: input \(x.shape)")
            }
            var shape = [1, 1, 1, 1]
            if fill.count == 3 { shape[channels] = 3 }
            filling = try reshape(cast(Value(Tensor(fill.map { Float($0) })), x.type), shape)
        } else {
            filling = try scale(randomNormal(x.shape, type: x.type, seed: draws.seed()), values.upperBound)
        }
        filling = try clip(filling, values.lowerBound, values.upperBound)
        return try `where`(logicalAnd(boxes.inside, each(x, coin)), filling, x)
    }
}

/// What layers that mix pictures of a batch with one another have in common: labels may be mixed with them.
package class RandomMixture: RandomPictures {
    static let mixtureShapes =
        "input images (batch, height, width, channels), and perhaps labels (batch, classes); outputs the same"

    static func mixtureExample(_ name: String) -> String {
        """
        local dl = require "dl"
        local images, labels = dl.ones{ 4, 8, 8, 3 }, dl.ones{ 4, 10 }
        local mixed, targets = dl.layers.\(name)()({ images, labels }, { training = true })
        print(mixed.shape, targets.shape)
        """
    }

    private var generator: Variable!

    override package var inputCount: Int? { nil }

    override package func build(_ inputShapes: [[Int?]]) throws {
        try checkInput(inputShapes)
        generator = try addSeedState(arguments.optionalInt("seed"))
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        try expectSpatial(shapes[0], 2, className)
        guard shapes.count <= 2, shapes.count == 1 || shapes[1].count == 2 else {
            throw DLError(
                .shape, "[\(className)] takes images, and perhaps labels of shape (batch, classes). "
                    + "Received: \(shapes.map { Shape.text($0) }.joined(separator: ", "))")
        }
    }

    /// The mixed pictures, and what part of each is its own, of shape (batch,).
    func mix(_ x: Value, _ others: Value, _ draws: Draws) throws -> (pictures: Value, own: Value) { (x, x) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let values = try inputs.map { try asFloat($0, dtype) }
        guard training else { return values }
        let n = values[0].shape[0]
        if values.count == 2, values[1].shape[0] != n {
            throw DLError(
                .shape, "[\(className)] images and labels must be equally many. "
                    + "Received: images \(inputs[0].shape), labels \(inputs[1].shape)")
        }
        let draws = try Draws(generator)
        let order = try randomPermutation(n, seed: draws.seed())
        let mixed = try mix(values[0], take(values[0], order, axis: 0), draws)
        try draws.end(generator)
        guard values.count == 2 else { return [mixed.pictures] }
        let own = try cast(reshape(mixed.own, [n, 1]), values[1].type)
        let labels = try add(multiply(own, values[1]), multiply(scale(own, -1, 1), take(values[1], order, axis: 0)))
        return [mixed.pictures, labels]
    }
}

/// Weighted means of pictures and their labels.
package final class MixUp: RandomMixture {
    static let declaration = layerDeclaration(
        "MixUp", "Weighted means of each picture and another of the batch, and of their labels, while training.",
        formula: "y = w x + (1 - w) x', w of the distribution Beta(alpha, alpha) for each picture",
        source: "Zhang et al., mixup: beyond empirical risk minimization, 2017", shapes: mixtureShapes,
        example: mixtureExample("MixUp"),
        arguments: [
            Argument("alpha", .float(1e-3...1e3), 0.2, "The smaller, the nearer are the weights to 0 and 1."), dataFormatArgument,
            seedArgument,
        ]
    ) { MixUp($0) }

    override func mix(_ x: Value, _ others: Value, _ draws: Draws) throws -> (pictures: Value, own: Value) {
        let alpha = try reshape(constant(arguments.float("alpha"), like: x), [1])
        let own = try draws.beta(x.shape[0], alpha)
        let weight = try each(x, own)
        return (try add(multiply(weight, x), multiply(scale(weight, -1, 1), others)), own)
    }
}

/// Boxes of other pictures, and the labels in the ratio of the areas.
package final class CutMix: RandomMixture {
    static let declaration = layerDeclaration(
        "CutMix", "Puts a box of another picture of the batch into each, and mixes the labels by area, while training.",
        formula: "box of area 1 - w, w of the distribution Beta(alpha, alpha), alpha uniform in the range of factor",
        source: "Yun et al., CutMix: regularization strategy to train strong classifiers, 2019", shapes: mixtureShapes,
        example: mixtureExample("CutMix"),
        arguments: [
            Argument("factor", .any, 1, "Alpha, from 0 to 1: one number, the largest, or two."), seedArgument, dataFormatArgument,
        ]
    ) { try CutMix(checked: $0) }

    private let range: ClosedRange<Double>

    init(checked arguments: Arguments) throws {
        range = try arguments.range("factor", within: 0...1)
        super.init(arguments)
    }

    override func mix(_ x: Value, _ others: Value, _ draws: Draws) throws -> (pictures: Value, own: Value) {
        let alpha = try scale(draws.uniform([1], range, like: x), 1, 1e-3)
        let ratio = try sqrt(scale(draws.beta(x.shape[0], alpha), -1, 1))
        let boxes = try RandomBoxes(x, (ratio, ratio), rows: rows, columns: columns, draws)
        return (try `where`(boxes.inside, others, x), try scale(boxes.area, -1, 1))
    }
}
