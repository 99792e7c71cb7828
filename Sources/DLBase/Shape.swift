/// The sizes of a tensor's axes, outermost first. Every size is at least 0, and so is their product in an `Int`.
package struct Shape: Hashable, Sendable, CustomStringConvertible, ExpressibleByArrayLiteral {
    package let sizes: [Int]
    /// The product of the sizes; 1 for a scalar.
    package let count: Int

    /// More axes than this are refused, so that loops over axes may keep their state on the stack.
    package static let maximumRank = 16

    package init(checked sizes: [Int]) throws {
        guard sizes.count <= Shape.maximumRank else {
            throw DLError(.shape, "a tensor has at most \(Shape.maximumRank) axes. Received: \(sizes.count) axes")
        }
        var count = 1
        var positive = 1
        for size in sizes {
            guard size >= 0 else {
                throw DLError(.shape, "sizes must not be negative. Received: \(Shape.text(sizes))")
            }
            // The product of the sizes that are not zero is bounded too, so strides cannot overflow either.
            let (product, overflow) = positive.multipliedReportingOverflow(by: max(size, 1))
            guard !overflow, product <= Int.max / 16 else {
                throw DLError(.shape, "the number of elements overflows. Received: \(Shape.text(sizes))")
            }
            positive = product
            count = size == 0 || count == 0 ? 0 : product
        }
        self.sizes = sizes
        self.count = count
    }

    /// For sizes that are known to be small: literals and parts of shapes that exist already.
    package init(_ sizes: [Int]) {
        self.sizes = sizes
        self.count = sizes.reduce(1, &*)
    }

    package init(arrayLiteral elements: Int...) { self.init(elements) }

    package static let scalar = Shape([])

    package var rank: Int { sizes.count }
    package var isScalar: Bool { sizes.isEmpty }
    package subscript(axis: Int) -> Int { sizes[axis] }
    package var last: Int { sizes.last ?? 1 }

    /// Elements to step over for one step along each axis.
    package var strides: [Int] {
        var strides = [Int](repeating: 1, count: sizes.count)
        var step = 1
        for axis in stride(from: sizes.count - 1, through: 0, by: -1) {
            strides[axis] = step
            step &*= max(sizes[axis], 1)
        }
        return strides
    }

    package var description: String { Shape.text(sizes) }

    /// Python's way to write a tuple, which is what users of the field read fluently: `(32, 28, 28, 1)`, `(5,)`, `()`.
    package static func text(_ sizes: [Int]) -> String {
        sizes.count == 1 ? "(\(sizes[0]),)" : "(" + sizes.map(String.init).joined(separator: ", ") + ")"
    }

    /// The same with axes of unknown size written as `None`.
    package static func text(_ sizes: [Int?]) -> String {
        let names = sizes.map { $0.map(String.init) ?? "None" }
        return names.count == 1 ? "(\(names[0]),)" : "(" + names.joined(separator: ", ") + ")"
    }

    /// An axis given as -rank ..< rank, as 0 ..< rank.
    package func axis(_ axis: Int, _ operation: String) throws -> Int {
        let index = axis < 0 ? axis &+ rank : axis
        guard index >= 0, index < rank else {
            throw DLError(
                .range, "[\(operation)] axis \(axis) is out of range for a tensor with \(rank) axes. Received: \(self)")
        }
        return index
    }

    /// NumPy's rule: aligned at the last axis, a size of 1 stretches.
    package func broadcast(with other: Shape, _ operation: String) throws -> Shape {
        if self == other { return self }
        let rank = max(self.rank, other.rank)
        var sizes = [Int](repeating: 1, count: rank)
        for axis in 0..<rank {
            let a = axis - (rank - self.rank)
            let b = axis - (rank - other.rank)
            let left = a >= 0 ? self.sizes[a] : 1
            let right = b >= 0 ? other.sizes[b] : 1
            guard left == right || left == 1 || right == 1 else {
                throw DLError(
                    .shape,
                    "[\(operation)] shapes cannot be broadcast together: sizes \(left) and \(right) differ "
                        + "and neither is 1. Received: \(self) and \(other)")
            }
            sizes[axis] = left == 1 ? right : left
        }
        return try Shape(checked: sizes)
    }

    package func removing(axes: Set<Int>) -> Shape {
        Shape(sizes.enumerated().filter { !axes.contains($0.offset) }.map(\.element))
    }
}
