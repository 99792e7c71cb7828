import CDLKernels
import DLKernels
import Glibc
import Synchronization

/// Floats between two stretches of a pattern that no kernel may touch. Starts off any alignment on purpose.
final class GuardedFloats {
    private static let guardBits: UInt32 = 0x7fc1_2345
    private static let margin = 67
    let count: Int
    private let base: UnsafeMutablePointer<Float>
    var pointer: UnsafeMutablePointer<Float> { base + Self.margin }
    var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    init(_ values: [Float]) {
        count = values.count
        base = .allocate(capacity: count + 2 * Self.margin)
        base.initialize(repeating: Float(bitPattern: Self.guardBits), count: count + 2 * Self.margin)
        for i in 0..<count { pointer[i] = values[i] }
    }

    /// Holds the guard pattern, a NaN, until written.
    convenience init(count: Int) { self.init([Float](repeating: Float(bitPattern: Self.guardBits), count: count)) }

    deinit { base.deallocate() }

    var isIntact: Bool {
        let outside = Array(0..<Self.margin) + Array(Self.margin + count..<count + 2 * Self.margin)
        return outside.allSatisfy { base[$0].bitPattern == Self.guardBits }
    }
}

/// Scratch memory of an exact size, filled with NaNs, with a guard behind it.
final class GuardedScratch {
    private let bytes: Int
    let pointer: UnsafeMutableRawPointer

    init(bytes: Int) {
        self.bytes = bytes
        pointer = .allocate(byteCount: bytes + 64, alignment: 64)
        memset(pointer, 0xff, bytes + 64)
    }

    deinit { pointer.deallocate() }

    var isIntact: Bool { (bytes..<bytes + 64).allSatisfy { pointer.load(fromByteOffset: $0, as: UInt8.self) == 0xff } }
}

/// A runtime whose pieces really run at the same time, on as many threads as it is told.
final class TestRuntime {
    let pointer: UnsafeMutablePointer<dl_runtime>

    init(threads: Int) {
        pointer = .allocate(capacity: 1)
        pointer.initialize(
            to: dl_runtime(
                context: UnsafeMutableRawPointer(bitPattern: threads),
                parallel_for: { context, pieces, task, argument in
                    let region = Region(pieces: pieces, task: task.unsafelyUnwrapped, argument: argument)
                    region.run(threads: Int(bitPattern: context))
                }, threads: Int64(threads)))
    }

    deinit { pointer.deallocate() }
}

private final class Region: @unchecked Sendable {
    private let next = Atomic<Int64>(0)
    private let pieces: Int64
    private let task: @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void
    private let argument: UnsafeMutableRawPointer?

    init(
        pieces: Int64, task: @escaping @convention(c) (UnsafeMutableRawPointer?, Int64) -> Void,
        argument: UnsafeMutableRawPointer?
    ) {
        self.pieces = pieces
        self.task = task
        self.argument = argument
    }

    func run(threads: Int) {
        if threads == 1 || pieces == 1 {
            // Backwards, so that a kernel which relies on the order shows.
            for piece in stride(from: pieces - 1, through: 0, by: -1) { task(argument, piece) }
            return
        }
        var workers: [pthread_t] = []
        for _ in 1..<threads {
            var worker = pthread_t()
            let status = pthread_create(
                &worker, nil,
                { region in
                    if let region { Unmanaged<Region>.fromOpaque(region).takeUnretainedValue().takePieces() }
                    return nil
                }, Unmanaged.passUnretained(self).toOpaque())
            if status == 0 { workers.append(worker) }
        }
        takePieces()
        for worker in workers { pthread_join(worker, nil) }
    }

    private func takePieces() {
        while true {
            let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
            if piece >= pieces { return }
            task(argument, piece)
        }
    }
}

struct TestNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func integers(_ count: Int) -> [Float] { (0..<count).map { _ in Float(Int.random(in: -3...3, using: &self)) } }

    mutating func reals(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &self) } }
}

/// The levels of kernels this processor can run.
let testedLevels = ProcessorLevel.allCases.filter { $0 != .baseline && $0 <= .current }

func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
}
