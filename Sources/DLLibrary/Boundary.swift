import CDL
import CDLShims
import DLBase
import DLGraph
import DLKernels
import DLLayers
import DLTensor
import DLTraining

// Where the library meets its callers: handles become objects, errors become statuses. No mathematics here.

/// Runs the body of a C function. What it throws becomes the status and the thread's last error.
func perform(_ function: StaticString = #function, _ body: () throws -> Void) -> dl_status {
    do {
        if ProcessorLevel.current == .baseline {
            throw DLError(
                .unsupported, "this processor lacks AVX2 and FMA, which the kernels of this build need. "
                    + "Received: \(Environment.processorName)")
        }
        try body()
        return 0
    } catch let error as DLError {
        return report(error)
    } catch {
        return report(DLError(.internal, "unexpected error"))
    }
}

func report(_ error: DLError) -> dl_status {
    // One line, whatever the message was made of.
    var text = error.message.replacingNewlines()
    text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { dl_error_state_set(error.code.rawValue, $0.baseAddress, $0.count) }
    }
    dl_error_state_set_callback(error.callbackStatus)
    return error.code.rawValue
}

extension String {
    fileprivate func replacingNewlines() -> String {
        guard utf8.contains(10) || utf8.contains(13) else { return self }
        return String(decoding: utf8.map { $0 == 10 || $0 == 13 ? 32 : $0 }, as: UTF8.self)
    }
}

// MARK: Handles

/// The kinds of handles; scripts are numbered by the interpreter's own part.
enum HandleKind: Int32 {
    case tensor = 1
    case tape = 2
    case layer = 3
    case model = 4
    case loss = 5
    case metric = 6
    case optimizer = 7
    case fit = 8
    // 9 are scripts.
    case function = 10
    case step_results = 11

    var name: String { "dl_\(self)" }
}

/// A class whose instances go out as handles.
protocol Handled: AnyObject {
    static var handleKind: HandleKind { get }
}

extension Value: Handled { static var handleKind: HandleKind { .tensor } }
extension Tape: Handled { static var handleKind: HandleKind { .tape } }
extension Loss: Handled { static var handleKind: HandleKind { .loss } }
extension Metric: Handled { static var handleKind: HandleKind { .metric } }
extension CompiledFunction: Handled { static var handleKind: HandleKind { .function } }
extension Optimizer: Handled { static var handleKind: HandleKind { .optimizer } }

/// A layer goes out as one of two kinds, so a class of its own stands for each.
final class LayerBox: Handled {
    static var handleKind: HandleKind { .layer }
    let layer: Layer
    init(_ layer: Layer) { self.layer = layer }
}

final class ModelBox: Handled {
    static var handleKind: HandleKind { .model }
    let model: Model
    init(_ model: Model) { self.model = model }
}

/// The object of a handle; an error for null, foreign, released and wrong ones.
func unwrap<Object: Handled>(_ handle: OpaquePointer?, _ argument: String, as _: Object.Type = Object.self) throws -> Object {
    let kind = Object.handleKind
    guard let object = dl_handle_object(UnsafeRawPointer(handle), kind.rawValue) else {
        let found = HandleKind(rawValue: dl_handle_kind(UnsafeRawPointer(handle)))
        let received = handle == nil ? "NULL" : found.map { "a \($0.name)" } ?? "a pointer that is no live handle"
        throw DLError(.handle, "'\(argument)' must be a \(kind.name). Received: \(received)")
    }
    return Unmanaged<Object>.fromOpaque(object).takeUnretainedValue()
}

func wrap<Object: Handled>(_ object: Object) throws -> OpaquePointer {
    let retained = Unmanaged.passRetained(object)
    guard let handle = dl_handle_create(Object.handleKind.rawValue, retained.toOpaque()) else {
        retained.release()
        throw DLError(.memory, "out of memory: no room for another handle")
    }
    return OpaquePointer(handle)
}

func retain(_ handle: OpaquePointer?, _ kind: HandleKind, _ argument: String) throws {
    guard dl_handle_retain(UnsafeRawPointer(handle), kind.rawValue) == 1 else {
        throw DLError(.handle, "'\(argument)' must be a live \(kind.name)")
    }
}

func release<Object: Handled>(_ handle: OpaquePointer?, as _: Object.Type) {
    var object: UnsafeMutableRawPointer?
    if dl_handle_release(UnsafeRawPointer(handle), Object.handleKind.rawValue, &object) == 1, let object {
        Unmanaged<Object>.fromOpaque(object).release()
    }
}

// MARK: Arguments

