import CDL
import CDLShims
import DLBase
import DLData
import DLGraph
import DLKernels
import DLLayers
import DLOps
import DLTraining

// Version, status and process sections of dl.h.

@implementation @_cdecl("dl_last_error")
public func dl_last_error() -> UnsafePointer<CChar>! { dl_error_state_text() }

@implementation @_cdecl("dl_last_status")
public func dl_last_status() -> dl_status { dl_error_state_code() }

@implementation @_cdecl("dl_last_callback_status")
public func dl_last_callback_status() -> Int32 { dl_error_state_callback() }

@implementation @_cdecl("dl_text_free")
public func dl_text_free(_ text: UnsafeMutablePointer<CChar>?) { dl_system_free_text(text) }

@implementation @_cdecl("dl_set_num_threads")
public func dl_set_num_threads(_ threads: Int32) -> dl_status {
    perform {
        guard threads >= 0, threads <= 1024 else {
            throw DLError(.argument, "[set_num_threads] 'threads' must be 0 to 1024. Received: \(threads)")
        }
        ThreadPool.shared.threads = Int(threads)
    }
}

@implementation @_cdecl("dl_get_num_threads")
public func dl_get_num_threads() -> Int32 { Int32(clamping: ThreadPool.shared.threads) }

@implementation @_cdecl("dl_set_winograd")
public func dl_set_winograd(_ enabled: Int32) { WinogradSwitch.isOn = enabled != 0 }

@implementation @_cdecl("dl_get_winograd")
public func dl_get_winograd() -> Int32 { WinogradSwitch.isOn ? 1 : 0 }

@implementation @_cdecl("dl_set_random_seed")
public func dl_set_random_seed(_ seed: UInt64) { GlobalRandom.seed(seed) }

@implementation @_cdecl("dl_set_memory_limit")
public func dl_set_memory_limit(_ bytes: Int64) { Memory.limit = Int(max(bytes, 0)) }

@implementation @_cdecl("dl_get_memory_info")
public func dl_get_memory_info(_ info: UnsafeMutablePointer<dl_memory_info>?) -> dl_status {
    perform {
        let statistics = Memory.statistics
        try required(info, "info").pointee = dl_memory_info(
            bytes_in_use: Int64(statistics.inUse), peak_bytes: Int64(statistics.peak),
            cached_bytes: Int64(statistics.cached), allocations: Int64(statistics.allocations))
    }
}

@implementation @_cdecl("dl_trim_memory")
public func dl_trim_memory() { Memory.trim() }

@implementation @_cdecl("dl_live_handles")
public func dl_live_handles() -> Int64 { dl_handle_count(0) }

@implementation @_cdecl("dl_system_info")
public func dl_system_info(_ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> dl_status {
    text?.pointee = nil
    return perform {
        let info: JSON = [
            "version": .string(String(cString: dl_version())), "abi_version": .int(Int64(dl_abi_version())),
            "processor": .string(Environment.processorName),
            "features": .array(Environment.processorFeatures.map { .string($0) }),
            "kernels": .string(ProcessorLevel.current.name), "threads": .int(Int64(ThreadPool.shared.threads)),
            "layers": .int(Int64(Layers.registry.names.count)),
            "operations": .int(Int64(Operations.registry.names.count)),
        ]
        try give(info.serialized(), text, "text")
    }
}

/// Names and descriptions of one category.
private struct Category {
    let names: [String]
    let describe: (String) throws -> JSON

    init<Product>(_ registry: Registry<Product>, extra: [String] = []) {
        names = registry.names + extra
        describe = { try registry.declaration($0).describe(category: registry.category) }
    }
}

private func category(_ name: String) throws -> Category {
    switch name {
    case "layer": return Category(Layers.registry)
    case "operation": return Category(Operations.registry)
    case "loss": return Category(Losses.registry)
    case "metric": return Category(Metrics.registry)
    case "optimizer": return Category(Optimizers.registry)
    case "initializer": return Category(Initializers.registry)
    case "regularizer": return Category(Regularizers.registry)
    case "constraint": return Category(Constraints.registry)
    case "activation": return Category(Activations.registry)
    case "callback": return Category(Callbacks.registry)
    case "dataset": return Category(DataSets.registry)
    case "application": return Category(Applications.registry)
    case "schedule": return Category(Schedules.registry)
    default:
        let all = [
            "layer", "operation", "loss", "metric", "optimizer", "initializer", "regularizer", "constraint", "activation",
            "callback", "schedule", "dataset", "application",
        ]
        var message = "there is no category '\(name)'; they are \(all.joined(separator: ", "))"
        if let near = nearestName(to: name, in: all) { message += "; did you mean '\(near)'?" }
        throw DLError(.notFound, message)
    }
}

@implementation @_cdecl("dl_list")
public func dl_list(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ category_name: UnsafePointer<CChar>?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let names = try category(DLLibrary.text(category_name, "category")).names
        try give(JSON.array(names.map { .string($0) }).serialized(), text, "text")
    }
}

@implementation @_cdecl("dl_describe")
public func dl_describe(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ category_name: UnsafePointer<CChar>?,
    _ name: UnsafePointer<CChar>?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let found = try category(DLLibrary.text(category_name, "category"))
        try give(found.describe(DLLibrary.text(name, "name")).serialized(), text, "text")
    }
}

/// Static names, so that they can be lent for ever.
private nonisolated(unsafe) let statusNames: [Int32: UnsafePointer<CChar>] = {
    var names: [Int32: UnsafePointer<CChar>] = [:]
    func keep(_ name: String) -> UnsafePointer<CChar> {
        let bytes = Array(name.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        copy.initialize(from: bytes, count: bytes.count)
        return UnsafePointer(copy)
    }
    names[0] = keep("DL_OK")
    names[-1] = keep("DL_ERROR_UNKNOWN")
    for code in DLError.Code.allCases {
        let words = "\(code)".reduce(into: "") { $0 += $1.isUppercase ? "_\($1)" : $1.uppercased() }
        names[code.rawValue] = keep("DL_ERROR_\(words)")
    }
    return names
}()

@implementation @_cdecl("dl_status_name")
public func dl_status_name(_ status: dl_status) -> UnsafePointer<CChar>? { statusNames[status] ?? statusNames[-1] }
