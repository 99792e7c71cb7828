import DLBase
import Synchronization

/// Forces the reference implementations for whatever is chosen from now on; plans made before keep theirs.
package enum ReferenceSwitch {
    private static let forced = Atomic<Bool>(false)

    package static var isOn: Bool {
        get { forced.load(ordering: .relaxed) }
        set { forced.store(newValue, ordering: .relaxed) }
    }
}

/// Whether Winograd's algorithm is among the implementations that are chosen from now on; plans made before keep theirs. Off from the
/// start where the environment variable DL_WINOGRAD is 0.
package enum WinogradSwitch {
    private static let on = Atomic<Bool>(Environment.variable("DL_WINOGRAD") != "0")

    package static var isOn: Bool {
        get { on.load(ordering: .relaxed) }
        set { on.store(newValue, ordering: .relaxed) }
    }
}

/// Which implementation of a problem runs, and why those before it in the list do not.
package struct KernelChoice: Equatable, Sendable, CustomStringConvertible {
    package struct Refusal: Equatable, Sendable {
        package let implementation: String
        package let reason: String
    }

    package let problem: String
    package let implementation: String
    package let refusals: [Refusal]

    /// One line, for `DL_VERBOSE=kernels`.
    package var description: String {
        refusals.reduce("\(problem): \(implementation)") { $0 + "; not \($1.implementation): \($1.reason)" }
    }
}
