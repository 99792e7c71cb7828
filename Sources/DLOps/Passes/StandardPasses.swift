import DLBase
import DLGraph

/// What a graph of a model goes through before it becomes a plan, in this order.
package let standardPasses: [any GraphPass] =
    Plan.standardPasses + [BiasFusion(), ActivationFusion(), ReluGradientThroughPooling(), DeadCodeElimination()]

/// The same for a graph that only predicts.
package let inferencePasses: [any GraphPass] =
    Plan.standardPasses + [
        BiasFusion(), NormalizationFolding(), ConstantFolding(), ActivationFusion(), DeadCodeElimination(),
    ]
