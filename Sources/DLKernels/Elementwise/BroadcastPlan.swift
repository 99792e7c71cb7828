import CDLKernels
import DLBase

/// How up to three dense operands are repeated to fill a dense result, by NumPy's rule: sizes are aligned at the last
/// axis, and a size of 1 (or a missing axis) is repeated. Axes are merged as far as all operands allow, so
/// equal shapes become one row, and a bias becomes rows over one row of columns.
package struct BroadcastPlan: @unchecked Sendable {
    var loops: dl_broadcast
    /// Elements of the result.
    package let count: Int
    /// The operands are as large as the result and in its order.
    package let isElementwise: Bool

    /// nil when an operand does not fit the result, or more axes remain after merging than a plan holds.
    package init?(_ operands: [[Int]], to result: [Int]) {
        guard (1...3).contains(operands.count) else { return nil }
        var shapes = operands
        while shapes.count < 3 { shapes.append([]) }
        var axes: [Axis] = []
        var steps = [1, 1, 1]
        var count = 1
        for back in 0..<result.count {
            let size = result[result.count - 1 - back]
            guard size >= 0 else { return nil }
            var strides = [0, 0, 0]
            for (k, shape) in shapes.enumerated() where back < shape.count {
                let own = shape[shape.count - 1 - back]
                guard own == size || own == 1 else { return nil }
                if own != 1 { strides[k] = steps[k] }
                let (step, overflow) = steps[k].multipliedReportingOverflow(by: max(own, 1))
                guard !overflow else { return nil }
                steps[k] = step
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow else { return nil }
            count = product
            if size != 1 { axes.append(Axis(size: size, strides: strides)) }
        }
        // What an operand has more axes than the result, must be 1.
        for shape in shapes where shape.count > result.count {
            guard shape.prefix(shape.count - result.count).allSatisfy({ $0 == 1 }) else { return nil }
        }
        self.count = count
        let merged = Axis.merge(axes)
        guard merged.count <= Int(DL_OUTER_RANK) + 2 else { return nil }
        loops = dl_broadcast()
        loops.rows = 1
        loops.cols = 1
        loops.outer_count = 1
        for k in 0..<3 { dl_broadcast_set_operand(&loops, Int64(k), 0, 0) }
        let cols = merged.first, rows = merged.dropFirst().first
        loops.cols = Int64(cols?.size ?? 1)
        loops.rows = Int64(rows?.size ?? 1)
        for k in 0..<3 {
            dl_broadcast_set_operand(
                &loops, Int64(k), Int64(rows?.strides[k] ?? 0), Int64(cols?.strides[k] ?? 0))
        }
        let outer = merged.dropFirst(2).reversed()
        loops.outer_rank = Int64(outer.count)
        for (d, axis) in outer.enumerated() {
            loops.outer_count &*= Int64(axis.size)
            dl_broadcast_set_outer(
                &loops, Int64(d), Int64(axis.size), Int64(axis.strides[0]), Int64(axis.strides[1]),
                Int64(axis.strides[2]))
        }
        isElementwise = operands.allSatisfy { $0.reduce(1, &*) == count }
    }

    /// The shape that both have after broadcasting; nil when they do not fit.
    package static func shape(_ a: [Int], _ b: [Int]) -> [Int]? {
        let rank = max(a.count, b.count)
        var result = [Int](repeating: 1, count: rank)
        for back in 0..<rank {
            let x = back < a.count ? a[a.count - 1 - back] : 1
            let y = back < b.count ? b[b.count - 1 - back] : 1
            guard x == y || x == 1 || y == 1 else { return nil }
            result[rank - 1 - back] = x == 1 ? y : x
        }
        return result
    }

    /// Innermost first.
    private struct Axis {
        var size: Int
        var strides: [Int]

        /// Joins neighbours that every operand passes through with one step.
        static func merge(_ axes: [Axis]) -> [Axis] {
            var merged: [Axis] = []
            for axis in axes {
                if let last = merged.last,
                    (0..<3).allSatisfy({ axis.strides[$0] == last.strides[$0] &* last.size })
                {
                    merged[merged.count - 1].size = last.size &* axis.size
                } else {
                    merged.append(axis)
                }
            }
            return merged
        }
    }

    /// Calls body(a, b, c, y, step of a, b, c, columns) with element offsets, once for each row of the result.
    @inline(__always)
    func forEachRow(_ body: (_ offsets: (Int, Int, Int), _ y: Int, _ steps: (Int, Int, Int), _ n: Int) -> Void) {
        guard count > 0 else { return }
        withUnsafePointer(to: loops) { plan in
            let rows = Int(loops.rows), cols = Int(loops.cols)
            let steps = (Int(loops.col_stride.0), Int(loops.col_stride.1), Int(loops.col_stride.2))
            var y = 0
            for outer in 0..<loops.outer_count {
                let a = Int(dl_broadcast_offset(plan, 0, outer)), b = Int(dl_broadcast_offset(plan, 1, outer))
                let c = Int(dl_broadcast_offset(plan, 2, outer))
                for row in 0..<rows {
                    body(
                        (
                            a + row * Int(loops.row_stride.0), b + row * Int(loops.row_stride.1),
                            c + row * Int(loops.row_stride.2)
                        ), y, steps, cols)
                    y += cols
                }
            }
        }
    }
}
