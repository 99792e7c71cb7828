import DLBase

/// Places buffers of known size and lifetime in one block of memory, so that those alive at the same step do not overlap.
package struct MemoryPlan {
    package struct Request {
        package let byteCount: Int
        /// First and last step at which the contents matter.
        package var firstStep: Int
        package var lastStep: Int

        package init(byteCount: Int, firstStep: Int, lastStep: Int) {
            self.byteCount = byteCount
            self.firstStep = firstStep
            self.lastStep = lastStep
        }
    }

    package let offsets: [Int]
    package let byteCount: Int

    /// Vector loads want 64 bytes.
    private static let alignment = 64

    /// Largest first, each at the lowest offset that is free for its whole life.
    package init(_ requests: [Request]) throws {
        var offsets = [Int](repeating: 0, count: requests.count)
        var placed: [(offset: Int, end: Int, first: Int, last: Int)] = []
        var total = 0
        let order = requests.indices.sorted {
            (requests[$0].byteCount, requests[$1].firstStep, $1) > (requests[$1].byteCount, requests[$0].firstStep, $0)
        }
        for index in order {
            let request = requests[index]
            let (padded, overflow) = request.byteCount.addingReportingOverflow(MemoryPlan.alignment - 1)
            guard !overflow else { throw DLError(.memory, "a buffer of \(request.byteCount) bytes is too large") }
            let size = padded & ~(MemoryPlan.alignment - 1)
            var offset = 0
            // `placed` is kept in order of offset, so the first gap that is wide enough is the lowest.
            for other in placed where other.first <= request.lastStep && other.last >= request.firstStep {
                if other.offset >= offset, other.offset - offset >= size { break }
                offset = max(offset, other.end)
            }
            let (end, tooFar) = offset.addingReportingOverflow(size)
            guard !tooFar else { throw DLError(.memory, "the buffers of one step exceed the address space") }
            offsets[index] = offset
            total = max(total, end)
            let entry = (offset, end, request.firstStep, request.lastStep)
            let position = placed.firstIndex { $0.offset > offset } ?? placed.count
            placed.insert(entry, at: position)
        }
        self.offsets = offsets
        self.byteCount = total
    }

    /// The most bytes that are alive at one step.
    package static func peak(of requests: [Request]) -> Int {
        var changes: [(step: Int, bytes: Int)] = []
        for request in requests where request.byteCount > 0 {
            changes.append((request.firstStep, request.byteCount))
            changes.append((request.lastStep + 1, -request.byteCount))
        }
        // What ends at a step is gone before what begins there.
        changes.sort { ($0.step, $0.bytes) < ($1.step, $1.bytes) }
        var (alive, most) = (0, 0)
        for change in changes {
            alive &+= change.bytes
            most = max(most, alive)
        }
        return most
    }
}
