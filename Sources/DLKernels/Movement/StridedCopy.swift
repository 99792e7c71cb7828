import DLBase

/// Copies elements between two arrays along axes with strides of any sign: permutation, slices with steps,
/// assignment to slices, tiling, repetition, reversal and expansion are all this. Elements are 1, 4 or 8 bytes.
package struct StridedCopy: Sendable {
    package let byteCount: Int
    /// Elements that are copied.
    package let count: Int
    /// Outermost first; neighbours that both sides pass through with one step are joined.
    private let axes: [Axis]
    private let sourceOffset: Int
    private let targetOffset: Int
    /// How many of the innermost axes one piece of work contains.
    private let innerRank: Int
    private let outerCount: Int

    struct Axis: Equatable, Sendable {
        var size: Int
        var source: Int
        var target: Int
    }

    /// Strides and offsets are in elements. nil for other element sizes than 1, 4 and 8.
    init?(_ axes: [Axis], sourceOffset: Int = 0, targetOffset: Int = 0, byteCount: Int) {
        guard byteCount == 1 || byteCount == 4 || byteCount == 8 else { return nil }
        self.byteCount = byteCount
        self.sourceOffset = sourceOffset
        self.targetOffset = targetOffset
        count = axes.reduce(1) { $0 &* $1.size }
        var merged: [Axis] = []
        for axis in axes where axis.size != 1 {
            if let last = merged.last, last.source == axis.source &* axis.size, last.target == axis.target &* axis.size {
                merged[merged.count - 1] = Axis(size: last.size &* axis.size, source: axis.source, target: axis.target)
            } else {
                merged.append(axis)
            }
        }
        if merged.isEmpty { merged.append(Axis(size: 1, source: 1, target: 1)) }
        // A transposition works on two axes at once: the one dense in the target and the one dense in the source.
        if let last = merged.last, last.source != 1, last.source != 0,
            let dense = merged.lastIndex(where: { $0.source == 1 }), dense != merged.count - 1
        {
            merged.insert(merged.remove(at: dense), at: merged.count - 1)
        }
        self.axes = merged
        innerRank = min(merged.count, 2)
        outerCount = merged.dropLast(innerRank).reduce(1) { $0 &* $1.size }
    }

    package func callAsFunction(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer) {
        guard count > 0 else { return }
        switch byteCount {
        case 1: run(runtime, x.of(UInt8.self), y.of(UInt8.self))
        case 4: run(runtime, x.of(UInt32.self), y.of(UInt32.self))
        default: run(runtime, x.of(UInt64.self), y.of(UInt64.self))
        }
    }

    private func run<T: FixedWidthInteger>(_ runtime: Runtime?, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) {
        let x = x + sourceOffset, y = y + targetOffset
        let inner = axes[axes.count - 1]
        let rows = innerRank == 2 ? axes[axes.count - 2] : Axis(size: 1, source: 0, target: 0)
        let outerRank = axes.count - innerRank
        // Rows of all outer positions in one count, about 16k elements to a piece.
        let grain = max(1, 16384 / inner.size)
        nonisolated(unsafe) let source = x, target = y
        forRanges(runtime, count: outerCount * rows.size, grain: grain) { range in
            var at = range.lowerBound
            while at < range.upperBound {
                var outer = at / rows.size
                let row = at - outer * rows.size
                let n = min(rows.size - row, range.upperBound - at)
                at += n
                var from = row * rows.source, to = row * rows.target
                for d in (0..<outerRank).reversed() {
                    let axis = axes[d]
                    let position = outer % axis.size
                    outer /= axis.size
                    from += position * axis.source
                    to += position * axis.target
                }
                copyBlock(source + from, target + to, n, rows, inner)
            }
        }
    }
}

