import DLBase

/// Copies rows of `source`, picked along its first axis, into `target`: `target[i] = source[indices[i]]`.
///
/// Shapes: source (n, ...), target (indices.count, ...) of the same type. Makes a batch of shuffled samples in memory that
/// is used again for each batch. Throws `range` for an index outside 0 ..< n, `shape` and `dtype` for tensors that do not
/// fit; the target is unchanged then. The two must not share memory.
package func gatherRows(_ source: Tensor, _ indices: UnsafeBufferPointer<Int>, into target: Tensor) throws {
    guard let rows = source.shape.sizes.first, target.shape.sizes.first == indices.count,
        source.shape.sizes.dropFirst() == target.shape.sizes.dropFirst()
    else {
        throw DLError(
            .shape, "[gather_rows] \(indices.count) rows do not fit. Received: source \(source.shape), target \(target.shape)")
    }
    guard source.type == target.type else {
        throw DLError(
            .dtype, "[gather_rows] the dtypes must agree. Received: source \(source.type.name), target \(target.type.name)")
    }
    for (position, index) in indices.enumerated() where index < 0 || index >= rows {
        throw DLError(
            .range, "[gather_rows] index \(index) at position \(position) is out of range. Received: source \(source.shape)")
    }
    let rowBytes = source.shape.sizes.dropFirst().reduce(source.type.byteCount, &*)
    if rowBytes > 0 { copyRows(UnsafeRawPointer(source.pointer), indices, target.pointer, rowBytes) }
    target.storage.noteChange()
}

private func copyRows(
    _ source: UnsafeRawPointer, _ indices: UnsafeBufferPointer<Int>, _ target: UnsafeMutableRawPointer, _ rowBytes: Int
) {
    func copy(_ range: Range<Int>) {
        for at in range {
            (target + at &* rowBytes).copyMemory(from: source + indices[at] &* rowBytes, byteCount: rowBytes)
        }
    }
    // Waking the pool costs as much as copying a few hundred kilobytes.
    let pieceBytes = 1 << 18
    guard indices.count &* rowBytes >= 4 * pieceBytes else { return copy(0..<indices.count) }
    let step = max(1, pieceBytes / rowBytes)
    let pieces = (indices.count + step - 1) / step
    ThreadPool.shared.forEach(pieces: pieces) { piece in
        copy(piece * step..<min(indices.count, (piece + 1) * step))
    }
}
