/// Arithmetic, comparison, reduction, movement, indexing, random numbers.
package let mathOperations: [OperationEntry] =
    BinaryFunction.all.map(\.entry) + Comparison.all.map(\.entry) + Predicate.all.map(\.entry)
    + UnaryFunction.arithmetic.map(\.entry) + UnaryFunction.activations.map(\.entry) + UnaryFunction.geluEntries
    + (UnaryFunction.arithmetic + UnaryFunction.activations).filter { $0.derivative != nil }
    .map { UnaryGradientOperation.entry($0) }
    + Reduction.list.map(\.entry) + ArgumentOperation.entries + CumulativeOperation.entries + SortOperation.entries
    + TriangleOperation.entries + RandomOperation.entries + ShapedRandomOperation.entries + statisticsEntries
    + segmentEntries + contractionEntries + [einsumEntry]
    + averageEntries + joiningEntries + rearrangementEntries + productEntries + scatterEntries + searchingEntries
    + moreFunctionEntries + BitOperation.entries + convolutionFormEntries + likeEntries + CreationOperation.entries
    + movementOperations.map { OperationEntry($0) }

private let movementOperations: [any DeclaredOperation.Type] = [
    WhereOperation.self, CastOperation.self, StopGradientOperation.self, CopyOperation.self, BroadcastToOperation.self,
    ReshapeOperation.self, ExpandDimsOperation.self, SqueezeOperation.self, RavelOperation.self, TransposeOperation.self,
    SwapAxesOperation.self, MoveAxisOperation.self, GetItemOperation.self, GetItemGradientOperation.self,
    SliceOperation.self, SliceUpdateOperation.self, ConcatenateOperation.self, StackOperation.self, SplitOperation.self,
    UnstackOperation.self, PadOperation.self, TileOperation.self, RepeatOperation.self, FlipOperation.self,
    RollOperation.self, TakeOperation.self, TakeGradientOperation.self, TakeAlongAxisOperation.self,
    TakeAlongAxisGradientOperation.self, OneHotOperation.self,
    FlatPositionsOperation.self, ScatterRowsOperation.self, RecurrenceOperation.self, TopKOperation.self, DiagonalOperation.self, TraceOperation.self, DiagOperation.self, RandomPermutationOperation.self,
    BincountOperation.self, NonzeroOperation.self,
]
