import Synchronization

/// Classes that users of the library have registered beside the declared ones of a category, by name.
package final class CustomMakers<Product>: @unchecked Sendable {
    package typealias Maker = @Sendable (JSON) throws -> Product

    private let makers = Mutex<[String: Maker]>([:])

    /// nil forgets the name.
    package func register(_ name: String, _ maker: Maker?) { makers.withLock { $0[name] = maker } }

    package func find(_ name: String) -> Maker? { makers.withLock { $0[name] } }

    package var names: [String] { makers.withLock { $0.keys.sorted() } }
}
