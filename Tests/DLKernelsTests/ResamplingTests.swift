import DLBase
import DLKernels
import Testing

@Suite("Interpolation along axes and at coordinates")
struct ResamplingTests {
    /// Taps of every count from none to five, at places that repeat.
    private func taps(_ n: Int, _ m: Int) -> [[(position: Int, weight: Double)]] {
        (0..<m).map { output in (0..<(output % 6)).map { ((output * 7 + $0 * 5) % n, Double(($0 * 3 + output) % 7 - 3) / 4 + 1) } }
    }

    @Test("Sums of taps, and their transpose", arguments: [1, 3, 15, 16, 17, 33, 40000])
    func sums(_ inner: Int) {
        let (outer, n, m) = (inner > 100 ? 1 : 3, 5, inner > 100 ? 7 : 40)
        let table = taps(n, m)
        let map = AxisTaps(inputSize: n, outputSize: m) { table[$0] }
        let x = (0..<outer * n * inner).map { Double($0 % 23) - 11 }
        var y = [Double](repeating: 0, count: outer * m * inner)
        for image in 0..<outer {
            for output in 0..<m {
                for (position, weight) in table[output] {
                    for i in 0..<inner { y[(image * m + output) * inner + i] += weight * x[(image * n + position) * inner + i] }
                }
            }
        }
        // Quarters and small whole numbers: exact in float32.
        var results: [[Float]] = []
        withThreads { runtime in
            let source = Guarded(x.map { Float($0) }), target = Guarded([Float](repeating: .nan, count: y.count))
            map(runtime, outer: outer, inner: inner, source.raw, target.raw, type: .float32)
            #expect(source.isIntact && target.isIntact)
            results.append(target.values)
        }
        #expect(results[0] == results[1])
        #expect(results[0].map { Double($0) } == y)
        // <y, A x> = <A' y, x>.
        let back = Guarded([Double](repeating: .nan, count: x.count)), from = Guarded(y)
        map.transposed(nil, outer: outer, inner: inner, from.raw, back.raw, type: .float64)
        #expect(back.isIntact)
        #expect(zip(back.values, x).reduce(0) { $0 + $1.0 * $1.1 } == y.reduce(0) { $0 + $1 * $1 })
    }

    @Test("What stands outside of a picture", arguments: [1, 2, 5])
    func borders(_ size: Int) {
        // A picture of coordinates, seen one element at a time.
        for border in BorderMode.allCases {
            for index in -13...13 {
                let x = Guarded((0..<size).map { Double($0) }), places = Guarded([Double(index)]), y = Guarded([Double.nan])
                CoordinateSampling(sizes: [size], count: 1, isLinear: false, border: border, fill: -7)(
                    nil, x.raw, places.raw, y.raw, type: .float64)
                #expect(x.isIntact && y.isIntact)
                #expect(Int(y.values[0]) == walk(index, size, border), "\(border) \(index) of \(size)")
            }
        }
    }

    /// The same, a step at a time from the inside.
    private func walk(_ index: Int, _ size: Int, _ border: BorderMode) -> Int {
        if border == .constant { return (0..<size).contains(index) ? index : -7 }
        if border == .nearest { return min(max(index, 0), size - 1) }
        var (place, step) = (0, index < 0 ? -1 : 1)
        for _ in 0..<abs(index) {
            var next = place + step
            if !(0..<size).contains(next) {
                switch border {
                case .wrap: next = next < 0 ? size - 1 : 0
                case .reflect: (next, step) = (place, -step)
                default: (next, step) = (size == 1 ? 0 : place - step, -step)
                }
            }
            place = next
        }
        return place
    }

    @Test("Affine maps agree with coordinates, whatever the threads", arguments: BorderMode.allCases)
    func affine(_ border: BorderMode) {
        let (n, height, width, channels) = (2, 5, 7, 3)
        let maps: [Double] = [0.9, -0.3, 1.25, 0.4, 1.1, -2.5, 0, 0, -1, 0, 9.5, 0.25, -0.75, 3, 0, 0]
        let x = (0..<n * height * width * channels).map { Double(($0 * 31) % 97) / 16 }
        for isLinear in [true, false] {
            let sampling = AffineSampling(
                n: n, height: height, width: width, channels: channels, isLinear: isLinear, border: border, fill: 2,
                isShared: false)
            var results: [[Double]] = []
            withThreads { runtime in
                let source = Guarded(x), table = Guarded(maps), y = Guarded([Double](repeating: .nan, count: x.count))
                sampling(runtime, source.raw, table.raw, y.raw, type: .float64)
                #expect(source.isIntact && y.isIntact)
                let back = Guarded([Double](repeating: .nan, count: x.count))
                sampling.gradient(runtime, y.raw, table.raw, back.raw, type: .float64)
                #expect(back.isIntact && y.isIntact)
                results.append(y.values + back.values)
            }
            #expect(results[0] == results[1])
            var worst = 0.0
            for image in 0..<n {
                for channel in 0..<channels {
                    let plane = (0..<height * width).map { x[(image * height * width + $0) * channels + channel] }
                    var rows: [Double] = [], columns: [Double] = []
                    for place in 0..<height * width {
                        let (i, j) = (Double(place / width), Double(place % width))
                        let map = maps[(8 * image)..<(8 * image + 6)].map { $0 }
                        columns.append(map[0] * j + map[1] * i + map[2])
                        rows.append(map[3] * j + map[4] * i + map[5])
                    }
                    let from = Guarded(plane), places = Guarded(rows + columns), y = Guarded([Double](repeating: 0, count: plane.count))
                    CoordinateSampling(sizes: [height, width], count: plane.count, isLinear: isLinear, border: border, fill: 2)(
                        nil, from.raw, places.raw, y.raw, type: .float64)
                    for place in 0..<plane.count {
                        worst = max(worst, abs(y.values[place] - results[0][(image * height * width + place) * channels + channel]))
                    }
                }
            }
            #expect(worst < 1e-12)
        }
    }
}
