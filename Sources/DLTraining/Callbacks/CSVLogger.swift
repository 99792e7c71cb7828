import DLBase

/// Writes the figures of each epoch as a line of a CSV file.
package final class CSVLogger: Callback {
    static let declaration = Declaration<Callback>(
        "CSVLogger", "Writes the figures of each epoch as a line of a CSV file.", source: "Keras, keras.callbacks.CSVLogger",
        arguments: [
            Argument("filename", .string, nil, "The file."),
            Argument("separator", .string, ",", "What stands between the columns."),
            Argument("append", .bool, false, "Whether lines are added to a file that is there."),
        ]
    ) { CSVLogger($0) }

    private let arguments: Arguments
    private var columns: [String]?
    /// The whole file: written anew after each epoch, so that it is never half a line.
    private var text = ""

    init(_ arguments: Arguments) { self.arguments = arguments }

    override package func onTrainBegin(_ training: any TrainingControl) throws {
        columns = nil
        text = ""
        let path = arguments.string("filename")
        guard arguments.bool("append"), Files.kind(path) == .file else { return }
        text = String(decoding: try Files.read(path, limit: 1 << 28), as: UTF8.self)
        if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        if let header = text.split(separator: "\n").first {
            columns = header.split(separator: Character(separator), omittingEmptySubsequences: false).dropFirst().map(String.init)
        }
    }

    private var separator: String {
        let given = arguments.string("separator")
        return given.count == 1 ? given : ","
    }

    override package func onEpochEnd(_ epoch: Int, _ logs: inout Logs, _ training: any TrainingControl) throws {
        let names = columns ?? logs.names.sorted()
        if columns == nil {
            columns = names
            text += (["epoch"] + names).joined(separator: separator) + "\n"
        }
        let cells = names.map { name in logs[name].map { Text.shortest($0) } ?? "NA" }
        text += ([String(epoch)] + cells).joined(separator: separator) + "\n"
        try Files.write(text, to: arguments.string("filename"))
    }
}