typealias Out<T> = UnsafeMutablePointer<T>?
/// What C writes as `dl_X *const *`.
typealias HandleArray = UnsafePointer<OpaquePointer?>?

func required<T>(_ pointer: UnsafeMutablePointer<T>?, _ argument: String) throws -> UnsafeMutablePointer<T> {
    guard let pointer else { throw DLError(.argument, "'\(argument)' must not be NULL") }
    return pointer
}

func text(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> String {
    guard let pointer else { throw DLError(.argument, "'\(argument)' must not be NULL") }
    return String(cString: pointer)
}

func optionalText(_ pointer: UnsafePointer<CChar>?) -> String? { pointer.map { String(cString: $0) } }

/// JSON from text; null for NULL and for "".
func json(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> JSON {
    guard let text = optionalText(pointer), !text.isEmpty else { return .null }
    do {
        return try JSON(parsing: text)
    } catch {
        throw DLError(.argument, "'\(argument)' is not valid JSON: \(error.message)")
    }
}

/// JSON, or a bare name.
func nameOrJSON(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> JSON {
    guard let text = optionalText(pointer), let first = text.first(where: { !$0.isWhitespace }) else { return .null }
    return first == "{" || first == "[" || first == "\"" || text == "null" ? try json(pointer, argument) : .string(text)
}

func count(_ number: Int32, _ argument: String) throws -> Int {
    guard number >= 0 else { throw DLError(.argument, "'\(argument)' must not be negative. Received: \(number)") }
    return Int(number)
}

func values(_ handles: HandleArray, _ number: Int32, _ argument: String) throws -> [Value] {
    let number = try count(number, "\(argument)_count")
    guard number > 0 else { return [] }
    guard let handles else { throw DLError(.argument, "'\(argument)' must not be NULL") }
    return try (0..<number).map { try unwrap(handles[$0], "\(argument)[\($0)]") }
}

func tensors(_ handles: HandleArray, _ number: Int32, _ argument: String) throws -> [Tensor] {
    try values(handles, number, argument).map { try $0.tensor(argument) }
}

/// The sizes of a shape given from C; nil for -1 where that is allowed.
func sizes(_ rank: Int32, _ shape: UnsafePointer<Int64>?, allowUnknown: Bool) throws -> [Int?] {
    let rank = try count(rank, "rank")
    guard rank <= Shape.maximumRank else {
        throw DLError(.shape, "a tensor has at most \(Shape.maximumRank) axes. Received: \(rank)")
    }
    guard rank > 0 else { return [] }
    guard let shape else { throw DLError(.argument, "'shape' must not be NULL") }
    return try (0..<rank).map { axis in
        if shape[axis] == -1, allowUnknown { return nil }
        guard shape[axis] >= 0 else {
            throw DLError(.shape, "sizes must not be negative. Received: \(shape[axis]) for axis \(axis)")
        }
        return Int(shape[axis])
    }
}

func elementType(_ dtype: dl_dtype) throws -> ElementType {
    guard let type = ElementType(rawValue: dtype) else {
        throw DLError(.dtype, "there is no dtype \(dtype); they are 1 to \(ElementType.allCases.count)")
    }
    return type
}

// MARK: Results

/// Gives text to the caller, who frees it with dl_text_free.
func give(_ text: String, _ out: Out<UnsafeMutablePointer<CChar>?>, _ argument: String) throws {
    let out = try required(out, argument)
    guard let copy = dl_system_copy_text(text) else { throw DLError(.memory, "out of memory") }
    out.pointee = copy
}

/// Gives new references to the caller; all or none.
func give(
    _ results: [Value], _ out: Out<OpaquePointer?>, _ capacity: Int32, _ counted: Out<Int32>, _ argument: String
) throws {
    guard results.count <= Int(max(capacity, 0)) else {
        throw DLError(
            .argument, "'capacity' is too small: there are \(results.count) \(argument). Received: \(capacity)")
    }
    if results.isEmpty {
        counted?.pointee = 0
        return
    }
    let out = try required(out, argument)
    var handles: [OpaquePointer] = []
    do {
        for result in results { handles.append(try wrap(result)) }
    } catch {
        for handle in handles { release(handle, as: Value.self) }
        throw error
    }
    for (index, handle) in handles.enumerated() { out[index] = handle }
    counted?.pointee = Int32(handles.count)
}

/// What the caller sees if the call fails.
func clear(_ out: Out<OpaquePointer?>, _ capacity: Int32 = 1, _ counted: Out<Int32> = nil) {
    if let out, capacity > 0, capacity <= 1 << 16 { out.update(repeating: nil, count: Int(capacity)) }
    counted?.pointee = 0
}
