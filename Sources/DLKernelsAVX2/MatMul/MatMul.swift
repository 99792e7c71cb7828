import CDLKernels

/// Rows of the left factor below which a transposed right factor is not packed but multiplied row by row.
private let dotRows = 24
/// Rows from which on packing the right factor pays.
private let packRows = 96
/// Rows up to which the product is a few vectors times a matrix, which is read once, in wide stripes.
private let stripeRows = 3
/// Rows up to which a right factor that no cache holds is streamed.
private let streamRows = 48
/// Floats of such a factor.
private let streamedFactor = 1 << 20
/// Products of a batch below this size are computed by one piece of work each.
private let smallProduct: Float = 4_000_000

private struct MatMulScratch {
    let m, n, k, batch: Int
    let transposeA, transposeB: Bool
    enum Way { case stripes, stream, rows, dot, outer }
    let way: Way
    let packed: Bool
    /// Pieces that treat whole products of a batch; 1 where each product is divided.
    let pieces: Int
    /// Of one product.
    let bytes: Int

    init(_ p: UnsafePointer<dl_matmul_problem>) {
        m = Int(p.pointee.m)
        n = Int(p.pointee.n)
        k = Int(p.pointee.k)
        batch = Int(p.pointee.batch)
        transposeA = p.pointee.transpose_a != 0
        transposeB = p.pointee.transpose_b != 0
        if transposeA && !transposeB {
            way = .outer
        } else if transposeB {
            way = m < dotRows && k >= lanes ? .dot : .rows
        } else {
            way = m <= stripeRows ? .stripes : m <= streamRows && k &* n >= streamedFactor ? .stream : .rows
        }
        packed = way == .rows && (transposeB || (m >= packRows && n > 2 &* lanes))
        let work = Float(m) * Float(n) * Float(k)
        pieces = batch >= 4 && work < smallProduct ? max(1, min(min(batch, 16), Int(min(16, work * Float(batch) / 150_000)))) : 1
        var cursor = ScratchCursor(nil)
        _ = MatMulParts(way, packed, m, n, k, transposeLeft: transposeA && transposeB, &cursor)
        bytes = cursor.bytes
    }
}

private struct MatMulParts {
    let runs: UnsafeMutablePointer<Int>
    let left: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<Float>
    let sums: UnsafeMutablePointer<Float>
    let weights: WeightsScratch?

    init(
        _ way: MatMulScratch.Way, _ packed: Bool, _ m: Int, _ n: Int, _ k: Int, transposeLeft: Bool,
        _ cursor: inout ScratchCursor
    ) {
        runs = cursor.integers(1)
        left = cursor.floats(transposeLeft ? m &* k : 0)
        panels = cursor.floats(packed ? packedFloats(depth: k, columns: n) : 0)
        sums = cursor.floats(way == .stream ? streamScratchFloats(m: m, n: n) : 0)
        weights = way == .outer ? OuterProduct.scratch(m: m, n: n, k: k, &cursor) : nil
    }
}

func matMulScratchBytes(_ problem: UnsafePointer<dl_matmul_problem>) -> Int {
    let plan = MatMulScratch(problem)
    return plan.bytes &* plan.pieces
}

private struct MatMulJob {
    let plan: MatMulScratch
    let call: dl_matmul_arguments
    let a: UnsafePointer<Float>
    let b: UnsafePointer<Float>
    let c: UnsafeMutablePointer<Float>
    let runtime: UnsafePointer<dl_runtime>

    /// The products that are one piece's.
    func run(_ piece: Int) {
        var cursor = ScratchCursor(call.scratch.map { $0 + piece &* plan.bytes })
        let parts = MatMulParts(
            plan.way, plan.packed, plan.m, plan.n, plan.k, transposeLeft: plan.transposeA && plan.transposeB, &cursor)
        for index in share(piece, of: plan.pieces, plan.batch)..<share(piece &+ 1, of: plan.pieces, plan.batch) {
            product(
                parts, a + index &* plan.m &* plan.k, b + index &* plan.k &* plan.n, c + index &* plan.m &* plan.n)
        }
    }

