import CDLKernels
import CDLShims

/// The vector units the kernels are chosen for. Each case has a build of the kernel sources of its own.
package enum ProcessorLevel: Int32, Comparable, CaseIterable, Sendable {
    case baseline = 0
    case avx2 = 1
    case avx512 = 2

    package static func < (a: ProcessorLevel, b: ProcessorLevel) -> Bool { a.rawValue < b.rawValue }

    package var name: String {
        switch self {
        case .baseline: "baseline"
        case .avx2: "avx2"
        case .avx512: "avx512"
        }
    }

    /// What this processor offers, lowered by the environment variable DL_CPU (`baseline`, `avx2`), read once.
    package static let current = ProcessorLevel(rawValue: dl_processor_level()) ?? .baseline
}

/// The tables of tuned kernels. Each is filled once, on first use, and then only read.
package enum Kernels {
    /// The tables of the current processor; nil where it has less than AVX2 with FMA.
    nonisolated(unsafe) package static let convolution = convolution(for: ProcessorLevel.current)
    nonisolated(unsafe) package static let math = math(for: ProcessorLevel.current)

    nonisolated(unsafe) private static let convolutionAVX2 = filled(dl_convolution_kernels(), dl_convolution_kernels_avx2)
    nonisolated(unsafe) private static let convolutionAVX512 = filled(dl_convolution_kernels(), dl_convolution_kernels_avx512)
    nonisolated(unsafe) private static let mathAVX2 = filled(dl_math_kernels(), dl_math_kernels_avx2)
    nonisolated(unsafe) private static let mathAVX512 = filled(dl_math_kernels(), dl_math_kernels_avx512)
    nonisolated(unsafe) private static let recurrentAVX2 = filled(dl_recurrent_kernels(), dl_recurrent_kernels_avx2)
    nonisolated(unsafe) private static let recurrentAVX512 = filled(dl_recurrent_kernels(), dl_recurrent_kernels_avx512)

    /// The table of one build, whatever the processor: tests compare the builds with each other.
    /// Calling a kernel above `ProcessorLevel.current` is an illegal instruction, so nil stands there.
    package static func convolution(for level: ProcessorLevel) -> UnsafePointer<dl_convolution_kernels>? {
        guard level <= ProcessorLevel.current else { return nil }
        switch level {
        case .baseline: return nil
        case .avx2: return convolutionAVX2
        case .avx512: return convolutionAVX512
        }
    }

    package static func math(for level: ProcessorLevel) -> UnsafePointer<dl_math_kernels>? {
        guard level <= ProcessorLevel.current else { return nil }
        switch level {
        case .baseline: return nil
        case .avx2: return mathAVX2
        case .avx512: return mathAVX512
        }
    }

    package static func recurrent(for level: ProcessorLevel) -> UnsafePointer<dl_recurrent_kernels>? {
        guard level <= ProcessorLevel.current else { return nil }
        switch level {
        case .baseline: return nil
        case .avx2: return recurrentAVX2
        case .avx512: return recurrentAVX512
        }
    }

    private static func filled<Table>(
        _ empty: Table, _ fill: (UnsafeMutablePointer<Table>) -> Void
    ) -> UnsafePointer<Table> {
        let table = UnsafeMutablePointer<Table>.allocate(capacity: 1)
        table.initialize(to: empty)
        fill(table)
        return UnsafePointer(table)
    }
}
