import CDLKernels

/// Rows of the left factor below which a transposed right factor is not packed but multiplied row by row.
private let dotRows = 24
/// Rows from which on packing the right factor pays.
private let packRows = 96
/// Rows up to which the product is a few vectors times a matrix, which is read once, in wide stripes.
private let stripeRows = 3

private struct MatMulScratch {
    let m, n, k: Int
    let transposeA, transposeB: Bool
    enum Way { case stripes, rows, dot, outer }
    let way: Way
    let packed: Bool
    let runs: UnsafeMutablePointer<Int>
    let left: UnsafeMutablePointer<Float>
    let panels: UnsafeMutablePointer<Float>
    let bytes: Int

    init(_ p: UnsafePointer<dl_matmul_problem>, _ memory: UnsafeMutableRawPointer?) {
        var cursor = ScratchCursor(memory)
        m = Int(p.pointee.m)
        n = Int(p.pointee.n)
        k = Int(p.pointee.k)
        transposeA = p.pointee.transpose_a != 0
        transposeB = p.pointee.transpose_b != 0
        if transposeA && !transposeB {
            way = .outer
        } else if transposeB {
            way = m < dotRows && k >= lanes ? .dot : .rows
        } else {
            way = m <= stripeRows ? .stripes : .rows
        }
        packed = way == .rows && (transposeB || (m >= packRows && n > 2 &* lanes))
        runs = cursor.integers(1)
        left = cursor.floats(transposeA && transposeB ? m &* k : 0)
        panels = cursor.floats(packed ? packedFloats(depth: k, columns: n) : 0)
        bytes = cursor.bytes
    }
}

func matMulScratchBytes(_ problem: UnsafePointer<dl_matmul_problem>) -> Int { MatMulScratch(problem, nil).bytes }

func matMul(_ problem: UnsafePointer<dl_matmul_problem>, _ call: UnsafePointer<dl_matmul_arguments>) {
    let scratch = MatMulScratch(problem, call.pointee.scratch)
    let m = scratch.m
    let n = scratch.n
    let k = scratch.k
    guard let runtime = call.pointee.runtime, let a = call.pointee.a, let b = call.pointee.b, let c = call.pointee.c
    else { return }
    for index in 0..<Int(problem.pointee.batch) {
        var left = a + index &* m &* k
        let right = b + index &* k &* n
        let to = c + index &* m &* n
        if scratch.transposeA && scratch.transposeB {
            var copy = TransposedCopy(from: left, rows: k, columns: m, to: scratch.left)
            copy.run(runtime)
            left = UnsafePointer(scratch.left)
        }
        switch scratch.way {
        case .stripes:
            var job = StripeProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, bias: call.pointee.bias,
                relu: call.pointee.relu != 0, accumulate: call.pointee.accumulate != 0)
            job.run(runtime)
        case .dot:
            var job = DotProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, bias: call.pointee.bias,
                relu: call.pointee.relu != 0, accumulate: call.pointee.accumulate != 0)
            job.run(runtime)
        case .outer:
            var job = OuterProduct(
                left: left, right: right, to: to, m: m, n: n, k: k, accumulate: call.pointee.accumulate != 0)
            job.run(runtime)
            if call.pointee.bias != nil || call.pointee.relu != 0 {
                var finish = FinishRows(to: to, m: m, n: n, bias: call.pointee.bias, relu: call.pointee.relu != 0)
                finish.run(runtime)
            }
        case .rows:
            rowsProduct(scratch, call, runtime, left: left, right: right, to: to)
        }
    }
}

private func rowsProduct(
    _ scratch: MatMulScratch, _ call: UnsafePointer<dl_matmul_arguments>, _ runtime: UnsafePointer<dl_runtime>,
    left: UnsafePointer<Float>, right: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>
) {
    scratch.runs[0] = 0
    var source: PanelSource?
    if scratch.transposeB {
        source = PanelSource(
            transposed: right, stride: scratch.k, offsets: scratch.runs, blocks: 1, depth: scratch.k,
            columns: scratch.n, packed: scratch.panels)
    } else if scratch.packed {
        source = PanelSource(
            rows: right, stride: scratch.n, depth: scratch.k, columns: scratch.n, packed: scratch.panels,
            offsets: scratch.runs)
    }
    var product = RowProduct(
        images: 1, rows: 1, columns: scratch.m, output: to, outputImageStride: 0, outputRowStride: 0,
        outputColumnStride: scratch.n, input: left, inputImageStride: 0, inputRowStride: 0,
        inputColumnStride: scratch.k, originY: 0, originX: 0, stepY: 1, stepX: 1, checked: false, tapsY: 1, tapsX: 1,
        tapStepY: 1, tapStepX: 1, inputRows: 1, inputColumns: scratch.m, runs: scratch.runs, runCount: 1,
        runLength: scratch.k, zeros: left, filters: scratch.n,
        panels: scratch.packed ? UnsafePointer(scratch.panels) : right, panelStride: scratch.packed ? 0 : scratch.n,
        source: source, bias: call.pointee.bias, relu: call.pointee.relu != 0, accumulate: call.pointee.accumulate != 0)
    product.run(runtime)
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
