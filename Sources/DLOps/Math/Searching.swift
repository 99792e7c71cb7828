import DLBase
import DLGraph
import DLTensor

/// Where numbers would have to stand in a sorted row.
struct SearchSortedOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "searchsorted", "Before which element of a sorted row each number would have to stand.",
        formula: "left: the number of elements below v; right: of those not above it",
        shapes: "sorted_sequence (n,), values of any shape; values' shape, int32",
        example: """
            local dl = require "dl"
            print(dl.ops.searchsorted(dl.tensor{ 10, 20, 30 }, dl.tensor{ 5, 20, 99 }))
            """,
        extra: JSONObject([("inputs", ["sorted_sequence", "values"]), ("result_kinds", ["index"])]),
        arguments: [Argument("side", .choice(["left", "right"]), "left", "Before or behind those that are equal.")],
        make: { SearchSortedOperation(isRight: $0.string("side") == "right") })

    static let samples = [
        OperationSample(
            .given([1, 2, 2, 5], [4], .float32), .given([0, 2, 3, 9], [2, 2], .float32), differentiable: false),
        OperationSample(
            .given([1, 2, 2, 5], [4], .int32), .given([2, 5], [2], .int32), attributes: ["side": "right"], differentiable: false),
    ]

    let isRight: Bool
    var attributes: JSON { ["side": isRight ? "right" : "left"] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        guard inputs[0].shape.rank == 1, inputs[0].shape.count < Int(Int32.max) else {
            throw DLError(
                .shape, "[\(name)] the sorted sequence must be a row. "
                    + received(("sorted_sequence", inputs[0]), ("values", inputs[1])))
        }
        return [TensorSpec(inputs[1].shape, .int32)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 2 else { return nil }
        return try Promotion.meet(inputs, Promotion.common(inputs.map(\.type))).map { try DLGraph.apply(self, to: $0) }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (size, count, isRight) = (inputs[0].shape.count, inputs[1].shape.count, isRight)
        /// NaN counts as larger than everything, as where tensors are sorted.
        func search<T: Comparable & Numeric>(_: T.Type, _ arguments: KernelArguments) {
            let (row, values, target) = (arguments.input(0, T.self), arguments.input(1, T.self), arguments.output(0, Int32.self))
            func before(_ a: T, _ b: T) -> Bool { a < b || (b != b && a == a) }
            for i in 0..<count {
                var (low, high) = (0, size)
                while low < high {
                    let middle = (low &+ high) / 2
                    let goesOn = isRight ? !before(values[i], row[middle]) : before(row[middle], values[i])
                    if goesOn { low = middle &+ 1 } else { high = middle }
                }
                target[i] = Int32(truncatingIfNeeded: low)
            }
        }
        let type = inputs[0].type
        return Kernel("bisection") { arguments in
            switch type {
            case .float32: search(Float.self, arguments)
            case .float64: search(Double.self, arguments)
            case .int32: search(Int32.self, arguments)
            case .int64: search(Int64.self, arguments)
            case .uint8, .bool: search(UInt8.self, arguments)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }
}

package func searchsorted(_ row: Value, _ values: Value, right: Bool = false) throws -> Value {
    try apply(SearchSortedOperation(isRight: right), row, values)
}

/// The different numbers of a tensor: known only when the numbers are.
struct UniqueOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "unique", "The different numbers of a tensor in order, where each occurs first, which one each element is, and how often "
            + "each occurs. The size depends on the numbers, so it cannot be part of a compiled function.",
        shapes: "any shape; (n,) numbers, (n,) positions among all elements, positions among the n in x's shape, (n,) counts",
        example: """
            local dl = require "dl"
            local values, first, inverse, counts = dl.ops.unique(dl.tensor{ 3, 1, 3, 2 })
            print(values, first, inverse, counts)
            """,
        extra: JSONObject([
            ("inputs", ["x"]), ("result_kinds", ["any", "index", "index", "any"]), ("eager_only", true),
        ]),
        make: { _ in UniqueOperation() })

    static let samples = [OperationSample(.given([3, 1, 3, 2, 1, 1], [2, 3], .float32), differentiable: false)]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        throw DLError(
            .unsupported, "[unique] the size of the result depends on the numbers, so it cannot be part of a model or a "
                + "compiled function. Received: symbolic \(inputs[0].shape)")
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 1, !inputs[0].isSymbolic, ThreadContext.current.recording == nil else { return nil }
        let x = try ravel(inputs[0])
        let order = try argsort(x)
        let sorted = try take(x, order, axis: 0).tensor(name)
        let positions = try order.tensor(name).array(Int32.self)
        var (first, inverse, counts) = ([Int32](), [Int32](repeating: 0, count: positions.count), [Int32]())
        for (place, position) in positions.enumerated() {
            let (number, last) = (sorted.number(at: place), place > 0 ? sorted.number(at: place - 1) : 0)
            // NaN is one number here, as in NumPy.
            var isNew = place == 0 || (number != last && !(number.isNaN && last.isNaN))
            // Large whole numbers are not told apart as Double.
            if place > 0, sorted.type == .int64 { isNew = sorted.elements(Int64.self)[place] != sorted.elements(Int64.self)[place - 1] }
            if isNew {
                first.append(Int32(place))
                counts.append(0)
            }
            counts[counts.count - 1] += 1
            inverse[Int(position)] = Int32(counts.count - 1)
        }
        let places = Value(try Tensor(first))
        return [
            try take(Value(sorted), places, axis: 0), try take(order, places, axis: 0),
            Value(try Tensor(inverse, inputs[0].shape)), Value(try Tensor(counts)),
        ]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[unique] has no kernel")
    }
}

