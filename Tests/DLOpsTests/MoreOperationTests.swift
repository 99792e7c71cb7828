import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// Operations made of others against NumPy's numbers; positions count from 0 here, as in C.
@Suite struct MoreOperationTests {
    private func run(_ name: String, _ inputs: [Value], _ attributes: JSON = .null) throws -> [Tensor] {
        try tensors(Operations.apply(name, inputs, attributes: attributes))
    }

    private func expect(
        _ name: String, _ inputs: [Value], _ attributes: JSON = .null, _ expected: [Double], within: Double = 1e-12
    ) throws {
        let numbers = try run(name, inputs, attributes)[0].numbers
        #expect(numbers.count == expected.count, "\(name): \(numbers)")
        for (x, y) in zip(numbers, expected) {
            #expect(x == y || Swift.abs(x - y) <= within * Swift.max(1e-300, Swift.abs(y)) + 1e-15, "\(name): \(numbers), \(expected)")
        }
    }

    private func row(_ numbers: [Double]) throws -> Value { try value(numbers, [numbers.count], .float64) }
    private func whole(_ numbers: [Double], _ shape: Shape? = nil) throws -> Value {
        try value(numbers, shape ?? [numbers.count], .int32)
    }
    private func matrix() throws -> Value { try value([1, 7, 3, 9, 4, 2, 8, 5, 0, 6, 2.5, 1], [3, 4], .float64) }

    @Test func quantiles() throws {
        let x = try matrix()
        try expect("quantile", [x], ["q": 0.3], [2.15])
        try expect("quantile", [x], ["q": [0.1, 0.5, 0.9], "axis": 1], [1.6, 2.6, 0.3, 5, 4.5, 1.75, 8.4, 7.1, 4.95])
        for (method, expected) in [
            ("lower", [3.0, 4, 1]), ("higher", [7, 5, 2.5]), ("midpoint", [5, 4.5, 1.75]), ("nearest", [3, 4, 1]),
        ] {
            try expect("quantile", [x], ["q": 0.35, "axis": 1, "method": .string(method)], expected)
        }
        try expect("percentile", [x], ["q": 37.5, "axis": 0], [0.75, 5, 2.875, 4])
        try expect("median", [x], ["axis": 0], [1, 6, 3, 5])
        #expect(try run("median", [row([1, .nan])])[0].item().isNaN)
        #expect(try run("median", [x], ["axis": [0, 1], "keepdims": true])[0].shape == [1, 1])
        #expect(message { _ = try run("quantile", [x], ["q": 1.5]) }.contains("from 0 to 1"))
        #expect(message { _ = try run("quantile", [x], ["q": "x"]) }.contains("'q'"))
        #expect(message { _ = try run("median", [value([], [0])]) }.hasPrefix("[median]"))
        #expect(message { _ = try run("median", [x], ["axis": 2]) }.contains("out of range"))
    }

    @Test func productsOfRows() throws {
        let (a, b) = (try row([1, 2, 3, 4, 5]), try row([0, 1, 0.5]))
        try expect("correlate", [a, b], [3.5, 5, 6.5])
        try expect("correlate", [b, a], [6.5, 5, 3.5])
        try expect("correlate", [a, b], ["mode": "same"], [2, 3.5, 5, 6.5, 5])
        try expect("correlate", [b, a], ["mode": "same"], [5, 6.5, 5, 3.5, 2])
        try expect("correlate", [a, b], ["mode": "full"], [0.5, 2, 3.5, 5, 6.5, 5, 0])
        try expect("correlate", [row([1, 2, 3, 4]), row([1, 2])], ["mode": "same"], [2, 5, 8, 11])
        try expect("correlate", [row([1, 2]), row([1, 2, 3, 4])], ["mode": "same"], [11, 8, 5, 2])
        let (ab, ac, bc) = (-0.29211869733608864, 0.38239189969804904, -0.41254253038399497)
        try expect("corrcoef", [matrix()], [1, ab, ac, ab, 1, bc, ac, bc, 1])
        try expect("kron", [value([1, 2], [1, 2]), value([1, 1, 0, 3], [2, 2])], [1, 1, 2, 2, 0, 3, 0, 6])
        try expect("cross", [row([1, 2, 3]), row([4, 5, 6])], [-3, 6, -3])
        try expect("cross", [row([1, 2, 3]), row([4, 5])], [-15, 12, -3])
        try expect("cross", [row([1, 2]), row([4, 5])], [-3])
        try expect("cdist", [value([0, 0], [1, 2]), value([3, 4, 0, 0], [2, 2])], [5, 0])
        #expect(message { _ = try run("cross", [row([1]), row([1, 2])]) }.hasPrefix("[cross]"))
        #expect(message { _ = try run("cdist", [row([1]), row([1])]) }.hasPrefix("[cdist]"))
    }

