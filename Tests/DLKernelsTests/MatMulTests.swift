import CDLKernels
import DLBase
import DLKernels
import Testing

@Suite("Matrix products against the reference")
struct MatMulTests {
    @Test("Random sizes around the borders of tiles, exact with small integers", arguments: testedLevels)
    func random(level: ProcessorLevel) throws {
        let seed = UInt64.random(in: 0..<1 << 32)
        var numbers = TestNumbers(seed: seed)
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 64, 65, 96, 100, 127, 128, 129, 200]
        for _ in 0..<400 {
            let problem = try MatMulProblem(
                m: sizes.randomElement(using: &numbers) ?? 1, n: sizes.randomElement(using: &numbers) ?? 1,
                k: sizes.randomElement(using: &numbers) ?? 1, transposeA: .random(using: &numbers),
                transposeB: .random(using: &numbers), batch: [1, 1, 1, 3].randomElement(using: &numbers) ?? 1)
            if let failure = failure(problem, level: level, numbers: &numbers) {
                Issue.record("\(failure), seed \(seed)")
                return
            }
        }
    }

    @Test("Layers of an MLP and LeNet", arguments: testedLevels)
    func layers(level: ProcessorLevel) throws {
        var numbers = TestNumbers(seed: 5)
        for (inputs, outputs) in [(784, 512), (512, 512), (512, 10), (400, 120), (120, 84), (84, 10), (1000, 300)] {
            for batch in [1, 2, 3, 4, 32, 96, 128] {
                for problem in [
                    try MatMulProblem(m: batch, n: outputs, k: inputs),
                    try MatMulProblem(m: batch, n: inputs, k: outputs, transposeB: true),
                    try MatMulProblem(m: inputs, n: outputs, k: batch, transposeA: true),
                ] {
                    if let failure = failure(problem, level: level, numbers: &numbers) { Issue.record("\(failure)") }
                }
            }
        }
        for text in ["matmul m20 n40 k3000 ta", "matmul m20 n10 k3000 ta", "matmul m14 n40 k2500", "matmul m60 n40 k1500 tb", "matmul m60 n40 k1500 ta tb"] {
            if let failure = failure(try MatMulProblem(text), level: level, numbers: &numbers) { Issue.record("\(failure)") }
        }
    }

    private func failure(_ problem: MatMulProblem, level: ProcessorLevel, numbers: inout TestNumbers) -> String? {
        let a = GuardedFloats(numbers.integers(problem.leftCount))
        let b = GuardedFloats(numbers.integers(problem.rightCount))
        let start = numbers.integers(problem.resultCount)
        let biasValues = GuardedFloats(numbers.integers(problem.n))
        let bias = Bool.random(using: &numbers) ? UnsafePointer(biasValues.pointer) : nil
        let relu = Bool.random(using: &numbers)
        let accumulate = Bool.random(using: &numbers)
        let expected = GuardedFloats(start)
        withExtendedLifetime((a, b, biasValues)) {
            MatMulReference<Float>(problem).run(
                a: a.pointer, b: b.pointer, bias: bias, relu: relu, accumulate: accumulate, c: expected.pointer)
        }
        let plan = MatMul(problem, level: level)
        if plan.choice.implementation == "reference" { return "no tuned kernel for \(problem)" }
        for threads in [1, 3] {
            let c = accumulate ? GuardedFloats(start) : GuardedFloats(count: start.count)
            let scratch = GuardedScratch(bytes: plan.scratchBytes)
            let runtime = TestRuntime(threads: threads)
            withExtendedLifetime((a, b, biasValues, runtime)) {
                plan.run(
                    a: a.pointer, b: b.pointer, bias: bias, activation: relu ? .relu : .none, accumulate: accumulate,
                    c: c.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
            }
            let label = "\(level.name) threads \(threads) bias \(bias != nil) relu \(relu) accumulate \(accumulate): \(problem)"
            if !c.isIntact { return "wrote outside its result: \(label)" }
            if !scratch.isIntact { return "wrote behind its scratch: \(label)" }
            for i in 0..<c.count where c.pointer[i] != expected.pointer[i] {
                return "element \(i) is \(c.pointer[i]), expected \(expected.pointer[i]): \(label)"
            }
        }
        return nil
    }

    @Test("The same bits for 1, 2 and 5 threads, and close to float64", arguments: testedLevels)
    func threads(level: ProcessorLevel) throws {
        for text in [
            "matmul m1 n500 k784", "matmul m32 n512 k784", "matmul m128 n784 k512 tb", "matmul m784 n512 k128 ta", "matmul m8 n700 k512 tb",
        ] {
            let problem = try MatMulProblem(text)
            var numbers = TestNumbers(seed: 3)
            let a = numbers.reals(problem.leftCount)
            let b = numbers.reals(problem.rightCount)
            var exact = [Double](repeating: 0, count: problem.resultCount)
            let plan = MatMul(problem, level: level)
            plan.run(a: a.map(Double.init), b: b.map(Double.init), c: &exact)
            var first: [Float]?
            for threads in [1, 2, 5] {
                let c = GuardedFloats(count: problem.resultCount)
                let scratch = GuardedScratch(bytes: plan.scratchBytes)
                let runtime = TestRuntime(threads: threads)
                withExtendedLifetime((runtime, scratch)) {
                    plan.run(a: a, b: b, c: c.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
                }
                #expect(sameBits(first ?? c.values, c.values), "\(problem)")
                first = c.values
            }
            let error = zip(first ?? [], exact).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
            #expect(error < 2e-6 * Double(problem.k).squareRoot() * 3, "\(problem): error \(error)")
        }
    }

    @Test("Column sums", arguments: testedLevels)
    func columns(level: ProcessorLevel) {
        var numbers = TestNumbers(seed: 9)
        for rows in [1, 2, 3, 4, 5, 7, 128, 3000] {
            for columns in [1, 6, 7, 8, 9, 15, 16, 17, 40, 512] {
                let matrix = GuardedFloats(numbers.integers(rows * columns))
                let plan = ColumnSums(rows: rows, columns: columns, level: level)
                for threads in [1, 3] {
                    let sums = GuardedFloats(count: columns)
                    let scratch = GuardedScratch(bytes: plan.scratchBytes)
                    let runtime = TestRuntime(threads: threads)
                    withExtendedLifetime((runtime, scratch, matrix)) {
                        plan.run(matrix.pointer, sums: sums.pointer, scratch: scratch.pointer, runtime: runtime.pointer)
                    }
                    let expected = (0..<columns).map { c in (0..<rows).reduce(Float(0)) { $0 + matrix.pointer[$1 * columns + c] } }
                    #expect(sums.values == expected && sums.isIntact && scratch.isIntact, "\(rows) by \(columns)")
                }
            }
        }
    }

    @Test("Empty products and bad sizes")
    func borders() throws {
        let runtime = TestRuntime(threads: 1)
        var c: [Float] = [1, 2, 3, 4]
        MatMul(try MatMulProblem(m: 2, n: 2, k: 0)).run(a: [], b: [], bias: [5, 6], c: &c, scratch: nil, runtime: runtime.pointer)
        #expect(c == [5, 6, 5, 6])
        MatMul(try MatMulProblem(m: 0, n: 2, k: 3)).run(a: [], b: [1], c: &c, scratch: nil, runtime: runtime.pointer)
        withExtendedLifetime(runtime) {}
        #expect(c == [5, 6, 5, 6])
        #expect(throws: DLError.self) { try MatMulProblem(m: -1, n: 2, k: 3) }
        #expect(throws: DLError.self) { try MatMulProblem(m: Int.max, n: Int.max, k: 3) }
        #expect(throws: DLError.self) { try MatMulProblem(m: 1 << 30, n: 1 << 30, k: 1) }
        for text in ["matmul m3 n4 k5", "matmul m3 n4 k5 ta tb b7"] { #expect(try MatMulProblem(text).description == text) }
        for text in ["", "matmul", "matmul m3 n4", "matmul m3 n4 k5 k6", "matmul m3 n4 k5 x9", "matmul m3 n4 k99999999999999999999", "conv2d m1 n1 k1"] {
            #expect(throws: DLError.self) { try MatMulProblem(text) }
        }
    }
}
