import CDLKernels

private struct BinaryJob<Output> {
    var plan: UnsafePointer<dl_broadcast>
    var function: Int
    var a: UnsafePointer<Float>
    var b: UnsafePointer<Float>
    var y: UnsafeMutablePointer<Output>
    var rowsPerPiece: Int
    var colsPerPiece: Int
    var colPieces: Int
}

/// A block of the result: rows of all outer positions in one count, and a range of columns.
private struct Block {
    var rows: Range<Int>
    var cols: Range<Int>
}

@inline(__always)
private func makeJob<Output>(
    _ plan: UnsafePointer<dl_broadcast>, _ function: Int64, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    _ y: UnsafeMutablePointer<Output>, _ piece: Int
) -> (work: BinaryJob<Output>, pieces: Int) {
    let cols = Int(plan.pointee.cols)
    let rows = Int(plan.pointee.rows &* plan.pointee.outer_count)
    if cols == 0 || rows == 0 {
        return (BinaryJob(plan: plan, function: 0, a: a, b: b, y: y, rowsPerPiece: 1, colsPerPiece: 1, colPieces: 1), 0)
    }
    let colsPerPiece = min(cols, piece)
    let rowsPerPiece = max(1, piece / cols)
    let colPieces = ceilDivide(cols, colsPerPiece)
    let work = BinaryJob(
        plan: plan, function: Int(function), a: a, b: b, y: y, rowsPerPiece: rowsPerPiece,
        colsPerPiece: colsPerPiece, colPieces: colPieces)
    return (work, colPieces &* ceilDivide(rows, rowsPerPiece))
}

@inline(__always)
private func block<Output>(_ work: BinaryJob<Output>, _ piece: Int64) -> Block {
    let piece = Int(piece)
    let row = piece / work.colPieces &* work.rowsPerPiece
    let col = piece % work.colPieces &* work.colsPerPiece
    let rows = Int(work.plan.pointee.rows &* work.plan.pointee.outer_count)
    return Block(
        rows: Range(uncheckedBounds: (row, min(rows, row &+ work.rowsPerPiece))),
        cols: Range(uncheckedBounds: (col, min(Int(work.plan.pointee.cols), col &+ work.colsPerPiece))))
}

func binaryKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ plan: UnsafePointer<dl_broadcast>?, _ function: Int64,
    _ a: UnsafePointer<Float>?, _ b: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>?
) {
    var (work, pieces) = makeJob(
        plan.unsafelyUnwrapped, function, a.unsafelyUnwrapped, b.unsafelyUnwrapped, y.unsafelyUnwrapped, lightPiece)
    forPieces(runtime, pieces, &work) { argument, piece in
        let work = job(argument, BinaryJob<Float>.self)
        binaryBlock(work, block(work, piece))
    }
}

func compareKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ plan: UnsafePointer<dl_broadcast>?, _ function: Int64,
    _ a: UnsafePointer<Float>?, _ b: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<UInt8>?
) {
    var (work, pieces) = makeJob(
        plan.unsafelyUnwrapped, function, a.unsafelyUnwrapped, b.unsafelyUnwrapped, y.unsafelyUnwrapped, lightPiece)
    forPieces(runtime, pieces, &work) { argument, piece in
        let work = job(argument, BinaryJob<UInt8>.self)
        compareBlock(work, block(work, piece))
    }
}

/// Calls `row` for each row of the block with the first element of each operand.
@inline(__always)
private func forRows<Output>(
    _ work: BinaryJob<Output>, _ block: Block,
    _ row: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Output>) -> Void
) {
    let plan = work.plan
    let rows = Int(plan.pointee.rows), cols = Int(plan.pointee.cols)
    let strideA = Int(dl_broadcast_row_stride(plan, 0)), strideB = Int(dl_broadcast_row_stride(plan, 1))
    let startA = block.cols.lowerBound &* Int(dl_broadcast_col_stride(plan, 0))
    let startB = block.cols.lowerBound &* Int(dl_broadcast_col_stride(plan, 1))
    var r = block.rows.lowerBound
    while r < block.rows.upperBound {
        let outer = r / rows
        var inner = r &- outer &* rows
        var a = work.a + (Int(dl_broadcast_offset(plan, 0, Int64(outer))) &+ inner &* strideA &+ startA)
        var b = work.b + (Int(dl_broadcast_offset(plan, 1, Int64(outer))) &+ inner &* strideB &+ startB)
        var y = work.y + (r &* cols &+ block.cols.lowerBound)
        while inner < rows && r < block.rows.upperBound {
            row(a, b, y)
            a += strideA
            b += strideB
            y += cols
            inner &+= 1
            r &+= 1
        }
    }
}

