import CDLKernels
import DLKernels
import Testing

@Suite("Choice of the kernels' build")
struct DispatchTests {
    @Test("A table exists exactly for the levels this processor has, and is the one of its build")
    func tables() {
        for level in ProcessorLevel.allCases {
            let expected = level != .baseline && level <= .current
            #expect((Kernels.convolution(for: level) != nil) == expected)
            #expect((Kernels.math(for: level) != nil) == expected)
        }
        #expect(Kernels.convolution(for: .avx2)?.pointee.lanes ?? 8 == 8)
        #expect(Kernels.convolution(for: .avx512)?.pointee.lanes ?? 16 == 16)
        #expect(Kernels.math == Kernels.math(for: .current))
        #expect(Kernels.convolution == Kernels.convolution(for: .current))
    }
}
