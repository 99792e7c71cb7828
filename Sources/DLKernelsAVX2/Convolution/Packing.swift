import CDLKernels

/// Floats a packed right factor takes: panels of two vectors of columns, the last of one where that suffices.
@inline(__always) func packedFloats(depth: Int, columns: Int) -> Int { depth &* roundUp(columns, lanes) }

/// Where the panels of a right factor come from. They are packed panel by panel, so that a piece of work which alone uses a
/// panel can pack it just before.
struct PanelSource {
    var from: UnsafePointer<Float>
    var stride: Int
    /// Rows as they are: `depth` rows of `columns` floats. Transposed: for each of `blocks` blocks, `columns` rows of `depth` floats
    /// at `offsets[block]` become `depth` rows below those of the block before.
    var transposed: Bool
    var offsets: UnsafePointer<Int>
    var blocks: Int
    var depth: Int
    var columns: Int
    var packed: UnsafeMutablePointer<Float>

    init(
        rows from: UnsafePointer<Float>, stride: Int, depth: Int, columns: Int, packed: UnsafeMutablePointer<Float>,
        offsets: UnsafePointer<Int>
    ) {
        self.from = from
        self.stride = stride
        transposed = false
        self.offsets = offsets
        blocks = 1
        self.depth = depth
        self.columns = columns
        self.packed = packed
    }

    init(
        transposed from: UnsafePointer<Float>, stride: Int, offsets: UnsafePointer<Int>, blocks: Int, depth: Int,
        columns: Int, packed: UnsafeMutablePointer<Float>
    ) {
        self.from = from
        self.stride = stride
        self.transposed = true
        self.offsets = offsets
        self.blocks = blocks
        self.depth = depth
        self.columns = columns
        self.packed = packed
    }

    var panels: Int { divideUp(columns, 2 &* lanes) }

    /// Packs all panels, in parallel if there is much to do: by panels and blocks, or by panels and stretches of rows.
    mutating func packAll(_ runtime: UnsafePointer<dl_runtime>) {
        let floats = blocks &* depth &* columns
        let slices = floats < 16384 ? 1 : transposed ? blocks : max(1, min(min(depth, 16), floats / (16384 &* panels)))
        var job = (self, slices)
        inParallel(runtime, pieces: floats < 16384 ? 1 : panels &* slices, &job) { job, piece in
            let (source, slices) = job.unsafelyUnwrapped.assumingMemoryBound(to: (PanelSource, Int).self).pointee
            if source.blocks &* source.depth &* source.columns < 16384 {
                for panel in 0..<source.panels { source.pack(panel) }
            } else if source.transposed {
                source.transpose(panel: Int(piece) / slices, block: Int(piece) % slices)
            } else {
                source.copy(
                    panel: Int(piece) / slices, first: share(Int(piece) % slices, of: slices, source.depth),
                    end: share(Int(piece) % slices &+ 1, of: slices, source.depth))
            }
        }
    }

    func pack(_ panel: Int) {
        if transposed {
            for block in 0..<blocks { transpose(panel: panel, block: block) }
        } else {
            copy(panel: panel, first: 0, end: depth)
        }
    }

    /// What packing a panel touches, one cache line for each row of the panel from `row` on, and the bytes from one to the
    /// next: the first and the second line of a row where it is read, then where it goes to.
    @inline(__always)
    func line(_ line: Int, of panel: Int, row: Int) -> (first: UnsafeRawPointer, step: Int)? {
        let offset = panel &* 2 &* lanes
        let at = (line & 1) &* 16
        if blocks > 1 || columns &- offset < 2 &* lanes || at >= 2 &* lanes { return nil }
        if line >= 2 {
            return (UnsafeRawPointer(packed + (offset &* depth &+ row &* 2 &* lanes &+ at)), 8 &* lanes)
        }
        if !transposed { return (UnsafeRawPointer(from + (row &* stride &+ offset &+ at)), 4 &* stride) }
        if stride != depth { return nil }
        return (UnsafeRawPointer(from + (offsets[0] &+ offset &* stride &+ (line &* depth &+ row) &* 16)), 64)
    }

    private func copy(panel: Int, first: Int, end: Int) {
        let offset = panel &* 2 &* lanes
        let width = min(2 &* lanes, columns &- offset)
        let full = width > lanes ? 2 &* lanes : lanes
        var to = packed + (offset &* depth &+ first &* full)
        var row = from + (first &* stride &+ offset)
        for _ in first..<end {
            store(loadFirst(row, width), to)
            if full > lanes { store(loadFirst(row + lanes, width &- lanes), to + lanes) }
            to += full
            row += stride
        }
    }

