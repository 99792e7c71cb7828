import DLBase

/// Keeps what a run needs to go on after it was cut off.
package final class BackupAndRestore: Callback {
    static let declaration = Declaration<Callback>(
        "BackupAndRestore",
        "Keeps weights, the optimizer's state, metrics, the order of the samples, epoch and step in a file, and goes on from "
            + "there when the same training is started again: with the same numbers as a run that nothing cut off.",
        source: "Keras, keras.callbacks.BackupAndRestore",
        example: "local dl = require \"dl\"\nlocal backup = dl.callbacks.BackupAndRestore{ backup_dir = \"lenet\", save_freq = 100 }\nprint(backup)",
        arguments: [
            Argument("backup_dir", .string, nil, "Where: the file of this name with .safetensors behind it."),
            Argument("save_freq", .any, "epoch", "When: \"epoch\", or the number of batches after which it is written anew."),
            Argument("double_checkpoint", .bool, false, "Unused: the file is always replaced whole, so the last good one is never lost."),
            Argument("delete_checkpoint", .bool, true, "Whether the file is removed when training has ended."),
        ]
    ) { try BackupAndRestore($0) }

    private let path: String
    /// nil: after each epoch.
    private let frequency: Int?
    private let deletes: Bool
    private var seen = 0

    init(_ arguments: Arguments) throws {
        let folder = arguments.string("backup_dir")
        guard !folder.isEmpty else { throw arguments.error("backup_dir", "a path") }
        path = folder + ".safetensors"
        deletes = arguments.bool("delete_checkpoint")
        frequency = arguments.optionalInt("save_freq")
        guard frequency.map({ $0 >= 1 }) ?? (arguments["save_freq"] == "epoch") else {
            throw arguments.error("save_freq", "\"epoch\" or a whole number of at least 1")
        }
    }

    override package func onTrainBegin(_ training: any TrainingControl) throws {
        seen = 0
        if Files.kind(path) == .file { try training.restoreState(path) }
    }

    override package func onBatchEnd(_ batch: Int, _ logs: Logs, _ training: any TrainingControl) throws {
        guard let frequency else { return }
        seen += 1
        if seen % frequency == 0 { try training.saveState(path) }
    }

    override package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {
        if frequency == nil { try training.saveState(path) }
    }

    override package func onTrainEnd(_ training: any TrainingControl) throws {
        if deletes { try Files.remove(path) }
    }
}
