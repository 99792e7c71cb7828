// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011). A group of 64 words comes from 16 counters: word w of counter
// l stands at position 16 w + l of the group. The layout is the same for both vector widths, so the numbers are too.

import CDLKernels

let groupSize = 64
private let groupsPerPiece = 64

struct PhiloxWords {
    var w0: UIntVector, w1: UIntVector, w2: UIntVector, w3: UIntVector
}

/// The words of `lanes` counters from `first` on.
@inline(__always)
func philox(_ seed: UInt64, _ offset: UInt64, _ first: UInt64) -> PhiloxWords {
    // The lanes' counters share their upper half: `first` is a multiple of the lanes.
    let lane = unsafeBitCast(laneIndex, to: UIntVector.self)
    var c0 = UIntVector(repeating: UInt32(truncatingIfNeeded: first)) &+ lane
    var c1 = UIntVector(repeating: UInt32(truncatingIfNeeded: first >> 32))
    var c2 = UIntVector(repeating: UInt32(truncatingIfNeeded: offset))
    var c3 = UIntVector(repeating: UInt32(truncatingIfNeeded: offset >> 32))
    var k0 = UInt32(truncatingIfNeeded: seed), k1 = UInt32(truncatingIfNeeded: seed >> 32)
    let m0 = UIntVector(repeating: 0xD251_1F53), m1 = UIntVector(repeating: 0xCD9E_8D57)
    for _ in 0..<10 {
        let high0 = multipliedHigh(c0, m0), low0 = c0 &* m0
        let high1 = multipliedHigh(c2, m1), low1 = c2 &* m1
        c0 = high1 ^ c1 ^ UIntVector(repeating: k0)
        c1 = low1
        c2 = high0 ^ c3 ^ UIntVector(repeating: k1)
        c3 = low0
        k0 = k0 &+ 0x9E37_79B9
        k1 = k1 &+ 0xBB67_AE85
    }
    return PhiloxWords(w0: c0, w1: c1, w2: c2, w3: c3)
}

private struct RandomJob {
    var seed: UInt64
    var offset: UInt64
    var a: Float
    var b: Float
    var limit: Float
    var x: UnsafePointer<Float>?
    var y: UnsafeMutableRawPointer
    var mask: UnsafeMutablePointer<UInt8>?
    var n: Int
}

@inline(__always)
private func run(
    _ runtime: UnsafePointer<dl_runtime>?, _ work: inout RandomJob,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    forPieces(runtime, ceilDivide(work.n, groupSize &* groupsPerPiece), &work, task)
}

/// Calls body(i, words) with the position of the first lane's word 0, for each vector of counters of one piece.
@inline(__always)
private func each(_ work: RandomJob, _ piece: Int64, _ body: (_ i: Int, _ words: PhiloxWords) -> Void) {
    var group = Int(piece) &* groupsPerPiece
    let end = min(ceilDivide(work.n, groupSize), group &+ groupsPerPiece)
    while group < end {
        var lane = 0
        while lane < 16 {
            body(
                group &* groupSize &+ lane,
                philox(work.seed, work.offset, UInt64(truncatingIfNeeded: group &* 16 &+ lane)))
            lane &+= lanes
        }
        group &+= 1
    }
}

/// Lanes of a vector at position i that lie below n.
@inline(__always)
private func inUse(_ i: Int, _ n: Int) -> Int { min(lanes, max(0, n &- i)) }

@inline(__always)
private func put(_ v: Vector, _ work: RandomJob, _ i: Int) {
    let k = inUse(i, work.n)
    if k > 0 { storePart(v, work.y.assumingMemoryBound(to: Float.self) + i, k) }
}

/// [0, 1) in steps of 2^-24.
@inline(__always)
private func unit(_ w: UIntVector) -> Vector {
    toFloat(unsafeBitCast(w &>> UIntVector(repeating: 8), to: IntVector.self)) * splat(0x1p-24)
}

/// (0, 1] in steps of 2^-31 near zero.
@inline(__always)
private func openUnit(_ w: UIntVector) -> Vector {
    fma(toFloat(unsafeBitCast(w &>> UIntVector(repeating: 1), to: IntVector.self)), splat(0x1p-31), splat(0x1p-32))
}

func philoxWordsKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ seed: UInt64, _ offset: UInt64, _ words: UnsafeMutablePointer<UInt32>?,
    _ n: Int64
) {
    var work = RandomJob(
        seed: seed, offset: offset, a: 0, b: 0, limit: 0, x: nil, y: UnsafeMutableRawPointer(words.unsafelyUnwrapped),
        mask: nil, n: Int(n))
    run(runtime, &work) { argument, piece in
        let work = job(argument, RandomJob.self)
        // The bits travel as floats that nothing computes with.
        @inline(__always) func body(_ i: Int, _ w: PhiloxWords) {
            put(unsafeBitCast(w.w0, to: Vector.self), work, i)
            put(unsafeBitCast(w.w1, to: Vector.self), work, i &+ 16)
            put(unsafeBitCast(w.w2, to: Vector.self), work, i &+ 32)
            put(unsafeBitCast(w.w3, to: Vector.self), work, i &+ 48)
        }
        each(work, piece, body)
    }
}

func randomUniformKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ seed: UInt64, _ offset: UInt64, _ low: Float, _ high: Float,
    _ y: UnsafeMutablePointer<Float>?, _ n: Int64
) {
    // Rounding may reach the upper end, which is excluded.
    var work = RandomJob(
        seed: seed, offset: offset, a: low, b: high - low, limit: high > low ? high.nextDown : low, x: nil,
        y: UnsafeMutableRawPointer(y.unsafelyUnwrapped), mask: nil, n: Int(n))
    run(runtime, &work) { argument, piece in
        let work = job(argument, RandomJob.self)
        let low = splat(work.a), range = splat(work.b), limit = splat(work.limit)
        @inline(__always) func body(_ i: Int, _ w: PhiloxWords) {
            put(minimum(fma(unit(w.w0), range, low), limit), work, i)
            put(minimum(fma(unit(w.w1), range, low), limit), work, i &+ 16)
            put(minimum(fma(unit(w.w2), range, low), limit), work, i &+ 32)
            put(minimum(fma(unit(w.w3), range, low), limit), work, i &+ 48)
        }
        each(work, piece, body)
    }
}

func randomNormalKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ seed: UInt64, _ offset: UInt64, _ mean: Float, _ deviation: Float,
    _ y: UnsafeMutablePointer<Float>?, _ n: Int64
) {
    var work = RandomJob(
        seed: seed, offset: offset, a: mean, b: deviation, limit: 0, x: nil,
        y: UnsafeMutableRawPointer(y.unsafelyUnwrapped), mask: nil, n: Int(n))
    run(runtime, &work) { argument, piece in
        let work = job(argument, RandomJob.self)
        @inline(__always) func body(_ i: Int, _ w: PhiloxWords) {
            boxMuller(work, i, w.w0, w.w1)
            boxMuller(work, i &+ 32, w.w2, w.w3)
        }
        each(work, piece, body)
    }
}

@inline(__always)
private func boxMuller(_ work: RandomJob, _ i: Int, _ u: UIntVector, _ v: UIntVector) {
    let radius = squareRoot(splat(-2) * logarithm(openUnit(u))) * splat(work.b)
    let (sine, cosine) = sineAndCosine(unit(v) * splat(6.2831855))
    put(fma(radius, cosine, splat(work.a)), work, i)
    put(fma(radius, sine, splat(work.a)), work, i &+ 16)
}

func dropoutKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ seed: UInt64, _ offset: UInt64, _ rate: Float, _ scale: Float,
    _ x: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?, _ mask: UnsafeMutablePointer<UInt8>?, _ n: Int64
) {
    var work = RandomJob(
        seed: seed, offset: offset, a: rate, b: scale, limit: 0, x: x,
        y: UnsafeMutableRawPointer(y.unsafelyUnwrapped), mask: mask, n: Int(n))
    run(runtime, &work) { argument, piece in
        let work = job(argument, RandomJob.self)
        @inline(__always) func body(_ i: Int, _ w: PhiloxWords) {
            drop(work, i, w.w0)
            drop(work, i &+ 16, w.w1)
            drop(work, i &+ 32, w.w2)
            drop(work, i &+ 48, w.w3)
        }
        each(work, piece, body)
    }
}

@inline(__always)
private func drop(_ work: RandomJob, _ i: Int, _ w: UIntVector) {
    let k = inUse(i, work.n)
    if k == 0 { return }
    let kept = lessOrEqual(splat(work.a), unit(w))
    let x = loadPart(work.x.unsafelyUnwrapped + i, k) * splat(work.b)
    storePart(ofBits(bits(x) & kept), work.y.assumingMemoryBound(to: Float.self) + i, k)
    if let mask = work.mask {
        if k == lanes { store(bytes(kept), mask + i) } else { store(bytes(kept), mask + i, k) }
    }
}

func maskedScaleKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ mask: UnsafePointer<UInt8>?, _ scale: Float, _ x: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>?, _ n: Int64
) {
    var work = RandomJob(
        seed: 0, offset: 0, a: 0, b: scale, limit: 0, x: x, y: UnsafeMutableRawPointer(y.unsafelyUnwrapped),
        mask: UnsafeMutablePointer(mutating: mask.unsafelyUnwrapped), n: Int(n))
    forPieces(runtime, ceilDivide(work.n, lightPiece), &work) { argument, piece in
        let work = job(argument, RandomJob.self)
        let x = work.x.unsafelyUnwrapped, mask = work.mask.unsafelyUnwrapped
        let y = work.y.assumingMemoryBound(to: Float.self)
        var i = Int(piece) &* lightPiece
        let end = min(work.n, i &+ lightPiece)
        while i &+ lanes <= end {
            let m = widened(UnsafeRawPointer(mask + i).loadUnaligned(as: ByteVector.self))
            let v = load(x + i) * splat(work.b)
            store(select(equal(m, isplat(Int32(0))), splat(0), v), y + i)
            i &+= lanes
        }
        while i < end {
            y[i] = mask[i] == 0 ? 0 : x[i] * work.b
            i &+= 1
        }
    }
}
