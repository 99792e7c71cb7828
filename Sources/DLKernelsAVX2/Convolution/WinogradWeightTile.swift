import CDLKernels

/// One tile of the products behind the weights' gradient: R channels of the transformed input by V vectors of the
/// transformed gradient, summed over `count` tiles of the picture. The sums are the next rows of C, as wide as the panel.
struct WinogradWeightArguments {
    var x: UnsafePointer<Float>
    var xStride: Int
    var dy: UnsafePointer<Float>
    var dyStride: Int
    var count: Int
    var c: UnsafeMutablePointer<Float>
    /// Adds to what C holds.
    var add: Bool
    /// Lines that later products read, fetched meanwhile: one for each step.
    var next: UnsafeRawPointer
}

enum WinogradWeightTile<let R: Int, let V: Int> {
    @inline(never)
    static func run(_ t: UnsafePointer<WinogradWeightArguments>) {
        var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        var x = t.pointee.x
        var dy = t.pointee.dy
        var next = t.pointee.next
        let xStride = t.pointee.xStride
        let dyStride = t.pointee.dyStride
        var left = t.pointee.count
        while left > 0 {
            var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
            for v in 0..<V { right[v] = load(dy + v &* lanes) }
            dl_prefetch_far(next)
            for r in 0..<R {
                let left = Vector(repeating: x[r])
                for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
            }
            x += xStride
            dy += dyStride
            next += 64
            left &-= 1
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

/// C [rows][vectors * lanes] = X^T dY, or C += X^T dY, for `rows` channels.
func winogradWeightProduct(
    rows: Int, vectors: Int, _ t: inout WinogradWeightArguments, _ ahead: inout WinogradPrefetch
) {
    let step = tileRows(vectors: vectors)
    let tiles = divideUp(rows, step)
    for tile in 0..<tiles {
        let count = share(tile &+ 1, of: tiles, rows) &- share(tile, of: tiles, rows)
        t.next = ahead.take(t.count)
        if vectors == 2 { weightProductWide(count, &t) } else { weightProductNarrow(count, &t) }
        t.x += count
        t.c += count &* vectors &* lanes
    }
}

@inline(never)
private func weightProductWide(_ rows: Int, _ t: UnsafePointer<WinogradWeightArguments>) {
    switch rows {
    #if DL_AVX512
        case 12: WinogradWeightTile<12, 2>.run(t)
        case 11: WinogradWeightTile<11, 2>.run(t)
        case 10: WinogradWeightTile<10, 2>.run(t)
        case 9: WinogradWeightTile<9, 2>.run(t)
        case 8: WinogradWeightTile<8, 2>.run(t)
        case 7: WinogradWeightTile<7, 2>.run(t)
    #endif
    case 6: WinogradWeightTile<6, 2>.run(t)
    case 5: WinogradWeightTile<5, 2>.run(t)
    case 4: WinogradWeightTile<4, 2>.run(t)
    case 3: WinogradWeightTile<3, 2>.run(t)
    case 2: WinogradWeightTile<2, 2>.run(t)
    default: WinogradWeightTile<1, 2>.run(t)
    }
}

@inline(never)
private func weightProductNarrow(_ rows: Int, _ t: UnsafePointer<WinogradWeightArguments>) {
    switch rows {
    case 12: WinogradWeightTile<12, 1>.run(t)
    case 11: WinogradWeightTile<11, 1>.run(t)
    case 10: WinogradWeightTile<10, 1>.run(t)
    case 9: WinogradWeightTile<9, 1>.run(t)
    case 8: WinogradWeightTile<8, 1>.run(t)
    case 7: WinogradWeightTile<7, 1>.run(t)
    case 6: WinogradWeightTile<6, 1>.run(t)
    case 5: WinogradWeightTile<5, 1>.run(t)
    case 4: WinogradWeightTile<4, 1>.run(t)
    case 3: WinogradWeightTile<3, 1>.run(t)
    case 2: WinogradWeightTile<2, 1>.run(t)
    default: WinogradWeightTile<1, 1>.run(t)
    }
}
