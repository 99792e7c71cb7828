import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Functions of the bits of whole numbers, broadcast.
struct BitOperation: Operation {
    enum Function: String, CaseIterable {
        case and = "bitwise_and"
        case or = "bitwise_or"
        case xor = "bitwise_xor"
        case left = "left_shift"
        case right = "right_shift"
        case gcd, lcm

        var summary: String {
            switch self {
            case .and: "Bits that both numbers have."
            case .or: "Bits that at least one number has."
            case .xor: "Bits that exactly one number has."
            case .left: "Bits moved up, zeros after them; a shift by more than the width gives 0."
            case .right: "Bits moved down, the sign stays."
            case .gcd: "The greatest common divisor; of zeros it is 0."
            case .lcm: "The least common multiple; 0 where a number is 0. It wraps where it does not fit."
            }
        }

        var aliases: [String] {
            switch self {
            case .left: ["bitwise_left_shift"]
            case .right: ["bitwise_right_shift"]
            default: []
            }
        }

        func apply<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
            switch self {
            case .and: return a & b
            case .or: return a | b
            case .xor: return a ^ b
            // Negative shifts would go the other way; here they count as 0.
            case .left: return b < 0 ? a : a << b
            case .right: return b < 0 ? a : a >> b
            case .gcd: return BitOperation.gcd(a, b)
            case .lcm:
                let divisor = BitOperation.gcd(a, b)
                return divisor == 0 ? 0 : T(truncatingIfNeeded: (a.magnitude / divisor.magnitude) &* b.magnitude)
            }
        }
    }

    static func gcd<T: FixedWidthInteger>(_ a: T, _ b: T) -> T {
        var (x, y) = (a.magnitude, b.magnitude)
        while y != 0 { (x, y) = (y, x % y) }
        return T(truncatingIfNeeded: x)
    }

    let function: Function
    var name: String { function.rawValue }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        for input in inputs where input.type.isFloatingPoint {
            throw DLError(.dtype, "[\(name)] takes whole numbers. " + received(("x1", inputs[0]), ("x2", inputs[1])))
        }
        return [TensorSpec(try inputs[0].shape.broadcast(with: inputs[1].shape, name), Promotion.common(inputs.map(\.type)))]
    }

    func composed(_ inputs: [Value]) throws -> [Value]? {
        let spec = try outputs(for: inputs.map(\.spec))[0]
        if inputs.allSatisfy({ $0.spec == spec }) { return nil }
        return try DLGraph.apply(self, to: inputs.map { try broadcastTo(cast($0, spec.type), spec.shape) })
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (count, type, function) = (outputs[0].shape.count, outputs[0].type, function)
        func run<T: FixedWidthInteger>(_: T.Type, _ arguments: KernelArguments) {
            let (a, b, y) = (arguments.input(0, T.self), arguments.input(1, T.self), arguments.output(0, T.self))
            for i in 0..<count { y[i] = function.apply(a[i], b[i]) }
        }
        return Kernel("loop", inPlace: [(0, 0), (0, 1)]) { arguments in
            switch type {
            case .int32: run(Int32.self, arguments)
            case .int64: run(Int64.self, arguments)
            default: run(UInt8.self, arguments)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] { [nil, nil] }

    static let entries: [OperationEntry] = Function.allCases.map { function in
        OperationEntry(
            Declaration(
                function.rawValue, aliases: function.aliases, function.summary, shapes: "whole numbers, broadcast; the larger dtype",
                extra: JSONObject([("inputs", ["x1", "x2"])]), make: { _ in BitOperation(function: function) }),
            samples: [
                OperationSample(.integers([3, 4], below: 9), .integers([4], below: 5), differentiable: false),
                OperationSample(.integers([2, 3], below: 9, .uint8), .integers([2, 3], below: 20, .int64), differentiable: false),
            ])
    } + [
        FormulaOperation.derived(
            "bitwise_not", aliases: ["bitwise_invert"], "All bits changed; of truth values, the opposite.", formula: "-1 - x",
            shapes: "whole numbers; the same comes out",
            samples: [OperationSample(.integers([5], below: 9), differentiable: false)]
        ) { inputs, _ in
            let x = inputs[0]
            if x.type == .bool { return [try logicalNot(x)] }
            let ones = try Value(Tensor(number: x.type == .uint8 ? 255 : -1, x.type))
            return [try apply(BitOperation(function: .xor), x, ones)]
        }
    ]
}
