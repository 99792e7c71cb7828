import DLBase
import DLGraph
import DLOps
import DLTensor

/// Models as JSON in Keras's form: what `model.to_json()` writes and `model_from_json` reads.
extension Layer {
    /// A layer or model from {"class_name": ..., "config": {...}}.
    package static func deserialize(_ json: JSON, depth: Int = 0) throws -> Layer {
        guard depth < 64 else { throw DLError(.format, "[from_json] models are nested more than 64 deep") }
        guard let className = json["class_name"]?.stringValue else {
            throw DLError(
                .format, "[from_json] a layer is {\"class_name\": ..., \"config\": {...}}. "
                    + "Received: \(brief(json))")
        }
        let config = json["config"] ?? [:]
        switch className {
        case "Sequential": return try Sequential.readStack(config, depth)
        case "Functional", "Model": return try Model.readGraph(config, depth)
        default: break
        }
        if let factory = CustomLayers.factory(className) {
            let layer = try factory(config)
            if let model = layer as? CustomModel, let build = json["build_config"] { try model.restoreBuild(build) }
            return layer
        }
        if json["module"]?.stringValue?.hasPrefix("keras.src.ops") == true, let layer = try OperationLayer.keras(className, config) {
            return layer
        }
        if Layers.registry.find(className) == nil {
            var message = "[from_json] there is no layer class '\(className)'"
            if let near = nearestName(to: className, in: Layers.registry.names + CustomLayers.names) {
                message += "; did you mean '\(near)'?"
            } else {
                message += "; register it first if it is your own"
            }
            throw DLError(.notFound, message)
        }
        return try Layers.make(className, config)
    }
}

extension Layer {
    /// Whether Keras counts its uses from 1 where it is an end of the model around it: 0 is a nested model's own making.
    fileprivate var countsItself: Bool { self is Model && !(self is Sequential) }
}

private func brief(_ json: JSON) -> String {
    let text = json.canonicalText
    return text.count <= 80 ? text : text.prefix(77) + "..."
}

extension Model {
    func modelConfig() throws -> JSONObject {
        if let sequential = self as? Sequential { return try sequential.stackConfig() }
        var config = JSONObject()
        config["name"] = .string(name)
        config["trainable"] = .bool(trainable)
        let positions = nodePositions()
        config["layers"] = .array(try layers.map { try layerConfig($0, positions) })
        func end(_ value: Value) -> JSON {
            let parts = history(value, positions)
            guard var list = parts.arrayValue, let node = list[1].intValue, value.kerasTensor?.node.layer.countsItself ?? false
            else { return parts }
            list[1] = .int(Int64(node + 1))
            return .array(list)
        }
        let (starts, ends) = (inputs.map(end), outputs.map(end))
        config["input_layers"] = starts.count == 1 ? starts[0] : .array(starts)
        // Names of one's own are Keras's outputs by name.
        if hasOwnOutputNames {
            config["output_layers"] = .object(JSONObject(Array(zip(outputNames, ends))))
        } else {
            config["output_layers"] = ends.count == 1 ? ends[0] : .array(ends)
        }
        return config
    }

    /// Which use of its layer each node of this model is, among the uses in this model.
    private func nodePositions() -> [ObjectIdentifier: Int] {
        var counts: [ObjectIdentifier: Int] = [:]
        var positions: [ObjectIdentifier: Int] = [:]
        for input in inputs {
            if let node = input.kerasTensor?.node { positions[ObjectIdentifier(node)] = 0 }
        }
        for node in graph {
            let key = ObjectIdentifier(node.layer)
            positions[ObjectIdentifier(node)] = counts[key, default: 0]
            counts[key, default: 0] += 1
        }
        return positions
    }

    private func history(_ value: Value, _ positions: [ObjectIdentifier: Int]) -> JSON {
        guard let tensor = value.kerasTensor else { return .null }
        return [
            .string(tensor.node.layer.name), .int(Int64(positions[ObjectIdentifier(tensor.node)] ?? 0)),
            .int(Int64(tensor.index)),
        ]
    }