/// n rows of one size.
private func copyBlock<T: FixedWidthInteger>(
    _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ n: Int, _ rows: StridedCopy.Axis, _ inner: StridedCopy.Axis
) {
    if inner.source == 1 && inner.target == 1 {
        if inner.size <= 16 {
            for r in 0..<n {
                let x = x + r &* rows.source, y = y + r &* rows.target
                for i in 0..<inner.size { y[i] = x[i] }
            }
        } else {
            for r in 0..<n { (y + r &* rows.target).update(from: x + r &* rows.source, count: inner.size) }
        }
    } else if inner.source == 0 && inner.target == 1 {
        for r in 0..<n { (y + r &* rows.target).update(repeating: x[r &* rows.source], count: inner.size) }
    } else if rows.source == 1 && inner.target == 1 {
        transposeBlock(x, y, n, rows, inner)
    } else {
        for r in 0..<n {
            let x = x + r &* rows.source, y = y + r &* rows.target
            for i in 0..<inner.size { y[i &* inner.target] = x[i &* inner.source] }
        }
    }
}

/// Squares of 16 by 16, so that lines of both sides stay in the first cache.
private func transposeBlock<T: FixedWidthInteger>(
    _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ n: Int, _ rows: StridedCopy.Axis, _ inner: StridedCopy.Axis
) {
    var i = 0
    while i < inner.size {
        let columns = min(16, inner.size - i)
        var r = 0
        while r < n {
            let height = min(16, n - r)
            for k in 0..<height {
                let from = x + (r &+ k &+ i &* inner.source), to = y + ((r &+ k) &* rows.target &+ i)
                for j in 0..<columns { to[j] = from[j &* inner.source] }
            }
            r += 16
        }
        i += 16
    }
}

// What the copies of the library are.

extension StridedCopy {
    /// Along axes of the given sizes, with the strides of both sides; everything is counted in elements.
    package init(
        sizes: [Int], source: [Int], target: [Int], sourceOffset: Int = 0, targetOffset: Int = 0, type: ElementType
    ) {
        let axes = sizes.indices.map { Axis(size: sizes[$0], source: source[$0], target: target[$0]) }
        // Elements of every type are 1, 4 or 8 bytes.
        self.init(axes, sourceOffset: sourceOffset, targetOffset: targetOffset, byteCount: type.byteCount)!
    }

