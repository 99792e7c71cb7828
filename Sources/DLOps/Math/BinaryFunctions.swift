import DLBase
import DLGraph

extension BinaryFunction {
    static let add = BinaryFunction(
        "add", kernel: .add, "The sum.", formula: "x1 + x2", gradient: { ($0.dy, $0.dy) })

    static let subtract = BinaryFunction(
        "subtract", kernel: .subtract, "The difference.", formula: "x1 - x2", gradient: { g in (g.dy, try g.needs[1] ? negative(g.dy) : nil) })

    static let multiply = BinaryFunction(
        "multiply", kernel: .multiply, "The product.", formula: "x1 x2", gradient: { g in
            (
                try g.needs[0] ? DLOps.multiply(g.dy, g.b) : nil,
                try g.needs[1] ? DLOps.multiply(g.dy, g.a) : nil
            )
        })

    static let divide = BinaryFunction(
        "divide", kernel: .divide, aliases: ["true_divide"], "The quotient; of whole numbers too, as float32.", formula: "x1 / x2",
        domains: (-2...2, 0.5...2),
        isReal: true, gradient: { g in
            let slope = try DLOps.divide(g.dy, g.b)
            return (slope, try g.needs[1] ? negative(DLOps.multiply(slope, g.y)) : nil)
        })

    static let power = BinaryFunction(
        "power", kernel: .power, "x1 to the power of x2; whole numbers with a negative exponent give 0.", formula: "x1^x2",
        domains: (0.4...2, -2...2), gradient: { g in
            var left: Value?
            if g.needs[0] {
                left = try DLOps.multiply(
                    g.dy, DLOps.multiply(g.b, DLOps.power(g.a, DLOps.subtract(g.b, constant(1, like: g.b)))))
            }
            var right: Value?
            if g.needs[1] {
                // 0^b does not change with b > 0, and ln 0 must not make it NaN.
                let positive = try greater(g.a, constant(0, like: g.a))
                let safe = try `where`(positive, g.a, constant(1, like: g.a))
                right = try DLOps.multiply(g.dy, DLOps.multiply(g.y, log(safe)))
            }
            return (left, right)
        })

    static let maximum = BinaryFunction(
        "maximum", kernel: .maximum, "The larger one; NaN if either is. Of equal ones each takes half of the gradient.",
        formula: "max(x1, x2)", gradient: { g in try extremeGradient(g, greater(g.a, g.b), less(g.a, g.b)) })

    static let minimum = BinaryFunction(
        "minimum", kernel: .minimum, "The smaller one; NaN if either is. Of equal ones each takes half of the gradient.",
        formula: "min(x1, x2)", gradient: { g in try extremeGradient(g, less(g.a, g.b), greater(g.a, g.b)) })

    static let floorDivide = BinaryFunction(
        "floor_divide", kernel: .floorDivide, "The quotient rounded down; whole numbers give 0 for a divisor of 0.",
        formula: "floor(x1 / x2)", domains: (-5...5, 0.5...2))

    static let mod = BinaryFunction(
        "mod", kernel: .mod, "The remainder with the divisor's sign; whole numbers give 0 for a divisor of 0.",
        formula: "x1 - floor(x1 / x2) x2", domains: (-5...5, 0.8...2),
        gradient: { g in
            (g.dy, try g.needs[1] ? negative(DLOps.multiply(g.dy, DLOps.floorDivide(g.a, g.b))) : nil)
        })

    static let squaredDifference = BinaryFunction(
        "squared_difference", kernel: .squaredDifference, "The square of the difference.", formula: "(x1 - x2)^2",
        gradient: { g in
            let slope = try DLOps.multiply(scale(g.dy, 2), DLOps.subtract(g.a, g.b))
            return (slope, try g.needs[1] ? negative(slope) : nil)
        })

    static let arctan2 = BinaryFunction(
        "arctan2", kernel: .atan2, "The angle of the point (x2, x1), -pi to pi.", formula: "atan(x1 / x2)", domains: (-2...2, 0.5...2),
        isReal: true, gradient: { g in
            let scaled = try DLOps.divide(g.dy, DLOps.add(square(g.a), square(g.b)))
            return (
                try g.needs[0] ? DLOps.multiply(scaled, g.b) : nil,
                try g.needs[1] ? negative(DLOps.multiply(scaled, g.a)) : nil
            )
        })

    static let all: [BinaryFunction] = [
        add, subtract, multiply, divide, power, maximum, minimum, floorDivide, mod, squaredDifference, arctan2,
    ]

    private static func extremeGradient(
        _ g: BinaryGradient, _ first: Value, _ second: Value
    ) throws -> (Value?, Value?) {
        // 1 where an operand wins, 1/2 where they are equal.
        func share(_ wins: Value, _ loses: Value) throws -> Value {
            let difference = try DLOps.subtract(cast(wins, g.dy.type), cast(loses, g.dy.type))
            return try DLOps.multiply(g.dy, scale(difference, 0.5, 0.5))
        }
        return (
            try g.needs[0] ? share(first, second) : nil, try g.needs[1] ? share(second, first) : nil
        )
    }
}

// MARK: For Swift

package func add(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.add), a, b) }
package func subtract(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.subtract), a, b) }
package func multiply(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.multiply), a, b) }
package func divide(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.divide), a, b) }
package func power(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.power), a, b) }
package func maximum(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.maximum), a, b) }
package func minimum(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.minimum), a, b) }
package func floorDivide(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.floorDivide), a, b) }
package func mod(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.mod), a, b) }
package func squaredDifference(_ a: Value, _ b: Value) throws -> Value {
    try apply(BinaryOperation(.squaredDifference), a, b)
}
package func arctan2(_ a: Value, _ b: Value) throws -> Value { try apply(BinaryOperation(.arctan2), a, b) }
