import DLBase
import DLKernels
import DLTensor

/// What is taken of one axis: a position, and the axis goes; or a range, as in Python: the end is left out, negative
/// positions count from the end, and what lies outside is cut off.
package enum IndexEntry: Equatable, Sendable {
    case at(Int)
    case range(start: Int?, stop: Int?, step: Int)

    package static let all = IndexEntry.range(start: nil, stop: nil, step: 1)

    /// The entry of one axis: where it starts, how far apart and how many elements it takes.
    struct Part {
        let start: Int
        let step: Int
        let count: Int
        let keepsAxis: Bool
    }

    func part(_ axis: Int, _ shape: Shape, _ operation: String) throws -> Part {
        let size = shape[axis]
        switch self {
        case .at(let position):
            let index = position < 0 ? position &+ size : position
            guard index >= 0, index < size else {
                throw DLError(
                    .range, "[\(operation)] position \(position) is out of range for axis \(axis) of size \(size). "
                        + "Received: \(shape)")
            }
            return Part(start: index, step: 1, count: 1, keepsAxis: false)
        case .range(let start, let stop, let step):
            guard step != 0, step > Int.min else {
                throw DLError(.argument, "[\(operation)] a step must not be 0. Received: step \(step) for axis \(axis)")
            }
            // Python's rule: positions are moved into 0 ... size, or -1 ..< size for a negative step.
            let (low, high) = step > 0 ? (0, size) : (-1, size - 1)
            func inside(_ position: Int) -> Int {
                let index = position < 0 ? position &+ size : position
                return min(max(index, low), high)
            }
            let first = start.map(inside) ?? (step > 0 ? low : high)
            let end = stop.map(inside) ?? (step > 0 ? high : low)
            let distance = step > 0 ? end - first : first - end
            let count = distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
            return Part(start: count == 0 ? 0 : first, step: count <= 1 ? 1 : step, count: count, keepsAxis: true)
        }
    }

    package var json: JSON {
        switch self {
        case .at(let position): return ["at": .int(Int64(position))]
        case .range(let start, let stop, let step):
            var object = JSONObject()
            if let start { object["start"] = .int(Int64(start)) }
            if let stop { object["stop"] = .int(Int64(stop)) }
            if step != 1 { object["step"] = .int(Int64(step)) }
            return .object(object)
        }
    }

    package init(_ json: JSON, _ operation: String) throws {
        if let position = json.intValue {
            self = .at(position)
            return
        }
        let known: Set<String> = ["at", "start", "stop", "step"]
        guard let object = json.objectValue, object.keys.allSatisfy(known.contains),
            object.pairs.allSatisfy({ $1.isNull || $1.intValue != nil })
        else {
            throw DLError(
                .argument, "[\(operation)] each entry of 'key' must be a position or {\"start\", \"stop\", \"step\"}. "
                    + "Received: \(json.canonicalText)")
        }
        if let position = object["at"]?.intValue {
            self = .at(position)
        } else {
            self = .range(
                start: object["start"]?.intValue, stop: object["stop"]?.intValue, step: object["step"]?.intValue ?? 1)
        }
    }
}

/// An index of a whole tensor, made ready: which part of the memory it names.
struct IndexPlan {
    let shape: Shape
    /// One entry for each axis, also for those that go.
    let sizes: [Int]
    let strides: [Int]
    let offset: Int
    private let parts: [IndexEntry.Part]
    private let source: Shape

    init(_ entries: [IndexEntry], _ source: Shape, _ operation: String) throws {
        guard entries.count <= source.rank else {
            throw DLError(
                .range, "[\(operation)] \(entries.count) positions for a tensor with \(source.rank) axes. Received: \(source)")
        }
        let parts = try source.sizes.indices.map { axis in
            try (axis < entries.count ? entries[axis] : .all).part(axis, source, operation)
        }
        self.parts = parts
        self.source = source
        let steps = source.strides
        sizes = parts.map(\.count)
        strides = zip(parts, steps).map { $0.step &* $1 }
        offset = zip(parts, steps).reduce(0) { $0 &+ $1.0.start &* $1.1 }
        shape = Shape(parts.filter(\.keepsAxis).map(\.count))
    }

    /// Positions first, then at most one part of an axis, then whole axes: one run of memory.
    var isContiguous: Bool {
        var sawRange = false
        for (axis, part) in parts.enumerated() {
            let isWhole = part.count == source[axis] && (part.step == 1 || part.count <= 1)
            if sawRange {
                guard isWhole, part.keepsAxis || source[axis] == 1 else { return false }
            } else if part.keepsAxis {
                guard part.step == 1 || part.count <= 1 else { return false }
                sawRange = true
            }
        }
        return true
    }

    /// Strides of the part packed densely, one for each of `sizes`.
    var denseStrides: [Int] { Shape(sizes).strides }
}

extension Tensor {
    /// Part of a tensor. One run of memory is shared, anything else copied.
    package func part(_ entries: [IndexEntry]) throws -> Tensor {
        let plan = try IndexPlan(entries, shape, "get_item")
        if plan.isContiguous {
            return Tensor(
                storage: storage, byteOffset: byteOffset &+ plan.offset &* type.byteCount, shape: plan.shape, type: type)
        }
        let result = try Tensor(uninitialized: plan.shape, type)
        StridedCopy(
            sizes: plan.sizes, source: plan.strides, target: plan.denseStrides, sourceOffset: plan.offset, type: type
        )(ThreadPool.shared.runtime, pointer, result.pointer)
        return result
    }

    /// Writes `value`, broadcast and cast, into part of the tensor, in place.
    package func assignPart(_ entries: [IndexEntry], _ value: Tensor) throws {
        let plan = try IndexPlan(entries, shape, "set_item")
        let (from, to) = (value.shape, plan.shape)
        let skipped = to.rank - from.rank
        let fits = from.sizes.indices.allSatisfy { axis in
            from[axis] == 1 || (axis + skipped >= 0 && from[axis] == to[axis + skipped])
        }
        guard fits else {
            throw DLError(
                .shape, "[set_item] the value does not fit the part it is written to. "
                    + "Received: value \(from), part \(to) of \(shape)")
        }
        guard plan.shape.count > 0 else { return }
        // A value that shares the memory is copied first, for it may overlap what is written.
        var source = value
        if value.type != type {
            source = try Tensor(uninitialized: from, type)
            CastKernel(from: value.type, to: type)(ThreadPool.shared.runtime, value.pointer, source.pointer, count: from.count)
        } else if value.storage === storage {
            source = try value.copy()
        }
        // Strides of the value for each axis of the tensor, 0 where it is repeated or the axis goes.
        let steps = from.strides
        var kept = 0
        let valueStrides = try (0..<shape.rank).map { axis -> Int in
            let part = try (axis < entries.count ? entries[axis] : .all).part(axis, shape, "set_item")
            guard part.keepsAxis else { return 0 }
            let own = kept - skipped
            kept += 1
            return own >= 0 && from[own] != 1 ? steps[own] : 0
        }
        StridedCopy(
            sizes: plan.sizes, source: valueStrides, target: plan.strides, targetOffset: plan.offset, type: type
        )(ThreadPool.shared.runtime, source.pointer, pointer)
        storage.noteChange()
    }
}
