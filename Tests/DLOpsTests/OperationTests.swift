import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// Results and refusals of single operations, with numbers worked out by hand or by NumPy's rules.
@Suite struct OperationTests {
    private func run(_ name: String, _ inputs: [Value], _ attributes: JSON = .null) throws -> Tensor {
        try Operations.apply(name, inputs, attributes: attributes)[0].tensor()
    }

    @Test func typesMeet() throws {
        let whole = try value([7, -7], [2], .int32)
        let real = try value([2, 2], [2], .float32)
        #expect(try run("add", [whole, real]).type == .float32)
        #expect(try run("divide", [whole, whole]).type == .float32)
        #expect(try run("add", [whole, value([1, 1], [2], .uint8)]).type == .int32)
        #expect(try run("add", [value([1, 1], [2], .bool), value([1, 0], [2], .bool)]).numbers == [2, 1])
        #expect(try run("floor_divide", [whole, value([2, 2], [2], .int32)]).numbers == [3, -4])
        #expect(try run("mod", [whole, value([3, 3], [2], .int32)]).numbers == [1, 2])
        #expect(try run("mod", [value([-7, 7]), value([3, -3])]).numbers == [2, -2])
        #expect(try run("sqrt", [value([4], [1], .int32)]).type == .float32)
        #expect(try run("mean", [value([1, 2], [2], .int32)]).numbers == [1.5])
        #expect(try run("sum", [value([1, 1, 0], [3], .bool)]).type == .int32)
        #expect(try run("equal", [whole, real]).type == .bool)
        #expect(try run("where", [value([1, 0], [2], .bool), whole, real]).type == .float32)
        #expect(try run("power", [value([2, 3], [2], .int64), value([10, -1], [2], .int64)]).numbers == [1024, 0])
    }

    @Test func wholeNumbersNeverTrap() throws {
        let least = Value(try Tensor([Int64.min, Int64.max, 0]))
        let minusOne = Value(try Tensor([Int64(-1), -1, -1]))
        for name in ["add", "subtract", "multiply", "divide", "floor_divide", "mod", "power", "squared_difference"] {
            _ = try run(name, [least, minusOne])
            _ = try run(name, [minusOne, Value(try Tensor([Int64(0), 0, 0]))])
        }
        _ = try run("abs", [least])
        _ = try run("negative", [least])
        _ = try run("sum", [least])
        _ = try run("prod", [least])
        _ = try run("cumsum", [least])
        _ = try run("round", [least], ["decimals": -3])
        _ = try run("cast", [value([.nan, .infinity, -1e300])], ["dtype": "int32"])
        #expect(try run("cast", [value([.nan, .infinity, -2.7])], ["dtype": "int32"]).numbers == [0, 2_147_483_647, -2])
    }

    @Test func specialNumbers() throws {
        let x = try value([.nan, .infinity, -.infinity, 0])
        #expect(try run("relu", [x]).numbers[1...] == [.infinity, 0, 0])
        #expect(try run("sigmoid", [x]).numbers[1...] == [1, 0, 0.5])
        #expect(try run("logsumexp", [value([1000, 1000])]).numbers[0] == Double(Float(1000.6931471805599)))
        #expect(try run("softplus", [value([1000, -1000])]).numbers == [1000, 0])
        #expect(try run("round", [value([0.5, 1.5, -2.5, 2.5])]).numbers == [0, 2, -2, 2])
        #expect(try run("round", [value([1.26, -0.04], [2], .float64)], ["decimals": 1]).numbers == [1.3, -0.0])
        #expect(try run("sort", [value([2, .nan, -1])]).numbers[..<2] == [-1, 2])
        #expect(try run("argsort", [value([1, 0, 1, 0])]).numbers == [1, 3, 0, 2])
        #expect(try run("sum", [value([], [0, 3])], ["axis": 0]).numbers == [0, 0, 0])
        #expect(try run("prod", [value([], [0])]).numbers == [1])
        #expect(try run("sign", [value([-3, 0, 2], [3], .int32)]).numbers == [-1, 0, 1])
        #expect(try run("clip", [value([-5, 5], [2], .int32)], ["x_min": -1, "x_max": 2]).numbers == [-1, 2])
        #expect(try run("clip", [value([-5, 5], [2], .int32)], ["x_min": -1.5, "x_max": 2]).numbers == [-1.5, 2])
        #expect(try run("gaussian", [value([1, 0])]).numbers == [Double(Float(0.6065306597126334)), 1])
        #expect(try run("step", [value([-1, 0, 2])]).numbers == [0, 0, 1])
    }

