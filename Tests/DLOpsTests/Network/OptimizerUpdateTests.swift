import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// The updates against the formulas of their papers in the form that Keras gives them, over several steps.
@Suite struct OptimizerUpdateTests {
    static let start: [Double] = [0.5, -1.25, 2, 0]
    static let rate = 0.1

    /// The gradient of step t, different for each element.
    static func gradient(_ step: Int) -> [Double] { [0.3, -0.7, 1.5 - Double(step), 0.01] }

    private func run(
        _ slots: Int, _ type: ElementType, steps: Int = 4,
        _ update: (_ w: Value, _ g: Value, _ slots: [Value], _ step: Value, _ rate: Value) throws -> [Value]
    ) throws -> [Double] {
        var state = [try value(Self.start, [4], type)]
        for _ in 0..<slots { state.append(try value([0, 0, 0, 0], [4], type)) }
        for step in 0..<steps {
            let iterations = Value(try Tensor(scalar: Int64(step)))
            state = try update(
                state[0], value(Self.gradient(step), [4], type), Array(state.dropFirst()), iterations,
                constant(Self.rate, type))
        }
        return try state[0].tensor().numbers
    }

    private func expect(_ computed: [Double], _ type: ElementType, _ formula: (_ element: Int) -> Double) {
        for (element, number) in computed.enumerated() {
            let wanted = formula(element)
            #expect(abs(number - wanted) <= (type == .float64 ? 1e-13 : 3e-6) * max(1, abs(wanted)))
        }
    }

    @Test(arguments: [ElementType.float32, .float64])
    func gradientDescent(_ type: ElementType) throws {
        let computed = try run(0, type) { w, g, _, _, rate in [try sgdUpdate(w, g, learningRate: rate, weightDecay: 0.2)] }
        expect(computed, type) { element in
            var w = Self.start[element]
            for step in 0..<4 { w = w - w * 0.2 * Self.rate - Self.rate * Self.gradient(step)[element] }
            return w
        }
    }

    @Test(arguments: [ElementType.float32, .float64], [false, true])
    func momentum(_ type: ElementType, _ nesterov: Bool) throws {
        let computed = try run(1, type) { w, g, slots, _, rate in
            let next = try momentumUpdate(w, g, momentum: slots[0], learningRate: rate, momentum: 0.9, nesterov: nesterov)
            return [next.w, next.momentum]
        }
        expect(computed, type) { element in
            var (w, m) = (Self.start[element], 0.0)
            for step in 0..<4 {
                let g = Self.gradient(step)[element]
                m = 0.9 * m - Self.rate * g
                w += nesterov ? 0.9 * m - Self.rate * g : m
            }
            return w
        }
    }

    @Test(arguments: [ElementType.float32, .float64], [false, true])
    func rmsprop(_ type: ElementType, _ full: Bool) throws {
        let computed = try run(full ? 3 : 1, type) { w, g, slots, _, rate in
            let next = try rmspropUpdate(
                w, g, velocity: slots[0], averageGradient: full ? slots[1] : nil, momentum: full ? slots[2] : nil,
                learningRate: rate, rho: 0.9, momentumFactor: full ? 0.5 : 0, epsilon: 1e-3)
            return [next.w, next.velocity] + (full ? [next.averageGradient, next.momentum].compactMap { $0 } : [])
        }
        expect(computed, type) { element in
            var (w, v, a, m) = (Self.start[element], 0.0, 0.0, 0.0)
            for step in 0..<4 {
                let g = Self.gradient(step)[element]
                v = 0.9 * v + 0.1 * g * g
                a = 0.9 * a + 0.1 * g
                let increment = Self.rate * g / (v - (full ? a * a : 0) + 1e-3).squareRoot()
                m = 0.5 * m + increment
                w -= full ? m : increment
            }
            return w
        }
    }

    @Test(arguments: [ElementType.float32, .float64], [false, true])
    func adam(_ type: ElementType, _ amsgrad: Bool) throws {
        let computed = try run(amsgrad ? 3 : 2, type) { w, g, slots, step, rate in
            let next = try adamUpdate(
                w, g, momentum: slots[0], velocity: slots[1], velocityHat: amsgrad ? slots[2] : nil, learningRate: rate,
                iterations: step, weightDecay: amsgrad ? 0.1 : 0)
            return [next.w, next.momentum, next.velocity] + (next.velocityHat.map { [$0] } ?? [])
        }
        expect(computed, type) { element in
            var (w, m, v, h) = (Self.start[element], 0.0, 0.0, 0.0)
            var (power1, power2) = (1.0, 1.0)
            for step in 0..<4 {
                let g = Self.gradient(step)[element]
                power1 *= 0.9
                power2 *= 0.999
                if amsgrad { w -= w * 0.1 * Self.rate }
                m += (g - m) * 0.1
                v += (g * g - v) * 0.001
                h = Swift.max(h, v)
                let alpha = Self.rate * (1 - power2).squareRoot() / (1 - power1)
                w -= alpha * m / ((amsgrad ? h : v).squareRoot() + 1e-7)
            }
            return w
        }
    }

    /// In a plan the update writes over the weight and the slots: no copy, and the same numbers.
    @Test func compiledUpdatesAreTheEagerOnes() throws {
        let eager = try run(2, .float32) { w, g, slots, step, rate in
            let next = try adamUpdate(
                w, g, momentum: slots[0], velocity: slots[1], learningRate: rate, iterations: step)
            return [next.w, next.momentum, next.velocity]
        }
        let weight = Variable(try tensor(Self.start, [4]), name: "w")
        let slots = try ["m", "v"].map { Variable(try Tensor(zeros: [4]), name: $0) }
        let graph = Graph()
        try ThreadContext.current.recording(into: graph) {
            let g = graph.addInput(TensorSpec([4], .float32))
            let step = graph.addInput(TensorSpec(.scalar, .int64))
            let next = try adamUpdate(
                weight.value, g, momentum: slots[0].value, velocity: slots[1].value, learningRate: constant(Self.rate),
                iterations: step)
            try weight.assign(next.w)
            try slots[0].assign(next.momentum)
            try slots[1].assign(next.velocity)
        }
        let plan = try Plan(graph, passes: standardPasses)
        #expect(plan.arenaBytes == 0)
        for step in 0..<4 { _ = try plan.run([tensor(Self.gradient(step), [4]), Tensor(scalar: Int64(step))]) }
        #expect(weight.tensor.numbers == eager)
    }
}
