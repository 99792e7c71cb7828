import CDLKernels

/// dw = x^T dy as a matrix product over positions. Rows of dw are consecutive floats of x: a tap's channels, or, where
/// there are few of them, a kernel row's taps and channels, for which x is copied with its padding.
func backwardWeightsRowsScratchBytes(_ problem: UnsafePointer<dl_convolution_problem>) -> Int {
    var cursor = ScratchCursor(nil)
    let s = Sizes(problem)
    let plan = WeightsPlan(s)
    _ = WeightsScratch(s, plan, &cursor)
    return cursor.bytes
}

func backwardWeightsRows(
    _ problem: UnsafePointer<dl_convolution_problem>, _ call: UnsafePointer<dl_convolution_arguments>
) {
    let s = Sizes(problem)
    let plan = WeightsPlan(s)
    var cursor = ScratchCursor(call.pointee.scratch)
    let scratch = WeightsScratch(s, plan, &cursor)
    guard let runtime = call.pointee.runtime, let x = call.pointee.x, let dy = call.pointee.dy,
        let dw = call.pointee.result
    else { return }
    if plan.copied {
        var copy = PaddedCopy(s, x, to: scratch.input)
        copy.run(runtime)
    }
    var job = WeightsJob(
        s: s, plan: plan, scratch: scratch, x: x, dy: dy, to: dw, toStride: s.filters, accumulate: false)
    for group in 0..<s.groups {
        job.x = (plan.copied ? UnsafePointer(scratch.input) : x) + group &* s.groupChannels
        job.dy = dy + group &* s.groupFilters
        job.run(to: dw + group &* s.groupFilters, runtime)
    }
}

extension WeightsJob {
    /// All pieces, and the sum of their groups, into rows `s.filters` floats apart.
    mutating func run(to result: UnsafeMutablePointer<Float>, _ runtime: UnsafePointer<dl_runtime>) {
        to = plan.groups > 1 ? scratch.partials : result
        toStride = plan.groups > 1 ? s.groupFilters : s.filters
        inParallel(runtime, pieces: plan.pieces, &self) { job, piece in
            weightsPiece(job.unsafelyUnwrapped.assumingMemoryBound(to: WeightsJob.self), Int(piece))
        }
        if plan.groups > 1 {
            var sum = SumPartials(
                partials: scratch.partials, count: plan.groups, rows: plan.runCount &* plan.runLength,
                columns: s.groupFilters, to: result, stride: s.filters, accumulate: accumulate)
            sum.run(runtime)
        }
    }
}

/// Adds `count` matrices one after another, always in the same order.
struct SumPartials {
    var partials: UnsafePointer<Float>
    var count: Int
    var rows: Int
    var columns: Int
    var to: UnsafeMutablePointer<Float>
    var stride: Int
    /// Adds to what is there.
    var accumulate = false

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let work = rows &* columns &* count
        var job = (self, max(1, min(min(rows, 8), work / 65536)))
        inParallel(runtime, pieces: job.1, &job) { job, piece in
            let (sum, pieces) = job.unsafelyUnwrapped.assumingMemoryBound(to: (SumPartials, Int).self).pointee
            let size = sum.rows &* sum.columns
            for row in share(Int(piece), of: pieces, sum.rows)..<share(Int(piece) &+ 1, of: pieces, sum.rows) {
                var column = 0
                while column < sum.columns {
                    let left = sum.columns &- column
                    var from = sum.partials + (row &* sum.columns &+ column)
                    var total = loadFirst(from, left)
                    for _ in 1..<sum.count {
                        from += size
                        total += loadFirst(from, left)
                    }
                    let result = sum.to + (row &* sum.stride &+ column)
                    if sum.accumulate { total += loadFirst(result, left) }
                    storeFirst(total, result, left)
                    column &+= lanes
                }
            }
        }
    }
}
