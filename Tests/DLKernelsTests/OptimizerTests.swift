import DLBase
import DLKernels
import Testing

@Suite("Optimizer updates")
struct OptimizerTests {
    /// Five arrays: w, g and three states.
    static func arrays(_ n: Int) -> [[Float]] {
        var numbers = TestNumbers(seed: 71)
        return (0..<5).map { k in (0..<n).map { _ in Float.random(in: k < 2 ? -1...1 : 0...1, using: &numbers) } }
    }

    typealias Body = (OptimizerKernel, Runtime?, _ w: OptimizerKernel.State, _ g: UnsafeRawPointer, [OptimizerKernel.State], Int) -> Void

    /// Every level, thread count, in place and out of place, against the reference.
    static func compare(_ name: String, states: Int, _ body: Body) throws {
        for n in borderSizes + [20_001] {
            let start = arrays(n)
            func run(_ level: ProcessorLevel, _ runtime: Runtime?, inPlace: Bool) throws -> [[Float]] {
                let inputs = start.map { Guarded($0) }
                let outputs = inPlace ? inputs : start.map { _ in Guarded<Float>(count: n) }
                func state(_ k: Int) -> OptimizerKernel.State { .init(inputs[k].raw, outputs[k].raw) }
                body(
                    try need(OptimizerKernel(.float32, level: level)), runtime, state(0), inputs[1].raw,
                    (0..<states).map { state(2 + $0) }, n)
                for array in inputs + outputs { #expect(array.isIntact) }
                #expect(sameBits(inputs[1].values, start[1]))
                return [outputs[0].values] + (0..<states).map { outputs[2 + $0].values }
            }
            let expected = try run(.baseline, nil, inPlace: true)
            for level in testedLevels {
                for inPlace in [true, false] {
                    for threads in [1, 3] {
                        let runtime = TestRuntime(threads: threads)
                        let got = try run(level, UnsafePointer(runtime.pointer), inPlace: inPlace)
                        withExtendedLifetime(runtime) {}
                        for (a, b) in zip(got, expected) {
                            #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 2e-6 * max(1, abs($1)) }, "\(name) n \(n) \(level)")
                        }
                    }
                }
            }
        }
    }

    @Test("SGD, plain and with weight decay")
    func sgd() throws {
        try Self.compare("sgd", states: 0) { $0.sgd($1, w: $2, g: $3, n: $5, rate: 0.1) }
        try Self.compare("sgd decay", states: 0) { $0.sgd($1, w: $2, g: $3, n: $5, rate: 0.1, decay: 0.01) }
    }

    @Test("SGD with momentum, plain and Nesterov's", arguments: [false, true])
    func momentum(_ nesterov: Bool) throws {
        try Self.compare("momentum", states: 1) {
            $0.momentum($1, w: $2, g: $3, m: $4[0], n: $5, rate: 0.1, momentum: 0.9, nesterov: nesterov, decay: 0.01)
        }
    }

    @Test("Adam, AMSGrad and AdamW")
    func adam() throws {
        try Self.compare("adam", states: 2) {
            $0.adam($1, w: $2, g: $3, m: $4[0], v: $4[1], n: $5, .init(rate: 0.01, step: 3))
        }
        try Self.compare("amsgrad", states: 3) {
            $0.adam($1, w: $2, g: $3, m: $4[0], v: $4[1], vMax: $4[2], n: $5, .init(rate: 0.01, step: 1))
        }
        try Self.compare("adamw", states: 2) {
            $0.adam($1, w: $2, g: $3, m: $4[0], v: $4[1], n: $5, .init(rate: 0.01, step: 9), decay: 0.01 * 0.004)
        }
    }

    @Test("RMSprop: plain, momentum, centered, both")
    func rmsprop() throws {
        // v is larger than the mean's square, as it always is in training.
        try Self.compare("rmsprop", states: 1) { $0.rmsprop($1, w: $2, g: $3, v: $4[0], n: $5, .init(rate: 0.01)) }
        try Self.compare("rmsprop momentum", states: 2) {
            $0.rmsprop($1, w: $2, g: $3, v: $4[0], velocity: $4[1], n: $5, .init(rate: 0.01, momentum: 0.9), decay: 1e-3)
        }
        try Self.compare("rmsprop centered", states: 2) {
            $0.rmsprop($1, w: $2, g: $3, v: $4[0], mean: $4[1], n: $5, .init(rate: 0.01, epsilon: 1.5))
        }
        try Self.compare("rmsprop both", states: 3) {
            $0.rmsprop(
                $1, w: $2, g: $3, v: $4[0], mean: $4[1], velocity: $4[2], n: $5,
                .init(rate: 0.01, momentum: 0.5, epsilon: 1.5))
        }
    }

    @Test("The rules with at most two states")
    func rules() throws {
        func check(_ name: String, _ states: Int, _ rule: UpdateRule, decay: Double = 0) throws {
            try Self.compare(name, states: states) {
                $0.update($1, rule, w: $2, g: $3, a: $4.first, b: $4.count > 1 ? $4[1] : nil, n: $5, decay: decay)
            }
        }
        try check("adagrad", 1, .adagrad(rate: 0.1, epsilon: 1e-3), decay: 0.01)
        try check("adadelta", 2, .adadelta(rate: 0.1, rho: 0.9, epsilon: 1e-3))
        try check("adamax", 2, .adamax(rate: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 0.1), decay: 0.01)
        try check(
            "nadam", 2, .nadam(rate: 0.01, beta1: 0.9, beta2: 0.99, ofMean: 1.5, ofGradient: 0.5, correction: 2, epsilon: 0.1))
        try check("ftrl", 2, .ftrl(rate: 0.5, power: 0.5, l1: 0.2, l2: 0.5, shrinkage: 0.1))
        try check("ftrl power", 2, .ftrl(rate: 0.5, power: 0.7, l1: 0.2, l2: 0.5, shrinkage: 0))
        try check("lion", 1, .lion(rate: 0.01, beta1: 0.9, beta2: 0.99), decay: 0.01)
        try check("rprop", 2, .rprop(up: 1.2, down: 0.5, smallest: 1e-3, largest: 0.5))
        try check("lamb", 2, .lamb(beta1: 0.9, beta2: 0.99, first: 1.5, second: 2, epsilon: 0.1))
        try check("average", 0, .average(keep: 0.75))
    }

    @Test("The formulas, by hand")
    func byHand() throws {
        for type in [ElementType.float64] {
            let kernel = try need(OptimizerKernel(type))
            let w = Guarded<Double>([1]), g = Guarded<Double>([0.5]), m = Guarded<Double>([0.2]), v = Guarded<Double>([0.04])
            kernel.momentum(nil, w: .init(w.raw), g: g.raw, m: .init(m.raw), n: 1, rate: 0.1, momentum: 0.9, nesterov: true)
            #expect(abs(m.pointer[0] - 0.13) < 1e-15 && abs(w.pointer[0] - (1 + 0.9 * 0.13 - 0.05)) < 1e-15)
            w.pointer[0] = 1
            m.pointer[0] = 0.2
            kernel.adam(nil, w: .init(w.raw), g: g.raw, m: .init(m.raw), v: .init(v.raw), n: 1, .init(rate: 0.1, step: 2))
            let mean = 0.2 + 0.3 * 0.1, square = 0.04 + 0.21 * 0.001
            let alpha = 0.1 * (1 - 0.999 * 0.999).squareRoot() / (1 - 0.81)
            #expect(abs(w.pointer[0] - (1 - alpha * mean / (square.squareRoot() + 1e-7))) < 1e-12)
            w.pointer[0] = 1
            v.pointer[0] = 0.04
            m.pointer[0] = 0.1
            kernel.rmsprop(
                nil, w: .init(w.raw), g: g.raw, v: .init(v.raw), mean: .init(m.raw), n: 1, .init(rate: 0.1, rho: 0.8))
            let average = 0.08 + 0.1, second = 0.032 + 0.05
            #expect(abs(w.pointer[0] - (1 - 0.05 / (second - average * average + 1e-7).squareRoot())) < 1e-12)
        }
    }
}
