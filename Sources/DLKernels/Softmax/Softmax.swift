import CDLKernels
import DLBase

/// Softmax and cross-entropy over the rows of a matrix [rows, n]. Outputs may be inputs of the same size.
package struct SoftmaxKernel: @unchecked Sendable {
    package let type: ElementType
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point.
    package init?(_ type: ElementType, level: ProcessorLevel = .current) {
        guard type.isFloatingPoint else { return nil }
        self.type = type
        table = tunedMath(type, level)
    }

    /// y = exp(x) / sum exp(x) of each row.
    package func softmax(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.softmax?(runtime, x.of(Float.self), y.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceSoftmax(x.of(Float.self), y.of(Float.self), rows, n)
        } else {
            referenceSoftmax(x.of(Double.self), y.of(Double.self), rows, n)
        }
    }

    /// y = x - log sum exp(x) of each row.
    package func logSoftmax(
        _ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.log_softmax?(runtime, x.of(Float.self), y.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceLogSoftmax(x.of(Float.self), y.of(Float.self), rows, n)
        } else {
            referenceLogSoftmax(x.of(Double.self), y.of(Double.self), rows, n)
        }
    }

    /// dx = y (dy - sum dy y), y being the softmax.
    package func softmaxGradient(
        _ runtime: Runtime?, dy: UnsafeRawPointer, y: UnsafeRawPointer, dx: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.softmax_gradient?(
                runtime, dy.of(Float.self), y.of(Float.self), dx.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceSoftmaxGradient(dy.of(Float.self), y.of(Float.self), dx.of(Float.self), rows, n)
        } else {
            referenceSoftmaxGradient(dy.of(Double.self), y.of(Double.self), dx.of(Double.self), rows, n)
        }
    }

    /// dx = dy - exp(y) sum dy, y being the log-softmax.
    package func logSoftmaxGradient(
        _ runtime: Runtime?, dy: UnsafeRawPointer, y: UnsafeRawPointer, dx: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.log_softmax_gradient?(
                runtime, dy.of(Float.self), y.of(Float.self), dx.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceLogSoftmaxGradient(dy.of(Float.self), y.of(Float.self), dx.of(Float.self), rows, n)
        } else {
            referenceLogSoftmaxGradient(dy.of(Double.self), y.of(Double.self), dx.of(Double.self), rows, n)
        }
    }

    /// loss[r] = log sum exp x[r] - x[r, labels[r]]; probabilities [rows, n] are written unless nil. A label outside
    /// 0 ..< n gives loss 0, so check with `Labels.firstOutOfRange` before.
    package func sparseCrossEntropy(
        _ runtime: Runtime?, logits x: UnsafeRawPointer, labels: Labels, loss: UnsafeMutableRawPointer,
        probabilities: UnsafeMutableRawPointer?, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.sparse_cross_entropy?(
                runtime, x.of(Float.self), labels.pointer, Int64(labels.byteCount), loss.of(Float.self),
                probabilities?.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceSparse(
                x.of(Float.self), labels, loss.of(Float.self), probabilities?.of(Float.self), rows, n)
        } else {
            referenceSparse(
                x.of(Double.self), labels, loss.of(Double.self), probabilities?.of(Double.self), rows, n)
        }
    }

    /// dx = (probabilities - onehot(labels[r])) scale[r]; 0 for rows whose label is outside 0 ..< n.
    package func sparseCrossEntropyGradient(
        _ runtime: Runtime?, probabilities p: UnsafeRawPointer, labels: Labels, scale: UnsafeRawPointer,
        dx: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.sparse_cross_entropy_gradient?(
                runtime, p.of(Float.self), labels.pointer, Int64(labels.byteCount), scale.of(Float.self),
                dx.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceSparseGradient(p.of(Float.self), labels, scale.of(Float.self), dx.of(Float.self), rows, n)
        } else {
            referenceSparseGradient(p.of(Double.self), labels, scale.of(Double.self), dx.of(Double.self), rows, n)
        }
    }

    /// loss[r] = sum_j targets[r, j] (log sum exp x[r] - x[r, j]); probabilities are written unless nil.
    package func crossEntropy(
        _ runtime: Runtime?, logits x: UnsafeRawPointer, targets: UnsafeRawPointer, loss: UnsafeMutableRawPointer,
        probabilities: UnsafeMutableRawPointer?, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.cross_entropy?(
                runtime, x.of(Float.self), targets.of(Float.self), loss.of(Float.self),
                probabilities?.of(Float.self), Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceDense(
                x.of(Float.self), targets.of(Float.self), loss.of(Float.self), probabilities?.of(Float.self), rows, n)
        } else {
            referenceDense(
                x.of(Double.self), targets.of(Double.self), loss.of(Double.self), probabilities?.of(Double.self),
                rows, n)
        }
    }

    /// dx = (probabilities sum_j targets[r, j] - targets[r]) scale[r].
    package func crossEntropyGradient(
        _ runtime: Runtime?, probabilities p: UnsafeRawPointer, targets: UnsafeRawPointer, scale: UnsafeRawPointer,
        dx: UnsafeMutableRawPointer, rows: Int, n: Int
    ) {
        if let table {
            table.pointee.cross_entropy_gradient?(
                runtime, p.of(Float.self), targets.of(Float.self), scale.of(Float.self), dx.of(Float.self),
                Int64(rows), Int64(n))
        } else if type == .float32 {
            referenceDenseGradient(
                p.of(Float.self), targets.of(Float.self), scale.of(Float.self), dx.of(Float.self), rows, n)
        } else {
            referenceDenseGradient(
                p.of(Double.self), targets.of(Double.self), scale.of(Double.self), dx.of(Double.self), rows, n)
        }
    }
}

/// Class labels, int32 or int64, from 0.
package struct Labels: @unchecked Sendable {
    package let pointer: UnsafeRawPointer
    package let byteCount: Int

    /// nil for other types.
    package init?(_ pointer: UnsafeRawPointer, _ type: ElementType) {
        guard type == .int32 || type == .int64 else { return nil }
        self.pointer = pointer
        byteCount = type.byteCount
    }

    package subscript(row: Int) -> Int {
        byteCount == 8
            ? Int(pointer.loadUnaligned(fromByteOffset: row &* 8, as: Int64.self))
            : Int(pointer.loadUnaligned(fromByteOffset: row &* 4, as: Int32.self))
    }

    /// The first row whose label is outside `0 ..< classes` and is not `ignored`.
    package func firstOutOfRange(count: Int, classes: Int, ignored: Int? = nil) -> (row: Int, value: Int)? {
        for row in 0..<max(count, 0) {
            let value = self[row]
            if (value < 0 || value >= classes) && value != ignored { return (row, value) }
        }
        return nil
    }
}
