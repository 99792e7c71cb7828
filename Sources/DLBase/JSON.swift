/// A JSON value. Objects keep the order of their keys; whole numbers that fit stay whole.
package indirect enum JSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// Arrays and objects may lie this deep inside each other, in both directions.
    package static let maximumDepth = 256

    package var isNull: Bool { self == .null }

    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// A whole number, written with or without a fraction of zero.
    package var intValue: Int? {
        switch self {
        case .int(let value): Int(exactly: value)
        case .double(let value): Int(exactly: value)
        default: nil
        }
    }

    package var doubleValue: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var arrayValue: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    package var objectValue: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The value of a key; nil where this is no object or has no such key.
    package subscript(key: String) -> JSON? { objectValue?[key] }

    /// "an object", "a string", for messages about what came in.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .double: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The pairs of a JSON object in their order. Equal to another with the same pairs in any order.
package struct JSONObject: Equatable, Sendable {
    package private(set) var keys: [String] = []
    package private(set) var values: [JSON] = []
    /// Positions of the keys; empty while there are so few that looking through them is faster.
    private var positions: [String: Int] = [:]
    private static let few = 12

    package init() {}

    package init(_ pairs: [(String, JSON)]) {
        for (key, value) in pairs { self[key] = value }
    }

    package var count: Int { keys.count }
    package var isEmpty: Bool { keys.isEmpty }
    package var pairs: Zip2Sequence<[String], [JSON]> { zip(keys, values) }

    /// Setting a key that exists replaces its value in place; setting nil removes it.
    package subscript(key: String) -> JSON? {
        get { position(key).map { values[$0] } }
        set {
            switch (position(key), newValue) {
            case (let at?, let value?):
                values[at] = value
            case (nil, let value?):
                keys.append(key)
                values.append(value)
                if keys.count == Self.few + 1 {
                    index()
                } else if keys.count > Self.few {
                    positions[key] = keys.count - 1
                }
            case (let at?, nil):
                keys.remove(at: at)
                values.remove(at: at)
                index()
            case (nil, nil):
                break
            }
        }
    }

    private func position(_ key: String) -> Int? {
        keys.count > Self.few ? positions[key] : keys.firstIndex(of: key)
    }

    private mutating func index() {
        positions.removeAll()
        guard keys.count > Self.few else { return }
        for (at, key) in keys.enumerated() { positions[key] = at }
    }

    package static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.count == b.count && a.pairs.allSatisfy { key, value in b[key] == value }
    }
}

extension JSON: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) { self = .object(JSONObject(elements)) }
}
