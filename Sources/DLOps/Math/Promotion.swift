import DLBase
import DLGraph
import DLTensor

/// Where element types have to meet before a kernel runs.
enum Promotion {
    /// The type of a result of arithmetic: the larger one; truth values count as int32.
    static func arithmetic(_ types: [ElementType]) -> ElementType {
        let type = types.dropFirst().reduce(types.first ?? .float32) { $0.promoted(with: $1) }
        return type == .bool ? .int32 : type
    }

    /// The same where the result has a fraction: whole numbers become float32.
    static func floating(_ types: [ElementType]) -> ElementType {
        let type = arithmetic(types)
        return type.isFloatingPoint ? type : .float32
    }

    /// The larger one, truth values staying what they are.
    static func common(_ types: [ElementType]) -> ElementType {
        types.dropFirst().reduce(types.first ?? .float32) { $0.promoted(with: $1) }
    }

    /// The inputs cast to one type, or nil if they have it already.
    static func meet(_ inputs: [Value], _ type: ElementType) throws -> [Value]? {
        if inputs.allSatisfy({ $0.type == type }) { return nil }
        return try inputs.map { try cast($0, type) }
    }
}

/// A scalar that can be an operand beside `value`: of its type, or float32 where a whole number cannot hold it.
package func constant(_ number: Double, like value: Value) throws -> Value {
    let fits = value.type.isFloatingPoint || (number == number.rounded() && value.type != .bool)
    return Value(try Tensor(number: number, fits ? value.type : .float32))
}

/// A scalar of a given type.
package func constant(_ number: Double, _ type: ElementType = .float32) throws -> Value {
    Value(try Tensor(number: number, type))
}

enum Broadcasting {
    /// Operands that are read element by element as the result is written, and may give up their memory to it.
    static func inPlace(_ inputs: [TensorSpec], _ output: TensorSpec, _ operands: [Int]) -> [(output: Int, input: Int)] {
        operands.filter { inputs[$0].shape.count == output.shape.count && inputs[$0].type == output.type }.map { (0, $0) }
    }
}
