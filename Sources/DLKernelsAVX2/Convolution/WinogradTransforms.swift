import CDLKernels

/// Winograd's convolution F(O x O, T x T): a tile of O x O outputs from I x I inputs, I = O + T - 1, with I * I products
/// instead of T * T * O * O.
///
///     y = A^T ((G w G^T) * (B^T x B)) A
///
/// with * element by element and summed over channels. (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and
/// S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.) I = 4 has the points 0, 1, -1 and infinity;
/// I = 6 has 0, √2, -√2, 1/√2, -1/√2 and infinity, whose rounding error is a fifth of that of 0, ±1, ±2: O = 4 with 3 taps,
/// O = 2 with 5.
///
/// Each function transforms a vector of independent columns (channels); two dimensions are rows, then columns.
enum Winograd<let I: Int, let O: Int, let T: Int> {
    typealias Inputs = InlineArray<I, Vector>
    typealias Outputs = InlineArray<O, Vector>
    typealias Taps = InlineArray<T, Vector>

    /// B^T x
    @inline(__always)
    static func input(_ x: Inputs) -> Inputs {
        var t = x
        if I == 6 {
            let outer = Vector(repeating: -2.5)
            let p = Vector(repeating: root2)
            let q = Vector(repeating: halfRoot2)
            let minusTwo = Vector(repeating: -2)
            let minusHalf = Vector(repeating: -0.5)
            t[0] = fma(outer, x[2], x[0] + x[4])
            let even1 = fma(minusHalf, x[2], x[4])
            let odd1 = fma(minusHalf, x[1], x[3])
            let even2 = fma(minusTwo, x[2], x[4])
            let odd2 = fma(minusTwo, x[1], x[3])
            t[1] = fma(p, odd1, even1)
            t[2] = fma(-p, odd1, even1)
            t[3] = fma(q, odd2, even2)
            t[4] = fma(-q, odd2, even2)
            t[5] = fma(outer, x[3], x[1] + x[5])
        } else {
            t[0] = x[0] - x[2]
            t[1] = x[1] + x[2]
            t[2] = x[2] - x[1]
            t[3] = x[3] - x[1]
        }
        return t
    }

    /// A^T m
    @inline(__always)
    static func output(_ m: Inputs) -> Outputs {
        var y = Outputs { _ in Vector(repeating: 0) }
        let sum1 = m[1] + m[2]
        let difference1 = m[1] - m[2]
        if I == 6 {
            let p = Vector(repeating: root2)
            let half = Vector(repeating: 0.5)
            let sum2 = m[3] + m[4]
            let difference2 = m[3] - m[4]
            y[0] = m[0] + sum1 + sum2
            y[1] = p * fma(half, difference2, difference1)
            if O == 2 {
                y[1] += m[5]
                return y
            }
            y[2] = fma(half, sum2, sum1 + sum1)
            y[3] = fma(p + p, fma(Vector(repeating: 0.125), difference2, difference1), m[5])
        } else {
            y[0] = m[0] + sum1
            y[1] = difference1 + m[3]
        }
        return y
    }

    /// G w
    @inline(__always)
    static func kernel(_ w: Taps) -> Inputs {
        var u = Inputs { _ in Vector(repeating: 0) }
        if I == 6 {
            var even1 = fma(Vector(repeating: 2), w[2], w[0])
            var odd1 = w[1]
            var even2 = fma(Vector(repeating: 0.5), w[2], w[0])
            var odd2 = w[1]
            if T == 5 {
                even1 = fma(Vector(repeating: 4), w[4], even1)
                odd1 = fma(Vector(repeating: 2), w[3], odd1)
                even2 = fma(Vector(repeating: 0.25), w[4], even2)
                odd2 = fma(Vector(repeating: 0.5), w[3], odd2)
            }
            even1 *= Vector(repeating: 1 / 6)
            odd1 *= Vector(repeating: root2 / 6)
            even2 *= Vector(repeating: -2 / 3)
            odd2 *= Vector(repeating: -halfRoot2 * 2 / 3)
            u[0] = w[0]
            u[1] = even1 + odd1
            u[2] = even1 - odd1
            u[3] = even2 + odd2
            u[4] = even2 - odd2
            u[5] = w[T &- 1]
        } else {
            let even = (w[0] + w[2]) * Vector(repeating: 0.5)
            let odd = w[1] * Vector(repeating: 0.5)
            u[0] = w[0]
            u[1] = even + odd
            u[2] = even - odd
            u[3] = w[2]
        }
        return u
    }

    /// A dy: the adjoint of `output`.
    @inline(__always)
    static func outputAdjoint(_ y: Outputs) -> Inputs {
        var m = Inputs { _ in Vector(repeating: 0) }
        if I == 6 {
            let p = Vector(repeating: root2)
            let q = Vector(repeating: halfRoot2)
            let two = Vector(repeating: 2)
            let half = Vector(repeating: 0.5)
            let even1 = O == 2 ? y[0] : fma(two, y[2], y[0])
            let odd1 = O == 2 ? y[1] : fma(two, y[3], y[1])
            let even2 = O == 2 ? y[0] : fma(half, y[2], y[0])
            let odd2 = O == 2 ? y[1] : fma(half, y[3], y[1])
            m[0] = y[0]
            m[1] = fma(p, odd1, even1)
            m[2] = fma(-p, odd1, even1)
            m[3] = fma(q, odd2, even2)
            m[4] = fma(-q, odd2, even2)
            m[5] = y[O &- 1]
        } else {
            m[0] = y[0]
            m[1] = y[0] + y[1]
            m[2] = y[0] - y[1]
            m[3] = y[1]
        }
        return m
    }

    /// G^T du: the adjoint of `kernel`.
    @inline(__always)
    static func kernelAdjoint(_ u: Inputs) -> Taps {
        var w = Taps { _ in Vector(repeating: 0) }
        let sum1 = u[1] + u[2]
        let difference1 = u[1] - u[2]
        if I == 6 {
            let sum2 = u[3] + u[4]
            let difference2 = u[3] - u[4]
            let even1 = sum1 * Vector(repeating: 1 / 6)
            let even2 = sum2 * Vector(repeating: -2 / 3)
            let odd2 = Vector(repeating: -halfRoot2 * 2 / 3) * difference2
            w[0] = u[0] + even1 + even2
            w[1] = fma(Vector(repeating: root2 / 6), difference1, odd2)
            if T == 5 {
                w[2] = fma(Vector(repeating: 2), even1, Vector(repeating: 0.5) * even2)
                w[3] = fma(Vector(repeating: root2 / 3), difference1, Vector(repeating: 0.5) * odd2)
                w[4] = fma(Vector(repeating: 4), even1, fma(Vector(repeating: 0.25), even2, u[5]))
                return w
            }
            w[2] = fma(Vector(repeating: 2), even1, fma(Vector(repeating: 0.5), even2, u[5]))
        } else {
            let half = Vector(repeating: 0.5)
            w[0] = fma(half, sum1, u[0])
            w[1] = half * difference1
            w[2] = fma(half, sum1, u[3])
        }
        return w
    }
}

/// The three that are compiled.
enum WinogradForm {
    /// F(2x2, 3x3), F(4x4, 3x3), F(2x2, 5x5)
    case two, four, five

    /// Outputs of a tile in a row.
    var step: Int { self == .four ? 4 : 2 }
    var taps: Int { self == .five ? 5 : 3 }
    var streams: Int { self == .two ? 16 : 36 }
}

private let root2: Float = 1.414213562373095
private let halfRoot2: Float = 0.7071067811865476
