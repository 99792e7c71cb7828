import CDLKernels
import DLBase

/// Local response normalisation of x [rows, c] across its columns.
///
/// y[i] = x[i] d[i]^-beta, d[i] = k + scale * (sum of x[j]^2 over i - before <= j <= i + after).
package struct LocalResponseKernel: @unchecked Sendable {
    package let type: ElementType
    package let before: Int, after: Int
    package let scale: Double, beta: Double, k: Double
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point, or a negative reach.
    package init?(
        _ type: ElementType, before: Int, after: Int, scale: Double, beta: Double, k: Double,
        level: ProcessorLevel = .current
    ) {
        guard type.isFloatingPoint, before >= 0, after >= 0 else { return nil }
        self.type = type
        self.before = before
        self.after = after
        self.scale = scale
        self.beta = beta
        self.k = k
        table = tunedMath(type, level)
    }

    /// For the gradient; the forward computation needs none.
    package func scratchByteCount(rows: Int, c: Int) -> Int {
        if let table { return 4 * Int(table.pointee.local_response_scratch?(Int64(rows), Int64(c)) ?? 0) }
        return 8 * max(c, 0)
    }

    /// y must not be x.
    package func forward(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, rows: Int, c: Int) {
        if let table {
            table.pointee.local_response?(
                runtime, x.of(Float.self), y.of(Float.self), Int64(rows), Int64(c), Int64(min(before, c)),
                Int64(min(after, c)), Float(scale), Float(beta), Float(k))
        } else if type == .float32 {
            reference(x.of(Float.self), y.of(Float.self), rows, c)
        } else {
            reference(x.of(Double.self), y.of(Double.self), rows, c)
        }
    }

    /// dx from x and dy; it must be neither of them.
    package func gradient(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, dy: UnsafeRawPointer, dx: UnsafeMutableRawPointer, rows: Int, c: Int,
        scratch: UnsafeMutableRawPointer
    ) {
        if let table {
            table.pointee.local_response_gradient?(
                runtime, x.of(Float.self), dy.of(Float.self), dx.of(Float.self), Int64(rows), Int64(c),
                Int64(min(before, c)), Int64(min(after, c)), Float(scale), Float(beta), Float(k), scratch.of(Float.self))
        } else if type == .float32 {
            referenceGradient(x.of(Float.self), dy.of(Float.self), dx.of(Float.self), rows, c, scratch.of(Double.self))
        } else {
            referenceGradient(x.of(Double.self), dy.of(Double.self), dx.of(Double.self), rows, c, scratch.of(Double.self))
        }
    }

    private func denominator<T: FloatElement>(_ x: UnsafePointer<T>, _ i: Int, _ c: Int) -> Double {
        var sum = 0.0
        for j in max(0, i - min(before, c))..<min(c, i + min(after, c) + 1) { sum += x[j].double * x[j].double }
        return k + scale * sum
    }

    private func reference<T: FloatElement>(_ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int) {
        for row in 0..<max(rows, 0) {
            let x = x + row * c, y = y + row * c
            for i in 0..<max(c, 0) { y[i] = T(rounding: x[i].double * dl_pow_d(denominator(x, i, c), -beta)) }
        }
    }

    private func referenceGradient<T: FloatElement>(
        _ x: UnsafePointer<T>, _ dy: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int,
        _ t: UnsafeMutablePointer<Double>
    ) {
        for row in 0..<max(rows, 0) {
            let x = x + row * c, dy = dy + row * c, dx = dx + row * c
            for i in 0..<max(c, 0) { t[i] = dy[i].double * x[i].double * dl_pow_d(denominator(x, i, c), -beta - 1) }
            for i in 0..<max(c, 0) {
                var sum = 0.0
                for j in max(0, i - min(after, c))..<min(c, i + min(before, c) + 1) { sum += t[j] }
                let direct = dy[i].double * dl_pow_d(denominator(x, i, c), -beta)
                dx[i] = T(rounding: direct - 2 * scale * beta * x[i].double * sum)
            }
        }
    }
}
