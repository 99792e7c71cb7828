import DLBase
import DLGraph
import DLTensor

/// The attributes of a use that differ from the declaration's defaults, so that graphs read well.
func nonDefault(_ declaration: Declaration<any Operation>, _ pairs: (String, JSON)...) -> JSON {
    var object = JSONObject()
    for (name, value) in pairs {
        let argument = declaration.arguments.first { $0.name == name }
        if argument?.defaultValue != value { object[name] = value }
    }
    return .object(object)
}

/// What bindings and documents know of an operation beside its declaration: the names of its inputs in order, and
/// whether only gradients use it.
func networkExtra(_ inputs: String..., internal isInternal: Bool = false) -> JSONObject {
    var extra = JSONObject([("inputs", .array(inputs.map { .string($0) }))])
    if isInternal { extra["internal"] = true }
    return extra
}

func sizesJSON(_ sizes: [Int]) -> JSON { .array(sizes.map { .int(Int64($0)) }) }

/// Where the channels of pictures are: (N, H, W, C) or (N, C, H, W).
package enum DataFormat: String, Sendable {
    case channelsLast = "channels_last"
    case channelsFirst = "channels_first"

    static let argument = Argument(
        "data_format", .choice(["channels_last", "channels_first"]), "channels_last",
        "where the channels are: channels_last (N, H, W, C), the layout of the kernels, or channels_first (N, C, H, W), "
            + "which is converted before and after")

    init(_ arguments: Arguments) { self = DataFormat(rawValue: arguments.string("data_format")) ?? .channelsLast }

    /// The sizes of a picture tensor in the order N, H, W, C.
    func lastOrder(_ shape: Shape) -> Shape {
        guard self == .channelsFirst, shape.rank == 4 else { return shape }
        return Shape([shape[0], shape[2], shape[3], shape[1]])
    }

    /// The reverse of `lastOrder`.
    func ownOrder(_ shape: Shape) -> Shape {
        guard self == .channelsFirst, shape.rank == 4 else { return shape }
        return Shape([shape[0], shape[3], shape[1], shape[2]])
    }
}

/// (N, C, H, W) to (N, H, W, C).
func toChannelsLast(_ x: Value) throws -> Value { try transpose(x, [0, 2, 3, 1]) }

/// (N, H, W, C) to (N, C, H, W).
func toChannelsFirst(_ x: Value) throws -> Value { try transpose(x, [0, 3, 1, 2]) }

/// Two-dimensional pictures have four axes.
func expectPicture(_ spec: TensorSpec, _ operation: String, _ what: String = "input") throws {
    guard spec.shape.rank == 4 else {
        throw DLError(
            .shape, "[\(operation)] \(what) must have 4 axes: (batch, height, width, channels). "
                + "Received: \(what) \(spec.shape)")
    }
}

/// All inputs have one floating-point type.
func expectSameFloat(_ inputs: [TensorSpec], _ operation: String) throws {
    for input in inputs { try expectType(input, floatingTypes, operation) }
    guard let first = inputs.first else { return }
    for input in inputs where input.type != first.type {
        throw DLError(
            .dtype, "[\(operation)] inputs must have one dtype. Received: "
                + inputs.map(\.type.name).joined(separator: ", "))
    }
}

/// Sum over all axes but the last, as the gradient of what was added to every row.
func sumOfRows(_ x: Value) throws -> Value {
    let rank = x.shape.rank
    guard rank > 1 else { return x }
    return try DLOps.sum(x, axes: Array(0..<rank - 1))
}

func reshaped(_ x: Value, _ shape: Shape) throws -> Value {
    if x.shape == shape { return x }
    return try reshape(x, shape.sizes)
}

/// Sum over the last axis, kept with size 1.
func sumLast(_ x: Value, keepdims: Bool = true) throws -> Value {
    try DLOps.sum(x, axes: [-1], keepDims: keepdims)
}
