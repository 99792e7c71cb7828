import CDLKernels
import DLBase

/// The sizes of C = A B, row-major and contiguous: C [m, n], A [m, k] or, transposed, stored as [k, m]; B [k, n] or,
/// transposed, stored as [n, k]. `batch` products stand one after another in each buffer.
package struct MatMulProblem: Hashable, Sendable {
    package let m: Int
    package let n: Int
    package let k: Int
    package let transposeA: Bool
    package let transposeB: Bool
    package let batch: Int

    /// Throws `shape` where a size is below 0 or a matrix would have more than 2^40 elements.
    package init(
        m: Int, n: Int, k: Int, transposeA: Bool = false, transposeB: Bool = false, batch: Int = 1
    ) throws(DLError) {
        self.m = m
        self.n = n
        self.k = k
        self.transposeA = transposeA
        self.transposeB = transposeB
        self.batch = batch
        for size in [m, n, k, batch] where size < 0 || size > Convolution2DProblem.sizeLimit {
            throw DLError(
                .shape,
                "[matmul] sizes must be from 0 to \(Convolution2DProblem.sizeLimit). Received: m \(m), n \(n), k \(k), batch \(batch)"
            )
        }
        for (rows, columns) in [(m, k), (k, n), (m, n)] {
            let (count, overflow) = (rows * columns).multipliedReportingOverflow(by: batch)
            if overflow || count > 1 << 40 {
                throw DLError(
                    .shape, "[matmul] a factor or the result has too many elements. Received: m \(m), n \(n), k \(k), batch \(batch)"
                )
            }
        }
    }

    package var leftCount: Int { batch * m * k }
    package var rightCount: Int { batch * k * n }
    package var resultCount: Int { batch * m * n }
    package var flops: Double { 2 * Double(resultCount) * Double(k) }

    var cProblem: dl_matmul_problem {
        dl_matmul_problem(
            m: Int64(m), n: Int64(n), k: Int64(k), batch: Int64(batch), transpose_a: transposeA ? 1 : 0,
            transpose_b: transposeB ? 1 : 0)
    }
}

extension MatMulProblem: CustomStringConvertible {
    /// The problem string, for example `matmul m128 n512 k784`; `ta` and `tb` stand for transposed factors, `b8` for a batch.
    package var description: String {
        "matmul m\(m) n\(n) k\(k)" + (transposeA ? " ta" : "") + (transposeB ? " tb" : "") + (batch == 1 ? "" : " b\(batch)")
    }

    /// Reads a problem string; throws `format` where it is none, and as the other initializer where its sizes are wrong.
    package init(_ text: String) throws(DLError) {
        let words = text.split(separator: " ")
        guard words.first == "matmul" else {
            throw DLError(.format, "[matmul] a problem string begins with matmul. Received: \(text)")
        }
        var values: [String: Int] = [:]
        for word in words.dropFirst() {
            let name = String(word.prefix { $0.isLetter })
            let isFlag = name == "ta" || name == "tb"
            let value = isFlag && name.count == word.count ? 1 : Int(word.dropFirst(name.count))
            guard ["m", "n", "k", "b", "ta", "tb"].contains(name), let value, values[name] == nil else {
                throw DLError(.format, "[matmul] problem string has an unknown or repeated part \"\(word)\". Received: \(text)")
            }
            values[name] = value
        }
        guard let m = values["m"], let n = values["n"], let k = values["k"] else {
            throw DLError(.format, "[matmul] problem string lacks m, n or k. Received: \(text)")
        }
        try self.init(
            m: m, n: n, k: k, transposeA: values["ta"] != nil, transposeB: values["tb"] != nil, batch: values["b"] ?? 1)
    }
}
