import DLBase
import DLGraph
import DLTensor

/// Orders the positions of one line of elements.
enum SortLoops {
    /// Sorts 0 ..< count into `order` by the elements at x[i * step]: stable, NaN last in ascending order and first in
    /// descending. `spare` holds as many positions.
    static func order(
        _ type: ElementType, _ x: UnsafeRawPointer, _ step: Int, _ count: Int, descending: Bool,
        _ order: UnsafeMutablePointer<Int>, _ spare: UnsafeMutablePointer<Int>
    ) {
        switch type {
        case .float32: real(Float.self, x, step, count, descending, order, spare)
        case .float64: real(Double.self, x, step, count, descending, order, spare)
        case .int32: whole(Int32.self, x, step, count, descending, order, spare)
        case .int64: whole(Int64.self, x, step, count, descending, order, spare)
        case .uint8, .bool: whole(UInt8.self, x, step, count, descending, order, spare)
        }
    }

    @inline(__always)
    private static func real<T: BinaryFloatingPoint>(
        _: T.Type, _ x: UnsafeRawPointer, _ step: Int, _ count: Int, _ descending: Bool,
        _ order: UnsafeMutablePointer<Int>, _ spare: UnsafeMutablePointer<Int>
    ) {
        let x = x.assumingMemoryBound(to: T.self)
        // NaN counts as larger than everything, so that there is an order.
        if descending {
            sort(count, order, spare) { x[$0 &* step] > x[$1 &* step] || (x[$0 &* step].isNaN && !x[$1 &* step].isNaN) }
        } else {
            sort(count, order, spare) { x[$0 &* step] < x[$1 &* step] || (x[$1 &* step].isNaN && !x[$0 &* step].isNaN) }
        }
    }

    @inline(__always)
    private static func whole<T: FixedWidthInteger>(
        _: T.Type, _ x: UnsafeRawPointer, _ step: Int, _ count: Int, _ descending: Bool,
        _ order: UnsafeMutablePointer<Int>, _ spare: UnsafeMutablePointer<Int>
    ) {
        let x = x.assumingMemoryBound(to: T.self)
        if descending {
            sort(count, order, spare) { x[$0 &* step] > x[$1 &* step] }
        } else {
            sort(count, order, spare) { x[$0 &* step] < x[$1 &* step] }
        }
    }

    /// Merges runs of growing length; runs of 8 are sorted by insertion.
    @inline(__always)
    private static func sort(
        _ count: Int, _ order: UnsafeMutablePointer<Int>, _ spare: UnsafeMutablePointer<Int>, _ before: (Int, Int) -> Bool
    ) {
        for i in 0..<count { order[i] = i }
        let run = 8
        var start = 0
        while start < count {
            let end = min(start &+ run, count)
            var i = start &+ 1
            while i < end {
                let item = order[i]
                var j = i
                while j > start, before(item, order[j &- 1]) {
                    order[j] = order[j &- 1]
                    j &-= 1
                }
                order[j] = item
                i &+= 1
            }
            start = end
        }
        var (from, to) = (order, spare)
        var width = run
        while width < count {
            var start = 0
            while start < count {
                let middle = min(start &+ width, count)
                let end = min(middle &+ width, count)
                var (i, j, k) = (start, middle, start)
                while k < end {
                    // The left one wins among equals, which keeps the sort stable.
                    if i < middle, j >= end || !before(from[j], from[i]) {
                        to[k] = from[i]
                        i &+= 1
                    } else {
                        to[k] = from[j]
                        j &+= 1
                    }
                    k &+= 1
                }
                start = end
            }
            swap(&from, &to)
            width = width &* 2
        }
        if from != order { order.update(from: from, count: count) }
    }
}

/// sort and argsort.
struct SortOperation: Operation {
    let axis: Int?
    let givesPositions: Bool
    let descending: Bool

