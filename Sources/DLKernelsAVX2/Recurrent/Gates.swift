import CDLKernels

/// x = f(x) for `count` floats, a multiple of the lanes.
@inline(never)
func applyGate(_ function: Int, _ x: UnsafeMutablePointer<Float>, _ count: Int) {
    switch function {
    case DL_GATE_TANH: mapGate(x, count) { hyperbolicTangent($0) }
    case DL_GATE_SIGMOID: mapGate(x, count) { sigmoid($0) }
    case DL_GATE_RELU: mapGate(x, count) { maximum(splat(0), $0) }
    case DL_GATE_HARD_SIGMOID: mapGate(x, count) { hardSigmoid($0) }
    case DL_GATE_SOFTSIGN: mapGate(x, count) { $0 / (splat(1) + absolute($0)) }
    case DL_GATE_ELU: mapGate(x, count) { elu($0, splat(1)) }
    case DL_GATE_SELU: mapGate(x, count) { splat(seluScale) * elu($0, splat(seluAlpha)) }
    case DL_GATE_EXPONENTIAL: mapGate(x, count) { exponential($0) }
    case DL_GATE_SOFTPLUS: mapGate(x, count) { softplus($0) }
    case DL_GATE_RELU6: mapGate(x, count) { minimum(splat(6), maximum(splat(0), $0)) }
    default: break
    }
}

@inline(__always)
private func mapGate(_ x: UnsafeMutablePointer<Float>, _ count: Int, _ f: (Vector) -> Vector) {
    var i = 0
    while i < count {
        store(f(load(x + i)), x + i)
        i &+= lanes
    }
}

/// dy f'(x), from y = f(x).
@inline(__always)
func gateGradient(_ function: Int, _ dy: Vector, _ y: Vector) -> Vector {
    switch function {
    case DL_GATE_TANH: return dy * (splat(1) - y * y)
    case DL_GATE_SIGMOID: return dy * (y * (splat(1) - y))
    case DL_GATE_LINEAR: return dy
    default: return rareGradient(function, dy, y)
    }
}

@inline(never)
private func rareGradient(_ function: Int, _ dy: Vector, _ y: Vector) -> Vector {
    switch function {
    case DL_GATE_RELU: return select(less(splat(0), y), dy, splat(0))
    case DL_GATE_HARD_SIGMOID: return select(less(splat(0), y) & less(y, splat(1)), dy * splat(1.0 / 6), splat(0))
    case DL_GATE_SOFTSIGN:
        let d = splat(1) - absolute(y)
        return dy * (d * d)
    case DL_GATE_ELU: return select(less(y, splat(0)), dy * (y + splat(1)), dy)
    case DL_GATE_SELU: return dy * select(less(y, splat(0)), y + splat(seluScale * seluAlpha), splat(seluScale))
    case DL_GATE_EXPONENTIAL: return dy * y
    case DL_GATE_SOFTPLUS: return dy * (splat(1) - exponentialOfNegative(-y))
    case DL_GATE_RELU6: return select(less(splat(0), y) & less(y, splat(6)), dy, splat(0))
    default: return dy
    }
}
