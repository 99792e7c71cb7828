import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

extension OperationSample {
    /// The sample's inputs, floating-point ones in `type`; the same numbers every time.
    func makeInputs(_ type: ElementType, seed: UInt64 = 1) throws -> [Tensor] {
        var random = RandomStream(seed: seed)
        return try inputs.map { input in
            switch input {
            case .uniform(let shape, let range, let gap):
                let width = range.upperBound - range.lowerBound
                var numbers = (0..<shape.count).map { _ in range.lowerBound + width * random.uniform() }
                if gap > 0, shape.count > 1 {
                    let step = width / Double(shape.count)
                    numbers = random.permutation(shape.count).map {
                        range.lowerBound + step * (Double($0) + 0.25 + 0.5 * random.uniform())
                    }
                    #expect(step / 2 >= gap, "the sample's range has no room for its gap")
                }
                return try Tensor(numbers, shape).converted(to: type)
            case .integers(let shape, let bound, let elementType):
                let numbers = (0..<shape.count).map { _ in Double(random.below(bound)) }
                return try Tensor(numbers, shape).converted(to: elementType)
            case .given(let numbers, let shape, let elementType):
                return try Tensor(numbers, shape).converted(to: elementType)
            }
        }
    }
}

extension Tensor {
    func converted(to type: ElementType) throws -> Tensor {
        let result = try Tensor(uninitialized: shape, type)
        for index in 0..<count { result.setNumber(number(at: index), at: index) }
        return result
    }

    var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: pointer, count: byteCount)) }

    /// A copy with one element changed.
    func replacing(_ index: Int, with number: Double) throws -> Tensor {
        let result = try copy()
        result.setNumber(number, at: index)
        return result
    }
}

/// The tensors behind values.
func tensors(_ values: [Value]) throws -> [Tensor] { try values.map { try $0.tensor() } }

/// A tensor of float64 or another type from nested numbers.
func tensor(_ numbers: [Double], _ shape: Shape, _ type: ElementType = .float32) throws -> Tensor {
    try Tensor(numbers, shape).converted(to: type)
}

func value(_ numbers: [Double], _ shape: Shape, _ type: ElementType = .float32) throws -> Value {
    Value(try tensor(numbers, shape, type))
}

func value(_ numbers: [Double]) throws -> Value { try value(numbers, [numbers.count]) }

/// Records `body` on symbolic inputs like `inputs`.
func record(_ inputs: [Tensor], _ body: ([Value]) throws -> [Value]) throws -> Graph {
    let graph = Graph()
    try ThreadContext.current.recording(into: graph) {
        let symbols = inputs.map { graph.addInput(TensorSpec($0.shape, $0.type)) }
        for output in try body(symbols) { try graph.markOutput(output) }
    }
    return graph
}

/// Records, plans and runs.
func runCompiled(_ inputs: [Tensor], _ body: ([Value]) throws -> [Value]) throws -> [Tensor] {
    try Plan(record(inputs, body)).run(inputs)
}

/// The message of the error that `body` throws, "" if it throws none.
func message(_ body: () throws -> Void) -> String {
    do { try body() } catch let error as DLError { return error.message } catch { return "\(error)" }
    return ""
}

/// One sample of one operation, as an argument of a test.
struct SampleCase: CustomTestStringConvertible, Sendable {
    let name: String
    let index: Int
    let sample: OperationSample
    var testDescription: String { "\(name) \(index) \(sample.attributes.canonicalText)" }

    static let all: [SampleCase] = operationTable.flatMap { entry in
        entry.samples.enumerated().map { SampleCase(name: entry.declaration.name, index: $0.offset, sample: $0.element) }
    }

    /// Those that may be part of a graph.
    static let compilable: [SampleCase] = all.filter { test in
        !operationTable.contains { $0.declaration.name == test.name && $0.declaration.extra["eager_only"] != nil }
    }

    func apply(_ inputs: [Value]) throws -> [Value] {
        try Operations.apply(name, inputs, attributes: sample.attributes)
    }
}
