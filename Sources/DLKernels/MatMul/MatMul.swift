import CDLKernels

/// C = activation(A B + bias), or, accumulating, activation(C + A B + bias).
///
/// Made once, run often, without allocation. Buffers hold what the problem says, need no alignment, and must not
/// overlap; `bias` has n elements. `scratch` is 64-byte aligned and has `scratchBytes` bytes; nothing in it needs to be
/// kept between calls.
package struct MatMul: @unchecked Sendable {
    package let problem: MatMulProblem
    package let choice: KernelChoice
    package let scratchBytes: Int
    private let cProblem: dl_matmul_problem
    /// The reference where nil.
    private let kernel: dl_matmul_kernel?

    package init(_ problem: MatMulProblem, level: ProcessorLevel = .current) {
        self.problem = problem
        cProblem = problem.cProblem
        let refusal: String?
        if ReferenceSwitch.isOn {
            refusal = "the reference is forced"
        } else if problem.resultCount == 0 || problem.k == 0 {
            refusal = "nothing to multiply"
        } else if Kernels.convolution(for: level) == nil {
            refusal = "the processor has less than AVX2 with FMA"
        } else {
            refusal = nil
        }
        if refusal == nil, let table = Kernels.convolution(for: level) {
            kernel = table.pointee.matmul
            choice = KernelChoice(problem: "\(problem)", implementation: "tiles", refusals: [])
            scratchBytes = withUnsafePointer(to: cProblem) { Int(table.pointee.matmul.scratch_bytes($0)) }
        } else {
            kernel = nil
            choice = KernelChoice(
                problem: "\(problem)", implementation: "reference",
                refusals: [KernelChoice.Refusal(implementation: "tiles", reason: refusal ?? "")])
            scratchBytes = 0
        }
    }

    package func run(
        a: UnsafePointer<Float>, b: UnsafePointer<Float>, bias: UnsafePointer<Float>? = nil,
        activation: KernelActivation = .none, accumulate: Bool = false, c: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutableRawPointer?, runtime: UnsafePointer<dl_runtime>
    ) {
        guard let kernel else {
            MatMulReference<Float>(problem).run(
                a: a, b: b, bias: bias, relu: activation == .relu, accumulate: accumulate, c: c)
            return
        }
        let arguments = dl_matmul_arguments(
            a: a, b: b, bias: bias, c: c, accumulate: accumulate ? 1 : 0, relu: activation.rawValue, scratch: scratch,
            runtime: runtime)
        withUnsafePointer(to: cProblem) { problem in
            withUnsafePointer(to: arguments) { kernel.run(problem, $0) }
        }
    }

    /// In float64, by the reference.
    package func run(
        a: UnsafePointer<Double>, b: UnsafePointer<Double>, bias: UnsafePointer<Double>? = nil,
        activation: KernelActivation = .none, accumulate: Bool = false, c: UnsafeMutablePointer<Double>
    ) {
        MatMulReference<Double>(problem).run(
            a: a, b: b, bias: bias, relu: activation == .relu, accumulate: accumulate, c: c)
    }
}

/// sums[c] = sum over rows of matrix[row][c], the gradient of a bias. Same conventions as `MatMul`.
package struct ColumnSums: @unchecked Sendable {
    package let rows: Int
    package let columns: Int
    package let scratchBytes: Int
    private let table: UnsafePointer<dl_convolution_kernels>?

    /// The product of both sizes must fit in an Int; negative ones count as 0.
    package init(rows: Int, columns: Int, level: ProcessorLevel = .current) {
        self.rows = max(0, rows)
        self.columns = max(0, columns)
        table = ReferenceSwitch.isOn || rows <= 0 || columns <= 0 ? nil : Kernels.convolution(for: level)
        scratchBytes = table.map { Int($0.pointee.column_sums_scratch_bytes(Int64(rows), Int64(columns))) } ?? 0
    }

    package func run(
        _ matrix: UnsafePointer<Float>, sums: UnsafeMutablePointer<Float>, scratch: UnsafeMutableRawPointer?,
        runtime: UnsafePointer<dl_runtime>
    ) {
        if let table {
            table.pointee.column_sums(matrix, Int64(rows), Int64(columns), sums, scratch, runtime)
        } else {
            addRows(matrix, sums)
        }
    }

    package func run(_ matrix: UnsafePointer<Double>, sums: UnsafeMutablePointer<Double>) { addRows(matrix, sums) }

    @inline(__always)
    private func addRows<Scalar: BinaryFloatingPoint>(_ matrix: UnsafePointer<Scalar>, _ sums: UnsafeMutablePointer<Scalar>) {
        for c in 0..<columns { sums[c] = 0 }
        for row in 0..<rows {
            for c in 0..<columns { sums[c] += matrix[row * columns + c] }
        }
    }
}
