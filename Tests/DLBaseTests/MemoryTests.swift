import CDLShims
import Glibc
import Testing

@testable import DLBase

/// Counters and limits belong to the process, so tests of them run in processes of their own.
@Suite struct MemoryTests {
    @Test func blocksAreAlignedAndRounded() throws {
        var sizes = [0, 1, 63, 64, 65, 511, 512, 513, 575, 576, 577, 1023, 1024, 1025, 4096, 100_000, 5 << 20]
        sizes += (6..<24).flatMap { [(1 << $0) - 1, 1 << $0, (1 << $0) + 1] }
        for size in sizes {
            let rounded = dl_memory_rounded(size)
            #expect(rounded >= max(size, 1) && rounded % 64 == 0, "\(size)")
            #expect(size <= 512 || rounded - size <= size / 8, "\(size) takes \(rounded)")
            #expect(dl_memory_rounded(rounded) == rounded, "\(size)")
            let block = try Memory.allocate(bytes: size)
            #expect(Int(bitPattern: block) % Memory.alignment == 0)
            // All of it can be written to.
            block.initializeMemory(as: UInt8.self, repeating: 0xA5, count: rounded)
            Memory.release(block, bytes: size)
        }
        #expect(dl_memory_rounded(Int.max) == 0)
        #expect(dl_memory_rounded(-1) == 0)
    }

    @Test func roundingNeverGoesDown() {
        var last = 0
        for size in stride(from: 0, to: 200_000, by: 7) {
            let rounded = dl_memory_rounded(size)
            #expect(rounded >= last)
            last = rounded
        }
    }

    @Test func hugeAndNegativeSizesAreRefused() {
        for size in [Int.max, 1 << 62, 1 << 48, (1 << 47) + 1, 1 << 47] {
            let error = #expect(throws: DLError.self) { _ = try Memory.allocate(bytes: size) }
            #expect(error?.code == .memory)
        }
        let error = #expect(throws: DLError.self) { _ = try Memory.allocate(bytes: -1) }
        #expect(error?.code == .argument)
    }

