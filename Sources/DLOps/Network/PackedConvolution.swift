import DLBase
import DLGraph
import DLKernels

/// The weights of a convolution in the order, or in Winograd's transform, that the kernel chosen for it reads. Only the passes make
/// it, where the weights change more rarely than the convolution runs.
struct PackConvolutionWeights: Operation {
    let geometry: Conv2DGeometry
    /// The picture the convolution is for: the choice of the kernel depends on its size.
    let input: Shape

    var name: String { "pack_convolution_weights" }
    var attributes: JSON { geometry.attributes(("input_shape", sizesJSON(input.sizes))) }

    func forward(_ kernel: Shape) throws -> Convolution2DForward {
        Convolution2DForward(try geometry.problem(input: input, kernel: kernel, name))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        try expectInputs(inputs, 1, name)
        return [TensorSpec([try forward(inputs[0].shape).packedBytes / 4], .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let forward = try forward(inputs[0].shape)
        return Kernel(forward.choice.implementation) { arguments in
            forward.pack(w: arguments.input(0, Float.self), into: arguments.outputs[0], runtime: ThreadPool.shared.runtime)
        }
    }
}

/// A convolution of x with packed weights, and perhaps a bias.
struct PackedConvolution: Operation {
    let geometry: Conv2DGeometry
    let kernelShape: Shape
    let activation: FusedActivation

    var name: String { "conv2d_packed" }
    var attributes: JSON {
        geometry.attributes(
            ("kernel_shape", sizesJSON(kernelShape.sizes)), ("activation", .string(activation.rawValue)))
    }

    private func forward(_ input: Shape) throws -> Convolution2DForward {
        Convolution2DForward(try geometry.problem(input: input, kernel: kernelShape, name))
    }

    func outputs(for inputs: [TensorSpec]) throws -> [TensorSpec] {
        let forward = try forward(inputs[0].shape)
        guard inputs.count == 2 || inputs.count == 3, inputs[1].shape == [forward.packedBytes / 4],
            inputs.count == 2 || inputs[2].shape == [kernelShape[3]]
        else {
            throw DLError(
                .shape, "[\(name)] the weights are packed for another picture. Received: "
                    + inputs.map(\.shape.description).joined(separator: ", "))
        }
        return [TensorSpec(forward.problem.outputShape, .float32)]
    }

    func kernel(inputs: [TensorSpec], outputs: [TensorSpec]) throws -> Kernel {
        let forward = try forward(inputs[0].shape)
        let hasBias = inputs.count == 3
        let activation = activation.kernel
        let runtime = ThreadPool.shared.runtime
        return Kernel(forward.choice.implementation, scratchBytes: forward.scratchBytes) { arguments in
            let packed = arguments.inputs[1]
            // The weights themselves are not read: all there is to know of them is in `packed`.
            forward.run(
                x: arguments.input(0, Float.self), w: UnsafePointer(packed.assumingMemoryBound(to: Float.self)),
                bias: hasBias ? arguments.input(2) : nil, activation: activation, y: arguments.output(0), packed: packed,
                scratch: arguments.scratch, runtime: runtime)
        }
    }
}
