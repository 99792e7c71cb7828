// Two sums per column in one pass, for the gradients of normalisation. The meaning of `width`, i, k and j is
// that of Columns.swift.

@inline(__always)
func sumColumnPairs(
    rows: Int, cols: Int, width: Int, first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
    value: (_ i: Int, _ k: Int, _ j: Int) -> (Vector, Vector)
) {
    if width == cols {
        sumWidePairs(rows: rows, width: cols, first: first, second: second, value: value)
        return
    }
    withPattern { a in
        withPattern { b in
            let total = rows &* cols
            let wideRows = total / width
            sumWidePairs(rows: wideRows, width: width, first: a, second: b, value: value)
            var i = wideRows &* width, j = 0
            while i < total {
                let k = min(lanes, total &- i)
                let v = value(i, k, j)
                store(load(a + j, k) + v.0, a + j, k)
                store(load(b + j, k) + v.1, b + j, k)
                i &+= lanes
                j &+= lanes
            }
            fold(a, cols, width, first)
            fold(b, cols, width, second)
        }
    }
}

/// Adds the repetitions of the columns in a row of sums.
private func fold(
    _ sums: UnsafeMutablePointer<Float>, _ cols: Int, _ width: Int, _ out: UnsafeMutablePointer<Float>
) {
    var c = 0
    while c < cols {
        let k = min(lanes, cols &- c)
        var sum = splat(0)
        var at = c
        while at < width {
            sum += load(sums + at, k)
            at &+= cols
        }
        store(sum, out + c, k)
        c &+= lanes
    }
}

@inline(__always)
private func sumWidePairs(
    rows: Int, width: Int, first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
    value: (_ i: Int, _ k: Int, _ j: Int) -> (Vector, Vector)
) {
    var c = 0
    while c &+ 2 &* lanes <= width {
        var t0 = splat(0), t1 = t0, u0 = t0, u1 = t0
        var r = 0
        while r < rows {
            let end = min(rows, r &+ rowGroup)
            var s0 = splat(0), s1 = s0, v0 = s0, v1 = s0
            while r < end {
                let i = r &* width &+ c
                let a = value(i, lanes, c), b = value(i &+ lanes, lanes, c &+ lanes)
                s0 += a.0
                v0 += a.1
                s1 += b.0
                v1 += b.1
                r &+= 1
            }
            t0 += s0
            t1 += s1
            u0 += v0
            u1 += v1
        }
        store(t0, first + c)
        store(t1, first + c + lanes)
        store(u0, second + c)
        store(u1, second + c + lanes)
        c &+= 2 &* lanes
    }
    while c &+ lanes <= width {
        sumPair(rows, width, c, lanes, first, second, value)
        c &+= lanes
    }
    if c < width { sumPair(rows, width, c, rest(width &- c), first, second, value) }
}

@inline(__always)
private func sumPair(
    _ rows: Int, _ width: Int, _ c: Int, _ k: Int, _ first: UnsafeMutablePointer<Float>,
    _ second: UnsafeMutablePointer<Float>, _ value: (_ i: Int, _ k: Int, _ j: Int) -> (Vector, Vector)
) {
    var t = splat(0), u = t
    var r = 0
    while r < rows {
        let end = min(rows, r &+ rowGroup)
        var s = splat(0), v = s
        while r < end {
            let a = value(r &* width &+ c, k, c)
            s += a.0
            v += a.1
            r &+= 1
        }
        t += s
        u += v
    }
    storePart(t, first + c, k)
    storePart(u, second + c, k)
}
