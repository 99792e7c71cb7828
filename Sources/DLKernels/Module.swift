// DLKernels
