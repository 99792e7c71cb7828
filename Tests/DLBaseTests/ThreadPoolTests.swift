import CDLKernels
import CDLShims
import Glibc
import Testing

@testable import DLBase

/// The number of threads belongs to the process, so tests that set it run in processes of their own.
@Suite struct ThreadPoolTests {
    @Test func everyPieceRunsOnceWhateverTheThreads() async {
        await #expect(processExitsWith: .success) {
            for threads in 1...8 {
                ThreadPool.shared.threads = threads
                expectInProcess(ThreadPool.shared.threads == threads, "threads")
                expectInProcess(ThreadPool.shared.runtime.pointee.threads == Int64(threads), "runtime.threads")
                for pieces in [0, 1, 2, 3, 7, 64, 1000] {
                    let counts = UnsafeMutablePointer<Int32>.allocate(capacity: pieces + 1)
                    counts.initialize(repeating: 0, count: pieces + 1)
                    ThreadPool.shared.forEach(pieces: pieces) { counts[$0] += 1 }
                    for piece in 0..<pieces { expectInProcess(counts[piece] == 1, "piece \(piece) of \(pieces)") }
                    expectInProcess(counts[pieces] == 0, "beyond")
                    counts.deallocate()
                }
                expectInProcess(ThreadPool.shared.workers == threads - 1, "workers: \(ThreadPool.shared.workers), threads \(threads)")
            }
            ThreadPool.shared.threads = 3
            ThreadPool.shared.forEach(pieces: 4) { _ in }
            expectInProcess(ThreadPool.shared.workers == 2, "shrunk")
            expectInProcess(ThreadPool.shared.shutdown(), "shutdown")
            expectInProcess(ThreadPool.shared.workers == 0 && workerThreadsOfSystem() == 0, "no thread left")
            ThreadPool.shared.forEach(pieces: 4) { _ in }
            expectInProcess(ThreadPool.shared.workers == 2, "started again")
        }
    }

    @Test func settingsOutsideTheRangeAreClamped() async {
        await #expect(processExitsWith: .success) {
            ThreadPool.shared.threads = 1_000_000
            expectInProcess(ThreadPool.shared.threads == ThreadPool.maximumThreads, "most")
            setenv("DL_NUM_THREADS", "1", 1)
            ThreadPool.shared.threads = -5
            expectInProcess(ThreadPool.shared.threads == 1, "default")
            for nonsense in ["", "x", "0", "-3", "2x", "99999999999999999999"] {
                setenv("DL_NUM_THREADS", nonsense, 1)
                expectInProcess(dl_pool_default_threads() >= 1, nonsense)
            }
            var before: Int64 = 0
            unsetenv("DL_NUM_THREADS")
            before = dl_pool_default_threads()
            setenv("DL_NUM_THREADS", "1000", 1)
            expectInProcess(dl_pool_default_threads() == before, "the environment lowers only")
        }
    }

    @Test func nestedRegionsRunInline() {
        let sums = UnsafeMutablePointer<Int>.allocate(capacity: 16)
        defer { sums.deallocate() }
        sums.initialize(repeating: 0, count: 16)
        ThreadPool.shared.forEach(pieces: 16) { outer in
            ThreadPool.shared.forEach(pieces: 10) { inner in
                ThreadPool.shared.forEach(pieces: 2) { sums[outer] += inner + $0 }
            }
        }
        for outer in 0..<16 { #expect(sums[outer] == 100) }
    }

    @Test func manyTinyRegions() async {
        await #expect(processExitsWith: .success) {
            ThreadPool.shared.threads = 3
            let total = UnsafeMutablePointer<Int>.allocate(capacity: 3)
            total.initialize(repeating: 0, count: 3)
            for _ in 0..<100_000 { ThreadPool.shared.forEach(pieces: 3) { total[$0] += 1 } }
            for piece in 0..<3 { expectInProcess(total[piece] == 100_000, "piece \(piece)") }
        }
    }

    @Test func concurrentCallersDoNotWaitForEachOther() async {
        await withTaskGroup(of: Int.self) { group in
            for caller in 0..<6 {
                group.addTask {
                    var good = 0
                    for round in 0..<2000 {
                        let pieces = 1 + (round + caller) % 9
                        let values = UnsafeMutablePointer<Int>.allocate(capacity: pieces)
                        defer { values.deallocate() }
                        ThreadPool.shared.forEach(pieces: pieces) { values[$0] = $0 * caller + round }
                        if (0..<pieces).allSatisfy({ values[$0] == $0 * caller + round }) { good += 1 }
                    }
                    return good
                }
            }
            for await good in group { #expect(good == 2000) }
        }
    }

    @Test func aChildOfForkStartsItsOwnWorkers() async {
        await #expect(processExitsWith: .success) {
            ThreadPool.shared.threads = 4
            ThreadPool.shared.forEach(pieces: 8) { _ in }
            for _ in 0..<20 {
                let status = inChild {
                    if ThreadPool.shared.workers != 0 { return 10 }
                    let values = UnsafeMutablePointer<Int>.allocate(capacity: 100)
                    values.initialize(repeating: 0, count: 100)
                    for _ in 0..<50 { ThreadPool.shared.forEach(pieces: 100) { values[$0] += $0 } }
                    if ThreadPool.shared.workers != 3 { return 11 }
                    return (0..<100).allSatisfy { values[$0] == 50 * $0 } ? 0 : 12
                }
                expectInProcess(status == 0, "child returned \(status)")
                ThreadPool.shared.forEach(pieces: 8) { _ in }
            }
        }
    }

    @Test func workersComputeInTheCallersFloatingPointMode() async {
        await #expect(processExitsWith: .success) {
            ThreadPool.shared.threads = 4
            let values = UnsafeMutablePointer<Double>.allocate(capacity: 400)
            let one = UnsafeMutablePointer<Double>.allocate(capacity: 2)
            one[0] = 1
            one[1] = 3
            // The values of C's FE_TONEAREST, FE_UPWARD and FE_DOWNWARD on x86.
            let upward: Int32 = 0x800
            for mode in [0, upward, 0x400] {
                fesetround(mode)
                ThreadPool.shared.forEach(pieces: 400) { piece in
                    usleep(20)
                    values[piece] = one[0] / one[1]
                }
                for piece in 1..<400 { expectInProcess(values[piece] == values[0], "mode \(mode), piece \(piece)") }
                expectInProcess((values[0] > 1.0 / 3) == (mode == upward), "mode \(mode) holds")
                fesetround(0)
            }
        }
    }

    @Test func workersLeaveSignalsToTheHost() async {
        await #expect(processExitsWith: .success) {
            ThreadPool.shared.threads = 2
            let blocked = UnsafeMutablePointer<Int32>.allocate(capacity: 64)
            let host = pthread_self()
            ThreadPool.shared.forEach(pieces: 64) { piece in
                usleep(50)
                var mask = sigset_t()
                pthread_sigmask(SIG_BLOCK, nil, &mask)
                blocked[piece] = pthread_equal(pthread_self(), host) != 0 ? -1 : sigismember(&mask, SIGINT)
            }
            let seen = Set((0..<64).map { blocked[$0] })
            expectInProcess(!seen.contains(0) && seen.contains(1), "\(seen)")
        }
    }
}

