import CDLKernels
import DLBase

/// Normalisation of each row of x [rows, n] by its own mean and variance, as in layer normalisation, or without `center` by
/// its root mean square. gamma, beta and their gradients have n elements.
package struct RowNormKernel: @unchecked Sendable {
    package let type: ElementType
    package let epsilon: Double
    package let center: Bool
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point.
    package init?(_ type: ElementType, epsilon: Double, center: Bool, level: ProcessorLevel = .current) {
        guard type.isFloatingPoint else { return nil }
        self.type = type
        self.epsilon = epsilon
        self.center = center
        table = tunedMath(type, level)
    }

    /// For the gradient; the forward computation needs none.
    package func scratchByteCount(rows: Int, n: Int) -> Int {
        4 * Int(table?.pointee.row_norm_scratch?(Int64(rows), Int64(n)) ?? 0)
    }

    /// y may be x.
    package func forward(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, gamma: UnsafeRawPointer?, beta: UnsafeRawPointer?,
        _ y: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            var arguments = dl_row_norm(
                x: x.of(Float.self), dy: nil, gamma: gamma?.of(Float.self), beta: beta?.of(Float.self), y: y.of(Float.self),
                dgamma: nil, dbeta: nil, scratch: nil, rows: Int64(rows), n: Int64(n), epsilon: Float(epsilon),
                center: center ? 1 : 0)
            withUnsafePointer(to: &arguments) { table.pointee.row_norm?(runtime, $0) }
        } else if type == .float32 {
            reference(x.of(Float.self), gamma?.of(Float.self), beta?.of(Float.self), y.of(Float.self), rows, n)
        } else {
            reference(x.of(Double.self), gamma?.of(Double.self), beta?.of(Double.self), y.of(Double.self), rows, n)
        }
    }

    /// dx, dgamma and dbeta; dx may be dy or x.
    package func gradient(
        _ runtime: Runtime?, dy: UnsafeRawPointer, _ x: UnsafeRawPointer, gamma: UnsafeRawPointer?,
        dx: UnsafeMutableRawPointer, dgamma: UnsafeMutableRawPointer, dbeta: UnsafeMutableRawPointer, rows: Int, n: Int,
        scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            var arguments = dl_row_norm(
                x: x.of(Float.self), dy: dy.of(Float.self), gamma: gamma?.of(Float.self), beta: nil, y: dx.of(Float.self),
                dgamma: dgamma.of(Float.self), dbeta: dbeta.of(Float.self), scratch: scratch?.of(Float.self),
                rows: Int64(rows), n: Int64(n), epsilon: Float(epsilon), center: center ? 1 : 0)
            withUnsafePointer(to: &arguments) { table.pointee.row_norm_gradient?(runtime, $0) }
        } else if type == .float32 {
            referenceGradient(
                dy.of(Float.self), x.of(Float.self), gamma?.of(Float.self), dx.of(Float.self), dgamma.of(Float.self),
                dbeta.of(Float.self), rows, n)
        } else {
            referenceGradient(
                dy.of(Double.self), x.of(Double.self), gamma?.of(Double.self), dx.of(Double.self), dgamma.of(Double.self),
                dbeta.of(Double.self), rows, n)
        }
    }

    private func statistics<T: FloatElement>(_ x: UnsafePointer<T>, _ n: Int) -> (mean: Double, inverse: Double) {
        var mean = 0.0
        if center {
            for i in 0..<n { mean += x[i].double }
            mean /= Double(n)
        }
        var variance = 0.0
        for i in 0..<n { variance += (x[i].double - mean) * (x[i].double - mean) }
        return (mean, 1 / (variance / Double(n) + epsilon).squareRoot())
    }

    private func reference<T: FloatElement>(
        _ x: UnsafePointer<T>, _ gamma: UnsafePointer<T>?, _ beta: UnsafePointer<T>?, _ y: UnsafeMutablePointer<T>, _ rows: Int,
        _ n: Int
    ) {
        for row in 0..<max(rows, 0) {
            let x = x + row * n, y = y + row * n
            let (mean, inverse) = statistics(x, n)
            for i in 0..<max(n, 0) {
                let scale = gamma.map { $0[i].double } ?? 1, shift = beta.map { $0[i].double } ?? 0
                y[i] = T(rounding: (x[i].double - mean) * inverse * scale + shift)
            }
        }
    }

    private func referenceGradient<T: FloatElement>(
        _ dy: UnsafePointer<T>, _ x: UnsafePointer<T>, _ gamma: UnsafePointer<T>?, _ dx: UnsafeMutablePointer<T>,
        _ dgamma: UnsafeMutablePointer<T>, _ dbeta: UnsafeMutablePointer<T>, _ rows: Int, _ n: Int
    ) {
        for i in 0..<max(n, 0) {
            dgamma[i] = 0
            dbeta[i] = 0
        }
        for row in 0..<max(rows, 0) {
            let dy = dy + row * n, x = x + row * n, dx = dx + row * n
            let (mean, inverse) = statistics(x, n)
            var total = 0.0, dot = 0.0
            for i in 0..<max(n, 0) {
                let normal = (x[i].double - mean) * inverse
                let g = dy[i].double * (gamma.map { $0[i].double } ?? 1)
                total += g
                dot += g * normal
                dgamma[i] = T(rounding: dgamma[i].double + dy[i].double * normal)
                dbeta[i] = T(rounding: dbeta[i].double + dy[i].double)
            }
            let base = center ? total / Double(n) : 0, slope = dot / Double(n)
            for i in 0..<max(n, 0) {
                let normal = (x[i].double - mean) * inverse
                let g = dy[i].double * (gamma.map { $0[i].double } ?? 1)
                dx[i] = T(rounding: (g - base - normal * slope) * inverse)
            }
        }
    }
}
