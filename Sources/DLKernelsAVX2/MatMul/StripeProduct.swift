import CDLKernels

/// Vectors of columns of one stripe: what the registers hold for three rows.
#if DL_AVX512
    private let stripeVectors = 8
    private typealias WideStripe<let R: Int> = Stripe<R, 8>
#else
    private let stripeVectors = 4
    private typealias WideStripe<let R: Int> = Stripe<R, 4>
#endif

/// c[m][n] = left right for at most three rows: the right factor is far larger than all else and is read once, in
/// wide stripes.
struct StripeProduct {
    var left: UnsafePointer<Float>
    var right: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var k: Int
    var bias: UnsafePointer<Float>?
    var relu: Bool
    var accumulate: Bool

    fileprivate var stripes: Int { divideUp(n, stripeVectors &* lanes) }

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let small = n &* k < 32768
        inParallel(runtime, pieces: small ? 1 : stripes, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: StripeProduct.self)
            if job.pointee.n &* job.pointee.k < 32768 {
                for stripe in 0..<job.pointee.stripes { stripePiece(job, stripe) }
            } else {
                stripePiece(job, Int(piece))
            }
        }
    }
}

private func stripePiece(_ job: UnsafePointer<StripeProduct>, _ stripe: Int) {
    let column = stripe &* stripeVectors &* lanes
    var sums = InlineArray<384, Float> { _ in 0 }
    withUnsafeMutablePointer(to: &sums) { sums in
        let sums = UnsafeMutableRawPointer(sums).assumingMemoryBound(to: Float.self)
        let columns = min(stripeVectors &* lanes, job.pointee.n &- column)
        switch job.pointee.m {
        case 1: sumStripe(job, column, columns, sums, WideStripe<1>.self, Stripe<1, 1>.self)
        case 2: sumStripe(job, column, columns, sums, WideStripe<2>.self, Stripe<2, 1>.self)
        default: sumStripe(job, column, columns, sums, WideStripe<3>.self, Stripe<3, 1>.self)
        }
        let floor = Vector(repeating: job.pointee.relu ? 0 : -Float.infinity)
        for row in 0..<job.pointee.m {
            var at = 0
            while at < columns {
                let p = job.pointee.to + (row &* job.pointee.n &+ column &+ at)
                var value = load(sums + (row &* stripeVectors &* lanes &+ at))
                if job.pointee.accumulate { value += loadFirst(p, columns &- at) }
                if let bias = job.pointee.bias { value += loadFirst(bias + (column &+ at), columns &- at) }
                storeFirst(maximum(floor, value), p, columns &- at)
                at &+= lanes
            }
        }
    }
}

@inline(__always)
private func sumStripe<let R: Int>(
    _ job: UnsafePointer<StripeProduct>, _ column: Int, _ columns: Int, _ sums: UnsafeMutablePointer<Float>,
    _ wide: WideStripe<R>.Type, _ narrow: Stripe<R, 1>.Type
) {
    if columns == stripeVectors &* lanes {
        wide.sum(job, column, lanes, sums)
    } else {
        var at = 0
        while at < columns {
            narrow.sum(job, column &+ at, min(lanes, columns &- at), sums + at)
            at &+= lanes
        }
    }
}

private enum Stripe<let R: Int, let V: Int> {
    /// The last of the V vectors has `last` columns.
    @inline(never)
    static func sum(_ job: UnsafePointer<StripeProduct>, _ column: Int, _ last: Int, _ out: UnsafeMutablePointer<Float>) {
        if last == lanes { sum(job, column, last, out, whole: true) } else { sum(job, column, last, out, whole: false) }
    }

    @inline(__always)
    static func sum(
        _ job: UnsafePointer<StripeProduct>, _ column: Int, _ last: Int, _ out: UnsafeMutablePointer<Float>, whole: Bool
    ) {
        var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        let n = job.pointee.n
        let k = job.pointee.k
        var w = job.pointee.right + column
        for i in 0..<k {
            var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
            for v in 0..<V &- 1 { right[v] = load(w + v &* lanes) }
            let tail = w + (V &- 1) &* lanes
            right[V &- 1] = whole ? load(tail) : loadFirst(tail, last)
            for r in 0..<R {
                let left = Vector(repeating: job.pointee.left[r &* k &+ i])
                for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
            }
            w += n
        }
        for r in 0..<R {
            for v in 0..<V { store(sums[r][v], out + (r &* stripeVectors &+ v) &* lanes) }
        }
    }
}
