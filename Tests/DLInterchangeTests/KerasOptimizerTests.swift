import DLBase
import DLGraph
import DLInterchange
import DLOps
import DLTensor
import DLTraining
import Testing

/// Twenty updates by given gradients follow Keras, operation by operation and as a compiled step.
@Suite struct KerasOptimizerTests {
    /// A step that applies gradients which come from outside.
    private struct CompiledUpdate {
        let plan: Plan

        init(_ optimizer: Optimizer, _ variables: [Variable]) throws {
            let graph = Graph()
            try ThreadContext.current.recording(into: graph) {
                try optimizer.apply(variables.map { (gradient: graph.addInput($0.spec), variable: $0) })
            }
            plan = try Plan(graph, passes: standardPasses)
        }
    }

    private func trajectories(_ type: ElementType, compiled: Bool) throws {
        let fixture = try KerasFixture("optimizers")
        let names = ["first", "second", "third"]
        let start = try (0..<3).map { try fixture.tensor(.string("start/\($0)")).converted(type) }
        let gradients = try (0..<3).map { try fixture.tensor(.string("gradients/\($0)")).converted(type) }
        var done = 0
        for entry in fixture.cases {
            guard let json = entry["optimizer"] else { continue }
            let name = entry["name"]?.stringValue ?? ""
            do {
                let optimizer = try Optimizers.registry.make(json)
                let variables = zip(start, names).map { Variable($0, name: $1) }
                var step: CompiledUpdate?
                for index in 0..<20 {
                    let rows = try gradients.map { try $0.row(index) }
                    if compiled {
                        if step == nil { step = try CompiledUpdate(optimizer, variables) }
                        try step?.plan.run(inputs: rows.map { UnsafeRawPointer($0.pointer) }, outputs: [])
                    } else {
                        try optimizer.apply(zip(rows, variables).map { (gradient: Value($0), variable: $1) })
                    }
                    guard let kept = entry["kept"]?.arrayValue?.first(where: { $0["step"]?.intValue == index }) else { continue }
                    for (variable, wanted) in zip(variables, try fixture.tensors(kept["weights"])) {
                        let error = distance(variable.tensor, wanted)
                        #expect(error < 2e-5, "\(name), step \(index): \(variable.name) is off by \(error)")
                    }
                }
                try optimizer.finishTraining()
                for (variable, wanted) in zip(variables, try fixture.tensors(entry["averages"])) {
                    let error = distance(variable.tensor, wanted)
                    #expect(error < 2e-5, "\(name): the average of \(variable.name) is off by \(error)")
                }
                #expect(Int(optimizer.iterations.tensor.number(at: 0)) == 20)
                done += 1
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
        #expect(done > 200)
    }

    @Test func stepByStep() throws { try trajectories(.float32, compiled: false) }
    @Test func stepByStepInDoublePrecision() throws { try trajectories(.float64, compiled: false) }
    @Test func compiled() throws { try trajectories(.float32, compiled: true) }

    @Test func schedules() throws {
        let fixture = try KerasFixture("optimizers")
        var done = 0
        for entry in fixture.cases {
            guard let json = entry["schedule"] else { continue }
            let schedule = try Schedules.registry.make(json)
            for (step, wanted) in zip(entry["steps"]?.arrayValue ?? [], entry["rates"]?.arrayValue ?? []) {
                let found = try schedule.rate(try #require(step.doubleValue))
                let expected = try #require(wanted.doubleValue)
                #expect(abs(found - expected) < 1e-5 * max(abs(expected), 1e-3), "\(entry["name"] ?? .null), step \(step)")
            }
            // What is written down makes the same schedule again, in Keras's names.
            let again = try Schedules.registry.make(#require(schedule.serialized))
            #expect(try again.rate(7) == schedule.rate(7))
            #expect(schedule.serialized?["class_name"] == json["class_name"])
            done += 1
        }
        #expect(done == 11)
    }

    /// Rprop as torch.optim has it: three steps by hand.
    @Test func rprop() throws {
        let optimizer = try Optimizers.registry.make(["class_name": "Rprop", "config": ["learning_rate": 0.125]])
        let w = Variable(try Tensor([1.0 as Float, 2, 3]), name: "w")
        let gradients: [[Float]] = [[1, -2, 0], [0.5, 1, 3], [2, 1, -1]]
        for g in gradients { try optimizer.apply([(gradient: Value(Tensor(g)), variable: w)]) }
        // First: 0.125 each way; then 0.15 on, a turn without a step, a first step of 0.125; then 0.18 on, 0.0625, a turn.
        let expected = [1 - 0.125 - 0.15 - 0.18, 2 + 0.125 - 0.0625, 3 - 0.125]
        for (index, number) in expected.enumerated() { #expect(abs(w.tensor.number(at: index) - number) < 1e-6) }
    }

    @Test func badArgumentsAreRefusedInWords() throws {
        func message(_ json: JSON) -> String {
            do {
                _ = try Optimizers.registry.make(json)
                return "accepted"
            } catch let error as DLError {
                return error.message
            } catch { return "\(error)" }
        }
        for declaration in Optimizers.registry.declarations {
            for name in ["learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor"] {
                let text = message(["class_name": .string(declaration.name), "config": [name: -1]])
                #expect(text.hasPrefix("[\(declaration.name)] '\(name)' must be"), "\(text)")
                #expect(text.hasSuffix("Received: -1"), "\(text)")
            }
            #expect(message(["class_name": .string(declaration.name), "config": ["gradient_accumulation_steps": 1]]).contains("must be"))
            #expect(message(["class_name": .string(declaration.name), "config": ["ema_momentum": 1.5]]).contains("must be"))
            #expect(message(["class_name": .string(declaration.name), "config": ["clipnorm": 1, "clipvalue": 1]]).contains("only one of"))
        }
        #expect(message(["class_name": "SGD", "config": ["learning_rate": ["class_name": "CosineDecai", "config": [:]]]]).contains("CosineDecay"))
        #expect(message(["class_name": "SGD", "config": ["learning_rate": ["class_name": "CosineDecay", "config": ["initial_learning_rate": 1, "decay_steps": 0]]]])
            .contains("'decay_steps' must be"))
        #expect(message(["class_name": "SGD", "config": ["learning_rate": ["class_name": "PiecewiseConstantDecay", "config": ["boundaries": [2, 1], "values": [1, 2, 3]]]]])
            .contains("rising order"))
        let scheduled = try Optimizers.registry.make([
            "class_name": "Adam", "config": ["learning_rate": ["class_name": "ExponentialDecay", "config": ["initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5]]],
        ])
        #expect(throws: DLError.self) { try scheduled.setLearningRate(0.5) }
        #expect(scheduled.learningRateShortest == 0.1)
    }
}
