// Tests of DLKernels.
