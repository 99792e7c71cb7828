import CDLKernels
import DLBase

/// Random numbers of distributions that need several tries or several draws for a number: gamma, beta, binomial.
///
/// Each element draws from blocks of its own, so it depends on seed, offset and its position alone.
extension RandomKernel {
    /// The draws of one element.
    private struct Draws {
        let kernel: RandomKernel
        let element: UInt64
        private var block: UInt32 = 0
        private var spare: UInt64?

        init(_ kernel: RandomKernel, _ element: Int) {
            self.kernel = kernel
            self.element = UInt64(element)
        }

        /// In (0, 1), in steps of 2^-53.
        mutating func uniform() -> Double {
            if let bits = spare {
                spare = nil
                return Draws.unit(bits)
            }
            // Only the lower 16 bits of the number of a try count: 65536 blocks are more than any element needs.
            let words = kernel.words(counter: element, attempt: block & 0xFFFF)
            block &+= 1
            spare = UInt64(words[3]) << 32 | UInt64(words[2])
            return Draws.unit(UInt64(words[1]) << 32 | UInt64(words[0]))
        }

        private static func unit(_ bits: UInt64) -> Double { (Double(bits >> 12) + 0.5) * 0x1p-52 }

        mutating func normal() -> Double {
            let radius = (-2 * dl_log_d(uniform())).squareRoot()
            return radius * dl_cos_d(2 * Double.pi * uniform())
        }

        /// The logarithm of a number of the gamma distribution, which stays finite where the number itself would be 0.
        /// Marsaglia, Tsang: A simple method for generating gamma variables, 2000.
        mutating func logGamma(_ shape: Double) -> Double {
            guard shape > 0, shape.isFinite else { return .nan }
            let boosted = shape < 1 ? shape + 1 : shape
            let d = boosted - 1.0 / 3
            let c = 1 / (9 * d).squareRoot()
            var result = d
            // More than nine tries in ten succeed: 100 of them do.
            for _ in 0..<100 {
                let x = normal()
                let root = 1 + c * x
                guard root > 0 else { continue }
                let v = root * root * root
                if dl_log_d(uniform()) < 0.5 * x * x + d - d * v + d * dl_log_d(v) {
                    result = d * v
                    break
                }
            }
            return dl_log_d(result) + (shape < 1 ? dl_log_d(uniform()) / shape : 0)
        }

        mutating func beta(_ a: Double, _ b: Double) -> Double {
            let x = logGamma(a), y = logGamma(b)
            return 1 / (1 + dl_exp_d(y - x))
        }

        /// Devroye, Non-uniform random variate generation, 1986: the middle one of many uniform numbers has a beta
        /// distribution and says of half of them on which side of p they are; the last few are counted.
        mutating func binomial(_ trials: Double, _ probability: Double) -> Double {
            guard trials >= 0, trials <= 0x1p53, probability >= 0, probability <= 1 else { return .nan }
            var (n, p, count) = (trials.rounded(.down), probability, 0.0)
            while n > 32 {
                let middle = 1 + (n / 2).rounded(.down)
                let split = beta(middle, n + 1 - middle)
                if split <= p {
                    count += middle
                    n -= middle
                    p = split < 1 ? Swift.min((p - split) / (1 - split), 1) : 0
                } else {
                    n = middle - 1
                    p = Swift.min(p / split, 1)
                }
            }
            for _ in 0..<Int(n) where uniform() < p { count += 1 }
            return count
        }
    }

    private func fill<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<T>, _ count: Int, _ body: (inout Draws, Int) -> Double
    ) {
        nonisolated(unsafe) let target = y
        forRanges(runtime, count: count, grain: 256) { range in
            for i in range {
                var draws = Draws(self, i)
                target[i] = T(body(&draws, i))
            }
        }
    }

    /// y[i] of the gamma distribution of shape a[i] and scale 1; NaN where a is not above 0.
    package func gamma<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ a: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, count: Int
    ) {
        nonisolated(unsafe) let a = a
        fill(runtime, y, count) { draws, i in dl_exp_d(draws.logGamma(Double(a[i]))) }
    }

    /// y[i] of the beta distribution of a[i] and b[i]; NaN where one of them is not above 0.
    package func beta<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, count: Int
    ) {
        nonisolated(unsafe) let (a, b) = (a, b)
        fill(runtime, y, count) { draws, i in draws.beta(Double(a[i]), Double(b[i])) }
    }

    /// y[i]: how many of a[i] tries with the probability b[i] succeed; NaN where there is no such thing.
    package func binomial<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, count: Int
    ) {
        nonisolated(unsafe) let (a, b) = (a, b)
        fill(runtime, y, count) { draws, i in draws.binomial(Double(a[i]), Double(b[i])) }
    }
}
