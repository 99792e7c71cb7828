import DLBase
import DLTensor

extension DataSets {
    static let shapes = Declaration<DataSet>(
        "shapes", "Small pictures of ten shapes, drawn on the spot: moved, turned, scaled, with noise.",
        shapes: "x (n, 28, 28) uint8, 0 to 255; y (n,) int32, 0 to 9; the classes take turns",
        arguments: [
            Argument("n_train", .int(1...10_000_000), 20_000, "pictures to train with"),
            Argument("n_test", .int(0...10_000_000), 2_000, "further pictures, to test with"),
            seed,
        ]
    ) { arguments in
        let seed = UInt64(arguments.int("seed"))
        let train = arguments.int("n_train")
        let (xTrain, yTrain) = try draw(0..<train, seed)
        let (xTest, yTest) = try draw(train..<(train + arguments.int("n_test")), seed)
        return DataSet(
            xTrain: xTrain, yTrain: yTrain, xTest: xTest, yTest: yTest, classNames: Figure.allCases.map(\.rawValue),
            origin: "drawn by shapes with seed \(seed)")
    }

    /// Every picture has a stream of random numbers of its own, so it depends neither on the threads nor on the others.
    private static func draw(_ range: Range<Int>, _ seed: UInt64) throws -> (Tensor, Tensor) {
        let x = try Tensor(uninitialized: Shape(checked: [range.count, Canvas.size, Canvas.size]), .uint8)
        let y = try Tensor(uninitialized: [range.count], .int32)
        let pixels = x.elements(UInt8.self)
        let labels = y.elements(Int32.self)
        let figures = Figure.allCases
        let step = 32
        ThreadPool.shared.forEach(pieces: (range.count + step - 1) / step) { piece in
            for row in piece * step..<min(range.count, (piece + 1) * step) {
                let sample = range.lowerBound + row
                let label = sample % figures.count
                labels[row] = Int32(label)
                var canvas = Canvas(figures[label], RandomStream(seed: seed, stream: UInt64(sample)))
                let picture = row * Canvas.size * Canvas.size
                canvas.draw(UnsafeMutableBufferPointer(rebasing: pixels[picture..<(picture + Canvas.size * Canvas.size)]))
            }
        }
        return (x, y)
    }
}

/// One picture: where the figure lies, how large and how bright it is, and how much noise there is.
private struct Canvas {
    static let size = 28
    private let figure: Figure
    private var random: RandomStream
    private let centre: (Double, Double)
    private let scale: Double
    private let turn: (cosine: Double, sine: Double)
    private let brightness: Double
    private let noise: Double

    init(_ figure: Figure, _ random: RandomStream) {
        self.figure = figure
        var random = random
        func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.uniform() }
        scale = between(7, 11)
        let room = Double(Canvas.size) / 2 - scale - 0.5
        centre = (14 + between(-room, room), 14 + between(-room, room))
        // The tangent of half the angle, which is up to 16 degrees either way.
        let half = between(-0.14, 0.14)
        turn = ((1 - half * half) / (1 + half * half), 2 * half / (1 + half * half))
        brightness = between(140, 255)
        noise = between(0, 0.12)
        self.random = random
    }

    mutating func draw(_ pixels: UnsafeMutableBufferPointer<UInt8>) {
        for row in 0..<Canvas.size {
            for column in 0..<Canvas.size {
                let x = Double(column) + 0.5 - centre.0
                let y = Double(row) + 0.5 - centre.1
                let u = (turn.cosine * x + turn.sine * y) / scale
                let v = (turn.cosine * y - turn.sine * x) / scale
                let covered = min(max(0.5 - scale * figure.distance(u, v), 0), 1)
                // The sum of four bytes is nearly normal, with mean 510 and standard deviation 148.
                let word = random.next()
                let sum = (word & 0xFF) + (word >> 8 & 0xFF) + (word >> 16 & 0xFF) + (word >> 24 & 0xFF)
                let value = brightness * covered + noise * (Double(sum) - 510)
                pixels[row * Canvas.size + column] = UInt8(min(max(value, 0), 255))
            }
        }
    }
}

/// The figures, each as its signed distance in a square from -1 to 1: negative inside, about 1 a unit outside.
private enum Figure: String, CaseIterable {
    case disc, ring, square, frame, triangle, plus, cross, star, crescent, stripes

    func distance(_ u: Double, _ v: Double) -> Double {
        let radius = (u * u + v * v).squareRoot()
        let (a, b) = (u.magnitude, v.magnitude)
        switch self {
        case .disc: return radius - 0.9
        case .ring: return (radius - 0.75).magnitude - 0.17
        case .square: return max(a, b) - 0.8
        case .frame: return (max(a, b) - 0.7).magnitude - 0.15
        case .triangle: return max(v - 0.75, 0.8666 * a - 0.499 * v - 0.449)
        case .plus: return Figure.plus(a, b)
        case .cross: return Figure.plus((u + v).magnitude * 0.5.squareRoot(), (u - v).magnitude * 0.5.squareRoot())
        case .star: return Figure.star(u, v)
        case .crescent: return max(radius - 0.9, 0.72 - ((u - 0.42) * (u - 0.42) + v * v).squareRoot())
        case .stripes: return max(a - 0.85, min(b, (b - 0.66).magnitude) - 0.16)
        }
    }

    private static func plus(_ a: Double, _ b: Double) -> Double {
        min(max(a - 0.2, b - 0.95), max(b - 0.2, a - 0.95))
    }

    /// Five points. Folding the plane along the star's mirror lines leaves one edge of it to measure.
    private static func star(_ u: Double, _ v: Double) -> Double {
        // Cosine and sine of 36 degrees.
        let (c, s) = (0.809_016_994_374_947_4, 0.587_785_252_292_473_1)
        var x = u.magnitude
        var y = -v
        for (normalX, normalY) in [(c, -s), (-c, -s)] {
            let beyond = max(normalX * x + normalY * y, 0)
            x -= 2 * beyond * normalX
            y -= 2 * beyond * normalY
        }
        x = x.magnitude
        y -= 1
        // The edge from the tip, towards the inner corner at radius 0.42 and 36 degrees.
        let (edgeX, edgeY) = (0.42 * s, 0.42 * c - 1)
        let along = min(max((x * edgeX + y * edgeY) / (edgeX * edgeX + edgeY * edgeY), 0), 1)
        let (offX, offY) = (x - edgeX * along, y - edgeY * along)
        let length = (offX * offX + offY * offY).squareRoot()
        return y * edgeX - x * edgeY < 0 ? -length : length
    }
}
