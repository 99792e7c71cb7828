import Testing

/// Pooling, transposed and separable convolution, and the geometry of sequences, pictures and volumes.
@Suite struct KerasSpatialTests {
    @Test func inDoublePrecision() throws { try KerasLayerTests().check("spatial", .float64, 1e-9) }
    @Test func inSinglePrecision() throws { try KerasLayerTests().check("spatial", .float32, 2e-5) }
}
