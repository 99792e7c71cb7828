import CDLKernels

/// The positions one tile of the weights' gradient sums over, and how x and dy advance over them.
struct WeightTileArguments {
    /// The first channel of the tile at the first position, and the first filter there.
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var images: Int
    var rows: Int
    var columns: Int
    var xImageStep: Int
    var xRowStep: Int
    var xColumnStep: Int
    var dyImageStep: Int
    var dyRowStep: Int
    var dyColumnStep: Int
    /// Filters that can be read, 1 ... V * lanes.
    var filters: Int
    /// Memory that is needed soon, and how many floats of it to ask for at each position.
    var next: UnsafePointer<Float>
    var nextStep: Int
}

/// sums[r][f] = sum over positions of x[position + r] * dy[position][f] for R consecutive floats of x: both operands
/// are read where they lie.
enum WeightTile<let R: Int, let V: Int> {
    @inline(never)
    static func sum(_ a: UnsafePointer<WeightTileArguments>, _ out: UnsafeMutablePointer<Float>) {
        if a.pointee.filters == V &* lanes { sum(a, out, whole: true) } else { sum(a, out, whole: false) }
    }

    @inline(__always)
    private static func sum(_ a: UnsafePointer<WeightTileArguments>, _ out: UnsafeMutablePointer<Float>, whole: Bool) {
        var sums = InlineArray<R, InlineArray<V, Vector>> { _ in InlineArray { _ in Vector(repeating: 0) } }
        let columns = a.pointee.columns
        let xStep = a.pointee.xColumnStep
        let dyStep = a.pointee.dyColumnStep
        let last = a.pointee.filters &- (V &- 1) &* lanes
        var next = a.pointee.next
        let nextStep = a.pointee.nextStep
        for image in 0..<a.pointee.images {
            for row in 0..<a.pointee.rows {
                var x = a.pointee.x + (image &* a.pointee.xImageStep &+ row &* a.pointee.xRowStep)
                var dy = a.pointee.dy + (image &* a.pointee.dyImageStep &+ row &* a.pointee.dyRowStep)
                var column = 0
                while column < columns {
                    var right = InlineArray<V, Vector> { _ in Vector(repeating: 0) }
                    for v in 0..<V &- 1 { right[v] = load(dy + v &* lanes) }
                    let tail = dy + (V &- 1) &* lanes
                    right[V &- 1] = whole ? load(tail) : loadFirst(tail, last)
                    for r in 0..<R {
                        let left = Vector(repeating: x[r])
                        for v in 0..<V { sums[r][v] = fma(left, right[v], sums[r][v]) }
                    }
                    dl_prefetch_far(next)
                    next += nextStep
                    x += xStep
                    dy += dyStep
                    column &+= 1
                }
            }
        }
        for r in 0..<R {
            for v in 0..<V { store(sums[r][v], out + (r &* V &+ v) &* lanes) }
        }
    }
}

#if DL_AVX512
    let narrowWeightRows = 15
#else
    let narrowWeightRows = 12
#endif

/// Rows of a tile of `vectors` vectors of filters at most.
@inline(__always) func weightTileRows(vectors: Int) -> Int { vectors == 2 ? wideTileRows : narrowWeightRows }

/// Sums one tile and puts the first `filters` columns into `to` (rows `stride` apart), or adds them to what is there.
@inline(__always)
func runWeightTile(
    _ a: UnsafePointer<WeightTileArguments>, rows: Int, vectors: Int, to: UnsafeMutablePointer<Float>, stride: Int,
    filters: Int, add: Bool, _ sums: UnsafeMutablePointer<Float>
) {
    if add {
        for r in 0..<rows {
            for v in 0..<vectors { dl_prefetch(to + (r &* stride &+ v &* lanes)) }
        }
    }
    if vectors == 2 { sumWide(a, rows, sums) } else { sumNarrow(a, rows, sums) }
    for r in 0..<rows {
        for v in 0..<vectors {
            let at = v &* lanes
            var sum = load(sums + (r &* vectors &* lanes &+ at))
            let p = to + (r &* stride &+ at)
            if add { sum += loadFirst(p, filters &- at) }
            storeFirst(sum, p, filters &- at)
        }
    }
}

@inline(never)
private func sumWide(_ a: UnsafePointer<WeightTileArguments>, _ rows: Int, _ sums: UnsafeMutablePointer<Float>) {
    switch rows {
    #if DL_AVX512
        case 12: WeightTile<12, 2>.sum(a, sums)
        case 11: WeightTile<11, 2>.sum(a, sums)
        case 10: WeightTile<10, 2>.sum(a, sums)
        case 9: WeightTile<9, 2>.sum(a, sums)
        case 8: WeightTile<8, 2>.sum(a, sums)
        case 7: WeightTile<7, 2>.sum(a, sums)
    #endif
    case 6: WeightTile<6, 2>.sum(a, sums)
    case 5: WeightTile<5, 2>.sum(a, sums)
    case 4: WeightTile<4, 2>.sum(a, sums)
    case 3: WeightTile<3, 2>.sum(a, sums)
    case 2: WeightTile<2, 2>.sum(a, sums)
    default: WeightTile<1, 2>.sum(a, sums)
    }
}

@inline(never)
private func sumNarrow(_ a: UnsafePointer<WeightTileArguments>, _ rows: Int, _ sums: UnsafeMutablePointer<Float>) {
    switch rows {
    #if DL_AVX512
        case 15: WeightTile<15, 1>.sum(a, sums)
        case 14: WeightTile<14, 1>.sum(a, sums)
        case 13: WeightTile<13, 1>.sum(a, sums)
    #endif
    case 12: WeightTile<12, 1>.sum(a, sums)
    case 11: WeightTile<11, 1>.sum(a, sums)
    case 10: WeightTile<10, 1>.sum(a, sums)
    case 9: WeightTile<9, 1>.sum(a, sums)
    case 8: WeightTile<8, 1>.sum(a, sums)
    case 7: WeightTile<7, 1>.sum(a, sums)
    case 6: WeightTile<6, 1>.sum(a, sums)
    case 5: WeightTile<5, 1>.sum(a, sums)
    case 4: WeightTile<4, 1>.sum(a, sums)
    case 3: WeightTile<3, 1>.sum(a, sums)
    case 2: WeightTile<2, 1>.sum(a, sums)
    default: WeightTile<1, 1>.sum(a, sums)
    }
}