    private func layerConfig(_ layer: Layer, _ positions: [ObjectIdentifier: Int]) throws -> JSON {
        guard var object = try layer.serialized().objectValue else { return .null }
        object["name"] = .string(layer.name)
        var uses: [JSON] = []
        for node in graph where node.layer === layer {
            var (arguments, keywords) = layer.keywordArguments(try node.positional.map { try argument($0, positions) })
            for (name, value) in node.options.flags.pairs { keywords[name] = value }
            if layer.masksGoAsList, !node.options.names.isEmpty {
                let given = Dictionary(uniqueKeysWithValues: try node.named.map { ($0, try argument($1, positions)) })
                keywords["mask"] = .array(layer.callTensors.map { given[$0] ?? .null })
            } else {
                for (name, value) in node.named { keywords[name] = try argument(value, positions) }
            }
            if let training = node.training { keywords["training"] = .bool(training) }
            let multiple = (layer as? OperationLayer)?.takesList
                ?? (layer.inputCount != 1 && layer.inputKeywords.isEmpty && !layer.takesInputsOneByOne)
            uses.append([
                "args": .array(multiple ? [.array(arguments)] : arguments), "kwargs": .object(keywords),
            ])
        }
        object["inbound_nodes"] = .array(uses)
        return .object(object)
    }

    private func argument(_ value: Value, _ positions: [ObjectIdentifier: Int]) throws -> JSON {
        if let tensor = value.kerasTensor {
            let shape: [JSON] = tensor.spec.shape.map { $0.map { .int(Int64($0)) } ?? .null }
            return [
                "class_name": "__keras_tensor__",
                "config": [
                    "shape": .array(shape), "dtype": .string(tensor.spec.type.name),
                    "keras_history": history(value, positions),
                ],
            ]
        }
        let tensor = try value.tensor("to_json")
        if tensor.shape.rank == 0, tensor.type != .bool {
            let number = tensor.number(at: 0)
            return tensor.type.isFloatingPoint ? .double(number) : .int(Int64(exactly: number) ?? 0)
        }
        guard tensor.count <= 1 << 16 else {
            throw DLError(
                .unsupported, "[to_json] a tensor of \(tensor.count) elements is an operand in model '\(name)'; "
                    + "make it a weight of a layer")
        }
        return [
            "class_name": "__tensor__",
            "config": [
                "shape": .array(tensor.shape.sizes.map { .int(Int64($0)) }), "dtype": .string(tensor.type.name),
                "value": nested(tensor.numbers[...], tensor.shape.sizes[...]),
            ],
        ]
    }

    /// Numbers as lists of lists.
    private func nested(_ numbers: ArraySlice<Double>, _ sizes: ArraySlice<Int>) -> JSON {
        guard sizes.count > 1, let count = sizes.first, count > 0 else { return .array(numbers.map { .double($0) }) }
        let part = numbers.count / count
        return .array((0..<count).map { place in
            let start = numbers.startIndex + place * part
            return nested(numbers[start..<start + part], sizes.dropFirst())
        })
    }

    /// All numbers in lists of lists, and the sizes of these.
    private static func flat(_ json: JSON, depth: Int = 0) throws -> (numbers: [Double], sizes: [Int]) {
        if let number = json.doubleValue ?? json.boolValue.map({ $0 ? 1 : 0 }) { return ([number], []) }
        guard let list = json.arrayValue, depth <= Shape.maximumRank else {
            throw DLError(.format, "[from_json] model: an operand is damaged")
        }
        let parts = try list.map { try flat($0, depth: depth + 1) }
        let inner = parts.first?.sizes ?? []
        guard parts.allSatisfy({ $0.sizes == inner }) else {
            throw DLError(.format, "[from_json] model: an operand's lists are of different lengths")
        }
        return (parts.flatMap(\.numbers), [list.count] + inner)
    }

    // MARK: Reading

