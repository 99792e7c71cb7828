import DLBase
import DLGraph
import DLOps
import DLTensor

/// Every optimizer that has a name.
package enum Optimizers {
    package static let registry = Registry<Optimizer>(
        "optimizer",
        [
            SGD.declaration, RMSprop.declaration, Adam.declaration, AdamW.adamWDeclaration, Adamax.declaration,
            Nadam.declaration, Adagrad.declaration, Adadelta.declaration, Ftrl.declaration, Lion.declaration,
            Lamb.declaration, Adafactor.declaration, Muon.declaration,
        ], beyondKeras: [Rprop.declaration])

    /// What every optimizer takes beside its rate and arguments of its own.
    static func commonArguments(_ alias: String, _ weightDecay: JSON = .null) -> [Argument] {
        let limit = Argument.Kind.optional(.float(1e-30...1e30))
        return [
            Argument("weight_decay", .optional(.float(Argument.notNegative)), weightDecay, "Share of a weight, times the learning rate, that goes at each update."),
            Argument("clipnorm", limit, .null, "Longest gradient of a variable."),
            Argument("clipvalue", limit, .null, "Largest entry of a gradient."),
            Argument("global_clipnorm", limit, .null, "Longest gradient of all variables together."),
            Argument("use_ema", .bool, false, "Whether a moving average of each weight is kept, which takes its place when fit ends."),
            Argument("ema_momentum", .float(Argument.fraction), 0.99, "Share of the old in the moving average."),
            Argument("ema_overwrite_frequency", .optional(.int(Argument.positive)), .null, "Updates after which the averages take the weights' place; null: only when fit ends."),
            Argument("loss_scale_factor", .optional(.float(1e-30...1e30)), .null, "Factor of the loss by which gradients are divided again."),
            Argument("gradient_accumulation_steps", .optional(.int(2...Int(Int32.max))), .null, "Steps whose mean gradient makes one update."),
            Argument("name", .optional(.string), .string(alias), "The name."),
        ]
    }

    static func rateArgument(_ learningRate: Double) -> Argument {
        Argument(
            "learning_rate", .floatOr(Argument.notNegative, category: "schedule"), .double(learningRate),
            "How far an update goes: a number, or a schedule.")
    }

    static func declare(
        _ name: String, _ alias: String, _ summary: String, formula: String, source: String, learningRate: Double,
        weightDecay: JSON = .null, _ arguments: [Argument], make: @escaping @Sendable (Arguments) throws -> Optimizer
    ) -> Declaration<Optimizer> {
        let common = commonArguments(alias, weightDecay)
        return Declaration(
            name, aliases: [alias], summary, formula: formula, source: source,
            shapes: "one state of the variable's shape for each moment",
            example: "local dl = require \"dl\"\nlocal w = dl.Variable{ 1.0, -2.0 }\nlocal optimizer = dl.optimizers.\(name){ learning_rate = 0.1 }\n"
                + "optimizer:apply({ dl.tensor{ 0.5, 1.0 } }, { w })\nprint(w)",
            arguments: [rateArgument(learningRate)] + arguments + common, make: make)
    }
}

extension Optimizer {
    static func share(_ name: String, _ value: Double, _ doc: String) -> Argument {
        Argument(name, .float(Argument.fraction), .double(value), doc)
    }

    static func epsilon(_ value: Double = 1e-7) -> Argument {
        Argument("epsilon", .float(Argument.notNegative), .double(value), "Keeps the divisor away from 0.")
    }

    /// The arguments of these names, and the weight decay, as an update operation takes them.
    func config(_ names: [String], decay: Double) -> JSONObject {
        var config = JSONObject(names.map { ($0, arguments[$0]) })
        if decay != 0 { config["weight_decay"] = .double(decay) }
        return config
    }
}
