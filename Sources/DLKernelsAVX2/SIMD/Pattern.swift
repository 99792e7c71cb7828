// Few columns leave most of a vector empty. Repeating a row of them until it fills whole vectors lets a
// narrow matrix be passed over as a wide one.

let patternCapacity = 256

/// Storage for `patternCapacity` numbers. A temporary allocation would keep its caller from being inlined.
struct PatternStorage {
    var a = SIMD64<Float>(), b = SIMD64<Float>(), c = SIMD64<Float>(), d = SIMD64<Float>()
}

@inline(__always)
func withPattern(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    var storage = PatternStorage()
    withUnsafeMutablePointer(to: &storage) {
        body(UnsafeMutableRawPointer($0).assumingMemoryBound(to: Float.self))
    }
}

/// The smallest common multiple of the columns and the lanes.
@inline(__always)
func widened(_ cols: Int) -> Int {
    var a = cols, b = lanes
    while b != 0 { (a, b) = (b, a % b) }
    return cols &* (lanes / a)
}

@inline(__always)
func fillPattern(_ pattern: UnsafeMutablePointer<Float>, _ row: UnsafePointer<Float>, _ cols: Int, _ width: Int) {
    var i = 0
    while i < width {
        for c in 0..<cols { pattern[i &+ c] = row[c] }
        i &+= cols
    }
}