/// The operand of a row that stands for i and k: one value repeated, a vector, or the rest of the row.
@inline(__always)
private func operand(_ p: UnsafePointer<Float>, _ step: Int, _ i: Int, _ k: Int) -> Vector {
    if step == 0 { return splat(p[0]) }
    return k >= lanes ? load(p + i) : load(p + i, k)
}

@inline(__always)
private func map(_ work: BinaryJob<Float>, _ block: Block, _ f: (Vector, Vector) -> Vector) {
    let plan = work.plan
    let cols = Int(plan.pointee.cols)
    if cols < 64, block.rows.upperBound &- block.rows.lowerBound > 1, Int(plan.pointee.outer_count) == 1,
        Int(dl_broadcast_row_stride(plan, 0)) == cols, dl_broadcast_col_stride(plan, 0) == 1,
        dl_broadcast_row_stride(plan, 1) == 0, dl_broadcast_col_stride(plan, 1) == 1
    {
        let width = widened(cols)
        if width <= patternCapacity {
            mapNarrow(work, block, width, f)
            return
        }
    }
    let stepA = Int(dl_broadcast_col_stride(plan, 0)), stepB = Int(dl_broadcast_col_stride(plan, 1))
    let n = block.cols.upperBound &- block.cols.lowerBound
    forRows(work, block) { a, b, y in
        var i = 0
        while i < n {
            let k = n &- i
            let v = f(operand(a, stepA, i, k), operand(b, stepB, i, k))
            if k >= lanes { store(v, y + i) } else { store(v, y + i, k) }
            i &+= lanes
        }
    }
}

/// A row vector of few columns: repeated until it fills whole vectors, so that many rows are passed as one.
@inline(__always)
private func mapNarrow(_ work: BinaryJob<Float>, _ block: Block, _ width: Int, _ f: (Vector, Vector) -> Vector) {
    let cols = Int(work.plan.pointee.cols)
    withPattern { pattern in
        fillPattern(pattern, work.b, cols, width)
        let start = block.rows.lowerBound &* cols
        let n = (block.rows.upperBound &- block.rows.lowerBound) &* cols
        let a = work.a + start, y = work.y + start
        var i = 0, j = 0
        while i &+ lanes <= n {
            store(f(load(a + i), load(pattern + j)), y + i)
            i &+= lanes
            j &+= lanes
            if j == width { j = 0 }
        }
        if i < n { store(f(load(a + i, n &- i), load(pattern + j)), y + i, n &- i) }
    }
}

@inline(__always) private func subtract(_ a: Vector, _ b: Vector) -> Vector { a - b }
@inline(__always) private func multiply(_ a: Vector, _ b: Vector) -> Vector { a * b }
@inline(__always) private func divide(_ a: Vector, _ b: Vector) -> Vector { a / b }
@inline(__always) private func floorDivide(_ a: Vector, _ b: Vector) -> Vector { floor(a / b) }
@inline(__always) private func squaredDifference(_ a: Vector, _ b: Vector) -> Vector { (a - b) * (a - b) }
@inline(__always) private func power(_ a: Vector, _ b: Vector) -> Vector { lanewise(a, b) { dl_pow_f($0, $1) } }
@inline(__always) private func arcTangent(_ a: Vector, _ b: Vector) -> Vector { lanewise(a, b) { dl_atan2_f($0, $1) } }

/// The remainder that has the sign of the divisor.
@inline(__always)
private func flooredRemainder(_ a: Float, _ b: Float) -> Float {
    let r = dl_fmod_f(a, b)
    return r != 0 && (r < 0) != (b < 0) ? r + b : r
}

@inline(__always)
private func remainder(_ a: Vector, _ b: Vector) -> Vector { lanewise(a, b) { flooredRemainder($0, $1) } }

// A function for each, so that the inliner meets no limit of size.

