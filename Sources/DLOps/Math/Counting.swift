import DLBase
import DLGraph
import DLTensor

/// How often each number occurs.
struct BincountOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "bincount", "How often each of 0, 1, 2, ... occurs in a row of whole numbers. The length of the result depends on "
            + "the numbers, unless `length` fixes it.",
        shapes: "(n,) whole numbers; (length,) int32, or the dtype of the weights",
        extra: JSONObject([("inputs", ["x", "weights"]), ("optional_inputs", 1)]),
        arguments: [
            Argument("minlength", .int(0...Int(Int32.max)), 0, "The least length of the result."),
            Argument(
                "length", .optional(.int(0...Int(Int32.max))), .null,
                "The length, for use in compiled functions; null for one more than the largest number."),
        ],
        make: { BincountOperation(least: $0.int("minlength"), length: $0.optionalInt("length")) })

    static let samples = [
        OperationSample(.integers([20], below: 5), attributes: ["length": 6], differentiable: false),
        OperationSample(
            .integers([7], below: 3), .uniform([7]), attributes: ["length": 3], differentiable: false),
    ]

    let least: Int
    let length: Int?
    var attributes: JSON { ["minlength": .int(Int64(least)), "length": length.map { .int(Int64($0)) } ?? .null] }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count == 1 || inputs.count == 2 else {
            throw DLError(.argument, "[bincount] takes 1 or 2 inputs. Received: \(inputs.count)")
        }
        try Positions.expect(inputs[0], name)
        guard inputs[0].shape.rank == 1, inputs.count == 1 || inputs[1].shape == inputs[0].shape else {
            throw DLError(
                .shape, "[bincount] takes a row of whole numbers, and as many weights. Received: "
                    + inputs.map { "\($0.shape)" }.joined(separator: ", "))
        }
        guard let length else {
            throw DLError(
                .unsupported, "[bincount] the length of the result depends on the numbers; give 'length' where they are "
                    + "not known yet. Received: symbolic \(inputs[0].shape)")
        }
        return [TensorSpec(Shape([length]), inputs.count == 2 ? inputs[1].type : .int32)]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard length == nil, let first = inputs.first, !first.isSymbolic else { return nil }
        let x = try first.tensor(name)
        var size = least
        for index in 0..<x.count {
            let number = x.number(at: index)
            guard number >= 0, number < Double(Int32.max) else {
                throw DLError(
                    .range, "[bincount] numbers must be from 0 to 2147483646. Received: \(Text.shortest(number))")
            }
            size = max(size, Int(number) + 1)
        }
        return try DLGraph.apply(BincountOperation(least: least, length: size), to: inputs)
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (count, type, length) = (inputs[0].shape.count, inputs[0].type, outputs[0].shape.count)
        let (element, bytes, isWeighted) = (outputs[0].type, outputs[0].byteCount, inputs.count == 2)
        let width = element.byteCount
        return Kernel("scatter", cannotFail: false) { arguments in
            arguments.outputs[0].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            for i in 0..<count {
                let k = Positions.read(arguments.inputs[0], type, i)
                guard k >= 0, k < length else {
                    throw DLError(.range, "[bincount] a number does not fit a result of length \(length). Received: \(k)")
                }
                let target = arguments.outputs[0] + k &* width
                if isWeighted {
                    Loops.accumulate(element, arguments.inputs[1] + i &* width, target, 1)
                } else {
                    target.assumingMemoryBound(to: Int32.self).pointee &+= 1
                }
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { context.inputs.map { _ in nil } }
}

/// Where elements are not 0: known only when the numbers are.
struct NonzeroOperation: DeclaredOperation {
    static let declaration = Declaration<any Operation>(
        "nonzero", "The positions of the elements that are not 0, one row of positions for each axis. Its size depends on "
            + "the numbers, so it cannot be part of a compiled function.",
        shapes: "any shape with at least one axis; for each axis (n,) int32",
        extra: JSONObject([("inputs", ["x"]), ("result_kinds", ["index"]), ("eager_only", true)]),
        make: { _ in NonzeroOperation() })

    static let samples = [OperationSample(.given([0, 2, 3, 0, 0, -1], [2, 3], .float32), differentiable: false)]

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        throw DLError(
            .unsupported, "[nonzero] the size of the result depends on the numbers, so it cannot be part of a model or a "
                + "compiled function; use where(condition, x1, x2) there. Received: symbolic \(inputs[0].shape)")
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        guard inputs.count == 1, !inputs[0].isSymbolic, ThreadContext.current.recording == nil else { return nil }
        let x = try inputs[0].tensor(name)
        guard x.shape.rank > 0, x.count <= Int(Int32.max) else {
            throw DLError(.shape, "[nonzero] takes a tensor with at least one axis. Received: \(x.shape)")
        }
        let found = (0..<x.count).filter { x.number(at: $0) != 0 }
        let strides = x.shape.strides
        return try x.shape.sizes.indices.map { axis in
            Value(try Tensor(found.map { Int32($0 / strides[axis] % max(x.shape[axis], 1)) }))
        }
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        throw DLError(.internal, "[nonzero] has no kernel")
    }
}

/// Sums over the rows of each segment.
let segmentEntries: [OperationEntry] = [
    FormulaOperation.derived(
        "segment_sum", "Sums the rows that belong to one segment.",
        formula: "y[s] = sum of data[i] where segment_ids[i] = s",
        shapes: "data (n, ...), segment_ids (n,); (num_segments, ...)", inputs: ["data", "segment_ids"],
        extra: JSONObject([("input_kinds", ["any", "index"])]), arguments: segmentArguments,
        samples: [
            OperationSample(.uniform([4, 2]), .given([0, 2, 0, 1], [4], .int32), attributes: ["num_segments": 3])
        ]
    ) { inputs, arguments in
        guard inputs[1].shape.rank == 1, inputs[0].shape.rank >= 1 else {
            throw DLError(
                .shape, "[segment_sum] takes rows and as many segment numbers. "
                    + received(("data", inputs[0].spec), ("segment_ids", inputs[1].spec)))
        }
        return [
            try apply(
                TakeGradientOperation(axis: 0, size: segmentCount(arguments, inputs[1])), inputs[0], inputs[1])
        ]
    }
]
