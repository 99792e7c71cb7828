import CDLKernels
import DLBase

/// Random tensors. Element i depends on seed, offset and i alone: two calls with different offsets are independent, and
/// the number of threads does not matter.
package struct RandomKernel: @unchecked Sendable {
    package let seed: UInt64
    package let offset: UInt64
    private let table: UnsafePointer<dl_math_kernels>?

    package init(seed: UInt64, offset: UInt64, level: ProcessorLevel = .current) {
        self.seed = seed
        self.offset = offset
        table = tunedMath(.float32, level)
    }

    /// Word i of the stream. A group of 64 comes from 16 counters; word w of counter l stands at 16 w + l.
    func word(_ i: Int) -> UInt32 { words(counter: UInt64(i / 64 * 16 + i % 16))[i % 64 / 16] }

    /// attempt numbers the tries of methods that may reject; it stands in the bits above the counter.
    func words(counter: UInt64, attempt: UInt32 = 0) -> SIMD4<UInt32> {
        Philox.block(
            counter: SIMD4(
                UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32) ^ (attempt << 16),
                UInt32(truncatingIfNeeded: offset), UInt32(truncatingIfNeeded: offset >> 32)),
            key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
    }

    /// Uniform in [low, high), float32.
    package func uniform(_ runtime: Runtime?, _ y: UnsafeMutablePointer<Float>, count: Int, low: Float, high: Float) {
        if let table {
            table.pointee.random_uniform?(runtime, seed, offset, low, high, y, Int64(count))
            return
        }
        let limit = high > low ? high.nextDown : low
        for i in 0..<max(count, 0) {
            y[i] = min(low + Float(word(i) >> 8) * 0x1p-24 * (high - low), limit)
        }
    }

    /// Uniform in [low, high), float64: 53 bits from two words.
    package func uniform(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<Double>, count: Int, low: Double, high: Double
    ) {
        let limit = high > low ? high.nextDown : low
        for i in 0..<max(count, 0) { y[i] = min(low + unit(i) * (high - low), limit) }
    }

    /// [0, 1) in steps of 2^-53.
    private func unit(_ i: Int) -> Double {
        let w = words(counter: UInt64(i))
        return Double(UInt64(w[0]) << 21 ^ UInt64(w[1] >> 11)) * 0x1p-53
    }

    /// Normal by Box and Muller, float32: pairs of words 16 apart give pairs of numbers.
    package func normal(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<Float>, count: Int, mean: Float, deviation: Float
    ) {
        if let table {
            table.pointee.random_normal?(runtime, seed, offset, mean, deviation, y, Int64(count))
            return
        }
        for i in 0..<max(count, 0) {
            let w = words(counter: UInt64(i / 64 * 16 + i % 16)), k = i % 64 / 16
            let (cosine, sine) = boxMuller(w[k & 2], w[(k & 2) + 1])
            y[i] = mean + deviation * Float(k & 1 == 0 ? cosine : sine)
        }
    }

    /// Normal, float64.
    package func normal(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<Double>, count: Int, mean: Double, deviation: Double
    ) {
        for i in 0..<max(count, 0) {
            let w = words(counter: UInt64(i))
            let radius = (-2 * dl_log_d((Double(UInt64(w[0]) << 21 ^ UInt64(w[1] >> 11)) + 1) * 0x1p-53)).squareRoot()
            let angle = Double(UInt64(w[2]) << 21 ^ UInt64(w[3] >> 11)) * 0x1p-53 * 2 * Double.pi
            y[i] = mean + deviation * radius * dl_cos_d(angle)
        }
    }

    private func boxMuller(_ u: UInt32, _ v: UInt32) -> (cosine: Double, sine: Double) {
        let radius = (-2 * dl_log_d(Double(u >> 1) * 0x1p-31 + 0x1p-32)).squareRoot()
        let angle = Double(v >> 8) * 0x1p-24 * 2 * Double.pi
        return (radius * dl_cos_d(angle), radius * dl_sin_d(angle))
    }

    /// Normal, drawn again while further than two deviations from the mean (Keras's truncated normal).
    package func truncatedNormal<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<T>, count: Int, mean: Double, deviation: Double
    ) {
        nonisolated(unsafe) let y = y
        forRanges(runtime, count: count, grain: 4096) { range in
            for i in range {
                var value = 0.0
                // One try in twenty fails: 64 of them never do.
                tries: for attempt in 0..<UInt32(64) {
                    let w = words(counter: UInt64(i), attempt: attempt)
                    let a = boxMuller(w[0], w[1]), b = boxMuller(w[2], w[3])
                    for candidate in [a.cosine, a.sine, b.cosine, b.sine] where abs(candidate) <= 2 {
                        value = candidate
                        break tries
                    }
                }
                y[i] = T(mean + deviation * value)
            }
        }
    }

    /// Uniform whole numbers in low ..< high; low where the range is empty.
    package func integers<T: FixedWidthInteger>(
        _ runtime: Runtime?, _ y: UnsafeMutablePointer<T>, count: Int, low: T, high: T
    ) {
        // Of the type's own width: high - low may not fit its signed type.
        let range = UInt64(truncatingIfNeeded: Int64(truncatingIfNeeded: high) &- Int64(truncatingIfNeeded: low))
        for i in 0..<max(count, 0) {
            guard high > low else {
                y[i] = low
                continue
            }
            let w = words(counter: UInt64(i))
            // The upper half of a 64 by 64 bit product; its bias is below 2^-32 for ranges of up to 32 bits.
            let draw = (UInt64(w[1]) << 32 | UInt64(w[0])).multipliedFullWidth(by: range).high
            y[i] = low &+ T(truncatingIfNeeded: draw)
        }
    }

    /// y = 1 with the given probability, else 0, as bytes.
    package func bernoulli(_ runtime: Runtime?, _ y: UnsafeMutablePointer<UInt8>, count: Int, probability: Double) {
        for i in 0..<max(count, 0) { y[i] = Double(word(i)) * 0x1p-32 < probability ? 1 : 0 }
    }

    /// y = x / (1 - rate) where a uniform number reaches rate, else 0; float32. mask (bytes) is written unless nil.
    /// 0 <= rate < 1.
    package func dropout(
        _ runtime: Runtime?, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
        mask: UnsafeMutablePointer<UInt8>?, count: Int, rate: Float
    ) {
        let scale = 1 / (1 - rate)
        if let table {
            table.pointee.dropout?(runtime, seed, offset, rate, scale, x, y, mask, Int64(count))
            return
        }
        for i in 0..<max(count, 0) {
            let kept = Float(word(i) >> 8) * 0x1p-24 >= rate
            y[i] = kept ? x[i] * scale : 0
            mask?[i] = kept ? 1 : 0
        }
    }

    /// The same for float64, with the same mask.
    package func dropout(
        _ runtime: Runtime?, _ x: UnsafePointer<Double>, _ y: UnsafeMutablePointer<Double>,
        mask: UnsafeMutablePointer<UInt8>?, count: Int, rate: Float
    ) {
        let scale = 1 / (1 - Double(rate))
        for i in 0..<max(count, 0) {
            let kept = Float(word(i) >> 8) * 0x1p-24 >= rate
            y[i] = kept ? x[i] * scale : 0
            mask?[i] = kept ? 1 : 0
        }
    }

    /// y = mask ? x scale : 0: the gradient of dropout, with scale = 1 / (1 - rate).
    package func maskedScale(
        _ runtime: Runtime?, mask: UnsafePointer<UInt8>, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>,
        count: Int, scale: Float
    ) {
        if let table {
            table.pointee.masked_scale?(runtime, mask, scale, x, y, Int64(count))
            return
        }
        for i in 0..<max(count, 0) { y[i] = mask[i] != 0 ? x[i] * scale : 0 }
    }

    package func maskedScale(
        _ runtime: Runtime?, mask: UnsafePointer<UInt8>, _ x: UnsafePointer<Double>,
        _ y: UnsafeMutablePointer<Double>, count: Int, scale: Double
    ) {
        for i in 0..<max(count, 0) { y[i] = mask[i] != 0 ? x[i] * scale : 0 }
    }

    /// A random order of 0 ..< count (Fisher and Yates); T holds count - 1.
    package func permutation<T: FixedWidthInteger>(_ y: UnsafeMutablePointer<T>, count: Int) {
        for i in 0..<max(count, 0) { y[i] = T(truncatingIfNeeded: i) }
        var i = count - 1
        while i > 0 {
            let w = words(counter: UInt64(i))
            let j = Int((UInt64(w[1]) << 32 | UInt64(w[0])).multipliedFullWidth(by: UInt64(i + 1)).high)
            let swapped = y[i]
            y[i] = y[j]
            y[j] = swapped
            i -= 1
        }
    }
}