    @Test func movement() throws {
        let x = try value([1, 2, 3, 4, 5, 6], [2, 3])
        #expect(try run("transpose", [x]).numbers == [1, 4, 2, 5, 3, 6])
        #expect(try run("tile", [x], ["repeats": [1, 2]]).numbers == [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
        #expect(try run("repeat", [x], ["repeats": 2, "axis": 0]).numbers == [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
        #expect(try run("roll", [x], ["shift": 1]).numbers == [6, 1, 2, 3, 4, 5])
        #expect(try run("roll", [x], ["shift": -1, "axis": 1]).numbers == [2, 3, 1, 5, 6, 4])
        #expect(try run("flip", [x], ["axis": 1]).numbers == [3, 2, 1, 6, 5, 4])
        #expect(try run("pad", [value([1, 2, 3])], ["pad_width": 2, "mode": "reflect"]).numbers == [3, 2, 1, 2, 3, 2, 1])
        #expect(try run("pad", [value([1, 2, 3])], ["pad_width": 2, "mode": "symmetric"]).numbers == [2, 1, 1, 2, 3, 3, 2])
        #expect(try run("diag", [value([1, 2])], ["k": 1]).numbers == [0, 1, 0, 0, 0, 2, 0, 0, 0])
        #expect(try run("trace", [x]).numbers == [6])
        #expect(try run("tril", [x]).numbers == [1, 0, 0, 4, 5, 0])
        #expect(try run("triu", [x], ["k": 1]).numbers == [0, 2, 3, 0, 0, 6])
        #expect(try run("take", [x, value([-1, 0], [2], .int32)], ["axis": 1]).numbers == [3, 1, 6, 4])
        #expect(try run("one_hot", [value([1, -1], [2], .int32)], ["num_classes": 2]).numbers == [0, 1, 0, 0])
        #expect(try run("argmax", [value([1, 3, 3])]).numbers == [1])
        #expect(try run("arange", [], ["start": 3]).numbers == [0, 1, 2])
        #expect(try run("arange", [], ["start": 1, "stop": 2, "step": 0.5]).numbers == [1, 1.5])
        #expect(try run("linspace", [], ["start": 0, "stop": 1, "num": 3]).numbers == [0, 0.5, 1])
        #expect(try run("eye", [], ["N": 2, "M": 3, "k": 1]).numbers == [0, 1, 0, 0, 0, 1])
        let top = try Operations.apply("top_k", [value([1, 5, 3, 5])], attributes: ["k": 3])
        #expect(try top[0].tensor().numbers == [5, 5, 3])
        #expect(try top[1].tensor().numbers == [1, 3, 2])
    }

    /// Large tensors run in pieces on several threads; the pieces' borders must not show.
    @Test func largeTransposeAndCopies() throws {
        let (rows, columns) = (301, 517)
        let x = try tensor((0..<rows * columns).map(Double.init), [rows, columns])
        let turned = try run("transpose", [Value(x)])
        var wrong = 0
        for i in 0..<rows {
            for j in 0..<columns where turned.number(at: j * rows + i) != Double(i * columns + j) { wrong += 1 }
        }
        #expect(wrong == 0)
        let back = try run("transpose", [Value(turned)])
        #expect(back.bytes == x.bytes)
        let flipped = try run("flip", [Value(x)])
        #expect(flipped.number(at: 0) == Double(rows * columns - 1))
        #expect(try run("flip", [Value(flipped)]).bytes == x.bytes)
        let wide = try run("broadcast_to", [value([1, 2], [2, 1])], ["shape": [2, 100_000]])
        #expect(wide.number(at: 99_999) == 1 && wide.number(at: 100_000) == 2 && wide.number(at: 199_999) == 2)
    }

