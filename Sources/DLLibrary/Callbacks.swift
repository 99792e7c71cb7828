import CDL
import CDLShims
import DLBase

// Functions of the caller's that the library calls.

/// Runs a callback. A result other than 0 becomes an error that carries it, and what the callback's own calls of the
/// library failed with.
func callback(_ name: String, _ body: () -> Int32) throws {
    dl_error_state_set(0, "", 0)
    let result = body()
    guard result != 0 else { return }
    let inner = String(cString: dl_error_state_text())
    var error = DLError(
        .callback, "[\(name)] the callback returned \(result)" + (inner.isEmpty ? "" : ": \(inner)"))
    error.callbackStatus = result
    throw error
}

/// A caller's pointer, and what ends its life.
final class Payload: @unchecked Sendable {
    typealias Destroy = @convention(c) (UnsafeMutableRawPointer?) -> Void

    let pointer: UnsafeMutableRawPointer?
    private let destroy: Destroy?

    /// Whether the payload is of the kind that this function ends the life of.
    func ends(with function: Destroy?) -> Bool {
        guard let destroy, let function else { return false }
        return unsafeBitCast(destroy, to: UnsafeRawPointer.self) == unsafeBitCast(function, to: UnsafeRawPointer.self)
    }

    /// From here on `destroy` is called exactly once, when nobody holds the payload any more.
    init(_ pointer: UnsafeMutableRawPointer?, _ destroy: Destroy?) {
        self.pointer = pointer
        self.destroy = destroy
    }

    deinit { destroy?(pointer) }
}
