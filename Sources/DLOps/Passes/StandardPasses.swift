import DLBase
import DLGraph

/// What a graph of a model goes through before it becomes a plan, in this order.
package let standardPasses: [any GraphPass] =
    Plan.standardPasses + [
        PaddingFusion(), BiasFusion(), NormalizationActivationFusion(), ActivationFusion(), ReluGradientThroughPooling(),
        ProductUpdateFusion(), RowsUpdateFusion(),
        DeadCodeElimination(),
    ]

/// The same for a graph that only predicts.
package let inferencePasses: [any GraphPass] =
    Plan.standardPasses + [
        PaddingFusion(), BiasFusion(), NormalizationFolding(), ConstantFolding(), ActivationFusion(), WeightPacking(),
        DeadCodeElimination(),
    ]
