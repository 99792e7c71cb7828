import DLBase
import DLKernels
import Testing

/// An array between two stretches of a pattern that no kernel may touch. Starts off any alignment on purpose.
final class Guarded<T: BitwiseCopyable> {
    private static var margin: Int { 67 }
    private let pattern: UInt8 = 0xa5
    let count: Int
    private let base: UnsafeMutableRawPointer
    private var byteCount: Int { (count + 2 * Self.margin) * MemoryLayout<T>.stride }

    var pointer: UnsafeMutablePointer<T> {
        (base + Self.margin * MemoryLayout<T>.stride).assumingMemoryBound(to: T.self)
    }
    var raw: UnsafeMutableRawPointer { UnsafeMutableRawPointer(pointer) }
    var values: [T] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    init(count: Int) {
        self.count = count
        base = .allocate(byteCount: (count + 2 * Self.margin) * MemoryLayout<T>.stride, alignment: 64)
        base.initializeMemory(as: UInt8.self, repeating: 0xa5, count: byteCount)
    }

    convenience init(_ values: [T]) {
        self.init(count: values.count)
        for (i, value) in values.enumerated() { pointer[i] = value }
    }

    // Never freed: the compiler may end the object's life at its last mention, while a kernel still has the pointer.

    var isIntact: Bool {
        let edge = Self.margin * MemoryLayout<T>.stride
        return (Array(0..<edge) + Array(byteCount - edge..<byteCount)).allSatisfy {
            base.load(fromByteOffset: $0, as: UInt8.self) == pattern
        }
    }
}

/// Runs the body with one thread, whose pieces come in reverse, and with three.
func withThreads(_ body: (Runtime) -> Void) {
    for threads in [1, 3] {
        let runtime = TestRuntime(threads: threads)
        body(UnsafePointer(runtime.pointer))
    }
}

/// Sizes around the vector widths of both builds.
let borderSizes = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129]

let specialFloats: [Float] = [
    0, -0.0, 1, -1, 0.5, -0.5, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
    .leastNormalMagnitude, Float(bitPattern: 71362), -Float(bitPattern: 71362), .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 88.7, 88.8, -87.3,
    -87.4, -103.9, -104.1, 1e-7, -1e-7, 1e-4, 0.62, 0.63, 2.5, 3.5, -2.5, 6, 3, -3, 20, -20, 1e10, -1e10, 8191, 8193,
]

/// Steps between two floats in the order of their bits; 0 for two NaNs.
func ulps(_ a: Float, _ b: Float) -> UInt32 {
    if a.isNaN || b.isNaN { return a.isNaN && b.isNaN ? 0 : .max }
    func ordered(_ x: Float) -> Int64 {
        let bits = Int64(Int32(bitPattern: x.bitPattern))
        return bits < 0 ? Int64(Int32.min) - bits : bits
    }
    return UInt32(clamping: abs(ordered(a) - ordered(b)))
}

/// The largest difference, relative to the largest magnitude expected.
func relativeError(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    var error: Float = 0, scale: Float = 1e-30
    for (x, y) in zip(a, b) {
        if x.isNaN && y.isNaN || x == y { continue }
        if !(abs(x - y) < .infinity) { return .infinity }
        error = max(error, abs(x - y))
    }
    for y in b where y.isFinite { scale = max(scale, abs(y)) }
    return error / scale
}

/// Small whole numbers, whose sums and products are exact.
func smallIntegers(_ count: Int, _ numbers: inout TestNumbers) -> [Float] {
    (0..<count).map { _ in Float(Int.random(in: -4...4, using: &numbers)) }
}

struct Missing: Error {}

/// The kernel itself, to be called in the same expression; the macro of the same purpose cannot be.
func need<T>(_ kernel: T?) throws -> T {
    guard let kernel else { throw Missing() }
    return kernel
}
