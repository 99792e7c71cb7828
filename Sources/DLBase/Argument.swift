/// One argument of a layer, operation, loss and so on, as its declaration states it.
package struct Argument: Sendable {
    package let name: String
    package let kind: Kind
    /// nil: must be given.
    package let defaultValue: JSON?
    package let doc: String
    /// Whether Keras has it too; if not, Keras's form leaves it out where it says the usual.
    package let isKeras: Bool

    /// What may be given for it, and how the binding for a language treats it.
    package indirect enum Kind: Sendable {
        case bool
        case int(ClosedRange<Int>)
        /// Finite, within the range.
        case float(ClosedRange<Double>)
        case string
        case choice([String])
        /// One whole number of at least `minimum`, or a list of them, one for each spatial axis.
        case size(minimum: Int)
        /// "valid", "same", or zeros given by number: for all sides, [height, width] or [top, bottom, left, right].
        case padding
        /// Sizes of axes; null or -1 where unknown.
        case shape
        /// An axis, -1 the last; scripts count from 1.
        case axis
        /// One axis or a list of them.
        case axes
        /// A position; scripts count from 1.
        case index
        case dtype
        /// Something declared in another category: its name, or {"class_name", "config"}.
        case object(category: String)
        /// A number in the range, or something declared in another category.
        case floatOr(ClosedRange<Double>, category: String)
        case list(Kind)
        case optional(Kind)
        case any
    }

    package init(_ name: String, _ kind: Kind, _ defaultValue: JSON? = nil, _ doc: String, isKeras: Bool = true) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.doc = doc
        self.isKeras = isKeras
    }

    package static let positive = 1...Int(Int32.max)
    package static let anyInt = Int.min...Int.max
    package static let anyFloat = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    package static let notNegative = 0...Double.greatestFiniteMagnitude
    package static let fraction = 0.0...1.0
}

extension Argument.Kind {
    /// The name that bindings and documents use.
    package var name: String {
        switch self {
        case .bool: "bool"
        case .int: "int"
        case .float: "float"
        case .string: "string"
        case .choice: "choice"
        case .size: "size"
        case .padding: "padding"
        case .shape: "shape"
        case .axis: "axis"
        case .axes: "axes"
        case .index: "index"
        case .dtype: "dtype"
        case .object(let category): category
        case .floatOr(_, let category): "float_or_\(category)"
        case .list: "list"
        case .optional(let kind): kind.name
        case .any: "any"
        }
    }

    /// The words that may be given, where only some may.
    package var choices: [String]? {
        switch self {
        case .choice(let names): names
        case .padding: ["valid", "same"]
        case .optional(let kind): kind.choices
        default: nil
        }
    }

    /// What it takes an object of.
    package var category: String? {
        switch self {
        case .object(let category), .floatOr(_, let category): category
        case .optional(let kind), .list(let kind): kind.category
        default: nil
        }
    }

    /// What is expected, for messages: "a whole number of at least 1".
    package var expectation: String {
        switch self {
        case .bool: return "true or false"
        case .int(let range):
            if range.upperBound >= Int(Int32.max) {
                return range.lowerBound == Int.min ? "a whole number" : "a whole number of at least \(range.lowerBound)"
            }
            return "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .float(let range):
            let low = range.lowerBound > -1e300
            let high = range.upperBound < 1e300
            if low, high { return "a number from \(Text.shortest(range.lowerBound)) to \(Text.shortest(range.upperBound))" }
            return low ? "a number of at least \(Text.shortest(range.lowerBound))" : "a number"
        case .string: return "text"
        case .choice(let names): return "one of " + names.map { "'\($0)'" }.joined(separator: ", ")
        case .size(let minimum): return "a whole number of at least \(minimum), or a list of them"
        case .padding: return "one of 'valid', 'same', or a whole number of at least 0, or a list of 2 or 4 of them"
        case .shape: return "a list of sizes"
        case .axis: return "an axis"
        case .axes: return "an axis or a list of axes"
        case .index: return "a position"
        case .dtype: return "a dtype such as 'float32'"
        case .object(let category): return "the name of \(category.first.map("aeiou".contains) == true ? "an" : "a") \(category) or an object"
        case .floatOr(let range, let category): return Self.float(range).expectation + " or a \(category)"
        case .list(let kind): return "a list, each entry \(kind.expectation)"
        case .optional(let kind): return kind.expectation + ", or null"
        case .any: return "anything"
        }
    }

