import CDL

// dl.h, "Version". The macros are the single place of the numbers.

private nonisolated(unsafe) let version: UnsafePointer<CChar> = {
    let text = Array("\(DL_VERSION_MAJOR).\(DL_VERSION_MINOR).\(DL_VERSION_PATCH)".utf8CString)
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.count)
    copy.initialize(from: text, count: text.count)
    return UnsafePointer(copy)
}()

@implementation @_cdecl("dl_version")
public func dl_version() -> UnsafePointer<CChar>? { version }

@implementation @_cdecl("dl_abi_version")
public func dl_abi_version() -> Int32 { Int32(DL_ABI_VERSION) }
