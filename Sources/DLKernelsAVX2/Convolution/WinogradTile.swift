import CDLKernels

/// One tile of a Winograd product: R rows of the transformed input, each `length` contiguous floats, times a panel of V vectors
/// of columns. The sums are the next rows of C, which are as wide as the panel.
struct WinogradTileArguments {
    var a: UnsafePointer<Float>
    var aStride: Int
    var b: UnsafePointer<Float>
    var length: Int
    var c: UnsafeMutablePointer<Float>
    /// Adds to what C holds.
    var add: Bool
    /// Lines that later products read, fetched meanwhile: one for each step.
    var next: UnsafeRawPointer
}

enum WinogradTile<let R: Int, let V: Int> {
    @inline(never)
    static func run(_ t: UnsafePointer<WinogradTileArguments>) {
        var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        var x = InlineArray<R, UnsafePointer<Float>> { _ in t.pointee.a }
        for r in 0..<R { x[r] = t.pointee.a + r &* t.pointee.aStride }
        let length = t.pointee.length
        var w = t.pointee.b
        let next = t.pointee.next
        var k = 0
        while k < length {
            var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
            for v in 0..<V { right[v] = load(w + v &* lanes) }
            dl_prefetch_far(next + k &* 64)
            for r in 0..<R {
                let left = Vector(repeating: x[r][k])
                for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
            }
            w += V &* lanes
            k &+= 1
        }
        let c = t.pointee.c
        if t.pointee.add {
            for r in 0..<R {
                for v in 0..<V {
                    let p = c + (r &* V &+ v) &* lanes
                    store(load(p) + sums[r][v], p)
                }
            }
        } else {
            for r in 0..<R {
                for v in 0..<V { store(sums[r][v], c + (r &* V &+ v) &* lanes) }
            }
        }
    }
}

/// C [rows][vectors * lanes] = A B, or C += A B.
func winogradProduct(
    rows: Int, vectors: Int, _ t: inout WinogradTileArguments, _ ahead: inout WinogradPrefetch
) {
    let step = tileRows(vectors: vectors)
    let tiles = divideUp(rows, step)
    for tile in 0..<tiles {
        let count = share(tile &+ 1, of: tiles, rows) &- share(tile, of: tiles, rows)
        t.next = ahead.take(t.length)
        if vectors == 2 { productWide(count, &t) } else { productNarrow(count, &t) }
        t.a += count &* t.aStride
        t.c += count &* vectors &* lanes
    }
}

@inline(never)
private func productWide(_ rows: Int, _ t: UnsafePointer<WinogradTileArguments>) {
    switch rows {
    #if DL_AVX512
        case 12: WinogradTile<12, 2>.run(t)
        case 11: WinogradTile<11, 2>.run(t)
        case 10: WinogradTile<10, 2>.run(t)
        case 9: WinogradTile<9, 2>.run(t)
        case 8: WinogradTile<8, 2>.run(t)
        case 7: WinogradTile<7, 2>.run(t)
    #endif
    case 6: WinogradTile<6, 2>.run(t)
    case 5: WinogradTile<5, 2>.run(t)
    case 4: WinogradTile<4, 2>.run(t)
    case 3: WinogradTile<3, 2>.run(t)
    case 2: WinogradTile<2, 2>.run(t)
    default: WinogradTile<1, 2>.run(t)
    }
}

@inline(never)
private func productNarrow(_ rows: Int, _ t: UnsafePointer<WinogradTileArguments>) {
    switch rows {
    case 12: WinogradTile<12, 1>.run(t)
    case 11: WinogradTile<11, 1>.run(t)
    case 10: WinogradTile<10, 1>.run(t)
    case 9: WinogradTile<9, 1>.run(t)
    case 8: WinogradTile<8, 1>.run(t)
    case 7: WinogradTile<7, 1>.run(t)
    case 6: WinogradTile<6, 1>.run(t)
    case 5: WinogradTile<5, 1>.run(t)
    case 4: WinogradTile<4, 1>.run(t)
    case 3: WinogradTile<3, 1>.run(t)
    case 2: WinogradTile<2, 1>.run(t)
    default: WinogradTile<1, 1>.run(t)
    }
}
