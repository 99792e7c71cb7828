import DLBase
import DLTensor

extension DataSets {
    static let blobs = Declaration<DataSet>(
        "make_blobs", "Points around random centres, a few centres a class; the classes take turns.",
        formula: "x = centre + spread * noise; the coordinates of centres and noise are standard normal",
        shapes: "x (n, features) float32; y (n,) int32, 0 to classes - 1",
        arguments: [
            Argument("samples", .int(Argument.positive), 1000, "points to train with"),
            Argument("features", .int(Argument.positive), 2, "coordinates of a point"),
            Argument("classes", .int(Argument.positive), 3, "classes"),
            Argument("modes", .int(Argument.positive), 1, "centres of each class"),
            Argument("spread", .float(Argument.notNegative), 0.3, "standard deviation of the noise"),
            seed,
            Argument("test_samples", .int(0...Int(Int32.max)), 0, "further points, to test with"),
        ]
    ) { arguments in
        let blobs = try Blobs(
            features: arguments.int("features"), classes: arguments.int("classes"), modes: arguments.int("modes"),
            spread: arguments.float("spread"), seed: UInt64(arguments.int("seed")))
        let samples = arguments.int("samples")
        let (xTrain, yTrain) = try blobs.points(0..<samples)
        let (xTest, yTest) = try blobs.points(samples..<(samples + arguments.int("test_samples")))
        return DataSet(
            xTrain: xTrain, yTrain: yTrain, xTest: xTest, yTest: yTest, classNames: [],
            origin: "made by make_blobs with seed \(arguments.int("seed"))")
    }
}

private struct Blobs {
    let features: Int
    let classes: Int
    let modes: Int
    let spread: Double
    let seed: UInt64
    /// (classes, modes, features)
    let centres: Tensor

    init(features: Int, classes: Int, modes: Int, spread: Double, seed: UInt64) throws {
        self.features = features
        self.classes = classes
        self.modes = modes
        self.spread = spread
        self.seed = seed
        centres = try Tensor(uninitialized: Shape(checked: [classes, modes, features]), .float64)
        let target = centres.elements(Double.self)
        var random = RandomStream(seed: seed)
        for index in target.indices { target[index] = random.normal() }
    }

    /// Every point has a stream of random numbers of its own, so it depends neither on the threads nor on the others.
    func points(_ range: Range<Int>) throws -> (Tensor, Tensor) {
        let x = try Tensor(uninitialized: Shape(checked: [range.count, features]), .float32)
        let y = try Tensor(uninitialized: [range.count], .int32)
        let points = x.elements(Float.self)
        let labels = y.elements(Int32.self)
        let centres = centres.elements(Double.self)
        let step = max(1, 4096 / features)
        ThreadPool.shared.forEach(pieces: (range.count + step - 1) / step) { piece in
            for row in piece * step..<min(range.count, (piece + 1) * step) {
                let sample = range.lowerBound + row
                let label = sample % classes
                labels[row] = Int32(label)
                var random = RandomStream(seed: seed, stream: UInt64(sample) + 1)
                let centre = (label * modes + random.below(modes)) * features
                for feature in 0..<features {
                    points[row * features + feature] = Float(centres[centre + feature] + spread * random.normal())
                }
            }
        }
        return (x, y)
    }
}

extension RandomStream {
    /// Standard normal, by the polar method (Marsaglia and Bray, "A convenient method for generating normal variables",
    /// SIAM Review 6, 1964); the same bits on every machine.
    mutating func normal() -> Double {
        while true {
            let u = 2 * uniform() - 1
            let v = 2 * uniform() - 1
            let s = u * u + v * v
            if s < 1, s > 0 { return u * (-2 * logarithm(s) / s).squareRoot() }
        }
    }
}

/// The natural logarithm of a positive normal number, by the series of the inverse hyperbolic tangent around 1. The C
/// library's may differ from one version to the next in the last bit.
func logarithm(_ x: Double) -> Double {
    var exponent = Double(x.exponent)
    var fraction = x.significand
    if fraction > 1.414_213_562_373_095_1 {
        fraction /= 2
        exponent += 1
    }
    let s = (fraction - 1) / (fraction + 1)
    let square = s * s
    // |s| <= 0.1716, so the first term left out is below 1e-18 of the first.
    var sum = 0.0
    for denominator in stride(from: 23.0, through: 1, by: -2) { sum = sum * square + 1 / denominator }
    return exponent * 0.693_147_180_559_945_3 + 2 * s * sum
}