    private func expect(_ name: String, _ inputs: [Value], _ expected: [Double]) throws {
        try expect(name, inputs, .null, expected)
    }

    @Test func functions() throws {
        try expect("logaddexp", [row([1000, -.infinity, 1]), row([1000, -.infinity, 2])], [1000.6931471805599, -.infinity, 2.313261687518223])
        try expect("fmod", [row([-7, 7, -7.5]), row([3, -3, 2])], [-1, 1, -1.5])
        try expect("fmod", [whole([-7, 7, 5]), whole([3, -3, 0])], [-1, 1, 0])
        try expect("gcd", [whole([12, -18, 0]), whole([8, 12, 0])], [4, 6, 0])
        try expect("lcm", [whole([4, 6, 0]), whole([6, 8, 5])], [12, 24, 0])
        try expect(
            "erfc", [row([0.3, 1.9, 2, 3.5, 6, -1])], .null,
            [0.6713732405408726, 0.0072095707647425325, 0.004677734981047265, 7.430983723414128e-07, 2.1519736712498916e-17, 1.842700792949715],
            within: 1e-12)
        try expect(
            "erfinv", [row([0.1, -0.7, 0.999, 0.9999999, 0])], .null,
            [0.08885599049425774, -0.7328690779592166, 2.3267537655135464, 3.7665625817811264, 0], within: 1e-8)
        #expect(try run("erfinv", [row([1, -1, 2])])[0].numbers[..<2] == [.infinity, -.infinity])
        try expect("cbrt", [row([27, -8, 0, .infinity])], [3, -2, 0, .infinity])
        try expect("heaviside", [row([-1, 0, 2]), row([0.5, 0.5, 0.5])], [0, 0.5, 1])
        try expect("hypot", [row([3e300, 0]), row([4e300, 0])], [5e300, 0])
        try expect("bitwise_and", [whole([12, 7]), whole([10, 1])], [8, 1])
        try expect("bitwise_not", [whole([0, 5])], [-1, -6])
        try expect("left_shift", [whole([1, 1, 1]), whole([3, 40, -2])], [8, 0, 1])
        try expect("saturate_cast", [whole([-5, 300])], ["dtype": "uint8"], [0, 255])
        #expect(message { _ = try run("bitwise_or", [row([1]), row([1])]) }.contains("whole numbers"))
        for name in ["gcd", "lcm", "left_shift", "right_shift", "bitwise_xor"] {
            _ = try run(name, [Value(Tensor([Int64.min, Int64.max])), Value(Tensor([Int64.min, -1]))])
        }
    }

    @Test func binsAndPositions() throws {
        let counts = try run("histogram", [row([1, 2, 1, 4, 3.5, 2, 7, .nan])], ["bins": 3, "range": [1, 4]])
        #expect(counts[0].numbers == [2, 2, 2] && counts[1].numbers == [1, 2, 3, 4])
        #expect(try run("histogram", [row([2, 2])], ["bins": 2])[1].numbers == [1.5, 2, 2.5])
        #expect(try run("histogram", [value([], [0])], ["bins": 2])[0].numbers == [0, 0])
        #expect(message { _ = try run("histogram", [row([1])], ["range": [4, 1]]) }.contains("'range'"))
        // From 0 here; scripts add 1.
        #expect(try run("digitize", [row([0.2, 6.4, 3, 1.6]), row([0, 1, 2.5, 4, 10])])[0].numbers == [1, 4, 3, 2])
        #expect(try run("searchsorted", [row([1, 2, 2, 5]), row([0, 2, 9, .nan])])[0].numbers == [0, 1, 4, 4])
        #expect(try run("searchsorted", [row([1, 2, 2, 5]), row([2])], ["side": "right"])[0].numbers == [3])
        let unique = try run("unique", [whole([3, 1, 3, 2])])
        #expect(unique.map(\.numbers) == [[1, 2, 3], [1, 3, 0], [2, 0, 2, 1], [1, 1, 2]])
        #expect(try run("unique", [row([.nan, 1, .nan])])[3].numbers == [1, 2])
        #expect(try run("unique", [Value(Tensor([Int64.max, Int64.max - 1, Int64.max]))])[3].numbers == [1, 2])
        #expect(try run("unique", [value([], [0])]).map(\.count) == [0, 0, 0, 0])
    }

