import DLBase
import DLGraph
import DLOps
import DLTensor

/// Distances from a centre for each unit.
package final class RBFOutput: Layer {
    static let declaration = layerDeclaration(
        "RBFOutput", "The squared distance of the input from a centre, for each unit; the smallest says the class.",
        formula: "y[n, i] = activation(sum over j of (x[n, j] - w[i, j])^2), or of its negative",
        source: "LeCun et al., Gradient-based learning applied to document recognition, 1998, output layer",
        shapes: "input (batch, features), centers (units, features), output (batch, units)",
        example: """
            local dl = require "dl"
            local layer = dl.layers.RBFOutput{ units = 2, centers = { { 1, -1 }, { -1, 1 } } }
            print(layer(dl.tensor{ { 1, 1 } }))
            """,
        arguments: [
            Argument("units", .int(Argument.positive), nil, "Number of centres, and of outputs."),
            Argument("centers", .any, .null, "Lists of numbers, one list for each unit; random numbers -1 and 1 where null."),
            Argument("trainable_centers", .bool, false, "Whether training moves the centres."),
            Argument("negated", .bool, false, "Whether distances get a minus, so that the largest output says the class."),
            activationArgument,
            Argument("seed", .optional(.int(0...Int.max)), .null, "Fixes the random centres."),
        ]
    ) { try RBFOutput(checked: $0) }

    private let units: Int
    private let given: [[Double]]?
    private let activation: ActivationFunction?
    private var centers: Variable!

    init(checked arguments: Arguments) throws {
        units = arguments.int("units")
        activation = try Activations.make(arguments, "activation")
        given = arguments.has("centers")
            ? (arguments["centers"].arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.doubleValue) } : nil
        if let given, given.count != units || given[0].isEmpty || given.contains(where: { $0.count != given[0].count }) {
            throw arguments.error("centers", "\(units) lists of numbers, all equally long")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        guard shape.count == 2, let features = shape[1], features > 0, given.map({ $0[0].count == features }) ?? true else {
            throw DLError(
                .shape, "[RBFOutput] the input must have two axes, (batch, features), with \(given.map { "\($0[0].count)" } ?? "known") "
                    + "features. Received: input \(Shape.text(shape))")
        }
        let (given, seed) = (given, arguments.optionalInt("seed").map { UInt64($0) })
        let initializer = Initializer { shape, type in
            let tensor = given == nil
                ? try RandomFill.uniform(shape, type, low: -1, high: 1, seed: seed) : try Tensor(uninitialized: shape, type)
            for index in 0..<shape.count {
                let number = given?[index / shape.last][index % shape.last] ?? (tensor.number(at: index) < 0 ? -1 : 1)
                tensor.setNumber(number, at: index)
            }
            return tensor
        }
        centers = try addWeight(
            "centers", Shape(checked: [units, features]), initializer, trainable: arguments.bool("trainable_centers"))
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        guard shapes[0].count == 2, shapes[0][1] == nil || shapes[0][1] == centers.shape[1] else {
            throw DLError(
                .shape, "[RBFOutput] layer '\(name)': the input must have \(centers.shape[1]) features. "
                    + "Received: input \(Shape.text(shapes[0]))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let (x, w) = (inputs[0], centers.value)
        let products = try matmul(x, transpose(w))
        let lengths = try add(sum(square(x), axes: [1], keepDims: true), sum(square(w), axes: [1]))
        // |x - w|^2 = |x|^2 - 2 x w + |w|^2.
        var y = arguments.bool("negated")
            ? try subtract(scale(products, 2), lengths) : try subtract(lengths, scale(products, 2))
        if let activation { y = try activation.apply(y) }
        return [y]
    }
}
