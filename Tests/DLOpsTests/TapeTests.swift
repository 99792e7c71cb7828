import DLBase
import DLGraph
import DLTensor
import Testing

@testable import DLOps

@Suite struct TapeTests {
    @Test func fanOutAddsUp() throws {
        let x = try value([1, 2, 3])
        let tape = Tape()
        tape.start()
        tape.watch(x)
        // x^2 + 3x + x/2: the gradient is 2x + 3.5.
        let y = try add(add(square(x), scale(x, 3)), scale(x, 0.5))
        tape.stop()
        let gradient = try #require(try tape.gradients(of: y, withRespectTo: [x])[0])
        #expect(try gradient.tensor().numbers == [5.5, 7.5, 9.5])
    }

    @Test func sameInputTwice() throws {
        let x = try value([3])
        let tape = Tape()
        tape.start()
        tape.watch(x)
        let y = try multiply(x, x)
        tape.stop()
        #expect(try tape.gradients(of: y, withRespectTo: [x])[0]?.tensor().numbers == [6])
    }

    @Test func unusedSourceHasNoGradient() throws {
        let (x, unused) = (try value([1, 2]), try value([1, 2]))
        let tape = Tape()
        tape.start()
        tape.watch(x)
        tape.watch(unused)
        let y = try exp(x)
        tape.stop()
        let gradients = try tape.gradients(of: y, withRespectTo: [x, unused])
        #expect(gradients[0] != nil)
        #expect(gradients[1] == nil)
    }

    @Test func stopGradientEndsTheWalk() throws {
        let x = try value([2])
        let tape = Tape()
        tape.start()
        tape.watch(x)
        let y = try multiply(x, stopGradient(x))
        tape.stop()
        #expect(try tape.gradients(of: y, withRespectTo: [x])[0]?.tensor().numbers == [2])
    }

    @Test func overwrittenTensorIsDetected() throws {
        let tensor = try Tensor([1.0, 2.0] as [Float])
        let x = Value(tensor)
        let tape = Tape()
        tape.start()
        tape.watch(x)
        let y = try square(x)
        tape.stop()
        tensor.setNumber(5, at: 0)
        let text = message { _ = try tape.gradients(of: y, withRespectTo: [x]) }
        #expect(text.hasPrefix("[square]"))
        #expect(text.contains("changed in place"))
    }

    @Test func nestedTapesGiveSecondDerivatives() throws {
        let x = try value([2])
        let outer = Tape()
        outer.start()
        outer.watch(x)
        let inner = Tape()
        inner.start()
        inner.watch(x)
        let y = try power(x, constant(3, like: x))
        inner.stop()
        let first = try #require(try inner.gradients(of: y, withRespectTo: [x])[0])
        outer.stop()
        #expect(try first.tensor().numbers == [12])
        let second = try #require(try outer.gradients(of: first, withRespectTo: [x])[0])
        #expect(abs(try second.tensor().item() - 12) < 1e-5)
    }

    @Test func variablesAreWatchedByThemselves() throws {
        let weight = Variable(try Tensor([3.0] as [Float]), name: "w")
        let fixed = Variable(try Tensor([5.0] as [Float]), name: "f", trainable: false)
        let tape = Tape()
        tape.start()
        let y = try multiply(square(weight.value), fixed.value)
        tape.stop()
        let gradients = try tape.gradients(of: y, withRespectTo: [weight.value, fixed.value])
        #expect(try gradients[0]?.tensor().numbers == [30])
        #expect(gradients[1] == nil)
    }

    /// The gradient belongs to the weights that the forward computation saw, also when they have changed since.
    @Test func variableChangedBeforeTheGradient() throws {
        let weight = Variable(try Tensor([3.0] as [Float]), name: "w")
        let tape = Tape()
        tape.start()
        let y = try square(weight.value)
        tape.stop()
        try weight.assign(Tensor([100.0] as [Float]))
        #expect(try tape.gradients(of: y, withRespectTo: [weight.value])[0]?.tensor().numbers == [6])
    }

    @Test func variableChangedBeforeTheGradientInARecording() throws {
        let weight = Variable(try Tensor([3.0] as [Float]), name: "w")
        let x = try Tensor([1.0] as [Float])
        let graph = try record([x]) { inputs in
            let tape = Tape()
            tape.start()
            let y = try multiply(square(weight.value), inputs[0])
            tape.stop()
            try weight.assign(scale(weight.value, 10))
            return [try #require(try tape.gradients(of: y, withRespectTo: [weight.value])[0])]
        }
        let plan = try Plan(graph)
        #expect(try plan.run([x])[0].numbers == [6])
        #expect(weight.tensor.numbers == [30])
        #expect(try plan.run([x])[0].numbers == [60])
    }

    @Test func seedIsUsed() throws {
        let x = try value([1, 2])
        let tape = Tape()
        tape.start()
        tape.watch(x)
        let y = try scale(x, 2)
        tape.stop()
        let gradient = try tape.gradients(of: y, withRespectTo: [x], seed: value([10, 100]))[0]
        #expect(try gradient?.tensor().numbers == [20, 200])
    }

    @Test func wholeNumbersHaveNoGradients() throws {
        let x = try value([1, 2], [2], .int32)
        let tape = Tape()
        tape.start()
        tape.watch(x)
        let y = try add(x, x)
        tape.stop()
        let text = message { _ = try tape.gradients(of: y, withRespectTo: [x]) }
        #expect(text.hasPrefix("[gradient]"))
    }

    @Test func gradientThroughBroadcast() throws {
        let bias = try value([1, 2, 3])
        let x = try value([1, 2, 3, 4, 5, 6], [2, 3])
        let tape = Tape()
        tape.start()
        tape.watch(bias)
        let y = try multiply(add(x, bias), x)
        tape.stop()
        #expect(try tape.gradients(of: y, withRespectTo: [bias])[0]?.tensor().numbers == [5, 7, 9])
    }
}
