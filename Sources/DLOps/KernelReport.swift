import DLBase
import DLGraph
import DLKernels
import Synchronization

extension Kernel {
    /// The chosen implementation of a problem, with what there is to say about the choice. With `DL_VERBOSE=kernels` in the
    /// environment it is said on the standard error stream, once for each problem.
    init(
        _ choice: KernelChoice, flops: Double, scratchBytes: Int = 0, inPlace: [(output: Int, input: Int)] = [],
        cannotFail: Bool = true, run: @escaping (KernelArguments) throws -> Void
    ) {
        self.init(
            choice.implementation, scratchBytes: scratchBytes, inPlace: inPlace, cannotFail: cannotFail, run: run)
        notes = KernelNotes(
            problem: choice.problem, refusals: choice.refusals.map { ($0.implementation, $0.reason) }, flops: flops)
        KernelReport.tell(choice)
    }
}

enum KernelReport {
    /// Read once; words that mean nothing here are for others.
    private static let isWanted = Environment.list("DL_VERBOSE", contains: "kernels")
    private static let told = Mutex<Set<String>>([])

    static func tell(_ choice: KernelChoice) {
        guard isWanted else { return }
        let line = choice.description
        if told.withLock({ $0.insert(line).inserted }) { Environment.report("dl: kernels: \(line)\n") }
    }
}
