import CDLKernels

/// sums[c] = sum over rows of from[row][c]: the gradient of a bias.
private struct ColumnSums {
    var from: UnsafePointer<Float>
    var rows: Int
    var columns: Int
    var partials: UnsafeMutablePointer<Float>
    var groups: Int
}

private func columnSumGroups(rows: Int, columns: Int) -> Int { max(1, min(min(rows, 16), rows &* columns / 32768)) }

func columnSumsScratchBytes(rows: Int, columns: Int) -> Int {
    var cursor = ScratchCursor(nil)
    let groups = columnSumGroups(rows: rows, columns: columns)
    _ = cursor.floats(groups > 1 ? groups &* columns : 0)
    return cursor.bytes
}

func columnSums(
    _ from: UnsafePointer<Float>, rows: Int, columns: Int, sums: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutableRawPointer?, _ runtime: UnsafePointer<dl_runtime>
) {
    let groups = columnSumGroups(rows: rows, columns: columns)
    var cursor = ScratchCursor(scratch)
    var job = ColumnSums(
        from: from, rows: rows, columns: columns, partials: groups > 1 ? cursor.floats(groups &* columns) : sums,
        groups: groups)
    inParallel(runtime, pieces: groups, &job) { job, piece in
        let job = job.unsafelyUnwrapped.assumingMemoryBound(to: ColumnSums.self).pointee
        let first = share(Int(piece), of: job.groups, job.rows)
        let end = share(Int(piece) &+ 1, of: job.groups, job.rows)
        sumRows(job.from + first &* job.columns, end &- first, job.columns, job.partials + Int(piece) &* job.columns)
    }
    if groups > 1 {
        var sum = SumPartials(
            partials: job.partials, count: groups, rows: 1, columns: columns, to: sums, stride: columns)
        sum.run(runtime)
    }
}

/// Four rows at a time, so that an addition need not wait for the one before.
private func sumRows(_ from: UnsafePointer<Float>, _ rows: Int, _ columns: Int, _ to: UnsafeMutablePointer<Float>) {
    var column = 0
    while column < columns {
        let count = columns &- column
        var p = from + column
        var a = Vector(repeating: 0)
        var b = a
        var c = a
        var d = a
        var row = 0
        while row &+ 4 <= rows {
            a += loadFirst(p, count)
            b += loadFirst(p + columns, count)
            c += loadFirst(p + 2 &* columns, count)
            d += loadFirst(p + 3 &* columns, count)
            p += 4 &* columns
            row &+= 4
        }
        while row < rows {
            a += loadFirst(p, count)
            p += columns
            row &+= 1
        }
        storeFirst((a + b) + (c + d), to + column, count)
        column &+= lanes
    }
}
