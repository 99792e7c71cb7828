import CDLKernels

/// A picture batch cut into tiles: `tile` numbers run over images, tile rows, tile columns.
struct WinogradGrid {
    let images, height, width, channels: Int
    let tilesY, tilesX: Int
    /// Position of the first tile's first element, and from one tile to the next.
    let originY, originX, step: Int

    var tiles: Int { images &* tilesY &* tilesX }
}

/// Where the streams of one transformed block lie: stream s of chunk q begins at q * chunkStride + s * streamStride, and each
/// tile has `width` floats of it. The streams' distance keeps them out of each other's cache sets.
struct WinogradBlock {
    let width: Int
    let streamStride: Int
    let chunkStride: Int

    init(tiles: Int, width: Int, streams: Int) {
        self.width = width
        streamStride = tiles &* width &+ 16
        chunkStride = streamStride &* streams
    }
}

extension Winograd {
    /// Transforms the I x I inputs of tiles `first` ... to the streams of a block, all channels of them. `pastCaches` is for
    /// blocks that are read only after more has been made than caches hold.
    static func inputTiles(
        _ x: UnsafePointer<Float>, _ grid: WinogradGrid, first: Int, count: Int, zeros: UnsafePointer<Float>,
        to: UnsafeMutablePointer<Float>, _ block: WinogradBlock, at: Int, pastCaches: Bool = false
    ) {
        tiles(x, grid, first: first, count: count, zeros: zeros, to: to, block, at: at, adjoint: false, pastCaches: pastCaches)
        if pastCaches { dl_stream_fence() }
    }

    /// Transforms O x O gradients of outputs with the adjoint of the output's transform.
    static func gradientTiles(
        _ dy: UnsafePointer<Float>, _ grid: WinogradGrid, first: Int, count: Int, zeros: UnsafePointer<Float>,
        to: UnsafeMutablePointer<Float>, _ block: WinogradBlock, at: Int
    ) {
        tiles(dy, grid, first: first, count: count, zeros: zeros, to: to, block, at: at, adjoint: true, pastCaches: false)
    }

    @inline(__always)
    private static func tiles(
        _ x: UnsafePointer<Float>, _ grid: WinogradGrid, first: Int, count: Int, zeros: UnsafePointer<Float>,
        to: UnsafeMutablePointer<Float>, _ block: WinogradBlock, at: Int, adjoint: Bool, pastCaches: Bool
    ) {
        let side = adjoint ? O : I
        for i in 0..<count {
            let tile = first &+ i
            let tx = tile % grid.tilesX
            let ty = tile / grid.tilesX % grid.tilesY
            let image = tile / grid.tilesX / grid.tilesY
            let y0 = ty &* grid.step &+ grid.originY
            let x0 = tx &* grid.step &+ grid.originX
            let inside = y0 >= 0 && x0 >= 0 && y0 &+ side <= grid.height && x0 &+ side <= grid.width
            let place = Place(
                base: x + ((image &* grid.height &+ y0) &* grid.width &+ x0) &* grid.channels,
                rowStride: grid.width &* grid.channels, columnStride: grid.channels, zeros: zeros,
                rows: Self.bits(y0, side, grid.height), columns: Self.bits(x0, side, grid.width), pastCaches: pastCaches)
            var c = 0
            var target = to + (at &+ i) &* block.width
            while c < grid.channels {
                let end = min(grid.channels, c &+ block.width)
                var offset = 0
                while c &+ lanes <= end {
                    if adjoint {
                        if inside {
                            gradientInside(place, c, target + offset, block.streamStride)
                        } else {
                            gradientAtEdge(place, c, target + offset, block.streamStride)
                        }
                    } else if inside {
                        inputInside(place, c, target + offset, block.streamStride)
                    } else {
                        inputAtEdge(place, c, target + offset, block.streamStride)
                    }
                    c &+= lanes
                    offset &+= lanes
                }
                if c < end {
                    if adjoint {
                        gradientTail(place, c, end &- c, target + offset, block.streamStride)
                    } else {
                        inputTail(place, c, end &- c, target + offset, block.streamStride)
                    }
                    c = end
                }
                target += block.chunkStride
            }
        }
    }

