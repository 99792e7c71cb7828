/// Calls window(result's position) after visiting each element of its window: visit(position in the input).
private func forWindows(
    _ p: Pool2D, _ window: (_ result: Int, _ elements: (_ visit: (Int) -> Void) -> Void) -> Void
) {
    for image in 0..<p.n {
        for row in 0..<p.oh {
            let top = row * p.sh - p.padTop
            let rows = max(0, top)..<max(max(0, top), min(p.ih, top + p.kh))
            for column in 0..<p.ow {
                let left = column * p.sw - p.padLeft
                let columns = max(0, left)..<max(max(0, left), min(p.iw, left + p.kw))
                for c in 0..<p.c {
                    window(((image * p.oh + row) * p.ow + column) * p.c + c) { visit in
                        for i in rows {
                            for j in columns { visit(((image * p.ih + i) * p.iw + j) * p.c + c) }
                        }
                    }
                }
            }
        }
    }
}

func referenceMaxPool<T: FloatElement>(_ p: Pool2D, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) {
    forWindows(p) { result, elements in
        var largest = -T.infinity
        elements { if !largest.isNaN && !(x[$0] <= largest) { largest = x[$0] } }
        y[result] = largest
    }
}

func referenceMaxPoolGradient<T: FloatElement>(
    _ p: Pool2D, _ x: UnsafePointer<T>, _ y: UnsafePointer<T>, _ dy: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>
) {
    dx.update(repeating: 0, count: p.inputCount)
    forWindows(p) { result, elements in
        var found = false
        elements { i in
            if !found && !(x[i] < y[result]) {
                found = true
                dx[i] += dy[result]
            }
        }
    }
}

func referenceAveragePool<T: FloatElement>(_ p: Pool2D, _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>) {
    forWindows(p) { result, elements in
        var sum = 0.0, count = 0
        elements {
            sum += x[$0].double
            count += 1
        }
        y[result] = T(rounding: sum / Double(max(count, 1)))
    }
}

func referenceAveragePoolGradient<T: FloatElement>(_ p: Pool2D, _ dy: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>) {
    dx.update(repeating: 0, count: p.inputCount)
    forWindows(p) { result, elements in
        var count = 0
        elements { _ in count += 1 }
        elements { dx[$0] += T(rounding: dy[result].double / Double(count)) }
    }
}
