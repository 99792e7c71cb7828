import CDLKernels

/// Up to two stretches of memory that the next product reads, to be fetched into the second-level cache line by line while
/// this one computes.
struct WinogradPrefetch {
    var first: UnsafeRawPointer
    var firstLines: Int
    var second: UnsafeRawPointer
    var secondLines: Int

    /// Where the next `lines` lines begin; they may pass the end of a stretch. Nothing is read, so any address will do.
    @inline(__always)
    mutating func take(_ lines: Int) -> UnsafeRawPointer {
        let at = first
        first += lines &* 64
        firstLines &-= lines
        if firstLines <= 0 && secondLines > 0 {
            first = second
            firstLines = secondLines
            secondLines = 0
        }
        return at
    }
}
