import DLBase
import DLGraph
import DLLayers
import DLTensor

/// Figures by name, in order.
package struct Logs {
    package private(set) var names: [String] = []
    package private(set) var values: [Double] = []

    package init() {}

    package init(_ names: [String], _ values: [Double]) {
        self.names = Array(names.prefix(values.count))
        self.values = Array(values.prefix(self.names.count))
    }

    package subscript(name: String) -> Double? {
        get { names.firstIndex(of: name).map { values[$0] } }
        set {
            guard let newValue else { return }
            if let index = names.firstIndex(of: name) {
                values[index] = newValue
            } else {
                names.append(name)
                values.append(newValue)
            }
        }
    }
}

/// What a callback sees of the training it watches, and may do to it.
package protocol TrainingControl: AnyObject {
    var model: Model { get }
    /// Training ends after the current batch, in good order.
    func stop()
    /// Writes the model, or its weights alone, to a file.
    func save(_ path: String, weightsOnly: Bool) throws
    /// The batch that is about to be trained on, or has just been.
    var batch: Batch? { get }
    /// Writes all that a run needs to go on later from where it is.
    func saveState(_ path: String) throws
    /// Goes on from where such a file says.
    func restoreState(_ path: String) throws
}

/// Something that looks on while a model is trained. Epochs and batches count from 0.
package class Callback {
    package init() {}
    package func onTrainBegin(_ training: any TrainingControl) throws {}
    package func onEpochBegin(_ epoch: Int, _ training: any TrainingControl) throws {}
    package func onBatchBegin(_ batch: Int, _ training: any TrainingControl) throws {}
    package func onBatchEnd(_ batch: Int, _ logs: Logs, _ training: any TrainingControl) throws {}
    package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {}
    package func onTrainEnd(_ training: any TrainingControl) throws {}
}

/// Every callback that has a name.
package enum Callbacks {
    package static let registry = Registry<Callback>(
        "callback",
        [
            EarlyStopping.declaration, ModelCheckpoint.declaration, CSVLogger.declaration, TerminateOnNaN.declaration,
            ReduceLROnPlateau.declaration, BackupAndRestore.declaration, NaNGuard.declaration,
        ])
}

/// Whether a figure has become better.
struct Monitor {
    let name: String
    private let greaterIsBetter: Bool
    private let minDelta: Double

    static let arguments: [Argument] = [
        Argument("monitor", .string, "val_loss", "The figure that is watched."),
        Argument("mode", .choice(["auto", "min", "max"]), "auto", "Whether small or large is good; auto goes by the name."),
    ]

    init(_ arguments: Arguments) {
        name = arguments.string("monitor")
        switch arguments.string("mode") {
        case "min": greaterIsBetter = false
        case "max": greaterIsBetter = true
        default:
            let parts = name.split(separator: "_")
            greaterIsBetter = parts.contains("acc") || parts.contains("accuracy") || parts.contains("auc")
        }
        minDelta = arguments.float("min_delta")
    }

    var worst: Double { greaterIsBetter ? -.infinity : .infinity }

    func isBetter(_ value: Double, than best: Double) -> Bool {
        greaterIsBetter ? value - minDelta > best : value + minDelta < best
    }

    func value(_ logs: Logs, _ owner: String) throws -> Double {
        if let value = logs[name] { return value }
        var message = "[\(owner)] there is no figure '\(name)' to watch; there are \(logs.names.joined(separator: ", "))"
        if name.hasPrefix("val_") { message += ". Give validation_data or validation_split for those that begin with val_" }
        throw DLError(.argument, message)
    }
}
