import CDLKernels
import DLBase

/// The optimizers with at most two states beside the weight. Numbers that depend on the step, such as corrections for
/// moments that start at 0, are the caller's.
package enum UpdateRule: Sendable {
    /// a += g^2; w -= rate g / sqrt(a + epsilon)
    case adagrad(rate: Double, epsilon: Double)
    /// a = rho a + (1 - rho) g^2; d = g sqrt(b + epsilon) / sqrt(a + epsilon); b = rho b + (1 - rho) d^2; w -= rate d
    case adadelta(rate: Double, rho: Double, epsilon: Double)
    /// a += (g - a)(1 - beta1); b = max(beta2 b, |g|); w -= rate a / (b + epsilon)
    case adamax(rate: Double, beta1: Double, beta2: Double, epsilon: Double)
    /// a += (g - a)(1 - beta1); b += (g^2 - b)(1 - beta2); w -= rate (ofMean a + ofGradient g) / (sqrt(correction b) + epsilon)
    case nadam(
        rate: Double, beta1: Double, beta2: Double, ofMean: Double, ofGradient: Double, correction: Double, epsilon: Double)
    /// n = a + g^2; b += g + shrinkage w - (n^power - a^power) / rate w; a = n; w = (clip(b, -l1, l1) - b) / (n^power / rate + l2)
    case ftrl(rate: Double, power: Double, l1: Double, l2: Double, shrinkage: Double)
    /// w -= rate sign(beta1 a + (1 - beta1) g); a = beta2 a + (1 - beta2) g
    case lion(rate: Double, beta1: Double, beta2: Double)
    /// Where a g > 0: b = min(b up, largest); where a g < 0: b = max(b down, smallest) and g counts as 0.
    /// Then w -= sign(g) b; a = g.
    case rprop(up: Double, down: Double, smallest: Double, largest: Double)
    /// a += (g - a)(1 - beta1); b += (g^2 - b)(1 - beta2); the weight's place gets first a / (sqrt(second b) + epsilon)
    case lamb(beta1: Double, beta2: Double, first: Double, second: Double, epsilon: Double)
    /// w = keep w + (1 - keep) g
    case average(keep: Double)

    private var code: Int {
        switch self {
        case .adagrad: DL_RULE_ADAGRAD
        case .adadelta: DL_RULE_ADADELTA
        case .adamax: DL_RULE_ADAMAX
        case .nadam: DL_RULE_NADAM
        case .ftrl: DL_RULE_FTRL
        case .lion: DL_RULE_LION
        case .rprop: DL_RULE_RPROP
        case .lamb: DL_RULE_LAMB
        case .average: DL_RULE_AVERAGE
        }
    }

    private var parameters: (Float, Float, Float, Float, Float, Float, Float) {
        switch self {
        case .adagrad(let rate, let epsilon): Self.list(rate, epsilon)
        case .adadelta(let rate, let rho, let epsilon): Self.list(rate, rho, 1 - rho, epsilon)
        case .adamax(let rate, let beta1, let beta2, let epsilon): Self.list(rate, 1 - beta1, beta2, epsilon)
        case .nadam(let rate, let beta1, let beta2, let ofMean, let ofGradient, let correction, let epsilon):
            Self.list(rate, 1 - beta1, 1 - beta2, ofMean, ofGradient, correction, epsilon)
        case .ftrl(let rate, let power, let l1, let l2, let shrinkage): Self.list(rate, power, l1, l2, shrinkage)
        case .lion(let rate, let beta1, let beta2): Self.list(rate, beta1, 1 - beta1, beta2, 1 - beta2)
        case .rprop(let up, let down, let smallest, let largest): Self.list(0, up, down, smallest, largest)
        case .lamb(let beta1, let beta2, let first, let second, let epsilon):
            Self.list(0, 1 - beta1, 1 - beta2, first, second, epsilon)
        case .average(let keep): Self.list(keep, 1 - keep)
        }
    }

    private static func list(
        _ p0: Double, _ p1: Double = 0, _ p2: Double = 0, _ p3: Double = 0, _ p4: Double = 0, _ p5: Double = 0, _ p6: Double = 0
    ) -> (Float, Float, Float, Float, Float, Float, Float) {
        (Float(p0), Float(p1), Float(p2), Float(p3), Float(p4), Float(p5), Float(p6))
    }

    fileprivate func run(
        _ kernels: UnsafePointer<dl_math_kernels>, _ runtime: Runtime?, _ w: OptimizerKernel.State, _ g: UnsafeRawPointer,
        _ a: OptimizerKernel.State?, _ b: OptimizerKernel.State?, _ n: Int, _ decay: Double
    ) {
        let p = parameters
        var update = dl_update(
            w: w.input.of(Float.self), g: g.of(Float.self), a: a?.input.of(Float.self), b: b?.input.of(Float.self),
            w_out: w.output.of(Float.self), a_out: a?.output.of(Float.self), b_out: b?.output.of(Float.self), n: Int64(n),
            p0: p.0, p1: p.1, p2: p.2, p3: p.3, p4: p.4, p5: p.5, p6: p.6, decay: Float(decay))
        kernels.pointee.update?(runtime, Int64(code), &update)
    }

    /// One element: s has the weight and the states, and is left with the new ones.
    @inline(__always)
    fileprivate func step(_ g: Double, _ s: inout SIMD4<Double>) {
        switch self {
        case .adagrad(let rate, let epsilon):
            s[1] += g * g
            s[0] -= rate * g / (s[1] + epsilon).squareRoot()
        case .adadelta(let rate, let rho, let epsilon):
            s[1] = rho * s[1] + (1 - rho) * g * g
            let d = g * (s[2] + epsilon).squareRoot() / (s[1] + epsilon).squareRoot()
            s[2] = rho * s[2] + (1 - rho) * d * d
            s[0] -= rate * d
        case .adamax(let rate, let beta1, let beta2, let epsilon):
            s[1] += (g - s[1]) * (1 - beta1)
            s[2] = max(s[2] * beta2, g.magnitude)
            s[0] -= rate * s[1] / (s[2] + epsilon)
        case .nadam(let rate, let beta1, let beta2, let ofMean, let ofGradient, let correction, let epsilon):
            s[1] += (g - s[1]) * (1 - beta1)
            s[2] += (g * g - s[2]) * (1 - beta2)
            s[0] -= (ofMean * s[1] + ofGradient * g) * rate / ((s[2] * correction).squareRoot() + epsilon)
        case .ftrl(let rate, let power, let l1, let l2, let shrinkage):
            let n = s[1] + g * g
            let root = dl_pow_d(n, power)
            s[2] += g + shrinkage * s[0] - (root - dl_pow_d(s[1], power)) / rate * s[0]
            s[1] = n
            s[0] = (min(max(s[2], -l1), l1) - s[2]) / (root / rate + l2)
        case .lion(let rate, let beta1, let beta2):
            let direction = s[1] * beta1 + g * (1 - beta1)
            s[1] = s[1] * beta2 + g * (1 - beta2)
            s[0] -= direction == 0 ? 0 : direction > 0 ? rate : -rate
        case .rprop(let up, let down, let smallest, let largest):
            let agreement = s[1] * g
            if agreement > 0 { s[2] = min(s[2] * up, largest) }
            if agreement < 0 { s[2] = max(s[2] * down, smallest) }
            s[1] = agreement < 0 ? 0 : g
            s[0] -= s[1] == 0 ? 0 : s[1] > 0 ? s[2] : -s[2]
        case .lamb(let beta1, let beta2, let first, let second, let epsilon):
            s[1] += (g - s[1]) * (1 - beta1)
            s[2] += (g * g - s[2]) * (1 - beta2)
            s[0] = s[1] * first / ((s[2] * second).squareRoot() + epsilon)
        case .average(let keep):
            s[0] = keep * s[0] + (1 - keep) * g
        }
    }
}

extension OptimizerKernel {
    /// One step by a rule; a and b are nil where it has no such state.
    package func update(
        _ runtime: Runtime?, _ rule: UpdateRule, w: State, g: UnsafeRawPointer, a: State? = nil, b: State? = nil, n: Int,
        decay: Double = 0
    ) {
        if let table { return rule.run(table, runtime, w, g, a, b, n, decay) }
        each(n, g, w, a, b) { _, g, s in
            s[0] -= s[0] * decay
            rule.step(g, &s)
        }
    }
}
