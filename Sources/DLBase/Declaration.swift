/// What is said once about a layer, an operation, a loss and so on. Constructors in scripts, access from C, JSON
/// configuration, the reference and editor annotations all follow from it.
package struct Declaration<Product>: Sendable {
    /// Keras's name where Keras has one.
    package let name: String
    package let aliases: [String]
    /// One sentence.
    package let summary: String
    /// In plain text; empty where the summary says it all.
    package let formula: String
    /// Paper or specification the formula is from.
    package let source: String
    /// Shapes that go in and come out.
    package let shapes: String
    /// A script that runs.
    package let example: String
    /// In the order in which they may be given by position.
    package let arguments: [Argument]
    /// Whatever else the binding for a language has to know.
    package let extra: JSONObject
    package let make: @Sendable (Arguments) throws -> Product

    package init(
        _ name: String, aliases: [String] = [], _ summary: String, formula: String = "", source: String = "",
        shapes: String = "", example: String = "", extra: JSONObject = JSONObject(), arguments: [Argument] = [],
        make: @escaping @Sendable (Arguments) throws -> Product
    ) {
        self.name = name
        self.aliases = aliases
        self.summary = summary
        self.formula = formula
        self.source = source
        self.shapes = shapes
        self.example = example
        self.extra = extra
        self.arguments = arguments
        self.make = make
    }

    /// Checks a configuration: names, kinds, ranges, nothing missing. Defaults are filled in.
    package func check(_ config: JSON) throws -> Arguments {
        let object: JSONObject
        switch config {
        case .null: object = JSONObject()
        case .object(let given): object = given
        default:
            throw DLError(.argument, "[\(name)] arguments must be an object. Received: \(config.canonicalText)")
        }
        for key in object.keys where !arguments.contains(where: { $0.name == key }) {
            var message = "[\(name)] unknown argument '\(key)'"
            if let near = nearestName(to: key, in: arguments.map(\.name)) { message += "; did you mean '\(near)'?" }
            throw DLError(.argument, message)
        }
        var values = JSONObject()
        for argument in arguments {
            guard let given = object[argument.name] else {
                guard let defaultValue = argument.defaultValue else {
                    throw DLError(
                        .argument, "[\(name)] argument '\(argument.name)' is missing; expected \(argument.kind.expectation)")
                }
                values[argument.name] = defaultValue
                continue
            }
            // A null where null is the default says "the default", as Keras's own configurations do.
            if given.isNull, argument.defaultValue == .null {
                values[argument.name] = .null
                continue
            }
            // Keras writes tensors among its arguments as objects.
            let isTensor = ["__tensor__", "__numpy__"].contains(given["class_name"]?.stringValue)
            guard let value = argument.kind.accept(isTensor ? given["config"]?["value"] ?? given : given) else {
                var message = "[\(name)] '\(argument.name)' must be \(argument.kind.expectation). "
                    + "Received: \(given.canonicalText)"
                if let names = argument.kind.choices, let text = given.stringValue,
                    let near = nearestName(to: text, in: names)
                {
                    message += "; did you mean '\(near)'?"
                }
                throw DLError(.argument, message)
            }
            values[argument.name] = value
        }
        return Arguments(owner: name, values: values)
    }

    package func make(config: JSON) throws -> Product { try make(check(config)) }

    /// The declaration for bindings and documents.
    package func describe(category: String) -> JSON {
        var object = JSONObject()
        object["name"] = .string(name)
        object["category"] = .string(category)
        if !aliases.isEmpty { object["aliases"] = .array(aliases.map { .string($0) }) }
        object["summary"] = .string(summary)
        for (key, text) in [("formula", formula), ("source", source), ("shapes", shapes), ("example", example)]
        where !text.isEmpty {
            object[key] = .string(text)
        }
        object["arguments"] = .array(arguments.map(\.description))
        for (key, value) in extra.pairs { object[key] = value }
        return .object(object)
    }
}

