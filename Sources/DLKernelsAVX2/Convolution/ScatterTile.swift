import CDLKernels

/// R rows of dy, and where their product with one kernel row's weights goes.
struct ScatterArguments {
    var dy: UnsafePointer<Float>
    var dyRow: Int
    var filters: Int
    /// [filters][V * lanes]
    var panel: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var toRow: Int
    /// From one position to the next, less than `columns` where the kernel's reaches overlap.
    var toStep: Int
    var columns: Int
    /// Positions of a row.
    var width: Int
}

/// Adds dy times the panel to R rows of dx, position after position.
enum ScatterTile<let R: Int, let V: Int> {
    @inline(never)
    static func run(_ a: ScatterArguments) {
        var dy = a.dy
        var to = a.to
        let last = a.columns &- (V &- 1) &* lanes
        for _ in 0..<a.width {
            var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
            var x = InlineArray<R, UnsafePointer<Float>> { _ in dy }
            for r in 0..<R { x[r] = dy + r &* a.dyRow }
            var w = a.panel
            for k in 0..<a.filters {
                var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
                for v in 0..<V { right[v] = load(w + v &* lanes) }
                for r in 0..<R {
                    let left = Vector(repeating: x[r][k])
                    for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
                }
                w += V &* lanes
            }
            for r in 0..<R {
                let row = to + r &* a.toRow
                for v in 0..<V &- 1 { store(load(row + v &* lanes) + sums[r][v], row + v &* lanes) }
                let tail = row + (V &- 1) &* lanes
                storeFirst(loadFirst(tail, last) + sums[r][V &- 1], tail, last)
            }
            dy += a.filters
            to += a.toStep
        }
    }
}

func scatter(_ a: ScatterArguments, rows: Int, vectors: Int) {
    if vectors == 2 { scatterWide(a, rows) } else { scatterNarrow(a, rows) }
}

@inline(never)
private func scatterWide(_ a: ScatterArguments, _ rows: Int) {
    switch rows {
    #if DL_AVX512
        case 12: ScatterTile<12, 2>.run(a)
        case 11: ScatterTile<11, 2>.run(a)
        case 10: ScatterTile<10, 2>.run(a)
        case 9: ScatterTile<9, 2>.run(a)
        case 8: ScatterTile<8, 2>.run(a)
        case 7: ScatterTile<7, 2>.run(a)
    #endif
    case 6: ScatterTile<6, 2>.run(a)
    case 5: ScatterTile<5, 2>.run(a)
    case 4: ScatterTile<4, 2>.run(a)
    case 3: ScatterTile<3, 2>.run(a)
    case 2: ScatterTile<2, 2>.run(a)
    default: ScatterTile<1, 2>.run(a)
    }
}

@inline(never)
private func scatterNarrow(_ a: ScatterArguments, _ rows: Int) {
    switch rows {
    case 12: ScatterTile<12, 1>.run(a)
    case 11: ScatterTile<11, 1>.run(a)
    case 10: ScatterTile<10, 1>.run(a)
    case 9: ScatterTile<9, 1>.run(a)
    case 8: ScatterTile<8, 1>.run(a)
    case 7: ScatterTile<7, 1>.run(a)
    case 6: ScatterTile<6, 1>.run(a)
    case 5: ScatterTile<5, 1>.run(a)
    case 4: ScatterTile<4, 1>.run(a)
    case 3: ScatterTile<3, 1>.run(a)
    case 2: ScatterTile<2, 1>.run(a)
    default: ScatterTile<1, 1>.run(a)
    }
}
