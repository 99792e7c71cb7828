import DLBase
import DLGraph
import DLOps
import DLTensor

/// An equation of EinsumDense: `ab,bc->ac`, `...ab,bc->...ac` or `ab...,bc->ac...`.
struct EinsumEquation {
    enum Ellipsis { case none, left, right }

    let input: [Character]
    let kernel: [Character]
    let output: [Character]
    let ellipsis: Ellipsis

    init?(_ text: String) {
        let sides = EinsumEquation.split(Array(text), "->")
        guard sides.count == 2 else { return nil }
        let factors = EinsumEquation.split(sides[0], ",")
        guard factors.count == 2 else { return nil }
        func strip(_ part: [Character]) -> (letters: [Character], place: Ellipsis)? {
            let dots: [Character] = [".", ".", "."]
            var letters = part
            var place = Ellipsis.none
            if letters.starts(with: dots) {
                letters.removeFirst(3)
                place = .left
            } else if letters.count > 3, Array(letters.suffix(3)) == dots {
                letters.removeLast(3)
                place = .right
            }
            let isPlain = letters.allSatisfy { ("a"..."z").contains($0) || ("A"..."Z").contains($0) }
            guard isPlain, !letters.isEmpty, Set(letters).count == letters.count else { return nil }
            return (letters, place)
        }
        guard let input = strip(factors[0]), let kernel = strip(factors[1]), let output = strip(sides[1]),
            kernel.place == .none, input.place == output.place
        else { return nil }
        (self.input, self.kernel, self.output, ellipsis) = (input.letters, kernel.letters, output.letters, input.place)
    }

    private static func split(_ text: [Character], _ mark: String) -> [[Character]] {
        let mark = Array(mark)
        var parts: [[Character]] = [[]]
        var index = 0
        while index < text.count {
            if index + mark.count <= text.count, Array(text[index..<index + mark.count]) == mark {
                parts.append([])
                index += mark.count
            } else {
                parts[parts.count - 1].append(text[index])
                index += 1
            }
        }
        return parts
    }

    /// How many axes the kernel shares with the end of the input and sums over, where the product is one of matrices: the
    /// input ends as the kernel begins, and the output is the input's rest followed by the kernel's.
    var boundForMatrices: Int? {
        guard ellipsis != .right else { return nil }
        for count in stride(from: Swift.min(input.count, kernel.count), to: 0, by: -1)
        where Array(input.suffix(count)) == Array(kernel.prefix(count)) {
            let free = input.dropLast(count), new = kernel.dropFirst(count)
            let sums = kernel.prefix(count).allSatisfy { !output.contains($0) }
            if sums, Array(free + new) == output, Set(free).isDisjoint(with: kernel) { return count }
        }
        return nil
    }
}

