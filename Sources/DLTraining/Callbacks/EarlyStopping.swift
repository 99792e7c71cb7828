import DLBase
import DLGraph
import DLTensor

/// Ends training when a figure has stopped getting better.
package final class EarlyStopping: Callback {
    static let declaration = Declaration<Callback>(
        "EarlyStopping", "Ends training when a figure has stopped getting better.",
        source: "Keras, keras.callbacks.EarlyStopping",
        arguments: Monitor.arguments + [
            Argument("min_delta", .float(Argument.notNegative), 0, "Smaller changes do not count."),
            Argument("patience", .int(0...Int.max), 0, "Epochs without a better figure that are borne."),
            Argument("verbose", .any, 0, "Unused: nothing is printed."),
            Argument("baseline", .optional(.float(Argument.anyFloat)), .null, "A figure that must be beaten."),
            Argument("restore_best_weights", .bool, false, "Whether the model ends with the weights of its best epoch, however training ends."),
            Argument("start_from_epoch", .int(0...Int.max), 0, "Epochs before this one do not count."),
        ]
    ) { EarlyStopping($0) }

    private let arguments: Arguments
    private let monitor: Monitor
    private var best: Double
    private var wait = 0
    private var bestWeights: [(Variable, Tensor)]?

    init(_ arguments: Arguments) {
        self.arguments = arguments
        monitor = Monitor(arguments)
        best = monitor.worst
    }

    override package func onTrainBegin(_ training: any TrainingControl) {
        best = monitor.worst
        wait = 0
        bestWeights = nil
    }

    override package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {
        let value = try monitor.value(logs, "EarlyStopping")
        guard epoch >= arguments.int("start_from_epoch") else { return }
        if arguments.bool("restore_best_weights"), bestWeights == nil { try keep(training) }
        wait += 1
        if monitor.isBetter(value, than: best) {
            best = value
            if arguments.bool("restore_best_weights") { try keep(training) }
            if arguments.optionalFloat("baseline").map({ monitor.isBetter(value, than: $0) }) ?? true { wait = 0 }
            return
        }
        if wait >= arguments.int("patience"), epoch > 0 { training.stop() }
    }

    override package func onTrainEnd(_ training: any TrainingControl) {
        for (variable, tensor) in bestWeights ?? [] { variable.replace(tensor) }
        bestWeights = nil
    }

    private func keep(_ training: any TrainingControl) throws {
        bestWeights = try training.model.allWeights.map { ($0.variable, try $0.variable.tensor.copy()) }
    }
}

/// Ends training when the loss is no number any more.
package final class TerminateOnNaN: Callback {
    static let declaration = Declaration<Callback>(
        "TerminateOnNaN", "Ends training when the loss is NaN or infinite.", source: "Keras, keras.callbacks.TerminateOnNaN"
    ) { _ in TerminateOnNaN() }

    override package func onBatchEnd(_ batch: Int, _ logs: Logs, _ training: any TrainingControl) {
        if let loss = logs["loss"], !loss.isFinite { training.stop() }
    }
}

/// Lowers the learning rate when a figure has stopped getting better.
package final class ReduceLROnPlateau: Callback {
    static let declaration = Declaration<Callback>(
        "ReduceLROnPlateau", "Lowers the learning rate when a figure has stopped getting better.",
        source: "Keras, keras.callbacks.ReduceLROnPlateau",
        arguments: Monitor.arguments + [
            Argument("factor", .float(0...0.999_999_999), 0.1, "The new rate is the old one times this."),
            Argument("patience", .int(0...Int.max), 10, "Epochs without a better figure that are borne."),
            Argument("verbose", .any, 0, "Unused: nothing is printed."),
            Argument("min_delta", .float(Argument.notNegative), 0.0001, "Smaller changes do not count."),
            Argument("cooldown", .int(0...Int.max), 0, "Epochs after a change that do not count."),
            Argument("min_lr", .float(Argument.notNegative), 0, "The lowest rate."),
        ]
    ) { ReduceLROnPlateau($0) }

    private let arguments: Arguments
    private let monitor: Monitor
    private var best: Double
    private var wait = 0
    private var cooldown = 0

    init(_ arguments: Arguments) {
        self.arguments = arguments
        monitor = Monitor(arguments)
        best = monitor.worst
    }

    override package func onTrainBegin(_ training: any TrainingControl) {
        best = monitor.worst
        wait = 0
        cooldown = 0
    }

    override package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {
        guard let optimizer = training.model.compilation?.optimizer else { return }
        let value = try monitor.value(logs, "ReduceLROnPlateau")
        logs["learning_rate"] = optimizer.learningRateShortest
        if cooldown > 0 {
            cooldown -= 1
            wait = 0
        }
        if monitor.isBetter(value, than: best) {
            best = value
            wait = 0
        } else if cooldown == 0 {
            wait += 1
            let old = optimizer.learningRate.tensor.number(at: 0)
            if wait >= arguments.int("patience"), old > Double(Float(arguments.float("min_lr"))) {
                try optimizer.setLearningRate(max(old * arguments.float("factor"), arguments.float("min_lr")))
                cooldown = arguments.int("cooldown")
                wait = 0
            }
        }
    }
}
