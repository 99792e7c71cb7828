import CDLKernels

/// The largest tiles whose sums, panel vectors and broadcasts stay in registers.
#if DL_AVX512
    let wideTileRows = 12
#else
    let wideTileRows = 6
#endif
let narrowTileRows = 12

/// Rows of a tile of `vectors` vectors.
@inline(__always) func tileRows(vectors: Int) -> Int { vectors == 2 ? wideTileRows : narrowTileRows }

/// Computes and writes `count` rows (1 ... tileRows) of one panel of 1 or 2 vectors.
@inline(__always)
func runTile(
    _ rows: UnsafePointer<TileRow>, count: Int, vectors: Int, _ a: UnsafePointer<TileArguments>,
    _ sums: UnsafeMutablePointer<Float>
) {
    let finished = vectors == 2 ? sumWide(rows, count, a, sums) : sumNarrow(rows, count, a, sums)
    if !finished { finishTile(sums, rows: rows, count: count, vectors: vectors, a) }
}

@inline(never)
private func sumWide(
    _ rows: UnsafePointer<TileRow>, _ count: Int, _ a: UnsafePointer<TileArguments>, _ sums: UnsafeMutablePointer<Float>
) -> Bool {
    switch count {
    #if DL_AVX512
        case 12: Tile<12, 2>.sum(rows, a, sums)
        case 11: Tile<11, 2>.sum(rows, a, sums)
        case 10: Tile<10, 2>.sum(rows, a, sums)
        case 9: Tile<9, 2>.sum(rows, a, sums)
        case 8: Tile<8, 2>.sum(rows, a, sums)
        case 7: Tile<7, 2>.sum(rows, a, sums)
    #endif
    case 6: Tile<6, 2>.sum(rows, a, sums)
    case 5: Tile<5, 2>.sum(rows, a, sums)
    case 4: Tile<4, 2>.sum(rows, a, sums)
    case 3: Tile<3, 2>.sum(rows, a, sums)
    case 2: Tile<2, 2>.sum(rows, a, sums)
    default: Tile<1, 2>.sum(rows, a, sums)
    }
}

@inline(never)
private func sumNarrow(
    _ rows: UnsafePointer<TileRow>, _ count: Int, _ a: UnsafePointer<TileArguments>, _ sums: UnsafeMutablePointer<Float>
) -> Bool {
    switch count {
    case 12: Tile<12, 1>.sum(rows, a, sums)
    case 11: Tile<11, 1>.sum(rows, a, sums)
    case 10: Tile<10, 1>.sum(rows, a, sums)
    case 9: Tile<9, 1>.sum(rows, a, sums)
    case 8: Tile<8, 1>.sum(rows, a, sums)
    case 7: Tile<7, 1>.sum(rows, a, sums)
    case 6: Tile<6, 1>.sum(rows, a, sums)
    case 5: Tile<5, 1>.sum(rows, a, sums)
    case 4: Tile<4, 1>.sum(rows, a, sums)
    case 3: Tile<3, 1>.sum(rows, a, sums)
    case 2: Tile<2, 1>.sum(rows, a, sums)
    default: Tile<1, 1>.sum(rows, a, sums)
    }
}
