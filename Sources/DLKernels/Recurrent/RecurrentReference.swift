import CDLKernels
import DLBase

/// A recurrent sequence, one after another, one step after another, in double precision. For GRU see Cho et al., 2014;
/// for LSTM Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000.
struct RecurrentReference<Scalar: FloatElement> {
    let p: RecurrentProblem

    init(_ problem: RecurrentProblem) { p = problem }

    private func time(_ step: Int) -> Int { p.backwards ? p.steps - 1 - step : step }

    /// sum over k of left[k] recurrent[k, column].
    @inline(__always)
    private func product(_ left: UnsafePointer<Double>, _ recurrent: UnsafePointer<Scalar>, _ column: Int) -> Double {
        var sum = 0.0
        for k in 0..<p.units { sum += left[k] * recurrent[k * p.columns + column].double }
        return sum
    }

    func forward(_ b: RecurrentBuffers, recurrentBias: UnsafeRawPointer?, _ scratch: UnsafeMutablePointer<Double>) {
        let (units, n, steps) = (p.units, p.columns, p.steps)
        let z = scratch
        let h = scratch + n
        let entering = h + units
        let resetting = entering + units
        let recurrent = b.recurrent.of(Scalar.self)
        let bias = recurrentBias?.of(Scalar.self)
        let mask = b.mask?.of(UInt8.self)
        let (outer, inner) = (p.recurrentActivation, p.activation)
        for row in 0..<p.batch {
            for j in 0..<units { h[j] = b.h0.of(Scalar.self)[row * units + j].double }
            for step in 0..<steps {
                let place = row * steps + time(step)
                let out = row * steps + step
                let gates = b.gates.of(Scalar.self) + place * n
                let sequence = b.sequence.of(Scalar.self) + out * units
                for j in 0..<units { entering[j] = h[j] * (b.dropout?.of(Scalar.self)[row * units + j].double ?? 1) }
                for j in 0..<(p.kind == .gruBefore ? 2 * units : n) {
                    z[j] = product(entering, recurrent, j) + (bias?[j].double ?? 0)
                }
                let masked = mask.map { $0[place] == 0 } ?? false
                if p.kind == .gruBefore {
                    for j in 0..<2 * units { z[j] = outer.value(z[j] + gates[j].double) }
                    for j in 0..<units { resetting[j] = z[units + j] * entering[j] }
                    for j in 0..<units { z[2 * units + j] = product(resetting, recurrent, 2 * units + j) }
                }
                for j in 0..<units {
                    let value: Double
                    switch p.kind {
                    case .simple:
                        value = inner.value(z[j] + gates[j].double)
                        gates[j] = Scalar(rounding: value)
                    case .lstm:
                        let i = outer.value(z[j] + gates[j].double)
                        let f = outer.value(z[units + j] + gates[units + j].double)
                        let g = inner.value(z[2 * units + j] + gates[2 * units + j].double)
                        let o = outer.value(z[3 * units + j] + gates[3 * units + j].double)
                        let cells = b.extra!.of(Scalar.self)
                        let before = step == 0 ? b.c0!.of(Scalar.self)[row * units + j] : cells[(out - 1) * units + j]
                        let cell = masked ? before.double : f * before.double + i * g
                        cells[out * units + j] = Scalar(rounding: cell)
                        value = o * inner.value(cell)
                        for (gate, number) in [i, f, g, o].enumerated() { gates[gate * units + j] = Scalar(rounding: number) }
                    case .gru:
                        let update = outer.value(z[j] + gates[j].double)
                        let reset = outer.value(z[units + j] + gates[units + j].double)
                        b.extra!.of(Scalar.self)[place * units + j] = Scalar(rounding: z[2 * units + j])
                        let state = inner.value(gates[2 * units + j].double + reset * z[2 * units + j])
                        value = update * h[j] + (1 - update) * state
                        for (gate, number) in [update, reset, state].enumerated() {
                            gates[gate * units + j] = Scalar(rounding: number)
                        }
                    case .gruBefore:
                        let state = inner.value(gates[2 * units + j].double + z[2 * units + j])
                        value = z[j] * h[j] + (1 - z[j]) * state
                        for (gate, number) in [z[j], z[units + j], state].enumerated() {
                            gates[gate * units + j] = Scalar(rounding: number)
                        }
                    }
                    if !masked { h[j] = value }
                    sequence[j] = Scalar(rounding: h[j])
                }
            }
            if let last = b.last?.of(Scalar.self) {
                for j in 0..<units { last[row * units + j] = Scalar(rounding: h[j]) }
            }
            if let last = b.lastCell?.of(Scalar.self) {
                let cells = b.extra!.of(Scalar.self)
                for j in 0..<units {
                    last[row * units + j] = steps == 0
                        ? b.c0!.of(Scalar.self)[row * units + j] : cells[(row * steps + steps - 1) * units + j]
                }
            }
        }
    }