extension Argument {
    package var description: JSON {
        var object = JSONObject()
        object["name"] = .string(name)
        object["kind"] = .string(kind.name)
        var inner = kind
        if case .optional(let kind) = kind {
            object["nullable"] = .bool(true)
            inner = kind
        }
        if let names = inner.choices { object["choices"] = .array(names.map { .string($0) }) }
        if case .list(let kind) = inner { object["entries"] = .string(kind.name) }
        if let defaultValue { object["default"] = defaultValue } else { object["required"] = .bool(true) }
        object["expected"] = .string(kind.expectation)
        object["doc"] = .string(doc)
        return .object(object)
    }
}

/// Where Keras has the classes of each category.
private let kerasModules = [
    "layer": "keras.layers", "loss": "keras.losses", "metric": "keras.metrics", "optimizer": "keras.optimizers",
    "schedule": "keras.optimizers.schedules", "initializer": "keras.initializers", "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
]

/// The declarations of one category: all layers, all losses.
package struct Registry<Product>: Sendable {
    package let category: String
    package let declarations: [Declaration<Product>]
    private let positions: [String: Int]
    private let own: Set<String>
    /// Classes of the users' own; the declared ones go before them.
    package let custom = CustomMakers<Product>()

    /// `beyondKeras` are those that Keras does not have.
    package init(
        _ category: String, _ declarations: [Declaration<Product>], beyondKeras: [Declaration<Product>] = []
    ) {
        let declarations = declarations + beyondKeras
        self.category = category
        self.declarations = declarations
        own = Set(beyondKeras.map(\.name))
        var positions: [String: Int] = [:]
        for (index, declaration) in declarations.enumerated() {
            for name in [declaration.name] + declaration.aliases { positions[name] = index }
        }
        self.positions = positions
    }

    package var names: [String] { declarations.map(\.name) }

    package func find(_ name: String) -> Declaration<Product>? { positions[name].map { declarations[$0] } }

    package func declaration(_ name: String) throws -> Declaration<Product> {
        if let found = find(name) { return found }
        var message = "there is no \(category) '\(name)'"
        if let near = nearestName(to: name, in: names + positions.keys.sorted() + custom.names) { message += "; did you mean '\(near)'?" }
        throw DLError(.notFound, message)
    }

    /// Keras's form of a configuration: where Keras finds the class, its name, and the configuration.
    package func form(_ name: String, _ config: JSON) -> JSON {
        let found = find(name)
        let name = found?.name ?? name
        var config = config
        if var values = config.objectValue, let found {
            for argument in found.arguments where !argument.isKeras {
                if values[argument.name] == argument.defaultValue { values[argument.name] = nil }
            }
            config = .object(values)
        }
        let isKeras = positions[name] != nil && !own.contains(name)
        // A class that Keras does not have may be one that its user has registered there.
        return [
            "module": isKeras ? kerasModules[category].map { .string($0) } ?? .null : .null, "class_name": .string(name),
            "config": config, "registered_name": isKeras ? .null : .string("Custom>\(name)"),
        ]
    }

    /// From a name, or from {"class_name": ..., "config": {...}}.
    package func make(_ json: JSON) throws -> Product {
        if let name = json.stringValue {
            if find(name) == nil, let maker = custom.find(name) { return try maker([:]) }
            return try declaration(name).make(config: .null)
        }
        guard let name = json["class_name"]?.stringValue else {
            throw DLError(
                .argument, "a \(category) is given by its name or by {\"class_name\", \"config\"}. "
                    + "Received: \(json.canonicalText)")
        }
        // Keras wraps plain functions like this.
        if name == "function", let function = json["config"]?.stringValue {
            return try declaration(function).make(config: .null)
        }
        if find(name) == nil, let maker = custom.find(name) { return try maker(json["config"] ?? [:]) }
        return try declaration(name).make(config: json["config"] ?? .null)
    }
}
