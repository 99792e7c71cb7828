import DLBase
import DLGraph
import DLOps
import DLTensor

/// What layers that are made of others of this family have in common; the others draw from this one's numbers.
package class RandomPolicy: RandomPictures {
    /// A part of the policy, with the arguments that all have.
    static func part(_ declaration: Declaration<Layer>, _ own: [String: JSON], _ arguments: Arguments) throws -> RandomPictures {
        var config = JSONObject(own.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        config["name"] = .string(declaration.name)
        config["dtype"] = arguments["dtype"]
        config["data_format"] = arguments["data_format"]
        do {
            guard let layer = try declaration.make(config: .object(config)) as? RandomPictures else {
                throw DLError(.internal, "[\(arguments.owner)] \(declaration.name) does not change pictures")
            }
            return layer
        } catch let error as DLError {
            throw error.within("[\(arguments.owner)]")
        }
    }

    func applied(_ part: RandomPictures, _ x: Value, _ draws: Draws) throws -> Value {
        if let part = part as? PictureCorrection { return try part.correct(x, training: true) }
        return try part.change(x, draws)
    }
}

/// Changes of colours one after the other.
package final class RandomColorJitter: RandomPolicy {
    static let declaration = layerDeclaration(
        "RandomColorJitter", "Changes brightness, contrast, saturation and hue at random, one after the other, while training.",
        formula: "RandomBrightness, RandomContrast, RandomSaturation, RandomHue, in this order, as far as their factors are given",
        source: "Keras, keras.layers.RandomColorJitter", shapes: shapesText,
        example: example("RandomColorJitter", "brightness_factor = 0.2, hue_factor = 0.1"),
        arguments: [
            valueRangeArgument,
            Argument("brightness_factor", .any, .null, "As RandomBrightness takes it; null for no change."),
            Argument("contrast_factor", .any, .null, "As RandomContrast takes it; null for no change."),
            Argument("saturation_factor", .any, .null, "As RandomSaturation takes it; null for no change."),
            Argument("hue_factor", .any, .null, "As RandomHue takes it; null for no change."), seedArgument, dataFormatArgument,
        ]
    ) { try RandomColorJitter(checked: $0) }

    private let parts: [RandomPictures]

    init(checked arguments: Arguments) throws {
        let known = [
            ("brightness_factor", RandomBrightness.declaration), ("contrast_factor", RandomContrast.declaration),
            ("saturation_factor", RandomSaturation.declaration), ("hue_factor", RandomHue.declaration),
        ]
        _ = try arguments.valueRange()
        parts = try known.filter { arguments.has($0.0) }.map { name, declaration in
            try Self.part(declaration, ["factor": arguments[name], "value_range": arguments["value_range"]], arguments)
        }
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        try parts.reduce(x) { try applied($1, $0, draws) }
    }
}

/// A few changes out of many.
package final class RandAugment: RandomPolicy {
    static let declaration = layerDeclaration(
        "RandAugment", "Applies a few of eleven changes, drawn at random for each batch, one after the other while training.",
        formula: "num_ops times one of RandomShear, RandomTranslation, RandomRotation, RandomBrightness, RandomColorDegeneration, "
            + "RandomContrast, RandomSharpness, RandomPosterization, Solarization, AutoContrast, Equalization",
        source: "Cubuk et al., RandAugment: practical automated data augmentation with a reduced search space, 2019; Keras, "
            + "keras.layers.RandAugment",
        shapes: "input (batch, height, width, 3) or (height, width, 3), output the same",
        example: example("RandAugment", "num_ops = 1, factor = 0.3"),
        arguments: [
            valueRangeArgument, Argument("num_ops", .int(0...100), 2, "How many changes a batch goes through."),
            Argument("factor", .any, 0.5, "How strong they are, from 0 to 1: one number, the largest, or two."),
            Argument("interpolation", .choice(["bilinear", "nearest"]), "bilinear", "How elements between others come about."),
            seedArgument, dataFormatArgument,
        ]
    ) { try RandAugment(checked: $0) }

    private let parts: [RandomPictures]

    init(checked arguments: Arguments) throws {
        let range = try arguments.range("factor", within: 0...1)
        _ = try arguments.valueRange()
        let factor: JSON = [.double(range.lowerBound), .double(range.upperBound)]
        let values = arguments["value_range"], interpolation = arguments["interpolation"]
        func colours(_ declaration: Declaration<Layer>) throws -> RandomPictures {
            try Self.part(declaration, ["factor": factor, "value_range": values], arguments)
        }
        parts = [
            try Self.part(
                RandomShear.declaration, ["x_factor": factor, "y_factor": factor, "interpolation": interpolation], arguments),
            try Self.part(
                RandomTranslation.declaration, ["height_factor": factor, "width_factor": factor, "interpolation": interpolation],
                arguments),
            try Self.part(RandomRotation.declaration, ["factor": factor, "interpolation": interpolation], arguments),
            try colours(RandomBrightness.declaration), try colours(RandomColorDegeneration.declaration),
            try colours(RandomContrast.declaration), try colours(RandomSharpness.declaration),
            try Self.part(
                RandomPosterization.declaration,
                ["factor": .int(Int64(Swift.max(1, Int(8 * range.upperBound)))), "value_range": values], arguments),
            try Self.part(
                Solarization.declaration, ["addition_factor": factor, "threshold_factor": factor, "value_range": values], arguments),
            try Self.part(AutoContrast.declaration, ["value_range": values], arguments),
            try Self.part(Equalization.declaration, ["value_range": values], arguments),
        ]
        super.init(arguments)
    }

    override func change(_ x: Value, _ draws: Draws) throws -> Value {
        guard x.shape[channels] == 3 else {
            throw DLError(.shape, "[RandAugment] pictures must have 3 channels. Received: input \(x.shape)")
        }
        let count = arguments.int("num_ops")
        let chosen = try randomIntegers(Shape(checked: [count]), low: 0, high: parts.count, seed: draws.seed())
        var y = x
        for step in 0..<count {
            // A graph has no branches: all are computed, one is taken.
            let choice = try reshape(getItem(chosen, [.range(start: step, stop: step + 1, step: 1)]), [1, 1, 1, 1])
            let before = y
            for (number, part) in parts.enumerated() {
                let isIt = try equal(choice, constant(Double(number), .int32))
                y = try `where`(isIt, applied(part, before, draws), y)
            }
        }
        return y
    }
}