    @Test func numberOfThreadsChangesNoBit() throws {
        let x = try Operations.apply("random_normal", [RandomSeed.value(3)], attributes: ["shape": [130, 517]])[0]
        func all() throws -> [[UInt8]] {
            try [
                exp(x), add(x, x), sum(x), sum(x, axes: [0]), mean(x, axes: [1]), transpose(x), logSumExp(x),
                cast(x, .float64), randomNormal([70_000], seed: RandomSeed.value(9)), sort(x, axis: 0), gelu(x),
            ].map { try $0.tensor().bytes }
        }
        let threads = ThreadPool.shared.threads
        defer { ThreadPool.shared.threads = threads }
        ThreadPool.shared.threads = 1
        let one = try all()
        ThreadPool.shared.threads = 3
        #expect(try all() == one)
    }

    @Test func refusals() throws {
        let x = try value([1, 2, 3, 4, 5, 6], [2, 3])
        let cases: [(String, [Value], JSON, String)] = [
            ("add", [x, try value([1, 2])], [:], "[add] shapes cannot be broadcast together"),
            ("add", [x], [:], "[add] takes 2 inputs. Received: 1"),
            ("sum", [x], ["axis": 2], "[sum] axis 2 is out of range"),
            ("sum", [x], ["axis": [0, -2]], "[sum] an axis is given twice"),
            ("sum", [x], ["axes": 0], "[sum] unknown argument 'axes'; did you mean 'axis'?"),
            ("max", [try value([], [0])], [:], "[max] there is no element to choose"),
            ("argmax", [try value([], [0])], [:], "[argmax] there is no element to choose"),
            ("reshape", [x], ["newshape": [4, -1]], "[reshape] 6 elements cannot be divided into rows of 4"),
            ("reshape", [x], ["newshape": [4]], "[reshape] 6 elements do not fill 4"),
            ("reshape", [x], ["newshape": [-1, -1]], "[reshape] at most one size"),
            ("squeeze", [x], ["axis": 0], "[squeeze] axis 0 has size 2"),
            ("expand_dims", [x], ["axis": 5], "[expand_dims] axis 5 is out of range"),
            ("transpose", [x], ["axes": [0, 0]], "[transpose] 'axes' must name each"),
            ("broadcast_to", [x], ["shape": [3, 3]], "[broadcast_to] the shape cannot be stretched"),
            ("concatenate", [x, try value([1, 2])], [:], "[concatenate] shapes may differ along axis 0 only"),
            ("concatenate", [], [:], "[concatenate] takes at least one input"),
            ("split", [x], ["indices_or_sections": 4], "[split] axis 0 of size 2 cannot be cut"),
            ("split", [x], ["indices_or_sections": "two"], "[split] 'indices_or_sections' must be"),
            ("take", [x, x], [:], "[take] positions must be whole numbers"),
            ("take", [x, try value([9], [1], .int32)], [:], "[take] position 9 is out of range"),
            ("one_hot", [x], ["num_classes": 2], "[one_hot] positions must be whole numbers"),
            ("top_k", [x], ["k": 4], "[top_k] k is 4, the last axis has 3 elements"),
            ("pad", [x], ["pad_width": [[1, 1], [1, 1], [0, 0]]], "[pad] 'pad_width' must have one pair for each"),
            ("pad", [x], ["pad_width": -1], "[pad] 'pad_width' must be made of pairs"),
            ("pad", [x], ["pad_width": 5, "mode": "reflect"], "[pad] mode 'reflect' cannot add 5"),
            ("zeros", [], ["shape": [-1]], "sizes must not be negative"),
            ("zeros", [], ["shape": [4_000_000_000, 4_000_000_000]], "the number of elements overflows"),
            ("arange", [], ["start": 1e300], "[arange] more than"),
            ("arange", [], ["start": 0, "stop": 1, "step": 0], "[arange] 'step' must be"),
            ("cast", [x], ["dtype": "complex"], "[cast] 'dtype' must be"),
            ("relu_gradient", [x, try value([1])], [:], "[relu_gradient] both inputs must have one shape"),
            ("random_uniform", [x], ["shape": [2]], "[random_uniform] a seed is two int64 numbers"),
            ("random_integers", [], ["shape": [2], "minval": 0, "maxval": 3, "dtype": "float32"], "[random_integers] gives"),
            ("no_such", [x], [:], "there is no operation 'no_such'"),
            ("argmx", [x], [:], "there is no operation 'argmx'; did you mean 'argmax'?"),
        ]
        for (name, inputs, attributes, expected) in cases {
            let text = message { _ = try Operations.apply(name, inputs, attributes: attributes) }
            #expect(text.hasPrefix(expected), "\(name): \(text)")
            #expect(!text.contains("\n"))
        }
    }

