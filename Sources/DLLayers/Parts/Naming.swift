import DLBase
import Synchronization

/// Names for layers and models that were given none: `dense`, `dense_1`, `dense_2`, as Keras counts.
package enum Naming {
    private static let counts = Mutex<[String: Int]>([:])

    package static func unique(_ className: String) -> String {
        let stem = snakeCase(className)
        return counts.withLock { counts in
            let count = counts[stem, default: 0]
            counts[stem] = count + 1
            return count == 0 ? stem : "\(stem)_\(count)"
        }
    }

    /// Counts from the beginning again, as `keras.utils.clear_session` does.
    package static func reset() { counts.withLock { $0.removeAll() } }

    /// `BatchNormalization` -> `batch_normalization`, `Conv2D` -> `conv2d`, `MaxPooling2D` -> `max_pooling2d`.
    package static func snakeCase(_ name: String) -> String {
        var result: [UInt8] = []
        let bytes = Array(name.utf8)
        func isUpper(_ byte: UInt8) -> Bool { byte >= 65 && byte <= 90 }
        func isLower(_ byte: UInt8) -> Bool { byte >= 97 && byte <= 122 }
        for (index, byte) in bytes.enumerated() {
            if isUpper(byte) {
                let before = index > 0 ? bytes[index - 1] : 0
                let after = index + 1 < bytes.count ? bytes[index + 1] : 0
                // A capital starts a word after a small letter, or before one; the D of "2D" does not.
                if index > 0, isLower(before) || (isLower(after) && before != 95 && !(before >= 48 && before <= 57)) {
                    result.append(95)
                }
                result.append(byte | 0x20)
            } else {
                result.append(byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
