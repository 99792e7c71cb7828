import Synchronization

/// Forces the reference implementations for whatever is chosen from now on; plans made before keep theirs.
package enum ReferenceSwitch {
    private static let forced = Atomic<Bool>(false)

    package static var isOn: Bool {
        get { forced.load(ordering: .relaxed) }
        set { forced.store(newValue, ordering: .relaxed) }
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
