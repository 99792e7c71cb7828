import CDLKernels

/// The largest element and the sum of exp(x - largest) of a row.
private func normaliser<T: FloatElement>(_ x: UnsafePointer<T>, _ n: Int) -> (largest: Double, sum: Double) {
    var largest = -Double.infinity
    for i in 0..<n where x[i].double > largest { largest = x[i].double }
    var sum = 0.0
    for i in 0..<n { sum += dl_exp_d(x[i].double - largest) }
    return (largest, sum)
}

func referenceSoftmax<T: FloatElement>(_ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ rows: Int, _ n: Int) {
    for r in 0..<rows {
        let x = x + r * n, y = y + r * n
        let (largest, sum) = normaliser(x, n)
        for i in 0..<n { y[i] = T(rounding: dl_exp_d(x[i].double - largest) / sum) }
    }
}

func referenceLogSoftmax<T: FloatElement>(
    _ x: UnsafePointer<T>, _ y: UnsafeMutablePointer<T>, _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let x = x + r * n, y = y + r * n
        let (largest, sum) = normaliser(x, n)
        for i in 0..<n { y[i] = T(rounding: x[i].double - largest - dl_log_d(sum)) }
    }
}

func referenceSoftmaxGradient<T: FloatElement>(
    _ dy: UnsafePointer<T>, _ y: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>, _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let dy = dy + r * n, y = y + r * n, dx = dx + r * n
        var dot = 0.0
        for i in 0..<n { dot += dy[i].double * y[i].double }
        for i in 0..<n { dx[i] = T(rounding: y[i].double * (dy[i].double - dot)) }
    }
}

func referenceLogSoftmaxGradient<T: FloatElement>(
    _ dy: UnsafePointer<T>, _ y: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>, _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let dy = dy + r * n, y = y + r * n, dx = dx + r * n
        var total = 0.0
        for i in 0..<n { total += dy[i].double }
        for i in 0..<n { dx[i] = T(rounding: dy[i].double - dl_exp_d(y[i].double) * total) }
    }
}

func referenceSparse<T: FloatElement>(
    _ x: UnsafePointer<T>, _ labels: Labels, _ loss: UnsafeMutablePointer<T>, _ probabilities: UnsafeMutablePointer<T>?,
    _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let row = x + r * n, label = labels[r]
        let (largest, sum) = normaliser(row, n)
        let inside = label >= 0 && label < n
        loss[r] = inside ? T(rounding: largest - row[label].double + dl_log_d(sum)) : 0
        if let p = probabilities {
            for i in 0..<n { p[r * n + i] = T(rounding: dl_exp_d(row[i].double - largest) / sum) }
        }
    }
}

func referenceSparseGradient<T: FloatElement>(
    _ p: UnsafePointer<T>, _ labels: Labels, _ scale: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>, _ rows: Int,
    _ n: Int
) {
    for r in 0..<rows {
        let label = labels[r]
        let factor = label >= 0 && label < n ? scale[r].double : 0
        for i in 0..<n { dx[r * n + i] = T(rounding: (p[r * n + i].double - (i == label ? 1 : 0)) * factor) }
    }
}

func referenceDense<T: FloatElement>(
    _ x: UnsafePointer<T>, _ targets: UnsafePointer<T>, _ loss: UnsafeMutablePointer<T>,
    _ probabilities: UnsafeMutablePointer<T>?, _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let row = x + r * n, t = targets + r * n
        let (largest, sum) = normaliser(row, n)
        var value = 0.0
        for i in 0..<n where t[i] != 0 { value += t[i].double * (largest - row[i].double + dl_log_d(sum)) }
        loss[r] = T(rounding: value)
        if let p = probabilities {
            for i in 0..<n { p[r * n + i] = T(rounding: dl_exp_d(row[i].double - largest) / sum) }
        }
    }
}

func referenceDenseGradient<T: FloatElement>(
    _ p: UnsafePointer<T>, _ targets: UnsafePointer<T>, _ scale: UnsafePointer<T>, _ dx: UnsafeMutablePointer<T>,
    _ rows: Int, _ n: Int
) {
    for r in 0..<rows {
        let t = targets + r * n
        var weight = 0.0
        for i in 0..<n { weight += t[i].double }
        for i in 0..<n {
            dx[r * n + i] = T(rounding: (p[r * n + i].double * weight - t[i].double) * scale[r].double)
        }
    }
}
