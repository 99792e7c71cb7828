/// Pooling, interpolation and the geometry of pictures, sequences and volumes.
package let spatialOperations: [OperationEntry] =
    SpatialPool.entries + AdaptivePool.entries + ConvTranspose.entries + imageBorderEntries + [
        imageResizeEntry, OperationEntry(Resample.self)]
