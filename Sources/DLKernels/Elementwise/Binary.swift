import CDLKernels
import DLBase

/// Functions of two elements.
package enum BinaryFunction: CaseIterable, Sendable {
    case add, subtract, multiply
    /// Whole numbers divide towards zero; division by zero gives 0 for them.
    case divide
    case power
    /// NaN when either is NaN.
    case maximum, minimum
    /// floor(a / b); division of whole numbers by zero gives 0.
    case floorDivide
    /// The remainder of `floorDivide`: it has the sign of b, as in Lua and Python.
    case mod
    case squaredDifference
    case atan2
    case logicalAnd, logicalOr, logicalXor
    case equal, notEqual, less, lessEqual, greater, greaterEqual

    var isComparison: Bool {
        switch self {
        case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual: true
        default: false
        }
    }

    var isLogical: Bool { self == .logicalAnd || self == .logicalOr || self == .logicalXor }

    /// The element type of the result, nil where the function is not defined for the operands' type.
    package func resultType(_ type: ElementType) -> ElementType? {
        if isComparison { return .bool }
        if isLogical { return type == .bool ? .bool : nil }
        switch type {
        case .float32, .float64: return type
        case .int32, .int64, .uint8: return self == .atan2 ? nil : type
        case .bool: return nil
        }
    }

    var code: Int {
        switch self {
        case .add: DL_BINARY_ADD
        case .subtract: DL_BINARY_SUBTRACT
        case .multiply: DL_BINARY_MULTIPLY
        case .divide: DL_BINARY_DIVIDE
        case .power: DL_BINARY_POWER
        case .maximum: DL_BINARY_MAXIMUM
        case .minimum: DL_BINARY_MINIMUM
        case .floorDivide: DL_BINARY_FLOOR_DIVIDE
        case .mod: DL_BINARY_MOD
        case .squaredDifference: DL_BINARY_SQUARED_DIFFERENCE
        case .atan2: DL_BINARY_ATAN2
        case .equal: DL_COMPARE_EQ
        case .notEqual: DL_COMPARE_NE
        case .less: DL_COMPARE_LT
        case .lessEqual: DL_COMPARE_LE
        case .greater: DL_COMPARE_GT
        case .greaterEqual: DL_COMPARE_GE
        case .logicalAnd, .logicalOr, .logicalXor: -1
        }
    }
}

