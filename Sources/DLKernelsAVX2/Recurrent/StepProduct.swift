import CDLKernels

/// Sequences that are worked on together, from the first step to the last, by one thread.
let recurrentRows = 16
/// Floats of one row of a panel.
let recurrentWidth = 2 * lanes
/// Rows of a panel that stay in the first cache while it is used for all rows of a block.
private let panelDepth = 256

struct RecurrentSizes {
    let kind: Int
    let batch, steps, units: Int
    /// Columns of the gates.
    let n: Int
    let activation, recurrentActivation: Int
    let backwards: Bool
    let blocks, pieces: Int

    init(_ p: UnsafePointer<dl_recurrent_problem>) {
        kind = Int(p.pointee.kind)
        batch = Int(p.pointee.batch)
        steps = Int(p.pointee.steps)
        units = Int(p.pointee.units)
        let isSimple = kind == DL_RECURRENT_SIMPLE
        let isLSTM = kind == DL_RECURRENT_LSTM
        n = (isSimple ? 1 : isLSTM ? 4 : 3) &* units
        activation = Int(p.pointee.activation)
        recurrentActivation = Int(p.pointee.recurrent_activation)
        backwards = p.pointee.backwards != 0
        // Two blocks even for small batches: rows do not mix, so borders change no result.
        blocks = batch > 2 * recurrentRows ? divideUp(batch, recurrentRows) : min(batch, 2)
        pieces = min(blocks, 64)
    }

    var panels: Int { divideUp(units, recurrentWidth) }
    func firstRow(_ block: Int) -> Int { share(block, of: blocks, batch) }
    func time(_ step: Int) -> Int { backwards ? steps &- 1 &- step : step }
}

/// The packed right factor of a product that every step repeats.
struct StepFactor {
    let packed: UnsafeMutablePointer<Float>
    let depth, columns: Int

    init(depth: Int, columns: Int, _ cursor: inout ScratchCursor) {
        packed = cursor.floats(packedFloats(depth: depth, columns: columns))
        self.depth = depth
        self.columns = columns
    }

    /// `from` has `depth` rows, or where transposed `columns` rows of `depth` floats.
    func pack(
        _ from: UnsafePointer<Float>, stride: Int, transposed: Bool, zero: UnsafePointer<Int>,
        _ runtime: UnsafePointer<dl_runtime>
    ) {
        var source = transposed
            ? PanelSource(
                transposed: from, stride: stride, offsets: zero, blocks: 1, depth: depth, columns: columns, packed: packed)
            : PanelSource(rows: from, stride: stride, depth: depth, columns: columns, packed: packed, offsets: zero)
        source.packAll(runtime)
    }
}

/// What the products of one block use for themselves.
struct StepWorkspace {
    let rows: UnsafeMutablePointer<TileRow>
    let sums: UnsafeMutablePointer<Float>
    let zeros: UnsafeMutablePointer<Float>
    let run: UnsafeMutablePointer<Int>

    init(_ cursor: inout ScratchCursor) {
        rows = UnsafeMutableRawPointer(cursor.integers(recurrentRows * MemoryLayout<TileRow>.stride / 8))
            .assumingMemoryBound(to: TileRow.self)
        sums = cursor.floats(512)
        zeros = cursor.floats(recurrentWidth)
        run = cursor.integers(1)
    }

    func clear() {
        clearFloats(zeros, recurrentWidth)
        run[0] = 0
    }

    /// to = left factor + start for the columns of one panel, or to += left factor. `start` nil stands for zeros.
    func multiply(
        _ factor: StepFactor, panel: Int, left: UnsafePointer<Float>, leftStride: Int, rows count: Int,
        start: UnsafePointer<Float>?, to: UnsafeMutablePointer<Float>, toStride: Int, accumulate: Bool
    ) {
        let column = panel &* recurrentWidth
        let columns = min(recurrentWidth, factor.columns &- column)
        let vectors = columns > lanes ? 2 : 1
        let stride = vectors &* lanes
        let depth = factor.depth <= panelDepth + panelDepth / 2 ? factor.depth : panelDepth
        let most = tileRows(vectors: vectors)
        var first = 0
        while first < factor.depth {
            let length = min(depth, factor.depth &- first)
            let arguments = TileArguments(
                runs: run, shift: 0, runCount: 1, firstBit: 0, length: length, zeros: left,
                panel: factor.packed + (column &* factor.depth &+ first &* stride), panelStride: stride, ragged: false,
                columns: columns, outputOffset: 0, accumulate: accumulate || first > 0, start: start ?? UnsafePointer(zeros),
                both: false, relu: false, streams: false, next: UnsafeRawPointer(left), nextStep: 0)
            var row = 0
            while row < count {
                let some = min(most, count &- row)
                for r in 0..<some {
                    rows[r] = TileRow(
                        input: Int(bitPattern: left + ((row &+ r) &* leftStride &+ first)),
                        output: to + (row &+ r) &* toStride, valid: ~0)
                }
                withUnsafePointer(to: arguments) { runTile(rows, count: some, vectors: vectors, $0, sums) }
                row &+= some
            }
            first &+= length
        }
    }
}

/// The `width` floats of a row vector by vector: (vector, floats of it that exist).
@inline(__always)
func forVectors(_ width: Int, _ body: (_ at: Int, _ count: Int) -> Void) {
    var at = 0
    while at < width {
        body(at, width &- at)
        at &+= lanes
    }
}

// Masked loads and stores are slow; most vectors are whole.
@inline(__always)
func loadSome(_ p: UnsafePointer<Float>, _ count: Int) -> Vector { count >= lanes ? load(p) : loadFirst(p, count) }

@inline(__always)
func storeSome(_ v: Vector, _ p: UnsafeMutablePointer<Float>, _ count: Int) {
    if count >= lanes { store(v, p) } else { storeFirst(v, p, count) }
}
