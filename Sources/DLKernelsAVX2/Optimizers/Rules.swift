import CDLKernels

// The optimizers with at most two states beside the weight, one pass over each array per step. dl_kernels_math.h has
// the formulas; their order is Keras's.

private let rulePiece = 8192

/// A state that a rule does not have is given the gradient to read, and what it computes for it is dropped.
@inline(__always)
private func run(
    _ work: dl_update, _ piece: Int64,
    _ body: (_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector
) {
    let mode = dl_flush_denormals()
    var i = Int(piece) &* rulePiece
    let end = min(Int(work.n), i &+ rulePiece)
    let wIn = work.w.unsafelyUnwrapped, gIn = work.g.unsafelyUnwrapped, wOut = work.w_out.unsafelyUnwrapped
    let aIn = work.a ?? gIn, bIn = work.b ?? gIn
    let decay = splat(work.decay)
    while i < end {
        let k = i &+ lanes <= end ? lanes : rest(end &- i)
        var w = loadPart(wIn + i, k)
        w -= w * decay
        var a = loadPart(aIn + i, k), b = loadPart(bIn + i, k)
        let new = body(w, loadPart(gIn + i, k), &a, &b)
        storePart(new, wOut + i, k)
        if let out = work.a_out { storePart(a, out + i, k) }
        if let out = work.b_out { storePart(b, out + i, k) }
        i &+= lanes
    }
    dl_keep_denormals(mode)
}

@inline(__always)
private func signOf(_ x: Vector) -> Vector { select(equal(x, splat(0)), splat(0), copySign(splat(1), x)) }

@inline(__always)
private func power(_ x: Vector, _ exponent: Float) -> Vector {
    exponent == 0.5 ? squareRoot(x) : lanewise(x) { dl_pow_f($0, exponent) }
}

@inline(__always)
private func forRule(
    _ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    forPieces(runtime, ceilDivide(Int(work.n), rulePiece), &work, task)
}

private func adagrad(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let rate = splat(u.p0), epsilon = splat(u.p1)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            a = fma(g, g, a)
            return w - rate * g / squareRoot(a + epsilon)
        }
        run(u, piece, body)
    }
}

private func adadelta(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let rate = splat(u.p0), rho = splat(u.p1), rest = splat(u.p2), epsilon = splat(u.p3)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            a = rho * a + rest * (g * g)
            let d = g * squareRoot(b + epsilon) / squareRoot(a + epsilon)
            b = rho * b + rest * (d * d)
            return w - rate * d
        }
        run(u, piece, body)
    }
}

private func adamax(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let rate = splat(u.p0), c1 = splat(u.p1), beta2 = splat(u.p2), epsilon = splat(u.p3)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            a = fma(g - a, c1, a)
            b = maximumOrNaN(b * beta2, absolute(g))
            return w - rate * a / (b + epsilon)
        }
        run(u, piece, body)
    }
}

private func nadam(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let rate = splat(u.p0), c1 = splat(u.p1), c2 = splat(u.p2), ofMean = splat(u.p3), ofGradient = splat(u.p4)
        let correction = splat(u.p5), epsilon = splat(u.p6)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            a = fma(g - a, c1, a)
            b = fma(g * g - b, c2, b)
            return w - (ofMean * a + ofGradient * g) * rate / (squareRoot(b * correction) + epsilon)
        }
        run(u, piece, body)
    }
}

private func ftrl(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let inverse = splat(1 / u.p0), l1 = splat(u.p2), l2 = splat(u.p3), shrinkage = splat(u.p4), exponent = u.p1
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            let n = fma(g, g, a)
            let root = power(n, exponent)
            b += g + shrinkage * w - (root - power(a, exponent)) * inverse * w
            a = n
            return (minimumOrNaN(maximumOrNaN(b, -l1), l1) - b) / (root * inverse + l2)
        }
        run(u, piece, body)
    }
}

private func lion(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let rate = splat(u.p0), old = splat(u.p1), new = splat(u.p2), keep = splat(u.p3), take = splat(u.p4)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            let direction = a * old + g * new
            a = a * keep + g * take
            return w - rate * signOf(direction)
        }
        run(u, piece, body)
    }
}

private func rprop(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let up = splat(u.p1), down = splat(u.p2), smallest = splat(u.p3), largest = splat(u.p4), zero = splat(0)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            let agreement = a * g
            let turned = less(agreement, zero)
            b = select(turned, maximum(b * down, smallest), select(less(zero, agreement), minimum(b * up, largest), b))
            a = select(turned, zero, g)
            return w - signOf(a) * b
        }
        run(u, piece, body)
    }
}

private func lamb(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let c1 = splat(u.p1), c2 = splat(u.p2), first = splat(u.p3), second = splat(u.p4), epsilon = splat(u.p5)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            a = fma(g - a, c1, a)
            b = fma(g * g - b, c2, b)
            return a * first / (squareRoot(b * second) + epsilon)
        }
        run(u, piece, body)
    }
}

private func average(_ runtime: UnsafePointer<dl_runtime>?, _ work: inout dl_update) {
    forRule(runtime, &work) { argument, piece in
        let u = job(argument, dl_update.self)
        let keep = splat(u.p0), take = splat(u.p1)
        @inline(__always) func body(_ w: Vector, _ g: Vector, _ a: inout Vector, _ b: inout Vector) -> Vector {
            keep * w + take * g
        }
        run(u, piece, body)
    }
}

func updateKernel(_ runtime: UnsafePointer<dl_runtime>?, _ rule: Int64, _ update: UnsafePointer<dl_update>?) {
    var work = update.unsafelyUnwrapped.pointee
    switch Int(rule) {
    case DL_RULE_ADAGRAD: adagrad(runtime, &work)
    case DL_RULE_ADADELTA: adadelta(runtime, &work)
    case DL_RULE_ADAMAX: adamax(runtime, &work)
    case DL_RULE_NADAM: nadam(runtime, &work)
    case DL_RULE_FTRL: ftrl(runtime, &work)
    case DL_RULE_LION: lion(runtime, &work)
    case DL_RULE_RPROP: rprop(runtime, &work)
    case DL_RULE_LAMB: lamb(runtime, &work)
    default: average(runtime, &work)
    }
}
