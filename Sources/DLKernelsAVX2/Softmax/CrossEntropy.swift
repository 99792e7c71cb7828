import CDLKernels

private struct CrossEntropyJob {
    /// Logits going forward, probabilities going back.
    var x: UnsafePointer<Float>
    var labels: UnsafeRawPointer?
    var labelBytes: Int
    var targets: UnsafePointer<Float>?
    var scale: UnsafePointer<Float>?
    /// Loss per row going forward, dx going back.
    var y: UnsafeMutablePointer<Float>
    var probabilities: UnsafeMutablePointer<Float>?
    var rows: Int
    var n: Int
    var rowsPerPiece: Int

    @inline(__always)
    func label(_ row: Int) -> Int {
        let labels = labels.unsafelyUnwrapped
        return labelBytes == 8
            ? Int(labels.loadUnaligned(fromByteOffset: row &* 8, as: Int64.self))
            : Int(labels.loadUnaligned(fromByteOffset: row &* 4, as: Int32.self))
    }
}

@inline(__always)
private func run(
    _ runtime: UnsafePointer<dl_runtime>?, _ work: inout CrossEntropyJob,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    if work.rows <= 0 || work.n <= 0 { return }
    work.rowsPerPiece = max(1, heavyPiece / work.n)
    forPieces(runtime, ceilDivide(work.rows, work.rowsPerPiece), &work, task)
}

@inline(__always)
private func eachRow(_ argument: UnsafeMutableRawPointer?, _ piece: Int64, _ body: (CrossEntropyJob, Int) -> Void) {
    let work = job(argument, CrossEntropyJob.self)
    var r = Int(piece) &* work.rowsPerPiece
    let end = min(work.rows, r &+ work.rowsPerPiece)
    while r < end {
        body(work, r)
        r &+= 1
    }
}

/// log sum exp of a row, and its probabilities where wanted.
@inline(__always)
private func normalise(_ work: CrossEntropyJob, _ row: Int) -> (largest: Float, logSum: Float) {
    let x = work.x + row &* work.n
    let largest = rowMaximum(x, work.n)
    guard let all = work.probabilities else {
        return (largest, scalarLogarithm(sumOfExponentials(x, work.n, largest)))
    }
    let p = all + row &* work.n
    let sum = exponentialsAndSum(x, p, work.n, largest)
    let scale = splat(1 / sum)
    var i = 0
    while i < work.n {
        let k = min(lanes, work.n &- i)
        store(load(p + i, k) * scale, p + i, k)
        i &+= lanes
    }
    return (largest, scalarLogarithm(sum))
}

func sparseCrossEntropyKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ labels: UnsafeRawPointer?,
    _ labelBytes: Int64, _ loss: UnsafeMutablePointer<Float>?, _ probabilities: UnsafeMutablePointer<Float>?,
    _ rows: Int64, _ n: Int64
) {
    var work = CrossEntropyJob(
        x: x.unsafelyUnwrapped, labels: labels, labelBytes: Int(labelBytes), targets: nil, scale: nil,
        y: loss.unsafelyUnwrapped, probabilities: probabilities, rows: Int(rows), n: Int(n), rowsPerPiece: 1)
    run(runtime, &work) { argument, piece in
        eachRow(argument, piece) { work, row in
            let label = work.label(row)
            // Before the probabilities overwrite it, should they share memory with the logits.
            let inside = label >= 0 && label < work.n
            let chosen = inside ? work.x[row &* work.n &+ label] : 0
            let (largest, logSum) = normalise(work, row)
            work.y[row] = inside ? (largest - chosen) + logSum : 0
        }
    }
}

func sparseCrossEntropyGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ probabilities: UnsafePointer<Float>?, _ labels: UnsafeRawPointer?,
    _ labelBytes: Int64, _ scale: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64
) {
    var work = CrossEntropyJob(
        x: probabilities.unsafelyUnwrapped, labels: labels, labelBytes: Int(labelBytes), targets: nil, scale: scale,
        y: dx.unsafelyUnwrapped, probabilities: nil, rows: Int(rows), n: Int(n), rowsPerPiece: 1)
    run(runtime, &work) { argument, piece in
        eachRow(argument, piece) { work, row in
            let label = work.label(row)
            let p = work.x + row &* work.n, dx = work.y + row &* work.n
            let scale = label >= 0 && label < work.n ? work.scale.unsafelyUnwrapped[row] : 0
            var i = 0
            while i < work.n {
                let k = min(lanes, work.n &- i)
                // A label outside this vector meets no lane; truncation cannot bring one back below 2^31 classes.
                let hit = equal(laneIndex, isplat(Int32(truncatingIfNeeded: label &- i)))
                let target = select(hit, splat(1), splat(0))
                store((load(p + i, k) - target) * splat(scale), dx + i, k)
                i &+= lanes
            }
        }
    }
}

func crossEntropyKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ x: UnsafePointer<Float>?, _ targets: UnsafePointer<Float>?,
    _ loss: UnsafeMutablePointer<Float>?, _ probabilities: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64
) {
    var work = CrossEntropyJob(
        x: x.unsafelyUnwrapped, labels: nil, labelBytes: 0, targets: targets, scale: nil, y: loss.unsafelyUnwrapped,
        probabilities: probabilities, rows: Int(rows), n: Int(n), rowsPerPiece: 1)
    run(runtime, &work) { argument, piece in
        eachRow(argument, piece) { work, row in
            let x = work.x + row &* work.n, t = work.targets.unsafelyUnwrapped + row &* work.n
            let largest = splat(rowMaximum(x, work.n))
            // sum t and sum t (largest - x). A target of zero adds nothing even where the logit is infinite.
            var weight = splat(0), dot = splat(0)
            var i = 0
            while i < work.n {
                let k = min(lanes, work.n &- i)
                let v = load(t + i, k)
                weight += v
                dot += select(equal(v, splat(0)), splat(0), v * (largest - load(x + i, k)))
                i &+= lanes
            }
            let (_, logSum) = normalise(work, row)
            work.y[row] = horizontalSum(weight) * logSum + horizontalSum(dot)
        }
    }
}

func crossEntropyGradientKernel(
    _ runtime: UnsafePointer<dl_runtime>?, _ probabilities: UnsafePointer<Float>?, _ targets: UnsafePointer<Float>?,
    _ scale: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>?, _ rows: Int64, _ n: Int64
) {
    var work = CrossEntropyJob(
        x: probabilities.unsafelyUnwrapped, labels: nil, labelBytes: 0, targets: targets, scale: scale,
        y: dx.unsafelyUnwrapped, probabilities: nil, rows: Int(rows), n: Int(n), rowsPerPiece: 1)
    run(runtime, &work) { argument, piece in
        eachRow(argument, piece) { work, row in
            let p = work.x + row &* work.n, dx = work.y + row &* work.n
            let t = work.targets.unsafelyUnwrapped + row &* work.n
            let scale = splat(work.scale.unsafelyUnwrapped[row])
            var sum = splat(0)
            var i = 0
            while i < work.n {
                sum += load(t + i, min(lanes, work.n &- i))
                i &+= lanes
            }
            let weight = splat(horizontalSum(sum))
            i = 0
            while i < work.n {
                let k = min(lanes, work.n &- i)
                store((load(p + i, k) * weight - load(t + i, k)) * scale, dx + i, k)
                i &+= lanes
            }
        }
    }
}