/// A product of the input with a kernel, along axes that an equation names.
package final class EinsumDense: Layer {
    static let declaration = layerDeclaration(
        "EinsumDense", "A fully connected layer whose product is written as an equation: over several axes, or for each head.",
        formula: "y = activation(einsum(equation, x, W) + b)", source: "Keras, keras.layers.EinsumDense",
        shapes: "as the equation says; the batch is the input's first axis",
        example: """
            local dl = require "dl"
            local heads = dl.layers.EinsumDense{ "abc,cde->abde", output_shape = { dl.None, 2, 4 }, bias_axes = "de" }
            print(heads(dl.ones{ 3, 5, 6 }).shape)
            """,
        arguments: [
            Argument(
                "equation", .string, nil,
                "Letters for the axes of input, kernel and output: 'abc,cd->abd'; dots for any number of axes: '...x,xy->...y'."),
            Argument(
                "output_shape", .shape, nil,
                "Sizes of the output's axes without the batch and without those that dots stand for; none where the input tells."),
            activationArgument,
            Argument("bias_axes", .optional(.string), .null, "Letters of the output's axes along which the bias differs; none: no bias."),
            initializerArgument("kernel", "glorot_uniform"), initializerArgument("bias", "zeros"),
            regularizerArgument("kernel"), regularizerArgument("bias"), constraintArgument("kernel"), constraintArgument("bias"),
            Argument("lora_rank", .any, .null, "Always null."), Argument("lora_alpha", .any, .null, "Always null."),
            Argument("gptq_unpacked_column_size", .any, .null, "Always null."),
            Argument("quantization_config", .any, .null, "Always null."),
        ]
    ) { try EinsumDense(checked: $0) }

    private let equation: EinsumEquation
    private let activation: ActivationFunction?
    private var kernel: Variable!
    private var bias: Variable?
    private var rank = 0
    /// Sizes of the input's axes that the kernel shares.
    private var fixed: [(axis: Int, size: Int)] = []

    init(checked arguments: Arguments) throws {
        guard let equation = EinsumEquation(arguments.string("equation")) else {
            throw arguments.error("equation", "of the form 'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...', each letter once a term")
        }
        self.equation = equation
        activation = try Activations.make(arguments, "activation")
        for name in ["lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config"] where arguments.has(name) {
            throw DLError(.unsupported, "[EinsumDense] '\(name)' is not supported")
        }
        for letter in equation.output where !equation.input.contains(letter) && !equation.kernel.contains(letter) {
            throw arguments.error("equation", "an equation whose output has letters of the input or the kernel only")
        }
        for letter in equation.kernel where !equation.input.contains(letter) && !equation.output.contains(letter) {
            throw arguments.error("equation", "an equation whose kernel has letters of the input or the output only")
        }
        for letter in arguments.string("bias_axes") where !equation.output.contains(letter) {
            throw arguments.error("bias_axes", "letters of the output '\(String(equation.output))'")
        }
        super.init(arguments)
    }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        let elided = shape.count - equation.input.count
        guard equation.ellipsis == .none ? elided == 0 : elided >= 0, !shape.isEmpty else {
            throw DLError(
                .shape, "[EinsumDense] equation '\(arguments.string("equation"))' does not fit the number of axes. "
                    + "Received: input \(Shape.text(shape))")
        }
        // The output in full, as Keras puts it together.
        var output = [shape[0]]
        if equation.ellipsis == .left, elided > 1 { output += shape[1..<elided] }
        output += arguments.shape("output_shape")
        if equation.ellipsis == .right { output += shape[(shape.count - elided)...] }
        guard output.count == equation.output.count + elided else {
            throw DLError(
                .shape, "[EinsumDense] 'output_shape' must have a size for each axis of the output '\(String(equation.output))' "
                    + "but the batch. Received: output_shape \(Shape.text(arguments.shape("output_shape"))), input \(Shape.text(shape))")
        }
        let offset = equation.ellipsis == .left ? elided : 0
        var sizes: [Character: Int] = [:]
        for (place, letter) in equation.output.enumerated() { sizes[letter] = output[place + offset] }
        for (place, letter) in equation.input.enumerated() {
            guard let size = shape[place + offset] else { continue }
            if let other = sizes[letter], other != size {
                throw DLError(
                    .shape, "[EinsumDense] axis '\(letter)' has size \(size) in the input and \(other) in 'output_shape'. "
                        + "Received: input \(Shape.text(shape))")
            }
            sizes[letter] = size
        }
        let kernelSizes = try equation.kernel.map { letter -> Int in
            guard let size = sizes[letter], size > 0 else {
                throw DLError(
                    .shape, "[EinsumDense] the size of axis '\(letter)' of the kernel must be known. "
                        + "Received: input \(Shape.text(shape)), output_shape \(Shape.text(arguments.shape("output_shape")))")
            }
            return size
        }
        kernel = try addKernel(kernelSizes)
        if arguments.has("bias_axes") {
            let axes = Array(arguments.string("bias_axes"))
            let first = equation.output.firstIndex { axes.contains($0) } ?? equation.output.count
            let biasSizes = try equation.output[first...].map { letter -> Int in
                guard axes.contains(letter) else { return 1 }
                guard let size = sizes[letter] else {
                    throw DLError(.shape, "[EinsumDense] the size of axis '\(letter)' of the bias must be known. "
                        + "Received: input \(Shape.text(shape))")
                }
                return size
            }
            let rest = equation.ellipsis == .right ? [Int](repeating: 1, count: elided) : []
            bias = try addWeight("bias", Shape(checked: biasSizes + rest))
        }
        rank = shape.count
        fixed = equation.input.enumerated().compactMap { place, letter in
            equation.kernel.contains(letter) ? sizes[letter].map { (place + offset, $0) } : nil
        }
    }

    /// The initializers that scale by the number of connections count those of a matrix: axes that are summed over, axes
    /// that are made.
    private func addKernel(_ sizes: [Int]) throws -> Variable {
        let shape = try Shape(checked: sizes)
        let given = arguments["kernel_initializer"]
        let name = given.stringValue ?? given["class_name"]?.stringValue ?? ""
        let scaling: Set = ["glorot", "he", "lecun", "variance"]
        let stem = Naming.snakeCase(name).split(separator: "_").first.map(String.init) ?? ""
        let base: Initializer
        do { base = try Initializers.registry.make(given) } catch let error as DLError { throw error.within("'kernel_initializer'") }
        var initializer = base
        if scaling.contains(stem) {
            var (made, summed) = (1, 1)
            for (letter, size) in zip(equation.kernel, sizes) {
                if equation.output.contains(letter) { made *= size } else { summed *= size }
            }
            let matrix = try Shape(checked: [summed, made])
            initializer = Initializer { shape, type in try base.make(matrix, type).reshaped(shape) }
        }
        let regularizer = arguments["kernel_regularizer"], constraint = arguments["kernel_constraint"]
        return try addWeight(
            "kernel", shape, initializer, regularizer: regularizer.isNull ? nil : Regularizers.registry.make(regularizer),
            constraint: constraint.isNull ? nil : Constraints.registry.make(constraint))
    }

    override package func checkInput(_ shapes: [[Int?]]) throws {
        let shape = shapes[0]
        guard shape.count == rank, fixed.allSatisfy({ shape[$0.axis] == nil || shape[$0.axis] == $0.size }) else {
            throw DLError(
                .shape, "[EinsumDense] layer '\(name)' was built for \(rank) axes and the kernel \(kernel.shape). "
                    + "Received: input \(Shape.text(shape))")
        }
    }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = inputs[0]
        var y: Value
        if let bound = equation.boundForMatrices {
            let free = Array(x.shape.sizes.dropLast(bound))
            let made = Array(kernel.shape.sizes.dropFirst(bound))
            let summed = kernel.shape.sizes.prefix(bound).reduce(1, &*), columns = made.reduce(1, &*)
            y = try matmul(reshape(x, free + [summed]), reshape(kernel.value, [summed, columns]))
            if let bias, bias.shape.count == columns {
                y = try reshape(biasAdd(y, reshape(bias.value, [columns])), free + made)
            } else {
                y = try reshape(y, free + made)
                if let bias { y = try add(y, bias.value) }
            }
        } else {
            y = try Operations.apply("einsum", [x, kernel.value], attributes: ["subscripts": arguments["equation"]])[0]
            if let bias { y = try add(y, bias.value) }
        }
        return [try activation?.apply(y) ?? y]
    }
}