    /// Where one tile is read; bit i of `rows` says that its row i exists.
    struct Place {
        var base: UnsafePointer<Float>
        var rowStride: Int
        var columnStride: Int
        var zeros: UnsafePointer<Float>
        var rows: Int
        var columns: Int
        /// The transform is stored past the caches.
        var pastCaches: Bool

        /// `count` lanes, or where that is nil all of them.
        @inline(__always)
        func load(_ i: Int, _ j: Int, _ c: Int, inside: Bool, count: Int?) -> Vector {
            var p = base + (i &* rowStride &+ j &* columnStride &+ c)
            if !inside { p = (rows &>> i) & (columns &>> j) & 1 != 0 ? p : zeros }
            if let count { return loadFirst(p, count) }
            return loadVector(p)
        }
    }

    @inline(__always)
    static func bits(_ origin: Int, _ side: Int, _ size: Int) -> Int {
        var bits = 0
        for i in 0..<side where origin &+ i >= 0 && origin &+ i < size { bits |= 1 &<< i }
        return bits
    }

    @inline(never)
    private static func inputInside(_ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int) {
        inputVector(place, c, to, stride, inside: true, count: nil)
    }

    @inline(never)
    private static func inputAtEdge(_ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int) {
        inputVector(place, c, to, stride, inside: false, count: nil)
    }

    @inline(never)
    private static func inputTail(
        _ place: Place, _ c: Int, _ count: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        inputVector(place, c, to, stride, inside: false, count: count)
    }

    @inline(__always)
    private static func inputVector(
        _ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int, inside: Bool, count: Int?
    ) {
        var rows = InlineArray<I, Inputs> { _ in Inputs { _ in Vector(repeating: 0) } }
        for j in 0..<I {
            var column = Inputs { _ in Vector(repeating: 0) }
            for i in 0..<I { column[i] = place.load(i, j, c, inside: inside, count: count) }
            let t = input(column)
            for i in 0..<I { rows[i][j] = t[i] }
        }
        for i in 0..<I {
            let t = input(rows[i])
            if place.pastCaches {
                for j in 0..<I { stream(t[j], to + (i &* I &+ j) &* stride) }
            } else {
                for j in 0..<I { store(t[j], to + (i &* I &+ j) &* stride) }
            }
        }
    }

    @inline(never)
    private static func gradientInside(_ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int) {
        gradientVector(place, c, to, stride, inside: true, count: nil)
    }

    @inline(never)
    private static func gradientAtEdge(_ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int) {
        gradientVector(place, c, to, stride, inside: false, count: nil)
    }

    @inline(never)
    private static func gradientTail(
        _ place: Place, _ c: Int, _ count: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int
    ) {
        gradientVector(place, c, to, stride, inside: false, count: count)
    }

    @inline(__always)
    private static func gradientVector(
        _ place: Place, _ c: Int, _ to: UnsafeMutablePointer<Float>, _ stride: Int, inside: Bool, count: Int?
    ) {
        var rows = InlineArray<I, Outputs> { _ in Outputs { _ in Vector(repeating: 0) } }
        for j in 0..<O {
            var column = Outputs { _ in Vector(repeating: 0) }
            for i in 0..<O { column[i] = place.load(i, j, c, inside: inside, count: count) }
            let t = outputAdjoint(column)
            for i in 0..<I { rows[i][j] = t[i] }
        }
        for i in 0..<I {
            let t = outputAdjoint(rows[i])
            for j in 0..<I { store(t[j], to + (i &* I &+ j) &* stride) }
        }
    }
}

@inline(__always) func loadVector(_ p: UnsafePointer<Float>) -> Vector { load(p) }
