import DLBase
import DLGraph
import DLTensor

/// Takes from each row the number at the row's label.
struct PickLabels: DeclaredOperation {
    var labelBase = 0
    /// Whose name messages about labels bear.
    var owner = "pick_labels"

    static let declaration = Declaration<any Operation>(
        "pick_labels", "From each row the number at the row's label.",
        formula: "y[r] = x[r, label[r] - label_base]",
        shapes: "label (...), x (..., classes) -> (...)",
        extra: networkExtra("label", "x", internal: true),
        arguments: [ClassLabels.baseArgument]
    ) { PickLabels(labelBase: $0.int("label_base")) }

    static var samples: [OperationSample] { [OperationSample(.integers([4], below: 3), .uniform([4, 3]))] }

    var attributes: JSON { nonDefault(PickLabels.declaration, ("label_base", .int(Int64(labelBase)))) }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        return [TensorSpec(try expectLabels(inputs[0], inputs[1], owner), inputs[1].type)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let (rows, classes) = rowsOfLastAxis(inputs[1].shape)
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: owner)
        let bytes = inputs[1].type.byteCount
        return Kernel("plain", scratchBytes: labels.scratchBytes, cannotFail: false) { arguments in
            let positions = arguments.scratch.assumingMemoryBound(to: Int32.self)
            try labels.read(arguments.inputs[0], positions)
            for row in 0..<rows {
                let source = (row &* classes &+ Int(positions[row])) &* bytes
                (arguments.outputs[0] + row &* bytes).copyMemory(
                    from: arguments.inputs[1] + source, byteCount: bytes)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[1] else { return [nil, nil] }
        let place = PlaceLabels(labelBase: labelBase, classes: context.inputs[1].shape.last, owner: owner)
        return [nil, try DLGraph.apply(place, context.inputs[0], context.upstream)]
    }
}

/// Puts one number into each row of zeros, at the row's label.
struct PlaceLabels: DeclaredOperation {
    var labelBase = 0
    var classes: Int
    var owner = "place_labels"

    static let declaration = Declaration<any Operation>(
        "place_labels", "Rows of zeros with one number each, at the row's label.",
        formula: "y[r, label[r] - label_base] = x[r]",
        shapes: "label (...), x (...) -> (..., classes)",
        extra: networkExtra("label", "x", internal: true),
        arguments: [Argument("classes", .int(Argument.positive), nil, "the length of a row"), ClassLabels.baseArgument]
    ) { PlaceLabels(labelBase: $0.int("label_base"), classes: $0.int("classes")) }

    static var samples: [OperationSample] {
        [OperationSample(.integers([4], below: 3), .uniform([4]), attributes: ["classes": 3])]
    }

    var attributes: JSON {
        nonDefault(
            PlaceLabels.declaration, ("classes", .int(Int64(classes))), ("label_base", .int(Int64(labelBase))))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 2, name)
        let full = TensorSpec(try Shape(checked: inputs[1].shape.sizes + [classes]), inputs[1].type)
        _ = try expectLabels(inputs[0], full, owner)
        return [full]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let rows = inputs[1].shape.count
        let labels = ClassLabels(type: inputs[0].type, rows: rows, classes: classes, base: labelBase, operation: owner)
        let bytes = inputs[1].type.byteCount
        let classes = self.classes
        return Kernel("plain", scratchBytes: labels.scratchBytes, cannotFail: false) { arguments in
            let positions = arguments.scratch.assumingMemoryBound(to: Int32.self)
            try labels.read(arguments.inputs[0], positions)
            let y = arguments.outputs[0]
            y.initializeMemory(as: UInt8.self, repeating: 0, count: rows &* classes &* bytes)
            for row in 0..<rows {
                (y + (row &* classes &+ Int(positions[row])) &* bytes).copyMemory(
                    from: arguments.inputs[1] + row &* bytes, byteCount: bytes)
            }
        }
    }

    func gradient(_ context: GradientContext) throws -> [Value?] {
        guard context.needs[1] else { return [nil, nil] }
        return [
            nil, try DLGraph.apply(PickLabels(labelBase: labelBase, owner: owner), context.inputs[0], context.upstream),
        ]
    }
}
