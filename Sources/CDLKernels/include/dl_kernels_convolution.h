#ifndef DL_KERNELS_CONVOLUTION_H
#define DL_KERNELS_CONVOLUTION_H

#include "dl_runtime.h"

/* A convolution of two or three dimensions. x [batch][input_depth][input_height][input_width][channels],
 * w [kernel_depth][kernel_height][kernel_width][channels / groups][filters],
 * y [batch][output_depth][output_height][output_width][filters], all float32 and contiguous. Depths other than 1 are
 * for the `rows` kernels alone. Sizes are checked by the caller: every product of them fits in int64_t. */
typedef struct dl_convolution_problem {
    int64_t batch, input_height, input_width, channels, filters;
    int64_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x, groups;
    int64_t pad_top, pad_left, output_height, output_width;
    int64_t input_depth, kernel_depth, stride_z, dilation_z, pad_front, output_depth;
} dl_convolution_problem;

/* The buffers of one call. scratch is 64-byte aligned and holds what the kernel's scratch function says; nothing
 * in it is kept from one call to the next. */
typedef struct dl_convolution_arguments {
    const float *x;    /* forward, backward weights */
    const float *w;    /* forward, backward data */
    const float *dy;   /* backward */
    const float *bias; /* forward: [filters] or NULL */
    float *result;     /* y, dx or dw: overwritten */
    int32_t relu;      /* forward: result = max(0, result) */
    const float *packed; /* forward: what the kernel's pack made of w, or NULL; w is not read then */
    void *scratch;
    const dl_runtime *runtime;
} dl_convolution_arguments;

typedef struct dl_convolution_kernel {
    void (*run)(const dl_convolution_problem *problem, const dl_convolution_arguments *arguments);
    int64_t (*scratch_bytes)(const dl_convolution_problem *problem);
    /* NULL where the kernel reads w as it is, or is not a forward one. packed is 64-byte aligned. */
    int64_t (*packed_bytes)(const dl_convolution_problem *problem);
    void (*pack)(const dl_convolution_problem *problem, const float *w, float *packed, const dl_runtime *runtime);
} dl_convolution_kernel;

/* Row-major C[m][n] = A B, A [m][k] or, transposed, [k][m]; B [k][n] or, transposed, [n][k]; `batch` of them one
 * after another in each buffer. */
typedef struct dl_matmul_problem {
    int64_t m, n, k, batch;
    int32_t transpose_a, transpose_b;
} dl_matmul_problem;

typedef struct dl_matmul_arguments {
    const float *a, *b;
    const float *bias;  /* [n] or NULL, added to each row */
    float *c;
    int32_t accumulate; /* adds to c instead of replacing it */
    int32_t relu;
    void *scratch;
    const dl_runtime *runtime;
} dl_matmul_arguments;

typedef struct dl_matmul_kernel {
    void (*run)(const dl_matmul_problem *problem, const dl_matmul_arguments *arguments);
    int64_t (*scratch_bytes)(const dl_matmul_problem *problem);
} dl_matmul_kernel;

typedef struct dl_convolution_kernels {
    int32_t lanes;
    dl_convolution_kernel forward_rows, forward_planes;
    dl_convolution_kernel data_rows, data_scatter;
    dl_convolution_kernel weights_rows, weights_planes;
    dl_convolution_kernel forward_winograd4, data_winograd4, weights_winograd4;
    dl_convolution_kernel forward_winograd2, data_winograd2, weights_winograd2;
    dl_convolution_kernel forward_winograd5, data_winograd5, weights_winograd5; /* F(2x2, 5x5) */
    dl_convolution_kernel forward_depthwise, data_depthwise, weights_depthwise;
    dl_matmul_kernel matmul;
    /* sums[columns] = the sum of the rows of from[rows][columns]; scratch: see column_sums_scratch_bytes. */
    void (*column_sums)(const float *from, int64_t rows, int64_t columns, float *sums, void *scratch,
                        const dl_runtime *runtime);
    int64_t (*column_sums_scratch_bytes)(int64_t rows, int64_t columns);
} dl_convolution_kernels;

void dl_convolution_kernels_avx2(dl_convolution_kernels *table);
void dl_convolution_kernels_avx512(dl_convolution_kernels *table);

#endif
