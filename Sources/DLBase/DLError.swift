/// The one error type of the library: a code that a C caller can test and a line that a person can read.
///
/// Messages are one line, begin with the operation in brackets where there is one, and end with what came in:
/// `[conv2d] input has 3 channels, kernel was built for 6. Received: input (32, 14, 14, 3), kernel (5, 5, 6, 16)`.
package struct DLError: Error, Equatable {
    /// Values are those of `dl_status` in `dl.h`; new ones are added at the end.
    package enum Code: Int32, Sendable, CaseIterable {
        case argument = 1
        case shape = 2
        case dtype = 3
        case range = 4
        case notFound = 5
        case io = 6
        case format = 7
        case memory = 8
        case state = 9
        case unsupported = 10
        case handle = 11
        case script = 12
        case limit = 13
        case callback = 14
        case `internal` = 15
    }

    package var code: Code
    package var message: String
    /// What a caller's callback returned when it stopped the work; 0 otherwise.
    package var callbackStatus: Int32 = 0

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The same error seen from one level further out, for example with the path of the layer it happened in.
    package func within(_ context: String) -> DLError {
        var error = self
        error.message = message.hasPrefix("[") ? message : "\(context): \(message)"
        if message.hasPrefix("["), let end = message.firstIndex(of: "]") {
            let head = message[...end]
            let tail = message[message.index(after: end)...]
            error.message = "\(head) \(context):\(tail)"
        }
        return error
    }
}
