import CDLKernels
import DLBase
import DLGraph

extension UnaryFunction {
    private static let rootHalf = 0.707106781186547524
    private static let rootTwoOverPi = 0.797884560802865356
    private static let inverseRootTwoPi = 0.398942280401432678
    private static let cubic = 0.044715

    static let gelu = UnaryFunction(
        "gelu", kernel: .gelu, "x times the normal distribution's probability of being below x.",
        formula: "x (1 + erf(x / sqrt 2)) / 2; approximate: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2",
        source: "Hendrycks, Gimpel, \"Gaussian error linear units\", 2016", selector: JSONObject([("approximate", false)]),
        sampleAttributes: ["approximate": false],
        derivative: Derivative(
            usesOutput: false,
            second: { x, _, _ in
                let square = try DLOps.square(x)
                return try multiply(
                    scale(DLOps.exp(scale(square, -0.5)), inverseRootTwoPi), scale(square, -1, 2))
            }))

    static let geluApproximate = UnaryFunction(
        "gelu", kernel: .geluTanh, "", selector: JSONObject([("approximate", true)]), sampleAttributes: ["approximate": true],
        derivative: Derivative(
            usesOutput: false,
            second: { x, _, _ in
                let square = try DLOps.square(x)
                let t = try DLOps.tanh(scale(multiply(x, scale(square, cubic, 1)), rootTwoOverPi))
                let slope = try scale(square, 3 * cubic * rootTwoOverPi, rootTwoOverPi)
                let bend = try subtract(
                    scale(x, 6 * cubic * rootTwoOverPi), multiply(scale(t, 2), DLOps.square(slope)))
                let sech = try scale(DLOps.square(t), -1, 1)
                return try multiply(sech, add(slope, multiply(scale(x, 0.5), bend)))
            }))

    static let geluEntries: [OperationEntry] = {
        let approximate = [Argument("approximate", .bool, true, "Whether the form with tanh is used.")]
        @Sendable func function(_ arguments: Arguments) -> UnaryFunction {
            arguments.bool("approximate") ? geluApproximate : gelu
        }
        return [
            OperationEntry(
                Declaration(
                    "gelu", gelu.summary, formula: gelu.formula, source: gelu.source, shapes: gelu.declaration.shapes,
                    extra: gelu.declaration.extra, arguments: approximate,
                    make: { UnaryOperation(function($0)) }),
                samples: gelu.samples + geluApproximate.samples),
            OperationEntry(
                Declaration(
                    "gelu_gradient", "The gradient of gelu: dy times its slope.", formula: "dx = dy f'(x)",
                    shapes: "dy and x of one shape; the same comes out",
                    extra: JSONObject([("inputs", ["dy", "x"]), ("internal", true)]), arguments: approximate,
                    make: { UnaryGradientOperation(UnaryOperation(function($0))) }),
                samples: [
                    OperationSample(.uniform([3, 5]), .uniform([3, 5]), attributes: ["approximate": true]),
                    OperationSample(.uniform([3, 5]), .uniform([3, 5]), attributes: ["approximate": false]),
                ]),
        ]
    }()
}

/// x Phi(x), exactly or with the tanh approximation.
package func gelu(_ x: Value, approximate: Bool = true) throws -> Value {
    try apply(UnaryOperation(approximate ? .geluApproximate : .gelu), x)
}