    /// The value in its canonical form, or nil if it is not of this kind. A bare nil beside a JSON would be JSON's null.
    package func accept(_ value: JSON) -> JSON? {
        switch self {
        case .bool: return value.boolValue.map { .bool($0) }
        case .int(let range): return value.intValue.flatMap { range.contains($0) ? .int(Int64($0)) : JSON?.none }
        case .float(let range): return value.doubleValue.flatMap { range.contains($0) ? .double($0) : JSON?.none }
        case .string: return value.stringValue.map { .string($0) }
        case .choice(let names): return value.stringValue.flatMap { names.contains($0) ? .string($0) : JSON?.none }
        case .size(let minimum):
            let inRange = minimum...Int(Int32.max)
            if let number = value.intValue { return inRange.contains(number) ? .int(Int64(number)) : JSON?.none }
            guard let list = value.arrayValue, !list.isEmpty, list.count <= 8 else { return nil }
            let numbers = list.compactMap(\.intValue)
            return numbers.count == list.count && numbers.allSatisfy(inRange.contains)
                ? .array(numbers.map { .int(Int64($0)) }) : JSON?.none
        case .padding:
            if let name = value.stringValue { return name == "valid" || name == "same" ? value : JSON?.none }
            let amounts = 0...Int(Int32.max)
            if let number = value.intValue { return amounts.contains(number) ? value : JSON?.none }
            guard let list = value.arrayValue, list.count == 2 || list.count == 4 else { return nil }
            let fits = list.allSatisfy { $0.intValue.map(amounts.contains) ?? false }
            return fits ? .array(list.compactMap(\.intValue).map { .int(Int64($0)) }) : JSON?.none
        case .shape:
            if let number = value.intValue { return number >= -1 ? .array([.int(Int64(number))]) : JSON?.none }
            guard let list = value.arrayValue, list.count <= Shape.maximumRank else { return nil }
            var sizes: [JSON] = []
            for entry in list {
                if entry.isNull || entry == .bool(false) {
                    sizes.append(.null)
                } else if let size = entry.intValue, size >= -1 {
                    sizes.append(size == -1 ? .null : .int(Int64(size)))
                } else {
                    return nil
                }
            }
            return .array(sizes)
        case .axis, .index: return value.intValue.map { .int(Int64($0)) }
        case .axes:
            if let number = value.intValue { return .array([.int(Int64(number))]) }
            guard let list = value.arrayValue else { return nil }
            let numbers = list.compactMap(\.intValue)
            return numbers.count == list.count ? .array(numbers.map { .int(Int64($0)) }) : JSON?.none
        case .dtype:
            // Keras writes the policy as an object.
            let name = value.stringValue ?? value["config"]?["name"]?.stringValue
            return name.flatMap(ElementType.init(name:)).map { .string($0.name) }
        case .object:
            guard value.stringValue != nil || value["class_name"]?.stringValue != nil else { return nil }
            return value
        case .floatOr(let range, let category):
            return Self.float(range).accept(value) ?? (value.objectValue == nil ? nil : Self.object(category: category).accept(value))
        case .list(let kind):
            // A script's empty table is either.
            guard let list = value.arrayValue ?? (value.objectValue?.keys.isEmpty == true ? [] : nil) else { return nil }
            let values = list.compactMap(kind.accept)
            return values.count == list.count ? .array(values) : JSON?.none
        case .optional(let kind): return value.isNull ? .null : kind.accept(value)
        case .any: return value
        }
    }
}

/// Checked values for all arguments of a declaration.
package struct Arguments: Sendable {
    /// Which declaration they are for; messages begin with it.
    package let owner: String
    package private(set) var values: JSONObject

    package init(owner: String, values: JSONObject) {
        self.owner = owner
        self.values = values
    }

    package var json: JSON { .object(values) }
    package subscript(name: String) -> JSON { values[name] ?? .null }

    package mutating func set(_ name: String, _ value: JSON) { values[name] = value }

    package func has(_ name: String) -> Bool { !self[name].isNull }
    package func bool(_ name: String) -> Bool { self[name].boolValue ?? false }
    package func int(_ name: String) -> Int { self[name].intValue ?? 0 }
    package func optionalInt(_ name: String) -> Int? { self[name].intValue }
    package func float(_ name: String) -> Double { self[name].doubleValue ?? 0 }
    package func optionalFloat(_ name: String) -> Double? { self[name].doubleValue }
    package func string(_ name: String) -> String { self[name].stringValue ?? "" }
    package func optionalString(_ name: String) -> String? { self[name].stringValue }
    /// A list; a single number, as defaults are written, is a list of one.
    package func ints(_ name: String) -> [Int] { optionalInts(name) ?? [] }
    package func optionalInts(_ name: String) -> [Int]? {
        self[name].intValue.map { [$0] } ?? self[name].arrayValue.map { $0.compactMap(\.intValue) }
    }
    package func shape(_ name: String) -> [Int?] { (self[name].arrayValue ?? []).map(\.intValue) }
    package func type(_ name: String) -> ElementType? { self[name].stringValue.flatMap(ElementType.init(name:)) }

    /// A size for each of `count` spatial axes; one number stands for all.
    package func sizes(_ name: String, _ count: Int) throws -> [Int] {
        if let number = self[name].intValue { return [Int](repeating: number, count: count) }
        let list = ints(name)
        guard list.count == count else {
            throw DLError(
                .argument, "[\(owner)] '\(name)' must be one whole number or \(count) of them. "
                    + "Received: \(self[name].canonicalText)")
        }
        return list
    }

    package func error(_ name: String, _ expectation: String) -> DLError {
        DLError(.argument, "[\(owner)] '\(name)' must be \(expectation). Received: \(self[name].canonicalText)")
    }
}

extension JSON {
    /// The value as one line, for comparing and for people.
    package var canonicalText: String { (try? serialized()) ?? "null" }
}
