import CDLKernels
import DLBase

/// Updates of weights, with Keras's formulas. Every array has n elements; an output may be its own input. `decay` is
/// the decoupled weight decay times the learning rate: w <- w - decay w before the step.
package struct OptimizerKernel: @unchecked Sendable {
    package let type: ElementType
    let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point.
    package init?(_ type: ElementType, level: ProcessorLevel = .current) {
        guard type.isFloatingPoint else { return nil }
        self.type = type
        table = tunedMath(type, level)
    }

    /// An array that is read, and where its new value goes.
    package struct State {
        package var input: UnsafeRawPointer
        package var output: UnsafeMutableRawPointer

        package init(_ input: UnsafeRawPointer, _ output: UnsafeMutableRawPointer) {
            self.input = input
            self.output = output
        }

        /// Updated in place.
        package init(_ array: UnsafeMutableRawPointer) {
            input = UnsafeRawPointer(array)
            output = array
        }
    }

    /// w <- w - rate g.
    package func sgd(
        _ runtime: Runtime?, w: State, g: UnsafeRawPointer, n: Int, rate: Double, decay: Double = 0
    ) {
        if let table {
            table.pointee.sgd?(
                runtime, w.input.of(Float.self), g.of(Float.self), w.output.of(Float.self), Int64(n), Float(rate),
                Float(decay))
            return
        }
        each(n, g, w) { _, g, w in
            w[0] -= w[0] * decay + rate * g
        }
    }

    /// m <- momentum m - rate g; w <- w + m, or with nesterov w + momentum m - rate g.
    package func momentum(
        _ runtime: Runtime?, w: State, g: UnsafeRawPointer, m: State, n: Int, rate: Double, momentum: Double,
        nesterov: Bool, decay: Double = 0
    ) {
        if let table {
            table.pointee.sgd_momentum?(
                runtime, w.input.of(Float.self), g.of(Float.self), m.input.of(Float.self), w.output.of(Float.self),
                m.output.of(Float.self), Int64(n), Float(rate), Float(momentum), nesterov ? 1 : 0, Float(decay))
            return
        }
        each(n, g, w, m) { _, g, s in
            s[1] = momentum * s[1] - rate * g
            s[0] += (nesterov ? momentum * s[1] - rate * g : s[1]) - s[0] * decay
        }
    }

    package struct Adam: Sendable {
        package var rate: Double
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        /// 1 for the first step.
        package var step: Int

        package init(
            rate: Double = 0.001, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-7, step: Int
        ) {
            self.rate = rate
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.step = step
        }

        /// rate sqrt(1 - beta2^step) / (1 - beta1^step).
        var corrected: Double {
            rate * (1 - dl_pow_d(beta2, Double(step))).squareRoot() / (1 - dl_pow_d(beta1, Double(step)))
        }
    }

    /// m <- m + (g - m)(1 - beta1); v <- v + (g^2 - v)(1 - beta2); w <- w - alpha m / (sqrt(v) + epsilon) with
    /// alpha = rate sqrt(1 - beta2^step) / (1 - beta1^step). With vMax (amsgrad) the largest v so far divides.
    package func adam(
        _ runtime: Runtime?, w: State, g: UnsafeRawPointer, m: State, v: State, vMax: State? = nil, n: Int,
        _ p: Adam, decay: Double = 0
    ) {
        let alpha = p.corrected
        if let table {
            var parameters = dl_adam(
                rate: Float(alpha), one_minus_beta1: Float(1 - p.beta1), one_minus_beta2: Float(1 - p.beta2),
                epsilon: Float(p.epsilon), decay: Float(decay))
            table.pointee.adam?(
                runtime, w.input.of(Float.self), g.of(Float.self), m.input.of(Float.self), v.input.of(Float.self),
                vMax?.input.of(Float.self), w.output.of(Float.self), m.output.of(Float.self),
                v.output.of(Float.self), vMax?.output.of(Float.self), Int64(n), &parameters)
            return
        }
        each(n, g, w, m, v, vMax) { _, g, s in
            s[0] -= s[0] * decay
            s[1] += (g - s[1]) * (1 - p.beta1)
            s[2] += (g * g - s[2]) * (1 - p.beta2)
            s[3] = s[2] > s[3] ? s[2] : s[3]
            s[0] -= s[1] * alpha / ((vMax == nil ? s[2] : s[3]).squareRoot() + p.epsilon)
        }
    }

    package struct RMSprop: Sendable {
        package var rate: Double
        package var rho: Double
        package var momentum: Double
        package var epsilon: Double

        package init(rate: Double = 0.001, rho: Double = 0.9, momentum: Double = 0, epsilon: Double = 1e-7) {
            self.rate = rate
            self.rho = rho
            self.momentum = momentum
            self.epsilon = epsilon
        }
    }

    /// v <- rho v + (1 - rho) g^2; d = v + epsilon, less mean^2 when centered (mean <- rho mean + (1 - rho) g);
    /// step = rate g / sqrt(d); with velocity: velocity <- momentum velocity + step, which is taken instead.
    package func rmsprop(
        _ runtime: Runtime?, w: State, g: UnsafeRawPointer, v: State, mean: State? = nil, velocity: State? = nil,
        n: Int, _ p: RMSprop, decay: Double = 0
    ) {
        if let table {
            var parameters = dl_rmsprop(
                rate: Float(p.rate), rho: Float(p.rho), momentum: Float(p.momentum), epsilon: Float(p.epsilon),
                decay: Float(decay))
            table.pointee.rmsprop?(
                runtime, w.input.of(Float.self), g.of(Float.self), v.input.of(Float.self),
                mean?.input.of(Float.self), velocity?.input.of(Float.self), w.output.of(Float.self),
                v.output.of(Float.self), mean?.output.of(Float.self), velocity?.output.of(Float.self), Int64(n),
                &parameters)
            return
        }
        each(n, g, w, v, mean, velocity) { _, g, s in
            s[0] -= s[0] * decay
            s[1] = p.rho * s[1] + (1 - p.rho) * g * g
            s[2] = p.rho * s[2] + (1 - p.rho) * g
            let d = s[1] - (mean == nil ? 0 : s[2] * s[2]) + p.epsilon
            let step = p.rate * g / d.squareRoot()
            s[3] = p.momentum * s[3] + step
            s[0] -= velocity == nil ? step : s[3]
        }
    }

    /// The reference: body gets the gradient and the states' values, and leaves the new ones.
    func each(
        _ n: Int, _ g: UnsafeRawPointer, _ a: State, _ b: State? = nil, _ c: State? = nil, _ d: State? = nil,
        _ body: (_ i: Int, _ g: Double, _ states: inout SIMD4<Double>) -> Void
    ) {
        if type == .float32 {
            eachElement(n, g.of(Float.self), a, b, c, d, body)
        } else {
            eachElement(n, g.of(Double.self), a, b, c, d, body)
        }
    }

    private func eachElement<T: FloatElement>(
        _ n: Int, _ g: UnsafePointer<T>, _ a: State, _ b: State?, _ c: State?, _ d: State?,
        _ body: (_ i: Int, _ g: Double, _ states: inout SIMD4<Double>) -> Void
    ) {
        @inline(__always) func value(_ s: State?, _ i: Int) -> Double { s?.input.of(T.self)[i].double ?? 0 }
        for i in 0..<max(n, 0) {
            var states = SIMD4(value(a, i), value(b, i), value(c, i), value(d, i))
            body(i, g[i].double, &states)
            a.output.of(T.self)[i] = T(rounding: states[0])
            b?.output.of(T.self)[i] = T(rounding: states[1])
            c?.output.of(T.self)[i] = T(rounding: states[2])
            d?.output.of(T.self)[i] = T(rounding: states[3])
        }
    }
}
