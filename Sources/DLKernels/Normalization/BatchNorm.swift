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

    /// y = (x - mean) / sqrt(variance + epsilon) gamma + beta + residual, cut off below 0 with relu; for training after
    /// `moments` and for inference. y may be x or residual.
    package func apply(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, mean: UnsafeRawPointer, variance: UnsafeRawPointer,
        gamma: UnsafeRawPointer?, beta: UnsafeRawPointer?, epsilon: Double, residual: UnsafeRawPointer? = nil,
        relu: Bool = false, _ y: UnsafeMutableRawPointer, rows: Int, c: Int, scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            table.pointee.batch_norm?(
                runtime, x.of(Float.self), mean.of(Float.self), variance.of(Float.self), gamma?.of(Float.self),
                beta?.of(Float.self), Float(epsilon), residual?.of(Float.self), relu ? 1 : 0, y.of(Float.self),
                Int64(rows), Int64(c), scratch?.of(Float.self))
        } else if type == .float32 {
            referenceBatchNorm(
                x.of(Float.self), mean.of(Float.self), variance.of(Float.self), gamma?.of(Float.self),
                beta?.of(Float.self), epsilon, residual?.of(Float.self), relu, y.of(Float.self), rows, c)
        } else {
            referenceBatchNorm(
                x.of(Double.self), mean.of(Double.self), variance.of(Double.self), gamma?.of(Double.self),
                beta?.of(Double.self), epsilon, residual?.of(Double.self), relu, y.of(Double.self), rows, c)
        }
    }

    /// The buffers of `gradient`.
    package struct GradientBuffers {
        package var dy: UnsafeRawPointer
        /// Added to dy; only with `masked`.
        package var dy2: UnsafeRawPointer?
        package var x: UnsafeRawPointer
        /// The output behind the ReLU; only with `masked`.
        package var y: UnsafeRawPointer?
        package var mean: UnsafeRawPointer
        package var variance: UnsafeRawPointer
        package var gamma: UnsafeRawPointer?
        package var beta: UnsafeRawPointer?
        package var dx: UnsafeMutableRawPointer
        package var dgamma: UnsafeMutableRawPointer
        package var dbeta: UnsafeMutableRawPointer
        /// Gets the gradient behind the ReLU's mask, which is the residual's; may be dy or dy2.
        package var masked: UnsafeMutableRawPointer?

        package init(
            dy: UnsafeRawPointer, dy2: UnsafeRawPointer? = nil, x: UnsafeRawPointer, y: UnsafeRawPointer? = nil,
            mean: UnsafeRawPointer, variance: UnsafeRawPointer, gamma: UnsafeRawPointer?,
            beta: UnsafeRawPointer? = nil, dx: UnsafeMutableRawPointer, dgamma: UnsafeMutableRawPointer,
            dbeta: UnsafeMutableRawPointer, masked: UnsafeMutableRawPointer? = nil
        ) {
            self.dy = dy
            self.dy2 = dy2
            self.x = x
            self.y = y
            self.mean = mean
            self.variance = variance
            self.gamma = gamma
            self.beta = beta
            self.dx = dx
            self.dgamma = dgamma
            self.dbeta = dbeta
            self.masked = masked
        }
    }

    /// Gradients of the training form, in which mean and variance are x's own:
    /// dbeta = sum g, dgamma = sum g xhat, dx = gamma s (g - dbeta / rows - xhat dgamma / rows),
    /// with s = 1 / sqrt(variance + epsilon), xhat = (x - mean) s.
    ///
    /// g is dy; with relu and without `masked` dy where gamma xhat + beta is positive; with relu and `masked` dy + dy2
    /// where y is positive, kept in `masked`. dx may be dy.
    package func gradient(
        _ runtime: Runtime?, _ b: GradientBuffers, epsilon: Double, relu: Bool = false, rows: Int, c: Int,
        scratch: UnsafeMutableRawPointer?
    ) {
        if let table {
            var arguments = dl_batch_norm_gradient(
                dy: b.dy.of(Float.self), dy2: b.dy2?.of(Float.self), x: b.x.of(Float.self), y: b.y?.of(Float.self),
                mean: b.mean.of(Float.self), variance: b.variance.of(Float.self), gamma: b.gamma?.of(Float.self),
                beta: b.beta?.of(Float.self), dx: b.dx.of(Float.self), dgamma: b.dgamma.of(Float.self),
                dbeta: b.dbeta.of(Float.self), masked: b.masked?.of(Float.self), scratch: scratch?.of(Float.self),
                rows: Int64(rows), c: Int64(c), epsilon: Float(epsilon), relu: relu ? 1 : 0)
            withUnsafePointer(to: &arguments) { table.pointee.batch_norm_gradient?(runtime, $0) }
        } else if type == .float32 {
            referenceBatchNormGradient(b, Float.self, epsilon, relu, rows, c)
        } else {
            referenceBatchNormGradient(b, Double.self, epsilon, relu, rows, c)
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
    _ beta: UnsafePointer<T>?, _ epsilon: Double, _ residual: UnsafePointer<T>?, _ relu: Bool,
    _ y: UnsafeMutablePointer<T>, _ rows: Int, _ c: Int
) {
    for j in 0..<max(c, 0) {
        let scale = (gamma?[j].double ?? 1) / (variance[j].double + epsilon).squareRoot()
        let center = mean[j].double, shift = beta?[j].double ?? 0
        for r in 0..<max(rows, 0) {
            let value = (x[r * c + j].double - center) * scale + shift + (residual?[r * c + j].double ?? 0)
            y[r * c + j] = T(rounding: relu && value < 0 ? 0 : value)
        }
    }
}

private func referenceBatchNormGradient<T: FloatElement>(
    _ b: BatchNormKernel.GradientBuffers, _: T.Type, _ epsilon: Double, _ relu: Bool, _ rows: Int, _ c: Int
) {
    if rows <= 0 { return }
    let dy = b.dy.of(T.self), x = b.x.of(T.self), mean = b.mean.of(T.self), variance = b.variance.of(T.self)
    let dx = b.dx.of(T.self), dgamma = b.dgamma.of(T.self), dbeta = b.dbeta.of(T.self)
    let gamma = b.gamma?.of(T.self), beta = b.beta?.of(T.self)
    let dy2 = b.dy2?.of(T.self), output = b.y?.of(T.self), masked = b.masked?.of(T.self)
    for j in 0..<max(c, 0) {
        let s = 1 / (variance[j].double + epsilon).squareRoot(), center = mean[j].double
        let scale = (gamma?[j].double ?? 1) * s, shift = beta?[j].double ?? 0
        func upstream(_ i: Int) -> Double {
            guard relu else { return dy[i].double }
            guard masked != nil else { return (x[i].double - center) * scale + shift > 0 ? dy[i].double : 0 }
            guard let output, output[i].double > 0 else { return 0 }
            return dy[i].double + (dy2?[i].double ?? 0)
        }
        let slope = pairwiseSum(0, rows) { upstream($0 * c + j) * (x[$0 * c + j].double - center) * s }
        let base = pairwiseSum(0, rows) { upstream($0 * c + j) }
        for r in 0..<rows {
            let i = r * c + j
            let normal = (x[i].double - center) * s
            let g = upstream(i)
            masked?[i] = T(rounding: g)
            dx[i] = T(rounding: scale * (g - base / Double(rows) - normal * slope / Double(rows)))
        }
        dgamma[j] = T(rounding: slope)
        dbeta[j] = T(rounding: base)
    }
}
