import CDLShims

/// What the process finds around it: variables, clock, terminal, processor.
package enum Environment {
    /// An environment variable's text; nil where it is not set.
    package static func variable(_ name: String) -> String? {
        dl_system_environment(name).map { String(cString: $0) }
    }

    /// Is the word in the variable's comma-separated list? `DL_VERBOSE=kernels,graph`.
    package static func list(_ name: String, contains word: String) -> Bool {
        guard let text = variable(name) else { return false }
        return text.split(separator: ",").contains { $0 == word }
    }

    /// Seconds since some fixed moment; never goes back.
    package static var seconds: Double { dl_system_seconds() }

    /// Seconds since 1970-01-01 UTC.
    package static var wallSeconds: Double { dl_system_wall_seconds() }

    package static var processorName: String { text(dl_processor_name) }

    /// The vector extensions found, by their usual names.
    package static var processorFeatures: [String] {
        text(dl_processor_features).split(separator: " ").map(String.init)
    }

    /// English words for an errno value.
    package static func describe(errno: Int32) -> String { text { dl_system_error_text(errno, $0, $1) } }

    /// Writes to the standard error stream. Only for what the user asked for by an environment variable.
    package static func report(_ text: String) { dl_system_report(text) }

    private static func text(_ fill: (UnsafeMutablePointer<CChar>?, Int) -> Void) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            start.pointee = 0
            fill(start, buffer.count)
            return String(cString: start)
        }
    }
}
