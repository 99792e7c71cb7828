import CDLKernels
import DLBase
import DLGraph
import DLKernels
import DLTensor

/// How the elements along an axis become more or fewer.
package enum Interpolation: Hashable, Sendable {
    case nearest
    case bilinear
    case bicubic
    case lanczos(Int)
    /// Means over windows that cover the axis: adaptive pooling.
    case area
    /// A gaussian window; the size stays, and outside there are zeros.
    case gaussian(size: Int, sigma: Double)

    /// Those that people choose by name.
    package static let names = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]

    package init?(_ name: String) {
        switch name {
        case "nearest": self = .nearest
        case "bilinear": self = .bilinear
        case "bicubic": self = .bicubic
        case "lanczos3": self = .lanczos(3)
        case "lanczos5": self = .lanczos(5)
        case "area": self = .area
        default: return nil
        }
    }

    var name: String {
        switch self {
        case .nearest: "nearest"
        case .bilinear: "bilinear"
        case .bicubic: "bicubic"
        case .lanczos(let radius): "lanczos\(radius)"
        case .area: "area"
        case .gaussian: "gaussian"
        }
    }

    /// Distance, in steps, from which on inputs have no weight, and the weight before.
    private var window: (radius: Double, weight: (Double) -> Double) {
        switch self {
        case .bicubic:
            return (
                2,
                { x in
                    if x >= 2 { return 0 }
                    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2
                }
            )
        case .lanczos(let radius):
            let size = Double(radius)
            return (
                size,
                { x in
                    if x > size { return 0 }
                    if x <= 1e-3 { return 1 }
                    return size * dl_sin_d(.pi * x) * dl_sin_d(.pi * x / size) / (.pi * .pi * x * x)
                }
            )
        default: return (1, { Swift.max(0, 1 - $0) })
        }
    }

    /// How far the weights of an output reach, about, for the cost of a map.
    func reach(_ ratio: Double, antialias: Bool) -> Double {
        2 * window.radius * (antialias ? Swift.max(ratio, 1) : 1) + 2
    }

    /// The map from `n` elements to `m`, both at least 1. With `placed`, element i comes from
    /// (i + 1/2 - translation) / scale - 1/2, and what comes from outside is 0.
    func taps(_ n: Int, _ m: Int, antialias: Bool, placed: Placement? = nil) -> AxisTaps {
        switch self {
        case .nearest:
            return AxisTaps(inputSize: n, outputSize: m) {
                [(Swift.min(Int((Double($0) + 0.5) * (Double(n) / Double(m))), n - 1), 1)]
            }
        case .area:
            return AxisTaps(inputSize: n, outputSize: m) { output in
                let start = output * n / m
                let end = ((output + 1) * n + m - 1) / m
                return (start..<end).map { ($0, 1 / Double(end - start)) }
            }
        case .gaussian(let size, let sigma):
            let weights = (0..<size).map { index in
                let distance = (Double(index) - Double(size - 1) / 2) / sigma
                return dl_exp_d(-0.5 * distance * distance)
            }
            let total = weights.reduce(0, +)
            return AxisTaps(inputSize: n, outputSize: m) { output in
                (0..<size).compactMap { index in
                    let position = output + index - (size - 1) / 2
                    return position >= 0 && position < n ? (position, weights[index] / total) : nil
                }
            }
        default:
            let (radius, weight) = window
            let ratio = placed.map { 1 / $0.scale } ?? Double(n) / Double(m)
            let scale = antialias ? Swift.max(ratio, 1) : 1
            return AxisTaps(inputSize: n, outputSize: m) { output in
                let center = (Double(output) + 0.5 - (placed?.translation ?? 0)) * ratio - 0.5
                if placed != nil, !(center >= -0.5 && center <= Double(n) - 0.5) { return [] }
                let low = Int(Swift.max(0, (center - radius * scale).rounded(.down)))
                let high = Int(Swift.min(Double(n - 1), (center + radius * scale).rounded(.up)))
                guard low <= high else { return [] }
                let weights = (low...high).map { weight(Swift.abs(center - Double($0)) / scale) }
                // What reaches over the border is shared by what is inside.
                let total = weights.reduce(0, +)
                return zip(low...high, weights).filter { $0.1 != 0 }.map { ($0.0, $0.1 / total) }
            }
        }
    }
}

/// Where the elements of a scaled and moved axis come from.
struct Placement: Hashable, Sendable {
    let scale: Double
    let translation: Double

    init(scale: Double, translation: Double) {
        self.scale = scale
        self.translation = translation
    }

    init?(_ arguments: Arguments) {
        guard let scale = arguments.optionalFloat("scale") else { return nil }
        self.init(scale: scale, translation: arguments.float("translation"))
    }
}

/// Interpolates along one axis. Linear in x, so that its gradient is the same map turned round.
struct Resample: DeclaredOperation {
    var axis: Int
    /// Elements of the result along the axis.
    var size: Int
    var interpolation: Interpolation
    var antialias = false
    var isTransposed = false
    /// nil: the elements fill the axis.
    var placed: Placement?

    /// More would make tables that nobody can want.
    static let largest = 1 << 24