private func addBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, add) }
private func subtractBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, subtract) }
private func multiplyBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, multiply) }
private func divideBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, divide) }
private func maximumBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, maximumOrNaN) }
private func minimumBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, minimumOrNaN) }
private func squaredDifferenceBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, squaredDifference) }
private func floorDivideBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, floorDivide) }
private func remainderBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, remainder) }
private func arcTangentBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, arcTangent) }

private func binaryBlock(_ work: BinaryJob<Float>, _ block: Block) {
    switch work.function {
    case DL_BINARY_ADD: addBlock(work, block)
    case DL_BINARY_SUBTRACT: subtractBlock(work, block)
    case DL_BINARY_MULTIPLY: multiplyBlock(work, block)
    case DL_BINARY_DIVIDE: divideBlock(work, block)
    case DL_BINARY_MAXIMUM: maximumBlock(work, block)
    case DL_BINARY_MINIMUM: minimumBlock(work, block)
    case DL_BINARY_SQUARED_DIFFERENCE: squaredDifferenceBlock(work, block)
    case DL_BINARY_FLOOR_DIVIDE: floorDivideBlock(work, block)
    case DL_BINARY_POWER: powerBlock(work, block)
    case DL_BINARY_MOD: remainderBlock(work, block)
    case DL_BINARY_ATAN2: arcTangentBlock(work, block)
    default: break
    }
}

@inline(__always) private func square(_ a: Vector, _ b: Vector) -> Vector { a * a }
@inline(__always) private func first(_ a: Vector, _ b: Vector) -> Vector { a }
@inline(__always) private func inverse(_ a: Vector, _ b: Vector) -> Vector { splat(1) / a }
/// As pow does it: -0 gives 0, and -infinity infinity.
@inline(__always) private func root(_ a: Vector, _ b: Vector) -> Vector {
    select(equal(a, splat(-Float.infinity)), splat(Float.infinity), squareRoot(a + splat(0)))
}

private func squareBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, square) }
private func firstBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, first) }
private func inverseBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, inverse) }
private func rootBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, root) }
private func everyPowerBlock(_ work: BinaryJob<Float>, _ block: Block) { map(work, block, power) }

private func powerBlock(_ work: BinaryJob<Float>, _ block: Block) {
    // One exponent for all: the usual ones need no power function.
    let plan = work.plan
    if plan.pointee.outer_count == 1, dl_broadcast_row_stride(plan, 1) == 0, dl_broadcast_col_stride(plan, 1) == 0 {
        let exponent = work.b[0]
        if exponent == 2 { return squareBlock(work, block) }
        if exponent == 1 { return firstBlock(work, block) }
        if exponent == -1 { return inverseBlock(work, block) }
        if exponent == 0.5 { return rootBlock(work, block) }
    }
    everyPowerBlock(work, block)
}

@inline(__always)
private func test(_ work: BinaryJob<UInt8>, _ block: Block, _ f: (Vector, Vector) -> IntVector) {
    let stepA = Int(dl_broadcast_col_stride(work.plan, 0)), stepB = Int(dl_broadcast_col_stride(work.plan, 1))
    let n = block.cols.upperBound &- block.cols.lowerBound
    forRows(work, block) { a, b, y in
        var i = 0
        while i < n {
            let k = n &- i
            let v = bytes(f(operand(a, stepA, i, k), operand(b, stepB, i, k)))
            if k >= lanes { store(v, y + i) } else { store(v, y + i, k) }
            i &+= lanes
        }
    }
}

@inline(__always) private func greater(_ a: Vector, _ b: Vector) -> IntVector { less(b, a) }
@inline(__always) private func greaterOrEqual(_ a: Vector, _ b: Vector) -> IntVector { lessOrEqual(b, a) }

private func compareBlock(_ work: BinaryJob<UInt8>, _ block: Block) {
    switch work.function {
    case DL_COMPARE_EQ: test(work, block, equal)
    case DL_COMPARE_NE: test(work, block, notEqual)
    case DL_COMPARE_LT: test(work, block, less)
    case DL_COMPARE_LE: test(work, block, lessOrEqual)
    case DL_COMPARE_GT: test(work, block, greater)
    case DL_COMPARE_GE: test(work, block, greaterOrEqual)
    default: break
    }
}
