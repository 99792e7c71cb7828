// Tests of DLTraining.
