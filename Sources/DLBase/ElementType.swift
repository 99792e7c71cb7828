/// The type of a tensor's elements. Raw values are those of `dl_dtype` in `dl.h`.
package enum ElementType: Int32, Sendable, CaseIterable {
    case float32 = 1
    case float64 = 2
    case int32 = 3
    case int64 = 4
    case uint8 = 5
    case bool = 6

    package var byteCount: Int {
        switch self {
        case .float64, .int64: 8
        case .float32, .int32: 4
        case .uint8, .bool: 1
        }
    }

    package var isFloatingPoint: Bool { self == .float32 || self == .float64 }
    package var isInteger: Bool { self == .int32 || self == .int64 || self == .uint8 }

    /// Keras's and NumPy's long name.
    package var name: String {
        switch self {
        case .float32: "float32"
        case .float64: "float64"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .bool: "bool"
        }
    }

    /// Reads a long name or the short one of scripts (`f32`, `i64`, `u8`).
    package init?(name: String) {
        switch name {
        case "float32", "f32", "float": self = .float32
        case "float64", "f64", "double": self = .float64
        case "int32", "i32", "int": self = .int32
        case "int64", "i64", "long": self = .int64
        case "uint8", "u8", "byte": self = .uint8
        case "bool", "boolean": self = .bool
        default: return nil
        }
    }

    package static func named(_ name: String) throws -> ElementType {
        if let type = ElementType(name: name) { return type }
        throw DLError(
            .dtype, "unknown dtype '\(name)'; expected one of \(allCases.map(\.name).joined(separator: ", "))")
    }

    /// The type in which two operands meet: bool < uint8 < int32 < int64 < float32 < float64.
    package func promoted(with other: ElementType) -> ElementType { rank >= other.rank ? self : other }

    private var rank: Int {
        switch self {
        case .bool: 0
        case .uint8: 1
        case .int32: 2
        case .int64: 3
        case .float32: 4
        case .float64: 5
        }
    }
}

/// The Swift type of an element, for code that is written once for several types.
package protocol Element: Sendable {
    static var elementType: ElementType { get }
}

extension Float: Element { package static var elementType: ElementType { .float32 } }
extension Double: Element { package static var elementType: ElementType { .float64 } }
extension Int32: Element { package static var elementType: ElementType { .int32 } }
extension Int64: Element { package static var elementType: ElementType { .int64 } }
extension UInt8: Element { package static var elementType: ElementType { .uint8 } }
extension Bool: Element { package static var elementType: ElementType { .bool } }