    private static func strides(_ shape: [Int]) -> [Int] {
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] &* shape[axis + 1] }
        return strides
    }

    /// y = x with its axes in another order: axis k of y is axis permutation[k] of x. nil when that is no permutation.
    package static func permute(_ shape: [Int], _ permutation: [Int], byteCount: Int) -> StridedCopy? {
        guard permutation.sorted() == Array(shape.indices) else { return nil }
        let from = strides(shape), result = permutation.map { shape[$0] }, to = strides(result)
        return StridedCopy(
            result.indices.map { Axis(size: result[$0], source: from[permutation[$0]], target: to[$0]) },
            byteCount: byteCount)
    }

    /// A part of an array: sizes[k] elements of axis k, from begin[k] in steps of step[k], which may be negative.
    package struct Slice: Sendable {
        package var begin: [Int]
        package var step: [Int]
        package var sizes: [Int]

        package init(begin: [Int], step: [Int], sizes: [Int]) {
            self.begin = begin
            self.step = step
            self.sizes = sizes
        }

        func fits(_ shape: [Int]) -> Bool {
            guard begin.count == shape.count, step.count == shape.count, sizes.count == shape.count else { return false }
            for k in shape.indices {
                guard sizes[k] >= 0 else { return false }
                if sizes[k] == 0 { continue }
                let (reach, overflow) = step[k].multipliedReportingOverflow(by: sizes[k] - 1)
                let (last, tooFar) = begin[k].addingReportingOverflow(reach)
                guard !overflow, !tooFar, (0..<shape[k]).contains(begin[k]), (0..<shape[k]).contains(last) else { return false }
            }
            return true
        }

        /// Where the slice starts, and its strides.
        func walk(_ shape: [Int]) -> (offset: Int, strides: [Int]) {
            let dense = StridedCopy.strides(shape)
            let offset = shape.indices.reduce(0) { $0 + (sizes[$1] == 0 ? 0 : begin[$1] &* dense[$1]) }
            return (offset, shape.indices.map { step[$0] &* dense[$0] })
        }
    }

    /// y (dense) = a slice of x [shape]; nil when the slice leaves the array.
    package static func slice(_ shape: [Int], _ slice: Slice, byteCount: Int) -> StridedCopy? {
        guard slice.fits(shape) else { return nil }
        let (offset, from) = slice.walk(shape), to = strides(slice.sizes)
        return StridedCopy(
            shape.indices.map { Axis(size: slice.sizes[$0], source: from[$0], target: to[$0]) },
            sourceOffset: offset, byteCount: byteCount)
    }

    /// A slice of y [shape] = x (dense); the rest of y stays. nil when the slice leaves the array.
    package static func assign(_ shape: [Int], _ slice: Slice, byteCount: Int) -> StridedCopy? {
        guard slice.fits(shape) else { return nil }
        let (offset, to) = slice.walk(shape), from = strides(slice.sizes)
        return StridedCopy(
            shape.indices.map { Axis(size: slice.sizes[$0], source: from[$0], target: to[$0]) },
            targetOffset: offset, byteCount: byteCount)
    }

    /// One operand of a concatenation: x [size along the axis] goes to y [shape] from `begin` on.
    package static func concatenate(
        into shape: [Int], axis: Int, begin: Int, size: Int, byteCount: Int
    ) -> StridedCopy? {
        guard shape.indices.contains(axis) else { return nil }
        var begins = [Int](repeating: 0, count: shape.count), sizes = shape
        begins[axis] = begin
        sizes[axis] = size
        let whole = Slice(begin: begins, step: [Int](repeating: 1, count: shape.count), sizes: sizes)
        return assign(shape, whole, byteCount: byteCount)
    }

    /// y = x with some axes backwards; nil for an axis that does not exist.
    package static func reverse(_ shape: [Int], axes: [Int], byteCount: Int) -> StridedCopy? {
        guard axes.allSatisfy({ shape.indices.contains($0) }) else { return nil }
        return slice(
            shape,
            Slice(
                begin: shape.indices.map { axes.contains($0) ? shape[$0] - 1 : 0 },
                step: shape.indices.map { axes.contains($0) ? -1 : 1 }, sizes: shape), byteCount: byteCount)
    }

    /// y = x repeated repeats[k] times along axis k, as a whole.
    package static func tile(_ shape: [Int], _ repeats: [Int], byteCount: Int) -> StridedCopy? {
        guard repeats.count == shape.count, repeats.allSatisfy({ $0 >= 0 }) else { return nil }
        return repeated(shape, outer: repeats, inner: [Int](repeating: 1, count: shape.count), byteCount)
    }

    /// y = x with every element repeated along one axis.
    package static func repeatElements(_ shape: [Int], axis: Int, times: Int, byteCount: Int) -> StridedCopy? {
        guard shape.indices.contains(axis), times >= 0 else { return nil }
        let ones = [Int](repeating: 1, count: shape.count)
        var inner = ones
        inner[axis] = times
        return repeated(shape, outer: ones, inner: inner, byteCount)
    }

    private static func repeated(_ shape: [Int], outer: [Int], inner: [Int], _ byteCount: Int) -> StridedCopy? {
        let from = strides(shape)
        var axes: [Axis] = []
        var step = 1
        for k in shape.indices.reversed() {
            for (size, source) in [(inner[k], 0), (shape[k], from[k]), (outer[k], 0)] {
                axes.append(Axis(size: size, source: source, target: step))
                let (product, overflow) = step.multipliedReportingOverflow(by: max(size, 1))
                guard !overflow else { return nil }
                step = product
            }
        }
        return StridedCopy(axes.reversed(), byteCount: byteCount)
    }

    /// y [result] = x repeated by the rules of broadcasting; nil when the shapes do not fit.
    package static func broadcast(_ shape: [Int], to result: [Int], byteCount: Int) -> StridedCopy? {
        guard shape.count <= result.count else { return nil }
        let from = strides(shape), to = strides(result), missing = result.count - shape.count
        var axes: [Axis] = []
        for k in result.indices {
            let own = k < missing ? 1 : shape[k - missing]
            guard own == result[k] || own == 1, result[k] >= 0 else { return nil }
            axes.append(Axis(size: result[k], source: own == 1 ? 0 : from[k - missing], target: to[k]))
        }
        return StridedCopy(axes, byteCount: byteCount)
    }
}
