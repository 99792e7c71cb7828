import CDLShims
import DLBase

/// What a layer has added to the loss and to the metrics in one call, the layers inside it included.
package struct CallAdditions: Sendable {
    package var losses: [Value] = []
    package var metrics: [(name: String, value: Value)] = []

    package init() {}

    package var isEmpty: Bool { losses.isEmpty && metrics.isEmpty }

    package static func += (a: inout CallAdditions, b: CallAdditions) {
        a.losses += b.losses
        a.metrics += b.metrics
    }
}

/// What a thread is in the middle of: the graph it records into and the tapes that listen.
package final class ThreadContext {
    package var recording: Graph?
    package var tapes: [Tape] = []
    /// Whether the layers being called are being trained; nil outside any call.
    package var training: Bool?
    /// Names of the layers whose calls are under way, outermost first.
    package var path: [String] = []
    /// What the calls under way have added so far, outermost first.
    package var additions: [CallAdditions] = []
    /// How many outermost calls there have been.
    package var callNumber = 0
    /// Layers are called to learn shapes alone; what they add is of no use.
    package var infersShapes = false
    /// Objects that the configuration being read refers to by their place here.
    package var lent: [AnyObject] = []

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
