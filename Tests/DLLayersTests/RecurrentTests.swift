import DLBase
import DLGraph
import DLLayers
import DLOps
import DLTensor
import Testing

/// Recurrent layers against their cells step by step, and the tuned kernels at the borders of their tiles.
@Suite struct RecurrentTests {
    private struct Run {
        var outputs: [Tensor]
        var gradients: [Tensor?]
    }

    /// Outputs and gradients of the sum of their products with fixed numbers.
    private func run(_ layer: Layer, _ x: Value, training: Bool = false) throws -> Run {
        let tape = Tape()
        tape.watch(x)
        tape.start()
        defer { tape.stop() }
        let outputs = try layer.apply([x], training: training)
        var target: Value?
        for output in outputs {
            let count = output.shape.count
            let weights = (0..<count).map { Double(($0 * 7 + 3) % 11) / 11 - 0.4 }
            let part = try sum(multiply(output, cast(Value(Tensor(weights, output.shape)), output.type)))
            target = try target.map { try add($0, part) } ?? part
        }
        tape.stop()
        let gradients = try tape.gradients(
            of: try #require(target), withRespectTo: [x] + layer.orderedVariables.map(\.value))
        return Run(outputs: try outputs.map { try $0.tensor() }, gradients: try gradients.map { try $0?.tensor() })
    }

    private func difference(_ a: Tensor?, _ b: Tensor?) -> Double {
        guard let a, let b, a.shape == b.shape else { return a == nil && b == nil ? 0 : .infinity }
        return (0..<a.count).reduce(0) { max($0, abs(a.number(at: $1) - b.number(at: $1))) }
    }

    private func compare(_ a: Run, _ b: Run, _ tolerance: Double, _ what: String) {
        #expect(a.outputs.count == b.outputs.count && a.gradients.count == b.gradients.count)
        for (index, pair) in zip(a.outputs, b.outputs).enumerated() {
            #expect(difference(pair.0, pair.1) < tolerance, "\(what): output \(index)")
        }
        for (index, pair) in zip(a.gradients, b.gradients).enumerated() {
            #expect(difference(pair.0, pair.1) < tolerance, "\(what): gradient \(index)")
        }
    }

    private func input(_ shape: Shape, _ type: ElementType = .float64) throws -> Value {
        let numbers = (0..<shape.count).map { Double(($0 * 37 + 11) % 53) / 26 - 1 }
        return try cast(Value(Tensor(numbers, shape)), type)
    }

    /// A stack of one cell goes step by step; the layer does not.
    @Test(arguments: ["SimpleRNN", "LSTM", "GRU"]) func fusedIsStepByStep(_ kind: String) throws {
        for reset in kind == "GRU" ? [true, false] : [true] {
            for (mode, training) in [("plain", false), ("dropout", true)] {
                var cell: JSONObject = JSONObject([
                    ("units", 3), ("dtype", "float64"), ("seed", 5), ("dropout", training ? 0.5 : 0),
                    ("recurrent_dropout", training ? 0.5 : 0),
                ])
                if kind == "GRU" { cell["reset_after"] = .bool(reset) }
                var layer = cell
                let sequence: [(String, JSON)] = [("return_sequences", true), ("return_state", true), ("go_backwards", true)]
                for (key, value) in sequence { layer[key] = value }
                let fused = try Layers.make(kind, .object(layer))
                var stepwise = JSONObject(sequence + [("dtype", "float64")])
                let inner: JSON = ["class_name": .string(kind + "Cell"), "config": .object(cell)]
                stepwise["cell"] = ["class_name": "StackedRNNCells", "config": ["cells": [inner], "dtype": "float64"]]
                let plain = try Layers.make("RNN", .object(stepwise))
                let x = try withMask(input([3, 4, 2]), Value(Tensor([1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 0, 1], [3, 4])))
                try fused.buildIfNeeded([[3, 4, 2]])
                try plain.buildIfNeeded([[3, 4, 2]])
                try plain.setWeights(fused.orderedVariables.map(\.tensor))
                let what = "\(kind) \(mode) reset_after \(reset)"
                try compare(run(fused, x, training: training), run(plain, x, training: training), 1e-12, what)
            }
        }
    }

    @Test(arguments: ["SimpleRNN", "LSTM", "GRU"]) func bordersOfTiles(_ kind: String) throws {
        let sizes = [(1, 1), (2, 7), (5, 8), (6, 9), (16, 15), (17, 16), (32, 17), (33, 33), (40, 3), (3, 130)]
        for (batch, units) in sizes {
            for reset in kind == "GRU" ? [true, false] : [true] {
                func make(_ type: String) throws -> Layer {
                    var config = JSONObject([("units", .int(Int64(units))), ("dtype", .string(type)), ("return_sequences", true)])
                    if kind == "GRU" { config["reset_after"] = .bool(reset) }
                    let layer = try Layers.make(kind, .object(config))
                    try layer.buildIfNeeded([[batch, 3, 2]])
                    return layer
                }
                let exact = try make("float64")
                let single = try make("float32")
                try exact.setWeights(single.orderedVariables.map(\.tensor))
                let x = try input([batch, 3, 2], .float32)
                let found = try run(single, x)
                let what = "\(kind) batch \(batch) units \(units) reset_after \(reset)"
                try compare(found, run(exact, cast(x, .float64)), 2e-4, what)
                let threads = ThreadPool.shared.threads
                defer { ThreadPool.shared.threads = threads }
                ThreadPool.shared.threads = 1
                try compare(found, run(single, x), 1e-300, "\(what), one thread")
            }
        }
    }

    @Test func sizesThatOverflowAreRefused() throws {
        let layer = try Layers.make("LSTM", ["units": 2_147_483_647])
        #expect(throws: DLError.self) { try layer.buildIfNeeded([[1, 2, 3]]) }
        #expect(throws: DLError.self) { try Layers.make("LSTM", ["units": 4_294_967_296]) }
        #expect(throws: DLError.self) { try Layers.make("ConvLSTM2D", ["filters": 2, "kernel_size": 0]) }
        let picture = try Layers.make("ConvLSTM2D", ["filters": 2, "kernel_size": 9])
        #expect(throws: DLError.self) { try picture.apply([input([1, 2, 4, 4, 1], .float32)]) }
    }
}
