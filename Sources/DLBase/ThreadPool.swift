import CDLKernels
import CDLShims

/// The process's one pool of threads. Workers start when first needed and do not survive a fork (a child starts its
/// own); which thread runs which piece is not defined, so a piece writes only what no other piece writes.
package final class ThreadPool: @unchecked Sendable {
    package static let shared = ThreadPool()

    /// What kernels are given. `threads` in it follows `threads` here and is a hint for sizing blocks, never for
    /// deciding in which order numbers are summed.
    package let runtime: UnsafePointer<dl_runtime>
    private let storage: UnsafeMutablePointer<dl_runtime>

    private init() {
        storage = .allocate(capacity: 1)
        storage.initialize(
            to: dl_runtime(context: nil, parallel_for: dl_pool_parallel_for, threads: dl_pool_threads()))
        runtime = UnsafePointer(storage)
    }

    /// How many threads a region may use, the caller included; 1 to `maximumThreads`. Values outside are clamped, and
    /// 0 or less means the default: the processors this process may use, at most `DL_NUM_THREADS`. Holds from the
    /// next region on.
    package var threads: Int {
        get { Int(dl_pool_threads()) }
        set {
            dl_pool_set_threads(Int64(newValue))
            storage.pointee.threads = dl_pool_threads()
        }
    }

    package static let maximumThreads = Int(DL_POOL_MAXIMUM_THREADS)

    /// How many workers exist now.
    package var workers: Int { Int(dl_pool_workers()) }

    /// Calls `body` once for each piece in `0 ..< pieces` and returns when all have finished. Inside a body, and
    /// while another caller has the workers, the pieces run one after another on the calling thread.
    package func forEach(pieces: Int, _ body: (Int) -> Void) {
        withoutActuallyEscaping(body) { escaping in
            var box = escaping
            withUnsafeMutablePointer(to: &box) { pointer in
                dl_pool_parallel_for(
                    nil, Int64(pieces),
                    { argument, piece in
                        guard let argument else { return }
                        argument.assumingMemoryBound(to: ((Int) -> Void).self).pointee(Int(piece))
                    }, UnsafeMutableRawPointer(pointer))
            }
        }
    }

    /// Ends the workers; false, and nothing done, while a region runs. A later region starts them again.
    @discardableResult
    package func shutdown() -> Bool { dl_pool_shutdown() != 0 }
}
