import CDLKernels
import DLBase

/// What kernels are given to run pieces in parallel; nil runs everything on the calling thread.
package typealias Runtime = UnsafePointer<dl_runtime>

/// The table of tuned kernels for an element type: float32 alone has one, where the processor can run it.
func tunedMath(_ type: ElementType, _ level: ProcessorLevel) -> UnsafePointer<dl_math_kernels>? {
    type == .float32 && !ReferenceSwitch.isOn ? Kernels.math(for: level) : nil
}

/// float32 and float64, whose reference loops compute in double precision and round once.
protocol FloatElement: BinaryFloatingPoint {
    init(rounding value: Double)
    var double: Double { get }
}

extension Float: FloatElement {
    @inline(__always) init(rounding value: Double) { self = Float(value) }
    @inline(__always) var double: Double { Double(self) }
}

extension Double: FloatElement {
    @inline(__always) init(rounding value: Double) { self = value }
    @inline(__always) var double: Double { self }
}

extension UnsafeRawPointer {
    /// Tensor memory holds one element type for as long as a kernel looks at it.
    @inline(__always) func of<T>(_ type: T.Type) -> UnsafePointer<T> { assumingMemoryBound(to: type) }
}

extension UnsafeMutableRawPointer {
    @inline(__always) func of<T>(_ type: T.Type) -> UnsafeMutablePointer<T> { assumingMemoryBound(to: type) }
}

/// Calls `body` with ranges of `0 ..< count` whose borders depend on count and grain alone.
@inline(__always)
func forRanges(_ runtime: Runtime?, count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
    guard let runtime, count > grain, let parallel = runtime.pointee.parallel_for else {
        if count > 0 { body(0..<count) }
        return
    }
    struct Job {
        var count: Int
        var grain: Int
        var body: (Range<Int>) -> Void
    }
    withoutActuallyEscaping(body) { body in
        var job = Job(count: count, grain: grain, body: body)
        withUnsafeMutablePointer(to: &job) { pointer in
            parallel(
                runtime.pointee.context, Int64((count - 1) / grain + 1),
                { argument, piece in
                    guard let argument else { return }
                    let job = argument.assumingMemoryBound(to: Job.self)
                    let start = Int(piece) * job.pointee.grain
                    job.pointee.body(start..<min(job.pointee.count, start + job.pointee.grain))
                }, pointer)
        }
    }
}
