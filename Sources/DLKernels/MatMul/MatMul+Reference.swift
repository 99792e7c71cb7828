/// C = activation(A B + bias), or C + A B first, as the formula says. Loops run along contiguous memory.
package struct MatMulReference<Scalar: BinaryFloatingPoint> {
    let p: MatMulProblem

    package init(_ problem: MatMulProblem) { p = problem }

    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    package func run(
        a: UnsafePointer<Scalar>, b: UnsafePointer<Scalar>, bias: UnsafePointer<Scalar>?, relu: Bool, accumulate: Bool,
        c: UnsafeMutablePointer<Scalar>
    ) {
        for index in 0..<p.batch {
            let left = a + index * p.m * p.k
            let right = b + index * p.k * p.n
            for i in 0..<p.m {
                let row = c + (index * p.m + i) * p.n
                if !accumulate {
                    for j in 0..<p.n { row[j] = 0 }
                }
                if p.transposeB {
                    for j in 0..<p.n {
                        var sum: Scalar = 0
                        for l in 0..<p.k { sum += left[p.transposeA ? l * p.m + i : i * p.k + l] * right[j * p.k + l] }
                        row[j] += sum
                    }
                } else {
                    for l in 0..<p.k {
                        let factor = left[p.transposeA ? l * p.m + i : i * p.k + l]
                        for j in 0..<p.n { row[j] += factor * right[l * p.n + j] }
                    }
                }
                if let bias {
                    for j in 0..<p.n { row[j] += bias[j] }
                }
                if relu {
                    for j in 0..<p.n where row[j] < 0 { row[j] = 0 }
                }
            }
        }
    }
}