/// y = f(a, b) with broadcasting. y may be an operand that has the shape of the result.
package struct BinaryKernel: @unchecked Sendable {
    package let function: BinaryFunction
    package let type: ElementType
    package let resultType: ElementType
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil where the function is not defined for the type.
    package init?(_ function: BinaryFunction, _ type: ElementType, level: ProcessorLevel = .current) {
        guard let resultType = function.resultType(type) else { return nil }
        self.function = function
        self.type = type
        self.resultType = resultType
        table = tunedMath(type, level)
    }

    /// a and b are the plan's first two operands.
    package func callAsFunction(
        _ runtime: Runtime?, _ plan: BroadcastPlan, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer,
        _ y: UnsafeMutableRawPointer
    ) {
        if let table {
            withUnsafePointer(to: plan.loops) { loops in
                let code = Int64(function.code), a = a.of(Float.self), b = b.of(Float.self)
                if function.isComparison {
                    table.pointee.compare?(runtime, loops, code, a, b, y.of(UInt8.self))
                } else {
                    table.pointee.binary?(runtime, loops, code, a, b, y.of(Float.self))
                }
            }
            return
        }
        switch type {
        case .float32: real(plan, a.of(Float.self), b.of(Float.self), y)
        case .float64: real(plan, a.of(Double.self), b.of(Double.self), y)
        case .int32: whole(plan, a.of(Int32.self), b.of(Int32.self), y)
        case .int64: whole(plan, a.of(Int64.self), b.of(Int64.self), y)
        case .uint8, .bool: whole(plan, a.of(UInt8.self), b.of(UInt8.self), y)
        }
    }

    /// One loop for every function, with the function's name known outside of it.
    @inline(__always)
    private func loop<T, R>(
        _ plan: BroadcastPlan, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutableRawPointer,
        _ f: (T, T) -> R
    ) {
        let y = y.of(R.self)
        plan.forEachRow { offsets, start, steps, n in
            let a = a + offsets.0, b = b + offsets.1, y = y + start
            for i in 0..<n { y[i] = f(a[i &* steps.0], b[i &* steps.1]) }
        }
    }

    @inline(__always)
    private func compare<T: Comparable>(
        _ plan: BroadcastPlan, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutableRawPointer
    ) {
        switch function {
        case .equal: loop(plan, a, b, y) { $0 == $1 ? UInt8(1) : 0 }
        case .notEqual: loop(plan, a, b, y) { $0 != $1 ? UInt8(1) : 0 }
        case .less: loop(plan, a, b, y) { $0 < $1 ? UInt8(1) : 0 }
        case .lessEqual: loop(plan, a, b, y) { $0 <= $1 ? UInt8(1) : 0 }
        case .greater: loop(plan, a, b, y) { $0 > $1 ? UInt8(1) : 0 }
        default: loop(plan, a, b, y) { $0 >= $1 ? UInt8(1) : 0 }
        }
    }

    private func real<T: FloatElement>(
        _ plan: BroadcastPlan, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutableRawPointer
    ) {
        switch function {
        case .add: loop(plan, a, b, y) { $0 + $1 }
        case .subtract: loop(plan, a, b, y) { $0 - $1 }
        case .multiply: loop(plan, a, b, y) { $0 * $1 }
        case .divide: loop(plan, a, b, y) { $0 / $1 }
        case .power: loop(plan, a, b, y) { T(rounding: dl_pow_d($0.double, $1.double)) }
        case .maximum: loop(plan, a, b, y) { $0.isNaN ? $0 : $0 > $1 ? $0 : $1 }
        case .minimum: loop(plan, a, b, y) { $0.isNaN ? $0 : $0 < $1 ? $0 : $1 }
        case .floorDivide: loop(plan, a, b, y) { ($0 / $1).rounded(.down) }
        case .mod:
            loop(plan, a, b, y) { a, b in
                let r = T(rounding: dl_fmod_d(a.double, b.double))
                return r != 0 && (r < 0) != (b < 0) ? r + b : r
            }
        case .squaredDifference: loop(plan, a, b, y) { ($0 - $1) * ($0 - $1) }
        case .atan2: loop(plan, a, b, y) { T(rounding: dl_atan2_d($0.double, $1.double)) }
        case .logicalAnd, .logicalOr, .logicalXor: break
        default: compare(plan, a, b, y)
        }
    }

    private func whole<T: FixedWidthInteger>(
        _ plan: BroadcastPlan, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>, _ y: UnsafeMutableRawPointer
    ) {
        switch function {
        case .add: loop(plan, a, b, y) { $0 &+ $1 }
        case .subtract: loop(plan, a, b, y) { $0 &- $1 }
        case .multiply: loop(plan, a, b, y) { $0 &* $1 }
        // The one overflow, minimum / -1, wraps to the minimum.
        case .divide: loop(plan, a, b, y) { $1 == 0 ? T(0) : $0.dividedReportingOverflow(by: $1).partialValue }
        case .power: loop(plan, a, b, y) { wholePower($0, $1) }
        case .maximum: loop(plan, a, b, y) { $0 > $1 ? $0 : $1 }
        case .minimum: loop(plan, a, b, y) { $0 < $1 ? $0 : $1 }
        case .floorDivide:
            loop(plan, a, b, y) { (a: T, b: T) -> T in
                if b == 0 { return 0 }
                let (q, overflow) = a.dividedReportingOverflow(by: b)
                return overflow ? q : a % b != 0 && (a < 0) != (b < 0) ? q &- 1 : q
            }
        case .mod:
            loop(plan, a, b, y) { (a: T, b: T) -> T in
                if b == 0 { return 0 }
                let r = a.remainderReportingOverflow(dividingBy: b).partialValue
                return r != 0 && (r < 0) != (b < 0) ? r &+ b : r
            }
        case .squaredDifference: loop(plan, a, b, y) { ($0 &- $1) &* ($0 &- $1) }
        case .logicalAnd: loop(plan, a, b, y) { $0 != 0 && $1 != 0 ? UInt8(1) : 0 }
        case .logicalOr: loop(plan, a, b, y) { $0 != 0 || $1 != 0 ? UInt8(1) : 0 }
        case .logicalXor: loop(plan, a, b, y) { ($0 != 0) != ($1 != 0) ? UInt8(1) : 0 }
        case .atan2: break
        default: compare(plan, a, b, y)
        }
    }
}

/// By squaring, wrapping on overflow; a negative exponent gives the whole part: 0, or 1 and -1 for those bases.
private func wholePower<T: FixedWidthInteger>(_ base: T, _ exponent: T) -> T {
    if exponent < 0 {
        if base == 1 { return 1 }
        if T.isSigned && base == 0 &- 1 { return exponent & 1 == 0 ? 1 : base }
        return 0
    }
    var result: T = 1, square = base, rest = exponent
    while rest != 0 {
        if rest & 1 == 1 { result = result &* square }
        square = square &* square
        rest >>= 1
    }
    return result
}

/// y = condition ? a : b with broadcasting; a, b and y have elements of `byteCount` bytes.
package struct SelectKernel: Sendable {
    package let byteCount: Int

    /// nil for other sizes than 1, 4 and 8.
    package init?(byteCount: Int) {
        guard byteCount == 1 || byteCount == 4 || byteCount == 8 else { return nil }
        self.byteCount = byteCount
    }

    /// condition (bytes), a and b are the plan's three operands.
    package func callAsFunction(
        _ plan: BroadcastPlan, condition: UnsafePointer<UInt8>, _ a: UnsafeRawPointer, _ b: UnsafeRawPointer,
        _ y: UnsafeMutableRawPointer
    ) {
        switch byteCount {
        case 1: run(plan, condition, a.of(UInt8.self), b.of(UInt8.self), y.of(UInt8.self))
        case 4: run(plan, condition, a.of(UInt32.self), b.of(UInt32.self), y.of(UInt32.self))
        default: run(plan, condition, a.of(UInt64.self), b.of(UInt64.self), y.of(UInt64.self))
        }
    }

    private func run<T: FixedWidthInteger>(
        _ plan: BroadcastPlan, _ condition: UnsafePointer<UInt8>, _ a: UnsafePointer<T>, _ b: UnsafePointer<T>,
        _ y: UnsafeMutablePointer<T>
    ) {
        plan.forEachRow { offsets, start, steps, n in
            let c = condition + offsets.0, a = a + offsets.1, b = b + offsets.2, y = y + start
            for i in 0..<n { y[i] = c[i &* steps.0] != 0 ? a[i &* steps.1] : b[i &* steps.2] }
        }
    }
}