/// Sorted altogether, which does what is asked and keeps equal elements in order.
private func partition(_ inputs: [Value], _ arguments: Arguments) throws -> [Value] {
    let (x, kth) = (inputs[0], arguments.int("kth"))
    let axis = arguments.optionalInt("axis")
    let size = try axis.map { x.shape[try x.shape.axis($0, arguments.owner)] } ?? x.shape.count
    guard kth >= 0 ? kth < size : kth >= -size else {
        throw DLError(
            .range, "[\(arguments.owner)] 'kth' \(kth) is out of range for \(size) elements. " + received(("x", x.spec)))
    }
    return [try argsort(x, axis: axis)]
}

/// Bins and what falls into them.
let searchingEntries: [OperationEntry] = [
    OperationEntry(SearchSortedOperation.self), OperationEntry(UniqueOperation.self),
    FormulaOperation.derived(
        "argpartition", "The positions of the elements, ordered so that the one at kth is where sorting would put it, none that is "
            + "larger before it and none that is smaller behind it.",
        shapes: "any shape; the same, int32; in a row where axis is null", extra: JSONObject([("result_kinds", ["index"])]),
        arguments: [
            Argument("kth", .index, nil, "The position that is sorted."),
            Argument("axis", .optional(.axis), -1, "The axis; null for all elements in a row."),
        ],
        samples: [OperationSample(.given([3, 1, 2, 5, 4, 0], [2, 3], .float32), attributes: ["kth": 1], differentiable: false)]
    ) { try partition($0, $1) },
    FormulaOperation.derived(
        "digitize", "The bin into which each number falls: the first is below all borders, the last above them.",
        formula: "the number of borders that are not above x", shapes: "any shape, borders (n,) in rising order; x's shape, int32",
        inputs: ["x", "bins"], extra: JSONObject([("result_kinds", ["index"])]),
        samples: [
            OperationSample(
                .given([0.2, 6.4, 3, 1.6], [4], .float32), .given([0, 1, 2.5, 4], [4], .float32), differentiable: false)
        ]
    ) { inputs, _ in [try searchsorted(inputs[1], inputs[0], right: true)] },
    FormulaOperation.derived(
        "histogram", "How many numbers fall into each of several bins of equal width, and the bins' borders. The last bin has "
            + "both its borders; numbers outside the range and NaN are left out.",
        shapes: "any shape; (bins,) int32 and (bins + 1,)",
        example: """
            local dl = require "dl"
            local counts, borders = dl.ops.histogram(dl.tensor{ 1, 2, 2, 5 }, 4)
            print(counts, borders)
            """,
        arguments: [
            Argument("bins", .int(1...10_000_000), 10, "How many bins."),
            Argument(
                "range", .optional(.list(.float(Argument.anyFloat))), .null,
                "The least and the largest number; null for those of x."),
        ],
        samples: [
            OperationSample(.given([1, 2, 2, 5, 7, .nan], [2, 3], .float32), attributes: ["bins": 3, "range": [1, 7]], differentiable: false),
            OperationSample(.given([1, 2, 2, 5], [4], .int32), attributes: ["bins": 4], differentiable: false),
        ]
    ) { inputs, arguments in
        let x = try ravel(real(inputs[0]))
        let bins = arguments.int("bins")
        var (low, high): (Value, Value)
        if let range = arguments["range"].arrayValue?.compactMap(\.doubleValue) {
            guard range.count == 2, range[0] <= range[1] else {
                throw arguments.error("range", "two numbers, the least and the largest")
            }
            (low, high) = (try constant(range[0], like: x), try constant(range[1], like: x))
        } else if x.shape.count == 0 {
            (low, high) = (try constant(0, like: x), try constant(1, like: x))
        } else {
            (low, high) = (try min(x), try max(x))
        }
        // A range without width is widened on both sides.
        let half = try scale(cast(equal(low, high), x.type), 0.5)
        (low, high) = (try subtract(low, half), try add(high, half))
        let steps = try Value(Tensor((0...bins).map { Double($0) / Double(bins) }))
        let borders = try add(low, multiply(cast(steps, x.type), subtract(high, low)))
        let edges = try concatenate([getItem(borders, [.range(start: 0, stop: bins, step: 1)]), expandDims(high, 0)])
        let bin = try subtract(searchsorted(edges, x, right: true), constant(1, .int32))
        let inside = try logicalAnd(greaterEqual(x, low), lessEqual(x, high))
        let place = try clip(bin, 0, Double(bins - 1))
        return [try apply(TakeGradientOperation(axis: 0, size: bins), cast(inside, .int32), place), edges]
    },
]