    func backward(_ b: RecurrentBuffers, _ to: RecurrentSteps, _ scratch: UnsafeMutablePointer<Double>) {
        let (units, n, steps) = (p.units, p.columns, p.steps)
        let dz = scratch
        let dh = scratch + n
        let dc = dh + units
        let entering = dc + units
        let old = entering + units
        let through = old + units
        let recurrent = b.recurrent.of(Scalar.self)
        let (outer, inner) = (p.recurrentActivation, p.activation)
        for row in 0..<p.batch {
            for j in 0..<units {
                dh[j] = b.dlast?.of(Scalar.self)[row * units + j].double ?? 0
                dc[j] = b.dlastCell?.of(Scalar.self)[row * units + j].double ?? 0
            }
            for step in (0..<steps).reversed() {
                let place = row * steps + time(step)
                let out = row * steps + step
                let gates = b.gates.of(Scalar.self) + place * n
                let dgates = to.dgates.of(Scalar.self) + place * n
                for j in 0..<units {
                    old[j] = step == 0
                        ? b.h0.of(Scalar.self)[row * units + j].double : b.sequence.of(Scalar.self)[(out - 1) * units + j].double
                    entering[j] = old[j] * (b.dropout?.of(Scalar.self)[row * units + j].double ?? 1)
                    to.before.of(Scalar.self)[place * units + j] = Scalar(rounding: entering[j])
                    if let dy = b.dsequence?.of(Scalar.self) { dh[j] += dy[out * units + j].double }
                }
                if let mask = b.mask?.of(UInt8.self), mask[place] == 0 {
                    for j in 0..<n {
                        dgates[j] = 0
                        to.dinner?.of(Scalar.self)[place * n + j] = 0
                    }
                    for j in 0..<units {
                        to.dreset?.of(Scalar.self)[place * units + j] = 0
                        to.reset?.of(Scalar.self)[place * units + j] = 0
                    }
                    continue
                }
                for j in 0..<units {
                    switch p.kind {
                    case .simple:
                        dz[j] = dh[j] * inner.derivative(gates[j].double)
                        dh[j] = 0
                    case .lstm:
                        let (i, f) = (gates[j].double, gates[units + j].double)
                        let (g, o) = (gates[2 * units + j].double, gates[3 * units + j].double)
                        let cells = b.extra!.of(Scalar.self)
                        let c = inner.value(cells[out * units + j].double)
                        let before = step == 0 ? b.c0!.of(Scalar.self)[row * units + j] : cells[(out - 1) * units + j]
                        let d = dc[j] + dh[j] * o * inner.derivative(c)
                        dz[j] = d * g * outer.derivative(i)
                        dz[units + j] = d * before.double * outer.derivative(f)
                        dz[2 * units + j] = d * i * inner.derivative(g)
                        dz[3 * units + j] = dh[j] * c * outer.derivative(o)
                        dc[j] = d * f
                        dh[j] = 0
                    case .gru, .gruBefore:
                        let (z, r) = (gates[j].double, gates[units + j].double)
                        let state = gates[2 * units + j].double
                        dz[j] = dh[j] * (old[j] - state) * outer.derivative(z)
                        let d = dh[j] * (1 - z) * inner.derivative(state)
                        dgates[2 * units + j] = Scalar(rounding: d)
                        dh[j] *= z
                        if p.kind == .gru {
                            let q = b.extra!.of(Scalar.self)[place * units + j].double
                            dz[units + j] = d * q * outer.derivative(r)
                            dz[2 * units + j] = d * r
                        } else {
                            dz[2 * units + j] = d
                        }
                    }
                }
                if p.kind == .gruBefore { throughReset(gates, dz, entering, through, recurrent, to, place) }
                let shared = p.kind == .gru || p.kind == .gruBefore ? 2 * units : n
                for j in 0..<shared { dgates[j] = Scalar(rounding: dz[j]) }
                if let dinner = to.dinner?.of(Scalar.self) {
                    for j in 0..<n { dinner[place * n + j] = Scalar(rounding: dz[j]) }
                }
                let depth = p.kind == .gruBefore ? 2 * units : n
                for k in 0..<units {
                    var sum = p.kind == .gruBefore ? through[k] : 0
                    for j in 0..<depth { sum += dz[j] * recurrent[k * n + j].double }
                    dh[k] += sum * (b.dropout?.of(Scalar.self)[row * units + k].double ?? 1)
                }
            }
            for j in 0..<units {
                b.dh0?.of(Scalar.self)[row * units + j] = Scalar(rounding: dh[j])
                b.dc0?.of(Scalar.self)[row * units + j] = Scalar(rounding: dc[j])
            }
        }
    }

    /// The gradient of a reset gate that acts before the product; `through` gets what reaches the state through it.
    private func throughReset(
        _ gates: UnsafeMutablePointer<Scalar>, _ dz: UnsafeMutablePointer<Double>, _ entering: UnsafePointer<Double>,
        _ through: UnsafeMutablePointer<Double>, _ recurrent: UnsafePointer<Scalar>, _ to: RecurrentSteps, _ place: Int
    ) {
        let (units, n) = (p.units, p.columns)
        for k in 0..<units {
            var sum = 0.0
            for j in 0..<units { sum += dz[2 * units + j] * recurrent[k * n + 2 * units + j].double }
            let r = gates[units + k].double
            dz[units + k] = sum * entering[k] * p.recurrentActivation.derivative(r)
            through[k] = sum * r
            to.reset?.of(Scalar.self)[place * units + k] = Scalar(rounding: r * entering[k])
            to.dreset?.of(Scalar.self)[place * units + k] = Scalar(rounding: dz[2 * units + k])
        }
    }
}
