import CDLShims
import DLBase

/// What a thread is in the middle of: the graph it records into and the tapes that listen.
package final class ThreadContext {
    package var recording: Graph?
    package var tapes: [Tape] = []
    /// Whether the layers being called are being trained; nil outside any call.
    package var training: Bool?
    /// Names of the layers whose calls are under way, outermost first.
    package var path: [String] = []

    /// The calling thread's context; it is freed when the thread ends.
    package static var current: ThreadContext {
        if let pointer = dl_thread_context() {
            return Unmanaged<ThreadContext>.fromOpaque(pointer).takeUnretainedValue()
        }
        let context = ThreadContext()
        dl_thread_context_set(Unmanaged.passRetained(context).toOpaque()) { pointer in
            if let pointer { Unmanaged<ThreadContext>.fromOpaque(pointer).release() }
        }
        return context
    }

    /// Runs `body` with operations going into `graph`; nil computes at once even inside a recording.
    package func recording<R>(into graph: Graph?, _ body: () throws -> R) rethrows -> R {
        let outer = recording
        recording = graph
        defer { recording = outer }
        return try body()
    }

    /// Runs `body` with nobody listening.
    package func withoutTapes<R>(_ body: () throws -> R) rethrows -> R {
        let outer = tapes
        tapes = []
        defer { tapes = outer }
        return try body()
    }
}
