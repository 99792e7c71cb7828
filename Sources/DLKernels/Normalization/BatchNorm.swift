import CDLKernels
import DLBase

/// Batch normalisation of x [rows, c] over its rows. mean, variance, gamma, beta and their gradients have c elements;
/// scratch has `scratchByteCount(rows:c:)` bytes.
package struct BatchNormKernel: @unchecked Sendable {
    package let type: ElementType
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point.
    package init?(_ type: ElementType, level: ProcessorLevel = .current) {
        guard type.isFloatingPoint else { return nil }
        self.type = type
        table = tunedMath(type, level)
    }

    package func scratchByteCount(rows: Int, c: Int) -> Int {
        4 * Int(table?.pointee.norm_scratch?(Int64(rows), Int64(c)) ?? 0)
    }

    /// mean and biased variance of each column; nothing is written for rows = 0.
    package func moments(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, mean: UnsafeMutableRawPointer, variance: UnsafeMutableRawPointer,
        rows: Int, c: Int, scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            table.pointee.column_moments?(
                runtime, x.of(Float.self), mean.of(Float.self), variance.of(Float.self), Int64(rows), Int64(c),
                scratch?.of(Float.self))
        } else if type == .float32 {
            referenceMoments(x.of(Float.self), mean.of(Float.self), variance.of(Float.self), rows, c)
        } else {
            referenceMoments(x.of(Double.self), mean.of(Double.self), variance.of(Double.self), rows, c)
        }
    }

    /// y = (x - mean) / sqrt(variance + epsilon) gamma + beta, for training after `moments` and for inference.
    package func apply(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, mean: UnsafeRawPointer, variance: UnsafeRawPointer,
        gamma: UnsafeRawPointer?, beta: UnsafeRawPointer?, epsilon: Double, _ y: UnsafeMutableRawPointer, rows: Int,
        c: Int, scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            table.pointee.batch_norm?(
                runtime, x.of(Float.self), mean.of(Float.self), variance.of(Float.self), gamma?.of(Float.self),
                beta?.of(Float.self), Float(epsilon), y.of(Float.self), Int64(rows), Int64(c),
                scratch?.of(Float.self))
        } else if type == .float32 {
            referenceBatchNorm(
                x.of(Float.self), mean.of(Float.self), variance.of(Float.self), gamma?.of(Float.self),
                beta?.of(Float.self), epsilon, y.of(Float.self), rows, c)
        } else {
            referenceBatchNorm(
                x.of(Double.self), mean.of(Double.self), variance.of(Double.self), gamma?.of(Double.self),
                beta?.of(Double.self), epsilon, y.of(Double.self), rows, c)
        }
    }

    /// Gradients of the training form, in which mean and variance are x's own:
    /// dbeta = sum dy, dgamma = sum dy xhat, dx = gamma s (dy - dbeta / rows - xhat dgamma / rows),
    /// with s = 1 / sqrt(variance + epsilon), xhat = (x - mean) s. dx may be dy.
    package func gradient(
        _ runtime: Runtime?, dy: UnsafeRawPointer, x: UnsafeRawPointer, mean: UnsafeRawPointer,
        variance: UnsafeRawPointer, gamma: UnsafeRawPointer?, epsilon: Double, dx: UnsafeMutableRawPointer,
        dgamma: UnsafeMutableRawPointer, dbeta: UnsafeMutableRawPointer, rows: Int, c: Int,
        scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            table.pointee.batch_norm_gradient?(
                runtime, dy.of(Float.self), x.of(Float.self), mean.of(Float.self), variance.of(Float.self),
                gamma?.of(Float.self), Float(epsilon), dx.of(Float.self), dgamma.of(Float.self), dbeta.of(Float.self),
                Int64(rows), Int64(c), scratch?.of(Float.self))
        } else if type == .float32 {
            referenceBatchNormGradient(
                dy.of(Float.self), x.of(Float.self), mean.of(Float.self), variance.of(Float.self),
                gamma?.of(Float.self), epsilon, dx.of(Float.self), dgamma.of(Float.self), dbeta.of(Float.self), rows, c)
        } else {
            referenceBatchNormGradient(
                dy.of(Double.self), x.of(Double.self), mean.of(Double.self), variance.of(Double.self),
                gamma?.of(Double.self), epsilon, dx.of(Double.self), dgamma.of(Double.self), dbeta.of(Double.self),
                rows, c)
        }
    }
}

private func referenceMoments<T: FloatElement>(
    _ x: UnsafePointer<T>, _ mean: UnsafeMutablePointer<T>, _ variance: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int
) {
    if rows <= 0 { return }
    for j in 0..<max(c, 0) {
        let average = pairwiseSum(0, rows) { x[$0 * c + j].double } / Double(rows)
        let squares = pairwiseSum(0, rows) { (x[$0 * c + j].double - average) * (x[$0 * c + j].double - average) }
        mean[j] = T(rounding: average)
        variance[j] = T(rounding: squares / Double(rows))
    }
}

private func referenceBatchNorm<T: FloatElement>(
    _ x: UnsafePointer<T>, _ mean: UnsafePointer<T>, _ variance: UnsafePointer<T>, _ gamma: UnsafePointer<T>?,
    _ beta: UnsafePointer<T>?, _ epsilon: Double, _ y: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int
) {
    for j in 0..<max(c, 0) {
        let scale = (gamma?[j].double ?? 1) / (variance[j].double + epsilon).squareRoot()
        let center = mean[j].double, shift = beta?[j].double ?? 0
        for r in 0..<max(rows, 0) {
            y[r * c + j] = T(rounding: (x[r * c + j].double - center) * scale + shift)
        }
    }
}

private func referenceBatchNormGradient<T: FloatElement>(
    _ dy: UnsafePointer<T>, _ x: UnsafePointer<T>, _ mean: UnsafePointer<T>, _ variance: UnsafePointer<T>,
    _ gamma: UnsafePointer<T>?, _ epsilon: Double, _ dx: UnsafeMutablePointer<T>, _ dgamma: UnsafeMutablePointer<T>,
    _ dbeta: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int
) {
    if rows <= 0 { return }
    for j in 0..<max(c, 0) {
        let s = 1 / (variance[j].double + epsilon).squareRoot(), center = mean[j].double
        let scale = (gamma?[j].double ?? 1) * s
        let slope = pairwiseSum(0, rows) { dy[$0 * c + j].double * (x[$0 * c + j].double - center) * s }
        let base = pairwiseSum(0, rows) { dy[$0 * c + j].double }
        for r in 0..<rows {
            let normal = (x[r * c + j].double - center) * s
            let value = dy[r * c + j].double - base / Double(rows) - normal * slope / Double(rows)
            dx[r * c + j] = T(rounding: scale * value)
        }
        dgamma[j] = T(rounding: slope)
        dbeta[j] = T(rounding: base)
    }
}
