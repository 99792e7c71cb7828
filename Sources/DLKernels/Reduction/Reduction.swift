import CDLKernels
import DLBase

/// Reductions of any set of axes.
package enum ReductionFunction: CaseIterable, Sendable {
    case sum, mean
    /// NaN when any element is NaN.
    case maximum, minimum
    case product
    /// Of bool, as bytes.
    case any, all
    case sumOfSquares, sumOfMagnitudes
    case logSumExp

    /// The element type of the result, nil where the function is not defined for the type.
    package func resultType(_ type: ElementType) -> ElementType? {
        switch self {
        case .any, .all: type == .bool ? .bool : nil
        case .sum, .product, .maximum, .minimum, .sumOfSquares, .sumOfMagnitudes: type == .bool ? nil : type
        case .mean, .logSumExp: type.isFloatingPoint ? type : nil
        }
    }

    /// The tuned function, where there is one.
    var code: Int? {
        switch self {
        case .sum: DL_REDUCE_SUM
        case .mean: DL_REDUCE_MEAN
        case .maximum: DL_REDUCE_MAX
        case .minimum: DL_REDUCE_MIN
        case .product: DL_REDUCE_PROD
        case .sumOfSquares: DL_REDUCE_SUM_SQUARES
        case .sumOfMagnitudes: DL_REDUCE_SUM_ABS
        case .any, .all, .logSumExp: nil
        }
    }

    /// What combines results that are partial already.
    var second: ReductionFunction { self == .sumOfSquares || self == .sumOfMagnitudes ? .sum : self }
}

/// x [outer, n, inner], reduced over n.
package struct ReductionAxis: Equatable, Sendable {
    package var outer: Int
    package var n: Int
    package var inner: Int

    package init(outer: Int, n: Int, inner: Int) {
        self.outer = outer
        self.n = n
        self.inner = inner
    }

    /// The axis of a shape; nil when it is out of range.
    package init?(_ shape: [Int], axis: Int) {
        guard shape.indices.contains(axis) else { return nil }
        outer = shape[..<axis].reduce(1, &*)
        n = shape[axis]
        inner = shape[(axis + 1)...].reduce(1, &*)
    }
}

/// y = the reduction of x over a set of axes. The order of additions depends on the shape alone.
package struct ReductionKernel: @unchecked Sendable {
    package let function: ReductionFunction
    package let type: ElementType
    package let resultType: ElementType
    /// Bytes of scratch memory that a call needs.
    package let scratchByteCount: Int
    package let resultCount: Int
    /// One step for each group of neighbouring axes.
    private let steps: [Step]
    private let table: UnsafePointer<dl_math_kernels>?

    private struct Step {
        var function: ReductionFunction
        var axis: ReductionAxis
        /// Byte offsets in scratch, nil for x and y.
        var source: Int?
        var target: Int?
        var blocks: Int
    }

    /// axes nil means all. nil where the function is not defined for the type, or an axis does not exist.
    package init?(
        _ function: ReductionFunction, _ type: ElementType, shape: [Int], axes: [Int]? = nil,
        level: ProcessorLevel = .current
    ) {
        guard let resultType = function.resultType(type) else { return nil }
        let axes = axes ?? Array(shape.indices)
        guard axes.allSatisfy({ shape.indices.contains($0) }) else { return nil }
        self.function = function
        self.type = type
        self.resultType = resultType
        table = tunedMath(type, level)
        var groups: [(size: Int, reduced: Bool)] = []
        for (axis, size) in shape.enumerated() where size != 1 {
            let reduced = axes.contains(axis)
            if groups.last?.reduced == reduced { groups[groups.count - 1].size *= size } else { groups.append((size, reduced)) }
        }
        resultCount = groups.reduce(1) { $1.reduced ? $0 : $0 * $1.size }
        if !groups.contains(where: \.reduced) { groups.append((1, true)) }
        var steps: [Step] = []
        var offset = 0
        var source: Int?
        func claim(_ bytes: Int) -> Int {
            let at = offset
            offset += (bytes + 63) & ~63
            return at
        }
        // The last group first: its elements are neighbours.
        while let at = groups.lastIndex(where: \.reduced) {
            let axis = ReductionAxis(
                outer: groups[..<at].reduce(1) { $0 * $1.size }, n: groups[at].size,
                inner: groups[(at + 1)...].reduce(1) { $0 * $1.size })
            groups.remove(at: at)
            let isLast = !groups.contains(where: \.reduced)
            let target = isLast ? nil : claim(axis.outer * axis.inner * type.byteCount)
            let floats =
                table?.pointee.reduce_scratch?(Int64(axis.outer), Int64(axis.n), Int64(axis.inner)) ?? 0
            steps.append(
                Step(
                    function: steps.isEmpty ? function : function.second, axis: axis, source: source,
                    target: target, blocks: claim(Int(floats) * 4)))
            source = target
        }
        self.steps = steps
        scratchByteCount = offset
    }

    /// x holds the elements of the shape, y `resultCount`, scratch `scratchByteCount` bytes (nil when that is 0).
    package func callAsFunction(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, scratch: UnsafeMutableRawPointer?
    ) {
        for step in steps {
            let source = step.source.flatMap { at in scratch.map { UnsafeRawPointer($0 + at) } } ?? x
            let target = step.target.flatMap { at in scratch.map { $0 + at } } ?? y
            run(step, runtime, source, target, scratch.map { $0 + step.blocks })
        }
    }

    private func run(
        _ step: Step, _ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer,
        _ blocks: UnsafeMutableRawPointer?
    ) {
        let axis = step.axis
        if let table, let code = step.function.code {
            table.pointee.reduce?(
                runtime, Int64(code), x.of(Float.self), y.of(Float.self), Int64(axis.outer), Int64(axis.n),
                Int64(axis.inner), blocks?.of(Float.self))
            return
        }
        switch type {
        case .float32: reduceReal(step.function, axis, x.of(Float.self), y.of(Float.self))
        case .float64: reduceReal(step.function, axis, x.of(Double.self), y.of(Double.self))
        case .int32: reduceWhole(step.function, axis, x.of(Int32.self), y.of(Int32.self))
        case .int64: reduceWhole(step.function, axis, x.of(Int64.self), y.of(Int64.self))
        case .uint8, .bool: reduceWhole(step.function, axis, x.of(UInt8.self), y.of(UInt8.self))
        }
    }
}
