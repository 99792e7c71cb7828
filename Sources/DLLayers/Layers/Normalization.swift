import DLBase
import DLGraph
import DLOps
import DLTensor

/// Takes off a mean and divides by a deviation that are given, or learnt from data before training.
package final class Normalization: Layer {
    static let declaration = layerDeclaration(
        "Normalization",
        "Shifts and scales inputs by a mean and a variance that are given, or found in data by `adapt` before training.",
        formula: "y = (x - mean) / max(sqrt(variance), 1e-7); with invert y = x max(sqrt(variance), 1e-7) + mean",
        source: "Keras, keras.layers.Normalization",
        shapes: "input any; mean, variance: the sizes of the axes; output like the input",
        example: """
            local dl = require "dl"
            local layer = dl.layers.Normalization()
            layer:adapt(dl.tensor{ { 1, 10 }, { 3, 30 } })
            print(layer(dl.tensor{ { 2, 30 } }))
            """,
        arguments: [
            Argument(
                "axis", .optional(.axes), -1, "The axes whose positions have a mean and variance each; none: one of each for all."),
            Argument("mean", .any, .null, "The mean: a number, or numbers for the positions along the axes."),
            Argument("variance", .any, .null, "The variance, with as many numbers as the mean."),
            Argument("invert", .bool, false, "Whether the way back is gone."),
        ]
    ) { try Normalization(checked: $0) }

    private var given: (mean: Tensor, variance: Tensor)?
    private var mean: Variable?
    private var variance: Variable?
    private var count: Variable?
    private var axesBuilt = BuiltAxes()

    init(checked arguments: Arguments) throws {
        let (mean, variance) = (arguments["mean"], arguments["variance"])
        guard mean.isNull == variance.isNull else {
            throw DLError(
                .argument, "[Normalization] 'mean' and 'variance' are given together. "
                    + "Received: mean \(mean.canonicalText), variance \(variance.canonicalText)")
        }
        super.init(arguments)
        guard !mean.isNull else { return }
        let type = dtype.isFloatingPoint ? dtype : .float32
        let pair = (mean: try numbers(mean, "mean", type), variance: try numbers(variance, "variance", type))
        guard pair.mean.shape == pair.variance.shape else {
            throw DLError(
                .shape, "[Normalization] 'mean' and 'variance' must have one shape. "
                    + "Received: \(pair.mean.shape) and \(pair.variance.shape)")
        }
        guard pair.mean.shape.rank <= arguments.ints("axis").count else {
            throw DLError(
                .shape, "[Normalization] 'mean' has more axes than 'axis' names. "
                    + "Received: mean \(pair.mean.shape), axis \(arguments.ints("axis"))")
        }
        guard (0..<pair.variance.count).allSatisfy({ pair.variance.number(at: $0) >= 0 }) else {
            throw arguments.error("variance", "numbers of at least 0")
        }
        given = pair
    }

    /// A tensor out of nested lists of numbers.
    private func numbers(_ json: JSON, _ argument: String, _ type: ElementType) throws -> Tensor {
        var sizes: [Int] = []
        var values: [Double] = []
        func walk(_ entry: JSON, _ depth: Int) throws {
            if let number = entry.doubleValue, number.isFinite {
                guard depth == sizes.count else { throw arguments.error(argument, "numbers in lists of equal length") }
                values.append(number)
                return
            }
            guard let list = entry.arrayValue, depth < Shape.maximumRank else {
                throw arguments.error(argument, "a number, or numbers in lists of equal length")
            }
            if depth == sizes.count, values.isEmpty { sizes.append(list.count) }
            guard depth < sizes.count, sizes[depth] == list.count else {
                throw arguments.error(argument, "numbers in lists of equal length")
            }
            for item in list { try walk(item, depth + 1) }
        }
        try walk(json, 0)
        let tensor = try Tensor(zeros: Shape(checked: sizes), type)
        guard tensor.count == values.count else { throw arguments.error(argument, "numbers in lists of equal length") }
        for (index, value) in values.enumerated() { tensor.setNumber(value, at: index) }
        return tensor
    }

    override package var supportsMasking: Bool { true }

    override package func build(_ inputShapes: [[Int?]]) throws {
        let shape = inputShapes[0]
        let axes = arguments.ints("axis").isEmpty ? [] : try normalizedAxes(arguments, shape)
        axesBuilt = BuiltAxes(rank: shape.count, sizes: axes)
        guard let given else {
            let size = try Shape(checked: axes.map(\.size))
            mean = try addWeight("mean", size, Initializers.registry.make("zeros"), trainable: false)
            variance = try addWeight("variance", size, Initializers.registry.make("ones"), trainable: false)
            count = try addWeight("count", [], Initializers.registry.make("zeros"), trainable: false, type: .int32)
            return
        }
        let sizes = axes.map(\.size).suffix(given.mean.shape.rank)
        guard zip(given.mean.shape.sizes, sizes).allSatisfy({ $0 == $1 || $0 == 1 }) else {
            throw DLError(
                .shape, "[Normalization] 'mean' does not fit the axes of the input. "
                    + "Received: mean \(given.mean.shape), input \(Shape.text(shape))")
        }
    }

    override package func checkInput(_ shapes: [[Int?]]) throws { try axesBuilt.check(shapes, self) }

    override package func call(_ inputs: [Value], training: Bool) throws -> [Value] {
        let x = try cast(inputs[0], dtype)
        let rank = x.shape.rank
        var axes = axesBuilt.sizes.map(\.axis)
        let (center, spread): (Value, Value)
        if let given {
            axes = axes.suffix(given.mean.shape.rank)
            (center, spread) = (Value(given.mean), Value(given.variance))
        } else if let mean, let variance {
            (center, spread) = (mean.value, variance.value)
        } else {
            return [x]
        }
        let shift = try alongAxes(cast(center, x.type), axes, rank)
        let root = try sqrt(alongAxes(cast(spread, x.type), axes, rank))
        let deviation = try maximum(root, constant(1e-7, like: x))
        if arguments.bool("invert") { return [try add(shift, multiply(x, deviation))] }
        return [try divide(subtract(x, shift), deviation)]
    }

    /// Mean and variance of all batches together.
    override package func adapt(_ batches: [Tensor]) throws {
        guard given == nil else {
            throw DLError(.state, "[adapt] layer '\(name)' was given its mean and variance")
        }
        guard let first = batches.first else { throw DLError(.argument, "[adapt] layer '\(name)' needs data. Received: nothing") }
        try buildIfNeeded([[nil] + first.shape.sizes.dropFirst().map { $0 }])
        let kept = axesBuilt.sizes.map(\.axis)
        var total: (mean: Value, variance: Value, count: Double)?
        for batch in batches {
            try checkInput([batch.shape.sizes])
            guard batch.count > 0 else { throw DLError(.shape, "[adapt] an empty batch has no mean. Received: \(batch.shape)") }
            let x = try cast(Value(batch), dtype)
            let reduced = (0..<batch.shape.rank).filter { !kept.contains($0) }
            let count = Double(reduced.reduce(1) { $0 &* batch.shape[$1] })
            let mean = reduced.isEmpty ? x : try DLOps.mean(x, axes: reduced)
            let variance = reduced.isEmpty ? try multiply(x, constant(0, like: x)) : try DLOps.variance(x, axes: reduced)
            guard let before = total else {
                total = (mean, variance, count)
                continue
            }
            let share = count / (count + before.count)
            let center = try add(scale(before.mean, 1 - share), scale(mean, share))
            // The variance about the common mean is each part's own and the square of how far its mean is off.
            let old = try add(before.variance, square(subtract(before.mean, center)))
            let new = try add(variance, square(subtract(mean, center)))
            total = (center, try add(scale(old, 1 - share), scale(new, share)), before.count + count)
        }
        guard let total, let mean, let variance, let count else { return }
        try mean.assign(total.mean)
        try variance.assign(total.variance)
        try count.assign(Tensor(number: Swift.min(total.count, Double(Int32.max)), .int32))
    }
}
