import DLBase
import DLGraph
import DLOps

/// What the layers for sequences, pictures and volumes share: words, checks, and where the channels are.

/// What the axes between batch and channels are called, and what has them.
func spatialNames(_ rank: Int) -> (object: String, axes: String) {
    switch rank {
    case 1: ("sequence", "steps")
    case 2: ("picture", "height, width")
    default: ("volume", "depth, height, width")
    }
}

/// Lua for a small input with ones.
func exampleInput(_ rank: Int, channels: Int = 3) -> String {
    let sizes = ["2"] + [String](repeating: rank == 3 ? "4" : "6", count: rank) + ["\(channels)"]
    return "dl.ones{ \(sizes.joined(separator: ", ")) }"
}

/// Refuses inputs without the axes (batch, `rank` spatial ones, channels).
func expectSpatial(_ shape: [Int?], _ rank: Int, _ className: String) throws {
    guard shape.count == rank + 2 else {
        let number = ["three", "four", "five"][rank - 1]
        throw DLError(
            .shape, "[\(className)] the input must have \(number) axes, (batch, \(spatialNames(rank).axes), channels). "
                + "Received: input \(Shape.text(shape))")
    }
}

/// Numbers in floating point, as the layer computes: pictures may come as whole numbers.
func asFloat(_ x: Value, _ type: ElementType) throws -> Value { x.type.isFloatingPoint ? x : try cast(x, type) }

/// (N, C, ...) to (N, ..., C).
func channelsToLast(_ x: Value, _ rank: Int) throws -> Value { try transpose(x, [0] + Array(2..<rank + 2) + [1]) }

/// (N, ..., C) to (N, C, ...).
func channelsToSecond(_ x: Value, _ rank: Int) throws -> Value { try transpose(x, [0, rank + 1] + Array(1...rank)) }

extension Arguments {
    var channelsFirst: Bool { optionalString("data_format") == "channels_first" }

    /// Amounts before and after for each of `rank` axes: one number for all, one for each axis, or a pair for each.
    func sidePairs(_ name: String, _ rank: Int) throws -> [[Int]] {
        let (value, limit) = (self[name], Int(Int32.max))
        var pairs: [[Int]] = []
        if let number = value.intValue {
            pairs = [[Int]](repeating: [number, number], count: rank)
        } else if let entries = value.arrayValue {
            let numbers = entries.compactMap(\.intValue)
            let lists = entries.compactMap { $0.arrayValue?.compactMap(\.intValue) }
            if numbers.count == entries.count, rank == 1, numbers.count == 2 {
                pairs = [numbers]
            } else if numbers.count == entries.count, numbers.count == rank {
                pairs = numbers.map { [$0, $0] }
            } else if lists.count == entries.count {
                pairs = lists
            }
        }
        guard pairs.count == rank, pairs.allSatisfy({ $0.count == 2 && $0.allSatisfy { (0...limit).contains($0) } }) else {
            throw error(
                name, rank == 1
                    ? "a whole number of at least 0 or [before, after]"
                    : "a whole number of at least 0, \(rank) of them, or \(rank) pairs [before, after]")
        }
        return pairs
    }
}
