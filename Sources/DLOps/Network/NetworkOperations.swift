/// Convolution, pooling, products, normalisation, softmax, losses, optimizer updates.
package let networkOperations: [any DeclaredOperation.Type] = [
    MatMul.self, DenseBias.self, BiasAdd.self,
    Conv1D.self, Conv2D.self, Conv2DTranspose.self, Conv2DBias.self, Conv2DBackwardData.self, Conv2DBackwardWeights.self,
    Conv3D.self, Conv3DBackwardData.self, Conv3DBackwardWeights.self,
    MaxPool.self, MaxPoolGradient.self, MaxPoolGather.self, AveragePool.self, AveragePoolGradient.self,
    Softmax.self, SoftmaxGradient.self, LogSoftmax.self, LogSoftmaxGradient.self,
    SparseCategoricalCrossentropy.self, SparseCrossentropyGradient.self, PickLabels.self, PlaceLabels.self,
    CategoricalCrossentropy.self, CrossentropyGradient.self, BinaryCrossentropy.self,
    BatchNormalization.self, BatchNormalizationTraining.self, BatchNormalizationGradient.self,
    LocalResponseNormalization.self, LocalResponseNormalizationGradient.self,
    LayerNormalization.self, LayerNormalizationGradient.self, RMSNormalization.self, RMSNormalizationGradient.self,
    BatchNormalizationActivation.self, BatchNormalizationActivationGradient.self,
    InTopK.self, SparseCategoricalMatches.self, CategoricalMatches.self, BinaryMatches.self,
    SGDUpdate.self, MomentumUpdate.self, RMSpropUpdate.self, AdamUpdate.self,
    GlobalNorm.self, Dropout.self,
]
