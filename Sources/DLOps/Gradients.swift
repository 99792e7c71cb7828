import DLBase
import DLGraph
import DLTensor

extension Tape {
    /// Gradients of `target` for each source; nil where the target does not depend on the source. A target that is not a
    /// scalar counts as its sum.
    package func gradients(of target: Value, withRespectTo sources: [Value], seed: Value? = nil) throws -> [Value?] {
        try gradient(of: target, withRespectTo: sources, seed: seed, algebra: .standard)
    }
}

extension GradientAlgebra {
    package static let standard = GradientAlgebra(
        add: { a, b in try DLOps.add(a, b) },
        ones: { value in Value(try Tensor(number: 1, value.type, shape: value.shape)) })
}