    private func transpose(panel: Int, block: Int) {
        let offset = panel &* 2 &* lanes
        let width = min(2 &* lanes, columns &- offset)
        let full = width > lanes ? 2 &* lanes : lanes
        let to = packed + (offset &* blocks &* depth &+ block &* depth &* full)
        let rows = from + (offsets[block] &+ offset &* stride)
        var column = 0
        while column < full {
            var k = 0
            while k < depth {
                transposeBlock(
                    rows + (column &* stride &+ k), stride: stride, rows: max(0, min(lanes, width &- column)),
                    columns: min(lanes, depth &- k), to + (k &* full &+ column), toStride: full)
                k &+= lanes
            }
            column &+= lanes
        }
    }
}

/// A copy of pictures with a border of zeros, or a part of each, whichever side of the input it lies on.
struct PaddedCopy {
    var from: UnsafePointer<Float>
    var images: Int
    var rows: Int
    var columns: Int
    var channels: Int
    var to: UnsafeMutablePointer<Float>
    /// Position of the copy's first element in the input (negative: padding) and the copy's size.
    var originY: Int
    var originX: Int
    var toRows: Int
    var toColumns: Int
    var planes = 1
    var originZ = 0
    var toPlanes = 1

    mutating func run(_ runtime: UnsafePointer<dl_runtime>) {
        let floats = images &* toPlanes &* toRows &* toColumns &* channels
        let pieces = max(1, min(16, min(images &* toPlanes &* toRows, floats / 16384)))
        var job = (self, pieces)
        inParallel(runtime, pieces: pieces, &job) { job, piece in
            let job = job.unsafelyUnwrapped.assumingMemoryBound(to: (PaddedCopy, Int).self)
            let copy = job.pointee.0
            let count = copy.images &* copy.toPlanes &* copy.toRows
            let pieces = job.pointee.1
            for row in share(Int(piece), of: pieces, count)..<share(Int(piece) &+ 1, of: pieces, count) {
                copyRow(copy, row)
            }
        }
    }
}

extension PaddedCopy {
    /// x with all the padding that the output positions look at.
    init(_ s: Sizes, _ x: UnsafePointer<Float>, to: UnsafeMutablePointer<Float>) {
        self.init(
            from: x, images: s.batch, rows: s.height, columns: s.width, channels: s.channels, to: to,
            originY: 0 &- s.padTop, originX: 0 &- s.padLeft, toRows: s.windowHeight, toColumns: s.windowWidth,
            planes: s.depth, originZ: 0 &- s.padFront, toPlanes: s.windowDepth)
    }
}

private func copyRow(_ copy: PaddedCopy, _ row: Int) {
    let width = copy.toColumns &* copy.channels
    let to = copy.to + row &* width
    let y = row % copy.toRows &+ copy.originY
    let z = row / copy.toRows % copy.toPlanes &+ copy.originZ
    if y < 0 || y >= copy.rows || z < 0 || z >= copy.planes {
        clearFloats(to, width)
        return
    }
    let first = max(0, copy.originX)
    let end = min(copy.columns, copy.originX &+ copy.toColumns)
    if end <= first {
        clearFloats(to, width)
        return
    }
    let before = (first &- copy.originX) &* copy.channels
    let count = (end &- first) &* copy.channels
    let plane = row / copy.toRows / copy.toPlanes &* copy.planes &+ z
    let from = copy.from + ((plane &* copy.rows &+ y) &* copy.columns &+ first) &* copy.channels
    clearFloats(to, before)
    copyFloats(from, to + before, count)
    clearFloats(to + (before &+ count), width &- before &- count)
}

/// Copies `rows` rows of `columns` floats, `stride` apart, to rows of one or two whole vectors, zeros behind the last.
func packColumns(
    _ from: UnsafePointer<Float>, stride: Int, columns: Int, rows: Int, to: UnsafeMutablePointer<Float>, vectors: Int
) {
    var from = from
    var to = to
    if vectors == 2 {
        let rest = columns &- lanes
        for _ in 0..<rows {
            store(load(from), to)
            store(loadFirst(from + lanes, rest), to + lanes)
            from += stride
            to += 2 &* lanes
        }
    } else {
        for _ in 0..<rows {
            store(loadFirst(from, columns), to)
            from += stride
            to += lanes
        }
    }
}
