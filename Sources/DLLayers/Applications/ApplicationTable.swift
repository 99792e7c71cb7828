import DLBase
import DLGraph

/// Networks from the literature, each by name. Constructors, C, documents and tests iterate this list.
package enum Applications {
    package static let registry = Registry<Model>(
        "application",
        [
            lenet5, alexNet,
            vgg("VGG11", ["VGG_A"], "A", "11 layers with weights, configuration A"),
            vgg("VGG_A_LRN", [], "A-LRN", "11 layers with weights, configuration A with local response normalisation"),
            vgg("VGG13", ["VGG_B"], "B", "13 layers with weights, configuration B"),
            vgg("VGG_C", [], "C", "16 layers with weights, three of them 1x1, configuration C"),
            vgg("VGG16", ["VGG_D"], "D", "16 layers with weights, configuration D"),
            vgg("VGG19", ["VGG_E"], "E", "19 layers with weights, configuration E"),
            googLeNet,
            resNet("ResNet18", 18), resNet("ResNet34", 34), resNet("ResNet50", 50), resNet("ResNet101", 101),
            resNet("ResNet152", 152), resNet, resNetCIFAR,
        ])

    /// A model by name. `weights`, which needs files, is the caller's business.
    package static func make(_ name: String, _ options: JSON = .null) throws -> Model {
        let declaration = try registry.declaration(name)
        let arguments = try declaration.check(options)
        do {
            return try declaration.make(arguments)
        } catch let error as DLError {
            throw error.within("application \(declaration.name)")
        }
    }
}

/// What all networks take; `size` is the usual side of their pictures.
func applicationDeclaration(
    _ name: String, aliases: [String] = [], _ summary: String, formula: String = "", source: String, size: [Int],
    classes: Int = 1000, arguments: [Argument] = [], make: @escaping @Sendable (Network) throws -> Model
) -> Declaration<Model> {
    let sizes = size.map(String.init).joined(separator: ", ")
    return Declaration<Model>(
        name, aliases: aliases, summary, formula: formula, source: source,
        shapes: "input (batch, \(sizes)) unless `input_shape` says otherwise, output (batch, classes)",
        example: """
            local dl = require "dl"
            local model = dl.applications.\(name){ include_top = false, pooling = "avg" }
            print(#model.layers, model.output_shape[2])
            """,
        arguments: arguments + [
            Argument("include_top", .bool, true, "Whether the dense layers at the end, which know the classes, are part of it."),
            Argument("weights", .optional(.string), .null, "A file of weights as save_weights writes it; random ones where null."),
            Argument("input_shape", .optional(.shape), .null, "Height, width and channels; (\(sizes)) where null."),
            Argument("pooling", .optional(.choice(["avg", "max"])), .null, "Without the top: how each channel becomes one number; not at all where null."),
            Argument("classes", .int(Argument.positive), .int(Int64(classes)), "Number of classes."),
            Argument("classifier_activation", .optional(.object(category: "activation")), "softmax", "Activation of the last layer; null for scores."),
            Argument("name", .optional(.string), .null, "The model's name; made from the network's where null."),
        ]
    ) { try make(Network($0, size: size)) }
}

func variantArgument(_ names: [String], _ defaultName: String?, _ text: String) -> Argument {
    guard let defaultName else { return Argument("variant", .optional(.choice(names)), .null, text) }
    return Argument("variant", .choice(names), .string(defaultName), text)
}