    static func readGraph(_ config: JSON, _ depth: Int) throws -> Model {
        func damaged(_ what: String) -> DLError { DLError(.format, "[from_json] model: \(what)") }
        guard let entries = config["layers"]?.arrayValue else { throw damaged("\"layers\" is missing") }
        var layers: [String: Layer] = [:]
        var pending: [(layer: Layer, uses: [JSON])] = []
        /// Outputs of each use of each layer, as they become known.
        var results: [String: [[Value]]] = [:]
        for entry in entries {
            let layer = try Layer.deserialize(entry, depth: depth + 1)
            let name = entry["name"]?.stringValue ?? entry["config"]?["name"]?.stringValue ?? layer.name
            guard layers[name] == nil else { throw damaged("two layers are called '\(name)'") }
            layer.rename(name)
            layers[name] = layer
            if let input = layer as? InputLayer {
                results[name] = [[try input.output()]]
            } else {
                pending.append((layer, entry["inbound_nodes"]?.arrayValue ?? []))
            }
        }
        for (layer, _) in pending {
            if let tied = layer as? TiedLayer, let source = layers[tied.sourceName] { try tied.tie(to: source) }
        }
        func tensor(_ history: JSON) throws -> Value? {
            guard let parts = history.arrayValue, parts.count >= 3, let name = parts[0].stringValue,
                let node = parts[1].intValue, let index = parts[2].intValue
            else { throw damaged("a tensor is [layer, node, index]. Received: \(brief(history))") }
            guard layers[name] != nil else { throw damaged("there is no layer '\(name)'") }
            guard let uses = results[name], uses.indices.contains(node) else { return nil }
            guard uses[node].indices.contains(index) else { throw damaged("layer '\(name)' has no output \(index)") }
            return uses[node][index]
        }
        // Numbers among the operands of an operation take the type of its tensors.
        var numbers: Set<ObjectIdentifier> = []
        var kept: [Value] = []
        func operand(_ json: JSON) throws -> [Value]? {
            if let number = json.doubleValue {
                let value = Value(try Tensor(scalar: number))
                numbers.insert(ObjectIdentifier(value))
                kept.append(value)
                return [value]
            }
            if let list = json.arrayValue {
                var values: [Value] = []
                for item in list {
                    guard let part = try operand(item) else { return nil }
                    values += part
                }
                return values
            }
            switch json["class_name"]?.stringValue {
            case "__keras_tensor__":
                return try tensor(json["config"]?["keras_history"] ?? .null).map { [$0] }
            case "__tensor__":
                guard let (numbers, sizes) = try json["config"]?["value"].map({ try flat($0) }),
                    let type = json["config"]?["dtype"]?.stringValue.flatMap(ElementType.init(name:))
                else { throw damaged("an operand is damaged") }
                let shape = try Shape(checked: json["config"]?["shape"]?.arrayValue?.compactMap(\.intValue) ?? sizes)
                guard shape.count == numbers.count else { throw damaged("an operand has the wrong number of elements") }
                let value = try Tensor(uninitialized: shape, type)
                for (index, number) in numbers.enumerated() { value.setNumber(number, at: index) }
                return [Value(value)]
            default:
                throw damaged("an argument of a layer is no tensor. Received: \(brief(json))")
            }
        }
        /// Tensors and flags of a call by name; nil while a tensor is not known yet. Nulls say "none", and what stands for
        /// inputs has been read.
        func keywords(_ json: JSON, _ layer: Layer) throws -> ([Value], CallOptions)? {
            var values: [Value] = []
            var options = CallOptions()
            for (name, given) in (json.objectValue ?? JSONObject()).pairs where !given.isNull {
                if layer.inputKeywords.contains(name) || layer.inputNames.contains(name) { continue }
                if name == "mask", !layer.callTensors.contains("mask") {
                    // A list has the masks of several inputs.
                    for (place, part) in (given.arrayValue ?? []).enumerated() where !part.isNull {
                        guard layer.callTensors.indices.contains(place) else { throw damaged("too many masks") }
                        guard let value = try operand(part) else { return nil }
                        values += value.prefix(1)
                        options.names.append(layer.callTensors[place])
                    }
                } else if let flag = given.boolValue {
                    if name == "training" { options.training = flag } else { options.flags[name] = given }
                } else {
                    guard let value = try operand(given) else { return nil }
                    guard value.count == 1 else { throw damaged("'\(name)' of a call must be one tensor") }
                    values += value
                    options.names.append(name)
                }
            }
            return (values, options)
        }
        // Uses come in no particular order; each round places those whose inputs are known.
        var places = [Int](repeating: 0, count: pending.count)
        var progress = true
        while progress {
            progress = false
            for (position, (layer, uses)) in pending.enumerated() {
                while places[position] < uses.count {
                    let use = uses[places[position]]
                    guard var inputs = try operand(use["args"] ?? .null) else { break }
                    let given = use["kwargs"] ?? .null
                    if let type = inputs.first(where: { !numbers.contains(ObjectIdentifier($0)) })?.type {
                        inputs = try inputs.map { numbers.contains(ObjectIdentifier($0)) ? try cast($0, type) : $0 }
                    }
                    var isMasked = false
                    var complete = true
                    // Inputs that Keras may have been given by name.
                    for keyword in layer.inputKeywords + layer.inputNames.dropFirst(inputs.count) {
                        guard let part = given[keyword], !part.isNull else { continue }
                        guard let more = try operand(part) else {
                            complete = false
                            break
                        }
                        inputs += more
                    }
                    guard complete else { break }
                    if let part = given["mask"], part["class_name"] != nil, !inputs.isEmpty, !layer.callTensors.contains("mask") {
                        guard let mask = try operand(part) else { break }
                        inputs[0] = try withMask(inputs[0], mask[0])
                        isMasked = true
                    }
                    guard let named = try keywords(given, layer) else { break }
                    var options = named.1
                    // Keras writes that beside a mask whether or not anybody said so.
                    if isMasked, options.training == false { options.training = nil }
                    results[layer.name, default: []].append(try layer.apply(inputs + named.0, options))
                    places[position] += 1
                    progress = true
                }
            }
        }
        for (position, (layer, uses)) in pending.enumerated() where places[position] < uses.count {
            throw damaged("the inputs of layer '\(layer.name)' cannot be worked out")
        }
        func ends(_ key: String) throws -> [Value] {
            // Outputs given as a table by name stand as one.
            guard var list = config[key]?.arrayValue ?? config[key]?.objectValue?.values, !list.isEmpty else { throw damaged("\"\(key)\" is missing") }
            // A single tensor may stand without brackets.
            if list[0].stringValue != nil { list = [.array(list)] }
            return try list.map { item in
                var place = item
                if var parts = item.arrayValue, parts.count >= 3, let node = parts[1].intValue, node > 0,
                    layers[parts[0].stringValue ?? ""]?.countsItself ?? false
                {
                    parts[1] = .int(Int64(node - 1))
                    place = .array(parts)
                }
                guard let value = try tensor(place) else { throw damaged("\"\(key)\" names a tensor that is not there") }
                return value
            }
        }
        let model = try Model(
            inputs: ends("input_layers"), outputs: ends("output_layers"), name: config["name"]?.stringValue,
            outputNames: config["output_names"]?.arrayValue?.compactMap(\.stringValue) ?? config["output_layers"]?.objectValue?.keys)
        // Symbolic tensors are kept by the model; the table held them until here.
        withExtendedLifetime(results) {}
        if config["trainable"]?.boolValue == false { model.trainable = false }
        return model
    }
}

