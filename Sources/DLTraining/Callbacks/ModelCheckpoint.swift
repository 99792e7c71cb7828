import DLBase

/// Saves the model after each epoch, or only when it is the best so far.
package final class ModelCheckpoint: Callback {
    static let declaration = Declaration<Callback>(
        "ModelCheckpoint", "Saves the model after each epoch, or only when it is the best so far.",
        source: "Keras, keras.callbacks.ModelCheckpoint",
        arguments: [
            Argument("filepath", .string, nil, "The file; {epoch} (from 1) and figures such as {val_loss:.2f} are filled in.")
        ] + Monitor.arguments + [
            Argument("verbose", .any, 0, "Unused: nothing is printed."),
            Argument("save_best_only", .bool, false, "Whether only a better model is saved."),
            Argument("save_weights_only", .bool, false, "Whether only the weights are saved."),
            Argument("save_freq", .choice(["epoch"]), "epoch", "When: \"epoch\"."),
            Argument("initial_value_threshold", .optional(.float(Argument.anyFloat)), .null, "The best so far to begin with."),
        ]
    ) { ModelCheckpoint($0) }

    private let arguments: Arguments
    private let monitor: Monitor
    private var best: Double

    init(_ arguments: Arguments) {
        self.arguments = arguments
        monitor = Monitor(arguments)
        best = arguments.optionalFloat("initial_value_threshold") ?? monitor.worst
    }

    override package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {
        var value: Double?
        if arguments.bool("save_best_only") {
            let now = try monitor.value(logs, "ModelCheckpoint")
            guard monitor.isBetter(now, than: best) else { return }
            value = now
        }
        let path = try FileName.fill(arguments.string("filepath"), epoch: epoch + 1, logs)
        try training.save(path, weightsOnly: arguments.bool("save_weights_only"))
        // What could not be written is not the best that was.
        if let value { best = value }
    }
}

/// File names with places to fill in, as Python's format writes them: `{epoch:02d}`, `{val_loss:.2f}`.
enum FileName {
    static func fill(_ pattern: String, epoch: Int, _ logs: Logs) throws -> String {
        var result = ""
        var rest = Substring(pattern)
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            guard let close = rest[open...].firstIndex(of: "}") else {
                throw DLError(.argument, "[ModelCheckpoint] '{' without '}' in the file name '\(pattern)'")
            }
            let inside = rest[rest.index(after: open)..<close]
            let parts = inside.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let format = parts.count > 1 ? String(parts[1]) : ""
            if name == "epoch" {
                result += padded(String(epoch), format)
            } else if let value = logs[name] {
                result += format.hasSuffix("f") ? fixed(value, format) : Text.general(value, digits: 6)
            } else {
                throw DLError(
                    .argument, "[ModelCheckpoint] the file name '\(pattern)' asks for '\(name)'; "
                        + "there are epoch, \(logs.names.joined(separator: ", "))")
            }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    private static func padded(_ text: String, _ format: String) -> String {
        let width = Int(format.filter(\.isNumber)) ?? 0
        let fill = format.hasPrefix("0") ? "0" : " "
        return String(repeating: fill, count: max(0, min(width, 32) - text.count)) + text
    }

    private static func fixed(_ value: Double, _ format: String) -> String {
        let decimals = format.split(separator: ".").last.flatMap { Int($0.filter(\.isNumber)) } ?? 6
        return Text.fixed(value, decimals: min(decimals, 17))
    }
}
