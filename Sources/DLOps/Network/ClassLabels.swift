import DLBase
import DLGraph

/// Class labels of rows: read from any type, checked, counted from 0.
struct ClassLabels: Sendable {
    let type: ElementType
    let rows: Int
    let classes: Int
    /// The number of the first class.
    let base: Int
    let operation: String

    static let types: [ElementType] = [.int32, .int64, .uint8, .float32, .float64]

    static let baseArgument = Argument("label_base", .int(0...1), 0, "the number of the first class, 0 or 1")

    /// Memory for the labels as int32.
    var scratchBytes: Int { (rows &* 4 &+ 63) & ~63 }

    /// Writes the labels, counted from 0, to `target`. Throws `range` at the first that is no class.
    func read(_ source: UnsafeRawPointer, _ target: UnsafeMutablePointer<Int32>) throws {
        switch type {
        case .int32: try read(source.assumingMemoryBound(to: Int32.self), target) { Int($0) }
        case .int64: try read(source.assumingMemoryBound(to: Int64.self), target) { Int(exactly: $0) }
        case .uint8, .bool: try read(source.assumingMemoryBound(to: UInt8.self), target) { Int($0) }
        case .float32: try read(source.assumingMemoryBound(to: Float.self), target) { Int(exactly: $0) }
        case .float64: try read(source.assumingMemoryBound(to: Double.self), target) { Int(exactly: $0) }
        }
    }

    private func read<T>(
        _ source: UnsafePointer<T>, _ target: UnsafeMutablePointer<Int32>, _ whole: (T) -> Int?
    ) throws {
        for row in 0..<rows {
            let value = source[row]
            guard let label = whole(value), label >= base, label &- base < classes else {
                throw error("\(value)", whole(value), row)
            }
            target[row] = Int32(truncatingIfNeeded: label &- base)
        }
    }

    private func error(_ value: String, _ label: Int?, _ row: Int) -> DLError {
        guard let label else {
            return DLError(.range, "[\(operation)] label \(value) at row \(row) is not a whole number")
        }
        let cure =
            if base == 0, label == classes {
                "pass label_base = 1 if yours count from 1"
            } else if base == 1, label == 0 {
                "pass label_base = 0 if yours count from 0"
            } else {
                "the predictions need one number for each class"
            }
        return DLError(
            .range, "[\(operation)] label \(value) at row \(row) is out of range: "
                + "with \(classes) classes labels run \(base)..\(classes &- 1 &+ base); \(cure)")
    }
}

/// The shape rule for labels beside scores of shape (..., classes): labels (...), or (..., 1) as some readers give them.
/// Returns the shape of one number for each row.
func expectLabels(_ labels: TensorSpec, _ scores: TensorSpec, _ operation: String) throws -> Shape {
    try expectType(labels, ClassLabels.types, operation)
    try expectType(scores, floatingTypes, operation)
    guard scores.shape.rank > 0 else {
        throw DLError(.shape, "[\(operation)] scores must have at least 1 axis. Received: scores \(scores.shape)")
    }
    let rows = Shape(Array(scores.shape.sizes.dropLast()))
    let column = Shape(rows.sizes + [1])
    guard labels.shape == rows || labels.shape == column else {
        throw DLError(
            .shape, "[\(operation)] labels must have shape \(rows) or \(column). "
                + received(("labels", labels), ("scores", scores)))
    }
    guard scores.shape.last <= Int(Int32.max) else {
        throw DLError(.shape, "[\(operation)] too many classes. " + received(("labels", labels), ("scores", scores)))
    }
    return rows
}
