import DLBase
import DLGraph
import DLOps
import DLTensor

/// Which filters of a convolution see which channels, as LeNet-5's third layer has it. A kernel is kept without what is not
/// there, and put together when it is used.
struct ConnectionTable: Sendable {
    let channels: Int
    private let filters: Int
    /// channel * filters + filter of each connection, in order.
    private let places: [Int]

    var count: Int { places.count }

    /// nil where the argument is null.
    init?(_ arguments: Arguments, filters: Int, groups: Int) throws {
        let name = "connection_table"
        guard arguments.has(name) else { return nil }
        guard groups == 1 else {
            throw DLError(
                .argument, "[\(arguments.owner)] '\(name)' and 'groups' exclude each other. Received: groups \(groups)")
        }
        let rows = (arguments[name].arrayValue ?? []).map { row in
            (row.arrayValue ?? []).map { $0.boolValue.map { $0 ? 1 : 0 } ?? $0.intValue ?? -1 }
        }
        guard !rows.isEmpty, rows.allSatisfy({ $0.count == filters && $0.allSatisfy { $0 == 0 || $0 == 1 } }) else {
            throw arguments.error(name, "a row for each input channel with \(filters) numbers, 0 or 1")
        }
        guard (0..<filters).allSatisfy({ filter in rows.contains { $0[filter] == 1 } }) else {
            throw arguments.error(name, "such that every filter sees a channel")
        }
        channels = rows.count
        self.filters = filters
        places = rows.flatMap { $0 }.enumerated().filter { $0.element == 1 }.map(\.offset)
    }

    func expect(_ channels: Int, _ shape: [Int?]) throws {
        guard channels == self.channels else {
            throw DLError(
                .shape, "[Conv2D] 'connection_table' has \(self.channels) rows, the input \(channels) channels. "
                    + "Received: input \(Shape.text(shape))")
        }
    }

    /// What `initializer` gives for the whole kernel, without what is not there.
    func choosing(from initializer: Initializer, _ full: Shape) -> Initializer {
        let places = places
        return Initializer { shape, type in
            let all = try initializer.make(full, type)
            let tensor = try Tensor(uninitialized: shape, type)
            let (pairs, count) = (full[2] * full[3], places.count)
            for tap in 0..<(shape.count / count) {
                for (index, place) in places.enumerated() {
                    tensor.setNumber(all.number(at: tap * pairs + place), at: tap * count + index)
                }
            }
            return tensor
        }
    }

    /// (kh, kw, count) to (kh, kw, channels, filters), with zeros.
    func assembled(_ kernel: Value) throws -> Value {
        var order = [Int32](repeating: Int32(count), count: channels * filters)
        for (index, place) in places.enumerated() { order[place] = Int32(index) }
        let padded = try pad(kernel, [[0, 0], [0, 0], [0, 1]])
        return try reshape(take(padded, Value(Tensor(order)), axis: 2), Array(kernel.shape.sizes[..<2]) + [channels, filters])
    }
}
