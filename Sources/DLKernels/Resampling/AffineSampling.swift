import CDLKernels
import DLBase

/// Pictures [n, height, width, channels] seen through an affine map of their own: the element at (x, y) of the result is
/// that at (a0 x + a1 y + a2, b0 x + b1 y + b2). A map has eight numbers, of which the first six are used.
package struct AffineSampling: Sendable {
    /// What says where the elements come from.
    package enum View: Sendable {
        case affine
        /// Both coordinates are divided by c0 x + c1 y + 1, c the last two of the eight numbers.
        case perspective
        /// In place of a map, [n, height, width, 2]: row and column for each element.
        case places
    }

    package let n: Int, height: Int, width: Int, channels: Int
    package let isLinear: Bool
    package let border: BorderMode
    package let fill: Double
    /// Whether there is one map for all pictures.
    package let isShared: Bool
    package let view: View

    package init(
        n: Int, height: Int, width: Int, channels: Int, isLinear: Bool, border: BorderMode, fill: Double, isShared: Bool,
        view: View = .affine
    ) {
        self.view = view
        self.n = n
        self.height = height
        self.width = width
        self.channels = channels
        self.isLinear = isLinear
        self.border = border
        self.fill = fill
        self.isShared = isShared
    }

    /// The neighbours of one place: offsets of their first channel, -1 outside, and weights.
    private struct Taps {
        var offsets: SIMD4<Int>
        var weights: SIMD4<Double>
    }

    @inline(__always)
    private func taps<T: BinaryFloatingPoint>(
        _ map: SIMD8<Double>, _ table: UnsafePointer<T>, _ image: Int, _ x: Int, _ y: Int
    ) -> Taps {
        var place: SIMD2<Double>
        if view == .places {
            let at = table + ((image &* height &+ y) &* width &+ x) &* 2
            place = SIMD2(Double(at[1]), Double(at[0]))
        } else {
            let (px, py) = (Double(x), Double(y))
            place = SIMD2(map[0] * px + map[1] * py + map[2], map[3] * px + map[4] * py + map[5])
            if view == .perspective { place /= map[6] * px + map[7] * py + 1 }
        }
        let (column, right) = BorderMode.split(place.x, isLinear: isLinear)
        let (row, down) = BorderMode.split(place.y, isLinear: isLinear)
        let (top, left) = (border.position(row, height), border.position(column, width))
        guard isLinear else {
            let offset = top < 0 || left < 0 ? -1 : (top &* width &+ left) &* channels
            return Taps(offsets: SIMD4(offset, 0, 0, 0), weights: SIMD4(1, 0, 0, 0))
        }
        let (bottom, beside) = (border.position(row &+ 1, height), border.position(column &+ 1, width))
        @inline(__always) func offset(_ row: Int, _ column: Int) -> Int {
            row < 0 || column < 0 ? -1 : (row &* width &+ column) &* channels
        }
        return Taps(
            offsets: SIMD4(offset(top, left), offset(top, beside), offset(bottom, left), offset(bottom, beside)),
            weights: SIMD4((1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right))
    }

    @inline(__always)
    private func map<T: BinaryFloatingPoint>(_ maps: UnsafePointer<T>, _ image: Int) -> SIMD8<Double> {
        guard view != .places else { return SIMD8(repeating: 0) }
        let from = maps + (isShared ? 0 : image &* 8)
        return SIMD8(
            Double(from[0]), Double(from[1]), Double(from[2]), Double(from[3]), Double(from[4]), Double(from[5]),
            Double(from[6]), Double(from[7]))
    }

    package func callAsFunction(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ maps: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, type: ElementType
    ) {
        if type == .float64 {
            forward(runtime, x.of(Double.self), maps.of(Double.self), y.of(Double.self))
        } else {
            forward(runtime, x.of(Float.self), maps.of(Float.self), y.of(Float.self))
        }
    }

    /// dx = the sum of dy, weighted, over the places that see an element.
    package func gradient(
        _ runtime: Runtime?, _ dy: UnsafeRawPointer, _ maps: UnsafeRawPointer, _ dx: UnsafeMutableRawPointer,
        type: ElementType
    ) {
        if type == .float64 {
            backward(runtime, dy.of(Double.self), maps.of(Double.self), dx.of(Double.self))
        } else {
            backward(runtime, dy.of(Float.self), maps.of(Float.self), dx.of(Float.self))
        }
    }

    private func forward<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ x: UnsafePointer<T>, _ maps: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>
    ) {
        let rowLength = width &* channels
        guard n > 0, rowLength > 0 else { return }
        nonisolated(unsafe) let source = x, target = y, table = maps
        let outside = T(fill)
        forRanges(runtime, count: n &* height, grain: max(1, 4096 / rowLength)) { rows in
            for row in rows {
                let image = row / height
                let line = row &- image &* height
                let numbers = map(table, image)
                let from = source + image &* height &* rowLength
                var to = target + row &* rowLength
                for column in 0..<width {
                    let taps = taps(numbers, table, image, column, line)
                    if !isLinear {
                        let offset = taps.offsets[0]
                        for c in 0..<channels { to[c] = offset < 0 ? outside : from[offset &+ c] }
                    } else {
                        let (a, b, d, e) = (taps.offsets[0], taps.offsets[1], taps.offsets[2], taps.offsets[3])
                        let (u, v) = (T(taps.weights[0]), T(taps.weights[1]))
                        let (s, t) = (T(taps.weights[2]), T(taps.weights[3]))
                        for c in 0..<channels {
                            let upper = u * (a < 0 ? outside : from[a &+ c]) + v * (b < 0 ? outside : from[b &+ c])
                            let lower = s * (d < 0 ? outside : from[d &+ c]) + t * (e < 0 ? outside : from[e &+ c])
                            to[c] = upper + lower
                        }
                    }
                    to += channels
                }
            }
        }
    }

    // One picture is one piece of work: its elements are added to from anywhere in it.
    private func backward<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ dy: UnsafePointer<T>, _ maps: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>
    ) {
        let size = height &* width &* channels
        guard n > 0, size > 0 else { return }
        nonisolated(unsafe) let source = dy, target = dx, table = maps
        forRanges(runtime, count: n, grain: 1) { images in
            for image in images {
                let numbers = map(table, image)
                let to = target + image &* size
                var from = source + image &* size
                to.update(repeating: 0, count: size)
                for line in 0..<height {
                    for column in 0..<width {
                        let taps = taps(numbers, table, image, column, line)
                        for tap in 0..<(isLinear ? 4 : 1) where taps.offsets[tap] >= 0 {
                            let weight = T(taps.weights[tap])
                            let place = to + taps.offsets[tap]
                            for c in 0..<channels { place[c] += weight * from[c] }
                        }
                        from += channels
                    }
                }
            }
        }
    }
}
