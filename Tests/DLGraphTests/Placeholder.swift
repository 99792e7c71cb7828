// Tests of DLGraph.
