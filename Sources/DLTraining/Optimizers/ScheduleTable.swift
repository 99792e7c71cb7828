import CDLKernels
import DLBase

/// Every learning-rate schedule that has a name, with Keras's formulas.
package enum Schedules {
    package static let registry = Registry<Schedule>(
        "schedule",
        [
            exponentialDecay, inverseTimeDecay, piecewiseConstantDecay, polynomialDecay, cosineDecay, cosineDecayRestarts,
        ])

    private typealias Rate = @Sendable (_ step: Double) -> Double

    private static func declare(
        _ name: String, _ label: String, _ summary: String, formula: String, example: String, _ arguments: [Argument],
        _ make: @escaping @Sendable (Arguments) throws -> Rate
    ) -> Declaration<Schedule> {
        Declaration(
            name, summary, formula: formula, source: "Keras, keras.optimizers.schedules.\(name)",
            shapes: "the number of updates so far -> the learning rate",
            example: "local dl = require \"dl\"\nlocal schedule = dl.optimizers.schedules.\(example)\n"
                + "local optimizer = dl.optimizers.SGD{ learning_rate = schedule }\nprint(schedule(0), optimizer.learning_rate)",
            arguments: arguments + [Argument("name", .optional(.string), .string(label), "The name.")]
        ) { arguments in
            let rate = try make(arguments)
            return Schedule(name: name, serialized: registry.form(name, arguments.json)) { rate($0) }
        }
    }

    private static let start = Argument("initial_learning_rate", .float(Argument.notNegative), nil, "The rate at step 0.")
    private static func steps(_ name: String) -> Argument {
        Argument(name, .float(1e-30...1e15), nil, "Steps until the decay is complete.")
    }
    private static let staircase = Argument("staircase", .bool, false, "Whether the rate changes at whole multiples of decay_steps only.")
    private static let alpha = Argument("alpha", .float(Argument.anyFloat), 0.0, "The rate in the end, as a share of the first.")

    private static let exponentialDecay = declare(
        "ExponentialDecay", "ExponentialDecay", "The rate falls by the same factor in every decay_steps.",
        formula: "initial_learning_rate decay_rate^(step / decay_steps)", example: "ExponentialDecay(0.1, 1000, 0.5)",
        [start, steps("decay_steps"), Argument("decay_rate", .float(Argument.notNegative), nil, "The factor."), staircase]
    ) { arguments in
        let (start, steps, rate) = (arguments.float("initial_learning_rate"), arguments.float("decay_steps"), arguments.float("decay_rate"))
        let staircase = arguments.bool("staircase")
        return { step in start * dl_pow_d(rate, staircase ? (step / steps).rounded(.down) : step / steps) }
    }

    private static let inverseTimeDecay = declare(
        "InverseTimeDecay", "InverseTimeDecay", "The rate falls like 1 over time.",
        formula: "initial_learning_rate / (1 + decay_rate step / decay_steps)", example: "InverseTimeDecay(0.1, 1000, 0.5)",
        [start, steps("decay_steps"), Argument("decay_rate", .float(Argument.notNegative), nil, "How fast it falls."), staircase]
    ) { arguments in
        let (start, steps, rate) = (arguments.float("initial_learning_rate"), arguments.float("decay_steps"), arguments.float("decay_rate"))
        let staircase = arguments.bool("staircase")
        return { step in start / (1 + rate * (staircase ? (step / steps).rounded(.down) : step / steps)) }
    }

    private static let piecewiseConstantDecay = declare(
        "PiecewiseConstantDecay", "PiecewiseConstant", "One rate up to the first boundary, another up to the second, and so on.",
        formula: "values[i] for boundaries[i - 1] < step <= boundaries[i]",
        example: "PiecewiseConstantDecay({ 1000, 2000 }, { 0.1, 0.01, 0.001 })",
        [
            Argument("boundaries", .list(.float(0...1e15)), nil, "The last step with each rate but the last, in rising order."),
            Argument("values", .list(.float(Argument.notNegative)), nil, "The rates, one more than boundaries."),
        ]
    ) { arguments in
        let boundaries = (arguments["boundaries"].arrayValue ?? []).compactMap(\.doubleValue)
        let values = (arguments["values"].arrayValue ?? []).compactMap(\.doubleValue)
        guard !boundaries.isEmpty, values.count == boundaries.count + 1 else {
            throw DLError(
                .argument, "[PiecewiseConstantDecay] 'values' must have one entry more than 'boundaries', which must have one. "
                    + "Received: \(boundaries.count) boundaries, \(values.count) values")
        }
        guard zip(boundaries, boundaries.dropFirst()).allSatisfy({ $0 < $1 }) else {
            throw arguments.error("boundaries", "in rising order")
        }
        return { step in values[boundaries.firstIndex { step <= $0 } ?? boundaries.count] }
    }

    private static let polynomialDecay = declare(
        "PolynomialDecay", "PolynomialDecay", "The rate falls to end_learning_rate along a polynomial.",
        formula: "(initial_learning_rate - end_learning_rate) (1 - min(step / decay_steps, 1))^power + end_learning_rate; with cycle "
            + "decay_steps grows to the next multiple above step",
        example: "PolynomialDecay(0.1, 1000, 0.001, 2)",
        [
            start, steps("decay_steps"),
            Argument("end_learning_rate", .float(Argument.notNegative), 0.0001, "The rate in the end."),
            Argument("power", .float(Argument.anyFloat), 1.0, "The polynomial's degree."),
            Argument("cycle", .bool, false, "Whether it begins anew beyond decay_steps."),
        ]
    ) { arguments in
        let (start, steps, end) = (arguments.float("initial_learning_rate"), arguments.float("decay_steps"), arguments.float("end_learning_rate"))
        let (exponent, cycle) = (arguments.float("power"), arguments.bool("cycle"))
        return { step in
            let length = cycle && step > 0 ? steps * (step / steps).rounded(.up) : steps
            return (start - end) * dl_pow_d(1 - min(step, length) / length, exponent) + end
        }
    }

    private static let cosineDecay = declare(
        "CosineDecay", "CosineDecay", "The rate falls along half a cosine, after a linear warm-up where one is wanted.",
        formula: "start ((1 - alpha) (1 + cos(pi min(step, decay_steps) / decay_steps)) / 2 + alpha)",
        example: "CosineDecay{ initial_learning_rate = 0.0, decay_steps = 1000, warmup_target = 0.1, warmup_steps = 100 }",
        [
            start, steps("decay_steps"), alpha,
            Argument("warmup_target", .optional(.float(Argument.notNegative)), .null, "The rate after the warm-up; null: no warm-up."),
            Argument("warmup_steps", .float(0...1e15), 0, "Steps from initial_learning_rate to warmup_target."),
        ]
    ) { arguments in
        let (start, steps, alpha) = (arguments.float("initial_learning_rate"), arguments.float("decay_steps"), arguments.float("alpha"))
        let (target, warmup) = (arguments.optionalFloat("warmup_target"), arguments.float("warmup_steps"))
        @Sendable func decayed(_ from: Double, _ step: Double) -> Double {
            from * ((1 - alpha) * 0.5 * (1 + dl_cos_d(Double.pi * (step / steps))) + alpha)
        }
        return { step in
            guard let target else { return decayed(start, min(step, steps)) }
            if step < warmup { return (target - start) * (step / warmup) + start }
            return decayed(target, min(step - warmup, steps))
        }
    }

    private static let cosineDecayRestarts = declare(
        "CosineDecayRestarts", "SGDRDecay", "Half cosines one after the other, each t_mul times as long and m_mul times as high.",
        formula: "period i of length first_decay_steps t_mul^i: start ((1 - alpha) m_mul^i (1 + cos(pi share)) / 2 + alpha)",
        example: "CosineDecayRestarts(0.1, 100)",
        [
            start, steps("first_decay_steps"),
            Argument("t_mul", .float(1...1e6), 2.0, "How much longer each period is than the last."),
            Argument("m_mul", .float(Argument.notNegative), 1.0, "How much higher each period begins."), alpha,
        ]
    ) { arguments in
        let (start, steps, alpha) = (arguments.float("initial_learning_rate"), arguments.float("first_decay_steps"), arguments.float("alpha"))
        let (longer, higher) = (arguments.float("t_mul"), arguments.float("m_mul"))
        return { step in
            var share = step / steps
            var period = 0.0
            if longer == 1 {
                period = share.rounded(.down)
                share -= period
            } else {
                period = (dl_log_d(1 - share * (1 - longer)) / dl_log_d(longer)).rounded(.down)
                let length = dl_pow_d(longer, period)
                share = (share - (1 - length) / (1 - longer)) / length
            }
            let cosine = 0.5 * dl_pow_d(higher, period) * (1 + dl_cos_d(Double.pi * share))
            return start * ((1 - alpha) * cosine + alpha)
        }
    }
}