    @Test func countersFollowTheBlocks() async {
        await #expect(processExitsWith: .success) {
            Memory.cacheLimit = 1 << 20
            let start = Memory.statistics
            let a = try Memory.allocate(bytes: 1000)
            let b = try Memory.allocate(bytes: 100_000)
            var now = Memory.statistics
            let size = dl_memory_rounded(1000) + dl_memory_rounded(100_000)
            expectInProcess(now.inUse == start.inUse + size, "in use")
            expectInProcess(now.peak == now.inUse, "peak")
            expectInProcess(now.allocations == start.allocations + 2, "allocations")
            Memory.release(a, bytes: 1000)
            Memory.release(b, bytes: 100_000)
            now = Memory.statistics
            expectInProcess(now.inUse == start.inUse && now.peak == start.inUse + size && now.cached == size, "released: \(now)")
            let again = try Memory.allocate(bytes: 1000)
            expectInProcess(again == a, "from the cache")
            expectInProcess(Memory.statistics.systemAllocations == start.systemAllocations + 2, "system")
            Memory.resetPeak()
            expectInProcess(Memory.statistics.peak == Memory.statistics.inUse, "reset")
            Memory.trim()
            expectInProcess(Memory.statistics.cached == 0, "trimmed")
            Memory.release(again, bytes: 1000)
        }
    }

    @Test func largeBlocksGoBackToTheSystem() async {
        await #expect(processExitsWith: .success) {
            Memory.cacheLimit = 0
            let size = 48 << 20
            let before = residentBytes()
            var blocks: [UnsafeMutableRawPointer] = []
            // Something small between the large ones, as a heap would have it.
            var crumbs: [UnsafeMutableRawPointer] = []
            for _ in 0..<4 {
                let block = try Memory.allocate(bytes: size)
                block.initializeMemory(as: UInt8.self, repeating: 1, count: size)
                blocks.append(block)
                crumbs.append(try Memory.allocate(bytes: 100))
            }
            expectInProcess(residentBytes() - before >= 4 * size, "touched: \(residentBytes() - before)")
            for block in blocks.dropFirst() { Memory.release(block, bytes: size) }
            expectInProcess(residentBytes() - before < size + (8 << 20), "released: \(residentBytes() - before)")
            blocks[0].initializeMemory(as: UInt8.self, repeating: 2, count: size)
        }
    }

    @Test func aBlockTooLargeForTheCacheEmptiesIt() async {
        await #expect(processExitsWith: .success) {
            Memory.cacheLimit = 16 << 20
            for size in [100, 1 << 20, 8 << 20] { Memory.release(try Memory.allocate(bytes: size), bytes: size) }
            let kept = Memory.statistics.cached
            expectInProcess(kept >= 9 << 20, "kept: \(kept)")
            _ = try Memory.allocate(bytes: 12 << 20)
            expectInProcess(Memory.statistics.cached == kept, "a block that the cache could hold")
            _ = try Memory.allocate(bytes: 17 << 20)
            expectInProcess(Memory.statistics.cached == 0, "a block that it could not")
        }
    }

    @Test func theCacheKeepsWithinItsLimit() async {
        await #expect(processExitsWith: .success) {
            Memory.cacheLimit = 100_000
            for round in 0..<200 {
                let sizes = (0..<10).map { 64 * (1 + (round * 7 + $0 * 13) % 300) }
                let blocks = try sizes.map { try Memory.allocate(bytes: $0) }
                for (block, size) in zip(blocks, sizes) {
                    Memory.release(block, bytes: size)
                    expectInProcess(Memory.statistics.cached <= 100_000, "\(Memory.statistics)")
                }
            }
            let large = try Memory.allocate(bytes: 200_000)
            let before = Memory.statistics.cached
            Memory.release(large, bytes: 200_000)
            expectInProcess(Memory.statistics.cached == before, "too large to keep")
            Memory.cacheLimit = 0
            expectInProcess(Memory.statistics.cached == 0, "emptied")
        }
    }

    @Test func theLimitHolds() async {
        await #expect(processExitsWith: .success) {
            let start = Memory.statistics.inUse
            Memory.limit = start + 1 << 20
            let most = Memory.limit - start
            let block = try Memory.allocate(bytes: most)
            do {
                _ = try Memory.allocate(bytes: 1)
                expectInProcess(false, "beyond the limit")
            } catch {
                let error = error as? DLError
                expectInProcess(error?.code == .memory && error?.message.contains("limit") == true, "\(String(describing: error))")
            }
            Memory.release(block, bytes: most)
            // The cached block counts too, and makes room.
            let half = try Memory.allocate(bytes: most / 2)
            expectInProcess(Memory.statistics.inUse + Memory.statistics.cached <= Memory.limit, "cache within the limit")
            Memory.release(half, bytes: most / 2)
            Memory.limit = 0
            let free = try Memory.allocate(bytes: 2 * most)
            Memory.release(free, bytes: 2 * most)
        }
    }

    @Test func aFailureCanBeOrdered() throws {
        Memory.failAllocation(3)
        for _ in 0..<2 { Memory.release(try Memory.allocate(bytes: 10), bytes: 10) }
        #expect(throws: DLError.self) { _ = try Memory.allocate(bytes: 10) }
        Memory.release(try Memory.allocate(bytes: 10), bytes: 10)
    }

    @Test func manyThreadsAtOnce() {
        ThreadPool.shared.forEach(pieces: 16) { piece in
            var random = RandomStream(seed: 7, stream: UInt64(piece))
            var held: [(UnsafeMutableRawPointer, Int, UInt8)] = []
            for round in 0..<2000 {
                if held.count > 20 || (round % 3 == 2 && !held.isEmpty) {
                    let (block, size, mark) = held.remove(at: random.below(held.count))
                    let bytes = UnsafeRawBufferPointer(start: block, count: size)
                    if !bytes.allSatisfy({ $0 == mark }) { Issue.record("a block of another thread") }
                    Memory.release(block, bytes: size)
                } else {
                    let size = 1 + random.below(3000)
                    guard let block = try? Memory.allocate(bytes: size) else { continue }
                    let mark = UInt8(truncatingIfNeeded: round ^ piece)
                    block.initializeMemory(as: UInt8.self, repeating: mark, count: size)
                    held.append((block, size, mark))
                }
            }
            for (block, size, _) in held { Memory.release(block, bytes: size) }
        }
    }

    @Test func bytesInWords() {
        #expect(Memory.describe(bytes: 0) == "0 B")
        #expect(Memory.describe(bytes: 1023) == "1023 B")
        #expect(Memory.describe(bytes: 1536) == "1.50 KB")
        #expect(Memory.describe(bytes: 24 << 20) == "24.0 MB")
        #expect(Memory.describe(bytes: 300 << 30) == "300 GB")
        #expect(Memory.describe(bytes: (1 << 20) - 1) == "1.00 MB")
        #expect(Memory.describe(bytes: Int.max) == "8.00 EB")
        #expect(Memory.describe(bytes: Int.min) == "-8.00 EB")
    }
}

/// What the process has in memory now, of which the system knows.
private func residentBytes() -> Int {
    var pages = 0
    if let file = fopen("/proc/self/statm", "r") {
        var line = [CChar](repeating: 0, count: 128)
        if fgets(&line, Int32(line.count), file) != nil {
            let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
            pages = fields.count > 1 ? Int(fields[1]) ?? 0 : 0
        }
        fclose(file)
    }
    return pages * sysconf(Int32(_SC_PAGESIZE))
}