    @Test func scattering() throws {
        let indices = try whole([0, 2, 0], [3, 1])
        #expect(try run("scatter", [indices, row([5, 6, 7])], ["shape": [3]])[0].numbers == [12, 0, 6])
        let zeros = try value([0, 0, 0, 0], [2, 2])
        #expect(
            try run("scatter_update", [zeros, whole([0, 1, 1, 0], [2, 2]), value([5, 6])])[0].numbers == [0, 5, 6, 0])
        #expect(try run("scatter_update", [zeros, whole([-1, -1], [2, 1]), value([1, 2, 3, 4], [2, 2])])[0].numbers == [0, 0, 3, 4])
        let ids = try whole([0, 2, 0])
        #expect(try run("segment_sum", [row([1, 2, 4]), ids])[0].numbers == [5, 0, 2])
        #expect(try run("segment_max", [row([1, 2, 4]), ids], ["num_segments": 4])[0].numbers == [4, -.infinity, 2, -.infinity])
        #expect(try run("segment_min", [whole([1, 2, 4]), ids])[0].numbers == [1, Double(Int32.max), 2])
        #expect(try run("segment_prod", [row([3, 2, 4]), ids])[0].numbers == [12, 1, 2])
        #expect(try run("multi_hot", [whole([0, 2, 1, -1], [2, 2])], ["num_classes": 3])[0].numbers == [1, 0, 1, 0, 1, 0])
        #expect(message { _ = try run("scatter", [whole([3], [1, 1]), row([5])], ["shape": [3]]) }.contains("out of range"))
        #expect(message { _ = try run("scatter", [whole([0]), row([5])], ["shape": [.int(.max), 9]]) }.hasPrefix("[scatter]"))
        #expect(message { _ = try run("scatter_update", [zeros, row([0]), row([1])]) }.contains("whole numbers"))
        #expect(message { _ = try run("segment_sum", [row([1, 2]), whole([0])]) }.hasPrefix("[segment_sum]"))
    }

    @Test func convolutionsByRank() throws {
        let x = try value((0..<24).map(Double.init), [1, 4, 3, 2])
        let kernel = try value((0..<8).map { Double($0) / 8 }, [2, 2, 2, 1])
        #expect(try run("conv", [x, kernel])[0].numbers == run("conv2d", [x, kernel])[0].numbers)
        // One channel of two groups each.
        let grouped = try value([1, 2], [1, 1, 1, 2])
        #expect(try run("conv", [x, grouped])[0].numbers == (0..<24).map { Double($0 * ($0 % 2 + 1)) })
        let own = try value([1, 10], [1, 1, 2, 1])
        #expect(try run("depthwise_conv", [x, own])[0].numbers == (0..<24).map { Double($0 * ($0 % 2 == 0 ? 1 : 10)) })
        let sequence = try value([1, 2, 3], [1, 3, 1])
        #expect(
            try run("conv_transpose", [sequence, value([1, 10], [2, 1, 1])], ["strides": 2])[0].numbers == [1, 10, 2, 20, 3, 30])
        #expect(message { _ = try run("conv", [row([1]), kernel]) }.hasPrefix("[conv]"))
        #expect(message { _ = try run("conv", [x, value([1, 1, 1], [1, 1, 3, 1])]) }.contains("multiple"))
        #expect(message { _ = try run("depthwise_conv", [x, value([1], [1, 1, 1, 1])]) }.contains("2 channels"))
    }

    /// The gradient of a running product does not divide.
    @Test func runningProductWithZeros() throws {
        for (numbers, expected) in [([2.0, 0, 3], [1.0, 8, 0]), ([0, 0, 5], [1, 0, 0])] {
            let x = try row(numbers)
            let tape = Tape()
            tape.start()
            tape.watch(x)
            let y = try cumprod(x, axis: 0)
            tape.stop()
            #expect(try tape.gradients(of: y, withRespectTo: [x])[0]?.tensor().numbers == expected)
        }
    }
}
