import DLBase
import DLGraph
import DLOps
import DLTensor
import Testing

/// Pooling, transposed and separable convolution, and the geometry of sequences, pictures and volumes.
@Suite struct KerasSpatialTests {
    @Test func inDoublePrecision() throws { try KerasLayerTests().check("spatial", .float64, 1e-9) }
    @Test func inSinglePrecision() throws { try KerasLayerTests().check("spatial", .float32, 2e-5) }

    /// keras.ops.image: outputs, and gradients for the first input.
    @Test(arguments: [(ElementType.float64, 1e-9), (.float32, 2e-5)])
    func pictures(_ type: ElementType, _ tolerance: Double) throws {
        try KerasOperationTests.check("images", atLeast: 40, type, tolerance)
    }
}