    var name: String { givesPositions ? "argsort" : "sort" }
    var attributes: JSON { ["axis": axis.map { .int(Int64($0)) } ?? .null, "descending": .bool(descending)] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        if let axis { _ = try inputs[0].shape.axis(axis, name) }
        let shape = axis == nil ? Shape([inputs[0].shape.count]) : inputs[0].shape
        guard shape.count <= Int(Int32.max) else {
            throw DLError(.limit, "[\(name)] positions are int32, the tensor is larger. Received: \(shape)")
        }
        return [TensorSpec(shape, givesPositions ? .int32 : inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard axis == nil, inputs.count == 1 else { return nil }
        return [
            try apply(SortOperation(axis: 0, givesPositions: givesPositions, descending: descending), ravel(inputs[0]))
        ]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let shape = inputs[0].shape
        let position = try shape.axis(axis ?? 0, name)
        let lines = AxisLines(shape, position)
        let (count, type, descending, givesPositions) = (shape[position], inputs[0].type, descending, givesPositions)
        let width = type.byteCount
        return Kernel("merge sort", scratchBytes: count &* 2 &* MemoryLayout<Int>.stride) { arguments in
            let order = arguments.scratch.assumingMemoryBound(to: Int.self)
            for line in 0..<lines.count {
                let start = lines.start(line, count)
                let x = arguments.inputs[0] + start &* width
                SortLoops.order(type, x, lines.inner, count, descending: descending, order, order + count)
                if givesPositions {
                    let y = arguments.output(0, Int32.self) + start
                    for i in 0..<count { y[i &* lines.inner] = Int32(truncatingIfNeeded: order[i]) }
                } else {
                    let y = arguments.outputs[0] + start &* width
                    for i in 0..<count {
                        (y + i &* lines.inner &* width).copyMemory(
                            from: x + order[i] &* lines.inner &* width, byteCount: width)
                    }
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        if givesPositions { return [nil] }
        let x = context.inputs[0]
        let position = try x.shape.axis(axis ?? 0, name)
        let order = try apply(SortOperation(axis: position, givesPositions: true, descending: descending), x)
        return [
            try apply(
                TakeAlongAxisGradientOperation(axis: position, size: x.shape[position]), context.upstream, order)
        ]
    }

    static let entries: [OperationEntry] = [false, true].map { givesPositions in
        var extra = JSONObject([("inputs", ["x"])])
        if givesPositions { extra["result_kinds"] = ["index"] }
        func sample(_ shape: Shape, _ attributes: JSON) -> OperationSample {
            OperationSample(.uniform(shape, gap: 0.01), attributes: attributes, differentiable: !givesPositions)
        }
        return OperationEntry(
            Declaration(
                givesPositions ? "argsort" : "sort",
                givesPositions
                    ? "The positions that put an axis in order; equal elements keep theirs, NaN comes last."
                    : "Elements along an axis in order; NaN comes last.",
                shapes: "any shape; the same, or one axis where `axis` is null", extra: extra,
                arguments: [
                    Argument("axis", .optional(.axis), -1, "The axis; null treats all elements as one row."),
                    Argument("descending", .bool, false, "Whether the largest comes first."),
                ],
                make: {
                    SortOperation(
                        axis: $0.optionalInt("axis"), givesPositions: givesPositions, descending: $0.bool("descending"))
                }),
            samples: [
                sample([3, 4], [:]), sample([19], ["descending": true]), sample([3, 2, 2], ["axis": 0]),
                sample([2, 3], ["axis": .null]),
            ])
    }
}

package func sort(_ x: Value, axis: Int? = -1, descending: Bool = false) throws -> Value {
    try apply(SortOperation(axis: axis, givesPositions: false, descending: descending), x)
}
package func argsort(_ x: Value, axis: Int? = -1, descending: Bool = false) throws -> Value {
    try apply(SortOperation(axis: axis, givesPositions: true, descending: descending), x)
}

/// The k largest elements of the last axis, and where they are.
struct TopKOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "top_k", "The k largest elements along the last axis, largest first, and their positions.",
        shapes: "(..., n); twice (..., k): values and int32 positions",
        extra: JSONObject([("inputs", ["x"]), ("result_kinds", ["any", "index"])]),
        arguments: [
            Argument("k", .int(Argument.positive), nil, "How many."),
            Argument("sorted", .bool, true, "They always are in order; accepted for Keras's sake."),
        ],
        make: { TopKOperation(k: $0.int("k")) })

    static let samples = [
        OperationSample(.uniform([3, 5], gap: 0.01), attributes: ["k": 2]),
        OperationSample(.uniform([4], gap: 0.01), attributes: ["k": 4]),
    ]

    let k: Int
    var attributes: JSON { ["k": .int(Int64(k))] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        let position = try shape.axis(-1, name)
        guard k <= shape[position] else {
            throw DLError(.argument, "[top_k] k is \(k), the last axis has \(shape[position]) elements. Received: \(shape)")
        }
        var sizes = shape.sizes
        sizes[position] = k
        return [TensorSpec(Shape(sizes), inputs[0].type), TensorSpec(Shape(sizes), .int32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (n, k, type) = (inputs[0].shape.last, k, inputs[0].type)
        let rows = inputs[0].shape.count / max(n, 1)
        let width = type.byteCount
        return Kernel("merge sort", scratchBytes: n &* 2 &* MemoryLayout<Int>.stride) { arguments in
            let order = arguments.scratch.assumingMemoryBound(to: Int.self)
            for row in 0..<rows {
                let x = arguments.inputs[0] + row &* n &* width
                SortLoops.order(type, x, 1, n, descending: true, order, order + n)
                let y = arguments.outputs[0] + row &* k &* width
                let positions = arguments.output(1, Int32.self) + row &* k
                for i in 0..<k {
                    (y + i &* width).copyMemory(from: x + order[i] &* width, byteCount: width)
                    positions[i] = Int32(truncatingIfNeeded: order[i])
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard let upstream = context.outputGradients[0] else { return [nil] }
        let shape = context.inputs[0].shape
        return [
            try apply(
                TakeAlongAxisGradientOperation(axis: shape.rank - 1, size: shape.last), upstream, context.outputs[1])
        ]
    }
}

/// Values and int32 positions of the k largest elements of the last axis.
package func topK(_ x: Value, _ k: Int) throws -> (values: Value, positions: Value) {
    let outputs = try apply(TopKOperation(k: k), to: [x])
    return (outputs[0], outputs[1])
}