    static let declaration = Declaration<any Operation>(
        "resample", "Interpolates along one axis.",
        formula: "y[i] = sum over j of w(|(i + 1/2) n / m - 1/2 - j|) x[j], the weights of an output scaled to the sum 1",
        source: "R. Keys: Cubic convolution interpolation for digital image processing, 1981",
        shapes: "x (..., n, ...) -> (..., size, ...)", extra: networkExtra("x", internal: true),
        arguments: [
            Argument("axis", .axis, nil, "the axis"),
            Argument("size", .int(1...largest), nil, "elements of the result along the axis"),
            Argument("interpolation", .choice(Interpolation.names + ["area", "gaussian"]), "bilinear", "the weights"),
            Argument("antialias", .bool, false, "whether the weights are widened where elements become fewer"),
            Argument("transposed", .bool, false, "whether it is the gradient of the map from size elements to those of x"),
            Argument("kernel_size", .int(1...largest), 1, "for gaussian: elements of the window"),
            Argument("sigma", .float(1e-30...1e30), 1, "for gaussian: the standard deviation"),
            Argument("scale", .optional(.float(1e-12...1e12)), .null, "how much longer things become; null fills the axis"),
            Argument("translation", .float(-1e12...1e12), 0, "with scale: by how many elements of the result things are moved"),
        ]
    ) {
        Resample(
            axis: $0.int("axis"), size: $0.int("size"),
            interpolation: Interpolation($0.string("interpolation"))
                ?? .gaussian(size: $0.int("kernel_size"), sigma: $0.float("sigma")),
            antialias: $0.bool("antialias"), isTransposed: $0.bool("transposed"), placed: Placement($0))
    }

    static var samples: [OperationSample] {
        [
            OperationSample(.uniform([2, 3, 2]), attributes: ["axis": 1, "size": 7, "interpolation": "nearest"]),
            OperationSample(.uniform([2, 5]), attributes: ["axis": -1, "size": 3]),
            OperationSample(.uniform([7, 2]), attributes: ["axis": 0, "size": 3, "antialias": true]),
            OperationSample(.uniform([2, 4, 3]), attributes: ["axis": 1, "size": 6, "interpolation": "bicubic"]),
            OperationSample(.uniform([2, 4]), attributes: ["axis": 1, "size": 9, "interpolation": "lanczos3"]),
            OperationSample(.uniform([2, 5, 3]), attributes: ["axis": 1, "size": 3, "interpolation": "area"]),
            OperationSample(
                .uniform([1, 3, 2]), attributes: ["axis": 1, "size": 8, "interpolation": "area", "transposed": true]),
            OperationSample(
                .uniform([2, 6]),
                attributes: ["axis": 1, "size": 6, "interpolation": "gaussian", "kernel_size": 4, "sigma": 1.5]),
            OperationSample(
                .uniform([2, 5]), attributes: ["axis": 1, "size": 7, "scale": 0.75, "translation": 1.25, "antialias": true]),
        ]
    }

    var attributes: JSON {
        var (kernelSize, sigma) = (1, 1.0)
        if case .gaussian(let size, let width) = interpolation { (kernelSize, sigma) = (size, width) }
        return nonDefault(
            Resample.declaration, ("axis", .int(Int64(axis))), ("size", .int(Int64(size))),
            ("interpolation", .string(interpolation.name)), ("antialias", .bool(antialias)),
            ("transposed", .bool(isTransposed)), ("kernel_size", .int(Int64(kernelSize))), ("sigma", .double(sigma)),
            ("scale", placed.map { .double($0.scale) } ?? .null), ("translation", .double(placed?.translation ?? 0)))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        try expectType(inputs[0], floatingTypes, name)
        let shape = inputs[0].shape
        let axis = try shape.axis(axis, name)
        guard (1...Resample.largest).contains(size), (1...Resample.largest).contains(shape[axis]) else {
            throw DLError(
                .shape, "[\(name)] sizes must be from 1 to \(Resample.largest). Received: \(shape), size \(size)")
        }
        if case .gaussian = interpolation, size != shape[axis] {
            throw DLError(.shape, "[\(name)] gaussian windows keep the size. Received: \(shape), size \(size)")
        }
        if let placed {
            let (from, to) = isTransposed ? (size, shape[axis]) : (shape[axis], size)
            let taps = Double(to) * Swift.min(Double(from), interpolation.reach(1 / placed.scale, antialias: antialias))
            guard taps <= Double(1 << 26) else {
                throw DLError(
                    .limit, "[\(name)] every element would be made of too many others. Received: \(shape), size \(size), "
                        + "scale \(Text.shortest(placed.scale))")
            }
        }
        var sizes = shape.sizes
        sizes[axis] = size
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (shape, type) = (inputs[0].shape, inputs[0].type)
        let axis = try shape.axis(axis, name)
        let taps = isTransposed
            ? interpolation.taps(size, shape[axis], antialias: antialias, placed: placed).transposed
            : interpolation.taps(shape[axis], size, antialias: antialias, placed: placed)
        let outer = shape.sizes[..<axis].reduce(1, *), inner = shape.sizes[(axis + 1)...].reduce(1, *)
        let runtime = ThreadPool.shared.runtime
        return Kernel("rows") { taps(runtime, outer: outer, inner: inner, $0.inputs[0], $0.outputs[0], type: type) }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let shape = context.inputs[0].shape
        var back = self
        back.size = shape[try shape.axis(axis, name)]
        back.isTransposed.toggle()
        return [try DLGraph.apply(back, context.upstream)]
    }
}

/// Interpolates x along one axis to `size` elements.
package func resample(
    _ x: Value, axis: Int, size: Int, _ interpolation: Interpolation, antialias: Bool = false
) throws -> Value {
    try DLGraph.apply(Resample(axis: axis, size: size, interpolation: interpolation, antialias: antialias), x)
}

/// Interpolates x, scaled and then moved along one axis, at `size` elements; 0 where x has nothing.
func resample(
    _ x: Value, axis: Int, size: Int, _ interpolation: Interpolation, antialias: Bool, placed: Placement
) throws -> Value {
    try DLGraph.apply(Resample(axis: axis, size: size, interpolation: interpolation, antialias: antialias, placed: placed), x)
}