extension Sequential {
    func stackConfig() throws -> JSONObject {
        var config = JSONObject()
        config["name"] = .string(name)
        config["trainable"] = .bool(trainable)
        config["dtype"] = .string(dtype.name)
        config["layers"] = .array(try stackedLayers.map { try $0.serialized() })
        if let shape = inputs.first?.partialShape {
            config["build_input_shape"] = .array(shape.map { $0.map { .int(Int64($0)) } ?? .null })
        }
        return config
    }

    static func readStack(_ config: JSON, _ depth: Int) throws -> Sequential {
        guard let entries = config["layers"]?.arrayValue else {
            throw DLError(.format, "[from_json] Sequential: \"layers\" is missing")
        }
        let model = Sequential(name: config["name"]?.stringValue)
        for entry in entries {
            let layer = try Layer.deserialize(entry, depth: depth + 1)
            if let tied = layer as? TiedLayer, let source = model.stackedLayers.first(where: { $0.name == tied.sourceName }) {
                try tied.tie(to: source)
            }
            try model.add(layer)
        }
        if model.inputs.isEmpty, !entries.isEmpty, let shape = config["build_input_shape"]?.arrayValue {
            try model.buildIfNeeded([shape.map(\.intValue)])
        }
        if config["trainable"]?.boolValue == false { model.trainable = false }
        return model
    }
}
