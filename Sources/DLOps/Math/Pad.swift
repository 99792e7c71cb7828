import DLBase
import DLGraph
import DLKernels
import DLTensor

/// More elements at the borders.
struct PadOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "pad", "Adds elements at the borders: one number, or the tensor's own elements mirrored.",
        shapes: "any shape; each size grows by what is added before and behind", extra: JSONObject([("inputs", ["x"])]),
        arguments: [
            Argument(
                "pad_width", .any, nil,
                "How many elements are added: [before, behind] for each axis, one such pair for all, or one number."),
            Argument(
                "mode", .choice(["constant", "reflect", "symmetric", "edge"]), "constant",
                "constant: one number; reflect: mirrored without the border element; symmetric: with it; edge: the border."),
            Argument("constant_values", .optional(.float(Argument.anyFloat)), .null, "The number; null for 0."),
        ],
        make: { arguments in
            PadOperation(
                try Widths(arguments), mode: arguments.string("mode"), number: arguments.optionalFloat("constant_values") ?? 0)
        })

    static let samples = [
        OperationSample(.uniform([2, 3]), attributes: ["pad_width": [[1, 0], [0, 2]]]),
        OperationSample(.uniform([3]), attributes: ["pad_width": 2, "constant_values": 1.5]),
        OperationSample(.uniform([3, 4]), attributes: ["pad_width": [2, 1], "mode": "reflect"]),
        OperationSample(.uniform([3, 2]), attributes: ["pad_width": [[2, 1], [0, 2]], "mode": "symmetric"]),
        OperationSample(.uniform([3, 2]), attributes: ["pad_width": 1, "mode": "edge"]),
    ]

    /// Before and behind, for each axis or for all.
    struct Widths: Equatable, Sendable {
        let pairs: [[Int]]
        let isForAll: Bool

        init(_ pairs: [[Int]]) {
            self.pairs = pairs
            isForAll = false
        }

        init(_ arguments: Arguments) throws {
            let given = arguments["pad_width"]
            if let number = given.intValue {
                (pairs, isForAll) = ([[number, number]], true)
            } else if let list = given.arrayValue, list.count == 2, list.allSatisfy({ $0.intValue != nil }) {
                (pairs, isForAll) = ([list.compactMap(\.intValue)], true)
            } else {
                pairs = (given.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.intValue) }
                isForAll = false
                guard given.arrayValue != nil else {
                    throw arguments.error("pad_width", "a number or pairs of numbers, one for each axis")
                }
            }
            let fits = pairs.allSatisfy { $0.count == 2 && $0.allSatisfy { $0 >= 0 && $0 <= Int(Int32.max) } }
            guard fits else { throw arguments.error("pad_width", "made of pairs of whole numbers of at least 0") }
        }

        func callAsFunction(_ rank: Int) -> [[Int]]? {
            isForAll ? [[Int]](repeating: pairs[0], count: rank) : pairs.count == rank ? pairs : nil
        }

        var json: JSON {
            let lists = pairs.map { JSON.array($0.map { .int(Int64($0)) }) }
            return isForAll ? lists[0] : .array(lists)
        }
    }

    let widths: Widths
    let mode: String
    let number: Double

    init(_ widths: Widths, mode: String, number: Double) {
        self.widths = widths
        self.mode = mode
        self.number = number
    }

    var attributes: JSON { ["pad_width": widths.json, "mode": .string(mode), "constant_values": .double(number)] }

    private func pairs(_ shape: Shape) throws -> [[Int]] {
        guard let pairs = widths(shape.rank) else {
            throw DLError(
                .argument, "[pad] 'pad_width' must have one pair for each of the \(shape.rank) axes. "
                    + "Received: \(widths.json.canonicalText) for \(shape)")
        }
        return pairs
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        let shape = inputs[0].shape
        let sizes = try zip(shape.sizes, pairs(shape)).map { size, pair -> Int in
            let limit = mode == "reflect" ? size - 1 : mode == "symmetric" ? size : mode == "edge" && size == 0 ? 0 : Int.max
            guard pair[0] <= max(limit, 0), pair[1] <= max(limit, 0) else {
                throw DLError(
                    .shape, "[pad] mode '\(mode)' cannot add \(max(pair[0], pair[1])) elements to an axis of size \(size). "
                        + "Received: \(shape)")
            }
            return size + pair[0] + pair[1]
        }
        return [TensorSpec(try Shape(checked: sizes), inputs[0].type)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        if mode == "constant" { return nil }
        let result = try outputs(for: inputs.map(\.spec))[0].shape
        var x = inputs[0]
        for (axis, pair) in try pairs(x.shape).enumerated() where pair != [0, 0] {
            let size = x.shape[axis]
            let positions = (0..<result[axis]).map { index -> Int32 in
                let position = index - pair[0]
                if position >= 0, position < size { return Int32(position) }
                switch mode {
                case "reflect": return Int32(position < 0 ? -position : 2 * (size - 1) - position)
                case "symmetric": return Int32(position < 0 ? -position - 1 : 2 * size - 1 - position)
                default: return Int32(position < 0 ? 0 : size - 1)
                }
            }
            x = try take(x, Value(Tensor(positions)), axis: axis)
        }
        return [x]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (x, y) = (inputs[0].shape, outputs[0].shape)
        let strides = y.strides
        let offset = zip(try pairs(x), strides).reduce(0) { $0 &+ $1.0[0] &* $1.1 }
        let copy = StridedCopy(
            sizes: x.sizes, source: x.strides, target: strides, targetOffset: offset, type: inputs[0].type)
        let (number, type, count) = (number, inputs[0].type, y.count)
        return Kernel("strided") {
            Movement.fill(number, type, $0.outputs[0], count)
            copy(ThreadPool.shared.runtime, $0.inputs[0], $0.outputs[0])
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        let shape = context.inputs[0].shape
        return [
            try getItem(
                context.upstream,
                zip(shape.sizes, pairs(shape)).map { .range(start: $1[0], stop: $1[0] + $0, step: 1) })
        ]
    }
}

/// Adds [before, behind] elements to each axis.
package func pad(_ x: Value, _ widths: [[Int]], mode: String = "constant", value: Double = 0) throws -> Value {
    guard widths.allSatisfy({ $0.count == 2 && $0.allSatisfy { $0 >= 0 && $0 <= Int(Int32.max) } }) else {
        throw DLError(.argument, "[pad] widths must be pairs of whole numbers of at least 0. Received: \(widths)")
    }
    return try apply(PadOperation(PadOperation.Widths(widths), mode: mode, number: value), x)
}
