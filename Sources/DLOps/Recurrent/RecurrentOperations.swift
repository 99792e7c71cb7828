/// Masks and recurrent sequences.
package let recurrentOperations: [OperationEntry] =
    [OperationEntry(WithMask.self)] + RecurrentSequence.entries + RecurrentBackward.entries
