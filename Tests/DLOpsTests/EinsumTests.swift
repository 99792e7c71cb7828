import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

/// einsum against sums written as loops, and its refusals.
@Suite struct EinsumTests {
    private func run(_ equation: String, _ inputs: [Value]) throws -> Tensor {
        try Operations.apply("einsum", inputs, attributes: ["subscripts": .string(equation)])[0].tensor()
    }

    private func counting(_ shape: Shape, _ type: ElementType = .float64) throws -> Value {
        try value((0..<shape.count).map { Double($0 % 7) - 2 }, shape, type)
    }

    /// Every assignment of the letters' positions, one product each.
    private func loops(_ equation: String, _ inputs: [Value]) throws -> (Shape, [Double]) {
        let sides = equation.split(separator: ">")
        let operands = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
        let result = sides.count > 1 ? Array(sides[1]) : []
        let tensors = try inputs.map { try $0.tensor() }
        var sizes: [Character: Int] = [:]
        for (letters, tensor) in zip(operands, tensors) {
            for (letter, size) in zip(letters, tensor.shape.sizes) { sizes[letter] = size }
        }
        let letters = sizes.keys.sorted()
        let output = Shape(result.map { sizes[$0]! })
        var numbers = [Double](repeating: 0, count: output.count)
        for index in 0..<letters.reduce(1, { $0 * sizes[$1]! }) {
            var rest = index
            var at: [Character: Int] = [:]
            for letter in letters {
                at[letter] = rest % sizes[letter]!
                rest /= sizes[letter]!
            }
            func offset(_ names: [Character], _ shape: Shape) -> Int {
                zip(names, shape.strides).reduce(0) { $0 + at[$1.0]! * $1.1 }
            }
            numbers[offset(result, output)] += zip(operands, tensors).reduce(1.0) {
                $0 * $1.1.number(at: offset($1.0, $1.1.shape))
            }
        }
        return (output, numbers)
    }

    static let cases: [(String, [Shape])] = [
        ("ij->ji", [[2, 3]]), ("ij->", [[2, 3]]), ("ii->i", [[3, 3]]), ("iij->ji", [[2, 2, 3]]), ("ijij->ij", [[2, 3, 2, 3]]),
        ("ij,jk->ik", [[2, 3], [3, 4]]), ("ji,jk->ki", [[3, 2], [3, 4]]), ("ij,kj->ik", [[2, 3], [4, 3]]),
        ("bij,bjk->bik", [[2, 3, 4], [2, 4, 2]]), ("bij,bkj->ikb", [[2, 3, 4], [2, 5, 4]]), ("ibj,jkb->bki", [[2, 3, 4], [4, 2, 3]]),
        ("i,j->ji", [[2], [3]]), ("ij,ij->", [[2, 3], [2, 3]]), ("ij,ij->j", [[2, 3], [2, 3]]), ("ij,k->j", [[2, 3], [4]]),
        ("abc,cd,de->abe", [[2, 3, 2], [2, 4], [4, 3]]), ("ab,bc,ca->", [[2, 3], [3, 4], [4, 2]]), ("a,a,a->a", [[3], [3], [3]]),
        ("aecd,abcd->acbe", [[2, 3, 2, 4], [2, 5, 2, 4]]), ("acbe,aecd->abcd", [[2, 2, 5, 3], [2, 3, 2, 4]]),
        ("ij,jk->ik", [[2, 0], [0, 4]]), ("ij,jk->ik", [[0, 2], [2, 4]]), (",ij->ji", [[], [2, 3]]),
    ]

    @Test(arguments: cases.indices) func agreesWithLoops(_ index: Int) throws {
        let (equation, shapes) = EinsumTests.cases[index]
        for type in [ElementType.float64, .float32, .int32, .int64] {
            let inputs = try shapes.map { try counting($0, type) }
            let (shape, numbers) = try loops(equation, inputs)
            let computed = try run(equation, inputs)
            #expect(computed.shape == shape && computed.type == type, "\(equation)")
            #expect(computed.numbers == numbers, "\(equation) \(type)")
        }
    }

    @Test func ellipsisAndOrder() throws {
        let (a, b) = (try counting([2, 1, 3]), try counting([4, 3, 2]))
        #expect(try run("...j,...jk->...k", [a, b]).shape == [2, 4, 2])
        #expect(try run("...j,...jk", [a, b]).shape == [2, 4, 2])
        #expect(try run("i...->...i", [counting([2, 3, 4])]).shape == [3, 4, 2])
        #expect(try run("...i->i", [counting([2, 3, 4])]).numbers == sum(counting([2, 3, 4]), axes: [0, 1]).tensor().numbers)
        // The letters that occur once, in the order of the alphabet, capitals first.
        #expect(try run("ba", [counting([2, 3])]).shape == [3, 2])
        #expect(try run("bA , cb", [counting([2, 3]), counting([4, 2])]).shape == [3, 4])
        #expect(try run("ii", [counting([3, 3])]).shape == [])
        #expect(try run("ij,jk", [value([1], [1, 1], .uint8), value([2], [1, 1], .float32)]).type == .float32)
        #expect(try run("i,i->", [value([1, 1], [2], .bool), value([1, 0], [2], .bool)]).type == .int32)
    }

    @Test func refusals() throws {
        let matrix = try counting([2, 3])
        func refusal(_ equation: String, _ inputs: Value...) -> String { message { _ = try run(equation, inputs) } }
        #expect(refusal("ij,jk->ik", matrix).contains("2 operands, given are 1"))
        #expect(refusal("ij,jk->ik", matrix, matrix).contains("'j' have sizes 3 and 2"))
        #expect(refusal("ijk->i", matrix).contains("has 2 axes, the equation names 3"))
        #expect(refusal("ij->ik", matrix).contains("'k' that no operand has"))
        #expect(refusal("ij->ii", matrix).contains("named twice"))
        #expect(refusal("i1->i", matrix).contains("letters"))
        #expect(refusal("i..->i", matrix).contains("three dots"))
        #expect(refusal("ij->i->j", matrix).contains("one arrow"))
        #expect(refusal("...i...->i", matrix).contains("once in each operand"))
        #expect(refusal("é->", matrix).contains("letters"))
        #expect(refusal(String(repeating: "a,", count: 40) + "a", matrix).contains("32 operands"))
        #expect(refusal(String(repeating: "a", count: 4000), matrix).contains("1000 letters"))
        let letters = (0..<17).map { String(UnicodeScalar(UInt8(97 + $0))) }
        let many = try (0..<17).map { _ in try counting([2]) }
        #expect(message { _ = try run(letters.joined(separator: ",") + "->" + letters.joined(), many) }.contains("16 axes"))
        #expect(message { _ = try Operations.apply("einsum", [matrix]) }.contains("'subscripts' is missing"))
    }
}
