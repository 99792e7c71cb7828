import DLBase
import DLOps
import DLTensor

/// Tensors of random numbers for initializers: a pure function of seed and position. Floating-point ones, the weights of
/// networks, come from the kernels of the random operations, on all threads.
package enum RandomFill {
    package static func uniform(
        _ shape: Shape, _ type: ElementType, low: Double, high: Double, seed: UInt64?
    ) throws -> Tensor {
        let seed = seed ?? GlobalRandom.nextSeed()
        if type.isFloatingPoint {
            return try randomUniform(shape, low: low, high: high, type: type, seed: RandomSeed.value(seed)).tensor()
        }
        var stream = RandomStream(seed: seed)
        return try fill(shape, type) { low + (high - low) * stream.uniform() }
    }

    package static func normal(
        _ shape: Shape, _ type: ElementType, mean: Double, deviation: Double, seed: UInt64?
    ) throws -> Tensor {
        let seed = seed ?? GlobalRandom.nextSeed()
        if type.isFloatingPoint {
            return try randomNormal(shape, mean: mean, deviation: deviation, type: type, seed: RandomSeed.value(seed)).tensor()
        }
        var source = NormalSource(seed: seed)
        return try fill(shape, type) { mean + deviation * source.next() }
    }

    /// Numbers beyond two standard deviations are drawn again.
    package static func truncatedNormal(
        _ shape: Shape, _ type: ElementType, mean: Double, deviation: Double, seed: UInt64?
    ) throws -> Tensor {
        let seed = seed ?? GlobalRandom.nextSeed()
        if type.isFloatingPoint {
            return try randomTruncatedNormal(
                shape, mean: mean, deviation: deviation, type: type, seed: RandomSeed.value(seed)).tensor()
        }
        var source = NormalSource(seed: seed)
        return try fill(shape, type) {
            var number = source.next()
            while number < -2 || number > 2 { number = source.next() }
            return mean + deviation * number
        }
    }

    private static func fill(_ shape: Shape, _ type: ElementType, _ next: () -> Double) throws -> Tensor {
        let tensor = try Tensor(uninitialized: shape, type)
        switch type {
        case .float32:
            let elements = tensor.elements(Float.self)
            for index in elements.indices { elements[index] = Float(next()) }
        default:
            for index in 0..<tensor.count { tensor.setNumber(next(), at: index) }
        }
        return tensor
    }
}

/// Normally distributed numbers by Marsaglia's polar method.
private struct NormalSource {
    private var stream: RandomStream
    private var spare: Double?

    init(seed: UInt64) { stream = RandomStream(seed: seed) }

    mutating func next() -> Double {
        if let number = spare {
            spare = nil
            return number
        }
        while true {
            let u = 2 * stream.uniform() - 1
            let v = 2 * stream.uniform() - 1
            let s = u * u + v * v
            if s > 0, s < 1 {
                let factor = (-2 * logarithm(s) / s).squareRoot()
                spare = v * factor
                return u * factor
            }
        }
    }
}
