/// Every operation that has a name. Tests, documents, C and scripts iterate this list.
package let operationTable: [OperationEntry] = mathOperations + networkOperations.map { OperationEntry($0) }
    + recurrentOperations
    + spatialOperations
    + UpdateRules.operations
    + [OperationEntry(ThresholdCounts.self), dotProductAttentionEntry]
