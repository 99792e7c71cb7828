import CDLShims

/// Memory for tensors: 64-byte aligned, counted in bytes, and kept for the next request of its size.
package enum Memory {
    package static let alignment = 64

    /// A block whose contents are not defined; give it back with `release` and the same number of bytes.
    /// Throws `memory` where the system or the limit refuses, `argument` for a negative size.
    package static func allocate(bytes: Int) throws(DLError) -> UnsafeMutableRawPointer {
        guard bytes >= 0 else { throw DLError(.argument, "a block cannot have a negative size. Received: \(bytes) bytes") }
        guard let block = dl_memory_allocate(bytes) else {
            let limit = limit
            let limited = limit > 0 ? ", limit \(describe(bytes: limit))" : ""
            throw DLError(
                .memory,
                "out of memory: \(describe(bytes: bytes)) asked for, \(describe(bytes: statistics.inUse)) in use\(limited)")
        }
        return block
    }

    package static func release(_ block: UnsafeMutableRawPointer, bytes: Int) { dl_memory_release(block, bytes) }

    package struct Statistics: Equatable, Sendable {
        /// Bytes of live blocks now, and the most since the start or `resetPeak`.
        package var inUse: Int
        package var peak: Int
        /// Bytes of released blocks kept for later.
        package var cached: Int
        /// Requests granted so far, and how many of them went to the system.
        package var allocations: Int
        package var systemAllocations: Int
    }

    package static var statistics: Statistics {
        var raw = dl_memory_statistics()
        dl_memory_get_statistics(&raw)
        return Statistics(
            inUse: Int(raw.in_use), peak: Int(raw.peak), cached: Int(raw.cached), allocations: Int(raw.allocations),
            systemAllocations: Int(raw.system_allocations))
    }

    package static func resetPeak() { dl_memory_reset_peak() }

    /// Gives the cache back to the system.
    package static func trim() { dl_memory_trim() }

    /// The most bytes that may be in use or cached; 0 for no limit, the default.
    package static var limit: Int {
        get { Int(dl_memory_limit()) }
        set { dl_memory_set_limit(Int64(newValue)) }
    }

    /// The most bytes the cache may hold; 0 turns it off.
    package static var cacheLimit: Int {
        get { Int(dl_memory_cache_limit()) }
        set { dl_memory_set_cache_limit(Int64(newValue)) }
    }

    /// For tests: the n-th request of the calling thread from now fails (1 is the next), once; 0 calls it off.
    package static func failAllocation(_ n: Int) { dl_memory_fail_at(Int64(n)) }

    /// "512 B", "1.50 KB", "24.0 MB": three digits, powers of 1024.
    package static func describe(bytes: Int) -> String {
        guard bytes.magnitude >= 1024 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = ""
        for name in ["KB", "MB", "GB", "TB", "PB", "EB"] {
            value /= 1024
            unit = name
            if value.magnitude < 1023.5 { break }
        }
        let decimals = value.magnitude < 9.995 ? 2 : value.magnitude < 99.95 ? 1 : 0
        return "\(Text.fixed(value, decimals: decimals)) \(unit)"
    }
}
