import DLBase
import DLTestSupport
import Testing

@testable import DLTensor

@Suite struct TensorTextTests {
    @Test func shortOnes() throws {
        #expect(try Tensor(scalar: Float(2.5)).text == "float32 () 2.5")
        #expect(try Tensor(scalar: Int64.min).text == "int64 () -9223372036854775808")
        #expect(try Tensor([true, false]).text == "bool (2,) [ true  false]")
        #expect(try Tensor([UInt8(0), 255]).text == "uint8 (2,) [  0  255]")
        #expect(try Tensor(zeros: [0]).text == "float32 (0,) []")
        #expect(try Tensor(zeros: [1_000_000_000, 0]).text == "float32 (1000000000, 0) []")
        #expect(try Tensor([Int32(7)], [1, 1, 1]).text == "int32 (1, 1, 1) [[[7]]]")
    }

    @Test func matrices() throws {
        #expect(try Tensor([Float(1), 2.5, -3, 4, 5, 6], [2, 3]).text == """
            float32 (2, 3)
            [[ 1.0   2.5  -3.0]
             [ 4.0   5.0   6.0]]
            """)
        #expect(try Tensor((0..<8).map { Int32($0) }, [2, 2, 2]).text == """
            int32 (2, 2, 2)
            [[[0  1]
              [2  3]]

             [[4  5]
              [6  7]]]
            """)
    }

    @Test func numbersThatNeedOneNotationOrTheOther() throws {
        func cells(_ numbers: [Double], _ precision: Int = 4) throws -> String {
            String(try Tensor(numbers).text(precision: precision).drop { $0 != "[" })
        }
        #expect(try cells([0.5, 0.25, 1.0 / 3]) == "[0.5000  0.2500  0.3333]")
        #expect(try cells([0.5, 0.25]) == "[0.50  0.25]")
        #expect(try cells([1, 2]) == "[1.0  2.0]")
        #expect(try cells([0.5, 1e-7]) == "[5.0000e-01  1.0000e-07]")
        #expect(try cells([1.5, 2e6]) == "[1.5000e+00  2.0000e+06]")
        #expect(try cells([1, 2e6]) == "[      1.0  2000000.0]")
        #expect(try cells([1, 2e9]) == "[1.0000e+00  2.0000e+09]")
        #expect(try cells([.nan, .infinity, -.infinity, 1.5]) == "[ nan   inf  -inf   1.5]")
        #expect(try cells([.nan]) == "[nan]")
        #expect(try cells([0, -0.0]) == "[ 0.0  -0.0]")
        #expect(try cells([1.0 / 3], 2) == "[0.33]")
        #expect(try cells([1.0 / 3], 0) == "[0]")
        #expect(try cells([1.0 / 3], -5) == "[0]")
        #expect(try cells([.greatestFiniteMagnitude], 1000).hasSuffix("e+308]"))
        // A whole float32 beyond what one writes out.
        #expect(try Tensor([Float(16_777_216)]).text == "float32 (1,) [16777216.0]")
    }

    @Test func longAxesAreAbbreviated() throws {
        #expect(try Tensor(zeros: [2000], .uint8).text == "uint8 (2000,) [0  0  0  ...  0  0  0]")
        #expect(try Tensor((0..<1200).map { Int32($0) }, [300, 4]).text == """
            int32 (300, 4)
            [[   0     1     2     3]
             [   4     5     6     7]
             [   8     9    10    11]
             ...
             [1188  1189  1190  1191]
             [1192  1193  1194  1195]
             [1196  1197  1198  1199]]
            """)
        #expect(try Tensor((0..<6).map { Int32($0) }).text(threshold: 5) == "int32 (6,) [0  1  2  3  4  5]")
        #expect(try Tensor((0..<7).map { Int32($0) }).text(threshold: 5) == "int32 (7,) [0  1  2  ...  4  5  6]")
    }

    @Test func longRowsGoOn() throws {
        #expect(try Tensor((10..<30).map { Int32($0) }).text(width: 23) == """
            int32 (20,)
            [10  11  12  13  14
             15  16  17  18  19
             20  21  22  23  24
             25  26  27  28  29]
            """)
        for width in [Int.min, -1, 0, 1, 2, 5] {
            let text = try Tensor((10..<14).map { Int32($0) }, [2, 2]).text(width: width)
            #expect(text.split(separator: "\n").count == 5, "\(text)")
        }
        for line in try Tensor(zeros: [30, 30]).text.split(separator: "\n") { #expect(line.utf8.count <= 80) }
    }

    /// What is shown is bounded, however many axes there are.
    @Test func workIsBounded() throws {
        let byte = try Storage(byteCount: 1)
        let huge = Tensor(storage: byte, shape: try Shape(checked: [1 << 50, 0, 1 << 8]), type: .uint8)
        #expect(huge.text.hasSuffix(" []"))
        for rank in 2...16 {
            let shape = try Shape(checked: [Int](repeating: rank > 10 ? 2 : 3, count: rank - 1) + [20])
            let text = try Tensor(zeros: shape, .uint8).text(threshold: 100)
            #expect(text.utf8.count < 40_000, "rank \(rank): \(text.utf8.count)")
            #expect(text.filter { $0 == "[" }.count == text.filter { $0 == "]" }.count)
        }
        #expect(try Tensor(zeros: [Int](repeating: 2, count: 16).asShape, .uint8).text.contains("[[[[[[[[[[[[[[[[0  ...]"))
    }
}

extension [Int] {
    fileprivate var asShape: Shape { Shape(self) }
}
