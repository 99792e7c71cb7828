import CDLKernels
import DLBase

/// Functions that the gates of a recurrent sequence may have: those whose derivative follows from their result.
package enum GateFunction: String, CaseIterable, Sendable {
    case linear, tanh, sigmoid, relu, softsign, elu, selu, exponential, softplus, relu6
    case hardSigmoid = "hard_sigmoid"

    var code: Int64 {
        switch self {
        case .linear: Int64(DL_GATE_LINEAR)
        case .tanh: Int64(DL_GATE_TANH)
        case .sigmoid: Int64(DL_GATE_SIGMOID)
        case .relu: Int64(DL_GATE_RELU)
        case .hardSigmoid: Int64(DL_GATE_HARD_SIGMOID)
        case .softsign: Int64(DL_GATE_SOFTSIGN)
        case .elu: Int64(DL_GATE_ELU)
        case .selu: Int64(DL_GATE_SELU)
        case .exponential: Int64(DL_GATE_EXPONENTIAL)
        case .softplus: Int64(DL_GATE_SOFTPLUS)
        case .relu6: Int64(DL_GATE_RELU6)
        }
    }

    func value(_ x: Double) -> Double {
        switch self {
        case .linear: x
        case .tanh: dl_tanh_d(x)
        case .sigmoid: Formula.sigmoid(x)
        case .relu: x < 0 ? 0 : x
        case .hardSigmoid: Formula.hardSigmoid(x)
        case .softsign: x / (1 + Swift.abs(x))
        case .elu: x < 0 ? dl_expm1_d(x) : x
        case .selu: Formula.seluScale * (x < 0 ? Formula.seluAlpha * dl_expm1_d(x) : x)
        case .exponential: dl_exp_d(x)
        case .softplus: Formula.softplus(x)
        case .relu6: min(6, max(0, x))
        }
    }

    /// The derivative from the result.
    func derivative(_ y: Double) -> Double {
        switch self {
        case .linear: 1
        case .tanh: 1 - y * y
        case .sigmoid: y * (1 - y)
        case .relu: y > 0 ? 1 : 0
        case .hardSigmoid: y > 0 && y < 1 ? 1.0 / 6 : 0
        case .softsign: (1 - Swift.abs(y)) * (1 - Swift.abs(y))
        case .elu: y < 0 ? y + 1 : 1
        case .selu: y < 0 ? y + Formula.seluScale * Formula.seluAlpha : Formula.seluScale
        case .exponential: y
        case .softplus: -dl_expm1_d(-y)
        case .relu6: y > 0 && y < 6 ? 1 : 0
        }
    }
}

/// A recurrent layer over whole sequences: x (batch, steps, features) to (batch, steps, units).
package struct RecurrentProblem: Hashable, Sendable {
    package enum Kind: Int64, Sendable {
        case simple = 0, lstm, gru
        /// The reset gate acts on the state before the product.
        case gruBefore
    }

    package let kind: Kind
    package let batch, steps, features, units: Int
    package let activation, recurrentActivation: GateFunction
    /// Step s reads time steps - 1 - s.
    package let backwards: Bool

    /// Throws `shape` where a buffer would have more than 2^40 elements.
    package init(
        kind: Kind, batch: Int, steps: Int, features: Int, units: Int, activation: GateFunction = .tanh,
        recurrentActivation: GateFunction = .sigmoid, backwards: Bool = false
    ) throws(DLError) {
        self.kind = kind
        self.batch = batch
        self.steps = steps
        self.features = features
        self.units = units
        self.activation = activation
        self.recurrentActivation = recurrentActivation
        self.backwards = backwards
        let limit = 1 << 31
        let (rows, tooMany) = batch.multipliedReportingOverflow(by: steps)
        let fits = [batch, steps, features, units].allSatisfy { $0 >= 0 && $0 < limit } && units > 0 && !tooMany && rows < limit
        guard fits, Double(rows) * Double(max(4 * units, features)) < 0x1p40, Double(max(units, features)) * Double(units) < 0x1p37
        else {
            throw DLError(
                .shape, "[recurrent] the sequence is too large. Received: batch \(batch), steps \(steps), "
                    + "features \(features), units \(units)")
        }
    }

    package var gates: Int { kind == .simple ? 1 : kind == .lstm ? 4 : 3 }
    /// Columns of the kernels.
    package var columns: Int { gates * units }
    package var rows: Int { batch * steps }

    /// Of the forward direction.
    package var flops: Double { 2 * Double(rows) * Double(columns) * Double(features + units) }

    var cProblem: dl_recurrent_problem {
        dl_recurrent_problem(
            kind: kind.rawValue, batch: Int64(batch), steps: Int64(steps), units: Int64(units), activation: activation.code,
            recurrent_activation: recurrentActivation.code, backwards: backwards ? 1 : 0)
    }
}

extension RecurrentProblem: CustomStringConvertible {
    package var description: String {
        let name = kind == .simple ? "simple_rnn" : kind == .lstm ? "lstm" : kind == .gru ? "gru" : "gru_reset_before"
        return "\(name) n\(batch) t\(steps) f\(features) u\(units)" + (backwards ? " backwards" : "")
    }
}

/// The memory a recurrent sequence works on. nil: not there. See dl_kernels_recurrent.h.
package struct RecurrentBuffers {
    package var x, kernel, recurrent, h0: UnsafeRawPointer
    package var bias, c0, mask, dropout: UnsafeRawPointer?
    package var sequence, gates: UnsafeMutableRawPointer
    package var extra, last, lastCell: UnsafeMutableRawPointer?

    package var dsequence, dlast, dlastCell: UnsafeRawPointer?
    package var dx, dkernel, drecurrent, dbias, dh0, dc0: UnsafeMutableRawPointer?

    package init(
        x: UnsafeRawPointer, kernel: UnsafeRawPointer, recurrent: UnsafeRawPointer, h0: UnsafeRawPointer,
        sequence: UnsafeMutableRawPointer, gates: UnsafeMutableRawPointer
    ) {
        self.x = x
        self.kernel = kernel
        self.recurrent = recurrent
        self.h0 = h0
        self.sequence = sequence
        self.gates = gates
    }
}
