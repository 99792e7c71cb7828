import CDLShims

/// Numbers as text and back, with a decimal point whatever the host's locale says.
package enum Text {
    /// C's `%.*f`. `decimals` is held within 0 ... 400.
    package static func fixed(_ value: Double, decimals: Int) -> String { format(value, "f", decimals) }

    /// C's `%.*g`.
    package static func general(_ value: Double, digits: Int) -> String { format(value, "g", digits) }

    /// C's `%.*e`.
    package static func scientific(_ value: Double, decimals: Int) -> String { format(value, "e", decimals) }

    /// The shortest text that reads back as the same number, without a needless point: "0.1", "3", "1e+300", "nan".
    package static func shortest(_ value: Double) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { buffer in
            take(buffer, dl_text_shortest_double(buffer.baseAddress, buffer.count, value))
        }
    }

    package static func shortest(_ value: Float) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 40) { buffer in
            take(buffer, dl_text_shortest_float(buffer.baseAddress, buffer.count, value))
        }
    }

    /// Reads a decimal number that takes up all of the bytes; nil for anything else, "inf", "0x1" and " 1" among them.
    package static func double(_ bytes: UnsafeRawBufferPointer) -> Double? {
        guard let start = bytes.baseAddress else { return nil }
        var value = 0.0
        return dl_text_to_double(start.assumingMemoryBound(to: CChar.self), bytes.count, &value) != 0 ? value : nil
    }

    package static func double(_ text: String) -> Double? {
        var text = text
        return text.withUTF8 { double(UnsafeRawBufferPointer($0)) }
    }

    private static func format(_ value: Double, _ style: Unicode.Scalar, _ precision: Int) -> String {
        // The largest double has 309 digits before the point.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 760) { buffer in
            let length = dl_text_from_double(
                buffer.baseAddress, buffer.count, value, CChar(truncatingIfNeeded: style.value),
                Int32(max(0, min(precision, 400))))
            return take(buffer, length)
        }
    }

    private static func take(_ buffer: UnsafeMutableBufferPointer<CChar>, _ length: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<min(length, buffer.count - 1)]), as: UTF8.self)
    }
}
