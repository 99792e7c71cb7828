/// Pooling, interpolation and the geometry of pictures, sequences and volumes.
package let spatialOperations: [OperationEntry] =
    SpatialPool.entries + AdaptivePool.entries + ConvTranspose.entries + imageBorderEntries + imageFilterEntries
    + slidingWindowEntries + imageMeasureEntries + imageViewEntries + [
        imageResizeEntry, OperationEntry(AffineTransform.self), OperationEntry(MapCoordinates.self), OperationEntry(Resample.self)]
