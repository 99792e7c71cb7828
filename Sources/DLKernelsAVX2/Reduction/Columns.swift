// Loops over the columns of a row-major matrix, for sums per column and for maps with one parameter per column.
// `width` is the length of the row that is passed over: the columns themselves, or a multiple of them that fills
// whole vectors when there are few (then parameters are read from a pattern of that length).

/// The row length for matrices of so many columns.
@inline(__always)
func rowWidth(_ cols: Int) -> Int {
    guard cols < 64 else { return cols }
    let width = widened(cols)
    if width > patternCapacity { return cols }
    // Four vectors hide the latency of one addition.
    let repeats = max(1, min(ceilDivide(4 &* lanes, width), patternCapacity / width))
    return width &* repeats
}

/// Rows that belong to one piece of a sum: enough work for a thread, no more than the second cache holds.
@inline(__always)
func rowsPerBlock(_ cols: Int) -> Int { max(32, lightPiece / max(cols, 1)) }

/// Combines value(i, k, j) of a matrix down its columns: i is the element's offset from the block's first, k the
/// number of lanes in use, j the column in the row that is passed over. out[c] gets the result of column c.
@inline(__always)
func combineColumns(
    rows: Int, stride: Int, cols: Int, width: Int, identity: Vector, out: UnsafeMutablePointer<Float>,
    value: (_ i: Int, _ k: Int, _ j: Int) -> Vector, combine: (Vector, Vector) -> Vector
) {
    if width == cols {
        combineWide(
            rows: rows, stride: stride, cols: cols, identity: identity, out: out, value: value, combine: combine)
        return
    }
    // A narrow dense matrix: as many rows as fill the width are added as one, the rest once, and then all are folded.
    withPattern { sums in
        let total = rows &* cols
        let wideRows = total / width
        combineWide(
            rows: wideRows, stride: width, cols: width, identity: identity, out: sums, value: value, combine: combine)
        var i = wideRows &* width, j = 0
        while i < total {
            let k = min(lanes, total &- i)
            store(combine(load(sums + j, k), value(i, k, j)), sums + j, k)
            i &+= lanes
            j &+= lanes
        }
        var c = 0
        while c < cols {
            let k = min(lanes, cols &- c)
            var sum = identity
            var at = c
            while at < width {
                sum = combine(sum, load(sums + at, k))
                at &+= cols
            }
            store(sum, out + c, k)
            c &+= lanes
        }
    }
}

@inline(__always)
private func combineWide(
    rows: Int, stride: Int, cols: Int, identity: Vector, out: UnsafeMutablePointer<Float>,
    value: (_ i: Int, _ k: Int, _ j: Int) -> Vector, combine: (Vector, Vector) -> Vector
) {
    var c = 0
    while c &+ 4 &* lanes <= cols {
        var t0 = identity, t1 = identity, t2 = identity, t3 = identity
        var r = 0
        while r < rows {
            let end = min(rows, r &+ rowGroup)
            var s0 = identity, s1 = identity, s2 = identity, s3 = identity
            while r < end {
                let i = r &* stride &+ c
                s0 = combine(s0, value(i, lanes, c))
                s1 = combine(s1, value(i &+ lanes, lanes, c &+ lanes))
                s2 = combine(s2, value(i &+ 2 &* lanes, lanes, c &+ 2 &* lanes))
                s3 = combine(s3, value(i &+ 3 &* lanes, lanes, c &+ 3 &* lanes))
                r &+= 1
            }
            t0 = combine(t0, s0)
            t1 = combine(t1, s1)
            t2 = combine(t2, s2)
            t3 = combine(t3, s3)
        }
        store(t0, out + c)
        store(t1, out + c + lanes)
        store(t2, out + c + 2 &* lanes)
        store(t3, out + c + 3 &* lanes)
        c &+= 4 &* lanes
    }
    while c &+ lanes <= cols {
        combineColumn(rows, stride, c, lanes, identity, out, value, combine)
        c &+= lanes
    }
    if c < cols { combineColumn(rows, stride, c, rest(cols &- c), identity, out, value, combine) }
}

@inline(__always)
private func combineColumn(
    _ rows: Int, _ stride: Int, _ c: Int, _ k: Int, _ identity: Vector, _ out: UnsafeMutablePointer<Float>,
    _ value: (_ i: Int, _ k: Int, _ j: Int) -> Vector, _ combine: (Vector, Vector) -> Vector
) {
    var t = identity
    var r = 0
    while r < rows {
        let end = min(rows, r &+ rowGroup)
        var s = identity
        while r < end {
            s = combine(s, value(r &* stride &+ c, k, c))
            r &+= 1
        }
        t = combine(t, s)
    }
    storePart(t, out + c, k)
}

/// Sums of so many rows are added to the total as one number: the error grows with the square root of the size.
let rowGroup = 64

/// Calls body(i, k, j) for every vector of a dense matrix, with the meaning of `combineColumns`.
@inline(__always)
func forColumns(rows: Int, cols: Int, width: Int, _ body: (_ i: Int, _ k: Int, _ j: Int) -> Void) {
    let total = rows &* cols
    var i = 0
    if width % lanes == 0 {
        var j = 0
        while i &+ lanes <= total {
            body(i, lanes, j)
            i &+= lanes
            j &+= lanes
            if j == width { j = 0 }
        }
        if i < total { body(i, rest(total &- i), j) }
        return
    }
    for _ in 0..<rows {
        var j = 0
        while j &+ lanes <= cols {
            body(i &+ j, lanes, j)
            j &+= lanes
        }
        if j < cols { body(i &+ j, rest(cols &- j), j) }
        i &+= cols
    }
}

@inline(__always) func add(_ a: Vector, _ b: Vector) -> Vector { a + b }

/// All lanes when the count is a whole vector, which the compiler knows after inlining.
@inline(__always)
func loadPart(_ p: UnsafePointer<Float>, _ k: Int) -> Vector { k == lanes ? load(p) : load(p, k) }

@inline(__always)
func storePart(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ k: Int) {
    if k == lanes { store(v, p) } else { store(v, p, k) }
}
