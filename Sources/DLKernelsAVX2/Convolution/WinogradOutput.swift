import CDLKernels

/// Floats of a y from which on it is stored past the caches.
private let streamedTiles = 1_500_000

/// What the transform of the products to outputs needs besides the products.
struct WinogradTarget {
    var y: UnsafeMutablePointer<Float>
    /// Height, width and channels of y.
    var grid: WinogradGrid
    var bias: UnsafePointer<Float>?
    var relu: Bool
    /// y is larger than what caches keep for the next reader: inner tiles, which fill whole lines, are stored past them.
    let streams: Bool

    init(y: UnsafeMutablePointer<Float>, grid: WinogradGrid, bias: UnsafePointer<Float>?, relu: Bool) {
        self.y = y
        self.grid = grid
        self.bias = bias
        self.relu = relu
        streams = lanes == 16 && grid.channels % lanes == 0 && Int(bitPattern: y) % 64 == 0
            && grid.images &* grid.height &* grid.width &* grid.channels >= streamedTiles
    }
}

extension Winograd {
    /// Transforms `vectors` vectors of columns, from column `column` of y on, of tiles `first` ..., adds the bias, applies
    /// the activation and writes what lies inside y. `at` is the first tile's row in the block.
    static func outputTiles(
        _ m: UnsafePointer<Float>, _ block: WinogradBlock, at: Int, first: Int, count: Int, column: Int, vectors: Int,
        _ target: WinogradTarget
    ) {
        let grid = target.grid
        for i in 0..<count {
            let tile = first &+ i
            let tx = tile % grid.tilesX
            let ty = tile / grid.tilesX % grid.tilesY
            let image = tile / grid.tilesX / grid.tilesY
            let y0 = ty &* grid.step
            let x0 = tx &* grid.step
            let rows = min(O, grid.height &- y0)
            let columns = min(O, grid.width &- x0)
            for v in 0..<vectors {
                let c = column &+ v &* lanes
                let from = m + ((at &+ i) &* block.width &+ v &* lanes)
                let to = target.y + (((image &* grid.height &+ y0) &* grid.width &+ x0) &* grid.channels &+ c)
                let present = min(lanes, grid.channels &- c)
                let bias = target.bias.map { loadFirst($0 + c, present) } ?? Vector(repeating: 0)
                let floor = Vector(repeating: target.relu ? 0 : -Float.infinity)
                if present == lanes && rows == O && columns == O && target.streams {
                    outputStreamed(
                        from, block.streamStride, to, grid.width &* grid.channels, grid.channels, bias, floor)
                } else if present == lanes && rows == O && columns == O {
                    outputInside(
                        from, block.streamStride, to, grid.width &* grid.channels, grid.channels, bias, floor)
                } else {
                    outputAtEdge(
                        from, block.streamStride, to, grid.width &* grid.channels, grid.channels, bias, floor, rows,
                        columns, present)
                }
            }
        }
    }

    @inline(never)
    private static func outputInside(
        _ m: UnsafePointer<Float>, _ stride: Int, _ y: UnsafeMutablePointer<Float>, _ rowStride: Int,
        _ columnStride: Int, _ bias: Vector, _ floor: Vector
    ) {
        outputVector(m, stride, y, rowStride, columnStride, bias, floor, O, O, lanes, inside: true)
    }

    @inline(never)
    private static func outputStreamed(
        _ m: UnsafePointer<Float>, _ stride: Int, _ y: UnsafeMutablePointer<Float>, _ rowStride: Int,
        _ columnStride: Int, _ bias: Vector, _ floor: Vector
    ) {
        outputVector(m, stride, y, rowStride, columnStride, bias, floor, O, O, lanes, inside: true, streamed: true)
    }

    @inline(never)
    private static func outputAtEdge(
        _ m: UnsafePointer<Float>, _ stride: Int, _ y: UnsafeMutablePointer<Float>, _ rowStride: Int,
        _ columnStride: Int, _ bias: Vector, _ floor: Vector, _ rows: Int, _ columns: Int, _ present: Int
    ) {
        outputVector(m, stride, y, rowStride, columnStride, bias, floor, rows, columns, present, inside: false)
    }

    @inline(__always)
    private static func outputVector(
        _ m: UnsafePointer<Float>, _ stride: Int, _ y: UnsafeMutablePointer<Float>, _ rowStride: Int,
        _ columnStride: Int, _ bias: Vector, _ floor: Vector, _ rows: Int, _ columns: Int, _ present: Int, inside: Bool,
        streamed: Bool = false
    ) {
        var t = InlineArray<O, Inputs> { _ in Inputs { _ in Vector(repeating: 0) } }
        for j in 0..<I {
            var column = Inputs { _ in Vector(repeating: 0) }
            for i in 0..<I { column[i] = load(m + (i &* I &+ j) &* stride) }
            let out = output(column)
            for i in 0..<O { t[i][j] = out[i] }
        }
        for i in 0..<O {
            if !inside && i >= rows { continue }
            let out = output(t[i])
            for j in 0..<O {
                let value = maximum(floor, out[j] + bias)
                let p = y + (i &* rowStride &+ j &* columnStride)
                if streamed {
                    stream(value, p)
                } else if inside {
                    store(value, p)
                } else if j < columns {
                    storeFirst(value, p, present)
                }
            }
        }
    }
}
