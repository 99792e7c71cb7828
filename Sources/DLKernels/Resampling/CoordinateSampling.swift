import CDLKernels
import DLBase

/// Elements of x at coordinates that need not be whole numbers: y [count] from coordinates [rank, count].
package struct CoordinateSampling: Sendable {
    /// Sizes of x, at most eight.
    package let sizes: [Int]
    package let count: Int
    package let isLinear: Bool
    package let border: BorderMode
    package let fill: Double

    package init(sizes: [Int], count: Int, isLinear: Bool, border: BorderMode, fill: Double) {
        self.sizes = sizes
        self.count = count
        self.isLinear = isLinear
        self.border = border
        self.fill = fill
    }

    /// Calls `body` with the offset, -1 outside, and the weight of each neighbour of a place.
    @inline(__always)
    private func visit<T: BinaryFloatingPoint>(
        _ coordinates: UnsafePointer<T>, _ place: Int, _ sizes: UnsafeBufferPointer<Int>,
        _ body: (_ offset: Int, _ weight: Double) -> Void
    ) {
        let rank = sizes.count
        for corner in 0..<(isLinear ? 1 &<< rank : 1) {
            var (offset, weight, inside) = (0, 1.0, true)
            for axis in 0..<rank {
                let (index, rest) = BorderMode.split(Double(coordinates[axis &* count &+ place]), isLinear: isLinear)
                let isUpper = corner &>> (rank &- 1 &- axis) & 1 == 1
                let position = border.position(isUpper ? index &+ 1 : index, sizes[axis])
                if isLinear { weight *= isUpper ? rest : 1 - rest }
                if position < 0 { inside = false }
                offset = offset &* sizes[axis] &+ position
            }
            body(inside ? offset : -1, weight)
        }
    }

    package func callAsFunction(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ coordinates: UnsafeRawPointer, _ y: UnsafeMutableRawPointer,
        type: ElementType
    ) {
        if type == .float64 {
            forward(runtime, x.of(Double.self), coordinates.of(Double.self), y.of(Double.self))
        } else {
            forward(runtime, x.of(Float.self), coordinates.of(Float.self), y.of(Float.self))
        }
    }

    private func forward<T: BinaryFloatingPoint>(
        _ runtime: Runtime?, _ x: UnsafePointer<T>, _ coordinates: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>
    ) {
        nonisolated(unsafe) let source = x, target = y, table = coordinates
        sizes.withUnsafeBufferPointer { sizes in
            nonisolated(unsafe) let sizes = sizes
            forRanges(runtime, count: count, grain: 2048) { range in
                for place in range {
                    var sum = T(0)
                    visit(table, place, sizes) { offset, weight in
                        sum += T(weight) * (offset < 0 ? T(fill) : source[offset])
                    }
                    target[place] = sum
                }
            }
        }
    }

    /// dx = the sum of dy, weighted, over the places that see an element.
    package func gradient(
        _ dy: UnsafeRawPointer, _ coordinates: UnsafeRawPointer, _ dx: UnsafeMutableRawPointer, type: ElementType
    ) {
        if type == .float64 {
            backward(dy.of(Double.self), coordinates.of(Double.self), dx.of(Double.self))
        } else {
            backward(dy.of(Float.self), coordinates.of(Float.self), dx.of(Float.self))
        }
    }

    private func backward<T: BinaryFloatingPoint>(
        _ dy: UnsafePointer<T>, _ coordinates: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>
    ) {
        dx.update(repeating: 0, count: sizes.reduce(1, &*))
        sizes.withUnsafeBufferPointer { sizes in
            for place in 0..<count {
                visit(coordinates, place, sizes) { offset, weight in
                    if offset >= 0 { dx[offset] += T(weight) * dy[place] }
                }
            }
        }
    }
}
