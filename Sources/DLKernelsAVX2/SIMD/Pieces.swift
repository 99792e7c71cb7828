// How kernels divide work. Borders depend on sizes alone, never on the number of threads.

import CDLKernels

/// Elements that are worth another thread, for loops bound by memory and for loops that compute.
let lightPiece = 16384
let heavyPiece = 4096

// The generic functions of these names leave copies behind that every module shares, whatever vector units it is
// compiled for: the linker might keep one of ours for code that must run anywhere.
@inline(__always) func min(_ a: Int, _ b: Int) -> Int { a < b ? a : b }
@inline(__always) func max(_ a: Int, _ b: Int) -> Int { a > b ? a : b }

@inline(__always) func ceilDivide(_ a: Int, _ b: Int) -> Int { (a &+ b &- 1) / b }

/// Runs `task` for every piece; a single piece stays on the calling thread.
@inline(__always)
func forPieces<Job>(
    _ runtime: UnsafePointer<dl_runtime>?, _ pieces: Int, _ job: inout Job,
    _ task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
) {
    withUnsafeMutablePointer(to: &job) { pointer in
        if pieces <= 1 || runtime == nil {
            for piece in 0..<Int64(max(pieces, 0)) { task(pointer, piece) }
            return
        }
        let runtime = runtime.unsafelyUnwrapped
        runtime.pointee.parallel_for.unsafelyUnwrapped(runtime.pointee.context, Int64(pieces), task, pointer)
    }
}

@inline(__always)
func job<Job>(_ argument: UnsafeMutableRawPointer?, _ type: Job.Type) -> Job {
    argument.unsafelyUnwrapped.assumingMemoryBound(to: Job.self).pointee
}