    private func product(
        _ parts: MatMulParts, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>
    ) {
        let m = plan.m
        let n = plan.n
        let k = plan.k
        var left = left
        if plan.transposeA && plan.transposeB {
            var copy = TransposedCopy(from: left, rows: k, columns: m, to: parts.left)
            copy.run(runtime)
            left = UnsafePointer(parts.left)
        }
        let relu = call.relu != 0
        let accumulate = call.accumulate != 0
        switch plan.way {
        case .stripes:
            var job = StripeProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, bias: call.bias, relu: relu, accumulate: accumulate)
            job.run(runtime)
        case .stream:
            var job = StreamProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, bias: call.bias, relu: relu, accumulate: accumulate,
                scratch: parts.sums)
            job.run(runtime)
        case .dot:
            var job = DotProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, bias: call.bias, relu: relu, accumulate: accumulate)
            job.run(runtime)
        case .outer:
            var job = OuterProduct(left: left, right: right, to: to, m: m, n: n, k: k, accumulate: accumulate)
            job.run(parts.weights, runtime)
            if call.bias != nil || relu {
                var finish = FinishRows(to: to, m: m, n: n, bias: call.bias, relu: relu)
                finish.run(runtime)
            }
        case .rows: rowsProduct(parts, left, right, to)
        }
    }

    private func rowsProduct(
        _ parts: MatMulParts, _ left: UnsafePointer<Float>, _ right: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>
    ) {
        parts.runs[0] = 0
        var source: PanelSource?
        if plan.transposeB {
            source = PanelSource(
                transposed: right, stride: plan.k, offsets: parts.runs, blocks: 1, depth: plan.k, columns: plan.n,
                packed: parts.panels)
        } else if plan.packed {
            source = PanelSource(
                rows: right, stride: plan.n, depth: plan.k, columns: plan.n, packed: parts.panels, offsets: parts.runs)
        }
        var product = RowProduct(
            images: 1, rows: 1, columns: plan.m, output: to, outputImageStride: 0, outputRowStride: 0,
            outputColumnStride: plan.n, input: left, inputImageStride: 0, inputRowStride: 0, inputColumnStride: plan.k,
            originY: 0, originX: 0, stepY: 1, stepX: 1, checked: false, tapsY: 1, tapsX: 1, tapStepY: 1, tapStepX: 1,
            inputRows: 1, inputColumns: plan.m, runs: parts.runs, runCount: 1, runLength: plan.k, zeros: left,
            filters: plan.n, panels: plan.packed ? UnsafePointer(parts.panels) : right,
            panelStride: plan.packed ? 0 : plan.n, source: source, bias: call.bias, relu: call.relu != 0,
            accumulate: call.accumulate != 0)
        product.run(runtime)
    }
}

func matMul(_ problem: UnsafePointer<dl_matmul_problem>, _ call: UnsafePointer<dl_matmul_arguments>) {
    guard let runtime = call.pointee.runtime, let a = call.pointee.a, let b = call.pointee.b, let c = call.pointee.c
    else { return }
    var job = MatMulJob(plan: MatMulScratch(problem), call: call.pointee, a: a, b: b, c: c, runtime: runtime)
    // Regions inside a piece of several run on its thread alone.
    inParallel(runtime, pieces: job.plan.pieces, &job) { job, piece in
        job.unsafelyUnwrapped.assumingMemoryBound(to: MatMulJob.self).pointee.run(Int(piece))
    }
}

/// The transpose of a matrix.
struct TransposedCopy {
    var from: UnsafePointer<Float>
    var rows: Int
    var columns: Int
    var to: UnsafeMutablePointer<Float>

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let strips = divideUp(columns, lanes)
        inParallel(runtime, pieces: rows &* columns < 16384 ? 1 : strips, &self) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: TransposedCopy.self).pointee
            let strips = divideUp(job.columns, lanes)
            let first = job.rows &* job.columns < 16384 ? 0 : Int(piece)
            for strip in first..<(job.rows &* job.columns < 16384 ? strips : first &+ 1) {
                let column = strip &* lanes
                var row = 0
                while row < job.rows {
                    transposeBlock(
                        job.from + (row &* job.columns &+ column), stride: job.columns, rows: min(lanes, job.rows &- row),
                        columns: min(lanes, job.columns &- column), job.to + (column &* job.rows &+ row),
                        toStride: job.rows, width: min(lanes, job.rows &- row))
                    row &+= lanes
                }
            }
        }
    }
}

/// c = activation(c + bias), row by row.
private struct FinishRows {
    var to: UnsafeMutablePointer<Float>
    var m: Int
    var n: Int
    var bias: UnsafePointer<Float>?
    var relu: Bool

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let pieces = max(1, min(m, min(16, m &* n / 32768)))
        var job = (self, pieces)
        inParallel(runtime, pieces: pieces, &job) { job, piece in
            let (finish, pieces) = job.unsafelyUnwrapped.assumingMemoryBound(to: (FinishRows, Int).self).pointee
            let floor = Vector(repeating: finish.relu ? 0 : -Float.infinity)
            for row in share(Int(piece), of: pieces, finish.m)..<share(Int(piece) &+ 1, of: pieces, finish.m) {
                var column = 0
                while column < finish.n {
                    let p = finish.to + (row &* finish.n &+ column)
                    var value = loadFirst(p, finish.n &- column)
                    if let bias = finish.bias { value += loadFirst(bias + column, finish.n &- column) }
                    storeFirst(maximum(floor, value), p, finish.n &- column)
                    column &+= lanes
                }
            }
        }
    }
}
