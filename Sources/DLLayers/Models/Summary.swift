import DLBase
import DLGraph

/// The table that `model.summary()` prints.
extension Model {
    package func summary(width: Int = 80) -> String {
        let width = Swift.max(width, 40)
        let shared = isBranched
        var titles = ["Layer (type)", "Output Shape", "Param #"]
        if shared { titles.append("Connected to") }
        var rows: [[String]] = []
        let listed = (self as? Sequential)?.stackedLayers.filter { !($0 is InputLayer) } ?? layers
        for layer in listed {
            let nodes = graph.filter { $0.layer === layer }
            let specs = nodes.first?.outputSpecs ?? (layer as? InputLayer)?.nodes.first?.outputSpecs ?? []
            let shape = specs.isEmpty
                ? "?" : specs.map { Shape.text($0.shape) }.joined(separator: ", ")
            let count = layer.built ? grouped(layer.parameterCount) : "0 (unbuilt)"
            var row = ["\(layer.name) (\(layer.className))", shape, count]
            if shared {
                row.append(
                    nodes.flatMap { $0.inputs.compactMap { $0.kerasTensor?.node.layer.name } }.joined(separator: ", "))
            }
            rows.append(row)
        }
        let trainable = trainableVariables.reduce(0) { $0 &+ $1.shape.count }
        let total = parameterCount
        var text = "Model: \"\(name)\"\n" + table(titles, rows, width)
        text += " Total params: \(grouped(total)) (\(size(allWeights.map(\.variable))))\n"
        text += " Trainable params: \(grouped(trainable)) (\(size(trainableVariables)))\n"
        text += " Non-trainable params: \(grouped(total &- trainable)) (\(size(nonTrainableVariables)))\n"
        return text
    }

    private var isBranched: Bool {
        !(self is Sequential) && (inputs.count > 1 || graph.contains { $0.inputs.count > 1 })
            || Set(graph.flatMap { $0.inputs.compactMap { $0.kerasTensor?.key } }).count < graph.count && !(self is Sequential)
    }

    private func size(_ variables: [Variable]) -> String {
        let bytes = variables.reduce(0) { $0 &+ $1.spec.byteCount }
        return bytes < 1024 ? "\(bytes).00 B" : Memory.describe(bytes: bytes)
    }

    private func table(_ titles: [String], _ rows: [[String]], _ width: Int) -> String {
        var widths = titles.map(\.count)
        for row in rows { for (column, cell) in row.enumerated() { widths[column] = Swift.max(widths[column], cell.count) } }
        // Spare room goes to the first column; what is too long there is cut.
        let frame = 3 * titles.count + 1
        let rest = widths.dropFirst().reduce(0, +)
        widths[0] = Swift.max(Swift.min(widths[0], Swift.max(20, width - frame - rest)), titles[0].count)
        if widths.reduce(frame, +) < width { widths[0] += width - widths.reduce(frame, +) }
        func line(_ left: String, _ fill: String, _ middle: String, _ right: String) -> String {
            left + widths.map { String(repeating: fill, count: $0 + 2) }.joined(separator: middle) + right + "\n"
        }
        func cells(_ row: [String]) -> String {
            let padded = row.enumerated().map { column, cell -> String in
                let cut = cell.count > widths[column] ? String(cell.prefix(widths[column] - 1)) + "…" : cell
                let padding = String(repeating: " ", count: widths[column] - cut.count)
                return column == 2 ? padding + cut : cut + padding
            }
            return "│ " + padded.joined(separator: " │ ") + " │\n"
        }
        var text = line("┌", "─", "┬", "┐") + cells(titles) + line("├", "─", "┼", "┤")
        for row in rows { text += cells(row) }
        return text + line("└", "─", "┴", "┘")
    }
}

/// 61706 -> "61,706".
package func grouped(_ number: Int) -> String {
    let digits = Array(String(number))
    var text = ""
    for (index, digit) in digits.enumerated() {
        if index > 0, (digits.count - index).isMultiple(of: 3), digits[index - 1] != "-" { text.append(",") }
        text.append(digit)
    }
    return text
}
