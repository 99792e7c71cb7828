import DLBase

/// Text by name, in the order in which it was added.
package struct TextMap: Equatable, Sendable, ExpressibleByDictionaryLiteral {
    private var object = JSONObject()

    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, text) in elements { self[name] = text }
    }

    package var names: [String] { object.keys }
    package var count: Int { object.count }
    package var isEmpty: Bool { object.isEmpty }
    package var json: JSON { .object(object) }

    /// Setting a name that exists replaces its text in place; setting nil removes it.
    package subscript(name: String) -> String? {
        get { object[name]?.stringValue }
        set { object[name] = newValue.map { .string($0) } }
    }
}
