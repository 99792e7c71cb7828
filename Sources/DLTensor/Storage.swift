import CDLShims
import DLBase

/// Memory that tensors share: 64-byte aligned, reference-counted, counted in bytes.
package final class Storage: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int
    /// Grows with every write in place, so that a tape can tell when what it remembers has changed.
    package internal(set) var version = 0
    private let owner: Owner

    private enum Owner {
        case pool
        case foreign(release: () -> Void)
    }

    /// New memory with undefined contents.
    package init(byteCount: Int) throws {
        self.pointer = try Memory.allocate(bytes: byteCount)
        self.byteCount = byteCount
        self.owner = .pool
    }

    /// Memory that belongs to somebody else; `release` is called when the last tensor lets go of it.
    package init(foreign pointer: UnsafeMutableRawPointer, byteCount: Int, release: @escaping () -> Void) {
        self.pointer = pointer
        self.byteCount = byteCount
        self.owner = .foreign(release: release)
    }

    deinit {
        switch owner {
        case .pool: Memory.release(pointer, bytes: byteCount)
        case .foreign(let release): release()
        }
    }

    package func noteChange() { version &+= 1 }
}
