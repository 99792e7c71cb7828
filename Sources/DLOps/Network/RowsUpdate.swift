import DLBase
import DLGraph
import DLKernels
import DLTensor

/// Gradient descent on a table of which a batch has looked up few rows: only these are read and written.
///
/// The gradient of an embedding is a table of zeros but for the rows of the batch; filling it, and subtracting zeros
/// from all other rows, are three passes over the table. Each row's contributions are summed in the order of the batch, as
/// the whole gradient would be, so the numbers are the same. Only the passes make this; its inputs are the weight, the
/// gradient of what was looked up, the positions, the learning rate.
struct RowsUpdate: Operation {
    let update: SGDUpdate
    let gradient: TakeGradientOperation

    var name: String { "\(update.name)_of_rows" }
    var attributes: JSON { gradient.attributes }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        guard inputs.count == 4 else {
            throw DLError(.argument, "[\(name)] takes a weight, a gradient, positions and a rate. Received: \(inputs.count) tensors")
        }
        let whole = try gradient.outputs(for: Array(inputs[1...2]))[0]
        return try update.outputs(for: [inputs[0], whole, inputs[3]])
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let element = inputs[0].type
        let (size, count, indexType) = (inputs[0].shape[0], inputs[2].shape.count, inputs[2].type)
        let row = inputs[0].shape.sizes.dropFirst().reduce(1, &*)
        let rowBytes = row &* element.byteCount
        let tableBytes = inputs[0].byteCount
        let spec = TensorSpec([1, row], element)
        let step = try update.kernel(inputs: [spec, spec, inputs[3]], outputs: [spec])
        let keyBytes = (count &* 8 &+ 63) & ~63
        let sumBytes = (rowBytes &+ 63) & ~63
        // Keys, the sum of a row's gradients, four pointers for the step.
        return Kernel(
            step.implementation, scratchBytes: keyBytes + sumBytes + 64 + step.scratchBytes, inPlace: [(0, 0)]
        ) { arguments in
            let keys = arguments.scratch.assumingMemoryBound(to: UInt64.self)
            var found = 0
            for i in 0..<count {
                let given = Positions.read(arguments.inputs[2], indexType, i)
                let id = given < 0 ? given &+ size : given
                // The look-up before has refused what is out of range.
                guard id >= 0, id < size else { continue }
                keys[found] = UInt64(truncatingIfNeeded: id) &<< 32 | UInt64(truncatingIfNeeded: i)
                found &+= 1
            }
            RowsUpdate.sort(keys, found)
            let table = arguments.outputs[0]
            if UnsafeRawPointer(table) != UnsafeRawPointer(arguments.inputs[0]) {
                table.copyMemory(from: arguments.inputs[0], byteCount: tableBytes)
            }
            let sum = arguments.scratch + keyBytes
            let pointers = (sum + sumBytes).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
            var first = 0
            while first < found {
                let id = keys[first] &>> 32
                sum.initializeMemory(as: UInt8.self, repeating: 0, count: rowBytes)
                var next = first
                while next < found, keys[next] &>> 32 == id {
                    let from = Int(truncatingIfNeeded: keys[next] & 0xffff_ffff) &* rowBytes
                    Loops.accumulate(element, arguments.inputs[1] + from, sum, row)
                    next &+= 1
                }
                pointers[0] = table + Int(truncatingIfNeeded: id) &* rowBytes
                pointers[1] = sum
                pointers[2] = UnsafeMutableRawPointer(mutating: arguments.inputs[3])
                pointers[3] = pointers[0]
                // An update cannot fail.
                try? step.run(
                    KernelArguments(
                        inputs: UnsafePointer(pointers), outputs: UnsafePointer(pointers + 3),
                        scratch: sum + sumBytes + 64))
                first = next
            }
        }
    }

    /// Heap sort: it allocates nothing and is as fast for bad orders as for good ones.
    private static func sort(_ keys: UnsafeMutablePointer<UInt64>, _ count: Int) {
        func sink(_ start: Int, _ end: Int) {
            var root = start
            while 2 &* root &+ 1 < end {
                var child = 2 &* root &+ 1
                if child &+ 1 < end, keys[child] < keys[child &+ 1] { child &+= 1 }
                guard keys[root] < keys[child] else { return }
                (keys[root], keys[child]) = (keys[child], keys[root])
                root = child
            }
        }
        guard count > 1 else { return }
        for start in stride(from: count / 2 - 1, through: 0, by: -1) { sink(start, count) }
        for end in stride(from: count - 1, to: 0, by: -1) {
            (keys[0], keys[end]) = (keys[end], keys[0])
            sink(0, end)
        }
    }
}
