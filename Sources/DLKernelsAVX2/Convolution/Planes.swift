import CDLKernels

/// Vectors of positions and of taps that fit the registers beside their sums.
#if DL_AVX512
    let planeSums = 24
    let planeWeightTaps = 5
    let planeWeightFilters = 4
#else
    let planeSums = 12
    let planeWeightTaps = 4
    let planeWeightFilters = 3
#endif

/// Few channels and few filters leave the lanes empty whichever of them stands there, so here the lanes are
/// neighbouring positions of a row: each channel and each filter is a plane of its own.
///
/// The work is cut into bands of output rows of one image. A piece of work treats several bands one after another
/// in memory of its own. Horizontal stride 1 and one group, said by the list.
struct Planes {
    let s: Sizes
    let taps: Int
    let bandHeight: Int
    let bands: Int
    let pieces: Int
    /// Vectors that cover an output row.
    let vectors: Int
    let inputRows: Int
    let inputWidth: Int
    let planeFloats: Int

    init(_ s: Sizes) {
        self.s = s
        taps = s.kernelY &* s.kernelX &* s.channels
        vectors = divideUp(s.outputWidth, lanes)
        let rowWork = Float(vectors &* lanes) * Float(taps &* s.filters)
        bandHeight = max(1, min(s.outputHeight, Int(min(65536, 1_000_000 / rowWork))))
        bands = divideUp(s.outputHeight, bandHeight)
        let work = rowWork * Float(s.outputHeight) * Float(s.batch)
        pieces = max(1, min(s.batch &* bands, Int(min(32, work / 150_000))))
        inputRows = (bandHeight &- 1) &* s.strideY &+ (s.kernelY &- 1) &* s.dilationY &+ 1
        inputWidth = vectors &* lanes &+ (s.kernelX &- 1) &* s.dilationX
        planeFloats = inputRows &* inputWidth
    }

    var units: Int { s.batch &* bands }

    /// Offset of each tap, in the order of the weights, from a position's first one.
    func fillOffsets(_ offsets: UnsafeMutablePointer<Int>) {
        for tap in 0..<taps {
            let c = tap % s.channels
            let kx = tap / s.channels % s.kernelX
            let ky = tap / s.channels / s.kernelX
            offsets[tap] = c &* planeFloats &+ ky &* s.dilationY &* inputWidth &+ kx &* s.dilationX
        }
    }

    /// The part of x that output rows firstRow ... look at, as planes with zeros for padding.
    func fillPlanes(
        _ x: UnsafePointer<Float>, image: Int, firstRow: Int, rows: Int, _ planes: UnsafeMutablePointer<Float>
    ) {
        let needed = (rows &- 1) &* s.strideY &+ (s.kernelY &- 1) &* s.dilationY &+ 1
        let before = min(s.padLeft, inputWidth)
        let count = min(s.width, inputWidth &- before)
        for row in 0..<needed {
            let y = firstRow &* s.strideY &- s.padTop &+ row
            let to = planes + row &* inputWidth
            let inside = y >= 0 && y < s.height && count > 0
            for c in 0..<s.channels {
                let plane = to + c &* planeFloats
                if !inside {
                    clearFloats(plane, inputWidth)
                    continue
                }
                let from = x + ((image &* s.height &+ y) &* s.width &* s.channels &+ c)
                clearFloats(plane, before)
                if s.channels == 1 {
                    copyFloats(from, plane + before, count)
                } else {
                    for i in 0..<count { plane[before &+ i] = from[i &* s.channels] }
                }
                clearFloats(plane + (before &+ count), inputWidth &- before &- count)
            }
        }
    }
}
