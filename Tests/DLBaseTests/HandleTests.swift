import CDLShims
import Testing

@testable import DLBase

@Suite struct HandleTests {
    /// Kinds of their own, so that suites running beside do not disturb the counts.
    let kind: Int32 = 60
    let otherKind: Int32 = 61

    @Test func lifeOfAHandle() throws {
        let object = UnsafeMutableRawPointer(bitPattern: 0x1234)
        let handle = try #require(dl_handle_create(kind, object))
        #expect(Int(bitPattern: handle) % 8 == 0)
        #expect(dl_handle_object(handle, kind) == object)
        #expect(dl_handle_object(handle, otherKind) == nil)
        #expect(dl_handle_kind(handle) == kind)
        #expect(dl_handle_retain(handle, kind) == 1)
        #expect(dl_handle_retain(handle, otherKind) == 0)
        var out: UnsafeMutableRawPointer?
        #expect(dl_handle_release(handle, otherKind, &out) == -1 && out == nil)
        #expect(dl_handle_release(handle, kind, &out) == 0 && out == nil)
        #expect(dl_handle_object(handle, kind) == object)
        #expect(dl_handle_release(handle, kind, &out) == 1 && out == object)
        #expect(dl_handle_object(handle, kind) == nil)
        #expect(dl_handle_kind(handle) == 0)
        #expect(dl_handle_retain(handle, kind) == 0)
        #expect(dl_handle_release(handle, kind, &out) == -1 && out == nil)
    }

    @Test func anyPointerValueIsSafe() throws {
        let handle = try #require(dl_handle_create(otherKind, UnsafeMutableRawPointer(bitPattern: 8)))
        let start = UInt(bitPattern: handle)
        var out: UnsafeMutableRawPointer?
        func check(_ value: UInt) {
            guard value != start, let pointer = UnsafeRawPointer(bitPattern: value) else { return }
            if dl_handle_object(pointer, otherKind) != nil { Issue.record("\(value) taken for a handle") }
            if dl_handle_retain(pointer, otherKind) != 0 { Issue.record("\(value) retained") }
            if dl_handle_release(pointer, otherKind, &out) != -1 { Issue.record("\(value) released") }
        }
        #expect(dl_handle_object(nil, otherKind) == nil)
        #expect(dl_handle_release(nil, otherKind, &out) == -1)
        var random = RandomStream(seed: 3)
        for _ in 0..<100_000 {
            check(UInt(truncatingIfNeeded: random.next()))
            check(start &+ UInt(truncatingIfNeeded: random.next() >> 30))
            check(start &- UInt(truncatingIfNeeded: random.next() >> 30))
        }
        for offset in 1..<32 as Range<UInt> { check(start &+ offset) }
        for value in [1, 2, 8, 4095, UInt.max, UInt.max - 7, 1 << 63, 1 << 47] as [UInt] { check(value) }
        var local = 0
        withUnsafePointer(to: &local) { check(UInt(bitPattern: $0)) }
        #expect(dl_handle_release(handle, otherKind, &out) == 1)
    }

    @Test func staleHandlesStayErrorsForLong() async {
        await #expect(processExitsWith: .success) {
            let kind: Int32 = 1
            var out: UnsafeMutableRawPointer?
            let stale = dl_handle_create(kind, UnsafeMutableRawPointer(bitPattern: 8))
            expectInProcess(dl_handle_release(stale, kind, &out) == 1, "released")
            // The cell comes round every 65,536 releases, and three times under another address.
            for round in 0..<200_000 {
                let handle = dl_handle_create(kind, UnsafeMutableRawPointer(bitPattern: 16))
                expectInProcess(dl_handle_object(stale, kind) == nil, "a released handle lives again in round \(round)")
                expectInProcess(dl_handle_release(handle, kind, &out) == 1, "release")
            }
            expectInProcess(dl_handle_count(kind) == 0, "count")
        }
    }

    @Test func badKindsAndObjects() {
        for kind in [0, -1, Int32(DL_HANDLE_KINDS), Int32.max, Int32.min] {
            #expect(dl_handle_create(kind, UnsafeMutableRawPointer(bitPattern: 8)) == nil)
        }
        #expect(dl_handle_create(kind, nil) == nil)
        #expect(dl_handle_count(-1) == 0)
        #expect(dl_handle_count(Int32(DL_HANDLE_KINDS)) == 0)
    }

    @Test func manyHandlesFromManyThreads() {
        let kind: Int32 = 58
        ThreadPool.shared.forEach(pieces: 8) { piece in
            var handles: [UnsafeMutableRawPointer] = []
            for round in 1...20_000 {
                if let handle = dl_handle_create(kind, UnsafeMutableRawPointer(bitPattern: piece * 100_000 + round)) { handles.append(handle) }
            }
            if handles.count != 20_000 { Issue.record("only \(handles.count) handles") }
            for (round, handle) in handles.enumerated() {
                var out: UnsafeMutableRawPointer?
                if dl_handle_release(handle, kind, &out) != 1 || Int(bitPattern: out) != piece * 100_000 + round + 1 {
                    Issue.record("object of another handle")
                }
            }
        }
        #expect(dl_handle_count(kind) == 0)
    }

    @Test func onlyOneOfManyReleasesIsTheLast() {
        let kind: Int32 = 57
        for _ in 0..<200 {
            let handle = dl_handle_create(kind, UnsafeMutableRawPointer(bitPattern: 8))
            for _ in 0..<7 { _ = dl_handle_retain(handle, kind) }
            let last = UnsafeMutablePointer<Int32>.allocate(capacity: 12)
            ThreadPool.shared.forEach(pieces: 12) { piece in
                var out: UnsafeMutableRawPointer?
                last[piece] = dl_handle_release(handle, kind, &out)
            }
            let results = (0..<12).map { last[$0] }
            last.deallocate()
            #expect(results.filter { $0 == 1 }.count == 1)
            #expect(results.filter { $0 == -1 }.count == 4)
        }
    }
}

@Suite struct ErrorStateTests {
    @Test func textIsKeptPerThread() throws {
        dl_error_state_set(5, "first", 5)
        #expect(dl_error_state_code() == 5 && String(cString: dl_error_state_text()) == "first")
        let long = String(repeating: "x", count: 10_000)
        dl_error_state_set(6, long, long.utf8.count)
        #expect(String(cString: dl_error_state_text()) == long)
        // A message made from the last one.
        let text = try #require(dl_error_state_text())
        dl_error_state_set(7, text + 9_000, 1_000)
        #expect(String(cString: dl_error_state_text()) == String(repeating: "x", count: 1_000))
        dl_error_state_set(8, dl_error_state_text(), 4)
        #expect(String(cString: dl_error_state_text()) == "xxxx")
        dl_error_state_set(0, nil, 0)
        #expect(String(cString: dl_error_state_text()) == "")
    }

    @Test func threadsDoNotSeeEachOther() {
        ThreadPool.shared.forEach(pieces: 64) { piece in
            let text = "piece \(piece) " + String(repeating: "y", count: piece * 20)
            dl_error_state_set(Int32(piece), text, text.utf8.count)
            if String(cString: dl_error_state_text()) != text || dl_error_state_code() != Int32(piece) {
                Issue.record("another thread's error")
            }
        }
    }
}