    @Test func sigmoidKeepsItsLogits() throws {
        let x = try value([1, 2])
        let y = try sigmoid(x)
        #expect(y.logits?.activation == "sigmoid")
        #expect(y.logits?.value === x)
        #expect(try relu(x).logits == nil)
    }

    @Test func sizesThatDependOnNumbers() throws {
        let x = try value([0, 2, 3, 0, 0, -1], [2, 3])
        let positions = try Operations.apply("nonzero", [x])
        #expect(try positions.map { try $0.tensor().numbers } == [[0, 0, 1], [1, 2, 2]])
        #expect(try run("bincount", [value([1, 3, 1], [3], .int32)]).numbers == [0, 2, 0, 1])
        #expect(try run("bincount", [value([1, 0], [2], .int32)], ["minlength": 4]).numbers == [1, 1, 0, 0])
        let text = message { _ = try record([Tensor([1.0] as [Float])]) { try Operations.apply("nonzero", $0) } }
        #expect(text.hasPrefix("[nonzero] the size of the result depends on the numbers"))
        #expect(message { _ = try run("bincount", [value([-1], [1], .int32)]) }.hasPrefix("[bincount] numbers must be"))
    }

    @Test func contractions() throws {
        let (a, b) = (try value([1, 2, 3, 4], [2, 2]), try value([5, 6, 7, 8], [2, 2]))
        #expect(try run("dot", [a, b]).numbers == [19, 22, 43, 50])
        #expect(try run("tensordot", [a, b], ["axes": [[0, 1], [0, 1]]]).numbers == [70])
        #expect(try run("tensordot", [a, b], ["axes": 0]).shape == [2, 2, 2, 2])
        #expect(message { _ = try run("dot", [a, value([1, 2, 3])]) }.hasPrefix("[dot] the axes that are summed over"))
        #expect(message { _ = try run("tensordot", [a, b], ["axes": 3]) }.hasPrefix("[tensordot] 'axes' must be"))
    }

    @Test func generalRelu() throws {
        let x = try value([-2, 0.5, 3, 9])
        #expect(try relu(x, negativeSlope: 0.5).tensor().numbers == [-1, 0.5, 3, 9])
        #expect(try relu(x, maximum: 2).tensor().numbers == [0, 0.5, 2, 2])
        #expect(try relu(x, maximum: 4, threshold: 1).tensor().numbers == [0, 0, 3, 4])
        #expect(try relu(x, negativeSlope: 0.5, threshold: 1).tensor().numbers == [-1.5, -0.25, 3, 9])
    }

    @Test func randomNumbers() throws {
        let seed = try RandomSeed.value(42)
        let first = try randomUniform([1000], seed: seed).tensor()
        #expect(first.bytes == (try randomUniform([1000], seed: RandomSeed.value(42)).tensor().bytes))
        #expect(first.bytes != (try randomUniform([1000], seed: RandomSeed.value(42, draw: 1)).tensor().bytes))
        #expect(abs(first.numbers.reduce(0, +) / 1000 - 0.5) < 0.03)
        let normal = try randomNormal([4000], mean: 2, deviation: 3, seed: seed).tensor().numbers
        let mean = normal.reduce(0, +) / 4000
        #expect(abs(mean - 2) < 0.2)
        #expect(abs((normal.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000).squareRoot() - 3) < 0.15)
        #expect(try randomTruncatedNormal([2000], seed: seed).tensor().numbers.allSatisfy { abs($0) <= 2 })
        let whole = try randomIntegers([2000], low: -2, high: 3, seed: seed).tensor().numbers
        #expect(Set(whole) == [-2, -1, 0, 1, 2])
        let coins = try randomBernoulli([2000], probability: 0.25, seed: seed).tensor().numbers
        #expect(abs(coins.reduce(0, +) / 2000 - 0.25) < 0.04)
        #expect(try randomPermutation(100, seed: seed).tensor().numbers.sorted() == (0..<100).map(Double.init))
        let state = try RandomState(seed: 1)
        let (a, b) = (try state.next(), try state.next())
        #expect(try a.tensor().numbers == [1, 0])
        #expect(try b.tensor().numbers == [1, 1])
    }
}