/// Inside an exit test: ends the process with a message unless the condition holds.
func expectInProcess(_ condition: Bool, _ message: @autoclosure () -> String, line: Int = #line) {
    if condition { return }
    let text = "line \(line): \(message())\n"
    write(2, text, text.utf8.count)
    exit(1)
}

/// Runs the body in a child of fork and returns what it returned; -1 if the child died, -2 if it hung for 20 s.
func inChild(_ body: () -> Int32) -> Int32 {
    typealias Fork = @convention(c) () -> Int32
    guard let symbol = dlsym(nil, "fork") else { return -3 }
    let fork = unsafeBitCast(symbol, to: Fork.self)
    let child = fork()
    if child == 0 {
        alarm(20)
        _exit(body())
    }
    var status: Int32 = 0
    guard waitpid(child, &status, 0) == child else { return -1 }
    if status & 0x7F == SIGALRM { return -2 }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
}

/// How many threads named like the workers the system knows.
private func workerThreadsOfSystem() -> Int {
    guard let folder = opendir("/proc/self/task") else { return -1 }
    defer { closedir(folder) }
    var count = 0
    while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if let text = try? Files.read("/proc/self/task/\(name)/comm"), String(decoding: text, as: UTF8.self) == "dl-worker\n" {
            count += 1
        }
    }
    return count
}

