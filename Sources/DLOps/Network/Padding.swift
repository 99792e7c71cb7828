import DLBase
import DLGraph
import DLKernels

/// How far a picture is extended with zeros before windows are laid over it.
package enum Padding: Hashable, Sendable {
    /// Not at all.
    case valid
    /// So far that ceil(size / stride) windows fit; the odd row or column goes to the bottom and the right.
    case same
    case explicit(top: Int, bottom: Int, left: Int, right: Int)

    static let argument = Argument(
        "padding", .any, "valid",
        "'valid' for none, 'same' for ceil(size / stride) outputs, a whole number for all sides, [height, width], "
            + "[top, bottom, left, right] or [[top, bottom], [left, right]]")

    private static let most = Int(Int32.max)

    package init(_ arguments: Arguments) throws {
        let value = arguments["padding"]
        let expectation = "'valid', 'same', a whole number of at least 0, [height, width] or [top, bottom, left, right]"
        if let name = value.stringValue {
            switch name {
            case "valid": self = .valid
            case "same": self = .same
            default: throw arguments.error("padding", expectation)
            }
            return
        }
        var list: [Int] = []
        if let number = value.intValue {
            list = [number, number, number, number]
        } else if let entries = value.arrayValue {
            let numbers = entries.compactMap(\.intValue)
            let pairs = entries.compactMap { $0.arrayValue?.compactMap(\.intValue) }
            if numbers.count == entries.count, numbers.count == 4 {
                list = numbers
            } else if numbers.count == entries.count, numbers.count == 2 {
                list = [numbers[0], numbers[0], numbers[1], numbers[1]]
            } else if pairs.count == 2, entries.count == 2, pairs.allSatisfy({ $0.count == 2 }) {
                list = pairs[0] + pairs[1]
            }
        }
        guard list.count == 4, list.allSatisfy({ (0...Padding.most).contains($0) }) else {
            throw arguments.error("padding", expectation)
        }
        self = .explicit(top: list[0], bottom: list[1], left: list[2], right: list[3])
    }

    package var json: JSON {
        switch self {
        case .valid: "valid"
        case .same: "same"
        case .explicit(let top, let bottom, let left, let right): sizesJSON([top, bottom, left, right])
        }
    }

    /// Top, bottom, left, right. Sizes are pairs of height and width, each from 1 to `Int32.max`.
    func amounts(input: [Int], window: [Int], strides: [Int], dilation: [Int]) -> [Int] {
        switch self {
        case .valid: return [0, 0, 0, 0]
        case .explicit(let top, let bottom, let left, let right): return [top, bottom, left, right]
        case .same:
            return (0..<2).flatMap { axis -> [Int] in
                let (before, after) = Convolution2DProblem.samePadding(
                    input: input[axis], kernel: window[axis], stride: strides[axis], dilation: dilation[axis])
                return [before, after]
            }
        }
    }
}
