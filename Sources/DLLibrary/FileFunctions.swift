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

@implementation @_cdecl("dl_image_load")
public func dl_image_load(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        let options = try PictureOptions.declaration.make(config: json(options, "options"))
        out.pointee = try wrap(Value(Picture.read(text(path, "path")).converted(options)))
    }
}

@implementation @_cdecl("dl_image_decode")
public func dl_image_decode(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ bytes: UnsafeRawPointer?, _ count: Int64, _ options: UnsafePointer<CChar>?
) -> dl_status {
    clear(out)
    return perform {
        let out = try required(out, "out")
        guard let bytes, count >= 0, count <= 1 << 30 else {
            throw DLError(.argument, "dl_image_decode: bytes must be there, and count from 0 to 2^30. Received: count \(count)")
        }
        let options = try PictureOptions.declaration.make(config: json(options, "options"))
        let picture = try Picture.decode(Array(UnsafeRawBufferPointer(start: bytes, count: Int(count))), "cannot read the picture")
        out.pointee = try wrap(Value(picture.converted(options)))
    }
}

@implementation @_cdecl("dl_image_save")
public func dl_image_save(_ image: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?) -> dl_status {
    perform {
        let options = try PictureFile.declaration.make(config: json(options, "options"))
        try PictureFile.write(unwrap(image, "image", as: Value.self).tensor("save_img"), to: text(path, "path"), options)
    }
}

@implementation @_cdecl("dl_folder_list")
public func dl_folder_list(_ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ path: UnsafePointer<CChar>?) -> dl_status {
    text?.pointee = nil
    return perform {
        let entries = try Files.folder(DLLibrary.text(path, "path")).map { entry -> JSON in
            let kind = entry.kind == .file ? "file" : entry.kind == .folder ? "folder" : "other"
            return ["name": .string(entry.name), "kind": .string(kind), "is_link": .bool(entry.isLink)]
        }
        try give(JSON.array(entries).serialized(), required(text, "text"), "text")
    }
}

@implementation @_cdecl("dl_file_hash")
public func dl_file_hash(
    _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ path: UnsafePointer<CChar>?, _ algorithm: UnsafePointer<CChar>?
) -> dl_status {
    text?.pointee = nil
    return perform {
        let name = try DLLibrary.text(algorithm, "algorithm")
        guard let kind = FileHash(rawValue: name) else {
            throw DLError(.argument, "dl_file_hash: algorithm must be 'sha256' or 'md5'. Received: '\(name)'")
        }
        try give(kind.digest(DLLibrary.text(path, "path")), required(text, "text"), "text")
    }
}
