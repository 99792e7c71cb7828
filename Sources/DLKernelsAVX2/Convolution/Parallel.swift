import CDLKernels

typealias Piece = @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void

/// Runs `pieces` pieces of a job that `job` describes; the pieces read it as `UnsafePointer<Job>`.
@inline(__always)
func inParallel<Job>(_ runtime: UnsafePointer<dl_runtime>, pieces: Int, _ job: inout Job, _ piece: @escaping Piece) {
    withUnsafeMutablePointer(to: &job) { pointer in
        if pieces == 1 {
            piece(UnsafeMutableRawPointer(pointer), 0)
        } else if let parallelFor = runtime.pointee.parallel_for, pieces > 1 {
            parallelFor(runtime.pointee.context, Int64(pieces), piece, UnsafeMutableRawPointer(pointer))
        }
    }
}

/// The first of the `count` items that piece `piece` of `pieces` treats; borders depend on nothing else.
@inline(__always) func share(_ piece: Int, of pieces: Int, _ count: Int) -> Int {
    count / pieces &* piece &+ min(piece, count % pieces)
}

@inline(__always) func roundUp(_ n: Int, _ unit: Int) -> Int { (n &+ unit &- 1) / unit &* unit }

@inline(__always) func divideUp(_ n: Int, _ by: Int) -> Int { (n &+ by &- 1) / by }

/// Hands out consecutive aligned parts of the scratch memory. Counting with no memory behind it gives the size needed.
struct ScratchCursor {
    private var base: UnsafeMutableRawPointer?
    private(set) var bytes = 0

    init(_ base: UnsafeMutableRawPointer?) { self.base = base }

    mutating func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        take(count &* 4).assumingMemoryBound(to: Float.self)
    }

    mutating func integers(_ count: Int) -> UnsafeMutablePointer<Int> {
        take(count &* 8).assumingMemoryBound(to: Int.self)
    }

    /// Where there is no memory the pointers mean nothing and are not followed: only `bytes` counts.
    private mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
        let at = bytes
        bytes &+= roundUp(size, 64)
        let start = base ?? UnsafeMutableRawPointer(bitPattern: 64).unsafelyUnwrapped
        return start + at
    }
}

/// a / b rounded up, also for negative a; b > 0.
@inline(__always) func ceilingDivide(_ a: Int, _ b: Int) -> Int { a > 0 ? (a &- 1) / b &+ 1 : a / b }
