import CDL
import DLBase
import DLData
import DLGraph
import DLTensor

// Files section of dl.h.

@implementation @_cdecl("dl_tensor_load")
public func dl_tensor_load(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ path: UnsafePointer<CChar>?) -> dl_status {
    clear(out)
    return perform { try required(out, "out").pointee = wrap(Value(loadTensor(text(path, "path")))) }
}

@implementation @_cdecl("dl_tensor_save")
public func dl_tensor_save(_ tensor: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> dl_status {
    perform { try NPY.write(unwrap(tensor, "tensor", as: Value.self).tensor("save"), to: text(path, "path")) }
}

@implementation @_cdecl("dl_dataset_load")
public func dl_dataset_load(
    _ outputs: UnsafeMutablePointer<OpaquePointer?>?, _ info: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ name: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(outputs, 4)
    info?.pointee = nil
    return perform {
        let outputs = try required(outputs, "outputs")
        let set = try DataSets.registry.declaration(text(name, "name")).make(config: json(options, "options"))
        if let info { try give(set.info.serialized(), info, "info") }
        do {
            try give(set.tensors.map { Value($0) }, outputs, 4, nil, "outputs")
        } catch {
            dl_text_free(info?.pointee)
            info?.pointee = nil
            throw error
        }
    }
}

@implementation @_cdecl("dl_csv_load")
public func dl_csv_load(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    names?.pointee = nil
    return perform {
        let out = try required(out, "out")
        let table = try CSV.read(text(path, "path"), options: json(options, "options"))
        let handle = try wrap(Value(table.tensor))
        do {
            if let names { try give(JSON.array(table.names.map { .string($0) }).serialized(), names, "names") }
        } catch {
            release(handle, as: Value.self)
            throw error
        }
        out.pointee = handle
    }
}
